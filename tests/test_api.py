"""The public face: what README shows works, and importing the package stays light."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import endoseg_cli as endoseg
from endoseg_cli.errors import UsageError
from endoseg_cli.pictures.images import read_mask, write_png
from tests.conftest import Run
from tests.data.drawing import save_pair
from tests.inference.brightness import disc_picture
from tests.networks.tiny import save_to, tiny_bundle
from tests.readme import README
from tests.video.rendering import Clip

Render = Callable[[Clip], Path]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_to(tmp_path_factory.mktemp("model"), tiny_bundle())


def test_a_frame_gets_a_mask_of_its_size(weights: Path) -> None:
    picture = disc_picture(3, (60, 90))
    model = endoseg.load(weights)
    result = model.segment(picture, threshold=0.4)
    assert result.mask.shape == (60, 90) and result.mask.dtype == np.bool_ and result.time is None
    assert result.probability.shape == result.masks.shape == (len(model.classes), 60, 90)
    assert (result.masks == (result.probability > 0.4)).all() and (result.mask == result.masks.any(axis=0)).all()
    assert 0 <= result.uncertainty.min() and result.uncertainty.max() <= np.log(2) + 1e-6


def test_pictures_and_videos_equal_what_segment_writes(
    endoseg: Callable[..., Run], render: Render, weights: Path, tmp_path: Path
) -> None:
    import endoseg_cli

    clip = render(Clip(name="a.mp4", picture=disc_picture, frames=9, size=(60, 90)))
    write_png(tmp_path / "s.png", disc_picture(0, (60, 90)))
    common = ["--weights", weights, "--threshold", "0.45"]
    assert endoseg("segment", clip, "--masks-dir", tmp_path / "m", *common).code == 0
    assert endoseg("segment", tmp_path / "s.png", "--out", tmp_path / "o.png", *common).code == 0
    model = endoseg_cli.load(weights)
    found = list(model.segment_video(clip, threshold=0.45))
    assert [result.frame for result in found] == list(range(9))
    assert [result.time for result in found] == pytest.approx([index / 25 for index in range(9)])
    for result in found:
        assert (result.mask == read_mask(tmp_path / "m" / f"{result.frame:06d}.png")).all()
    still = model.segment(disc_picture(0, (60, 90)), threshold=0.45)
    assert (still.mask == read_mask(tmp_path / "o.png")).all()
    part = list(model.segment_video(clip, start=0.1, end=0.2))
    assert [result.frame for result in part] == [3, 4]


def test_a_video_streams(render: Render, weights: Path) -> None:
    clip = render(Clip(name="a.mp4", picture=disc_picture, frames=200))
    first = next(endoseg.load(weights, batch_size=2).segment_video(clip, refine="off"))
    assert first.frame == 0 and not first.refined


@pytest.mark.parametrize("frame", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)])
def test_other_arrays_are_refused(weights: Path, frame: np.ndarray) -> None:
    with pytest.raises(UsageError, match=r"an array \(H, W, 3\) of uint8"):
        endoseg.load(weights).segment(frame)


def test_a_model_is_trained_and_evaluated(tmp_path: Path) -> None:
    for index in range(4):
        save_pair(tmp_path / "l" / "images" / f"{index}.png", tmp_path / "l" / "masks" / f"{index}.png", index)
    path = endoseg.train(
        tmp_path / "run",
        labeled=[tmp_path / "l"],
        val_fraction=0.3,
        encoder="mobilenet_v2",
        decoder_channels=(8, 8, 8, 8, 8),
        encoder_weights="none",
        size=(32, 32),
        batch_size=2,
        max_steps=2,
        corrective=False,
    )
    evaluation = endoseg.evaluate(endoseg.load(path), tmp_path / "l")
    assert len(evaluation.scores) == 4 and 0 <= evaluation.summary.dice.mean <= 1
    with pytest.raises(UsageError, match="no setting batch_sise"):
        endoseg.train(tmp_path / "other", labeled=[tmp_path / "l"], batch_sise=2)


def test_importing_the_package_imports_no_torch() -> None:
    code = "import sys, endoseg_cli; dir(endoseg_cli); sys.exit('torch' in sys.modules or 'cv2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    with pytest.raises(AttributeError, match="no attribute 'absent'"):
        _ = endoseg.absent


def test_what_the_readme_shows_works(render: Render, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    render(Clip(name="clip.mp4", picture=disc_picture, frames=2))
    save_pair(tmp_path / "frames" / "images" / "a.png", tmp_path / "frames" / "masks" / "a.png", 1)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"frame": disc_picture(0, (60, 90))}
    exec(block, names)
    assert names["result"].mask.shape == (60, 90) and len(names["areas"]) == 2
