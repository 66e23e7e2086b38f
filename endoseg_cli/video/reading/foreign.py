"""What a file is that no video can be read from, by its first bytes, or by the name that FFmpeg has for its format."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

_LOOK = 1024
"""Bytes of a file's beginning that are looked at."""
_VIDEO_ITSELF = "give the video files that it names, or one file made of them"
_RENAME = "give it the ending of its kind, or give the video that it belongs to"
_UNPACK = "unpack it first, and give a video from it"
_DOWNLOAD = "it may stand where a download failed: download the video again"
_EXPORT = "export the video from it with a viewer, for example as .mp4"
_VIDEO = "give a video file, such as .mp4, .mov, .mkv, .avi or .ts"


class Foreign(NamedTuple):
    """A kind of file that is no video."""

    kind: str
    """What it is, with its article."""
    hint: str
    """What to do instead."""


_BEGINNINGS = tuple(
    (re.compile(pattern, re.DOTALL | re.IGNORECASE), Foreign(kind, hint))
    for pattern, kind, hint in (
        (rb"\s*#EXTM3U", "a playlist (HLS, M3U)", _VIDEO_ITSELF),
        (rb"\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*<MPD\b", "a playlist (MPEG-DASH)", _VIDEO_ITSELF),
        (rb"\s*\[playlist\]", "a playlist (PLS)", _VIDEO_ITSELF),
        (rb"\s*ffconcat version", "a list of files for FFmpeg (concat)", _VIDEO_ITSELF),
        (rb".{128}DICM", "a DICOM file", _EXPORT),
        (rb"%PDF-", "a PDF file", _VIDEO),
        (rb"\s*(<!doctype html|<html|<head|<body)\b", "a web page", _DOWNLOAD),
        (rb"PK\x03\x04", "a ZIP archive", _UNPACK),
        (rb"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", _UNPACK),
        (rb"Rar!\x1a\x07", "a RAR archive", _UNPACK),
        (rb"\x1f\x8b\x08", "a file packed by gzip", _UNPACK),
    )
)
_BY_FORMAT = {
    "hls": Foreign("a playlist (HLS)", _VIDEO_ITSELF),
    "dash": Foreign("a playlist (MPEG-DASH)", _VIDEO_ITSELF),
    "concat": Foreign("a list of files for FFmpeg (concat)", _VIDEO_ITSELF),
    "sdp": Foreign("a description of a stream (SDP)", "record the stream to a file first, and give that"),
}
_SUBTITLES = frozenset(
    "aqtitle ass jacosub lrc microdvd mpl2 mpsub pjs realtext sami scc srt stl subviewer subviewer1 sup tedcaptions"
    " vobsub vplayer webvtt".split()
)


def foreign_kind(path: Path, ffmpeg_format: str) -> Foreign | None:
    """Return what a file is that FFmpeg did not open as a video; None where neither its bytes nor FFmpeg surely know.

    `ffmpeg_format` is what FFmpeg took it for and endoseg does not read, empty where it took it for nothing.
    """
    beginning = _beginning(path)
    for pattern, foreign in _BEGINNINGS:
        if pattern.match(beginning):
            return foreign
    return _by_format(ffmpeg_format)


def _by_format(name: str) -> Foreign | None:
    if name in _BY_FORMAT:
        return _BY_FORMAT[name]
    if name in _SUBTITLES:
        return Foreign("a text file, such as subtitles", _VIDEO)
    if name.endswith("_pipe"):  # FFmpeg's formats of single pictures: png_pipe, tiff_pipe
        return Foreign(f"a picture ({name.removesuffix('_pipe').upper()})", _RENAME)
    return None


def _beginning(path: Path) -> bytes:
    """Return a file's first bytes without the mark that some editors put before text; of a pipe none: they are gone."""
    if not path.is_file():
        return b""
    with path.open("rb") as file:
        return file.read(_LOOK).removeprefix(b"\xef\xbb\xbf")
