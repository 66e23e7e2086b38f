"""`endoseg suggest`: the frames most worth labelling next."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from endoseg_cli.cli.console.bar import passing_bar
from endoseg_cli.cli.console.lines import print_warning
from endoseg_cli.cli.console.say import print_path, say
from endoseg_cli.cli.options.groups import grouped
from endoseg_cli.cli.options.privacy import PrivacyOptions
from endoseg_cli.cli.options.shared import device_option, weights_option
from endoseg_cli.errors import DAMAGED_EXIT_CODE

if TYPE_CHECKING:
    from endoseg_cli.inference.suggest.frame_scores import FrameScorer
    from endoseg_cli.inference.suggest.suggesting import Suggestions


@grouped
def suggest(
    unlabeled: Annotated[
        list[Path],
        typer.Option("--unlabeled", help="Folder of frames, video, or folder of videos. May be given more than once."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="New folder for the frames and their masks.")],
    privacy: PrivacyOptions,
    weights: Annotated[str | None, weights_option()] = None,
    count: Annotated[int, typer.Option("--count", help="How many frames to suggest.")] = 50,
    labeled: Annotated[
        list[Path] | None,
        typer.Option("--labeled", help="Frames that have masks already, as for train; suggest others than those."),
    ] = None,
    frames_per_second: Annotated[
        float, typer.Option("--frames-per-second", help="How densely videos are sampled.")
    ] = 2.0,
    threshold: Annotated[
        float, typer.Option("--threshold", help="Lesion is where the probability is above, in the masks to correct.")
    ] = 0.5,
    device: Annotated[str, device_option()] = "auto",
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Name files in suggestions.csv by their whole paths.")
    ] = False,
) -> None:
    """Pick unlabelled frames that the model is unsure of and that stand for many others, with masks to correct.

    Writes DIR/images, DIR/masks, DIR/annotations.json (COCO) and DIR/suggestions.csv. Correct either the masks, for
    `train --labeled DIR`, or the COCO file, for `train --labeled DIR/annotations.json`.

    Example: endoseg suggest --unlabeled videos --weights runs/first/model.safetensors --count 50 --out next
    """
    from endoseg_cli.inference.predict.masks import MaskConfig
    from endoseg_cli.inference.suggest.frame_scores import FrameScorer
    from endoseg_cli.inference.suggest.suggesting import SuggestConfig, suggest_frames
    from endoseg_cli.networks.files.bundle import load_bundle
    from endoseg_cli.networks.files.models import resolve_weights

    config = SuggestConfig(
        unlabeled=tuple(unlabeled),
        out=out,
        count=count,
        labeled=tuple(labeled or ()),
        frames_per_second=frames_per_second,
        mask=MaskConfig(threshold=threshold),
        redact=privacy.redaction(),
        keep_metadata=privacy.keep_metadata,
        whole_paths=verbose,
    )

    def load() -> FrameScorer:
        return FrameScorer(load_bundle(resolve_weights(weights)), device=device)

    with passing_bar() as progress:
        task = progress.add_task("looking", total=None)
        found = suggest_frames(
            config,
            load,
            lambda file, frames: progress.update(task, completed=frames, description=f"{frames} frames"),
        )
    _tell(found, count)
    print_path(out)
    if found.failures:
        raise typer.Exit(DAMAGED_EXIT_CODE)


def _tell(found: Suggestions, count: int) -> None:
    say(
        f"looked at {found.frames} frames, left out {found.unusable} that are black, washed out or blurred,"
        f" suggest {len(found.chosen)}"
    )
    if len(found.chosen) < count:
        print_warning(f"there are {len(found.chosen)} frames that can be labelled, {count} were asked for")
    if any(one.disagreement is None for one in found.chosen):
        print_warning("the model has one network: frames are chosen by its uncertainty alone, without disagreement")
    for warning in found.warnings:
        print_warning(warning)
    for failure in found.failures:
        print_warning(failure.message)
