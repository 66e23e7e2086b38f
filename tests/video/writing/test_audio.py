"""The sound of the input in the overlay: the same packets at the same times."""

from __future__ import annotations

import struct
from pathlib import Path

import av
import numpy as np
import pytest

from endoseg_cli.video.reading.reader import VideoReader
from endoseg_cli.video.writing.tags import without_comments
from endoseg_cli.video.writing.writer import OverlayWriter
from tests.video.conftest import Render
from tests.video.rendering import Clip, grey


def packets(path: Path) -> list[tuple[float, int]]:
    """Time and size of every audio packet."""
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return []
        found = [packet for packet in container.demux(container.streams.audio[0]) if packet.pts is not None]
        return [(float((packet.pts or 0) * packet.time_base), packet.size) for packet in found]


def overlay(
    source: Path, target: Path, *, start: float | None = None, end: float | None = None, origin: bool = False
) -> OverlayWriter:
    with VideoReader(source, start=start, end=end, keep_planes=True) as reader:
        frames = list(reader)
        origin_pts = frames[0].pts if origin else 0
        with OverlayWriter(target, reader.info, audio_span=reader.span, origin_pts=origin_pts) as writer:
            for frame in frames:
                assert frame.planes is not None
                writer.write(frame.planes, frame.pts)
    return writer


@pytest.mark.parametrize("ending", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize(
    ("name", "container", "codec"),
    [
        ("in.mp4", None, "aac"),
        ("in.ts", "mpegts", "aac"),
        ("in.avi", None, "libmp3lame"),
        ("in.mkv", None, "ac3"),
    ],
)
def test_packets_and_times_are_the_inputs(
    render: Render, tmp_path: Path, name: str, container: str | None, codec: str, ending: str
) -> None:
    source = render(Clip(name=name, container=container, frames=20, audio=codec, audio_seconds=0.8))
    writer = overlay(source, tmp_path / f"overlay{ending}")
    before, after = packets(source), packets(writer.path)
    if ending == ".mkv":  # has no time below 0, where AAC's priming lies
        before = [packet for packet in before if packet[0] >= 0]
    headers = 7 if container == "mpegts" else 0  # a transport stream repeats them in each AAC packet
    assert len(after) == len(before) > 8
    assert [time for time, _ in after] == pytest.approx([time for time, _ in before], abs=0.001)
    assert [size for _, size in after] == [size - headers for _, size in before]
    assert writer.warnings == []


def test_sound_is_cut_with_the_picture(render: Render, tmp_path: Path) -> None:
    source = render(Clip(name="in.mp4", frames=50, audio="aac", audio_seconds=2))
    times = [time for time, _ in packets(overlay(source, tmp_path / "overlay.mp4", start=0.5, end=1).path)]
    assert times[0] == pytest.approx(0.5, abs=0.03) and times[-1] == pytest.approx(0.98, abs=0.03)
    moved = [time for time, _ in packets(overlay(source, tmp_path / "moved.mp4", start=0.5, end=1, origin=True).path)]
    assert moved == pytest.approx([time - 0.52 for time in times], abs=0.001)


def test_sound_that_does_not_fit_is_left_out_with_one_warning(render: Render, tmp_path: Path) -> None:
    source = render(Clip(name="in.avi", codec="mpeg4", audio="adpcm_ms"))
    writer = overlay(source, tmp_path / "overlay.mp4")
    assert len(writer.warnings) == 1 and "adpcm_ms" in writer.warnings[0]
    with VideoReader(writer.path) as reader:
        assert len(list(reader)) == 12 and not reader.info.has_audio


def test_sound_that_only_the_header_refuses(render: Render, tmp_path: Path) -> None:
    source = render(Clip(name="in.mkv", audio="libopus"))
    assert overlay(source, tmp_path / "overlay.mp4").warnings == []
    assert "opus" in overlay(source, tmp_path / "overlay.mov").warnings[0]


def test_without_sound_there_is_no_warning(render: Render, tmp_path: Path) -> None:
    writer = overlay(render(Clip(name="in.mp4")), tmp_path / "overlay.mp4")
    assert writer.warnings == [] and packets(writer.path) == []


def test_sound_goes_on_where_recordings_were_joined(render: Render, tmp_path: Path) -> None:
    source = render(Clip(name="in.ts", container="mpegts", frames=20, audio="aac", audio_seconds=0.8))
    joined = tmp_path / "joined.ts"
    joined.write_bytes(source.read_bytes() * 2)
    writer = overlay(joined, tmp_path / "overlay.mp4", origin=True)
    before, after = packets(source), packets(writer.path)
    assert len(after) >= 2 * len(before) - 2 and [time for time, _ in after] == sorted(time for time, _ in after)
    assert after[-1][0] > 1.5 and "the clock of the sound starts again" in writer.warnings[0]


def with_vorbis(target: Path, comment: bytes) -> None:
    """Write a video with a second of Vorbis sound whose headers hold a comment, as some tools leave it there."""
    sound = target.with_name("sound.mkv")
    with av.open(str(sound), "w") as output:
        encoder = output.add_stream("vorbis", rate=48000, options={"strict": "experimental"})
        assert isinstance(encoder, av.AudioStream)
        encoder.layout = "stereo"
        frame = av.AudioFrame.from_ndarray(np.zeros((2, 48000), np.float32), format="fltp", layout="stereo")
        frame.sample_rate, frame.pts = 48000, 0
        resampler = av.AudioResampler("fltp", "stereo", 48000, frame_size=64)
        for part in (*resampler.resample(frame), *resampler.resample(None), None):
            output.mux(encoder.encode(part))
    with av.open(str(sound)) as sounds, av.open(str(target), "w") as output:
        pictures = output.add_stream("libx264", rate=25)
        assert isinstance(pictures, av.VideoStream)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        stream = output.add_stream_from_template(sounds.streams.audio[0])
        headers = without_comments(bytes(sounds.streams.audio[0].codec_context.extradata or b""))
        assert headers[:3] == b"\x02\x1e\x10", "the first two of three headers are short"
        told = b"\x03vorbis" + bytes(4) + struct.pack("<II", 1, len(comment)) + comment + b"\x01"
        stream.codec_context.extradata = b"\x02\x1e" + bytes([len(told)]) + headers[3:33] + told + headers[49:]
        for index in range(25):
            picture = av.VideoFrame.from_ndarray(grey(index, (48, 64)))
            picture.pts = index
            output.mux(pictures.encode(picture))
        output.mux(pictures.encode(None))
        for packet in sounds.demux(sounds.streams.audio[0]):
            if packet.dts is not None:
                packet.stream = stream
                output.mux(packet)


def test_comments_in_the_headers_of_vorbis_are_left_out(tmp_path: Path) -> None:
    source, target = tmp_path / "in.mkv", tmp_path / "out.mkv"
    with_vorbis(source, b"ARTIST=Mueller")
    assert b"ARTIST=Mueller" in source.read_bytes()
    assert overlay(source, target).warnings == []
    assert b"Mueller" not in target.read_bytes() and len(packets(target)) > 10
    with av.open(str(target)) as container:
        assert sum(frame.samples for frame in container.decode(audio=0)) > 20_000


def test_headers_that_are_not_laced_stay() -> None:
    assert without_comments(b"") == b"" and without_comments(b"\x01vorbis") == b"\x01vorbis"


def spoil_sound(path: Path, every: int) -> int:
    """Overwrite the first half of every n-th packet of sound, and say how many these are."""
    with av.open(str(path)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(container.streams.audio[0]) if packet.size]
    content = bytearray(path.read_bytes())
    spoilt = [(at, size) for at, size in places[::-1][::every] if at is not None and size > 8]
    for at, size in spoilt:
        content[at : at + size // 2] = np.random.default_rng(at).integers(0, 256, size // 2, np.uint8).tobytes()
    path.write_bytes(content)
    return len(spoilt)


def undecodable(path: Path) -> int:
    count = 0
    with av.open(str(path)) as container:
        for packet in container.demux(container.streams.audio[0]):
            try:
                packet.decode()
            except av.error.FFmpegError:
                count += 1
    return count


def test_damaged_packets_are_left_out_and_counted(render: Render, tmp_path: Path) -> None:
    source = render(Clip(name="in.mp4", frames=25, audio="aac", audio_seconds=1.0))
    whole = len(packets(source))
    spoil_sound(source, every=6)
    damaged = undecodable(source)
    writer = overlay(source, tmp_path / "overlay.mp4")
    assert 2 <= damaged < whole / 3 and writer.warnings == [
        f"{damaged} packets of the sound were damaged and left out",
    ]
    assert undecodable(writer.path) == 0 and len(packets(writer.path)) >= whole - damaged - 1
    with av.open(str(writer.path)) as container:
        assert len(list(container.decode(video=0))) == 25


def test_sound_that_is_damaged_from_its_beginning_is_dropped(render: Render, tmp_path: Path) -> None:
    source = render(Clip(name="in.mp4", frames=25, audio="aac", audio_seconds=1.0))
    spoil_sound(source, every=1)
    writer = overlay(source, tmp_path / "overlay.mp4")
    assert writer.warnings == ["the sound is damaged from its beginning, so the overlay has none of it"]
    assert packets(writer.path) == []


def test_damaged_headers_of_sound_in_a_transport_stream_end_neither_sound_nor_job(
    render: Render, tmp_path: Path
) -> None:
    source = render(Clip(name="in.ts", container="mpegts", frames=50, audio="aac", audio_seconds=2.0))
    content = bytearray(source.read_bytes())
    sound = [at for at in range(0, len(content), 188) if content[at + 1] & 0x1F == 1 and content[at + 2] == 1]
    for at in sound[10:-1:9]:
        content[at + 20 : at + 188] = bytes(168)
    source.write_bytes(content)
    writer = overlay(source, tmp_path / "overlay.mp4")
    assert len(writer.warnings) == 1 and "of the sound were damaged and left out" in writer.warnings[0]
    assert undecodable(writer.path) == 0 and packets(writer.path)[-1][0] > 1.8
