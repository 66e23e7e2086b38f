from __future__ import annotations

import csv
import inspect
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import typer
import yaml
from typer.testing import CliRunner

from endoseg_cli.cli.commands.train import _of_the_model, train
from endoseg_cli.data.sets.sources import SourcesConfig
from endoseg_cli.data.sets.split import read_split
from endoseg_cli.errors import EndosegError, InputError, OutputError, UsageError, WeightsError
from endoseg_cli.locks import lock
from endoseg_cli.networks.files.bundle import Bundle, load_bundle, save_bundle
from endoseg_cli.training.engine.checkpoint import load_checkpoint
from endoseg_cli.training.methods.table import METHODS
from endoseg_cli.training.runs.log import read_metrics
from endoseg_cli.training.settings.config import TrainConfig
from tests.networks.tiny import TINY, tiny_bundle, tiny_network
from tests.training.small import save_frames

app = typer.Typer()
app.command()(train)
runner = CliRunner()
SMALL = (
    *("--encoder", "mobilenet_v2", "--decoder-channels", "8,8,8,8,8", "--encoder-weights", "none", "--size", "32"),
    *("--batch-size", "2", "--num-passes", "2", "--warm-up-steps", "1", "--ramp-steps", "2", "--no-corrective"),
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    root = tmp_path_factory.mktemp("frames")
    for name, count, seed in (("l", 3, 0), ("v", 2, 50), ("u", 5, 100)):
        save_frames(root / name, count, seed)
    return ("--labeled", str(root / "l"), "--val", str(root / "v"), "--unlabeled", str(root / "u" / "images"))


def invoke(*arguments: str) -> str:
    result = runner.invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def error_of(*arguments: str) -> EndosegError:
    with pytest.raises(EndosegError) as error:
        runner.invoke(app, list(arguments), catch_exceptions=False)
    return error.value


def test_a_run_leaves_a_model_and_its_story(data: Sequence[str], tmp_path: Path) -> None:
    out = tmp_path / "run"
    printed = invoke(*data, *SMALL, "--max-steps", "4", "--validate-every", "2", "--out", str(out))
    assert printed == f"{out / 'model.safetensors'}\n"
    names = {"config.yaml", "split.json", "metrics.csv", "curves.png", "sample.png", "last.pt", "best1.pt", "best2.pt"}
    assert {path.name for path in out.iterdir()} == {*names, "model.safetensors", "README.md"}
    card = (out / "README.md").read_text()
    assert "3 labelled and 5 unlabelled" in card and "mobilenet_v2" in card and "validation dice" in card
    bundle = load_bundle(out / "model.safetensors")
    assert bundle.card.networks == 2 and "3 labelled and 5 unlabelled" in bundle.card.training_data
    rows = read_metrics(out / "metrics.csv")
    assert [row["step"] for row in rows] == ["2", "4"]
    wanted = {"seconds", "learning_rate", "supervised_1", "cross_2", "joint_1", "gradient_cross_1"}
    wanted |= {
        "probability_mse",
        "bottleneck_kl",
        "bottleneck_spread_2",
        "val_dice_1",
        "val_dice_2",
        "agreement",
        "foreground_kept_2",
    }
    assert wanted <= set(rows[1])
    record = yaml.safe_load((out / "config.yaml").read_text())["record"]
    assert len(record["data_digest"]) == 64 and record["versions"]["torch"] == str(torch.__version__)
    assert record["schedule"]["steps_per_epoch"] == 3
    split = read_split(out / "split.json", outside=True)
    assert (len(split.labeled), len(split.unlabeled), len(split.val)) == (3, 5, 2)

    for name, data_again in (
        ("again", ("--config", str(out / "config.yaml"))),
        ("split", ("--split", str(out / "split.json"), "--outside-root", *SMALL, "--max-steps", "4")),
    ):
        invoke(*data_again, "--validate-every", "2", "--out", str(tmp_path / name))
        assert read_metrics(tmp_path / name / "metrics.csv")[1]["supervised_1"] == rows[1]["supervised_1"], name
    assert "--outside-root" in str(error_of("--split", str(out / "split.json"), "--out", str(tmp_path / "no")))
    assert isinstance(error_of("--config", str(out / "config.yaml"), "--out", str(out)), OutputError)


def start(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "error", "-m", "endoseg_cli", "train", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, stdout=pipe, stderr=pipe, text=True, env=environment, cwd=Path(__file__).parents[3]
    )


def finish(process: subprocess.Popen[str]) -> str:
    stdout, stderr = process.communicate(timeout=200)
    assert process.returncode == 0, stderr
    return stdout


def test_a_killed_run_goes_on_to_the_same_bits(data: Sequence[str], tmp_path: Path) -> None:
    settings = (*data, *SMALL, "--max-steps", "6", "--validate-every", "3", "--checkpoint-every", "1")
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    finish(start(*settings, "--out", str(whole)))
    process = start(*settings, "--out", str(killed))
    while not (killed / "last.pt").is_file() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert load_checkpoint(killed / "last.pt")["step"] < 6
    assert finish(start("--resume", str(killed))) == f"{killed / 'model.safetensors'}\n"

    one, other = load_bundle(whole / "model.safetensors"), load_bundle(killed / "model.safetensors")
    for first, second in zip(one.networks, other.networks, strict=True):
        for name, tensor in first.state_dict().items():
            assert torch.equal(tensor, second.state_dict()[name]), name
    rows = [[{**row, "seconds": ""} for row in read_metrics(run / "metrics.csv")] for run in (whole, killed)]
    assert rows[0] == rows[1]

    (image,) = Path(data[1]).glob("images/0.png")
    image.write_bytes(image.read_bytes() + b" ")
    assert isinstance(error_of("--resume", str(killed), "--max-steps", "7"), InputError)


def test_resume_takes_no_settings_and_needs_a_run(data: Sequence[str], tmp_path: Path) -> None:
    assert "--batch-size" in error_of("--resume", str(tmp_path), "--batch-size", "2").message
    assert "nothing to resume" in error_of("--resume", str(tmp_path)).message
    assert "--out" in error_of(*data).message


def told(*arguments: str) -> str:
    result = runner.invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stderr


def test_a_finished_run_is_left_alone_until_it_is_made_longer(data: Sequence[str], tmp_path: Path) -> None:
    out = tmp_path / "run"
    invoke(*data, *SMALL, "--max-steps", "4", "--validate-every", "2", "--out", str(out))
    assert yaml.safe_load((out / "config.yaml").read_text())["record"]["finished"]["steps"] == 4
    before = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    assert "finished" in told("--resume", str(out))
    assert {path.name: path.stat().st_mtime_ns for path in out.iterdir()} == before

    assert "the run's own 4" in error_of("--resume", str(out), "--max-steps", "4").message
    assert "counts steps" in error_of("--resume", str(out), "--epochs", "900").message
    invoke("--resume", str(out), "--max-steps", "6")
    assert [row["step"] for row in read_metrics(out / "metrics.csv")] == ["2", "4", "6"]
    found = yaml.safe_load((out / "config.yaml").read_text())
    assert found["training"]["max_steps"] == 6 and found["record"]["finished"]["steps"] == 6
    assert "finished" in told("--resume", str(out))


def test_a_run_goes_on_where_its_data_were_moved_to(data: Sequence[str], tmp_path: Path) -> None:
    root = Path(data[1]).parent
    shutil.copytree(root, tmp_path / "before")
    paths = [str(tmp_path / "before" / Path(path).relative_to(root)) for path in data[1::2]]
    named = [text for option, path in zip(data[::2], paths, strict=True) for text in (option, path)]
    invoke(*named, *SMALL, "--max-steps", "2", "--validate-every", "2", "--out", str(tmp_path / "run"))
    (tmp_path / "before").rename(tmp_path / "after")
    (tmp_path / "run").rename(tmp_path / "moved")
    longer = ("--resume", str(tmp_path / "moved"), "--max-steps", "4")
    assert isinstance(error_of(*longer), EndosegError)
    invoke(*longer, *(text.replace("/before/", "/after/") for text in named))
    record = yaml.safe_load((tmp_path / "moved" / "config.yaml").read_text())
    assert record["data"]["labeled"] == [paths[0].replace("/before/", "/after/")]
    assert record["record"]["finished"]["steps"] == 4
    image = next((tmp_path / "after" / "l" / "images").iterdir())
    image.write_bytes(image.read_bytes() + b" ")
    assert (
        "no longer those"
        in error_of(
            "--resume",
            str(tmp_path / "moved"),
            "--max-steps",
            "5",
            *(text.replace("/before/", "/after/") for text in named),
        ).message
    )


def test_a_refused_run_leaves_no_folder_and_two_runs_do_not_share_one(data: Sequence[str], tmp_path: Path) -> None:
    out = tmp_path / "run"
    absent = ("--labeled", str(tmp_path / "absent"), "--val-fraction", "0.2")
    assert error_of(*absent, *SMALL, "--out", str(out)) and not out.exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").touch()
    assert isinstance(error_of(*data, *SMALL, "--out", str(tmp_path / "mine")), OutputError)
    assert (tmp_path / "mine" / "notes.txt").exists()

    invoke(*data, *SMALL, "--max-steps", "2", "--out", str(out))
    with lock(out / ".lock", "it"):
        assert "another process is writing the run" in error_of("--resume", str(out), "--max-steps", "4").message
    assert not (out / ".lock").exists()


def test_unlabelled_frames_that_were_never_used_are_told(data: Sequence[str], tmp_path: Path) -> None:
    few = ("--validate-every", "2", "--max-steps", "3", "--unlabeled-batch-size", "2")
    warned = told(*data, *SMALL, *few, "--out", str(tmp_path / "a"))
    assert "only 4 of 5 unlabelled frames were used" in warned
    warned = told(*data, *SMALL, *few, "--warm-up-steps", "9", "--out", str(tmp_path / "b"))
    assert "no unlabelled frame will be used" in warned and "none of the 5 unlabelled frames was used" in warned


def test_max_time_holds_for_both_stages(data: Sequence[str], tmp_path: Path) -> None:
    small = [option for option in SMALL if option != "--no-corrective"]
    began = time.monotonic()
    told(*data, *small, "--max-time", "6s", "--validate-every", "1000", "--out", str(tmp_path / "run"))
    took = time.monotonic() - began
    record = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["record"]
    assert 4.0 < record["finished"]["seconds"] < 6.5 and took < 30  # the second stage comes after
    assert read_metrics(tmp_path / "run" / "corrective" / "metrics.csv")


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("training: {batch_sise: 3}", "training.batch_sise is not known", "training.batch_size"),
        ("training: {augment: {weak: {scle: [1, 2]}}}", "training.augment.weak.scle", "training.augment.weak.scale"),
        ("trainin: {}", "trainin is not known", "training"),
        ("training: {batch_size: many}", "training.batch_size: expected a whole number, found 'many'", ""),
        ("training: {reduction: some}", "training.reduction: expected all or kept, found 'some'", ""),
        ("training: [", "is not YAML", ""),
        ("training: 3", "expected keys and values in training", ""),
    ],
)
def test_a_config_file_is_checked(data: Sequence[str], tmp_path: Path, text: str, message: str, hint: str) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text(text)
    error = error_of(*data, "--config", str(file), "--out", str(tmp_path / "run"))
    assert isinstance(error, UsageError) and message in error.message and hint in (error.hint or "")


def test_options_go_before_the_config_file(data: Sequence[str], tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("training: {max_steps: 9, seed: 4, augment: {weak: {scale: [0.9, 1.1]}}}")
    options = (*SMALL, "--recipe", "supervised", "--color-jitter", "0.5", "--max-steps", "1", "--max-time", "2m")
    invoke(*data, *options, "--config", str(file), "--out", str(tmp_path / "run"))
    training = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["training"]
    assert (training["max_steps"], training["seed"], training["max_time"]) == (1, 4, 120.0)
    assert training["augment"]["weak"]["scale"] == [0.9, 1.1]
    assert training["augment"]["colour_jitter"]["probability"] == 0.5
    assert training["cross_supervision"] is False
    assert "cross_1" not in read_metrics(tmp_path / "run" / "metrics.csv")[0]


def test_a_method_brings_its_settings_which_options_and_file_go_before(data: Sequence[str], tmp_path: Path) -> None:
    small = [*SMALL[: SMALL.index("--num-passes")], *SMALL[SMALL.index("--num-passes") + 2 :], "--max-steps", "2"]
    found = {}
    for name, options in (("plain", ()), ("own", ("--min-confidence", "0.6"))):
        invoke(*data, *small, "--method", "fixmatch", *options, "--out", str(tmp_path / name))
        found[name] = yaml.safe_load((tmp_path / name / "config.yaml").read_text())["training"]
    assert found["plain"]["method"] == "fixmatch" and found["plain"]["min_confidence"] == 0.95
    assert found["own"]["min_confidence"] == 0.6 and found["own"]["reduction"] == "all"
    assert "strong_1" in read_metrics(tmp_path / "plain" / "metrics.csv")[-1]
    assert len(load_bundle(tmp_path / "plain" / "model.safetensors").networks) == 2
    invoke("--resume", str(tmp_path / "plain"), "--max-steps", "3")
    assert read_metrics(tmp_path / "plain" / "metrics.csv")[-1]["step"] == "3"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--method", "fixmach"), "--method must be supervised or mean-teacher or fixmatch"),
        (("--method", "cps", "--recipe", "cps"), "--recipe chooses strategies of endo-semis, found --method besides"),
        (("--method", "unimatch", "--certainty", "own"), "--certainty does not count in the method unimatch"),
        (("--method", "cps", "--joint-pseudo-label"), "--joint-pseudo-label does not count in the method cps"),
    ],
)
def test_methods_and_settings_that_do_not_go_together_are_refused(
    data: Sequence[str], tmp_path: Path, options: Sequence[str], message: str
) -> None:
    error = error_of(*data, *options, "--out", str(tmp_path / "run"))
    assert isinstance(error, UsageError) and message in error.message and not (tmp_path / "run").exists()


def test_the_help_names_every_method() -> None:
    parameter = inspect.signature(train, eval_str=True).parameters["method"]
    assert all(name in parameter.annotation.__metadata__[0].help for name in METHODS)


def test_what_the_help_says_are_the_defaults() -> None:
    spelled = {"decoder_channels": (256, 128, 64, 32, 16), "size": (256, 256)}
    ours = {name: parameter.default for name, parameter in inspect.signature(train).parameters.items()}
    config, sources = TrainConfig(), SourcesConfig(labeled=(Path("x"),))
    shared = [name for name in ours if hasattr(config, name)]
    assert len(shared) > 30
    for name in shared:
        assert spelled.get(name, ours[name]) == getattr(config, name), name
    assert ours["frames_per_second"] == sources.frames_per_second
    assert ours["color_jitter"] == config.augment.colour_jitter.probability


def test_imagenet_weights_that_cannot_be_had_stop_the_run(
    data: Sequence[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    error = error_of(*data, "--encoder", "resnet18", "--size", "32", "--out", str(tmp_path / "run"))
    assert isinstance(error, WeightsError) and "HF_HUB_OFFLINE" in error.message
    assert error.hint is not None and "--encoder-weights none" in error.hint


def test_tensorboard_is_asked_for_where_it_is_not(
    data: Sequence[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("endoseg_cli.training.runs.tensorboard.find_spec", lambda name: None)
    error = error_of(*data, *SMALL, "--tensorboard", "--out", str(tmp_path / "run"))
    assert isinstance(error, UsageError) and "pip install tensorboard" in (error.hint or "")


def test_negatives_join_the_batches_and_the_model_says_so(data: Sequence[str], tmp_path: Path) -> None:
    images, _ = save_frames(tmp_path / "free", 2, 70)
    out = tmp_path / "run"
    recipe = ("--recipe", "supervised", "--ema", "0.9", "--dice-over", "frame", "--precision", "auto")
    share = ("--negatives", str(images[0].parent), "--empty-share", "0.5")
    presence = ("--presence-weight", "0.2", "--presence", "0.8")
    invoke(*data, *SMALL, *recipe, *share, *presence, "--max-steps", "2", "--out", str(out))
    settings = yaml.safe_load((out / "config.yaml").read_text())
    assert settings["data"]["negatives"] == [str(images[0].parent)]
    card = load_bundle(out / "model.safetensors").card
    assert "2 lesion-free" in card.training_data and card.field_of_view == "auto"
    assert card.presence == 0.8 and settings["training"]["presence_weight"] == 0.2
    with (out / "metrics.csv").open(newline="") as file:
        assert all(float(row["presence_1"]) > 0 for row in csv.DictReader(file))


def test_an_empty_share_needs_empty_frames(data: Sequence[str], tmp_path: Path) -> None:
    error = error_of(*data, *SMALL, "--empty-share", "0.5", "--max-steps", "2", "--out", str(tmp_path / "run"))
    assert "--empty-share" in str(error) and "--negatives" in str(error.hint)


def test_a_run_can_start_from_another_with_its_architecture_and_size(data: Sequence[str], tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    invoke(*data, *SMALL, "--field-of-view", "off", "--max-steps", "1", "--out", str(first))
    few = ("--batch-size", "2", "--num-passes", "2", "--warm-up-steps", "1", "--ramp-steps", "2", "--no-corrective")
    rate = ("--learning-rate", "1e-9", "--final-learning-rate", "1e-9", "--settle-frames", "0", "--select", "last")
    invoke(*data, *few, *rate, "--weights", str(first), "--max-steps", "1", "--out", str(second))
    before, after = (load_bundle(folder / "model.safetensors") for folder in (first, second))
    assert after.card.architecture == before.card.architecture and after.card.input_size == before.card.input_size
    assert after.card.field_of_view == before.card.field_of_view == "off"
    for mine, theirs in zip(after.networks, before.networks, strict=True):
        for one, other in zip(mine.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("text", ["5", "m", "", "5d", "x5m"])
def test_a_time_without_a_unit_is_refused(data: Sequence[str], tmp_path: Path, text: str) -> None:
    error = error_of(*data, *SMALL, "--max-time", text, "--out", str(tmp_path / "run"))
    assert isinstance(error, UsageError) and "--max-time must be a number with s, m or h" in error.message
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("gain", [0.1, -0.1])
def test_a_corrective_network_that_does_harm_is_left_out_and_kept_beside(
    data: Sequence[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gain: float
) -> None:
    monkeypatch.setattr("endoseg_cli.training.stage_two.corrective_gain", lambda card: gain)
    out = tmp_path / "run"
    options = [option for option in SMALL if option != "--no-corrective"]
    invoke(*data, *options, "--max-steps", "2", "--corrective-steps", "1", "--out", str(out))
    beside = out / "corrective" / "model.safetensors"
    assert (load_bundle(out / "model.safetensors").corrective is not None) == (gain > 0)
    assert beside.exists() == (gain < 0)
    if gain < 0:
        assert load_bundle(beside).corrective is not None


def test_of_a_model_of_two_architectures_it_is_said_which_both_networks_start_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle, other = tiny_bundle(), replace(TINY, encoder="resnet18")
    path = tmp_path / "mixed.safetensors"
    networks = (bundle.networks[0], tiny_network(other))
    save_bundle(Bundle(card=replace(bundle.card, second=other), networks=networks), path)
    assert _of_the_model({"weights": str(path)})["encoder"] == TINY.encoder
    assert "note: tiny holds two architectures, both networks start from one" in capsys.readouterr().err
