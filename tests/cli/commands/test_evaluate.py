from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import typer
from typer.testing import CliRunner, Result

from endoseg_cli.cli.commands.evaluate import evaluate
from endoseg_cli.errors import EndosegError, InputError, OutputError, UsageError, WeightsError
from endoseg_cli.evaluation.frames.metrics import score_frame
from endoseg_cli.inference.predict.predictor import Predictor
from endoseg_cli.networks.architecture.unet import UNet, UNetConfig
from endoseg_cli.networks.files.bundle import Bundle, ModelCard, load_bundle, save_bundle
from endoseg_cli.pictures.images import read_image, read_mask, write_png

app = typer.Typer()
app.command()(evaluate)
runner = CliRunner()


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two untrained light networks; what they predict is arbitrary, and the same each time."""
    torch.manual_seed(3)
    config = UNetConfig(encoder="mobilenet_v2", decoder_channels=(16, 8, 8, 8, 8), reducer=False)
    networks = (UNet(config).eval(), UNet(config).eval())
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    save_bundle(Bundle(card=ModelCard(architecture=config, networks=2, input_size=(64, 64)), networks=networks), path)
    return path


@pytest.fixture
def labeled(tmp_path: Path) -> Path:
    """Three frames of different sizes in two folders, one without a lesion."""
    rng = np.random.default_rng(0)
    for name, (height, width), radius in (("p1/a", (48, 64), 12), ("p1/b", (80, 60), 0), ("p2/c", (64, 64), 20)):
        image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        mask = np.zeros((height, width), np.uint8)
        if radius:
            cv2.circle(mask, (width // 2, height // 2), radius, 1, -1)
        for kind, pixels in (("images", image), ("masks", mask * np.uint8(255))):
            path = tmp_path / "data" / kind / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_png(path, pixels)
    return tmp_path / "data"


def run(*options: str | Path) -> Result:
    return runner.invoke(app, [*map(str, options), "--device", "cpu"])


def refused(*options: str | Path) -> EndosegError:
    error = run(*options).exception
    assert isinstance(error, EndosegError)
    return error


def test_tables_stand_on_stdout_and_notes_on_stderr(labeled: Path, weights: Path) -> None:
    result = run("--labeled", labeled, "--weights", weights)
    assert result.exit_code == 0, result.output
    for heading in ("Summary", "Image level", "By network", "By folder", "By lesion size", "Threshold sweep"):
        assert heading in result.stdout
    assert "p1" in result.stdout and "Mean of both" in result.stdout
    assert "…" not in result.stdout, "no cell is cut off"
    assert "Only 2 frames have a lesion" in result.stderr and "Only 2" not in result.stdout


def test_numbers_are_those_of_the_predictor_at_full_size(labeled: Path, weights: Path) -> None:
    result = run("--labeled", labeled, "--weights", weights, "--threshold", "0.45", "--json", "--batch-size", "2")
    report = json.loads(result.stdout)
    predictor = Predictor(load_bundle(weights), device="cpu")
    dice = []
    for name in ("p1/a", "p1/b", "p2/c"):
        probability = predictor.predict_any_size([read_image(labeled / "images" / f"{name}.png")])[0][0]
        dice.append(score_frame(probability > 0.45, read_mask(labeled / "masks" / f"{name}.png")).dice)
    assert report["summary"]["dice"]["mean"] == pytest.approx(np.mean(dice), abs=1e-3)
    assert report["provenance"]["network"] == "both" and len(report["networks"]) == 2
    assert report["provenance"]["model_card"]["input_size"] == [64, 64]


def test_one_network_alone_is_the_one_scored_beside_the_other(labeled: Path, weights: Path) -> None:
    both = json.loads(run("--labeled", labeled, "--weights", weights, "--json").stdout)
    second = json.loads(run("--labeled", labeled, "--weights", weights, "--json", "--network", "2").stdout)
    assert second["summary"] == both["networks"][1] != both["networks"][0]
    assert second["networks"] == [] and second["provenance"]["network"] == "2"


def test_files_are_written_and_not_replaced_unasked(labeled: Path, weights: Path, tmp_path: Path) -> None:
    table, page = tmp_path / "out" / "frames.csv", tmp_path / "out" / "report.html"
    options = ("--labeled", labeled, "--weights", weights, "--per-frame", table, "--report", page)
    assert run(*options).exit_code == 0
    with table.open(newline="") as file:
        assert [row["name"] for row in csv.DictReader(file)] == ["p1/a", "p1/b", "p2/c"]
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    error = refused(*options)
    assert isinstance(error, OutputError) and "--overwrite" in str(error)
    assert run(*options, "--overwrite").exit_code == 0


def test_split_chooses_its_val_list(labeled: Path, weights: Path, tmp_path: Path) -> None:
    split = tmp_path / "split.json"
    split.write_text(json.dumps({"train": {"labeled": ["p1/a"], "unlabeled": []}, "val": ["p2/c"]}))
    report = json.loads(run("--split", split, "--root", labeled, "--weights", weights, "--json").stdout)
    assert report["summary"]["frames"] == 1
    assert "split.json" in report["provenance"]["split"]
    assert report["provenance"]["labeled"] == labeled.name and str(labeled) not in json.dumps(report)


def test_wrong_options_are_refused_with_their_names(labeled: Path, weights: Path, tmp_path: Path) -> None:
    wrong: tuple[tuple[tuple[str | Path, ...], str], ...] = (
        ((), "--labeled or --split, found neither"),
        (("--labeled", labeled, "--split", tmp_path / "s.json"), "found both"),
        (("--labeled", labeled, "--root", labeled), "--root belongs to --split"),
        (("--labeled", labeled, "--threshold", "1"), "--threshold"),
        (("--labeled", labeled, "--batch-size", "0"), "--batch-size"),
        (("--labeled", labeled, "--size-bounds", "0.5", "0.1"), "--size-bounds"),
        (("--labeled", labeled, "--report", tmp_path / "x", "--per-frame", tmp_path / "x"), "two files"),
    )
    for options, words in wrong:
        error = refused(*options, "--weights", weights)
        assert isinstance(error, UsageError) and words in error.message, options


def test_missing_data_and_weights_are_told_apart(labeled: Path, weights: Path, tmp_path: Path) -> None:
    assert isinstance(refused("--labeled", tmp_path / "nowhere", "--weights", weights), InputError)
    assert isinstance(refused("--labeled", labeled, "--weights", "no-such-model"), WeightsError)
