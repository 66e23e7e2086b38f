"""Draw how Dice grows with the number of masks, from what `compare_methods.py` left in several folders.

    for every in 16 8 4 2 1; do
        python compare_methods.py --split split.json --root polypgen --every $every --rows supervised endo-semis \\
            --out runs/every-$every
    done
    python label_curve.py runs/every-16 runs/every-8 runs/every-4 runs/every-2 runs/every-1 --out curve.png

A panel for each scored set, a line for each row through the means over seeds, a bar from the lowest seed to the
highest. The same numbers are printed as Markdown. With --every 1 no frame of the same hospitals is left to be scored
unless --scored kept some. `--ledger FILE` keeps what the folders hold in one file, from which the curve is drawn again
where no folders are given.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from compare_methods import COLUMNS, ROWS, SETS, dice

matplotlib.use("Agg")
from matplotlib import pyplot

from endoseg_cli.part_file import write_whole

Curves = dict[str, dict[str, dict[int, list[float]]]]
"""Dice in % of each seed on frames with a lesion, by scored set, row and number of masks."""


def main() -> None:
    """Read the command line, draw and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="*", help="what compare_methods.py wrote to as --out")
    parser.add_argument("--ledger", type=Path, help="one file that keeps the results")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=["supervised", "endo-semis"])
    parser.add_argument("--out", type=Path, required=True, help="PNG file")
    arguments = parser.parse_args()
    if not arguments.folders and (arguments.ledger is None or not arguments.ledger.is_file()):
        parser.error("expected folders, or a --ledger that is there, found neither")
    runs = (
        read_runs(arguments.folders) if arguments.folders else json.loads(arguments.ledger.read_text(encoding="utf-8"))
    )
    if arguments.folders and arguments.ledger is not None:
        lines = ",\n".join(json.dumps(run, separators=(",", ":")) for run in runs)
        write_whole(arguments.ledger, f"[\n{lines}\n]\n")
    curves = curves_of(runs, arguments.rows)
    draw(curves, arguments.out)
    print_table(curves)


def read_runs(folders: list[Path]) -> list[dict[str, Any]]:
    """Return the results in the folders, each with its number of masks."""
    runs = []
    for folder in folders:
        split = json.loads((folder / "train.json").read_text(encoding="utf-8"))
        for path in sorted((folder / "results").glob("*.json")):
            run = json.loads(path.read_text(encoding="utf-8"))
            kept = {"row": run["row"], "seed": run["seed"], "masks": len(split["train"]["labeled"])}
            kept["cpu_seconds"] = run["cpu_seconds"]
            for key in SETS:
                names = [Path(name).name for name in run[key]["names"]]
                kept[key] = {**{name: run[key][name] for name in COLUMNS}, "names": names}
                kept[key]["dice"] = [round(value, 4) for value in run[key]["dice"]]
            runs.append(kept)
    return runs


def curves_of(runs: list[dict[str, Any]], rows: list[str]) -> Curves:
    """Return the scores of the rows by number of masks."""
    curves: Curves = {key: {row: defaultdict(list) for row in rows} for key in SETS}
    for run in runs:
        for key in SETS:
            scores = dice(run, key, lesions=True)
            if run["row"] in rows and scores.size:
                curves[key][run["row"]][run["masks"]].append(100 * float(scores.mean()))
    return curves


def draw(curves: Curves, path: Path) -> None:
    """Draw a panel for each scored set."""
    figure, panels = pyplot.subplots(1, len(curves), figsize=(5 * len(curves), 4), sharex=True, layout="constrained")
    ticks = sorted({masks for rows in curves.values() for row in rows.values() for masks in row})
    for panel, (key, rows) in zip(panels, curves.items(), strict=True):
        for row, points in rows.items():
            masks = sorted(points)
            means = np.array([np.mean(points[number]) for number in masks])
            low = means - [min(points[number]) for number in masks]
            high = [max(points[number]) for number in masks] - means
            panel.errorbar(masks, means, yerr=(low, high), marker="o", capsize=3, label=row)
        panel.set(title=SETS[key], xlabel="frames with masks", ylabel="Dice on frames with a lesion, %", xscale="log")
        panel.set_xticks(ticks, [str(tick) for tick in ticks])
        panel.minorticks_off()
        panel.grid(alpha=0.3)
        panel.legend()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def print_table(curves: Curves) -> None:
    """Print means over seeds, and each seed, as Markdown."""
    counts = sorted({masks for rows in curves.values() for row in rows.values() for masks in row})
    print("| scored on | row | " + " | ".join(f"{masks} masks" for masks in counts) + " |")
    print("| --- | --- |" + " --- |" * len(counts))
    for key, rows in curves.items():
        for row, points in rows.items():
            cells = [cell(points[masks]) if masks in points else "-" for masks in counts]
            print(f"| {SETS[key]} | {row} | {' | '.join(cells)} |")


def cell(values: list[float]) -> str:
    """Return the mean, and each seed where there are several."""
    each = ", ".join(f"{value:.1f}" for value in values)
    return f"{np.mean(values):.1f}" + (f" ({each})" if len(values) > 1 else "")


if __name__ == "__main__":
    main()
