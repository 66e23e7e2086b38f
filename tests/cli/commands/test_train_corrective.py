from __future__ import annotations

import inspect
from pathlib import Path

import pytest
import torch
import typer
import yaml
from typer.testing import CliRunner

from endoseg_cli.cli.commands.train import train
from endoseg_cli.cli.commands.train_corrective import train_corrective
from endoseg_cli.errors import EndosegError, InputError, UsageError
from endoseg_cli.networks.files.bundle import load_bundle
from endoseg_cli.training.corrective.config import CorrectiveSources, CorrectiveTrainConfig
from endoseg_cli.training.runs.log import read_metrics
from tests.networks.tiny import constant_bundle, save_to, tiny_bundle
from tests.training.small import save_frames

app = typer.Typer()
app.command("train-corrective")(train_corrective)
app.command()(train)
runner = CliRunner()
SMALL = ("--clips", "3", "--batch-size", "2", "--max-steps", "2", "--validate-every", "1")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    root = tmp_path_factory.mktemp("data")
    save_frames(root / "l", 3)
    return ("--weights", str(save_to(root, tiny_bundle())), "--labeled", str(root / "l"))


def invoke(*arguments: str) -> str:
    result = runner.invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def error_of(*arguments: str) -> EndosegError:
    with pytest.raises(EndosegError) as error:
        runner.invoke(app, ["train-corrective", *arguments], catch_exceptions=False)
    return error.value


def test_a_run_adds_the_network_and_goes_on_from_its_checkpoint(data: tuple[str, ...], tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert invoke("train-corrective", *data, *SMALL, "--out", str(out)) == f"{out / 'model.safetensors'}\n"
    names = {"config.yaml", "metrics.csv", "curves.png", "last.pt", "best.pt", "model.safetensors"}
    assert {path.name for path in out.iterdir()} == {*names, "README.md"}
    before, after = load_bundle(Path(data[1])), load_bundle(out / "model.safetensors")
    assert after.corrective is not None and "corrective_dice_on_clips" in after.card.scores
    for one, other in zip(before.networks, after.networks, strict=True):
        assert all(torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items())
    rows = read_metrics(out / "metrics.csv")
    assert [row["step"] for row in rows] == ["1", "2"]
    assert {"spoiled_before", "spoiled_after", "untouched_after", "segmentation", "consistency"} <= set(rows[0])

    settings = yaml.safe_load((out / "config.yaml").read_text())
    settings["corrective"]["max_steps"] = 3
    (out / "config.yaml").write_text(yaml.safe_dump(settings))
    invoke("train-corrective", "--resume", str(out))
    assert [row["step"] for row in read_metrics(out / "metrics.csv")] == ["1", "2", "3"]
    (image,) = Path(data[3]).glob("images/0.png")
    image.write_bytes(image.read_bytes() + b" ")
    assert isinstance(error_of("--resume", str(out)), InputError)


def test_the_clips_can_be_predicted_by_another_model(data: tuple[str, ...], tmp_path: Path) -> None:
    def run(name: str, *options: str) -> tuple[float, float]:
        invoke("train-corrective", *data, *SMALL, *options, "--out", str(tmp_path / name))
        scores = load_bundle(tmp_path / name / "model.safetensors").card.scores["corrective_dice_on_clips"]
        return scores["untouched_before"], scores["spoiled_before"]

    empty = save_to(tmp_path, constant_bundle(-5.0, -5.0))
    own, other = run("own"), run("other", "--predictor", str(empty))
    assert other[0] == 0 != own[0]  # it predicts nothing where there is a lesion
    networks = [load_bundle(tmp_path / name / "model.safetensors").networks[0] for name in ("own", "other")]
    assert all(torch.equal(*pair) for pair in zip(*(n.state_dict().values() for n in networks), strict=True))


def test_rendered_clips_alone_choose_the_state(data: tuple[str, ...], tmp_path: Path) -> None:
    out = tmp_path / "run"
    small = ("--clips", "3", "--batch-size", "2", "--max-steps", "1")
    invoke("train-corrective", *data, *small, "--val-phantom", "2", "--out", str(out))
    assert load_bundle(out / "model.safetensors").card.scores["corrective_dice_on_clips"]["clips"] == 2
    for other in (("--val", data[3]), ("--phantom", "2")):
        error = error_of(*data, *other, "--val-phantom", "2", "--out", str(tmp_path / "a"))
        assert isinstance(error, UsageError) and "rendered clips alone" in error.message
    assert "--val-phantom must be" in error_of(*data, "--val-phantom", "-1", "--out", str(tmp_path / "a")).message


def test_wrong_use_is_told(data: tuple[str, ...], tmp_path: Path) -> None:
    assert "found none of them" in error_of(*data[:2], "--out", str(tmp_path / "a")).message
    assert "--out" in error_of(*data).message
    assert "--window must be odd" in error_of(*data, "--window", "4", "--out", str(tmp_path / "a")).message
    assert "--max-steps" in error_of("--resume", str(tmp_path), "--max-steps", "2").message
    assert "expected videos" in error_of(*data, "--unlabeled", data[3], "--out", str(tmp_path / "a")).message
    several = save_to(tmp_path, tiny_bundle(class_names=("a", "b")))
    error = error_of("--weights", str(several), "--phantom", "2", "--out", str(tmp_path / "b"))
    assert isinstance(error, UsageError) and "masks of one class, the model has 2" in error.message


def test_what_the_help_says_are_the_defaults() -> None:
    config, sources = CorrectiveTrainConfig(), CorrectiveSources(phantom=1)
    for name, parameter in inspect.signature(train_corrective).parameters.items():
        if hasattr(config, name):
            assert parameter.default == getattr(config, name), name
        elif hasattr(sources, name) and name != "phantom":
            assert (parameter.default or ()) == (getattr(sources, name) or ()), name


def test_train_does_it_as_stage_two(data: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("endoseg_cli.training.stage_two.corrective_gain", lambda card: 0.1)  # one step does no good
    out = tmp_path / "run"
    network = ("--encoder", "mobilenet_v2", "--decoder-channels", "8,8,8,8,8", "--encoder-weights", "none")
    schedule = ("--size", "32", "--batch-size", "2", "--max-steps", "1", "--val-fraction", "0.4")
    invoke("train", *data[2:], *network, *schedule, "--out", str(out))
    assert load_bundle(out / "model.safetensors").corrective is not None
    assert [row["step"] for row in read_metrics(out / "corrective" / "metrics.csv")] == ["1"]
    (out / "model.safetensors").unlink()
    invoke("train", "--resume", str(out))
    assert load_bundle(out / "model.safetensors").corrective is not None
