"""A training step, plain and fast: the same numbers, and what `benchmark train` prints. No time is asserted."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from endoseg_cli.benchmark.plain_step import PlainLearner
from endoseg_cli.benchmark.train import TrainBenchmark, make_batches
from endoseg_cli.data.views.datasets import TrainingBatch
from endoseg_cli.errors import DeviceError, UsageError
from endoseg_cli.training.engine.learner import Learner
from endoseg_cli.training.methods.table import method_settings
from endoseg_cli.training.settings.config import TrainConfig
from endoseg_cli.training.strategies.objective import ObjectiveWeights
from tests.conftest import Run
from tests.training.small import CONFIG, boxed

Endoseg = Callable[..., Run]
CPU = torch.device("cpu")
SMALL = ("--encoder", "mobilenet_v2", "--size", 64, "--batch-size", 2, "--num-passes", 2, "--device", "cpu")


def of_method(name: str) -> TrainConfig:
    return boxed(replace(CONFIG, size=(64, 64), batch_size=4, **method_settings(name)), 0.5)


@pytest.fixture(scope="module")
def batch(tmp_path_factory: pytest.TempPathFactory) -> TrainingBatch:
    return make_batches(of_method("endo-semis"), tmp_path_factory.mktemp("frames"))[1]


@pytest.mark.parametrize("method", ["endo-semis", "unimatch", "mean-teacher", "cps"])
def test_plain_teachers_say_the_same(batch: TrainingBatch, method: str) -> None:
    said = []
    for make in (PlainLearner, Learner):
        learner = make(of_method(method), device=CPU)
        said.append(learner.teach(learner.views(batch.labeled.images, batch.unlabeled), 1))
    for plain, fast in zip(*said, strict=True):
        torch.testing.assert_close(plain.passes, fast.passes, rtol=0, atol=1e-4)
        torch.testing.assert_close(plain.labeled, fast.labeled, rtol=0, atol=1e-4)
        assert (plain.other_passes is None) == (fast.other_passes is None) == (method != "unimatch")
        if plain.other_passes is not None and fast.other_passes is not None:
            torch.testing.assert_close(plain.other_passes, fast.other_passes, rtol=0, atol=1e-4)


@pytest.mark.parametrize("method", ["supervised", "endo-semis"])
def test_a_plain_step_has_the_same_terms_and_moves_the_networks(batch: TrainingBatch, method: str) -> None:
    weights = ObjectiveWeights(unsupervised=0.5 * (method != "supervised"))
    learners = [make(of_method(method), device=CPU) for make in (PlainLearner, Learner)]
    plain, fast = (dict(learner.compute_gradients(batch, 1, weights)) for learner in learners)
    assert plain == pytest.approx(fast, rel=0.01, abs=0.01) and len(plain) > 1
    for network in learners[0].networks:
        filters = [p for p in network.parameters() if p.dim() == 4 and p.shape[1] > 1 and p.shape[2] > 1]
        assert filters and not any(p.is_contiguous(memory_format=torch.channels_last) for p in filters)
    before = [p.detach().clone() for p in learners[0].networks[0].parameters()]
    learners[0].update(1e-3)
    assert not all(torch.equal(p, q) for p, q in zip(learners[0].networks[0].parameters(), before, strict=True))


def test_json_has_every_way_and_the_length_of_a_run(endoseg: Endoseg, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("endoseg_cli.benchmark.train.resolve_precision", lambda *_: "bf16")
    run = endoseg("benchmark", "train", *SMALL, "--repeats", 2, "--steps", 1000, "--json", "--quiet")
    assert (run.code, run.stderr) == (0, "")
    report = json.loads(run.stdout)
    assert (report["schema"], report["schema_version"], report["benchmark"]) == ("endoseg.benchmark", 1, "train")
    settings = report["settings"]
    assert (settings["method"], settings["steps"], settings["supervised_steps"]) == ("endo-semis", 1000, 250)
    assert settings["batch_size"] == settings["unlabeled_batch_size"] == 2
    ways = report["steps"]
    names = ["plain fp32", "fast fp32", "fast bf16"]
    assert [f"{way['schedule']} {way['precision']}" for way in ways] == names
    preparing = report["preparing_seconds"]["median"]
    for way in ways:
        for step in (way["step"], way["supervised_step"]):
            assert len(step["seconds"]) == 2 and min(step["seconds"]) > 0
            assert min(step["seconds"]) <= step["median"] <= max(step["seconds"])
        expected = 750 * way["step"]["median"] + 250 * way["supervised_step"]["median"] + 1000 * preparing
        assert way["run_seconds"] == pytest.approx(expected)
        assert way["peak_memory"]["resident_bytes"] > 50e6
    assert [(row["of"], row["to"]) for row in report["ratios"]] == [
        (names[1], names[0]),
        (names[2], names[0]),
        (names[2], names[1]),
    ]
    rounds = [slow / fast for slow, fast in zip(ways[0]["step"]["seconds"], ways[1]["step"]["seconds"], strict=True)]
    assert report["ratios"][0]["times_as_fast"]["rounds"] == pytest.approx(rounds)
    assert 0 <= report["boxed_share"] <= 1 and 0 <= report["largest_difference"] < 1e-2


def test_a_table_of_a_supervised_run_without_bf16(endoseg: Endoseg, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("endoseg_cli.benchmark.train.resolve_precision", lambda *_: "fp32")
    run = endoseg("benchmark", "train", *SMALL, "--repeats", 1, "--method", "supervised", "--frames", 50)
    assert run.code == 0, run.stderr
    assert "plain fp32" in run.stdout and "fast fp32" in run.stdout and "bf16" not in run.stdout
    assert "2500 steps, 0 of them" in run.stdout.replace("\n", " ")
    assert run.stderr.startswith("rendering frames\nwarm-up\nbatch 1 of 1")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--repeats", "0"), "--repeats must be 1 to 1000, found 0"),
        (("--frames", "0"), "--frames must be 1 or more, found 0"),
        (("--steps", "0"), "--steps must be at least 1, found 0"),
        (("--method", "magic"), "--method must be"),
        (("--size", "8"), "--size must be 32"),
        (("--batch-size", "0"), "--batch-size must be at least 1, found 0"),
        (("--threads", "0"), "--threads must be 1 to 1024, found 0"),
        (("--device", "tpu"), "--device tpu is not known"),
    ],
)
def test_impossible_numbers_are_one_line(endoseg: Endoseg, options: tuple[str, str], says: str) -> None:
    run = endoseg("benchmark", "train", *options)
    assert run.code == 2 and run.stdout == "" and run.stderr.startswith(f"error: {says}")


def test_a_batch_that_does_not_fit_says_which_would(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = PlainLearner.compute_gradients

    def compute(self: PlainLearner, part: TrainingBatch, *rest: object, **more: object) -> object:
        if len(part.labeled.images) > 1:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return real(self, part, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(PlainLearner, "compute_gradients", compute)
    with pytest.raises(DeviceError, match="2 labelled frames; 1 would fit"):
        TrainBenchmark(config=replace(CONFIG, size=(64, 64)), device=CPU, repeats=1).run(tmp_path, lambda _: None)


def test_numbers_are_checked_without_the_command() -> None:
    with pytest.raises(UsageError, match="--frames"):
        TrainBenchmark(config=CONFIG, device=CPU, frames=0)
    with pytest.raises(UsageError, match="--batch-size 1 of 32x32 leaves BatchNorm one value"):
        replace(CONFIG, batch_size=1)
