"""What the Tab key offers."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from endoseg_cli.cli.options.completion import complete_device, complete_downloads, complete_weights
from tests.cli.shell import run_in_bash
from tests.conftest import Run

Endoseg = Callable[..., Run]
PRESS_TAB = """
source "$HOME/.bashrc"
COMP_WORDS=(endoseg segment --overl)
COMP_CWORD=2
_endoseg_completion endoseg
echo "${COMPREPLY[@]}"
"""


def test_bash_completes_after_install_completion(tmp_path: Path) -> None:
    installed = run_in_bash(tmp_path, "endoseg --install-completion")
    assert installed.returncode == 0 and "bash completion installed" in installed.stdout, installed.stderr
    pressed = run_in_bash(tmp_path, PRESS_TAB)
    assert pressed.returncode == 0 and pressed.stdout.split() == [
        "--overlay",
        "--overlay-strength",
        "--overlay-color",
    ]


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("endoseg tr", ["train", "train-corrective"]),
        ("endoseg benchmark ", ["inference", "io", "train"]),
        ("endoseg segment --mi", ["--min-area"]),
        ("endoseg train --threshold-scope p", ["pseudo-class"]),
        ("endoseg train --no-mut", ["--no-mutual-learning"]),
        ("endoseg segment colon", []),
    ],
)
def test_commands_options_and_choices_are_offered(
    endoseg: Endoseg, monkeypatch: pytest.MonkeyPatch, typed: str, offered: list[str]
) -> None:
    monkeypatch.setenv("_ENDOSEG_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", typed)
    monkeypatch.setenv("COMP_CWORD", str(typed.count(" ")))
    run = endoseg()
    assert (run.code, run.stdout.split()) == (0, offered)


def test_the_tab_key_imports_nothing_heavy() -> None:
    code = """
import sys
from endoseg_cli.cli.app import main
try:
    main([])
finally:
    assert not {"torch", "cv2", "av", "numpy"} & set(sys.modules)
"""
    typed = {"_ENDOSEG_COMPLETE": "complete_bash", "COMP_WORDS": "endoseg inf", "COMP_CWORD": "1"}
    command = [sys.executable, "-W", "error", "-c", code]
    run = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **typed})
    assert (run.returncode, run.stdout.strip()) == (0, "info"), run.stderr


def test_models_devices_and_weights_are_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "runs" / "first").mkdir(parents=True)
    (tmp_path / "runs" / "first" / "model.safetensors").touch()
    (tmp_path / "polyp-mine.safetensors").touch()
    (tmp_path / "notes.txt").touch()
    monkeypatch.chdir(tmp_path)
    assert complete_weights("polyp") == ["polyp-lite", "polyp-mine.safetensors"]
    assert complete_weights("ru") == ["runs/"] and complete_weights("runs/") == ["runs/first"]
    assert complete_weights(f"{tmp_path}/no") == [] and complete_weights("runs/first/m")[0].endswith(
        "model.safetensors"
    )
    assert complete_device("c") == ["cpu", "cuda"] and complete_downloads("resnet34")
    code = (
        "import sys\nfrom endoseg_cli.cli.options.completion import complete_downloads, complete_weights\n"
        "complete_weights(''), complete_downloads('')\nsys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
