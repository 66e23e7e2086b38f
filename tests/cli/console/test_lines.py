from __future__ import annotations

import io
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from endoseg_cli.cli.console import lines as console_module
from endoseg_cli.cli.console.lines import SegmentConsole, print_error
from endoseg_cli.errors import InputError
from endoseg_cli.inference.flow.stages import StageSeconds
from endoseg_cli.inference.inputs.sources import Source
from endoseg_cli.inference.pipeline import Outcome, Progress
from tests.inference.brightness import targets_for

SOURCE = Source(path=Path("in/[red]a.mp4"), place=Path("a"))


class Terminal(io.StringIO):
    """A stderr that says it is a terminal."""

    def isatty(self) -> bool:
        return True


class Clock:
    """Seconds that pass when the test says so."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(console_module, "time", clock)
    return clock


def outcome(seconds: float = 3.0, frames: int = 8) -> Outcome:
    return Outcome(
        targets=targets_for(SOURCE.path),
        frames=frames,
        predicted_frames=frames,
        lesion_frames=2,
        seconds=seconds,
        stages=StageSeconds(read=1.0, predict=2.0, write=0.0),
        damage=("1 packet could not be decoded",),
        warnings=("sound was left out",),
    )


def test_without_a_terminal_a_plain_line_comes_every_few_seconds(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    console = SegmentConsole(quiet=False, verbose=False)
    console.started(SOURCE)
    for second in range(1, 12):
        clock.now = 100.0 + second
        console.progressed(Progress(frames=10 * second, total=200, seconds=float(second)))
    console.progressed(Progress(frames=111, total=None, seconds=11.1))
    console.close()
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.splitlines() == [
        "[red]a.mp4: 50 of about 200 frames, 10.0 frames/s, 15.0 s left",
        "[red]a.mp4: 100 of about 200 frames, 10.0 frames/s, 10.0 s left",
    ]


def test_more_frames_than_the_header_promised_leave_no_negative_time(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    console = SegmentConsole(quiet=False, verbose=False)
    console.started(SOURCE)
    clock.now += 60
    console.progressed(Progress(frames=30, total=20, seconds=60.0))
    assert "30 of about 20 frames, 0.5 frames/s, 0.0 s left" in capsys.readouterr().err


def test_on_a_terminal_there_is_a_bar_and_names_are_no_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    console = SegmentConsole(quiet=False, verbose=False)
    console.started(SOURCE)
    console.progressed(Progress(frames=5, total=4, seconds=1.0))
    console.close()
    text = terminal.getvalue()
    assert "[red]a.mp4" in text and "5/5" in text and "5.0 frames/s" in text


def test_quiet_shows_no_bar_and_no_summary_but_warnings(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    console = SegmentConsole(quiet=True, verbose=False)
    console.started(SOURCE)
    console.progressed(Progress(frames=5, total=4, seconds=1.0))
    console.finished(outcome())
    console.note("loaded")
    console.close()
    plain = "".join(
        part.partition("m")[2] if index else part for index, part in enumerate(terminal.getvalue().split("\x1b["))
    )
    assert plain.splitlines() == [
        "warning: [red]a.mp4: 1 packet could not be decoded",
        "warning: [red]a.mp4: sound was left out",
    ]


def test_a_summary_and_the_stages(capsys: pytest.CaptureFixture[str]) -> None:
    console = SegmentConsole(quiet=False, verbose=True)
    console.finished(outcome())
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "in/[red]a.mp4: 8 frames in 3.0 s (2.7 frames/s), lesion in 2 (25 %)"
    assert lines[-1] == "  frames/s of each stage alone: read 8.0, predict 4.0"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 0 s"),
        (119.7, "2 min 0 s"),
        (3599.6, "1 h 0 min"),
        (7300, "2 h 1 min"),
    ],
)
def test_durations_carry_over(seconds: float, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    SegmentConsole(quiet=False, verbose=False).finished(outcome(seconds))
    assert f" frames in {text} (" in capsys.readouterr().err


def test_a_failure_and_what_was_kept(capsys: pytest.CaptureFixture[str]) -> None:
    console = SegmentConsole(quiet=True, verbose=False)
    console.failed(SOURCE, InputError("not a video: a.mp4", hint="give another"))
    console.kept([], 0)
    console.kept([Path("m.mp4.endoseg.part"), Path("o.mp4.endoseg.part")], 7)
    assert capsys.readouterr().err.splitlines() == [
        "error: not a video: a.mp4",
        "hint: give another",
        "warning: stopped early; 7 frames are kept in m.mp4.endoseg.part, o.mp4.endoseg.part",
    ]


def test_an_error_without_hint_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_error("first\nsecond")
    assert capsys.readouterr().err == "error: first\\nsecond\n"


@pytest.mark.parametrize("verbose", [False, True])
def test_a_name_with_line_breaks_is_one_line_everywhere(
    verbose: bool, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "a\n\x1b[31m\u2028.mp4"
    source = Source(path=Path("in") / name, place=Path("a"))
    console = SegmentConsole(quiet=False, verbose=verbose)
    console.note(f"model {name}")
    console.noted(f"left out: {name}")
    console.started(source)
    clock.now += 60
    console.progressed(Progress(frames=30, total=20, seconds=60.0))
    console.finished(replace(outcome(), targets=targets_for(source.path)))
    console.failed(source, InputError(f"no video: {name}", hint=f"rename {name}", details=[name]))
    console.kept([source.path], 7)
    console.summed_up(1, 0, [(source, InputError(name))])
    told = capsys.readouterr().err
    assert "\x1b" not in told and "\u2028" not in told
    shown = r"a\n\x1b[31m\u2028.mp4"
    nameless = [line for line in told.splitlines() if shown not in line]
    assert nameless == (["  frames/s of each stage alone: read 8.0, predict 4.0"] if verbose else []) + [
        "2 videos: 1 done, 0 done before, 1 failed"
    ]


def test_a_bar_names_its_video_on_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    console = SegmentConsole(quiet=False, verbose=False)
    console.started(Source(path=Path("a\n\x07.mp4"), place=Path("a")))
    console.close()
    assert r"a\n\x07.mp4" in terminal.getvalue()


def test_a_first_video_that_fails_leaves_no_rate_and_no_time_left(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    console = SegmentConsole(quiet=False, verbose=False)
    console.started_many(2, 2)
    clock.now += 6
    console.progressed(Progress(frames=0, total=200, seconds=6.0))
    assert capsys.readouterr().err == "2 inputs: 0 of about 200 frames, 0.0 frames/s\n"


def test_the_sum_of_a_job_names_what_failed_and_addresses_as_people_write_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    failed = (Source(path=Path("s3://bucket/a.mp4"), place=Path("a")), InputError("no frames\x1b[1m", hint="none"))
    SegmentConsole(quiet=False, verbose=False).summed_up(2, 1, [failed])
    assert capsys.readouterr().err.splitlines() == [
        "4 videos: 2 done, 1 done before, 1 failed",
        r"warning: failed: s3://bucket/a.mp4: no frames\x1b[1m",
    ]
    SegmentConsole(quiet=True, verbose=False).summed_up(1, 0, [])
    assert capsys.readouterr().err == ""
