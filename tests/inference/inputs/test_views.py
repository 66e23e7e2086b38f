"""Only the endoscope's picture is looked at: found once per video, pasted back, written into the records."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from endoseg_cli.errors import UsageError
from endoseg_cli.inference.inputs.views import parse_view, redaction_of_video, view_of_picture, view_of_video
from endoseg_cli.inference.pipeline import SegmentConfig, segment_video
from endoseg_cli.inference.predict.predictor import Predictor
from endoseg_cli.inference.stills import segment_picture
from endoseg_cli.networks.files.bundle import Bundle
from endoseg_cli.pictures.field_of_view import FieldOfView, believed_field_of_view
from endoseg_cli.pictures.images import read_image, write_png
from endoseg_cli.pictures.redaction import RedactConfig
from endoseg_cli.video.reading import reader as reader_module
from endoseg_cli.video.reading.field_of_view import LONGEST_LOOK, LOOKS, Beginning
from endoseg_cli.video.reading.reader import VideoReader, sample_frames
from tests.conftest import Run
from tests.inference.brightness import STYLE, BrightnessPredictor, decode, targets_for
from tests.networks.tiny import constant_bundle, save_to
from tests.video.rendering import Clip, Picture

BOX = FieldOfView(x=48, y=16, width=64, height=64)
SIZE = (96, 128)
Pixels = NDArray[np.uint8]


def endoscope(level: int = 140, size: tuple[int, int] = SIZE) -> Pixels:
    """A frame (H, W, 3) with a reddish picture in BOX, a bright spot in its middle, and black around it."""
    frame = np.zeros((*size, 3), np.uint8)
    inside = BOX.crop(frame)
    inside[:] = (level, level // 2, level // 2)
    inside[24:40, 24:40] = min(level * 2, 255)
    return frame


def flickering(index: int, size: tuple[int, int]) -> Picture:
    """Dark at first, once washed out over the whole frame, else well lit."""
    return np.full((*size, 3), 230, np.uint8) if index == 6 else endoscope(4 if index < 3 else 140, size)


def cropping(bundle: Bundle) -> Bundle:
    return replace(bundle, card=replace(bundle.card, field_of_view="auto"))


def near(found: FieldOfView | None, expected: FieldOfView = BOX) -> bool:
    assert found is not None
    pairs = zip(vars(found).values(), vars(expected).values(), strict=True)
    return all(abs(one - other) <= 2 for one, other in pairs)


@pytest.mark.parametrize("text", ["", "on", "1,2,3", "1,2,3,4,5", "-1,0,5,5", "0,0,0,5", "a,b,c,d", "1.5,0,4,4"])
def test_a_view_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"auto, off or X,Y,W,H, found"):
        parse_view(text)


def test_a_view_is_auto_off_or_a_box() -> None:
    assert (parse_view("auto"), parse_view("off"), parse_view("48, 16,64,64")) == ("auto", "off", BOX)


def test_a_minority_of_dark_and_washed_out_frames_moves_nothing() -> None:
    frames = [endoscope(level) for level in (3, 140, 3, 140, 90, 200, 140)]
    frames[1] = np.full_like(frames[1], 240)
    assert near(Beginning((index / 2, frame) for index, frame in enumerate(frames)).view)
    dark = Beginning((index / 2, endoscope(3)) for index in range(9))
    assert dark.view is None and dark.part is None


def test_looking_ends_when_enough_was_seen_or_nothing_comes() -> None:
    seen: list[float] = []

    def looks(level: int) -> Iterator[tuple[float, Picture]]:
        for index in range(1000):
            seen.append(index / 2)
            yield index / 2, endoscope(level)

    assert near(Beginning(looks(140)).view)
    assert len(seen) == LOOKS
    seen.clear()
    assert Beginning(looks(3)).view is None
    assert seen[-1] == LONGEST_LOOK + 0.5


def test_the_box_and_the_outline_come_from_the_same_look_at_the_file(
    render: Callable[[Clip], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = render(Clip(name="a.mkv", size=SIZE, frames=12, time_base=Fraction(1, 4), picture=flickering))
    opened: list[Path] = []

    def counted(path: Path, *rest: float, **named: float | None) -> Iterator[tuple[int, float, Pixels]]:
        opened.append(path)
        return sample_frames(path, *rest, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(reader_module, "sample_frames", counted)
    with VideoReader(path) as reader:
        reader.crop = view_of_video("auto", reader)
        redaction = redaction_of_video(RedactConfig(outside=True), "auto", reader)
    assert near(reader.crop) and redaction is not None and opened == [path]
    part = reader.beginning.part
    assert part is not None and near(believed_field_of_view(np.repeat(part[..., None] * np.uint8(255), 3, axis=2)))
    assert not BOX.crop(redaction.hidden).all() and redaction.hidden[:8].all()


def test_an_outline_is_that_of_frames_of_one_size() -> None:
    frames = [endoscope(), endoscope(size=(200, 128)), endoscope()]
    part = Beginning((0.0, frame) for frame in frames).part
    assert part is not None and part.shape == SIZE


def test_a_box_is_refused_where_it_leaves_the_frame(tmp_path: Path) -> None:
    assert view_of_picture(BOX, endoscope(), tmp_path) == BOX
    with pytest.raises(UsageError, match=r"100,0,29,96 leaves the frame of 128x96: .*a\.png"):
        view_of_picture(FieldOfView(x=100, y=0, width=29, height=96), endoscope(), tmp_path / "a.png")


def test_a_video_has_one_box_and_the_network_sees_what_is_in_it(render: Callable[[Clip], Path], tmp_path: Path) -> None:
    path = render(Clip(name="in.mp4", picture=flickering, size=SIZE, frames=12, time_base=Fraction(1, 2)))
    seen: list[Pixels] = []

    class Seeing(BrightnessPredictor):
        def predict(self, frames):  # type: ignore[no-untyped-def]
            seen.extend(frames)
            return super().predict(frames)

    config = SegmentConfig(field_of_view="auto")
    outcome = segment_video(targets_for(path, masks=tmp_path / "m.mkv"), Seeing(), STYLE, config)
    assert near(outcome.field_of_view) and len(seen) == 12
    assert all(frame.min() > 40 for frame in seen[7:]), "no border"
    masks = np.stack(decode(tmp_path / "m.mkv")[0])[..., 0] > 127
    outside = np.ones(SIZE, np.bool_)
    view = outcome.field_of_view
    assert view is not None
    outside[view.y : view.y + view.height, view.x : view.x + view.width] = False
    assert not masks[:, outside].any(), "not even in the frame that is bright all over"
    assert masks[6, ~outside].all()
    spot = np.zeros(SIZE, np.bool_)
    spot[40:56, 72:88] = True
    assert (masks[8] != spot).sum() < 40, "pasted back where it was"


def test_a_picture_has_its_own_box_and_records_say_it(endoseg: Callable[..., Run], tmp_path: Path) -> None:
    model = save_to(tmp_path, cropping(constant_bundle(8.0)))
    write_png(tmp_path / "a.png", endoscope())
    out, table = tmp_path / "m.png", tmp_path / "r.csv"
    run = endoseg("segment", tmp_path / "a.png", "--weights", model, "--out", out, "--records", table, "--json")
    assert run.code == 0, run.stderr
    found = FieldOfView(**json.loads(run.stdout)["results"][0]["field_of_view"])
    assert near(found)
    row = next(csv.DictReader(table.read_text().splitlines()))
    assert [int(row[f"view_{name}"]) for name in ("left", "top", "width", "height")] == list(vars(found).values())
    assert int(row["foreground_pixels"]) == found.width * found.height
    mask = read_image(out)[..., 0] > 0
    assert found.crop(mask.view(np.uint8)).all() and mask.sum() == found.width * found.height


def test_the_option_goes_before_the_card(endoseg: Callable[..., Run], tmp_path: Path, lesion_everywhere: Path) -> None:
    cropped = save_to(tmp_path, cropping(constant_bundle(8.0)))
    write_png(tmp_path / "a.png", endoscope())

    def pixels(*options: object) -> int:
        table = tmp_path / "r.json"
        run = endoseg("segment", tmp_path / "a.png", "--records", table, "--overwrite", *options)
        assert run.code == 0, run.stderr
        return int(json.loads(table.read_text())[0]["foreground_pixels"])

    assert pixels("--weights", cropped, "--field-of-view", "off") == SIZE[0] * SIZE[1]
    assert pixels("--weights", cropped, "--field-of-view", "3,4,20,10") == 200
    assert pixels("--weights", lesion_everywhere) == SIZE[0] * SIZE[1]
    assert pixels("--weights", lesion_everywhere, "--field-of-view", "auto") < SIZE[0] * SIZE[1] / 2
    run = endoseg("segment", tmp_path / "a.png", "--out", tmp_path / "m.png", "--field-of-view", "3,4,200,10")
    assert run.code == 2 and "leaves the frame of 128x96" in run.stderr and "Traceback" not in run.stderr


def test_pictures_of_any_size_follow_the_card() -> None:
    frame = endoscope()
    found = Predictor(cropping(constant_bundle(8.0)), device="cpu").predict_any_size([frame, frame])[1][0]
    assert found.shape == SIZE and 0.9 < (found > 0.5).sum() / (64 * 64) < 1.1
    assert (Predictor(constant_bundle(8.0), device="cpu").predict_any_size([frame])[0] > 0.5).all()


def test_a_whole_frame_is_predicted_as_without_a_view(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", np.full((*SIZE, 3), 150, np.uint8))
    places = [tmp_path / "one.png", tmp_path / "two.png"]
    for place, choice in zip(places, ("auto", "off"), strict=True):
        config = SegmentConfig(field_of_view=choice)  # type: ignore[arg-type]
        segment_picture(targets_for(tmp_path / "a.png", probabilities=place), BrightnessPredictor(), STYLE, config)
    assert places[0].read_bytes() == places[1].read_bytes()
