"""Train two EfficientNet-Lite2 networks on a GPU machine that is lent for minutes, without a network or PyAV.

Here: pack frames and encoder weights, at most 42 MB, into a folder that git ignores:

    python examples/train_on_gpu.py pack --polypgen polypgen --labeled kvasir-seg --negatives negatives \\
        --encoder-weights efficientnet_lite2.safetensors --out gpu-data

There: 90 seconds to see whether CUDA does what the CPU does, then training, scoring, and the model in parts:

    python examples/train_on_gpu.py smoke --data gpu-data --out "$OUT"
    python examples/train_on_gpu.py train --data gpu-data --out "$OUT" --minutes 8

Here again: `cat part-* > model.safetensors; endoseg info model.safetensors`.

`polypgen` holds images/, masks/ and index.csv (stem, centre); centre C4 is scored on and trains nothing.
`--device cpu --steps 2` tries every part without a GPU. Needs torch, OpenCV, typer, rich, safetensors, PyYAML.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

SIDE = 320
QUALITY = 60
MOST_BYTES = 40 << 20
PART_BYTES = 15 << 20
ENCODER = "efficientnet_lite2"
WEIGHTS = f"{ENCODER}.safetensors"
DECODER = "128,64,48,32,16"


def pack(arguments: argparse.Namespace) -> None:
    """Write frames cropped to their field of view and squeezed to 320 x 320, negatives as many as fit."""
    out: Path = arguments.out
    if out.exists():
        sys.exit(f"{out} exists already; remove it, or choose another --out")
    shutil.copyfile(arguments.encoder_weights, _folder(out) / WEIGHTS)
    left = MOST_BYTES - (out / WEIGHTS).stat().st_size
    for image, mask, folder in _labelled(arguments):
        left -= pack_frame(image, mask, out / folder)
    negatives = sorted(file for path in arguments.negatives for file in path.rglob("*.jpg"))
    order = np.random.default_rng(0).permutation(len(negatives))
    packed = 0
    for index in order:
        if left < (64 << 10):
            break
        left -= pack_frame(negatives[index], None, out / "negatives" / negatives[index].parent.name)
        packed += 1
    print(f"{out}: {packed} of {len(negatives)} negatives, {(MOST_BYTES - left) / 1e6:.1f} MB")
    if left < 0:
        sys.exit(f"expected at most {MOST_BYTES} bytes without negatives; lower QUALITY")


def smoke(arguments: argparse.Namespace) -> None:
    """Compare the device with the CPU; every check is told, and none stops the others."""
    import torch

    from endoseg_cli.networks.architecture.unet import UNet, UNetConfig

    config = UNetConfig(encoder=ENCODER, decoder_channels=tuple(map(int, DECODER.split(","))))
    torch.manual_seed(0)
    network, image = UNet(config).eval(), torch.rand(2, 3, 128, 128)
    device = torch.device(arguments.device)
    with torch.inference_mode():
        expected = network(image)
        network, image = network.to(device), image.to(device)

        def differs(dtype: torch.dtype) -> str:
            with torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32):
                return f"largest difference {(network(image).float().cpu() - expected).abs().max():.2e}"

        for dtype in (torch.float32, torch.bfloat16, torch.float16):
            if dtype != torch.float16 or device.type == "cuda":
                _told(str(dtype), lambda dtype=dtype: differs(dtype))
    if arguments.compile:
        with torch.inference_mode():
            _told("compile", lambda: str(torch.compile(network)(image).shape))
    for precision, workers in (("fp32", 0), ("bf16", 2)):
        run = arguments.out / f"smoke-{precision}"
        options = ("--precision", precision, "--workers", str(workers), "--recipe", "endo-semis", "--max-steps", "3")
        unlabeled = ("--unlabeled", str(arguments.data / "negatives"), "--warm-up-steps", "1", "--batch-size", "4")
        _told(f"train {precision}", lambda: _train(arguments, run, *options, *unlabeled))  # noqa: B023


def train(arguments: argparse.Namespace) -> None:
    """Train, score C4, and leave the model in parts."""
    limit = ("--max-steps", str(arguments.steps)) if arguments.steps else ("--max-time", f"{arguments.minutes}m")
    run = arguments.out / "run"
    options = ("--recipe", "supervised", "--negatives", str(arguments.data / "negatives"), "--empty-share", "0.33")
    views = ("--views", "wide", "--dice-over", "frame", "--ema", "0.998", "--select", "last", "--settle-frames", "0")
    size = ("--batch-size", str(arguments.batch_size), "--workers", str(arguments.workers), "--learning-rate", "1e-3")
    _train(arguments, run, *options, *views, *size, "--precision", "bf16", *limit)
    scores = _endoseg("evaluate", "--labeled", arguments.data / "val", "--weights", run, "--json", *_device(arguments))
    (arguments.out / "c4.json").write_text(scores)
    content = (run / "model.safetensors").read_bytes()
    for number, start in enumerate(range(0, len(content), PART_BYTES)):
        (arguments.out / f"part-{number:02d}").write_bytes(content[start : start + PART_BYTES])
    shutil.copyfile(run / "metrics.csv", arguments.out / "metrics.csv")
    print(f"model.safetensors: sha256 {hashlib.sha256(content).hexdigest()}, {len(content)} bytes")
    print(json.dumps(json.loads(scores)["summary"], indent=2)[:2000])


def _labelled(arguments: argparse.Namespace) -> Iterator[tuple[Path, Path, str]]:
    root: Path = arguments.polypgen
    with (root / "index.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            folder = "val" if row["centre"] == "C4" else f"train/{row['centre']}"
            yield one(root / "images", row["stem"]), one(root / "masks", row["stem"]), folder
    for labelled in arguments.labeled:
        for image in sorted((labelled / "images").iterdir()):
            yield image, one(labelled / "masks", image.stem), f"train/{labelled.name}"


def one(folder: Path, stem: str) -> Path:
    """Return the file of that name, whatever its ending."""
    return next(folder.glob(f"{stem}.*"))


def pack_frame(image: Path, mask: Path | None, folder: Path, side: int = SIDE, quality: int = QUALITY) -> int:
    """Write a frame cropped to its field of view and squeezed to `side`, and its mask; return their bytes."""
    from endoseg_cli.pictures.field_of_view import find_field_of_view
    from endoseg_cli.pictures.images import read_image, read_mask
    from endoseg_cli.pictures.resize import resize_frame, resize_mask

    picture = read_image(image)
    view = find_field_of_view(picture)
    small = resize_frame(view.crop(picture), (side, side))
    target = _folder(folder if mask is None else folder / "images") / f"{image.stem}.jpg"
    cv2.imwrite(str(target), small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    if mask is None:
        return target.stat().st_size
    truth = _folder(folder / "masks") / f"{image.stem}.png"
    drawn = resize_mask(view.crop(read_mask(mask)), (side, side)).astype(np.uint8) * 255
    cv2.imwrite(str(truth), drawn, [cv2.IMWRITE_PNG_BILEVEL, 1])
    return target.stat().st_size + truth.stat().st_size


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


def _train(arguments: argparse.Namespace, run: Path, *options: str) -> str:
    data = ("--labeled", arguments.data / "train", "--val", arguments.data / "val", "--field-of-view", "off")
    network = ("--encoder", ENCODER, "--encoder-weights", arguments.data / WEIGHTS, "--decoder-channels", DECODER)
    size = ("--size", arguments.size, "--no-corrective", "--out", run)
    return _endoseg("train", *data, *network, *size, *options, *_device(arguments)).strip()


def _device(arguments: argparse.Namespace) -> tuple[str, str]:
    return "--device", arguments.device


def _endoseg(*words: object) -> str:
    command = [sys.executable, "-m", "endoseg_cli", *map(str, words)]
    ran = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if ran.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {ran.returncode}")
    return ran.stdout


def _told(name: str, check: Callable[[], str]) -> None:
    began = time.monotonic()
    try:
        found = check()
    except Exception as error:
        found = f"FAILED: {type(error).__name__}: {error}"
    print(f"{name}: {found} ({time.monotonic() - began:.1f} s)", flush=True)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(required=True)
    packing = parts.add_parser("pack")
    packing.add_argument("--polypgen", type=Path, required=True)
    packing.add_argument("--labeled", type=Path, action="append", default=[])
    packing.add_argument("--negatives", type=Path, action="append", default=[])
    packing.add_argument("--encoder-weights", type=Path, required=True)
    packing.add_argument("--out", type=Path, required=True)
    packing.set_defaults(do=pack)
    for name, do in (("smoke", smoke), ("train", train)):
        part = parts.add_parser(name)
        part.add_argument("--data", type=Path, required=True)
        part.add_argument("--out", type=Path, required=True)
        part.add_argument("--device", default="cuda")
        part.add_argument("--size", type=int, default=SIDE)
        part.set_defaults(do=do)
        if name == "train":
            part.add_argument("--minutes", type=float, default=8)
            part.add_argument("--steps", type=int, help="steps in place of minutes")
            part.add_argument("--batch-size", type=int, default=24)
            part.add_argument("--workers", type=int, default=12)
        else:
            part.add_argument("--no-compile", dest="compile", action="store_false")
    arguments = parser.parse_args()
    arguments.do(arguments)


if __name__ == "__main__":
    main()
