"""ImageNet weights for the encoders: from the caches, else from the Hugging Face Hub."""

from __future__ import annotations

from pathlib import Path

from endoseg_cli.errors import WeightsError
from endoseg_cli.hub.download import fetch
from endoseg_cli.hub.manifest import find_entry
from endoseg_cli.networks.architecture.encoder_names import EncoderName


def imagenet_encoder(encoder: EncoderName) -> Path:
    """Return a file with an encoder's ImageNet weights, the manifest's entry `<encoder>-imagenet`.

    Raises WeightsError, with what to do, if it is in no cache and the Hub cannot be asked or does not answer.
    """
    entry = find_entry(f"{encoder}-imagenet")
    try:
        return fetch(entry)
    except WeightsError as error:
        raise WeightsError(
            f"the ImageNet weights of {encoder} cannot be had: {error.message}",
            hint=f"carry {entry.filename} of huggingface.co/{entry.repo_id} here and run endoseg download-weights"
            f" {entry.name} --from-dir DIR, give --encoder-weights FILE, or train from scratch with"
            " --encoder-weights none",
        ) from error
