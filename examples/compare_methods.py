"""Compare the methods of `endoseg train` on few masks: same frames, steps, networks and seeds for every row.

    python compare_methods.py --split split.json --root polypgen --encoder-weights mobilenet_v2.safetensors --out runs

`split.json` has the layout that README.md shows. Every eighth of its labelled frames, in order of their names, keeps
its mask; the others are scored ("same hospitals"), and so is its val list ("another hospital"). With `--scored FILE`
the val list of that split file is scored in place of the others and trained with by nobody, and labelled frames that
lose their masks are learned from without. Each row and seed is trained and scored by the commands themselves and
leaves OUT/results/ROW-SEED.json. What has its result already is not trained again and what was stopped goes on, so the
comparison can be run over several sittings, or by several calls at once with other --rows. `--ledger FILE` keeps all
results in one file, to go on from on another machine. `--table` trains nothing and prints what is there.

The intervals are of a paired bootstrap: frames and seeds are drawn anew, the same for both rows of a difference.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from endoseg_cli.data.labels.layout import LabeledRecord, UnlabeledRecord
from endoseg_cli.data.sets.split import Split, read_split, write_split
from endoseg_cli.part_file import write_whole

ENDO_SEMIS = ("--method", "endo-semis")
ROWS: dict[str, tuple[str, ...]] = {
    "supervised": ("--method", "supervised"),
    "supervised, settled": ("--method", "supervised", "--settle-over", "all"),
    "mean-teacher": ("--method", "mean-teacher"),
    "fixmatch": ("--method", "fixmatch"),
    "unimatch": ("--method", "unimatch"),
    "cps": ("--method", "cps"),
    "endo-semis-paper": ("--recipe", "endo-semis-paper"),
    "cps + uncertainty": (*ENDO_SEMIS, "--no-joint-pseudo-label", "--no-mutual-learning"),
    "cps + uncertainty + joint": (*ENDO_SEMIS, "--no-mutual-learning"),
    "endo-semis": ENDO_SEMIS,
}
"""Rows of the table; the last three add the strategies of Endo-SemiS to CPS one by one."""
PROTOCOL = (
    *("--encoder", "mobilenet_v2", "--decoder-channels", "96,64,32,16,8", "--size", "96", "--batch-size", "4"),
    *("--learning-rate", "1e-3", "--final-learning-rate", "1e-4", "--max-steps", "1000", "--warm-up-steps", "300"),
    *("--ramp-steps", "200", "--validate-every", "500", "--select", "last", "--no-corrective"),
    *("--presence", "0"),
)
"""What all rows have in common; no presence, which would be chosen on frames that are scored."""
SETS = {"same": "same hospitals", "other": "another hospital"}
COLUMNS = ("tp", "fp", "fn", "present", "predicted")
"""What is kept of each frame besides its name and Dice."""
DRAWS = 10_000
"""Bootstrap draws."""
Scores = NDArray[np.float64]  # (seeds, frames)


def main() -> None:
    """Train and score what is missing, then print the table."""
    options = parse()
    out = options.out.resolve()
    (out / "results").mkdir(parents=True, exist_ok=True)
    if options.ledger is not None and options.ledger.is_file():
        unpack(options.ledger, out)
    if not options.table:
        split = read_split(options.split, options.root, outside=True)
        scored = None if options.scored is None else read_split(options.scored, options.root, outside=True).val
        splits = write_splits(split, out, options.every, scored)
        for seed in options.seeds:
            for row in options.rows:
                complete(row, seed, splits, out, [*options.more, "--encoder-weights", options.encoder_weights])
                if options.ledger is not None:
                    pack(options.ledger, out)
    print_tables(out, options.rows, options.against)


def parse() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--split", type=Path, required=True)
    parser.add_argument("--root", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--encoder-weights", default="imagenet", help="as of endoseg train")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--every", type=int, default=8, help="one mask of so many is kept")
    parser.add_argument("--scored", type=Path, help="split file whose val list is scored as of the same hospitals")
    parser.add_argument("--against", nargs="+", choices=ROWS, default=["supervised", "cps"])
    parser.add_argument("--ledger", type=Path, help="one file that keeps all results; what it holds is done")
    parser.add_argument("--table", action="store_true", help="only print what is there")
    parser.add_argument("--more", nargs=argparse.REMAINDER, default=[], help="options of endoseg train that go last")
    return parser.parse_args()


def write_splits(split: Split, out: Path, every: int, scored: Sequence[LabeledRecord] | None = None) -> dict[str, Path]:
    """Write one split file to train with, and one for each scored set, whose val list it is."""
    named = sorted(split.labeled, key=lambda record: record.image.name)
    kept = tuple(named[::every])
    rest = tuple(record for record in named if record not in kept)
    unlabeled = tuple(split.unlabeled)
    if scored is not None:
        held = {record.image.resolve() for record in scored}
        if clash := next((record.image for record in split.val if record.image.resolve() in held), None):
            sys.exit(f"--scored: {clash} is in the val list of the split as well, which chooses the model")
        kept = tuple(record for record in kept if record.image.resolve() not in held)
        unmasked = (UnlabeledRecord(image=one.image, group=one.group, name=one.name) for one in rest)
        unlabeled = tuple(record for record in (*unlabeled, *unmasked) if record.image.resolve() not in held)
        rest = tuple(scored)
    paths = {name: out / f"{name}.json" for name in ("train", *SETS)}
    write_split(paths["train"], Split(labeled=kept, unlabeled=unlabeled, val=split.val))
    write_split(paths["same"], Split(labeled=(), unlabeled=(), val=rest))
    write_split(paths["other"], Split(labeled=(), unlabeled=(), val=split.val))
    return paths


def complete(row: str, seed: int, splits: dict[str, Path], out: Path, more: Sequence[str]) -> None:
    """Train and score one row with one seed unless its result is there."""
    result = out / "results" / file_name(row, seed)
    run = out / "runs" / result.stem
    if result.is_file():
        check_scored(result, splits)
        return
    print(f"{row}, seed {seed}", file=sys.stderr, flush=True)
    began, cpu = time.monotonic(), os.times()
    if (run / "last.pt").is_file():
        endoseg("train", "--resume", str(run))
    else:
        shutil.rmtree(run, ignore_errors=True)  # stopped before its first checkpoint
        data = ("--split", str(splits["train"]), "--outside-root", "--seed", str(seed), "--out", str(run))
        endoseg("train", *data, *PROTOCOL, *more, *ROWS[row])
    found: dict[str, Any] = {"row": row, "seed": seed, "options": [*PROTOCOL, *more, *ROWS[row]]}
    found |= {
        "seconds": round(time.monotonic() - began, 1),
        "cpu_seconds": round(children(os.times()) - children(cpu), 1),
    }
    for key in SETS:
        found[key] = {"names": [], "dice": [], **{column: [] for column in COLUMNS}}
        if not json.loads(splits[key].read_text(encoding="utf-8"))["val"]:
            continue  # with --every 1 all masks of the same hospitals train
        table = run / f"{key}.csv"
        endoseg(
            *(
                "evaluate",
                "--split",
                str(splits[key]),
                "--outside-root",
                "--weights",
                str(run),
                "--per-frame",
                str(table),
                "--overwrite",
            )
        )
        with table.open(newline="", encoding="utf-8") as file:
            frames = list(csv.DictReader(file))
        found[key] = {
            "names": [frame["name"] for frame in frames],
            "dice": [float(frame["dice"]) for frame in frames],
            **{column: [int(frame[column]) for frame in frames] for column in COLUMNS},
        }
    write_whole(result, json.dumps(found, indent=1))


def check_scored(result: Path, splits: dict[str, Path]) -> None:
    """End the comparison if a result is of other frames than would be scored now."""
    found = json.loads(result.read_text(encoding="utf-8"))
    for key in SETS:
        val = json.loads(splits[key].read_text(encoding="utf-8"))["val"]
        if sorted(Path(name).name for name in found[key]["names"]) != sorted(Path(one["image"]).stem for one in val):
            sys.exit(f"{result} is of other frames than {splits[key]}: choose another --out")


def pack(ledger: Path, out: Path) -> None:
    """Write all results into one file, a line for each run, names of frames once."""
    runs = [json.loads(path.read_text(encoding="utf-8")) for path in sorted((out / "results").glob("*.json"))]
    names = {key: [Path(name).name for name in run[key].pop("names")] for run in runs for key in SETS}
    for run in runs:
        run["options"] = [Path(word).name if "/" in word else word for word in run.get("options", [])]
        run["file"] = file_name(run["row"], run["seed"])
        for key in SETS:
            run[key]["dice"] = [round(value, 4) for value in run[key]["dice"]]
    lines = ",\n".join(json.dumps(run, separators=(",", ":")) for run in runs)
    write_whole(ledger, f'{{"names":{json.dumps(names)},\n"runs":[\n{lines}\n]}}\n')


def unpack(ledger: Path, out: Path) -> None:
    """Write the results that a file of `pack` holds where `complete` looks for them."""
    held = json.loads(ledger.read_text(encoding="utf-8"))
    for run in held["runs"]:
        path = out / "results" / run.pop("file")
        for key in SETS:
            run[key]["names"] = held["names"][key]
        if not path.exists():
            path.write_text(json.dumps(run), encoding="utf-8")


def file_name(row: str, seed: int) -> str:
    """Return what the result of a run is called."""
    return f"{row.replace(' + ', '-').replace(', ', '-')}-{seed}.json"


def children(times: os.times_result) -> float:
    """Return the seconds of processor time that finished children took."""
    return times.children_user + times.children_system


def endoseg(*arguments: str) -> None:
    """Run one command of endoseg; ends the comparison where it fails."""
    done = subprocess.run([sys.executable, "-m", "endoseg_cli", *arguments], stdout=subprocess.DEVNULL)
    if done.returncode:
        sys.exit(f"endoseg {' '.join(arguments)} ended with {done.returncode}")


def print_tables(out: Path, rows: Sequence[str], against: Sequence[str]) -> None:
    """Print means, and differences with intervals, as Markdown."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted((out / "results").glob("*.json"))]
    by_row = {row: {one["seed"]: one for one in found if one["row"] == row} for row in rows}
    by_row = {row: seeds for row, seeds in by_row.items() if seeds}
    print("Mean over seeds; in brackets each seed. Dice in %, of frames with a lesion; of all frames; of all pixels.\n")
    print(
        "| row | seeds | minutes of processor time a run |"
        + "".join(f" {title}: lesions; all; pixels; empty frames kept empty |" for title in SETS.values())
    )
    print("| --- | --- | --- |" + " --- |" * len(SETS))
    for row, seeds in by_row.items():
        minutes = np.mean([one["cpu_seconds"] for one in seeds.values()]) / 60
        print(
            f"| {row} | {len(seeds)} | {minutes:.0f} |"
            + "".join(f" {summary(list(seeds.values()), key)} |" for key in SETS)
        )
    for key, title in SETS.items():
        for other in against:
            if other in by_row:
                print(f"\nDice in points against {other}, {title}, with a 95 % interval over frames and seeds:\n")
                print("| row | seeds | frames with a lesion | all frames |\n| --- | --- | --- | --- |")
                for row in by_row:
                    if row != other:
                        print(difference_row(row, by_row[row], by_row[other], key))


def summary(runs: Sequence[dict[str, Any]], key: str) -> str:
    """Return the scores of a row on one set."""
    if not runs[0][key]["names"]:
        return "-"
    lesions = [100 * float(np.mean(dice(run, key, lesions=True))) for run in runs]
    whole = [100 * float(np.mean(dice(run, key, lesions=False))) for run in runs]
    pixels = [100 * pooled(run[key]) for run in runs]
    kept = [
        sum(not p and not t for p, t in zip(run[key]["predicted"], run[key]["present"], strict=True)) for run in runs
    ]
    empty = len(runs[0][key]["present"]) - sum(runs[0][key]["present"])
    each = ", ".join(f"{value:.1f}" for value in lesions)
    return (
        f"{np.mean(lesions):.1f} ({each}); {np.mean(whole):.1f}; {np.mean(pixels):.1f}; {np.mean(kept):.0f} of {empty}"
    )


def dice(run: dict[str, Any], key: str, *, lesions: bool) -> Scores:
    """Return the Dice of each frame, or of each with a lesion."""
    values = np.array(run[key]["dice"])
    return values[np.array(run[key]["present"], dtype=bool)] if lesions else values


def pooled(frames: dict[str, Any]) -> float:
    """Return the Dice of all pixels together."""
    tp, fp, fn = (sum(frames[name]) for name in ("tp", "fp", "fn"))
    return 2 * tp / max(2 * tp + fp + fn, 1)


def difference_row(row: str, own: dict[int, Any], other: dict[int, Any], key: str) -> str:
    """Return the differences of two rows over the seeds that both have."""
    seeds = sorted(own.keys() & other.keys())
    if not seeds or not own[seeds[0]][key]["names"]:
        return f"| {row} | 0 | - | - |"
    cells = []
    for lesions in (True, False):
        differences = np.stack(
            [dice(own[s], key, lesions=lesions) - dice(other[s], key, lesions=lesions) for s in seeds]
        )
        low, high = interval(100 * differences)
        cells.append(f"{100 * differences.mean():+.1f} ({low:+.1f} to {high:+.1f})")
    return f"| {row} | {len(seeds)} | {cells[0]} | {cells[1]} |"


def interval(differences: Scores) -> tuple[float, float]:
    """Return the 95 % interval of the mean of paired differences (seeds, frames), both drawn anew with replacement."""
    rng = np.random.default_rng(0)
    seeds, frames = differences.shape
    means = np.empty(DRAWS)
    for draw in range(DRAWS):
        chosen = differences[rng.integers(seeds, size=seeds)].mean(axis=0)
        means[draw] = chosen[rng.integers(frames, size=frames)].mean()
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


if __name__ == "__main__":
    main()
