"""Folders of pictures: as stills in batches, and as the frames of a video; the same pixels give the same mask."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from endoseg_cli.errors import InputError, OutputError, UsageError
from endoseg_cli.inference.job import JobResult, run_job
from endoseg_cli.inference.pipeline import SegmentConfig
from endoseg_cli.inference.predict.predictor import Predictor
from endoseg_cli.inference.write.output_paths import OutputConfig
from endoseg_cli.inference.write.overlay import OverlayConfig
from endoseg_cli.pictures.images import read_image, read_mask, write_png
from endoseg_cli.video.reading.sequence import SequenceReader, exact_rate
from tests.conftest import Run
from tests.inference.brightness import BrightnessPredictor, decode, disc_mask, disc_picture, ticks_in_seconds
from tests.inference.test_job import Listener
from tests.video.rendering import Clip

Render = Callable[[Clip], Path]


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    """Twelve pictures whose names sort wrongly as text."""
    folder = tmp_path / "in"
    folder.mkdir()
    for index in range(12):
        write_png(folder / f"f{index}.png", disc_picture(index, (48, 64)))
    return folder


def run(paths: list[Path], config: SegmentConfig, load: Callable[[], Predictor], **outputs: Any) -> JobResult:
    texts = [str(path) for path in paths]
    return run_job(texts, OutputConfig(**outputs), load, OverlayConfig(), config, Listener())


def test_stills_are_predicted_in_batches_and_one_that_fails_stops_nothing(frames: Path, tmp_path: Path) -> None:
    (frames / "f3.png").write_text("not a picture")
    predictor, listener = BrightnessPredictor(batch_size=4), Listener()
    outputs = OutputConfig(masks=tmp_path / "out")
    result = run_job([str(frames)], outputs, lambda: predictor, OverlayConfig(), SegmentConfig(), listener)
    assert sum(predictor.batches) == 11 and len(predictor.batches) == 3
    assert listener.heard == ["started 12 pictures", "failed f3.png", "finished 11 pictures"]
    assert [progress.frames for progress in listener.progress] == list(range(1, 13))
    assert {progress.total for progress in listener.progress} == {12}
    assert [source.path.name for source, _ in result.failures] == ["f3.png"]
    for index in (0, 4, 11):
        assert (read_image(tmp_path / "out" / f"f{index}.png")[..., 0] > 127).any() == (index % 5 != 4)


def test_an_interruption_tells_how_many_pictures_are_done(frames: Path, tmp_path: Path) -> None:
    class Interrupting(Listener):
        def progressed(self, progress: Any) -> None:
            if progress.frames == 5:
                raise KeyboardInterrupt

    listener = Interrupting()
    outputs = OutputConfig(masks=tmp_path / "out")
    with pytest.raises(KeyboardInterrupt):
        run_job([str(frames)], outputs, BrightnessPredictor, OverlayConfig(), SegmentConfig(), listener)
    assert listener.heard[-1] == "stopped after 5 of 12 pictures"
    assert len(list((tmp_path / "out").iterdir())) == 5


def test_a_folder_with_a_rate_is_a_video(frames: Path, tmp_path: Path) -> None:
    config = SegmentConfig(fps=10)
    out = tmp_path / "m.mp4"
    products = {"mask_pictures": tmp_path / "p", "records": tmp_path / "t.csv", "frames": tmp_path / "f"}
    result = run([frames], config, BrightnessPredictor, masks=out, overlay=tmp_path / "o.mkv", **products)
    assert [outcome.frames for outcome in result.outcomes] == [12] and not result.damaged
    assert ticks_in_seconds(out) == pytest.approx([index / 10 for index in range(12)])
    for index, picture in enumerate(decode(out)[0]):
        wrong = (picture[..., 0] > 127) != disc_mask(index)
        assert wrong.mean() < 0.01
    assert sorted(path.name for path in (tmp_path / "p").iterdir()) == sorted(f"f{index}.png" for index in range(12))
    assert (tmp_path / "f" / "f10.png").read_bytes() == (frames / "f10.png").read_bytes()
    rows = list(csv.DictReader((tmp_path / "t.csv").read_text().splitlines()))
    assert [float(row["time"]) for row in rows] == pytest.approx([index / 10 for index in range(12)])
    assert [int(row["regions"]) for row in rows] == [int(index % 5 != 4) for index in range(12)]
    # the tint is where the disc is, in the colours of the picture elsewhere
    shown = decode(tmp_path / "o.mkv")[0][3].astype(int)
    assert abs(shown[~disc_mask(3)].mean() - 40) < 8


def test_a_part_of_a_sequence_and_a_picture_that_cannot_be_read(frames: Path, tmp_path: Path) -> None:
    (frames / "f5.png").write_text("not a picture")
    config = SegmentConfig(fps=10, start=0.3, end=0.8)
    result = run([frames], config, BrightnessPredictor, masks=tmp_path / "m.mp4", mask_pictures=tmp_path / "p")
    assert sorted(path.name for path in (tmp_path / "p").iterdir()) == ["f3.png", "f4.png", "f6.png", "f7.png"]
    assert result.damaged and "f5.png" in result.outcomes[0].damage[0]
    assert ticks_in_seconds(tmp_path / "m.mp4") == pytest.approx([0.3, 0.4, 0.6, 0.7])
    with pytest.raises(UsageError, match="no frame between"):
        run([frames], SegmentConfig(fps=10, start=9), BrightnessPredictor, masks=tmp_path / "n.mp4")
    with pytest.raises(InputError, match=r"f5\.png"):
        SequenceReader(frames, [frames / "f5.png"], 10)


def test_every_folder_of_pictures_is_its_own_sequence(frames: Path, render: Render, tmp_path: Path) -> None:
    (frames / "second").mkdir()
    write_png(frames / "second" / "a.png", disc_picture(0, (48, 64)))
    render(Clip(name="in/clip.mp4", picture=disc_picture, frames=3))
    products = {"masks": tmp_path / "out", "mask_pictures": tmp_path / "p"}
    result = run([frames], SegmentConfig(fps=25), BrightnessPredictor, **products)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["clip.mp4", "in.mp4", "second.mp4"]
    assert [outcome.frames for outcome in result.outcomes] == [3, 12, 1]
    assert (tmp_path / "p" / "f11.png").exists() and (tmp_path / "p" / "second" / "a.png").exists()
    assert (tmp_path / "p" / "clip" / "000002.png").exists()


def test_masks_never_replace_the_pictures(frames: Path, tmp_path: Path) -> None:
    before = (frames / "f0.png").read_bytes()
    config = SegmentConfig(fps=25, overwrite=True)
    with pytest.raises(OutputError, match="would replace the input"):
        run([frames], config, BrightnessPredictor, mask_pictures=frames, overwrite=True)
    write_png(frames / "f0.jpg.png", disc_picture(0, (48, 64)))
    (frames / "f0.jpg").write_bytes(before)
    with pytest.raises(UsageError, match="would both write"):
        run([frames], SegmentConfig(fps=25), BrightnessPredictor, mask_pictures=tmp_path / "p")
    assert (frames / "f0.png").read_bytes() == before


def test_a_rate_is_refused_where_it_would_do_nothing(render: Render, tmp_path: Path) -> None:
    clip = render(Clip(name="a.mp4", frames=2))
    with pytest.raises(UsageError, match="--fps is for folders of pictures"):
        run([clip], SegmentConfig(fps=25), BrightnessPredictor, masks=tmp_path / "m.mp4")
    for wrong in (0, -1, float("nan"), 1e9):
        with pytest.raises(UsageError, match="--fps must be"):
            exact_rate(wrong)
    assert float(exact_rate(29.97)) == pytest.approx(30000 / 1001) and exact_rate(25) == 25


class RampPredictor(BrightnessPredictor):
    """Wants frames half as large, so that they are resized on the way."""

    def __init__(self) -> None:
        super().__init__(size=(48, 64))


def textured(index: int, size: tuple[int, int]) -> Any:
    """Blobs around the threshold, which any other way of shrinking would shift."""
    noise = np.random.default_rng(index).normal(128, 60, (*size, 3))
    return np.clip(noise + 20 * np.sin(np.arange(size[1]) / 5)[None, :, None], 0, 255).astype(np.uint8)


def test_the_same_pixels_give_the_same_mask_in_videos_and_pictures(render: Render, tmp_path: Path) -> None:
    clip = render(Clip(name="v.mkv", codec="ffv1", pixel_format="bgr0", size=(110, 150), frames=6, picture=textured))
    run([clip], SegmentConfig(), RampPredictor, mask_pictures=tmp_path / "p", frames=tmp_path / "f")
    for name, config in (("stills", SegmentConfig()), ("sequence", SegmentConfig(fps=25))):
        run([tmp_path / "f"], config, RampPredictor, mask_pictures=tmp_path / name)
        for index in range(6):
            mask = read_mask(tmp_path / "p" / f"{index:06d}.png")
            assert 0.2 < mask.mean() < 0.8
            assert (mask == read_mask(tmp_path / name / f"v_{index:06d}.png")).all()


def test_folders_are_told_in_place_of_every_picture(
    endoseg: Callable[..., Run], frames: Path, tmp_path: Path, lesion_nowhere: Path
) -> None:
    out = tmp_path / "out"
    stills = endoseg("segment", frames, "--out", out, "--weights", lesion_nowhere)
    assert stills.code == 0 and stills.stdout == f"{out}\n"
    assert "12 pictures in" in stills.stderr and len(stills.stderr.splitlines()) == 1
    joined = endoseg("segment", frames, "--fps", "25", "--out", out, "--weights", lesion_nowhere, "--json")
    assert json.loads(joined.stdout)["results"][0]["outputs"]["masks"] == str(out / "in.mp4")
    refused = endoseg("segment", frames, "--refine", "off", "--start", "1", "--out", out, "--weights", lesion_nowhere)
    assert refused.code == 2 and "--fps" in refused.stderr
