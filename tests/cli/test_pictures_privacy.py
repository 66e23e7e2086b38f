"""`--redact` of suggest, evaluate and check, and what they say of where files lie."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from endoseg_cli.data.sets.contact_sheet import GAP, HEADING_HEIGHT, TILE
from endoseg_cli.pictures.images import read_image, write_png
from tests.burnt_in import BOX, SIZE, burnt_in, pictures_in, shows_any, video_in
from tests.conftest import Run
from tests.inference.brightness import decode
from tests.networks.tiny import calibrated_bundle, save_to
from tests.pictures.exif import SECRET, told_jpeg
from tests.video.rendering import Clip, Picture, render_clip

Endoseg = Callable[..., Run]
BOTH = ("--redact", "outside-field-of-view", "--redact", BOX)


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    """Two frames with masks, in a folder that is called after a patient."""
    folder = tmp_path / "Mueller" / "frames"
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    for index in range(2):
        mask = np.zeros(SIZE, np.bool_)
        mask[70:90, 85:100] = True
        write_png(folder / "images" / f"{index}.png", burnt_in(index))
        write_png(folder / "masks" / f"{index}.png", mask)
    return folder


def hides(pictures: list[Picture]) -> bool:
    """Whether there are pictures, and none shows what is burnt in, though all show something."""
    assert pictures and all(picture.max() > 100 for picture in pictures)
    return not any(shows_any(picture) for picture in pictures)


def tiles(sheet: Path, count: int) -> list[Picture]:
    """Cut the first frames out of a contact sheet, at the size that they have there."""
    height, width = TILE
    picture = read_image(sheet)[HEADING_HEIGHT : HEADING_HEIGHT + height]
    return [picture[:, place * (width + GAP) :][:, :width] for place in range(count)]


def test_a_contact_sheet_hides_it(endoseg: Endoseg, frames: Path, tmp_path: Path) -> None:
    options = ("check", "--labeled", frames, "--contact-sheet", tmp_path / "s.png")
    endoseg(*options)
    assert not hides(tiles(tmp_path / "s.png", 2))
    run = endoseg(*options, *BOTH)
    assert run.code == 0, run.stderr
    assert hides(tiles(tmp_path / "s.png", 2))
    refused = endoseg("check", "--labeled", frames, *BOTH)
    assert refused.code == 2 and "--redact belongs to --contact-sheet" in refused.stderr
    outside = endoseg(*options, "--redact", "0,0,161,1")
    assert outside.code == 2 and "leaves the frame of 160x120" in outside.stderr


def test_a_report_of_frames_hides_it(endoseg: Endoseg, frames: Path, tmp_path: Path, lesion_nowhere: Path) -> None:
    page = tmp_path / "r.html"
    options = ("evaluate", "--labeled", frames, "--report", page, "--weights", lesion_nowhere, "--overwrite")
    assert endoseg(*options).code == 0 and not hides(pictures_in(page))
    run = endoseg(*options, *BOTH)
    assert run.code == 0, run.stderr
    assert len(pictures_in(page)) == 2 and hides(pictures_in(page))
    refused = endoseg("evaluate", "--labeled", frames, "--weights", lesion_nowhere, *BOTH)
    assert refused.code == 2 and "--redact belongs to --report" in refused.stderr
    outside = endoseg(*options[:-2], tmp_path / "none.safetensors", "--overwrite", "--redact", "0,0,161,1")
    assert outside.code == 2 and "leaves the frame of 160x120" in outside.stderr


def test_a_report_says_not_where_frames_lie_unless_asked(
    endoseg: Endoseg, frames: Path, tmp_path: Path, random_model: Path
) -> None:
    page, table = tmp_path / "r.html", tmp_path / "t.csv"
    options = ("evaluate", "--labeled", frames, "--weights", random_model, "--overwrite")
    run = endoseg(*options, "--report", page, "--per-frame", table, "--json")
    told = page.read_text() + table.read_text() + run.stdout
    assert "Mueller" not in told and str(random_model.parent) not in told
    provenance = json.loads(run.stdout)["provenance"]
    assert provenance["labeled"] == "frames"
    assert provenance["weights"] == f"{random_model.parent.name}/{random_model.name}"
    whole = json.loads(endoseg(*options, "--json", "-v").stdout)["provenance"]
    assert (whole["labeled"], whole["weights"]) == (str(frames), str(random_model))


@pytest.mark.parametrize("is_video", [True, False])
def test_a_page_of_a_clip_hides_it(
    endoseg: Endoseg, frames: Path, tmp_path: Path, lesion_everywhere: Path, is_video: bool
) -> None:
    page, clip = tmp_path / "p.html", frames
    if is_video:
        clip = render_clip(tmp_path, Clip(name="a.mp4", size=SIZE, frames=3, picture=burnt_in))
    options = ("evaluate", "--video", clip, "--report", page, "--weights", lesion_everywhere, "--overwrite")
    run = endoseg(*options, *BOTH)
    assert run.code == 0, run.stderr
    place = page if page.is_file() else next(page.rglob("*.html"))
    pictures = [*decode(video_in(place, tmp_path))[0], *pictures_in(place)]
    assert len(pictures) == (4 if is_video else 3) and hides(pictures)
    assert endoseg(*options).code == 0
    assert not hides([*decode(video_in(place, tmp_path))[0], *pictures_in(place)])
    outside = endoseg(*options, "--redact", "0,0,161,1")
    assert outside.code == 2 and "leaves the frame of 160x120" in outside.stderr


@pytest.fixture
def unlabeled(tmp_path: Path) -> Path:
    """A clip, and a JPEG that tells whose it is."""
    folder = tmp_path / "Mueller" / "in"
    folder.mkdir(parents=True)
    render_clip(folder, Clip(name="clip.mp4", size=SIZE, frames=30, picture=burnt_in))
    (folder / "deep").mkdir()
    (folder / "deep" / "a.jpg").write_bytes(told_jpeg(burnt_in(8), 1))
    return folder


def suggested(endoseg: Endoseg, unlabeled: Path, out: Path, *options: object) -> list[Picture]:
    """Suggest three frames; return their pictures."""
    weights = save_to(unlabeled.parent, calibrated_bundle())
    chosen = ("--unlabeled", unlabeled, "--weights", weights, "--count", 3, "--frames-per-second", 5, "--out", out)
    run = endoseg("suggest", *chosen, *options)
    assert run.code == 0, run.stderr
    return [read_image(file) for file in sorted((out / "images").rglob("*.*")) if file.is_file()]


def sources(folder: Path) -> set[str]:
    with (folder / "suggestions.csv").open(newline="") as file:
        return {row["source"] for row in csv.DictReader(file)}


def test_suggested_frames_hide_it_and_their_masks_stay(endoseg: Endoseg, unlabeled: Path, tmp_path: Path) -> None:
    plain, blank = tmp_path / "plain", tmp_path / "blank"
    assert not hides(suggested(endoseg, unlabeled, plain))
    assert len(pictures := suggested(endoseg, unlabeled, blank, *BOTH)) == 3 and hides(pictures)
    masks = [sorted((folder / "masks").rglob("*.png")) for folder in (plain, blank)]
    assert [file.read_bytes() for file in masks[0]] == [file.read_bytes() for file in masks[1]]
    weights = unlabeled.parent / "model.safetensors"
    options = ("--unlabeled", unlabeled, "--weights", weights, "--out", tmp_path / "none", "--redact", "0,0,161,1")
    outside = endoseg("suggest", *options)
    assert outside.code == 2 and "leaves the frame of 160x120" in outside.stderr and not (tmp_path / "none").exists()


def test_suggested_pictures_tell_nothing_unless_asked(endoseg: Endoseg, unlabeled: Path, tmp_path: Path) -> None:
    (unlabeled / "clip.mp4").unlink()
    suggested(endoseg, unlabeled, tmp_path / "bare")
    assert not any(SECRET in file.read_bytes() for file in (tmp_path / "bare").rglob("*") if file.is_file())
    suggested(endoseg, unlabeled, tmp_path / "kept", "--keep-metadata")
    (copy,) = (tmp_path / "kept" / "images").rglob("*.jpg")
    assert copy.read_bytes() == (unlabeled / "deep" / "a.jpg").read_bytes()
    assert sources(tmp_path / "bare") == {"deep/a.jpg"} and SECRET.decode() not in str(sources(tmp_path / "bare"))
    suggested(endoseg, unlabeled, tmp_path / "whole", "-v")
    assert sources(tmp_path / "whole") == {str(unlabeled / "deep" / "a.jpg")}
