"""What a video says beside its pictures (title, date, place, language): copied only where that is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from av.container import OutputContainer
from av.stream import Stream

from endoseg_cli.video.reading.source import open_video

_OF_THE_FILE = {
    *("major_brand", "minor_version", "compatible_brands", "encoder", "duration", "handler_name", "vendor_id"),
    *("timecode", "bps", "number_of_frames", "number_of_bytes", "rotate"),
}
"""Tags that describe the file which they stand in, and would be wrong in another."""
_NO_COMMENTS = b"\x03vorbis" + bytes(8) + b"\x01"
_OF_A_STREAM = {"language", "title", "name", "creation_time"}


@dataclass(frozen=True, kw_only=True)
class Tags:
    """The tags of a video that are copied; empty for none."""

    container: Mapping[str, str] = field(default_factory=dict)
    """Those of the whole file."""
    picture: Mapping[str, str] = field(default_factory=dict)
    """Those of its pictures."""
    sound: tuple[Mapping[str, str], ...] = ()
    """Those of each of its sounds, in order."""

    def tell(self, output: OutputContainer, stream: Stream) -> None:
        """Give them to an output, before its header is written; it takes those that its format knows."""
        output.metadata.update(self.container)
        stream.metadata.update(self.picture)

    def tell_sound(self, output: OutputContainer) -> None:
        """Give those of the sounds to the sounds of an output, where it took as many."""
        if len(output.streams.audio) == len(self.sound):
            for stream, tags in zip(output.streams.audio, self.sound, strict=True):
                stream.metadata.update(tags)


def read_tags(path: Path) -> Tags:
    """Return the tags of a video; of what can be read once only, such as a pipe, or of pictures, none."""
    if not path.is_file():
        return Tags()
    container, stream = open_video(path)
    with container:
        return Tags(
            container={name: text for name, text in container.metadata.items() if _is_kept(name)},
            picture=_of_stream(stream),
            sound=tuple(_of_stream(stream) for stream in container.streams.audio),
        )


def _is_kept(name: str) -> bool:
    return name.lower() not in _OF_THE_FILE and not name.startswith("_STATISTICS")


def _of_stream(stream: Stream) -> dict[str, str]:
    """Return a stream's own tags; its title is called name in MP4, which writes it as title all the same."""
    kept = {name.lower(): text for name, text in stream.metadata.items() if name.lower() in _OF_A_STREAM}
    if "name" in kept:
        kept["title"] = kept.pop("name")
    return kept


def without_comments(headers: bytes) -> bytes:
    """Return the three headers of Vorbis sound, laced as Matroska does, with the second one, for comments, empty.

    What is not laced so is returned as it is.
    """
    if len(headers) < 3 or headers[0] != 2:
        return headers
    first, at = _laced_size(headers, 1)
    second, at = _laced_size(headers, at)
    identity, setup = headers[at : at + first], headers[at + first + second :]
    lengths = b"".join(b"\xff" * (length // 255) + bytes([length % 255]) for length in (first, len(_NO_COMMENTS)))
    return b"\x02" + lengths + identity + _NO_COMMENTS + setup


def _laced_size(headers: bytes, at: int) -> tuple[int, int]:
    """Return a size written as a sum of bytes, of which the last is not 255, and where what follows begins."""
    end = at
    while end < len(headers) - 1 and headers[end] == 255:
        end += 1
    return sum(headers[at : end + 1]), end + 1
