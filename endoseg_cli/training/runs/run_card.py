"""The model card of a run as a page: what a colleague who finds the folder needs to know."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from endoseg_cli.networks.files.bundle import Bundle
from endoseg_cli.part_file import write_whole

CARD_FILE = "README.md"


def write_card(folder: Path, bundle: Bundle) -> None:
    """Write RUN/README.md from what the model's card holds; raises OutputError."""
    card = bundle.card
    height, width = card.input_size
    view = "the endoscope's picture cropped out of the frame" if card.field_of_view == "auto" else "the whole frame"
    corrective = "none" if card.corrective is None else f"looks at {card.corrective.window} frames"
    rows = {
        "Networks": "; ".join(f"{each.encoder}, decoder {each.decoder_channels}" for each in card.architectures),
        "Corrective network": corrective,
        "Input": f"{view}, {width} x {height}, RGB",
        "Presence": f"a region is drawn where its peak probability is {card.presence:g} or more",
        "Classes": ", ".join(card.class_names),
        "Learned from": card.training_data,
        "Licence": card.licence,
        "Use": card.intended_use,
        "endoseg": card.endoseg_version,
    }
    lines = [
        f"# {card.name}",
        "",
        f"A model of `endoseg`: it outlines {' and '.join(card.class_names)} in frames like those it learned from."
        " What it misses and what it draws by mistake is known only for the frames it was validated on (below);"
        " measure it on frames of your own before you rely on it: `endoseg evaluate --labeled DIR --weights .`",
        "",
        "| | |",
        "| --- | --- |",
        *(f"| {name} | {_escaped(str(value))} |" for name, value in rows.items()),
        "",
        "## Scores",
        "",
        *_scores(card.scores),
        "",
        "## Use",
        "",
        "    endoseg segment video.mp4 --weights . --out mask.mp4 --overlay overlay.mp4",
        "",
        "`config.yaml` holds every setting (`endoseg train --config config.yaml --out again` repeats the run),"
        " `split.json` the frames, `metrics.csv` and `curves.png` how it went, `sample.png` what it says of frames.",
        "",
    ]
    write_whole(folder / CARD_FILE, "\n".join(lines))


def _scores(scores: Mapping[str, Any], indent: str = "") -> list[str]:
    lines = []
    for name, value in scores.items():
        shown = name.replace("_", " ")
        if isinstance(value, Mapping):
            lines += [f"{indent}- {shown}:", *_scores(value, indent + "  ")]
        else:
            lines.append(f"{indent}- {shown}: {value}")
    return lines


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
