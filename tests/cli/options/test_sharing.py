"""How the inputs of `segment` are shared among processes and machines, and which ways do not go together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from endoseg_cli.cli.options.sharing import SharingOptions, is_first_rank
from endoseg_cli.errors import UsageError
from endoseg_cli.inference.job import NOTHING_DONE
from endoseg_cli.inference.many import how_many, run
from tests.conftest import Run
from tests.video.rendering import Clip

Endoseg = Callable[..., Run]
Render = Callable[[Clip], Path]


@pytest.mark.parametrize("wrong", ["0", "-1", "1.5", "many", "1025", ""])
def test_jobs_is_a_number_or_auto(wrong: str) -> None:
    assert SharingOptions(jobs="auto").processes() is None and SharingOptions(jobs="12").processes() == 12
    with pytest.raises(UsageError, match="--jobs must be auto or a number from 1 to 1024"):
        SharingOptions(jobs=wrong).processes()


def test_torchrun_shares_the_inputs_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_first_rank()
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert SharingOptions().share() is None and not is_first_rank()
    for options in (SharingOptions(jobs="2"), SharingOptions(jobs="auto"), SharingOptions(shard="1/2")):
        with pytest.raises(UsageError, match="torchrun shares the inputs"):
            options.share()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many processes were asked for; none is started."""
    counts: list[int] = []

    def start_none(*_: Any, processes: int, **__: Any) -> object:
        counts.append(processes)
        return NOTHING_DONE

    monkeypatch.setattr(run, "segment_by_processes", start_none)
    return counts


def test_one_input_needs_no_other_process(
    endoseg: Endoseg, render: Render, lesion_nowhere: Path, tmp_path: Path, asked: list[int]
) -> None:
    clip = render(Clip(name="a.mp4", frames=2))
    outputs = ("--out", tmp_path / "m.mp4", "--weights", lesion_nowhere, "--jobs", "4")
    done = endoseg("segment", clip, *outputs)
    assert done.code == 0 and (tmp_path / "m.mp4").exists() and asked == []


def test_memory_that_may_not_suffice_is_told_before_the_start(
    endoseg: Endoseg,
    render: Render,
    lesion_nowhere: Path,
    tmp_path: Path,
    asked: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clips = [render(Clip(name=name, frames=2)) for name in ("a.mp4", "b.mp4", "c.mp4")]
    command = ("segment", *clips, "--out", tmp_path / "o", "--weights", lesion_nowhere, "--jobs")
    monkeypatch.setattr(how_many, "available_memory", lambda: 1 << 30)
    told = endoseg(*command, "3")
    assert "--jobs 3 may take 1." in told.stderr and "--jobs 2 would fit" in told.stderr
    assert "would fit" not in endoseg(*command, "2").stderr and asked == [3, 2]


def test_what_is_piped_in_is_not_shared(endoseg: Endoseg, render: Render, lesion_nowhere: Path, tmp_path: Path) -> None:
    clip = render(Clip(name="a.mp4", frames=2))
    command = ("segment", "/dev/stdin", clip, "--out", tmp_path / "o", "--weights", lesion_nowhere, "--jobs", "2")
    refused = endoseg(*command)
    assert refused.code == 2 and "only one process can read what is piped in: /dev/stdin" in refused.stderr
