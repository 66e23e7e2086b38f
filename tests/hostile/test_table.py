"""Every case of the table: what is promised happens, in words, without a traceback, and nothing half stays behind."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Run
from tests.hostile.cases import Case
from tests.hostile.command_cases import COMMAND_CASES
from tests.hostile.data_cases import DATA_CASES

CASES = (*DATA_CASES, *COMMAND_CASES)
pytestmark = pytest.mark.timeout(60)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_is_promised_happens(
    case: Case, tmp_path: Path, endoseg: Callable[..., Run], lesion_everywhere: Path
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    case.make(folder)
    words = [
        word.replace("{model}", str(lesion_everywhere)).replace("{}", str(folder)) for word in case.command.split()
    ]
    run = endoseg(*words)
    told = run.stderr + run.stdout
    assert run.code == case.code, told
    assert re.search(case.says, told), told
    assert "Traceback" not in told and "internal error" not in told, told
    assert (run.code in (0, 7)) or re.search("error: |fault: |warning: ", told), told
    assert not [path for path in tmp_path.rglob("*") if path.name.endswith((".endoseg.part", ".endoseg.tmp"))]
    for name in case.leaves.split():
        assert (folder / name).exists(), name


def test_the_table_is_as_long_as_promised() -> None:
    assert len(CASES) == len({case.name for case in CASES}) >= 100
