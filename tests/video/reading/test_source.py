"""What is no video is refused in one line that names the file, the cause and the way out."""

from __future__ import annotations

import os
from pathlib import Path

import av
import numpy as np
import pytest

from endoseg_cli.errors import EndosegError, InputError, MissingInputError
from endoseg_cli.video.reading import source
from endoseg_cli.video.reading.reader import VideoReader, probe
from tests.data.drawing import draw_frame, save
from tests.video.conftest import Render
from tests.video.rendering import Clip, level


def refusal(path: Path) -> EndosegError:
    with pytest.raises(InputError) as caught:
        VideoReader(path)
    error = caught.value
    assert str(path) in error.message and "\n" not in error.message and not error.message.endswith(".")
    assert error.hint
    return error


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="no such video") as caught:
        probe(tmp_path / "none.mp4")
    assert isinstance(caught.value, FileNotFoundError)


def test_folder(tmp_path: Path) -> None:
    assert "found a folder" in refusal(tmp_path).message


def test_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "empty.mp4"
    path.touch()
    assert "empty (0 bytes)" in refusal(path).message


@pytest.mark.parametrize("content", [b"hello, this is text\n" * 20, bytes(np.random.default_rng(0).bytes(50_000))])
def test_no_media_file(tmp_path: Path, content: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "notes.mp4"
    path.write_bytes(content)
    assert "not a video" in refusal(path).message
    assert capfd.readouterr() == ("", "")
    assert av.logging.get_level() is None


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ("#EXTM3U\n#EXTINF:10,\nsegment.ts\n#EXT-X-ENDLIST\n", "a playlist"),
        ("\ufeff\n#EXTM3U\n", "a playlist"),
        ('<?xml version="1.0"?>\n<!-- made by a server -->\n<MPD type="static"></MPD>', "a playlist"),
        ("[playlist]\nFile1=http://server/a.mp4\n", "a playlist"),
        ("ffconcat version 1.0\nfile 'a.mp4'\n", "a list of files"),
        ("v=0\r\nc=IN IP4 127.0.0.1\r\nm=video 5004 RTP/AVP 96\r\n", "a description of a stream"),
        ("1\n00:00:01,000 --> 00:00:02,000\nA\n", "a text file, such as subtitles"),
        ("\0" * 128 + "DICM" + "\0" * 100, "a DICOM file"),
        ("<!DOCTYPE html><html><body>403</body></html>", "a web page"),
        ("PK\x03\x04" + "a" * 100, "a ZIP archive"),
    ],
)
@pytest.mark.parametrize("name", ["a.mp4", "a.m3u8", "a.bin"])
def test_what_a_file_is_instead_is_told(tmp_path: Path, content: str, kind: str, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(content.encode())
    assert refusal(path).message.startswith(f"not a video, but {kind}")


def test_a_picture_is_told_from_a_video(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", draw_frame(1)).rename(tmp_path / "a.mp4")
    assert refusal(path).message == f"not a video, but a picture (PNG): {path}"


def test_no_list_of_all_formats_is_told(tmp_path: Path) -> None:
    path = tmp_path / "speech.mp4"
    path.write_bytes(b"#!AMR\n" + b"<" * 500)
    assert refusal(path).message == f"not a video, or damaged from the start: {path} (FFmpeg takes it for amr)"


def test_recording_without_index(render: Render) -> None:
    path = render(Clip(name="crashed.mp4", frames=30))
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"moov")])
    assert "'moov' is missing" in refusal(path).message


def sound_file(path: Path, *, cover: bool) -> Path:
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libmp3lame", rate=44100)
        picture = output.add_stream("mjpeg", rate=1) if cover else None
        if isinstance(picture, av.VideoStream):
            picture.height, picture.width, picture.pix_fmt = 32, 32, "yuvj420p"
            picture.disposition = av.stream.Disposition.attached_pic
            output.mux(picture.encode(av.VideoFrame(32, 32, "yuvj420p")))
            output.mux(picture.encode(None))
        assert isinstance(stream, av.AudioStream)
        frame = av.AudioFrame.from_ndarray(np.zeros((2, 1152), np.float32), format="fltp", layout="stereo")
        frame.sample_rate = 44100
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def test_sound_alone(tmp_path: Path) -> None:
    assert "only audio" in refusal(sound_file(tmp_path / "song.mp3", cover=False)).message


def test_cover_picture_is_no_video(tmp_path: Path) -> None:
    assert "only a cover picture" in refusal(sound_file(tmp_path / "song.mp3", cover=True)).message


def test_file_without_permission(render: Render, monkeypatch: pytest.MonkeyPatch) -> None:
    path = render(Clip(name="secret.mp4"))
    path.chmod(0)
    if os.geteuid() == 0:  # root may read everything: let the system call say no, as it does to others

        def refuse(_: Path) -> None:
            raise av.error.PermissionError(13, "Permission denied")

        monkeypatch.setattr(source, "_open", refuse)
    assert "no permission" in refusal(path).message


def test_a_name_with_a_colon_is_a_file(render: Render, monkeypatch: pytest.MonkeyPatch) -> None:
    path = render(Clip(name="10:30 left.mp4"))
    monkeypatch.chdir(path.parent)
    with VideoReader("10:30 left.mp4") as reader:
        assert abs(float(next(iter(reader)).rgb.mean()) - level(0)) < 4
