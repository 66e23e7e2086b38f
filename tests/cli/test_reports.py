"""`--report` of `segment` and of `evaluate --video` through the entry point."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from endoseg_cli.pictures.images import write_png
from tests.conftest import Run
from tests.inference.brightness import disc_mask, disc_picture
from tests.video.rendering import Clip, render_clip

Endoseg = Callable[..., Run]


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    folder = tmp_path / "clips"
    folder.mkdir()
    path = render_clip(folder, Clip(name="a.mp4", picture=disc_picture, frames=6))
    (folder / "a_masks").mkdir()
    for index in range(6):
        write_png(folder / "a_masks" / f"{index:06d}.png", disc_mask(index))
    return path


def page_data(page: Path) -> dict[str, dict[str, list[float]]]:
    found = re.search(r'id="data">(.*?)</script>', page.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return dict(json.loads(found[1]))


def test_segment_writes_a_page_and_replaces_none_unasked(endoseg: Endoseg, clip: Path, lesion_everywhere: Path) -> None:
    page = clip.parent / "page.html"
    run = endoseg("segment", clip, "--report", page, "--weights", lesion_everywhere)
    assert run.code == 0 and run.stdout.splitlines() == [str(page)], run.stderr
    assert page_data(page)["frames"]["area"] == [1] * 6
    again = endoseg("segment", clip, "--report", page, "--weights", lesion_everywhere)
    assert again.code == 4 and "exists already" in again.stderr
    assert endoseg("segment", clip, "--report", page, "--weights", lesion_everywhere, "--overwrite").code == 0


def test_several_videos_have_a_page_each(endoseg: Endoseg, clip: Path, lesion_nowhere: Path, tmp_path: Path) -> None:
    (clip.parent / "b.mp4").write_bytes(clip.read_bytes())
    videos, out = (clip, clip.parent / "b.mp4"), tmp_path / "out"
    run = endoseg("segment", *videos, "--report", out, "--weights", lesion_nowhere, "--quiet")
    assert run.code == 0 and sorted(path.name for path in out.rglob("*.*")) == ["a.html", "b.html"], run.stderr
    refused = endoseg("segment", *videos, "--report", tmp_path / "p.html", "--weights", lesion_nowhere)
    assert refused.code == 2 and "--report" in refused.stderr and "several" in refused.stderr


def test_pictures_have_no_page(endoseg: Endoseg, clip: Path) -> None:
    run = endoseg("segment", clip.parent / "a_masks" / "000000.png", "--report", clip.parent / "p.html")
    assert run.code == 2 and "all inputs are pictures" in run.stderr


def test_evaluate_shows_dice_against_the_truth(endoseg: Endoseg, clip: Path, lesion_everywhere: Path) -> None:
    page = clip.parent / "page.html"
    options = ("--video", clip, "--weights", lesion_everywhere, "--device", "cpu", "--report", page)
    run = endoseg("evaluate", *options)
    assert run.code == 0, run.stderr
    dice = page_data(page)["frames"]["dice"]
    assert len(dice) == 6 and dice[4] == 0 and 0 < dice[0] < 0.5
    assert not list(clip.parent.glob("*overlay*"))
    assert endoseg("evaluate", *options).code == 4
    stills = endoseg("evaluate", "--stills", clip.parent, "--report", page, "--weights", lesion_everywhere)
    assert stills.code == 2 and "found --stills" in stills.stderr
