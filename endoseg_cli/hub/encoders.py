"""ImageNet weights for the encoders: from the cache, else from the Hugging Face Hub."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from endoseg_cli.errors import WeightsError
from endoseg_cli.networks.encoders import EncoderName

FILE = "model.safetensors"
ANSWER_SECONDS = 5.0
"""How long the Hub may take to answer before a run stops with a hint."""


@dataclass(frozen=True, kw_only=True)
class HubFile:
    """A repository on the Hub at one commit, so that the file can never change."""

    repository: str
    """Owner and name."""
    commit: str
    """Full hash of the commit."""


IMAGENET_ENCODERS: dict[EncoderName, HubFile] = {
    "resnet18": HubFile(repository="timm/resnet18.a1_in1k", commit="ebd61f9c7420e5b5b53262b8ce6bbe311e1e872a"),
    "resnet34": HubFile(repository="timm/resnet34.a1_in1k", commit="0e8757122c4c09b15fb9300c0fd09b3fe89e28bf"),
    "resnet50": HubFile(repository="timm/resnet50.a1_in1k", commit="5d9e13b8fdab4d9718bcf2c8f5c3af01878367e8"),
    "mobilenet_v2": HubFile(
        repository="timm/mobilenetv2_100.ra_in1k", commit="f3ff81ba89de0bc46b546568ebeab2edef6b9d49"
    ),
}
"""Where each encoder's weights are; all are Apache-2.0."""


def encoder_cache() -> Path:
    """Return the folder in which `<encoder>.safetensors` is looked for first."""
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "endoseg" / "encoders"


def imagenet_encoder(encoder: EncoderName) -> Path:
    """Return a file with an encoder's ImageNet weights: from endoseg's cache, the Hub's cache, or else the Hub.

    Raises WeightsError, with what to do, if it is in neither cache and the Hub cannot be asked or does not answer.
    """
    ours = encoder_cache() / f"{encoder}.safetensors"
    if ours.is_file():
        return ours
    source = IMAGENET_ENCODERS[encoder]
    return _cached(source) or _fetch(encoder, source)


def _cached(source: HubFile) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(source.repository, FILE, revision=source.commit)
    return Path(found) if isinstance(found, str) else None


def _fetch(encoder: EncoderName, source: HubFile) -> Path:
    from huggingface_hub import constants, hf_hub_download

    try:
        if constants.HF_HUB_OFFLINE:
            raise OSError("HF_HUB_OFFLINE is set")
        # huggingface_hub tries again for many seconds where nobody answers; one short question of our own comes first.
        _knock(constants.ENDPOINT)
        return Path(hf_hub_download(source.repository, FILE, revision=source.commit, etag_timeout=ANSWER_SECONDS))
    except Exception as error:  # its releases differ in what they raise, down to the HTTP library beneath
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise WeightsError(
            f"the ImageNet weights of {encoder} are not in the cache and cannot be fetched from the Hub: {reason}",
            hint=f"put {FILE} of huggingface.co/{source.repository} at {encoder_cache() / encoder}.safetensors, give"
            " --encoder-weights FILE, or train from scratch with --encoder-weights none",
        ) from error


def _knock(address: str) -> None:
    """Raise OSError if nobody answers at an address; any answer will do."""
    try:
        urllib.request.urlopen(urllib.request.Request(address, method="HEAD"), timeout=ANSWER_SECONDS).close()
    except urllib.error.HTTPError as answer:
        answer.close()
