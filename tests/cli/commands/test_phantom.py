from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from endoseg_cli.cli.commands.phantom import parse_size, phantom
from endoseg_cli.errors import EndosegError, OutputError, UsageError

app = typer.Typer()
app.command()(phantom)
runner = CliRunner()


def failure(*arguments: str) -> EndosegError:
    result = runner.invoke(app, list(arguments))
    assert isinstance(result.exception, EndosegError), result.output
    return result.exception


def test_paths_stand_on_stdout_and_the_files_are_there(tmp_path: Path) -> None:
    out = tmp_path / "p"
    options = [
        "--stills",
        "2",
        "--clips",
        "1",
        "--seconds",
        "0.4",
        "--fps",
        "5",
        "--size",
        "48x32",
        "--scene",
        "ureter",
    ]
    result = runner.invoke(app, [str(out), *options, "--lesion-fraction", "0.05", "0.3", "--seed", "7"])
    assert result.exit_code == 0, result.output
    clip = out / "clips" / "ureter-0007-000.mp4"
    assert result.stdout.splitlines() == [str(out / "images"), str(clip), str(out / "phantom.json")]
    assert clip.is_file() and len(list((out / "clips" / "ureter-0007-000_masks").iterdir())) == 2
    assert len(list((out / "masks").iterdir())) == 2


def test_an_existing_folder_needs_overwrite(tmp_path: Path) -> None:
    options = [str(tmp_path), "--stills", "1", "--size", "32"]
    assert runner.invoke(app, options).exit_code == 0
    error = failure(*options)
    assert isinstance(error, OutputError) and "--overwrite" in (error.hint or "")
    assert runner.invoke(app, [*options, "--overwrite"]).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--stills 0 --clips 0"),
        (["--stills", "1", "--scene", "stomach"], "--scene"),
        (["--stills", "1", "--size", "big"], "--size"),
        (["--stills", "1", "--lesion-fraction", "0.5", "0.1"], "--lesion-fraction"),
    ],
)
def test_wrong_use_is_refused_before_anything_is_written(tmp_path: Path, arguments: list[str], message: str) -> None:
    error = failure(str(tmp_path / "p"), *arguments)
    assert isinstance(error, UsageError) and message in error.message
    assert not (tmp_path / "p").exists()


def test_sizes_are_width_by_height_or_a_square() -> None:
    assert parse_size("384x320") == (320, 384)
    assert parse_size("64") == (64, 64)
