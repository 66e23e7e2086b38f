"""Strictly increasing timestamps for every frame, whatever the file says."""

from __future__ import annotations

from fractions import Fraction

# A step back by more frames than this is a new start of the clock (joined files), not reordering.
_MAX_REORDERED_FRAMES = 8


class TimestampRepair:
    """Gives each frame, in output order, one integer timestamp in the stream's time base.

    Takes presentation timestamps as long as they are the more regular, else decoding timestamps (AVI with packed
    B-frames), else counts on at the average rate; then makes sure that time never stands still or runs back. Healthy
    files pass unchanged, variable frame rate included.
    """

    def __init__(self, time_base: Fraction, average_rate: Fraction | None) -> None:
        self._step = max(1, round(1 / ((average_rate or Fraction(25)) * time_base)))
        self._last: int | None = None
        self._last_pts: int | None = None
        self._last_dts: int | None = None
        self._faulty_pts = 0
        self._faulty_dts = 0
        self._offset = 0
        self.repaired = 0
        """How many frames have another timestamp than the file gave them."""

    @property
    def step(self) -> int:
        """The usual distance of two frames, in ticks."""
        return self._step

    def next(self, pts: int | None, dts: int | None) -> int:
        """Return the timestamp of the next frame, greater than all before it."""
        self._note_faults(pts, dts)
        trusted = self._trusted(pts, dts)
        value = self._following() if trusted is None else self._forward(trusted + self._offset)
        self.repaired += value != pts
        self._last = value
        return value

    def _note_faults(self, pts: int | None, dts: int | None) -> None:
        if pts is not None:
            self._faulty_pts += self._last_pts is not None and pts <= self._last_pts
            self._last_pts = pts
        if dts is not None:
            self._faulty_dts += self._last_dts is not None and dts <= self._last_dts
            self._last_dts = dts

    def _trusted(self, pts: int | None, dts: int | None) -> int | None:
        if pts is not None and (dts is None or self._faulty_pts <= self._faulty_dts):
            return pts
        return dts

    def _following(self) -> int:
        return 0 if self._last is None else self._last + self._step

    def _forward(self, value: int) -> int:
        if self._last is None or value > self._last:
            return value
        if self._last - value > _MAX_REORDERED_FRAMES * self._step:
            moved = self._last + self._step
            self._offset += moved - value
            return moved
        return self._last + max(1, self._step // 2)


class DecodingTimes:
    """Gives each frame, in output order, a presentation time where the container keeps decoding times only (AVI).

    Frames are shown in steps as even as they are stored, so it is the time at which the decoder gave the frame out,
    less its delay. FFmpeg's own guess is wrong for the first frames of H.264 with B-frames, and by a frame for all.
    """

    def __init__(self, step: int) -> None:
        """`step` is the usual distance of two frames in ticks."""
        self._step = step
        self._first_packet: int | None = None
        self._delay: int | None = None
        self._last: int | None = None

    def note_packet(self, dts: int | None, *, is_key: bool) -> None:
        """Hear of a packet that the decoder took; the first frame is that of the first packet that needs no other."""
        if self._first_packet is None and is_key:
            self._first_packet = dts

    def next(self, dts: int | None) -> int:
        """Return the time of the next frame, of which `dts` is the decoding time; None at the end, as FFmpeg has it."""
        if dts is None:
            value = (self._first_packet or 0) if self._last is None else self._last + self._step
        else:
            if self._delay is None:
                delay = 0 if self._first_packet is None else dts - self._first_packet
                self._delay = delay if 0 <= delay <= _MAX_REORDERED_FRAMES * self._step else 0
            value = dts - self._delay
        self._last = value
        return value
