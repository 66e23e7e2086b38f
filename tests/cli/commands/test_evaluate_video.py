"""`endoseg evaluate --video` through its entry point."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from endoseg_cli.pictures.images import write_png
from tests.conftest import Run
from tests.inference.brightness import disc_mask, disc_picture
from tests.networks.tiny import save_to, tiny_bundle, with_corrective
from tests.video.rendering import Clip

Endoseg = Callable[..., Run]


@pytest.fixture
def clip(render: Callable[[Clip], Path]) -> Path:
    path = render(Clip(name="a.mp4", picture=disc_picture, frames=6))
    (path.parent / "a_masks").mkdir()
    for index in range(6):
        write_png(path.parent / "a_masks" / f"{index:06d}.png", disc_mask(index))
    return path


def test_a_model_with_a_corrective_network_is_scored_in_both_modes_beside_baselines(
    endoseg: Endoseg, clip: Path
) -> None:
    weights, table = save_to(clip.parent, with_corrective(tiny_bundle())), clip.parent / "frames.csv"
    options = ["--weights", weights, "--device", "cpu", "--baselines", "--spoil", "3", "--per-frame", table]
    run = endoseg("evaluate", "--video", clip, *options, "--json")
    assert run.code == 0, run.stderr
    report = json.loads(run.stdout)
    names = [entry["method"] for entry in report["methods"]]
    assert names[:3] == ["as predicted", "refined, flagged", "refined, all"] and len(names) == 9
    assert report["spoil_seed"] == 3 and all(entry["frames"] == 6 for entry in report["methods"])
    assert len(list(csv.DictReader(table.read_text().splitlines()))) == 6 * 9
    one = endoseg("evaluate", "--video", clip, "--weights", weights, "--refine", "all", "--causal")
    assert one.code == 0 and "refined, all" in one.stdout and "flagged" not in one.stdout


def test_a_model_without_one_is_scored_as_it_predicts(endoseg: Endoseg, clip: Path) -> None:
    weights = save_to(clip.parent, tiny_bundle(networks=1))
    run = endoseg("evaluate", "--video", clip.parent, "--weights", weights)
    assert run.code == 0 and "as predicted" in run.stdout and "refined" not in run.stdout
    refused = endoseg("evaluate", "--video", clip, "--weights", weights, "--refine", "all")
    assert refused.code == 2 and "has no corrective network" in refused.stderr


def test_stills_are_scored_as_clips_of_a_moving_camera(endoseg: Endoseg, tmp_path: Path) -> None:
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    for index in range(2):
        write_png(tmp_path / "images" / f"{index}.png", disc_picture(index, (48, 64)))
        write_png(tmp_path / "masks" / f"{index}.png", disc_mask(index, (48, 64)))
    weights = save_to(tmp_path, tiny_bundle())
    run = endoseg(
        "evaluate", "--stills", tmp_path, "--still-clips", "1", "--weights", weights, "--device", "cpu", "--json"
    )
    assert run.code == 0, run.stderr
    report = json.loads(run.stdout)
    assert len(report["clips"]) == 1
    assert report["methods"][0]["frames"] == 25 and report["methods"][0]["truth_steadiness"] > 0.5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--refine", "all", "--baselines"], "--refine and --baselines belongs to --video or --stills, found neither"),
        (["--video", "x.mp4", "--labeled", "y"], "--labeled cannot go with --video"),
        (["--video", "x.mp4", "--still-clips", "3"], "--still-clips belongs to --stills, found none"),
        (["--video", "x.mp4", "--spoil", "-1"], "--spoil must be 0 or more, found -1"),
    ],
)
def test_options_that_do_not_fit_together_are_refused(endoseg: Endoseg, options: list[str], message: str) -> None:
    run = endoseg("evaluate", *options)
    assert run.code == 2 and message in run.stderr
