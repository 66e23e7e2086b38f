"""The command keeps freed memory, and its children do; the environment's own word goes before."""

from __future__ import annotations

import gc
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from endoseg_cli.process import starting

FAULTS = """
import resource
from endoseg_cli.process import prepare_process
prepare_process()
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        large = b"x" * (48 << 20)
        del large
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
print(faults())
"""
PIECE = 48 << 20
needs_glibc = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="another C library keeps memory by other rules"
)


def printed(code: str, **variables: str) -> str:
    own = ("MALLOC_", "GLIBC_TUNABLES", "OMP_WAIT_POLICY")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(own)} | variables
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    return run.stdout.strip()


@needs_glibc
def test_freed_memory_is_used_again_without_asking_the_kernel() -> None:
    pages = 10 * PIECE // os.sysconf("SC_PAGE_SIZE")
    assert int(printed(FAULTS)) < pages / 20
    # glibc's own rule, said by the environment: every large piece is mapped anew, page by page
    assert int(printed(FAULTS, MALLOC_MMAP_THRESHOLD_="131072")) > pages / 2 or huge_pages()


def huge_pages() -> bool:
    """Return whether the kernel gives large pages unasked, so that there are few faults whatever is done."""
    return "[always]" in Path("/sys/kernel/mm/transparent_hugepage/enabled").read_text()


@needs_glibc
def test_processes_that_it_starts_do_the_same() -> None:
    child = """
import subprocess, sys
from endoseg_cli.process import prepare_process
prepare_process()
print(subprocess.run([sys.executable, "-c", sys.argv[1]], capture_output=True, text=True, check=True).stdout)
"""
    plain = FAULTS.replace("prepare_process()\n", "", 1).replace(
        "from endoseg_cli.process import prepare_process\n", ""
    )
    found = printed(child.replace("sys.argv[1]", repr(plain)))
    assert int(found) < 10 * PIECE // os.sysconf("SC_PAGE_SIZE") / 20


def test_a_process_of_others_gets_the_environment_as_it_was() -> None:
    code = """
import os
before = dict(os.environ)
from endoseg_cli.process import environment_before, prepare_process
prepare_process()
print(environment_before() == before, dict(os.environ) == before)
"""
    assert printed(code) == "True False"
    assert printed(code, OMP_WAIT_POLICY="PASSIVE", MALLOC_ARENA_MAX="4") == "True True", "the user's own words stay"


def test_what_the_environment_says_stays() -> None:
    code = (
        "import os; from endoseg_cli.process import prepare_process; prepare_process();"
        " print(*sorted(name for name in os.environ if name.startswith('MALLOC_')), os.environ['OMP_WAIT_POLICY'])"
    )
    assert printed(code, MALLOC_ARENA_MAX="2", OMP_WAIT_POLICY="ACTIVE") == "MALLOC_ARENA_MAX ACTIVE"
    assert printed(code).endswith("PASSIVE")


@pytest.fixture
def counted_freezes(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What was frozen, in a process where nothing was before; the real heap stays as it is."""
    frozen: list[str] = []
    monkeypatch.setattr("endoseg_cli.process.gc.freeze", lambda: frozen.append("all"))
    monkeypatch.setattr("endoseg_cli.process.gc.get_freeze_count", lambda: len(frozen))
    yield frozen
    gc.enable()


def test_garbage_is_not_looked_for_while_starting(counted_freezes: list[str]) -> None:
    with starting() as started:
        assert not gc.isenabled() and not counted_freezes
        started()
        assert gc.isenabled() and counted_freezes
        started()
    assert gc.isenabled() and counted_freezes == ["all"]
    with starting():  # in a process that lives on
        assert not gc.isenabled()
    assert gc.isenabled() and counted_freezes == ["all"]


def test_garbage_is_looked_for_again_after_an_error(counted_freezes: list[str]) -> None:
    with pytest.raises(RuntimeError), starting():
        raise RuntimeError("no such model")
    assert gc.isenabled()


def test_a_program_that_looks_for_garbage_itself_is_left_alone(counted_freezes: list[str]) -> None:
    gc.disable()
    with starting() as started:
        started()
        assert not gc.isenabled()
    assert not gc.isenabled() and not counted_freezes
