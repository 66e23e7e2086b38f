from __future__ import annotations

import json

import pytest
import typer
from endoseg_cli.training.engine.benchmark import TrainBenchmarkConfig, benchmark_train
from typer.testing import CliRunner

from endoseg_cli.cli.commands.benchmark import benchmark
from endoseg_cli.errors import UsageError

CONFIG = TrainBenchmarkConfig(encoder="mobilenet_v2", size=(32, 32), batch_size=2, num_passes=2, repeats=2)


def test_both_schedules_are_timed_and_agree() -> None:
    found = benchmark_train(CONFIG)
    assert found.plain_seconds > 0 and found.fast_seconds > 0 and found.ratio > 0
    assert found.largest_difference < 1e-3
    assert found.boxed == 0.5


def test_the_command_prints_json() -> None:
    app = typer.Typer()
    app.add_typer(benchmark, name="benchmark")
    options = ["--encoder", "mobilenet_v2", "--size", "32", "--batch-size", "1", "--num-passes", "1", "--repeats", "1"]
    result = CliRunner().invoke(app, ["benchmark", "train", *options, "--json"], catch_exceptions=False)
    assert result.exit_code == 0
    assert set(json.loads(result.stdout)) == {"plain_seconds", "fast_seconds", "ratio", "largest_difference", "boxed"}


def test_impossible_numbers_are_a_usage_error() -> None:
    with pytest.raises(UsageError, match="--repeats must be at least 1, found 0"):
        TrainBenchmarkConfig(repeats=0)
