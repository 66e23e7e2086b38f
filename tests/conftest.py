"""Fixtures for all tests: model files, and a way to render clips."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from endoseg_cli.cli.app import main
from tests.networks.tiny import constant_bundle, save_to, tiny_bundle
from tests.video.rendering import Clip, render_clip

os.environ["ONEDNN_MAX_CPU_ISA"] = "AVX512_CORE"
"""Tests compare what runs wrote: on no machine do the networks go over to bfloat16 by themselves."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a command did."""

    code: int
    stdout: str
    stderr: str


@pytest.fixture
def endoseg(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., Run]]:
    """Give a function that runs the command line in this process, through its one entry point."""

    def run(*arguments: object) -> Run:
        with pytest.raises(SystemExit) as exit_:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        assert isinstance(exit_.value.code, int)
        return Run(code=exit_.value.code, stdout=captured.out, stderr=captured.err)

    terminate = signal.getsignal(signal.SIGTERM)
    yield run
    signal.signal(signal.SIGTERM, terminate)


@pytest.fixture
def render(tmp_path: Path) -> Callable[[Clip], Path]:
    """Give a function that renders a `Clip` into the test's folder."""
    return lambda clip: render_clip(tmp_path, clip)


@pytest.fixture(scope="session")
def random_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file of two random networks, 64 x 64."""
    return save_to(tmp_path_factory.mktemp("random"), tiny_bundle())


@pytest.fixture(scope="session")
def lesion_everywhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file that finds a lesion in every pixel."""
    return save_to(tmp_path_factory.mktemp("everywhere"), constant_bundle(8.0, 8.0))


@pytest.fixture(scope="session")
def lesion_nowhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file that finds nothing."""
    return save_to(tmp_path_factory.mktemp("nowhere"), constant_bundle(-8.0, -8.0))


@pytest.fixture(scope="session")
def two_classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file of two classes: polyp everywhere, instrument nowhere."""
    return save_to(tmp_path_factory.mktemp("classes"), constant_bundle(8.0, class_names=("polyp", "instrument")))
