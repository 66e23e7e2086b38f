"""`endoseg segment --refine` through its entry point."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from endoseg_cli.pictures.images import write_png
from tests.conftest import Run
from tests.inference.brightness import disc_picture
from tests.networks.tiny import constant_bundle, save_to, tiny_bundle, with_corrective
from tests.video.rendering import Clip

Endoseg = Callable[..., Run]


@pytest.fixture
def clip(render: Callable[[Clip], Path]) -> Path:
    return render(Clip(name="in.mp4", picture=disc_picture, frames=6))


@pytest.mark.parametrize(
    ("options", "mode", "refined"),
    [
        (["--refine", "all"], "all", 6),
        (["--refine", "all", "--causal", "--network", "1"], "all", 6),
        (["--refine", "off"], "off", 0),
        (["--causal"], "all", 6),
    ],
)
def test_what_was_refined_is_told(endoseg: Endoseg, clip: Path, options: list[str], mode: str, refined: int) -> None:
    weights, table = save_to(clip.parent, with_corrective(tiny_bundle())), clip.parent / "t.csv"
    run = endoseg("segment", clip, "--records", table, "--weights", weights, "--json", *options)
    assert run.code == 0, run.stderr
    assert (f"{refined} frames refined" in run.stderr) == (refined > 0)
    told = json.loads(run.stdout)["results"][0]["refine"]
    assert (told["mode"], told["refined_frames"]) == (mode, refined)
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert [row["refined"] for row in rows] == ["True" if refined else "False"] * 6


def test_a_model_without_a_corrective_network_refines_nothing_in_silence(endoseg: Endoseg, clip: Path) -> None:
    weights = save_to(clip.parent, constant_bundle(8.0))
    run = endoseg("segment", clip, "--out", clip.parent / "m.mp4", "--weights", weights, "--json")
    assert run.code == 0 and json.loads(run.stdout)["results"][0]["refine"]["mode"] == "off"
    assert "corrective" not in run.stderr
    for option in (["--refine", "all"], ["--refine", "flagged"], ["--causal"]):
        run = endoseg("segment", clip, "--out", clip.parent / "n.mp4", "--weights", weights, *option)
        assert run.code == 2 and f"{' '.join(option)}: the model tiny has no corrective network" in run.stderr
        assert "hint: " in run.stderr and not (clip.parent / "n.mp4.endoseg.part").exists()


def test_settings_that_do_nothing_are_refused(endoseg: Endoseg, clip: Path) -> None:
    write_png(clip.parent / "a.png", disc_picture(0, (30, 41)))
    run = endoseg("segment", clip.parent / "a.png", "--out", clip.parent / "m.png", "--refine", "all", "--causal")
    assert run.code == 2 and "--refine all and --causal would do nothing: all inputs are pictures" in run.stderr
    run = endoseg("segment", clip, "--out", clip.parent / "m.mp4", "--refine", "flagged", "--causal")
    assert run.code == 2 and "needs the next frame" in run.stderr
