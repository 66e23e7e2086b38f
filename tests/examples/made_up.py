"""Small made-up results of `examples/model_card.py measure`, as its files hold them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

MACHINE = {
    "processor": "A CPU",
    "usable_cores": 2,
    "threads": 2,
    "endoseg": "0.1.0",
    "packages": {"torch": "2.13.0", "opencv": "5.0"},
    "device_name": None,
}
TEXTS = {
    **{"title": "tiny", "summary": "Outlines polyps.", "stills": "a centre", "stills_are_new": "It chose nothing."},
    **{"before": "the old one", "architecture": "half precision", "use": "Research.", "learned_from": "Stills."},
    **{"training": "Two stages.", "corrective": "By attention.", "outside": "Hospital A.", "did_not_help": "Luck."},
    "licence": "Apache-2.0",
}


def write_results(folder: Path, *, model: str = "new", dice: float = 0.7) -> Path:
    """Write all files of one model whose Dice on four frames, three with a polyp, is `dice` or follows from it."""
    found = {
        "model": _model(),
        "stills": _stills(dice),
        "flips": {"presence": 0.9, "both": _totals(dice + 0.01)},
        **{f"presence-{value}": _tried(float(value), dice) for value in ("0", "0.9", "0.95", "0.96", "0.98")},
        **{name: _video(dice) for name in ("clips", "clips-spoiled", "rendered", "rendered-spoiled")},
        "clip-bowel": {mode: {"predicted_frames": 50, "lesion_frames": 7} for mode in ("off", "flagged")},
    }
    folder.mkdir(parents=True)
    for name, result in found.items():
        entry: dict[str, Any] = {
            "measurement": name,
            "commands": [f"endoseg {name} model.safetensors", "endoseg again"],
            "data": "d",
        }
        entry |= {"model": model, "weights_sha256": "0", "date": "2026-11-29", "machine": MACHINE, "result": result}
        (folder / f"{name}.json").write_text(json.dumps(entry))
    return folder


def write_texts(path: Path, **changed: str) -> Path:
    """Write what else the card says."""
    lines = [f"{key} = {json.dumps(value)}" for key, value in (TEXTS | changed).items()]
    path.write_text("\n".join([*lines, "training_runs = 1", "[clips]", 'bowel = "a bowel"']))
    return path


def _model() -> dict[str, Any]:
    architecture = {"encoder": "mobilenet_v2", "decoder_channels": [8, 8], "dropout": 0.1}
    return {
        **{"name": "tiny", "bytes": 2_500_000, "parameters": 1234, "architecture": architecture, "networks": 2},
        **{"input_size": [320, 320], "corrective": {"window": 5}, "field_of_view": "auto", "presence": 0.9},
        "parameters_of": {"network1": 500, "network2": 500, "corrective": 234},
    }


def _mean(value: float) -> dict[str, Any]:
    return {"mean": value, "std": 0.25, "frames": 4}


def _totals(dice: float, frames: int = 4, empty: int = 1) -> dict[str, Any]:
    level = {"tp": 2, "fp": 1, "fn": 1, "tn": 0, "precision": 2 / 3, "recall": 2 / 3, "f1": 2 / 3, "accuracy": 0.5}
    scores = {"dice": _mean(dice), "dice_with_lesion": _mean(dice - 0.1)}
    scores |= {"sensitivity": _mean(0.81), "specificity": _mean(0.987)}
    counts = {"frames": frames, "frames_with_lesion": frames - empty, "empty_frames": empty, "empty_frames_kept": 0}
    return counts | scores | {"image_level": level}


def _stills(dice: float) -> dict[str, Any]:
    frames = {"dice": [dice, dice, 0.0, 1.0], "present": "1110", "hit": "1100"}
    bounds = {"small_below": 0.02, "large_above": 0.1}
    sizes = {"small": _totals(0.4, 2, 0), "large": _totals(0.8, 1, 0), "no lesion": _totals(1.0, 1, 1)}
    both = {"both": _totals(dice), "networks": [_totals(dice - 0.05), _totals(dice - 0.15)]}
    return _tried(0.9, dice) | both | {"sizes": sizes, "size_bounds": bounds, "auroc": 0.912, "frames": frames}


def _tried(presence: float, dice: float) -> dict[str, Any]:
    return {
        "threshold": 0.5,
        "presence": presence,
        "tta": "off",
        "device": "cpu",
        "both": _totals(dice - presence / 10),
    }


def _video(dice: float) -> dict[str, Any]:
    counts = ("isolated_false_negatives", "isolated_false_positives", "better_frames", "worse_frames", "short_runs")
    summary = {"frames": 600, **dict.fromkeys(counts, 4)}
    summary |= {"repaired_false_negatives": 3, "repaired_false_positives": 2}
    methods = {"as predicted": 0.0, "refined, flagged": 0.02, "refined, all": -0.03}
    return {
        "clips": 24,
        "methods": {
            name: summary | {"method": name, "dice": dice + more, "dice_untouched": dice + more / 2}
            for name, more in methods.items()
        },
    }
