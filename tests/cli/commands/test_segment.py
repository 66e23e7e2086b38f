"""`endoseg segment` through its entry point: products, options, exit codes."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from endoseg_cli.errors import OutputError
from endoseg_cli.pictures.images import read_image, write_png
from endoseg_cli.video.writing.writer import MaskWriter
from tests.conftest import Run
from tests.inference.brightness import decode, disc_picture, since_the_first, ticks_in_seconds
from tests.networks.tiny import constant_bundle, save_to, tiny_bundle
from tests.video.rendering import Clip, Picture

Render = Callable[[Clip], Path]
Endoseg = Callable[..., Run]


@pytest.fixture
def clip(render: Render) -> Path:
    """Six frames at irregular times."""
    pts = [5, 6, 9, 10, 20, 21]
    return render(Clip(name="in.mp4", picture=disc_picture, frames=6, pts=pts, time_base=Fraction(1, 30)))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_all_products_of_a_video(endoseg: Endoseg, clip: Path, lesion_everywhere: Path) -> None:
    out = clip.parent / "out"
    products = [out / name for name in ("mask.mp4", "overlay.mp4", "masks", "probabilities", "lesions.csv")]
    flags = ["--out", "--overlay", "--masks-dir", "--probabilities", "--records"]
    options = [text for pair in zip(flags, products, strict=True) for text in pair]
    run = endoseg("segment", clip, *options, "--weights", lesion_everywhere)
    assert run.code == 0 and run.stdout.splitlines() == [str(path) for path in products]
    assert "in.mp4: 6 frames in" in run.stderr and str(clip) not in run.stderr and "lesion in 6 (100 %)" in run.stderr
    assert names(out) == sorted(path.name for path in products)
    for video in products[:2]:
        assert ticks_in_seconds(video) == pytest.approx(since_the_first(clip), abs=1e-9)
    assert all((picture > 127).all() for picture in decode(products[0])[0])
    pictures = [cv2.imread(str(products[3] / f"{i:06d}.png"), cv2.IMREAD_UNCHANGED) for i in range(6)]
    expected = round(65535 / (1 + np.exp(-8)))
    assert all(picture is not None and np.abs(picture.astype(int) - expected).max() <= 2 for picture in pictures)
    rows = list(csv.DictReader(products[4].read_text().splitlines()))
    assert [float(row["time"]) for row in rows] == pytest.approx(since_the_first(clip), abs=1e-6)
    assert [row["frame"] for row in rows] == [str(index) for index in range(6)]
    facts = {"foreground_pixels": str(48 * 64), "foreground_fraction": "1.0", "regions": "1", "flags": ""}
    assert facts.items() <= rows[0].items() and rows[0]["box_width"] == "64" and rows[0]["centroid_x"] == "31.5"


def test_json_is_one_object_on_stdout(endoseg: Endoseg, clip: Path, lesion_nowhere: Path) -> None:
    out, table = clip.parent / "m.mp4", clip.parent / "t.json"
    run = endoseg("segment", clip, "--out", out, "--records", table, "--weights", lesion_nowhere, "--json")
    facts = json.loads(run.stdout)
    assert run.code == 0 and facts["failures"] == [] and facts["records"] == str(table)
    [result] = facts["results"]
    assert result["input"] == str(clip) and result["outputs"] == {"masks": str(out)}
    assert (result["frames"], result["lesion_frames"], result["damage"]) == (6, 0, [])
    [first, *_] = json.loads(table.read_text())
    assert first["foreground_pixels"] == first["regions"] == 0 and first["mean_confidence"] is None


def test_every_counts_the_frames_that_were_looked_at(endoseg: Endoseg, clip: Path, lesion_everywhere: Path) -> None:
    options = ("--every", 3, "--weights", lesion_everywhere, "--out", clip.parent / "m.mp4", "--overwrite")
    [result] = json.loads(endoseg("segment", clip, *options, "--json").stdout)["results"]
    assert (result["frames"], result["predicted_frames"], result["lesion_frames"]) == (6, 2, 2)
    assert "2 of them predicted, lesion in 2 (100 %)" in endoseg("segment", clip, *options).stderr


def test_quiet_says_nothing_and_verbose_more(endoseg: Endoseg, clip: Path, lesion_nowhere: Path) -> None:
    options = ["--weights", lesion_nowhere, "--overwrite", "--out", clip.parent / "m.mp4"]
    quiet, verbose = endoseg("segment", clip, *options, "-q"), endoseg("segment", clip, *options, "-v")
    assert quiet.code == 0 and quiet.stderr == quiet.stdout == ""
    assert "device" in verbose.stderr and "frames/s of each stage alone" in verbose.stderr


@pytest.mark.parametrize(("network", "lesions"), [("both", 0), ("1", 6), ("2", 0)])
def test_one_network_alone_or_the_mean_of_both(endoseg: Endoseg, clip: Path, network: str, lesions: int) -> None:
    weights = save_to(clip.parent, constant_bundle(8.0, -20.0))
    options = ["--weights", weights, "--network", network, "--masks-dir", clip.parent / "m", "--json"]
    assert json.loads(endoseg("segment", clip, *options).stdout)["results"][0]["lesion_frames"] == lesions


@pytest.mark.parametrize(
    ("option", "lesions"),
    [("--threshold=0.9", 6), ("--threshold=0.9999", 0), ("--min-area=3072", 6), ("--min-area=3073", 0)],
)
def test_threshold_and_area(endoseg: Endoseg, clip: Path, lesion_everywhere: Path, option: str, lesions: int) -> None:
    arguments = [clip, option, "--weights", lesion_everywhere, "--masks-dir", clip.parent / "m", "--json"]
    assert json.loads(endoseg("segment", *arguments).stdout)["results"][0]["lesion_frames"] == lesions


def test_a_part_of_the_video_and_every_second_frame(endoseg: Endoseg, clip: Path, lesion_everywhere: Path) -> None:
    out = clip.parent
    which = ["--start", "0.1", "--end", "0.52", "--every", "2"]
    products = ["--out", out / "m.mp4", "--masks-dir", out / "p", "--records", out / "t.csv"]
    assert endoseg("segment", clip, *which, *products, "--weights", lesion_everywhere).code == 0
    assert names(out / "p") == ["000002.png", "000004.png"]
    assert ticks_in_seconds(out / "m.mp4") == pytest.approx(since_the_first(clip)[2:5], abs=1e-9)
    assert len((out / "t.csv").read_text().splitlines()) == 3


def test_a_picture(endoseg: Endoseg, tmp_path: Path, lesion_everywhere: Path) -> None:
    write_png(tmp_path / "a.png", disc_picture(0, (30, 41)))
    options = ["--overlay-color", "#ff0000", "--overlay-strength", "1", "--weights", lesion_everywhere]
    run = endoseg("segment", tmp_path / "a.png", "--out", tmp_path / "m.png", "--overlay", tmp_path / "o.png", *options)
    assert run.code == 0 and run.stdout.splitlines() == [str(tmp_path / "m.png"), str(tmp_path / "o.png")]
    assert (read_image(tmp_path / "m.png") == 255).all() and (read_image(tmp_path / "o.png") == (255, 0, 0)).all()


def test_several_classes(endoseg: Endoseg, clip: Path, two_classes: Path) -> None:
    out = clip.parent
    pictures = ["--masks-dir", out / "p", "--probabilities", out / "q"]
    others = ["--records", out / "t.csv", "--out", out / "m.mp4"]
    assert endoseg("segment", clip, *pictures, *others, "--weights", two_classes).code == 0
    assert names(out / "p") == names(out / "q") == ["instrument", "polyp"]
    assert len(names(out / "p" / "polyp")) == len(names(out / "q" / "instrument")) == 6
    assert (read_image(out / "p" / "polyp" / "000003.png") == 255).all()
    assert (read_image(out / "p" / "instrument" / "000003.png") == 0).all()
    assert (decode(out / "m.mp4")[0][0] > 127).all()
    rows = list(csv.DictReader((out / "t.csv").read_text().splitlines()))
    assert [(row["frame"], row["class_name"], row["regions"]) for row in rows[:4]] == [
        ("0", "polyp", "1"),
        ("0", "instrument", "0"),
        ("1", "polyp", "1"),
        ("1", "instrument", "0"),
    ]


def test_folders_globs_and_files_in_one_job(
    endoseg: Endoseg, render: Render, tmp_path: Path, lesion_nowhere: Path
) -> None:
    for name in ("f/a.mp4", "f/sub/a.mkv", "g1.mp4", "g2.mp4", "h.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        render(Clip(name=name, frames=2))
    inputs = [tmp_path / "f", tmp_path / "g*.mp4", tmp_path / "h.mp4"]
    run = endoseg("segment", *inputs, "--out", tmp_path / "out", "--weights", lesion_nowhere)
    assert run.code == 0
    written = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.mp4"))
    assert written == ["a.mp4", "g1.mp4", "g2.mp4", "h.mp4", "sub/a.mp4"] and len(run.stdout.splitlines()) == 5


def test_some_of_a_batch_failed(endoseg: Endoseg, clip: Path, lesion_nowhere: Path) -> None:
    (clip.parent / "bad.mp4").write_text("no video")
    inputs = [clip.parent / "bad.mp4", clip]
    run = endoseg("segment", *inputs, "--out", clip.parent / "out", "--weights", lesion_nowhere, "--json")
    facts = json.loads(run.stdout)
    assert run.code == 7 and names(clip.parent / "out") == ["in.mp4"]
    assert len(facts["results"]) == 1 and "bad.mp4" in facts["failures"][0]["error"]
    assert "error: not a video" in run.stderr


def noise(index: int, size: tuple[int, int]) -> Picture:
    return np.random.default_rng(index).integers(0, 255, (*size, 3), np.uint8)


def test_damage_in_the_middle_is_told_and_the_rest_is_kept(
    endoseg: Endoseg, render: Render, lesion_nowhere: Path
) -> None:
    path = render(Clip(name="in.ts", container="mpegts", frames=40, picture=noise))
    content = bytearray(path.read_bytes())
    for position in np.random.default_rng(0).integers(len(content) // 5, 4 * len(content) // 5, 40):
        content[position] ^= 0xFF
    path.write_bytes(content)
    out = path.parent
    run = endoseg("segment", path, "--out", out / "m.mp4", "--records", out / "t.csv", "--weights", lesion_nowhere)
    frames = len(decode(out / "m.mp4")[0])
    assert run.code == 7 and frames >= 20 and "warning: in.ts: " in run.stderr
    rows = list(csv.DictReader((out / "t.csv").read_text().splitlines()))
    assert len(rows) == frames and {row["flags"] for row in rows} == {"", "damaged"}


REFUSALS: list[tuple[int, list[str], str]] = [
    (2, ["segment", "in.mp4"], "nothing to write"),
    (2, ["segment", "in.mp4", "--out", "m.webm"], "expected an ending of .mp4"),
    (2, ["segment", "in.mp4", "--out", "m.mp4", "--threshold", "1.5"], "--threshold must lie between 0 and 1"),
    (2, ["segment", "in.mp4", "--out", "m.mp4", "--every", "0"], "--every must be at least 1"),
    (2, ["segment", "in.mp4", "--out", "m.mp4", "--batch-size", "many"], "--batch-size must be auto or a number"),
    (2, ["segment", "in.mp4", "--out", "m.mp4", "--batch-size", "0"], "--batch-size"),
    (
        2,
        ["segment", "in.mp4", "--overlay", "o.mp4", "--overlay-color", "mauve"],
        "--overlay-color mauve is not a colour",
    ),
    (2, ["segment", "in.mp4", "--out", "m.mp4", "--overlay-color", "red"], "--overlay-color belongs to --overlay"),
    (2, ["segment", "in.mp4", "--overlay", "o.mp4", "--overlay-strength", "2"], "--overlay-strength must lie"),
    (2, ["segment", "in.mp4", "--out", "m.mp4", "--overlay-strength", "0.5"], "--overlay-strength belongs"),
    (2, ["segment", "in.mp4", "--out", "m.mp4", "--min-area", "-1"], "--min-area"),
    (2, ["segment", "in.mp4", "--out", "m.mp4", "--device", "gpu"], "--device gpu is not known"),
    (2, ["segment", "in.mp4", "--out", "m.mp4", "--start", "3", "--end", "2"], "--end: expected more than --start"),
    (2, ["segment", "in.mp4", "--out", "m.mp4", "--start", "-1"], "--start: expected seconds, mm:ss or hh:mm:ss"),
    (2, ["segment", "in.mp4", "--out", "m.mp4", "--start", "60"], "no frame between the chosen start and end"),
    (2, ["segment", "in.png", "--out", "m.png", "--start", "1"], "--start would do nothing"),
    (2, ["segment", "in.mp4", "in.png", "--out", "m.mp4"], "is one file, but the inputs are several"),
    (2, ["segment", "in.mp4", "--out", "m.mp4", "--network", "3"], "expected both, 1 or 2, found '3'"),
    (2, ["segment", "in.mp4", "--out", "m.mp4", "--tresh", "0.5"], "has no option --tresh"),
    (2, ["segment", "--out", "m.mp4"], "expected INPUTS, found none"),
    (3, ["segment", "absent.mp4", "--out", "m.mp4"], "no such file or folder: absent.mp4"),
    (3, ["segment", "text.mp4", "--out", "m.mp4"], "not a video"),
    (3, ["segment", "text.png", "--out", "m.png"], "expected a picture file"),
    (3, ["segment", "empty.mp4", "--out", "m.mp4"], "is empty"),
    (4, ["segment", "in.mp4", "--out", "text.png/m.mp4"], "is a file, not a folder"),
    (4, ["segment", "in.mp4", "--masks-dir", "text.png/p"], "cannot make the folder"),
    (4, ["segment", "in.mp4", "--records", "text.png/t.csv"], "cannot write"),
    (4, ["segment", "in.mp4", "--out", "there.mp4"], "exists already"),
    (4, ["segment", "in.mp4", "--overlay", "in.mp4", "--overwrite"], "would replace the input"),
    (
        5,
        ["segment", "in.mp4", "--out", "m.mp4", "--weights", "absent"],
        "no model file or bundled model called 'absent'",
    ),
    (5, ["segment", "in.mp4", "--out", "m.mp4", "--weights", "text.png"], "not a whole .safetensors file"),
    (6, ["segment", "in.mp4", "--out", "m.mp4", "--device", "cuda:63"], "--device cuda:63: torch finds"),
]


@pytest.mark.parametrize(("code", "arguments", "message"), REFUSALS, ids=[" ".join(case[1]) for case in REFUSALS])
def test_refusals(
    endoseg: Endoseg,
    clip: Path,
    lesion_nowhere: Path,
    monkeypatch: pytest.MonkeyPatch,
    code: int,
    arguments: list[str],
    message: str,
) -> None:
    folder = clip.parent
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "200")
    write_png(folder / "in.png", disc_picture(0, (20, 20)))
    for name, text in (("text.mp4", "text"), ("text.png", "text"), ("empty.mp4", ""), ("there.mp4", "old")):
        (folder / name).write_text(text)
    before = {path: path.read_bytes() for path in folder.rglob("*")}
    weights = [] if "--weights" in arguments else ["--weights", lesion_nowhere]
    run = endoseg(*arguments, *weights)
    assert run.code == code and run.stdout == ""
    text = " ".join(run.stderr.split())
    assert message in text and "Traceback" not in text and "\x1b" not in text
    if "Usage:" not in text:  # typer words its own errors
        assert run.stderr.startswith("error: ") and len(run.stderr.splitlines()) <= 2
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.name != "t.csv.endoseg.part"} == before


def test_nothing_takes_the_final_name_when_the_disk_is_full(
    endoseg: Endoseg, clip: Path, lesion_nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = MaskWriter.write

    def write(self: MaskWriter, mask: Any, pts: int, duration: int) -> None:
        if self.frames_written == 3:
            raise OutputError(f"cannot write {self.part}: No space left on device", hint="make room")
        original(self, mask, pts, duration)

    monkeypatch.setattr(MaskWriter, "write", write)
    out = clip.parent
    run = endoseg("segment", clip, "--out", out / "m.mp4", "--records", out / "t.csv", "--weights", lesion_nowhere)
    assert (
        run.code == 4
        and run.stdout == ""
        and "No space left on device" in run.stderr
        and "hint: make room" in run.stderr
    )
    assert "3 frames are kept in" in run.stderr and names(out) == ["in.mp4", "m.mp4.endoseg.part", "t.csv.endoseg.part"]
    assert len(decode(out / "m.mp4.endoseg.part")[0]) == 3


def test_overwrite_replaces_what_is_there(endoseg: Endoseg, clip: Path, lesion_nowhere: Path) -> None:
    out = clip.parent / "m.mp4"
    out.write_text("old")
    assert endoseg("segment", clip, "--out", out, "--weights", lesion_nowhere, "--overwrite").code == 0
    assert len(decode(out)[0]) == 6


def test_overwriting_with_fewer_frames_says_that_older_pictures_remain(
    endoseg: Endoseg, clip: Path, lesion_nowhere: Path
) -> None:
    folders = ("--masks-dir", clip.parent / "m", "--probabilities", clip.parent / "p")
    options = ["--weights", lesion_nowhere, "--overwrite"]
    for _ in range(2):
        run = endoseg("segment", clip, *folders, *options)
        assert run.code == 0 and "from before" not in run.stderr
    run = endoseg("segment", clip, *folders, *options, "--every", 3)
    warnings = " ".join(run.stderr.split())
    assert run.code == 0
    for folder in ("m", "p"):
        assert f"{clip.parent / folder} holds 4 more PNG from before" in warnings


def test_a_name_that_is_not_utf_8(endoseg: Endoseg, clip: Path, lesion_nowhere: Path) -> None:
    renamed = clip.rename(clip.with_name("Sp\udcfclung.mp4"))
    out = clip.parent / "out"
    run = endoseg("segment", renamed, "--masks-dir", out, "--records", out / "t.csv", "--weights", lesion_nowhere)
    assert run.code == 0 and len(list(out.glob("*.png"))) == 6
    assert b"Sp\xfclung.mp4" in (out / "t.csv").read_bytes()


def test_the_model_is_random_but_the_same_each_time(endoseg: Endoseg, clip: Path) -> None:
    weights = save_to(clip.parent, tiny_bundle())
    for name in ("a", "b"):
        assert endoseg("segment", clip, "--probabilities", clip.parent / name, "--weights", weights).code == 0
    pairs = [[(clip.parent / name / f"{i:06d}.png").read_bytes() for name in ("a", "b")] for i in range(6)]
    assert all(one == two for one, two in pairs) and pairs[0][0] != pairs[1][0]
