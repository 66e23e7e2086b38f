from __future__ import annotations

from pathlib import Path

import pytest

from endoseg_cli.errors import OutputError, UsageError
from endoseg_cli.evaluation.report.output import check_output


def test_existing_output_is_refused_unless_it_may_be_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "frames.csv"
    check_output(path, "--per-frame", overwrite=False)
    path.write_text("old")
    with pytest.raises(OutputError, match="exists already"):
        check_output(path, "--per-frame", overwrite=False)
    check_output(path, "--per-frame", overwrite=True)


def test_folder_as_output_names_the_option(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--report needs a file"):
        check_output(tmp_path, "--report", overwrite=True)
