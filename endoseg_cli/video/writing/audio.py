"""Carry the sound of the input over into the overlay, packet by packet as it is, without those that are damaged."""

from __future__ import annotations

import io
import math
from collections.abc import Generator, Iterator
from fractions import Fraction
from itertools import islice

import av
from av.bitstream import BitStreamFilterContext
from av.container import InputContainer, OutputContainer
from av.stream import Discard, Stream

from endoseg_cli.video.reading.info import VideoInfo
from endoseg_cli.video.reading.source import open_container
from endoseg_cli.video.writing.tags import without_comments

# What muxers and filters answer to a packet they cannot make sense of; a full disk is another error.
_REFUSED = (av.error.InvalidDataError, av.error.ArgumentError, av.error.PermissionError, av.error.PatchWelcomeError)
_MOST_REFUSALS = 50
"""Packets in a row that the output may refuse before the sound ends."""
_SAMPLE = 50
"""Packets at the beginning of which half must decode: about a second."""

CLOCK_STARTS_AGAIN = 0.1
"""Seconds by which the time of sound must run back to be a new clock."""
EARLIEST = -0.1
"""Sound that begins earlier than this before the first picture is left out; less is an encoder's priming."""


class AudioCopy:
    """Reads the input a second time, for its audio packets only, and muxes them with their own timestamps.

    Create it before the output's header is written; then call `copy_until` with the time of each video frame.
    """

    def __init__(self, info: VideoInfo, output: OutputContainer, *, span: tuple[float | None, float | None]) -> None:
        """`span` is the first (included) and last (excluded) second to copy, on the input's clock."""
        self._warnings: list[str] = []
        self._damaged = self._refusals = 0
        self._path = info.path
        self._output = output
        self._first = -math.inf if span[0] is None else span[0]
        self._end = math.inf if span[1] is None else span[1]
        self._source: InputContainer = open_container(info.path)
        self._targets = dict(self._accepted())
        self._filters = self._raw_aac()
        self._last_dts: dict[int, int] = {}
        self._moved: dict[int, int] = {}
        self._packets = self._wanted()
        self._next: tuple[float, av.Packet[Stream]] | None = next(self._packets, None)

    @property
    def warnings(self) -> list[str]:
        """What could not be carried over so far, one sentence each."""
        packets = "1 packet" if self._damaged == 1 else f"{self._damaged} packets"
        return [*self._warnings, *([f"{packets} of the sound were damaged and left out"] if self._damaged else [])]

    def copy_until(self, seconds: float, *, origin: Fraction) -> None:
        """Mux all packets up to a time, both on the input's clock, `origin` seconds earlier than they are there.

        Packets that the container refuses are left out; sound of which it takes no more ends there, with a warning.
        """
        while self._next is not None and self._next[0] <= seconds:
            time, packet = self._next
            try:
                self._mux(packet, origin)
            except _REFUSED as error:
                self._damaged += 1
                self._refusals += 1
                if self._refusals == _MOST_REFUSALS:
                    self._warnings.append(f"the sound ends at {time:.2f} s: {error.strerror}")
                    self._next = None
                    return
            else:
                self._refusals = 0
            self._next = next(self._packets, None)

    def close(self) -> None:
        """Free the input."""
        self._packets.close()
        self._source.close()

    def _accepted(self) -> Iterator[tuple[int, Stream]]:
        """Add an output stream for each audio stream that the container takes."""
        for stream in self._source.streams:
            if stream.type != "audio":
                stream.discard = Discard.all
                continue
            container = self._output.format.name
            if not _fits(stream, container):
                name = _codec_name(stream)
                self._warnings.append(
                    f"the sound ({name}) does not fit into {container}, so the overlay has none of it"
                )
            elif self._begins_damaged(stream):
                self._warnings.append("the sound is damaged from its beginning, so the overlay has none of it")
            else:
                target = self._output.add_stream_from_template(stream)
                if stream.codec_context.name == "vorbis":
                    target.codec_context.extradata = without_comments(bytes(stream.codec_context.extradata or b""))
                yield stream.index, target

    def _begins_damaged(self, stream: Stream) -> bool:
        """Whether most of the first packets do not decode; the file is opened once more, to begin at its beginning."""
        with open_container(self._path) as trial:
            try:
                sample = [_decodes(packet) for packet in islice(trial.demux(trial.streams[stream.index]), _SAMPLE)]
            except av.error.FFmpegError:
                return False
        return sample.count(False) > len(sample) / 2

    def _raw_aac(self) -> dict[int, BitStreamFilterContext]:
        """Make the filters that take the transport stream headers off AAC; muxers that delay the index forget to."""
        sources = {index: self._source.streams[index] for index in self._targets}
        return {
            index: BitStreamFilterContext("aac_adtstoasc", source)
            for index, source in sources.items()
            if source.codec_context.name == "aac" and not source.codec_context.extradata
        }

    def _wanted(self) -> Generator[tuple[float, av.Packet[Stream]]]:
        streams = [self._source.streams[index] for index in self._targets]
        if not streams:
            return
        try:
            for packet in self._source.demux(streams):
                if packet.dts is None or packet.pts is None:
                    continue
                if not _decodes(packet):
                    self._damaged += 1
                    continue
                self._join(packet)
                seconds = float(packet.pts * packet.time_base)
                if self._first <= seconds < self._end and self._follows(packet):
                    yield seconds, packet
        except av.error.FFmpegError as error:
            self._warnings.append(f"the sound could not be read to its end: {error.strerror}")

    def _join(self, packet: av.Packet[Stream]) -> None:
        """Let time go on where the clock starts again, as it does where recordings were joined."""
        assert packet.dts is not None and packet.pts is not None
        index = packet.stream_index
        moved = self._moved.get(index, 0)
        last = self._last_dts.get(index)
        if last is not None and (last - packet.dts - moved) * packet.time_base > CLOCK_STARTS_AGAIN:
            moved = last + max(packet.duration or 0, 1) - packet.dts
            self._moved[index] = moved
            told = "the clock of the sound starts again; it was joined where it does"
            if told not in self._warnings:
                self._warnings.append(told)
        packet.dts += moved
        packet.pts += moved

    def _follows(self, packet: av.Packet[Stream]) -> bool:
        """Refuse packets that do not move on in time, as muxers do."""
        assert packet.dts is not None
        if packet.dts <= self._last_dts.get(packet.stream_index, packet.dts - 1):
            return False
        self._last_dts[packet.stream_index] = packet.dts
        return True

    def _mux(self, packet: av.Packet[Stream], origin: Fraction) -> None:
        assert packet.dts is not None and packet.pts is not None
        moved = round(origin / packet.time_base)
        packet.dts -= moved
        packet.pts -= moved
        # Matroska has no time before 0; FFmpeg would move the video too, instead of dropping an encoder's priming.
        if packet.dts < 0 and self._output.format.name == "matroska":
            return
        if packet.pts * packet.time_base < EARLIEST:
            return
        index = packet.stream_index
        for ready in self._filters[index].filter(packet) if index in self._filters else [packet]:
            ready.stream = self._targets[index]
            self._output.mux(ready)


def _decodes(packet: av.Packet[Stream]) -> bool:
    """Whether a packet can be played; decoding one takes a thousandth of the time that it sounds, or less."""
    if getattr(packet.stream, "codec_context", None) is None:  # a codec that FFmpeg does not know
        return True
    try:
        packet.decode()
    except av.error.FFmpegError:
        return False
    return True


def _codec_name(stream: Stream) -> str:
    # A stream whose codec FFmpeg does not know has no codec context, which the type stubs do not say.
    context = getattr(stream, "codec_context", None)
    return "unknown" if context is None else str(context.name)


def _fits(stream: Stream, container: str) -> bool:
    """Try whether a container takes the codec, by writing a header into memory: some refuse only then."""
    try:
        with av.open(io.BytesIO(), mode="w", format=container) as trial:
            trial.add_stream_from_template(stream)
            trial.start_encoding()
    except (ValueError, av.error.FFmpegError):
        return False
    return True
