"""Frames, their order, their times and their sizes."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest

from endoseg_cli.errors import UsageError
from endoseg_cli.video.reading.reader import VideoReader, probe, sample_frames
from tests.video.conftest import Render
from tests.video.rendering import Clip, Picture, grey, level

IRREGULAR = [0, 40, 55, 140, 141, 300, 333, 400, 410, 555, 900, 1201]


def corners(index: int, size: tuple[int, int]) -> Picture:
    """White on the top left, grey elsewhere."""
    picture = np.full((*size, 3), 90, np.uint8)
    picture[: size[0] // 2, : size[1] // 2] = 235
    return picture


def combed(index: int, size: tuple[int, int]) -> Picture:
    """A white bar that moves between the two fields, as a camera sees it."""
    picture = np.zeros((*size, 3), np.uint8)
    for field in (0, 1):
        left = 4 * (2 * index + field)
        picture[field::2, left : left + 12] = 255
    return picture


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv"])
def test_frames_come_in_order_with_their_pictures(render: Render, name: str) -> None:
    with VideoReader(render(Clip(name=name, frames=30))) as reader:
        frames = list(reader)
    assert [frame.index for frame in frames] == list(range(30))
    for frame in frames:
        assert frame.rgb.shape == (48, 64, 3) and frame.rgb.flags.owndata and frame.rgb.flags.c_contiguous
        assert abs(float(frame.rgb.mean()) - level(frame.index)) < 4
        assert frame.planes is None
    assert not reader.damage.found and reader.damage.sentences() == []


def test_variable_frame_rate_is_kept(render: Render) -> None:
    path = render(Clip(name="vfr.mp4", pts=IRREGULAR, time_base=Fraction(1, 1000)))
    with VideoReader(path) as reader:
        times = [frame.pts * frame.time_base for frame in reader]
    assert times == [Fraction(pts, 1000) for pts in IRREGULAR]
    assert not reader.damage.found


def test_time_begins_with_the_first_frame_and_timestamps_stay_the_files_own(render: Render) -> None:
    path = render(Clip(name="clip.ts", container="mpegts", pts=range(50, 62)))
    with VideoReader(path) as reader:
        frames = list(reader)
    assert float(frames[0].pts * frames[0].time_base) == pytest.approx(reader.info.first_time)
    assert reader.info.first_time > 1.9
    assert [frame.time for frame in frames] == pytest.approx([index / 25 for index in range(12)])


@pytest.mark.parametrize(("rotation", "white_corner"), [(90, (-1, 0)), (180, (-1, -1)), (270, (0, -1))])
def test_rotated_video_is_read_upright(render: Render, rotation: int, white_corner: tuple[int, int]) -> None:
    path = render(Clip(name="phone.mp4", rotation=rotation, picture=corners))
    with VideoReader(path, rgb_size=None, keep_planes=True) as reader:
        frame = next(iter(reader))
    assert reader.info.rotation == rotation and (reader.info.height, reader.info.width) == (48, 64)
    assert frame.rgb.shape[:2] == reader.info.upright_size == ((64, 48) if rotation % 180 else (48, 64))
    assert frame.rgb[white_corner].min() > 220 and sorted(frame.rgb[[0, 0, -1, -1], [0, -1, 0, -1], 0])[2] < 100
    assert frame.planes is not None and frame.planes.y[0, 0] > 200 and frame.planes.y.shape == (48, 64)


def test_scaled_size_is_that_of_the_upright_picture(render: Render) -> None:
    with VideoReader(render(Clip(name="phone.mp4", rotation=90)), rgb_size=(20, 10)) as reader:
        assert next(iter(reader)).rgb.shape == (20, 10, 3)


def test_interlaced_video_loses_its_comb_but_no_frame(render: Render) -> None:
    path = render(Clip(name="dv.ts", container="mpegts", codec="mpeg2video", picture=combed, interlaced=True, frames=8))
    with VideoReader(path) as reader:
        frames = list(reader)
    assert reader.info.interlaced
    assert [frame.index for frame in frames] == list(range(8))
    assert np.diff([frame.time for frame in frames]) == pytest.approx(0.04)
    middle = frames[4].rgb.astype(int)[:, :, 0]
    rows_differ = np.abs(np.diff(middle, axis=0)).max(axis=1) > 128
    assert rows_differ.mean() < 0.2, "odd and even rows still show two moments"


@pytest.mark.parametrize(("start", "end"), [(0.0, 0.5), (1.1, 1.5), (2.48, 2.6), (3.0, 3.3), (3.31, None), (None, 0.1)])
@pytest.mark.parametrize("name", ["long.mp4", "long.mkv", "long.ts"])
def test_start_and_end_cut_exactly(render: Render, name: str, start: float | None, end: float | None) -> None:
    options = {"x264-params": "keyint=15:open-gop=1:bframes=3:b-adapt=0"}
    container = "mpegts" if name.endswith("ts") else None
    path = render(Clip(name=name, container=container, frames=100, pts=range(10, 110), options=options))
    with VideoReader(path, start=start, end=end) as reader:
        frames = list(reader)
    first = round((start or 0) * 25 + 0.49)
    last = 100 if end is None else round(end * 25 + 0.49)
    assert [frame.index for frame in frames] == list(range(first, last))
    assert [round(frame.time * 25) for frame in frames] == list(range(first, last))
    assert all(abs(float(frame.rgb.mean()) - level(frame.index)) < 5 for frame in frames)
    assert not reader.damage.found


def drifting(index: int, size: tuple[int, int]) -> Picture:
    """A texture that moves, so that frames are coded by what others show."""
    texture = np.random.default_rng(0).integers(0, 255, (*size, 3), np.uint8)
    return np.roll(texture, (index, 2 * index), axis=(0, 1))


@pytest.mark.parametrize(("name", "skips"), [("skimmed.mp4", True), ("skimmed.mkv", True), ("as-it-is.avi", False)])
def test_skimming_leaves_out_what_nothing_depends_on(render: Render, name: str, skips: bool) -> None:
    options = {"x264-params": "keyint=40:bframes=3:b-adapt=0:scenecut=0:b-pyramid=normal"}
    path = render(Clip(name=name, frames=161, picture=drifting, options=options))
    whole = {index: picture for index, _, picture in sample_frames(path, 25)}
    found = {round(time * 25): picture for _, time, picture in sample_frames(path, 25, skim=True)}
    assert 80 <= len(found) < 130 if skips else len(found) == 161  # a few are in the decoder already
    assert set(range(0, 161, 4)) <= set(found)
    assert all(np.array_equal(picture, whole[number]) for number, picture in found.items())
    looks = [time for _, time, _ in sample_frames(path, 2.0, skim=True)]
    assert len(looks) == 13 and all(0 <= time - 0.5 * place < 0.2 for place, time in enumerate(looks))


@pytest.mark.parametrize(
    ("codec", "name", "options"),
    [
        ("libx265", "p.mp4", {"x265-params": "keyint=200:bframes=0:log-level=none"}),
        ("libx265", "b.mkv", {"x265-params": "keyint=40:bframes=4:log-level=none"}),
        ("mpeg2video", "b.mpg", {"bf": "2"}),
        ("mpeg4", "b.mp4", {"bf": "2"}),
        ("libvpx-vp9", "alt.webm", {"deadline": "realtime", "cpu-used": "8"}),
    ],
)
def test_skimming_sees_every_half_second_of_any_codec(
    render: Render, codec: str, name: str, options: dict[str, str]
) -> None:
    if codec not in av.codecs_available:
        pytest.skip(f"this PyAV writes no {codec}")
    path = render(Clip(name=name, codec=codec, frames=101, options=options))
    looks = list(sample_frames(path, 2.0, skim=True))
    assert len(looks) >= 8 and np.diff([time for _, time, _ in looks]).max() < 0.8
    assert all(abs(float(picture.mean()) - level(round(time * 25))) < 8 for _, time, picture in looks)


def test_a_range_without_frames_is_refused(render: Render) -> None:
    path = render(Clip(name="clip.mp4"))
    with VideoReader(path, start=9) as reader, pytest.raises(UsageError, match="no frame between"):
        list(reader)


@pytest.mark.parametrize(("start", "end"), [(-1.0, None), (2.0, 1.0), (float("nan"), None), (None, 0.0)])
def test_an_impossible_range_is_refused_before_the_file_is_opened(start: float | None, end: float | None) -> None:
    with pytest.raises(UsageError, match="expected"):
        VideoReader("missing.mp4", start=start, end=end)


def test_gif_is_a_video(render: Render) -> None:
    path = render(Clip(name="short.gif", codec="gif", pixel_format="rgb8", frames=5))
    with VideoReader(path, keep_planes=True) as reader:
        frames = list(reader)
    assert len(frames) == 5
    assert all(abs(float(frame.rgb.mean()) - level(frame.index)) < 25 for frame in frames)


def test_probe_describes_without_reading_on(render: Render) -> None:
    path = render(Clip(name="clip.mkv", pixel_shape=Fraction(16, 15), audio="aac", frames=25))
    info = probe(path)
    assert (info.width, info.height, info.codec, info.pixel_format, info.bit_depth) == (64, 48, "h264", "yuv420p", 8)
    assert info.sample_aspect_ratio == Fraction(16, 15) and info.average_rate == 25 and info.has_audio
    assert info.estimated_frames == 25 and not info.interlaced


def test_sampling_takes_the_first_frame_of_each_interval(render: Render) -> None:
    path = render(Clip(name="clip.mp4", frames=50))
    samples = list(sample_frames(path, 5, (24, 32)))
    assert [index for index, _, _ in samples] == list(range(0, 50, 5))
    assert [time for _, time, _ in samples] == pytest.approx([0.2 * number for number in range(10)])
    assert all(rgb.shape == (24, 32, 3) for _, _, rgb in samples)
    assert len(list(sample_frames(path, 1000))) == 50


def test_sampling_refuses_a_rate_that_is_not_positive(render: Render) -> None:
    with pytest.raises(UsageError, match="positive"):
        next(sample_frames(render(Clip(name="clip.mp4")), 0))


def test_scaling_averages_over_the_area(render: Render) -> None:
    def stripes(index: int, size: tuple[int, int]) -> Picture:
        picture = grey(index, size)
        picture[:, ::2], picture[:, 1::2] = 40, 200
        return picture

    with VideoReader(render(Clip(name="fine.mp4", picture=stripes, options={"crf": "1"})), rgb_size=(12, 16)) as reader:
        rgb = next(iter(reader)).rgb
    assert np.abs(rgb.astype(int) - 120).max() < 8
