"""Command lines that are not taken: what was expected, what was found, what to write instead."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from endoseg_cli.cli.options.words import OTHER_NAMES, parse_clock
from endoseg_cli.errors import DeviceError, EndosegError, InternalError, OutputError, UsageError, explain
from tests.conftest import Run

Endoseg = Callable[..., Run]


@pytest.mark.parametrize(
    ("line", "error", "hint"),
    [
        ("predict x", "endoseg has no command predict", "did you mean endoseg segment?"),
        ("segmnt x", "endoseg has no command segmnt", "did you mean endoseg segment?"),
        ("xyzzy", "endoseg has no command xyzzy", "there are segment, check"),
        ("segment x --threshold 0,5 --out a.mp4", "--threshold: expected a number, found '0,5'", "write 0.5"),
        ("segment x --threshold=half --out a.mp4", "--threshold: expected a number, found 'half'", None),
        ("train --max-steps 1.5 --out x", "--max-steps: expected a whole number, found '1.5'", None),
        ("train --encoder mobilenetv2 --out x", "found 'mobilenetv2'", "did you mean mobilenet_v2?"),
        ("segment --thresold 1", "endoseg segment has no option --thresold", "did you mean --threshold?"),
        ("segment x --out", "'--out' requires an argument", "--help"),
        ("segment", "endoseg segment: expected INPUTS, found none", "endoseg segment --help"),
        ("segment x --start noon --out a.mp4", "--start: expected seconds, mm:ss or hh:mm:ss, found 'noon'", "1:15"),
        ("segment - --out a.mp4", "the input - is no file", "/dev/stdin"),
        ("segment https://a.b/c.mp4 --out a.mp4", "an address is no file", "download"),
    ],
)
def test_one_line_says_what_and_one_what_to_do(endoseg: Endoseg, line: str, error: str, hint: str | None) -> None:
    run = endoseg(*line.split())
    told = run.stderr.splitlines()
    assert run.code in (2, 3) and run.stdout == "" and told[0].startswith("error: ") and error in told[0], run.stderr
    assert len(told) == (1 if hint is None else 2) and (hint is None or hint in told[1])
    assert "pydantic" not in run.stderr and "Input should be" not in run.stderr


def test_a_video_is_not_written_to_the_terminal(endoseg: Endoseg, tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"x")
    run = endoseg("segment", tmp_path / "a.mp4", "--out", "-")
    assert run.code == 2 and "cannot be written to -" in run.stderr and not Path("-").exists()


def test_other_names_lead_to_commands_that_exist(endoseg: Endoseg) -> None:
    for name in set(OTHER_NAMES.values()):
        command = [name] if name.startswith("-") else [name, "--help"]
        assert endoseg(*command).code == 0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("75", 75),
        ("75.5", 75.5),
        (".2", 0.2),
        ("1.", 1),
        (" 3 ", 3),
        ("1:15", 75),
        ("0:00.5", 0.5),
        ("90:00", 5400),
        ("00:01:15.5", 75.5),
        ("1:02:03.25", 3723.25),
        ("1:00:00", 3600),
    ],
)
def test_times_of_day_are_seconds(text: str, seconds: float) -> None:
    assert parse_clock("--start", text) == seconds and parse_clock("--start", None) is None


NO_TIMES = ("", "-1", "1:60", "1:60:00", "1:2:3:4", "1:", ":5", ".", "1..2", "nan", "inf", "1e3", "\u0663", "9" * 400)


@pytest.mark.parametrize("text", NO_TIMES)
def test_other_texts_are_no_times(text: str) -> None:
    with pytest.raises(UsageError, match="--start: expected seconds, mm:ss or hh:mm:ss, found") as caught:
        parse_clock("--start", text)
    assert len(caught.value.message) < 130 and caught.value.hint == "such as 75, .5, 1:15 or 0:01:15.5"


def test_a_comma_in_a_time_is_told() -> None:
    with pytest.raises(UsageError) as caught:
        parse_clock("--end", "1:02,5")
    assert caught.value.hint == "write 1:02.5"


def test_every_error_becomes_one_that_its_user_can_read() -> None:
    assert isinstance(explain(MemoryError()), DeviceError)
    found = explain(PermissionError(13, "Permission denied", "a/b"))
    assert isinstance(found, OutputError) and found.message == "a/b: Permission denied"
    assert isinstance(explain(KeyError("x")), InternalError) and "KeyError" in explain(KeyError("x")).message
    mine = UsageError("x")
    assert explain(mine) is mine and issubclass(InternalError, EndosegError)


def test_a_missing_input_is_refused_before_torch_is_imported(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom endoseg_cli.cli.app import main\n"
        "try: main(['segment', sys.argv[1], '--out', 'x.mp4'])\n"
        "except SystemExit as end: print(end.code, 'torch' in sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "absent.mp4")], capture_output=True, text=True, check=False
    )
    assert run.stdout == "3 False\n" and "no such file or folder" in run.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="no signals there")
def test_ctrl_c_while_python_imports_leaves_no_traceback() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "endoseg_cli", "info"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    time.sleep(0.35)
    process.send_signal(2)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode in (0, 130, -2) and "Traceback" not in stderr
