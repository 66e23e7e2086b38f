"""Open a video file, or say in one line why it cannot be."""

from __future__ import annotations

import logging
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from endoseg_cli.errors import EndosegError, InputError, MissingInputError
from endoseg_cli.video.reading.foreign import foreign_kind

# FFmpeg would otherwise reach Python's last-resort handler, which prints on stderr.
logging.getLogger("libav").addHandler(logging.NullHandler())

_NOT_VIDEO_HINT = "give a video file, such as .mp4, .mov, .mkv, .avi or .ts; check that it plays in a media player"
_NOT_PICTURES = Disposition.attached_pic | Disposition.timed_thumbnails


_DEMUXERS = (
    "mov mp4 matroska webm avi mpegts mpegtsraw mpeg mpegvideo m4v h264 hevc vvc av1 obu ivf vc1 asf asf_o flv gif apng"
    " ogg mxf mxf_d10 dv wtv rm nut mjpeg mjpeg_2000 yuv4mpegpipe gxf nsv dirac cavsvideo h261 h263 webp_pipe bink smk"
    " amv swf pva wmv mp3 wav flac aac aiff ac3"
)
_ONLY_THIS_FILE = {"format_whitelist": ",".join(_DEMUXERS.split()), "protocol_whitelist": "file,pipe,fd"}
"""Formats that hold their pictures (or sound) themselves: playlists and scripts would make FFmpeg read other files."""
_WHITELIST = "whitelist"
"""In FFmpeg's messages on what these leave out, which list them all."""


def open_container(path: Path) -> InputContainer:
    """Open a media file for reading.

    Raises MissingInputError if there is none, and InputError if it is a folder, is empty, may not be read, or is no
    media file that FFmpeg knows.
    """
    _check_file(path)
    try:
        return _open(path)
    except PermissionError:
        raise _unreadable(path) from None
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise _explain(path, error) from None


def open_video(path: Path) -> tuple[InputContainer, VideoStream]:
    """Open a file and choose its largest video stream; cover pictures of audio files are no video.

    Raises what `open_container` raises, and InputError if there is no video in the file or no decoder for it.
    """
    container = open_container(path)
    try:
        return container, _choose_stream(path, container)
    except EndosegError:
        container.close()
        raise


def _check_file(path: Path) -> None:
    try:
        if not path.exists():
            raise MissingInputError(f"no such video: {path}", hint="check the path; quote it if it contains spaces")
        if path.is_dir():
            raise InputError(f"expected a video file, found a folder: {path}", hint="name one of the files in it")
        if path.is_file() and path.stat().st_size == 0:
            raise InputError(f"the video is empty (0 bytes): {path}", hint="copy or export it again")
    except PermissionError:
        raise _unreadable(path) from None


def _unreadable(path: Path) -> InputError:
    return InputError(f"no permission to read {path}", hint="change the permissions of the file or of its folder")


def _open(path: Path) -> InputContainer:
    # Absolute, so that a name with a colon is not taken for a protocol; tags may be in any encoding.
    return av.open(str(path.absolute()), mode="r", metadata_errors="replace", options=dict(_ONLY_THIS_FILE))


def _explain(path: Path, error: Exception) -> InputError:
    log = _log_of_opening(path)
    causes = [message for _, message in log]
    if _is_mp4(path) and any("moov atom not found" in cause for cause in causes):
        return InputError(
            f"the video was cut off before its index was written ('moov' is missing): {path}",
            hint="copy the whole file again, or repair the recording with a tool such as untrunc",
        )
    if isinstance(error, av.error.EOFError):
        return InputError(f"the video holds no frames: {path}", hint="copy or export it again")
    refused = next((name for name, message in log if _WHITELIST in message), "")
    if foreign := foreign_kind(path, refused):
        return InputError(f"not a video, but {foreign.kind}: {path}", hint=foreign.hint)
    because = f" (FFmpeg takes it for {refused})" if refused else _because(causes)
    return InputError(f"not a video, or damaged from the start: {path}{because}", hint=_NOT_VIDEO_HINT)


def _log_of_opening(path: Path) -> list[tuple[str, str]]:
    """Open the file once more with FFmpeg's log on, only to learn why that fails.

    Returns each message, after the name of what said it: that of the format once FFmpeg has made out one.
    """
    level, skips_repeated = av.logging.get_level(), av.logging.get_skip_repeated()
    with av.logging.Capture() as lines:
        av.logging.set_level(av.logging.ERROR)
        av.logging.set_skip_repeated(False)  # else the second bad file of a batch has no cause
        try:
            _open(path).close()
        except (av.error.FFmpegError, OSError, ValueError):
            pass
        finally:
            av.logging.set_level(level)
            av.logging.set_skip_repeated(skips_repeated)
    return [(name, message.strip()) for _, name, message in lines if message.strip()]


def _is_mp4(path: Path) -> bool:
    """Whether a file begins as MP4 and QuickTime do; FFmpeg takes any text named .mp4 for one."""
    with path.open("rb") as file:
        return file.read(8)[4:] in (b"ftyp", b"mdat", b"wide", b"free", b"skip")


def _because(causes: list[str]) -> str:
    useful = [cause for cause in causes if "moov" not in cause]
    return f" ({useful[-1].splitlines()[0]})" if useful else ""


def _choose_stream(path: Path, container: InputContainer) -> VideoStream:
    videos = [stream for stream in container.streams.video if not stream.disposition & _NOT_PICTURES]
    if not videos:
        found = "only a cover picture" if container.streams.video else _other_streams(container)
        raise InputError(f"no video in {path}: found {found}", hint=_NOT_VIDEO_HINT)
    # A stream whose codec FFmpeg does not know has no codec context, which the type stubs do not say.
    known = [stream for stream in videos if getattr(stream, "codec_context", None) is not None]
    if not known:
        raise InputError(f"no decoder for the video in {path}", hint="convert it to H.264, for example with ffmpeg")
    return max(known, key=lambda stream: stream.width * stream.height)


def _other_streams(container: InputContainer) -> str:
    kinds = sorted({stream.type for stream in container.streams})
    return f"only {' and '.join(kinds)}" if kinds else "no streams at all"
