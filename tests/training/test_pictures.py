"""curves.png and sample.png."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from endoseg_cli.data.views.frames import FrameStore
from endoseg_cli.networks.architecture.unet import UNet
from endoseg_cli.pictures.images import read_image
from endoseg_cli.training.runs.curves import write_curves
from endoseg_cli.training.runs.sample import PREDICTION_COLOUR, TRUTH_COLOUR, write_sample
from tests.training.small import NETWORK, SIZE, save_frames


def test_a_panel_without_a_number_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    titles: list[str] = []
    save = Figure.savefig

    def note(figure: Figure, *args: Any, **options: Any) -> None:
        titles.extend(axes.get_title() for axes in figure.axes)
        save(figure, *args, **options)

    monkeypatch.setattr(Figure, "savefig", note)
    row = {"step": "1", "supervised_1": "0.5", "val_dice_1": "0.2", "kept_1": "", "foreground_1": "nan"}
    write_curves(tmp_path / "curves.png", [row, {**row, "step": "2"}])
    assert titles == ["loss terms", "Dice on validation frames"] and (tmp_path / "curves.png").stat().st_size > 1000


@pytest.mark.parametrize("networks", [1, 2])
def test_every_column_of_the_sample_has_its_name_above_it(tmp_path: Path, networks: int) -> None:
    images, masks = save_frames(tmp_path, 2)
    frames = FrameStore(images, masks, size=SIZE)
    write_sample(tmp_path / "s.png", [UNet(NETWORK)] * networks, frames, SIZE, lambda image: image.float() / 255)
    picture = read_image(tmp_path / "s.png")
    above = picture.shape[0] - 2 * SIZE[0]
    assert above >= 10 and picture.shape[1] == (2 + networks) * SIZE[1]
    colours = [(255, 255, 255), TRUTH_COLOUR, *[PREDICTION_COLOUR] * networks]
    for column, colour in enumerate(colours):
        text = picture[:above, column * SIZE[1] : (column + 1) * SIZE[1]].reshape(-1, 3)
        lit = text[text.max(axis=1) > 60]
        assert len(lit) > 10 and np.allclose(lit.max(axis=0), colour, atol=100), column
