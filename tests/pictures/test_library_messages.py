"""Decoders' words are heard by the thread that decodes; at all other times C's stderr is C's own."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from endoseg_cli.pictures import library_messages
from endoseg_cli.pictures.library_messages import overheard

pytestmark = pytest.mark.skipif(library_messages._ear is None, reason="heard on Linux with glibc alone")


def c_stderr() -> int | None:
    return ctypes.c_void_p.in_dll(ctypes.CDLL(None), "stderr").value


def say(text: bytes) -> None:
    libc = ctypes.CDLL(None)
    libc.fputs(ctypes.c_char_p(text), ctypes.c_void_p(c_stderr()))


def test_what_is_said_meanwhile_is_heard_by_its_thread_alone(capfd: pytest.CaptureFixture[str]) -> None:
    own = c_stderr()

    def other() -> None:
        say(b"of another thread")

    with overheard() as said:
        assert c_stderr() != own
        say(b"Corrupt JPEG data: mine")
        with overheard() as inner:
            say(b"inner")
        say(b"mine again")
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert said == ["Corrupt JPEG data: mine", "mine again"] and inner == ["inner"]
    assert c_stderr() == own
    assert capfd.readouterr().err == "of another thread"


def test_cs_stderr_is_its_own_when_the_last_of_several_threads_has_done() -> None:
    own, inside, leave = c_stderr(), threading.Barrier(3), threading.Event()

    def listen() -> None:
        with overheard():
            inside.wait(10)
            leave.wait(10)

    threads = [threading.Thread(target=listen) for _ in range(2)]
    for thread in threads:
        thread.start()
    inside.wait(10)
    with overheard():
        pass
    assert c_stderr() != own, "two still listen"
    leave.set()
    for thread in threads:
        thread.join()
    assert c_stderr() == own


def test_a_forked_process_has_cs_own_stderr() -> None:
    own = c_stderr()
    with overheard():
        child = os.fork()
        if not child:
            os._exit(0 if c_stderr() == own else 1)
        assert os.waitpid(child, 0)[1] == 0 and c_stderr() != own


def test_words_in_the_midst_of_an_error_of_pythons_crash_nothing(tmp_path: Path) -> None:
    """-X importtime prints from C while the error of a failed import is pending, where no Python may be called."""
    (tmp_path / "broken.py").write_text("import there_is_no_such_module")
    code = "import endoseg_cli.pictures.images\ntry:\n    import broken\nexcept ImportError:\n    print('went on')\n"
    run = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(Path.cwd())])},
    )
    assert (run.returncode, run.stdout) == (0, "went on\n"), run.stderr[-500:]
    assert "| broken" in run.stderr and "Traceback" not in run.stderr
