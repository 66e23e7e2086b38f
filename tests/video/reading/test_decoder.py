"""Damaged, cut-off and joined files: as many frames as there are, and an honest count of what is wrong."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from endoseg_cli.errors import InputError
from endoseg_cli.video.reading.reader import VideoReader
from tests.video.conftest import Render
from tests.video.rendering import Clip, Picture


def noise(index: int, size: tuple[int, int]) -> Picture:
    """A picture that needs many bytes, so that damage hits pictures and not headers."""
    return np.random.default_rng(index).integers(0, 255, (*size, 3), np.uint8)


def flip_bytes(path: Path, *, count: int, start: float = 0.2, end: float = 0.8) -> None:
    """Overwrite single bytes in the middle of a file."""
    content = bytearray(path.read_bytes())
    generator = np.random.default_rng(0)
    for position in generator.integers(int(len(content) * start), int(len(content) * end), count):
        content[position] ^= 0xFF
    path.write_bytes(content)


def keep(path: Path, share: float) -> None:
    """Cut a file off after a share of its bytes."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


@pytest.mark.parametrize(
    ("name", "container", "codec"),
    [("bad.ts", "mpegts", "libx264"), ("bad.mkv", None, "mjpeg"), ("bad.avi", None, "mpeg4")],
)
def test_damage_inside_is_counted_and_passed(render: Render, name: str, container: str | None, codec: str) -> None:
    pixel_format = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    clip = Clip(name=name, container=container, codec=codec, pixel_format=pixel_format, frames=40, picture=noise)
    path = render(clip)
    flip_bytes(path, count=40)
    with VideoReader(path, rgb_size=(8, 8)) as reader:
        frames = list(reader)
    assert len(frames) > 20 and frames[-1].time > 1
    assert reader.damage.found and reader.damage.sentences()
    assert reader.damage.concealed_frames == sum(frame.damaged for frame in frames)
    assert all(later.pts > earlier.pts for earlier, later in pairwise(frames))


@pytest.mark.parametrize(("name", "movflags"), [("cut.mp4", "+faststart"), ("cut.mkv", "")])
def test_a_cut_off_video_gives_its_frames_and_says_so(render: Render, name: str, movflags: str) -> None:
    container_options = {"movflags": movflags} if movflags else {}
    path = render(Clip(name=name, frames=50, picture=noise, container_options=container_options))
    with VideoReader(path) as reader:
        assert len(list(reader)) == 50 and not reader.damage.found
    keep(path, 0.6)
    with VideoReader(path) as reader:
        frames = list(reader)
    assert 20 < len(frames) < 40
    assert reader.damage.truncated and "ends earlier" in " ".join(reader.damage.sentences())


def test_a_video_stopped_on_purpose_is_not_cut_off(render: Render) -> None:
    with VideoReader(render(Clip(name="clip.mp4", frames=50)), end=0.5) as reader:
        assert len(list(reader)) == 13
    assert not reader.damage.found


def test_longer_sound_does_not_make_a_video_cut_off(render: Render) -> None:
    for name in ("clip.mp4", "clip.mkv"):
        with VideoReader(render(Clip(name=name, frames=10, audio="aac", audio_seconds=3))) as reader:
            assert len(list(reader)) == 10
        assert not reader.damage.found


def test_frames_of_another_size_are_scaled_to_the_first(render: Render, tmp_path: Path) -> None:
    small = render(Clip(name="small.ts", container="mpegts"))
    large = render(Clip(name="large.ts", container="mpegts", size=(96, 128)))
    joined = tmp_path / "joined.ts"
    joined.write_bytes(small.read_bytes() + large.read_bytes())
    with VideoReader(joined, keep_planes=True) as reader:
        frames = list(reader)
    assert len(frames) >= 22 and reader.damage.resized_frames >= 10
    assert {frame.rgb.shape for frame in frames} == {(48, 64, 3)}
    assert {frame.planes.y.shape for frame in frames if frame.planes} == {(48, 64)}
    assert all(later.pts > earlier.pts for earlier, later in pairwise(frames))


def test_frames_without_timestamps_are_counted_at_the_rate(render: Render) -> None:
    with VideoReader(render(Clip(name="raw.h264", container="h264"))) as reader:
        times = [frame.time for frame in reader]
    assert np.diff(times) == pytest.approx(0.04)
    assert reader.damage.repaired_timestamps == 12 and not reader.damage.found


def test_a_stream_without_one_decodable_frame_is_refused(render: Render) -> None:
    path = render(Clip(name="tail.ts", container="mpegts", frames=60, picture=noise))
    path.write_bytes(path.read_bytes()[-40 * 188 :])  # a transport stream is made of packets of 188 bytes
    with pytest.raises(InputError, match="not one frame"):
        VideoReader(path)


def test_a_frame_cut_in_half_at_the_end_does_not_take_others_along(render: Render) -> None:
    path = render(Clip(name="cut.mp4", frames=50, picture=noise, container_options={"movflags": "+faststart"}))
    keep(path, 0.6)
    one, many = VideoReader(path, threads=1), VideoReader(path, threads=4)
    with one, many:
        assert [frame.pts for frame in one] == [frame.pts for frame in many]
    assert one.damage == many.damage and one.damage.damaged_packets == 1


@pytest.mark.parametrize("codec", ["mpeg4", "libx264", "mjpeg"])
@pytest.mark.parametrize("left", [29, 48])
def test_an_avi_that_is_cut_between_two_packets_is_cut_off(render: Render, codec: str, left: int) -> None:
    pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    path = render(Clip(name="cut.avi", codec=codec, pixel_format=pixels, frames=50, picture=noise))
    with VideoReader(path) as reader:
        assert len(list(reader)) == 50 and not reader.damage.found
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    path.write_bytes(path.read_bytes()[: packets[left].pos])
    with VideoReader(path) as reader:
        assert len(list(reader)) <= left + 1 and reader.damage.truncated


@pytest.mark.parametrize("reordered", ["0", "2", "3"])
@pytest.mark.parametrize("frames", [1, 2, 50])
def test_an_avi_has_even_steps_whatever_the_order_of_its_frames(render: Render, reordered: str, frames: int) -> None:
    options = {"bf": reordered, "b-pyramid": "normal", "b_strategy": "0"}
    path = render(Clip(name="b.avi", frames=frames, picture=noise, options=options))
    with VideoReader(path) as reader:
        assert [frame.pts for frame in reader] == list(range(frames))
        assert reader.damage.sentences() == []
