"""Timestamps always increase, and stay what the file says where that can be."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

from endoseg_cli.video.reading.timestamps import DecodingTimes, TimestampRepair


def repaired(pts: list[int | None], dts: list[int | None] | None = None, time_base: int = 100) -> tuple[list[int], int]:
    clock = TimestampRepair(Fraction(1, time_base), Fraction(25))
    pairs = zip(pts, dts or [None] * len(pts), strict=True)
    return [clock.next(*pair) for pair in pairs], clock.repaired


def test_increasing_timestamps_pass_however_irregular() -> None:
    assert repaired([7, 8, 30, 400, 401]) == ([7, 8, 30, 400, 401], 0)


def test_without_any_the_rate_counts() -> None:
    assert repaired([None, None, None]) == ([0, 4, 8], 3)


def test_a_gap_is_filled_at_the_rate() -> None:
    assert repaired([10, None, 18]) == ([10, 14, 18], 1)


def test_decoding_timestamps_replace_unordered_ones() -> None:
    # Packed B-frames in AVI, as FFmpeg reads them: one tick a frame.
    values, _ = repaired([3, 4, 6, 5, 7, 9, 8, 10, 12, 11], [3, 4, 5, 6, 7, 8, 9, 10, 11, 12], time_base=25)
    assert all(later > earlier for earlier, later in pairwise(values))
    assert max(abs(value - wanted) for value, wanted in zip(values, range(3, 13), strict=True)) <= 1


def test_a_repeated_timestamp_moves_only_itself() -> None:
    assert repaired([0, 4, 4, 8, 12]) == ([0, 4, 6, 8, 12], 1)


def test_a_clock_that_starts_again_goes_on() -> None:
    assert repaired([100, 104, 108, 0, 4, 8]) == ([100, 104, 108, 112, 116, 120], 3)


def decoded(keys: Sequence[tuple[int, bool]], dts: list[int | None]) -> list[int]:
    times = DecodingTimes(step=2)
    for packet, is_key in keys:
        times.note_packet(packet, is_key=is_key)
    return [times.next(value) for value in dts]


def test_decoding_times_less_the_decoders_delay_are_presentation_times() -> None:
    packets = [(0, True), (2, False), (4, False)]
    assert decoded(packets, [4, 6, 8, None, None]) == [0, 2, 4, 6, 8]
    assert decoded(packets, [4, 6, 14, 16, None]) == [0, 2, 10, 12, 14], "a gap stays one"
    assert decoded([(0, False), (10, True), (12, False)], [12, 14, None]) == [10, 12, 14], "starts off a key frame"
    assert decoded([(0, True)], [None, None]) == [0, 2]
    assert decoded([], [7, 9]) == [7, 9]
    assert decoded([(0, True)], [900, 902]) == [900, 902], "no decoder waits that long"
