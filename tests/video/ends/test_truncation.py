"""A file that is cut off is told from a whole one, whatever else it holds and wherever it is cut."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from endoseg_cli.video.ends.promised_size import lacks_bytes
from endoseg_cli.video.ends.transport_end import ends_inside_a_packet
from endoseg_cli.video.reading.reader import VideoReader
from tests.video.conftest import Render
from tests.video.rendering import Clip

LARGE, SMALL = (48, 64), (16, 32)


def noise(index: int, size: tuple[int, int]) -> np.ndarray:
    return np.random.default_rng(index).integers(0, 255, (*size, 3), dtype=np.uint8)


def two_videos(path: Path, frames: int, of_the_other: int, *, begins: int = 0) -> Path:
    """Write a file with a video of LARGE pictures, which `begins` so many frames late, and another one of SMALL."""
    with av.open(str(path), "w") as output:
        streams = []
        for (height, width), count in ((LARGE, frames), (SMALL, of_the_other)):
            stream = output.add_stream("libx264", rate=25)
            assert isinstance(stream, av.VideoStream)
            stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
            streams.append((stream, count))
        for index in range(max(begins + frames, of_the_other)):
            for (stream, count), first in zip(streams, (begins, 0), strict=True):
                if first <= index < first + count:
                    frame = av.VideoFrame.from_ndarray(noise(index, (stream.height, stream.width)), "rgb24")
                    frame.pts, frame.time_base = index, Fraction(1, 25)
                    output.mux(stream.encode(frame))
        for stream, _ in streams:
            output.mux(stream.encode(None))
    return path


def is_cut(path: Path) -> bool:
    with VideoReader(path, threads=1) as reader:
        list(reader)
    return reader.damage.truncated


def drop_frames(path: Path, count: int) -> Path:
    """Cut a file off before the last packets of its first video."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        position = packets[-count].pos
    path.write_bytes(path.read_bytes()[:position])
    return path


@pytest.mark.parametrize("name", ["two.mkv", "two.mp4"])
@pytest.mark.parametrize("frames", [(50, 50), (50, 100), (100, 50)])
def test_another_video_in_the_file_says_nothing_of_the_length(
    tmp_path: Path, name: str, frames: tuple[int, int]
) -> None:
    assert not is_cut(two_videos(tmp_path / name, *frames))


def test_a_video_that_begins_long_after_another_one_is_whole(tmp_path: Path) -> None:
    path = two_videos(tmp_path / "late.mkv", 50, 500, begins=200)
    with av.open(str(path)) as container:
        assert container.streams.video[0].duration == 20_000, "FFmpeg's guess, which is the other one's"
    assert not is_cut(path)


def test_a_longer_sound_says_nothing_of_the_length(render: Render) -> None:
    assert not is_cut(render(Clip(name="a.mkv", frames=25, audio="aac", audio_seconds=3.0)))
    assert not is_cut(render(Clip(name="a.ts", container="mpegts", frames=25, audio="aac", audio_seconds=3.0)))


@pytest.mark.parametrize("others", [20, 50])
def test_three_of_fifty_frames_missing_are_noticed(tmp_path: Path, others: int) -> None:
    assert is_cut(drop_frames(two_videos(tmp_path / "two.mkv", 50, others), 3))


def test_the_last_frame_missing_is_noticed(render: Render) -> None:
    assert is_cut(drop_frames(render(Clip(name="a.mkv", frames=50, picture=noise)), 1))
    sounding = Clip(name="b.mkv", frames=50, picture=noise, audio="aac", audio_seconds=3.0)
    assert is_cut(drop_frames(render(sounding), 1))
    index_first = {"movflags": "+faststart"}
    assert is_cut(drop_frames(render(Clip(name="a.mp4", frames=50, picture=noise, container_options=index_first)), 1))


def test_a_transport_stream_that_ends_inside_a_packet_is_cut(render: Render) -> None:
    path = render(Clip(name="a.ts", container="mpegts", frames=25, audio="aac", audio_seconds=2.0))
    whole = path.read_bytes()
    assert not is_cut(path)
    path.write_bytes(whole[:-50])
    assert is_cut(path)
    sound = [at for at in range(0, len(whole), 188) if whole[at + 1] & 0x1F == 1 and whole[at + 2] == 1]  # stream 0x101
    inside = [at for at in sound if not whole[at + 1] & 0x40]
    path.write_bytes(whole[: inside[-1]])
    assert is_cut(path), "the last block of sound lacks a packet"
    with_clock = b"".join(bytes(4) + whole[at : at + 188] for at in range(0, len(whole), 188))
    path.write_bytes(with_clock)
    assert not ends_inside_a_packet(path)
    path.write_bytes(with_clock[:-10])
    assert ends_inside_a_packet(path)


def test_what_is_no_such_file_lacks_nothing(tmp_path: Path) -> None:
    assert not lacks_bytes(tmp_path) and not ends_inside_a_packet(tmp_path)
    unknown = b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff"
    mp4 = b"\0\0\0\x08free\0\0\0\x01mdat" + (1 << 20).to_bytes(8, "big")
    contents = {
        b"": False,
        b"RIFF": False,
        b"RIFF\x0c\0\0\0AVI " + b"\0" * 8: False,
        b"RIFF\xff\0\0\0AVI ": True,
        unknown: False,
        unknown[:-8] + b"\xa0": True,
        unknown[:6]: False,
        mp4: True,
        mp4[:8] + b"\0\0\0\0mdat": False,
        mp4[:8] + b"\xff\xff\xff\xffjunk": False,
        b"G" + b"\0" * 187: False,
    }
    for content, expected in contents.items():
        path = tmp_path / "a"
        path.write_bytes(content)
        assert lacks_bytes(path) == expected, content
        assert not ends_inside_a_packet(path)
