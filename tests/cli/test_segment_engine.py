"""`endoseg segment --engine ray` without Ray, and addresses where there is no cluster."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Run
from tests.video.rendering import Clip

Endoseg = Callable[..., Run]
Render = Callable[[Clip], Path]


@pytest.fixture
def clip(render: Render) -> Path:
    return render(Clip(name="in.mp4", frames=2))


def test_without_ray_one_line_says_what_to_install(
    endoseg: Endoseg, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    run = endoseg("segment", clip, "--out", clip.parent / "m.mp4", "--engine", "ray")
    assert run.code == 2 and run.stderr.splitlines() == [
        "error: --engine ray needs the package ray, which is not installed",
        'hint: pip install "endoseg-cli[ray]"',
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["in.mp4", "--address", "auto"], "--address belongs to --engine ray"),
        (["in.mp4", "--retries", "0"], "--retries belongs to --engine ray"),
        (["in.mp4", "--gpus-per-video", "1"], "--gpus-per-video belongs to --engine ray"),
        (["in.mp4", "--engine", "ray", "--cpus-per-video", "1.5"], "--cpus-per-video must be a whole number, or"),
        (["in.mp4", "--engine", "ray", "--cpus-per-video", "0"], "--cpus-per-video must be a whole number, or"),
        (["in.mp4", "--engine", "ray", "--gpus-per-video", "-1"], "--gpus-per-video must be a whole number, or"),
        (["in.mp4", "--engine", "ray", "--out", "https://me:pw@host/m.mp4"], "nothing can be written to https://host"),
        (["in.mp4", "--records", "s3://bucket/t.csv"], "an address is no file: s3://bucket/t.csv"),
        (["in.mp4", "--out", "sftp://host/m.mp4"], "nothing can be written to sftp://host/m.mp4"),
    ],
)
def test_options_that_do_not_go_together(
    endoseg: Endoseg, clip: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    monkeypatch.chdir(clip.parent)
    given = arguments if {"--out", "--records"} & set(arguments) else [*arguments, "--out", "m.mp4"]
    run = endoseg("segment", *given)
    assert run.code == 2 and words in run.stderr and sorted(Path().iterdir()) == [Path("in.mp4")]


def test_an_address_is_read_by_ray_alone(endoseg: Endoseg, tmp_path: Path) -> None:
    run = endoseg("segment", "https://me:pw@host/a.mp4?sig=1", "--out", tmp_path / "m.mp4")
    assert run.code == 3 and "an address is no file: https://host/a.mp4\n" in run.stderr
    assert "or read it with --engine ray" in run.stderr


def test_a_file_address_of_an_output_is_its_path(endoseg: Endoseg, clip: Path, lesion_nowhere: Path) -> None:
    run = endoseg("segment", clip, "--out", f"file://{clip.parent}/m.mp4", "--weights", lesion_nowhere)
    assert run.code == 0 and (clip.parent / "m.mp4").is_file()
