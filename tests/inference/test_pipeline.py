"""Whole videos and pictures through reading, predicting and writing, with a predictor whose answer is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from endoseg_cli.errors import UsageError
from endoseg_cli.inference.pipeline import Progress, SegmentConfig, segment_video
from endoseg_cli.inference.predict.masks import MaskConfig
from endoseg_cli.inference.predict.predictor import Pixels, Predictor, Probability
from endoseg_cli.inference.stills import segment_picture
from endoseg_cli.pictures.images import read_image, write_png
from endoseg_cli.video.reading.reader import VideoReader
from tests.inference.brightness import (
    SIZE,
    STYLE,
    BrightnessPredictor,
    decode,
    disc_mask,
    disc_picture,
    since_the_first,
    targets_for,
    ticks_in_seconds,
)
from tests.networks.tiny import tiny_bundle
from tests.video.rendering import Clip

Render = Callable[[Clip], Path]
VFR = [0, 3, 4, 9, 10, 11, 30, 31, 33, 40, 45, 60]
CLIPS = [
    Clip(name="plain.mp4", picture=disc_picture),
    Clip(name="variable.mp4", picture=disc_picture, pts=VFR, time_base=Fraction(1, 90)),
    Clip(name="late.mp4", picture=disc_picture, pts=[25 + i for i in VFR], time_base=Fraction(1, 50)),
    Clip(name="stream.ts", container="mpegts", picture=disc_picture),
    Clip(name="matroska.mkv", picture=disc_picture, pts=VFR, time_base=Fraction(1, 90)),
]


def read_png(path: Path) -> NDArray[np.uint8] | NDArray[np.uint16]:
    pixels = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    assert pixels is not None and pixels.dtype in (np.uint8, np.uint16)
    return pixels.astype(np.uint16) if pixels.dtype == np.uint16 else pixels.astype(np.uint8)


@pytest.mark.parametrize("clip", CLIPS, ids=[clip.name for clip in CLIPS])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_the_mask_video_lines_up_with_the_input_and_equals_the_png_masks(
    render: Render, tmp_path: Path, clip: Clip, suffix: str
) -> None:
    path = render(clip)
    out, pictures = tmp_path / f"mask{suffix}", tmp_path / "pictures"
    outcome = segment_video(
        targets_for(path, masks=out, mask_pictures=pictures), BrightnessPredictor(), STYLE, SegmentConfig()
    )
    assert (outcome.frames, outcome.lesion_frames, outcome.damage) == (12, 10, ())
    masks, _ = decode(out)
    files = sorted(pictures.iterdir())
    assert [file.name for file in files] == [f"{index:06d}.png" for index in range(12)] and len(masks) == 12
    for index, (mask, file) in enumerate(zip(masks, files, strict=True)):
        picture = read_png(file)
        assert picture.dtype == np.uint8 and picture.shape == SIZE and set(np.unique(picture)) <= {0, 255}
        assert np.array_equal(mask[..., 0] > 127, picture > 127), index
        disagreement = (picture > 127) != disc_mask(index)
        assert disagreement.sum() <= 12, index  # the codec softens the disc's edge
    tolerance = 0.0011 if ".mkv" in out.name + clip.name else 1e-9  # Matroska counts milliseconds
    assert ticks_in_seconds(out) == pytest.approx(since_the_first(path), abs=tolerance)


def test_the_last_frame_lasts_as_long_as_in_the_input(render: Render, tmp_path: Path) -> None:
    path = render(
        Clip(name="slow.mp4", picture=disc_picture, frames=5, pts=range(0, 100, 20), time_base=Fraction(1, 10))
    )
    with av.open(str(path)) as container:
        last = [packet for packet in container.demux(video=0) if packet.pts is not None][-1]
        assert last.duration and last.time_base
        shown = float(last.duration * last.time_base)
    for name in ("m.mp4", "m.mkv"):
        segment_video(targets_for(path, masks=tmp_path / name), BrightnessPredictor(), STYLE, SegmentConfig())
        with av.open(str(tmp_path / name)) as container:
            assert (container.duration or 0) / 1e6 == pytest.approx(8 + shown, abs=0.01), name


@pytest.mark.parametrize("rotation", [90, 180, 270, 360, 450, 540, 630])
def test_rotated_videos_have_upright_pictures_and_turned_videos(render: Render, tmp_path: Path, rotation: int) -> None:
    path = render(Clip(name="turned.mp4", picture=disc_picture, rotation=rotation, frames=3))
    predictor = BrightnessPredictor(size=SIZE if rotation % 180 == 0 else SIZE[::-1])
    out, pictures = tmp_path / "mask.mp4", tmp_path / "pictures"
    segment_video(targets_for(path, masks=out, mask_pictures=pictures), predictor, STYLE, SegmentConfig())
    upright = np.rot90(disc_mask(0), rotation // 90 % 4)
    upright = upright[:, ::-1] if rotation >= 360 else upright  # as players show what is mirrored too
    picture = read_png(pictures / "000000.png") > 127
    assert picture.shape == upright.shape and (picture != upright).sum() <= 12
    stored, _ = decode(out)
    assert ((stored[0][..., 0] > 127) != disc_mask(0)).sum() <= 12
    with VideoReader(out) as reader:
        assert reader.info.rotation == rotation


def test_odd_sides_are_padded_in_h264_and_said_so(render: Render, tmp_path: Path) -> None:
    clip = Clip(name="odd.mkv", codec="ffv1", pixel_format="yuv444p", size=(33, 45), picture=disc_picture, frames=3)
    path = render(clip)
    for name, size in (("m.mp4", (34, 46)), ("m.mkv", (33, 45))):
        outcome = segment_video(
            targets_for(path, masks=tmp_path / name, overlay=tmp_path / f"overlay-{name}"),
            BrightnessPredictor(size=(33, 45)),
            STYLE,
            SegmentConfig(),
        )
        masks, _ = decode(tmp_path / name)
        assert masks[0].shape[:2] == size and np.array_equal(masks[0][:33, :45, 0] > 127, disc_mask(0, (33, 45)))
        assert any("45x33 frames got a row or column more" in warning for warning in outcome.warnings)


def test_the_overlay_leaves_the_rest_of_the_picture_alone(render: Render, tmp_path: Path) -> None:
    path = render(Clip(name="in.mp4", picture=disc_picture, audio="aac", audio_seconds=0.48))
    out = tmp_path / "overlay.mp4"
    outcome = segment_video(targets_for(path, overlay=out), BrightnessPredictor(), STYLE, SegmentConfig())
    assert outcome.frames == 12 and outcome.warnings == ()
    before, after = decode(path)[0], decode(out)[0]
    for index in range(12):
        near = cv2.dilate(disc_mask(index).view(np.uint8), np.ones((5, 5), np.uint8)) > 0
        moved = np.abs(after[index].astype(int) - before[index]).max(axis=2)
        assert moved[~near].mean() <= 2  # one more generation of H.264
        if index % 5 != 4:
            red, green, blue = after[index][disc_mask(index)].mean(axis=0)
            assert green > red + 30 and green > blue + 30
    assert ticks_in_seconds(out) == ticks_in_seconds(path)
    with VideoReader(out) as reader:
        assert reader.info.has_audio


def test_probabilities_are_the_predictors_output_in_16_bits(render: Render, tmp_path: Path) -> None:
    path = render(Clip(name="in.mp4", picture=disc_picture, frames=3))
    predictor = Predictor(tiny_bundle(), device="cpu", batch_size=2)
    segment_video(targets_for(path, probabilities=tmp_path / "p"), predictor, STYLE, SegmentConfig())
    with VideoReader(path, rgb_size=predictor.input_size) as reader:
        maps = [predictor.predict([frame.rgb])[0, 0] for frame in reader]
    for index, expected in enumerate(maps):
        picture = read_png(tmp_path / "p" / f"{index:06d}.png")
        assert picture.dtype == np.uint16 and picture.shape == SIZE
        resized = cv2.resize(expected, SIZE[::-1], interpolation=cv2.INTER_LINEAR)
        assert np.abs(picture.astype(np.float64) - np.asarray(resized) * 65535).max() <= 1.5


def test_every_nth_frame_is_predicted_and_the_others_keep_the_last_mask(render: Render, tmp_path: Path) -> None:
    path = render(Clip(name="in.mp4", picture=disc_picture, pts=VFR, time_base=Fraction(1, 90)))
    predictor = BrightnessPredictor()
    out, pictures = tmp_path / "mask.mkv", tmp_path / "pictures"
    targets = targets_for(path, masks=out, mask_pictures=pictures)
    outcome = segment_video(targets, predictor, STYLE, SegmentConfig(every=5))
    assert sum(predictor.batches) == 3 and outcome.frames == 12
    assert [file.name for file in sorted(pictures.iterdir())] == ["000000.png", "000005.png", "000010.png"]
    masks, _ = decode(out)
    for index, mask in enumerate(masks):
        assert np.array_equal(mask[..., 0] > 127, read_png(pictures / f"{index // 5 * 5:06d}.png") > 127)
    assert ticks_in_seconds(out) == pytest.approx(ticks_in_seconds(path), abs=0.0011)


def test_start_and_end_cut_the_video_but_not_its_clock(render: Render, tmp_path: Path) -> None:
    path = render(Clip(name="in.mp4", picture=disc_picture, frames=20))
    out, pictures = tmp_path / "mask.mp4", tmp_path / "pictures"
    config = SegmentConfig(start=0.2, end=0.4, every=2)
    seen: list[Progress] = []
    targets = targets_for(path, masks=out, mask_pictures=pictures)
    outcome = segment_video(targets, BrightnessPredictor(), STYLE, config, on_progress=seen.append)
    assert outcome.frames == 5 and ticks_in_seconds(out) == pytest.approx([0.2, 0.24, 0.28, 0.32, 0.36])
    assert [file.name for file in sorted(pictures.iterdir())] == ["000005.png", "000007.png", "000009.png"]
    assert [(step.frames, step.total) for step in seen] == [(i, 5) for i in range(1, 6)]


def test_the_sound_of_the_overlay_is_cut_as_its_pictures_are(render: Render, tmp_path: Path) -> None:
    path = render(Clip(name="in.mp4", picture=disc_picture, frames=50, audio="aac", audio_seconds=2.0))
    config = SegmentConfig(start=0.4, end=0.8)
    segment_video(targets_for(path, overlay=tmp_path / "o.mp4"), BrightnessPredictor(), STYLE, config)
    with av.open(str(tmp_path / "o.mp4")) as container:
        times = [frame.time or 0.0 for frame in container.decode(audio=0)]
    assert times and 0.3 <= times[0] <= 0.5 and 0.6 <= times[-1] <= 0.9


def test_a_start_behind_the_end_leaves_nothing(render: Render, tmp_path: Path) -> None:
    path = render(Clip(name="in.mp4"))
    with pytest.raises(UsageError, match="no frame between the chosen start and end"):
        segment_video(
            targets_for(path, masks=tmp_path / "m.mp4"), BrightnessPredictor(), STYLE, SegmentConfig(start=9.0)
        )
    assert [file.name for file in tmp_path.iterdir()] == ["in.mp4"]


def test_threshold_and_area_decide_what_is_lesion(render: Render, tmp_path: Path) -> None:
    path = render(Clip(name="in.mp4", picture=disc_picture, frames=2))
    area = int(disc_mask(0).sum())
    for number, (mask, lesions) in enumerate(
        [
            (MaskConfig(threshold=0.05), 2),
            (MaskConfig(threshold=0.97), 0),
            (MaskConfig(min_area=area - 20), 2),
            (MaskConfig(min_area=area + 20), 0),
        ]
    ):
        targets = targets_for(path, masks=tmp_path / f"{number}.mp4")
        outcome = segment_video(targets, BrightnessPredictor(), STYLE, SegmentConfig(mask=mask))
        assert outcome.lesion_frames == lesions, mask


def test_what_was_set_right_in_a_healthy_video_is_said(render: Render, tmp_path: Path) -> None:
    path = render(Clip(name="raw.h264", container="h264", picture=disc_picture))
    targets = targets_for(path, masks=tmp_path / "m.mp4")
    outcome = segment_video(targets, BrightnessPredictor(), STYLE, SegmentConfig())
    assert outcome.damage == () and any("12 timestamps missing" in warning for warning in outcome.warnings)


def test_two_classes_get_a_folder_each_and_share_the_video(render: Render, tmp_path: Path) -> None:
    path = render(Clip(name="in.mp4", picture=disc_picture, frames=2))
    style = replace(STYLE, class_names=("bright", "dark"))
    targets = targets_for(path, masks=tmp_path / "m.mkv", mask_pictures=tmp_path / "p", probabilities=tmp_path / "q")
    segment_video(targets, BrightnessPredictor(classes=2), style, SegmentConfig())
    bright, dark = (read_png(tmp_path / "p" / name / "000001.png") > 127 for name in ("bright", "dark"))
    assert bright.any() and dark.any() and not (bright & dark).any()
    assert np.array_equal(decode(tmp_path / "m.mkv")[0][1][..., 0] > 127, bright | dark)
    sums = [read_png(tmp_path / "q" / name / "000001.png").astype(int) for name in ("bright", "dark")]
    assert np.abs(sums[0] + sums[1] - 65535).max() <= 1
    assert sorted(path.name for path in (tmp_path / "p").iterdir()) == ["bright", "dark"]


def test_a_picture_gets_pictures(tmp_path: Path) -> None:
    path = tmp_path / "in.png"
    write_png(path, disc_picture(0, (47, 61)))
    predictor = BrightnessPredictor(size=(47, 61))
    targets = targets_for(
        path,
        masks=tmp_path / "out" / "m.png",
        overlay=tmp_path / "o.png",
        mask_pictures=tmp_path / "p" / "in.png",
        probabilities=tmp_path / "q" / "in.png",
    )
    outcome = segment_picture(targets, predictor, STYLE, SegmentConfig())
    assert (outcome.frames, outcome.lesion_frames) == (1, 1)
    truth = disc_mask(0, (47, 61))
    assert np.array_equal(read_png(tmp_path / "out" / "m.png") > 127, truth)
    assert np.array_equal(read_png(tmp_path / "p" / "in.png"), np.where(truth, 255, 0))
    assert set(np.unique(read_png(tmp_path / "q" / "in.png"))) == {round(40 / 255 * 65535), round(215 / 255 * 65535)}
    marked = read_image(tmp_path / "o.png")
    assert np.array_equal(marked[~truth], read_image(path)[~truth]) and not np.array_equal(marked, read_image(path))


def test_an_outcome_turns_into_plain_values(render: Render, tmp_path: Path) -> None:
    path = render(Clip(name="in.mp4", picture=disc_picture, frames=3))
    facts = segment_video(
        targets_for(path, masks=tmp_path / "m.mp4"), BrightnessPredictor(), STYLE, SegmentConfig()
    ).to_dict()
    assert facts["input"] == str(path) and facts["outputs"] == {"masks": str(tmp_path / "m.mp4")}
    assert facts["frames"] == facts["lesion_frames"] == 3 and facts["damage"] == facts["warnings"] == []
    assert set(facts["stage_frames_per_second"]) == {"read", "predict", "refine", "write"}


def test_frames_are_predicted_in_batches(render: Render, tmp_path: Path) -> None:
    class Counting(BrightnessPredictor):
        def predict(self, frames: Sequence[Pixels]) -> Probability:
            assert all(frame.shape == (*SIZE, 3) and frame.dtype == np.uint8 for frame in frames)
            return super().predict(frames)

    predictor = Counting(batch_size=5)
    path = render(Clip(name="in.mp4", picture=disc_picture))
    segment_video(targets_for(path, masks=tmp_path / "m.mp4"), predictor, STYLE, SegmentConfig())
    assert predictor.batches == [5, 5, 2]


def test_zero_between_predictions_is_refused() -> None:
    with pytest.raises(UsageError, match="--every must be at least 1, found 0"):
        SegmentConfig(every=0)
