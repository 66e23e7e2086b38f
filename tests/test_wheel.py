"""What a user gets who installs the wheel on a machine without the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

import endoseg_cli
from tests.inference.brightness import decode, disc_picture
from tests.video.rendering import Clip, render_clip

ROOT = Path(__file__).resolve().parent.parent
# Nothing of the environment that runs the tests may help the new one.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
FIND_WEIGHTS = """
from pathlib import Path
import endoseg_cli
package = Path(endoseg_cli.__file__).parent
print(package)
print(*(file.name for file in package.glob("weights/*.safetensors")))
"""


def run(*command: object, cwd: Path) -> str:
    """Run a command and return its stdout; its stderr is shown if it fails."""
    texts = [str(part) for part in command]
    result = subprocess.run(texts, cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"{texts}\n{result.stdout}\n{result.stderr}"
    return result.stdout


@pytest.mark.timeout(900)
def test_an_installed_wheel_segments_with_its_own_model_and_templates(tmp_path: Path) -> None:
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path, ROOT, cwd=tmp_path)
    [wheel] = tmp_path.glob("endoseg_cli-*.whl")
    templates = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("endoseg_cli/**/templates/*")}
    assert templates and templates <= set(ZipFile(wheel).namelist())
    environment = tmp_path / "environment"
    run(sys.executable, "-m", "venv", environment, cwd=tmp_path)
    scripts = environment / ("Scripts" if sys.platform == "win32" else "bin")
    run(scripts / "python", "-m", "pip", "install", "--quiet", wheel, cwd=tmp_path)

    package, weights = run(scripts / "python", "-c", FIND_WEIGHTS, cwd=tmp_path).splitlines()
    assert Path(package).is_relative_to(environment) and "polyp-lite.safetensors" in weights.split()
    assert run(scripts / "endoseg", "--version", cwd=tmp_path) == f"endoseg {endoseg_cli.__version__}\n"
    clip = render_clip(tmp_path, Clip(name="clip.mp4", frames=5, picture=disc_picture))
    outputs = ("--out", "mask.mp4", "--records", "lesions.csv", "--report", "page.html")
    printed = run(scripts / "endoseg", "segment", clip, *outputs, cwd=tmp_path)
    assert printed.splitlines() == ["mask.mp4", "page.html", "lesions.csv"]
    assert len(decode(tmp_path / "mask.mp4")[0]) == 5
    run(scripts / "endoseg", "phantom", "stills", "--stills", 2, "--size", 64, cwd=tmp_path)
    run(scripts / "endoseg", "evaluate", "--labeled", "stills", "--report", "report.html", cwd=tmp_path)
    for page, style in (("page.html", "#timeline"), ("report.html", ".tiles")):
        text = (tmp_path / page).read_text(encoding="utf-8")
        assert text.startswith("<!DOCTYPE html>") and style in text.partition("</style>")[0], page
