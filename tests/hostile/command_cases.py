"""Videos, pictures, models, settings and options, and what `segment`, `info`, `train` and others promise of each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from tests.hostile.cases import Case, Make, frame, holed_jpeg, mask, pairs, picture, png_header, text, together
from tests.networks.tiny import save_to, tiny_bundle
from tests.video.rendering import Clip, render_clip

SEGMENT = "segment {}/NAME --out {}/out/m.mp4 --weights {model} --device cpu"
PICTURE = "segment {}/NAME --out {}/out/m.png --weights {model} --device cpu"
INFO = "info {}/m.safetensors"
TRAIN = "train --labeled {} --val-fraction 0.5 --encoder-weights none --out {}/run --config {}/c.yaml"


def noise(index: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    """A picture that no encoder makes small."""
    return np.random.default_rng(index).integers(0, 255, (*size, 3), dtype=np.uint8)


def clip(name: str = "a.mp4", keep: float = 1.0, **settings: Any) -> Make:
    """Return what renders a clip and keeps this share of its bytes."""

    def make(folder: Path) -> None:
        chosen: dict[str, Any] = {"frames": 4, "size": (32, 48), **settings}
        path = render_clip(folder, Clip(name=name, **chosen))
        if keep < 1:
            # an odd number: not between two packets of a transport stream, where the end of some cannot be told
            path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size) | 1])

    return make


def _video(name: str, make: Make, code: int, says: str = "", file: str = "a.mp4", more: str = "") -> Case:
    leaves = "out/m.mp4" if code in (0, 7) else ""
    command = f"{SEGMENT.replace('NAME', file)} {more}"
    return Case(name=f"video: {name}", make=make, command=command, code=code, says=says, leaves=leaves)


VIDEOS = (
    _video("healthy", clip(), 0),
    _video("one frame", clip(frames=1), 0),
    _video("16 pixels", clip(size=(16, 16)), 0),
    _video("odd sides", clip("a.mkv", size=(33, 47), pixel_format="yuv444p"), 0, file="a.mkv"),
    _video("a long strip", clip(size=(16, 640)), 0),
    _video("ten bits", clip(pixel_format="yuv420p10le"), 0),
    _video("turned", clip(rotation=90), 0),
    _video("no bytes", text("a.mp4", ""), 3, r"a\.mp4"),
    _video("text", text("a.mp4", "not a video"), 3, r"a\.mp4"),
    _video("zeros", text("a.mp4", b"\0" * 4096), 3, r"a\.mp4"),
    _video("a picture called mp4", text("a.mp4", png_header(32, 24)), 3, r"a\.mp4"),
    _video("cut before its index", clip(keep=0.7), 3, r"a\.mp4"),
    _video("cut in a stream", clip("a.ts", keep=0.8, frames=60, options={"g": "10"}, picture=noise), 7, file="a.ts"),
    _video("cut in matroska", clip("a.mkv", keep=0.8, frames=60, options={"g": "10"}, picture=noise), 7, file="a.mkv"),
    _video("times uneven", clip("a.mkv", pts=[0, 1, 7, 8]), 0, file="a.mkv"),
    _video("times far apart", clip("a.mkv", pts=[0, 1, 90_000, 90_001]), 0, file="a.mkv"),
    _video("B-frames in avi", clip("a.avi", frames=12, options={"bf": "2", "b_strategy": "0"}), 0, file="a.avi"),
    _video("cut in avi", clip("a.avi", keep=0.8, frames=60, options={"g": "10"}, picture=noise), 7, file="a.avi"),
    _video("cut in a packet", clip("a.ts", keep=0.999, audio="aac", picture=noise), 7, "cut off", file="a.ts"),
    _video("2000 a second", clip("a.mkv", time_base=Fraction(1, 2000)), 0, "too coarse", file="a.mkv"),
    _video(
        "2000 a second to mkv",
        clip("a.mkv", time_base=Fraction(1, 2000)),
        2,
        "milliseconds",
        file="a.mkv",
        more="--overlay {}/o.mkv",
    ),
    _video("not there", lambda _: None, 3, r"a\.mp4"),
    _video("a folder called mp4", lambda folder: (folder / "a.mp4").mkdir(), 3),
    _video("start behind the end", clip(), 2, "start|--end", more="--start 9 --end 1"),
    _video("start after the video", clip(), 2, "start", more="--start 99"),
    _video("an end of many digits", clip(), 2, "--end: expected seconds", more=f"--end {'9' * 400}:00"),
    _video("an end of a part of a second", clip(), 0, more="--end .1"),
    _video("start of nan", clip(), 2, "start", more="--start nan"),
    _video("threshold of 0", clip(), 2, "threshold", more="--threshold 0"),
    _video("threshold of nan", clip(), 2, "threshold", more="--threshold nan"),
    _video("threshold of words", clip(), 2, "threshold", more="--threshold high"),
    _video("negative area", clip(), 2, "min-area", more="--min-area -1"),
    _video("every 0", clip(), 2, "every", more="--every 0"),
    _video("batch without measure", clip(), 2, "batch-size", more="--batch-size 999999999999"),
    _video("a view outside", clip(), 2, "field-of-view|field of view", more="--field-of-view 100,100,10,10"),
    _video("a view of nothing", clip(), 2, "field-of-view", more="--field-of-view 1,1,0,0"),
    _video("no such device", clip(), 2, "device", more="--device tpu"),
    _video("causal without a network", clip(), 2, "causal|refine|corrective", more="--causal"),
    _video("a share of none", clip(), 2, "shard", more="--shard 4/3"),
    _video("no processes", clip(), 2, "jobs", more="--jobs 0"),
    _video("records of a strange kind", clip(), 2, "records|csv", more="--records {}/t.xls"),
    Case(
        name="output over the input",
        make=clip(),
        command="segment {}/a.mp4 --out {}/a.mp4 --weights {model} --overwrite",
        code=4,
        leaves="a.mp4",
    ),
    Case(
        name="output of a strange kind",
        make=clip(),
        command="segment {}/a.mp4 --out {}/m.xyz --weights {model}",
        code=2,
    ),
    Case(
        name="output that exists",
        make=together(clip(), text("m.mp4", "mine")),
        command="segment {}/a.mp4 --out {}/m.mp4 --weights {model}",
        code=4,
        says="overwrite",
        leaves="m.mp4",
    ),
    Case(
        name="output below a file",
        make=together(clip(), text("f", "mine")),
        command="segment {}/a.mp4 --out {}/f/m.mp4 --weights {model}",
        code=4,
        says="is a file",
    ),
    Case(name="nothing to write", make=clip(), command="segment {}/a.mp4 --weights {model}", code=2),
    Case(
        name="one bad of three",
        make=together(picture("i/a.png"), picture("i/b.png", seed=1), text("i/c.png", "x")),
        command="segment {}/i --masks-dir {}/m --weights {model} --device cpu",
        code=7,
        says=r"c\.png",
        leaves="m/a.png m/b.png",
    ),
    Case(
        name="one JPEG with a hole of two",
        make=together(picture("i/a.png"), holed_jpeg("i/b.jpg")),
        command="segment {}/i --masks-dir {}/m --weights {model} --device cpu",
        code=7,
        says=r"damaged one; .*b\.jpg",
        leaves="m/a.png",
    ),
    Case(
        name="one JPEG with a hole in a sequence",
        make=together(picture("i/a.png"), holed_jpeg("i/b.jpg"), picture("i/c.png")),
        command="segment {}/i --fps 5 --out {}/m.mp4 --weights {model} --device cpu",
        code=7,
        says=r"left out: .*b\.jpg",
        leaves="m.mp4",
    ),
)


def _picture(name: str, make: Make, code: int, says: str = "", file: str = "a.png") -> Case:
    leaves = "out/m.png" if code == 0 else ""
    return Case(
        name=f"picture: {name}", make=make, command=PICTURE.replace("NAME", file), code=code, says=says, leaves=leaves
    )


PICTURES = (
    _picture("healthy", picture("a.png"), 0),
    _picture("grey", picture("a.png", mask()), 0),
    _picture("with alpha", picture("a.png", np.dstack([frame(), mask()])), 0),
    _picture("16 bits", picture("a.png", frame().astype(np.uint16) * 257), 0),
    _picture("one pixel", picture("a.png", frame(size=(1, 1))), 0),
    _picture("one row", picture("a.png", frame(size=(1, 300))), 0),
    _picture("upper case ending", picture("A.PNG"), 0, file="A.PNG"),
    _picture("bmp", picture("a.bmp"), 0, file="a.bmp"),
    _picture("webp", picture("a.webp"), 0, file="a.webp"),
    _picture("no bytes", text("a.png", ""), 3, r"a\.png"),
    _picture("text", text("a.png", "x"), 3, r"a\.png"),
    _picture("a header alone", text("a.png", png_header(32, 24)), 3, r"a\.png"),
    _picture("a header without measure", text("a.png", png_header(1 << 31, 1 << 31)), 3, r"a\.png"),
    _picture("a JPEG with a hole", holed_jpeg("a.jpg"), 3, r"damaged one; .*a\.jpg", file="a.jpg"),
    _picture("no sides", text("a.png", png_header(0, 0)), 3, r"a\.png"),
    _picture("not there", lambda _: None, 3, r"a\.png"),
)


def _large(folder: Path) -> None:
    path = save_to(folder, tiny_bundle(networks=1), "m.safetensors")
    length = int.from_bytes(path.read_bytes()[:8], "little")
    head = path.read_bytes()[8 : 8 + length].decode().rstrip().replace("[64, 64]", "[999999, 999999]")
    assert "999999" in head
    path.write_bytes(len(head).to_bytes(8, "little") + head.encode() + path.read_bytes()[8 + length :])


def _model(keep: float = 1.0, metadata: object = None) -> Make:
    def make(folder: Path) -> None:
        path = save_to(folder, tiny_bundle(networks=1), "m.safetensors")
        content = path.read_bytes()
        path.write_bytes(content[: int(keep * len(content))])

    if metadata is None:
        return make
    if metadata == "large":
        return _large
    card = metadata if isinstance(metadata, str) else json.dumps(metadata)
    body = save({"x": np.zeros(2, np.float32)}, {"endoseg": card, "card": card})
    return text("m.safetensors", body)


WEIGHTS = tuple(
    Case(name=f"weights: {name}", make=make, command=command, code=code, says=r"m\.safetensors|m\.pth" if code else "")
    for name, make, command, code in (
        ("healthy", _model(), INFO, 0),
        ("no bytes", text("m.safetensors", ""), INFO, 5),
        ("text", text("m.safetensors", "x" * 100), INFO, 5),
        ("cut off", _model(0.5), INFO, 5),
        ("a header without measure", text("m.safetensors", b"\xff" * 64), INFO, 5),
        ("a header that is no JSON", text("m.safetensors", (9).to_bytes(8, "little") + b"{" * 9), INFO, 5),
        ("of another tool", text("m.safetensors", save({"x": np.zeros(2, np.float32)})), INFO, 5),
        ("a card that is a list", _model(metadata=[]), INFO, 5),
        ("a card that is no JSON", _model(metadata="{"), INFO, 5),
        ("a card of nulls", _model(metadata={"architecture": None, "networks": None}), INFO, 5),
        ("a card that asks for all memory", _model(metadata="large"), INFO, 5),
        ("a folder", lambda folder: (folder / "m.safetensors").mkdir(), INFO, 5),
        ("not there", lambda _: None, INFO, 5),
        (
            "a pickle",
            text("m.pth", b"\x80\x04cos\nsystem\n."),
            "import-weights {}/m.pth --size 64 --out {}/model.safetensors",
            5,
        ),
    )
)

CONFIGS = tuple(
    Case(
        name=f"config: {name}",
        make=together(pairs(), text("c.yaml", content)),
        command=TRAIN,
        code=code,
        says=says,
    )
    for name, content, code, says in (
        ("not YAML", "training: [", 2, r"c\.yaml"),
        ("a list", "- 1\n- 2\n", 2, r"c\.yaml"),
        ("zero bytes", b"\0\0\0", 2, r"c\.yaml"),
        ("not UTF-8", b"training: {seed: \xff\xfe}", 2, r"c\.yaml"),
        ("an unknown section", "trainig: {seed: 1}", 2, "training"),
        ("an unknown key", "training: {sed: 1}", 2, "seed"),
        ("a word for a number", "training: {seed: one}", 2, "seed"),
        ("a list for a number", "training: {seed: [1]}", 2, "seed"),
        ("nan", "training: {learning_rate: .nan}", 2, "learning.rate"),
        ("infinity", "training: {learning_rate: .inf}", 2, "learning.rate"),
        ("a negative size", "training: {size: [-1, 32]}", 2, "size"),
        ("a size without measure", "training: {size: [1000000, 1000000]}", 2, "size"),
        ("an object of Python", "training: !!python/object/apply:os.system [ls]", 2, r"c\.yaml"),
        ("a date", "training: {seed: 2020-01-01}", 2, "seed"),
        ("yes for a number", "training: {batch_size: yes}", 2, "batch.size"),
        ("a key twice over", "? [a, b]\n: 1\n", 2, r"c\.yaml"),
    )
)


def _words(*cases: tuple[str, str, int, str]) -> Sequence[Case]:
    return [
        Case(name=f"words: {name}", make=pairs(), command=command, code=code, says=says)
        for name, command, code, says in cases
    ]


WORDS = _words(
    ("no such command", "segmant {}", 2, "segment"),
    ("no such option", "segment {} --outt x", 2, "out"),
    ("weights by a strange name", "download-weights nothing-of-the-kind", 5, "nothing-of-the-kind"),
    ("a repository outside", "download-weights --repo ../.. --file passwd", 5, ""),
    ("an address that is none", "download-weights resnet18-imagenet --endpoint nonsense --dest {}/d", 5, "resnet18"),
    ("from an empty folder", "download-weights resnet18-imagenet --from-dir {}/images", 5, ""),
    ("train on nothing", "train --out {}/run", 2, "labeled|split"),
    ("resume what is no run", "train --resume {}", 2, "config|run"),
    ("evaluate without a model", "evaluate --labeled {} --weights {}/none", 5, "none"),
    ("export to a strange name", "export --format onnx --out {}/none/of/these/x.onnx --weights {}/none", 5, ""),
    ("phantom of no frames", "phantom {}/new --stills -1", 2, "stills"),
)

COMMAND_CASES = (*VIDEOS, *PICTURES, *WEIGHTS, *CONFIGS, *WORDS)
