"""Compare the methods of `endoseg train` on a GPU machine that is lent for minutes, without a network or PyAV.

Here: pack PolypGen's 1,449 stills and the encoder's weights, 32 MB, into a folder that git ignores:

    python examples/compare_on_gpu.py pack --polypgen polypgen --encoder-weights mobilenet_v2.safetensors \\
        --out gpu-data

There, after `train_on_gpu.py smoke`, which looks whether CUDA does what the CPU does: five rows and three seeds, four
processes side by side; what is not done when the minutes are over is left out:

    python examples/compare_on_gpu.py run --data gpu-data --out "$OUT" --minutes 7

Here again, over all results that came back:

    python examples/compare_methods.py --split gpu-data/split.json --out results-folder --table

`polypgen` holds images/, masks/ and index.csv (stem, centre, part: labelled, unlabelled or val). `--device cpu
--steps 2` tries it without a GPU. Needs torch, OpenCV, typer, rich, safetensors, PyYAML.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from train_on_gpu import one, pack_frame

QUALITY = 90
ROWS = ("supervised", "cps", "endo-semis", "supervised, settled", "endo-semis-paper")
"""In the order of their worth, should the minutes end early."""
SEEDS = (0, 1, 2)
WEIGHTS = "mobilenet_v2.safetensors"
COMPARE = Path(__file__).parent / "compare_methods.py"


def pack(arguments: argparse.Namespace) -> None:
    """Write frames cropped to their field of view and squeezed to the side that is trained at, and the split file."""
    out, root = arguments.out, arguments.polypgen
    if out.exists():
        sys.exit(f"{out} exists already; remove it, or choose another --out")
    out.mkdir(parents=True)
    shutil.copyfile(arguments.encoder_weights, out / WEIGHTS)
    lists: dict[str, list[dict[str, str]]] = {"labelled": [], "unlabelled": [], "val": []}
    with (root / "index.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            stem = row["stem"]
            pack_frame(one(root / "images", stem), one(root / "masks", stem), out, arguments.size, QUALITY)
            lists[row["part"]].append({"image": f"images/{stem}.jpg", "mask": f"masks/{stem}.png"})
    split = {"train": {"labeled": lists["labelled"], "unlabeled": lists["unlabelled"]}, "val": lists["val"]}
    (out / "split.json").write_text(json.dumps(split))
    size = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    print(f"{out}: {', '.join(f'{len(frames)} {name}' for name, frames in lists.items())}, {size / 1e6:.1f} MB")


def run(arguments: argparse.Namespace) -> None:
    """Train and score rows and seeds side by side until the minutes are over; results go to --out as they come."""
    deadline = time.monotonic() + 60 * arguments.minutes
    waiting: queue.SimpleQueue[tuple[int, str]] = queue.SimpleQueue()
    for pair in itertools.product(arguments.seeds, arguments.rows):
        waiting.put(pair)
    (arguments.out / "results").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        workers = [
            threading.Thread(target=_work, args=(arguments, waiting, deadline, Path(folder) / str(number)))
            for number in range(arguments.jobs)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    print(f"{waiting.qsize()} rows were not begun", flush=True)
    table = ("--split", arguments.data / "split.json", "--out", arguments.out, "--table")
    subprocess.run([sys.executable, str(COMPARE), *map(str, table)], check=True)


def _work(
    arguments: argparse.Namespace, waiting: queue.SimpleQueue[tuple[int, str]], deadline: float, folder: Path
) -> None:
    steps = arguments.steps
    length = ("--max-steps", steps, "--warm-up-steps", 3 * steps // 10, "--ramp-steps", steps // 5)
    size = ("--size", arguments.size, "--batch-size", arguments.batch_size, "--validate-every", max(1, steps // 2))
    how = ("--precision", "bf16", "--workers", arguments.workers, "--device", arguments.device)
    data = ("--split", arguments.data / "split.json", "--encoder-weights", arguments.data / WEIGHTS)
    while time.monotonic() < deadline:
        try:
            seed, row = waiting.get_nowait()
        except queue.Empty:
            return
        which = ("--rows", row, "--seeds", seed, "--every", arguments.every, "--out", folder)
        words = [sys.executable, COMPARE, *data, *which, "--more", *length, *size, *how, "--field-of-view", "off"]
        began = time.monotonic()
        told = _run([*map(str, words)], deadline - began)
        print(f"{row}, seed {seed}: {time.monotonic() - began:.0f} s {told}", flush=True)
        for result in (folder / "results").glob("*.json"):
            shutil.copyfile(result, arguments.out / "results" / result.name)


def _run(words: list[str], seconds: float) -> str:
    """Run a command and what it starts for so long; return what went wrong."""
    with subprocess.Popen(
        words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            _, errors = process.communicate(timeout=max(1.0, seconds))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return "stopped: the minutes are over"
    return "" if process.returncode == 0 else f"FAILED: {errors[-1500:]}"


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(required=True)
    packing, running = parts.add_parser("pack"), parts.add_parser("run")
    packing.add_argument("--polypgen", type=Path, required=True)
    packing.add_argument("--encoder-weights", type=Path, required=True)
    packing.set_defaults(do=pack)
    running.add_argument("--data", type=Path, required=True)
    running.add_argument("--minutes", type=float, default=7)
    running.add_argument("--rows", nargs="+", default=list(ROWS))
    running.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    running.add_argument("--every", type=int, default=8, help="one mask of so many is kept")
    running.add_argument("--jobs", type=int, default=4)
    running.add_argument("--steps", type=int, default=1200)
    running.add_argument("--batch-size", type=int, default=16)
    running.add_argument("--workers", type=int, default=3)
    running.add_argument("--device", default="cuda")
    running.set_defaults(do=run)
    for part in (packing, running):
        part.add_argument("--out", type=Path, required=True)
        part.add_argument("--size", type=int, default=256)
    arguments = parser.parse_args()
    arguments.do(arguments)


if __name__ == "__main__":
    main()
