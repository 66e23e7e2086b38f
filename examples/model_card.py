"""Measure a model, and write its card from what was measured: no figure of the card is typed by hand.

    python examples/model_card.py measure --weights weights/polyp-lite.safetensors --before before.safetensors \\
        --c4 polypgen/C4 --clip laparoscopy=laparoscopy.mp4 --out examples/results/polyp-lite
    python examples/model_card.py write --results examples/results/polyp-lite \\
        --training examples/results/polyp-lite/training.toml --out weights/README.md --readme README.md

`measure` runs endoseg's own commands and keeps what the card shows of their JSON; what was measured already of the
same model, with the same command on the same data, is not measured again. What else the card says (what the model
learned from, what did not help) stands in training.toml. `write --scores FILE` writes the scores for the model file
itself, as `publish_model.py --card` takes them.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from model_card_measure import Plan, measure
from model_card_write import write

from endoseg_cli.errors import EndosegError, UsageError

CLIP = re.compile(r"([a-z0-9-]+)=(.+)")


def main() -> None:
    """Read the command line; end with one line where something is missing."""
    arguments = parse()
    try:
        if arguments.command == "measure":
            measure_all(arguments)
        else:
            write(arguments.results, arguments.training, arguments.out, arguments.readme, arguments.scores)
    except EndosegError as error:
        sys.exit(f"error: {error.message}" + (f" ({error.hint})" if error.hint else ""))


def parse() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    measuring = commands.add_parser("measure", help="run endoseg and keep its results")
    measuring.add_argument("--weights", type=Path, required=True, help="model file")
    measuring.add_argument("--before", type=Path, help="model file to compare with")
    measuring.add_argument("--c4", type=Path, required=True, help="folder of stills with images/ and masks/")
    measuring.add_argument("--clip", action="append", default=[], metavar="NAME=VIDEO", help="a video without masks")
    measuring.add_argument("--still-clips", type=int, default=24, help="clips of a camera over stills")
    measuring.add_argument("--rendered-clips", type=int, default=4, help="clips of endoseg phantom")
    measuring.add_argument("--rendered-seconds", type=float, default=3.0, help="length of each")
    measuring.add_argument("--seed", type=int, default=14091, help="seed of endoseg phantom")
    measuring.add_argument("--speed", action="store_true", help="time it as well; nothing else may run")
    measuring.add_argument("--only", nargs="+", default=[], metavar="NAME", help="these measurements alone")
    measuring.add_argument("--out", type=Path, required=True, help="folder of the results")
    writing = commands.add_parser("write", help="write the card from the results")
    writing.add_argument("--results", type=Path, required=True, help="folder of the results")
    writing.add_argument("--training", type=Path, required=True, help="TOML file with what else the card says")
    writing.add_argument("--out", type=Path, required=True, help="Markdown file")
    writing.add_argument("--readme", type=Path, help="README.md whose marked block gets the main figures")
    writing.add_argument("--scores", type=Path, help="YAML file for publish_model.py --card")
    return parser.parse_args()


def measure_all(arguments: argparse.Namespace) -> None:
    """Measure the model, then the one before."""
    clips = {}
    for text in arguments.clip:
        match = CLIP.fullmatch(text)
        if match is None:
            hint = "the name stands in the card: small letters, digits, dashes"
            raise UsageError(f"--clip must be NAME=VIDEO, found {text}", hint=hint)
        clips[match[1]] = Path(match[2])
    plan = Plan(
        stills=arguments.c4,
        clips=clips,
        still_clips=arguments.still_clips,
        rendered_clips=arguments.rendered_clips,
        rendered_seconds=arguments.rendered_seconds,
        seed=arguments.seed,
        speed=arguments.speed,
    )
    with TemporaryDirectory() as scratch:
        measure(arguments.weights, plan, arguments.out, Path(scratch), whole=True, only=arguments.only)
        if arguments.before is not None:
            shared = [name for name in arguments.only if not name.startswith(("presence-", "flips"))]
            if shared or not arguments.only:
                measure(arguments.before, plan, arguments.out / "before", Path(scratch), whole=False, only=shared)


if __name__ == "__main__":
    main()
