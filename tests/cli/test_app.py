"""The process itself: start-up, signals, exit codes, and what a terminal sees."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import endoseg_cli
from endoseg_cli.cli import app as app_module
from endoseg_cli.errors import UsageError
from tests.conftest import Run
from tests.inference.brightness import decode
from tests.video.rendering import Clip

Endoseg = Callable[..., Run]
Render = Callable[[Clip], Path]
PANELS = {
    "Segment": ("segment",),
    "Train": ("check", "train", "train-corrective", "evaluate", "suggest"),
    "Models": ("info", "download-weights", "import-weights", "export"),
    "Test data and tools": ("phantom", "benchmark"),
}
COMMANDS = tuple(name for names in PANELS.values() for name in names)
BENCHMARKS = ("benchmark inference", "benchmark io", "benchmark train")
HEAVY = ("torch", "cv2", "av", "numpy", "matplotlib", "safetensors", "huggingface_hub", "yaml", "jinja2")
# Ctrl-C must work also where the tests run in the background, which ignores SIGINT in all children.
LAUNCH = """
import signal
from endoseg_cli.cli.app import main
signal.signal(signal.SIGINT, signal.default_int_handler)
main()
"""


def python(code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | environment)


def test_help_and_version_import_nothing_heavy() -> None:
    code = f"""
import sys
from endoseg_cli.cli.app import main
for arguments in (["--version"], ["--help"], *([*name.split(), "--help"] for name in {(*COMMANDS, *BENCHMARKS)})):
    try:
        main(arguments)
    except SystemExit as exit_:
        assert exit_.code == 0, (arguments, exit_.code)
    found = [name for name in {HEAVY} if name in sys.modules]
    assert not found, (arguments, found)
"""
    run = python(code)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith(f"endoseg {endoseg_cli.__version__}\n") and run.stderr == ""
    assert all(name in run.stdout for name in COMMANDS)


def test_help_is_grouped_and_has_examples(endoseg: Endoseg) -> None:
    lines = [line.strip(" │\n") for line in endoseg("--help").stdout.splitlines()]
    titles = {title: index for index, line in enumerate(lines) for title in PANELS if line.startswith(f"╭─ {title} ─")}
    for title, names in PANELS.items():
        rows = lines[titles[title] + 1 :]
        rows = rows[: next(index for index, line in enumerate(rows) if line.startswith("╰"))]
        firsts = [row.split()[0] for row in rows]
        assert [first for first in firsts if first in COMMANDS] == list(names)
    assert "Examples:" in lines
    for example in app_module.EXAMPLES:
        assert example in lines, "an example keeps to one line of 80 columns, so that it can be copied"


@pytest.mark.parametrize("command", [*(name for name in COMMANDS if name != "benchmark"), *BENCHMARKS])
def test_each_command_has_an_example_of_itself(endoseg: Endoseg, command: str) -> None:
    assert f"Example: endoseg {command} " in endoseg(*command.split(), "--help").stdout


def test_module_and_function_are_the_same_program() -> None:
    command = [sys.executable, "-m", "endoseg_cli", "--version"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (0, f"endoseg {endoseg_cli.__version__}\n")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_and_termination_keep_what_was_done(
    render: Render, lesion_nowhere: Path, number: signal.Signals, code: int
) -> None:
    path = render(Clip(name="in.mp4", frames=1500, size=(16, 16), options={"preset": "ultrafast"}))
    out = path.parent
    outputs = ["--out", str(out / "m.mp4"), "--masks-dir", str(out / "p"), "--records", str(out / "t.csv")]
    command = [sys.executable, "-c", LAUNCH, "segment", str(path), *outputs, "--weights", str(lesion_nowhere)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while not (out / "p" / "000010.png").exists():
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == code and stdout == "" and "Traceback" not in stderr
    frames = len(decode(out / "m.mp4.endoseg.part")[0])
    assert 10 <= frames < 1500 and f"stopped early; {frames} frames are kept in {out / 'm.mp4.endoseg.part'}" in stderr
    assert not (out / "m.mp4").exists() and not (out / "t.csv").exists()
    assert len((out / "t.csv.endoseg.part").read_text().splitlines()) in (frames + 1, frames + 2)


def test_an_internal_error_is_one_line_and_a_way_to_report_it(
    endoseg: Endoseg, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: object) -> None:
        raise ZeroDivisionError("some\n  bug")

    monkeypatch.setattr("endoseg_cli.networks.files.models.resolve_weights", lambda _: fail())
    run = endoseg("info")
    assert run.code == 1 and run.stdout == "" and "Traceback" not in run.stderr
    assert "internal error: ZeroDivisionError: some bug" in run.stderr and "ENDOSEG_DEBUG=1" in run.stderr


def test_debugging_shows_the_traceback(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ENDOSEG_DEBUG", "1")
    terminate = signal.getsignal(signal.SIGTERM)
    (tmp_path / "a.mp4").touch()
    try:
        with pytest.raises(UsageError, match="nothing to write"):
            app_module.main(["segment", str(tmp_path)])
    finally:
        signal.signal(signal.SIGTERM, terminate)


def test_messages_and_the_names_in_them_stay_on_one_line(endoseg: Endoseg, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> Path:
        raise UsageError("no video  \n.mp4", hint="rename \x1b[1m")

    monkeypatch.setattr("endoseg_cli.networks.files.models.resolve_weights", refuse)
    assert endoseg("info").stderr == "error: no video  \\n.mp4\nhint: rename \\x1b[1m\n"


@pytest.mark.parametrize("arguments", [["no-such-command"], ["info", "--no-such-option"], ["segment"]])
def test_wrong_use_is_2(endoseg: Endoseg, arguments: list[str]) -> None:
    run = endoseg(*arguments)
    assert run.code == 2 and run.stdout == "" and run.stderr.startswith("error: ") and "Traceback" not in run.stderr


def test_without_a_command_there_is_help(endoseg: Endoseg) -> None:
    run = endoseg()
    assert run.code == 2 and "Test data and tools" in run.stdout + run.stderr


def test_a_closed_pipe_is_no_traceback() -> None:
    command = [sys.executable, "-m", "endoseg_cli", "--help"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        stderr = process.stderr.read()
    assert "Traceback" not in stderr


def test_waiting_threads_do_not_spin_unless_the_user_says_so() -> None:
    code = """
import os
from endoseg_cli.cli.app import main
try:
    main(["--version"])
finally:
    print(os.environ["OMP_WAIT_POLICY"])
"""
    given = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    for environment, policy in ((given, "PASSIVE"), (given | {"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE")):
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
        assert run.stdout.splitlines()[-1] == policy


def test_a_name_that_stdout_cannot_encode_is_escaped(tmp_path: Path) -> None:
    missing, raw = tmp_path / "Łódź.safetensors", os.fsdecode(bytes(tmp_path) + b"/\xff.mp4")
    code = "import sys, typer; from endoseg_cli.cli.app import _let_any_file_name_through as go; go()"
    run = subprocess.run(
        [sys.executable, "-c", f"{code}; [typer.echo(name) for name in sys.argv[1:]]", str(missing), raw],
        capture_output=True,
        check=False,
        env=os.environ | {"PYTHONIOENCODING": "cp1252"},
    )
    assert run.returncode == 0, run.stderr
    first, second = run.stdout.splitlines()
    assert first.endswith(rb"/\u0141\xf3d\u017a.safetensors".replace(rb"\xf3", "ó".encode("cp1252")))
    assert second.endswith(b"/\xff.mp4")
