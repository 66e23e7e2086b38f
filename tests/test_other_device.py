"""What runs on a GPU runs on a device beside the CPU: nothing meets a tensor of the other place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from endoseg_cli.data.clips.training_clips import ClipShape, still_clips
from endoseg_cli.data.labels.layout import scan_labeled
from endoseg_cli.inference.predict.corrector import Corrector, PredictedFrame
from endoseg_cli.inference.predict.predictor import Predictor
from endoseg_cli.inference.suggest.frame_scores import FrameScorer
from endoseg_cli.networks.architecture.corrective import CorrectiveConfig
from endoseg_cli.networks.running.normalise import Normaliser
from endoseg_cli.training.corrective.clips import FrozenNetworks
from endoseg_cli.training.corrective.config import CorrectiveTrainConfig
from endoseg_cli.training.corrective.learner import CorrectiveLearner
from endoseg_cli.training.corrective.trainer import CorrectiveData, CorrectiveTrainer
from endoseg_cli.training.engine.records import RunListener
from endoseg_cli.training.engine.trainer import Trainer
from endoseg_cli.training.methods.table import METHODS
from endoseg_cli.training.settings.config import TrainConfig
from tests.conftest import Run
from tests.networks.tiny import SIDE, tiny_bundle, with_corrective
from tests.other_device import OTHER, other_device
from tests.training.methods.steps import config_of
from tests.training.small import CONFIG, make_data, save_frames

CPU = torch.device("cpu")


@pytest.fixture
def other(monkeypatch: pytest.MonkeyPatch) -> Iterator[torch.device]:
    with other_device(monkeypatch) as device:
        yield device


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Sums have one order, whatever the machine: a pseudo-label may turn over by rounding."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def pictures(count: int) -> list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]:
    return list(np.random.default_rng(0).integers(0, 256, (count, SIDE, SIDE, 3), np.uint8))


def test_the_pretended_device_computes_and_refuses_tensors_of_the_cpu(other: torch.device) -> None:
    there = torch.arange(6.0).view(1, 1, 2, 3).to(other)
    assert there.device == OTHER and (there * 2).sum().item() == 30
    with pytest.raises(RuntimeError, match="on the CPU"):
        Normaliser((0.5,) * 3, (0.5,) * 3, CPU)(there)
    with pytest.raises(RuntimeError, match="on the CPU"):
        there + torch.ones(3)
    with pytest.raises(RuntimeError, match="on the CPU"):
        torch.zeros(()).add_(there.sum())
    with pytest.raises(RuntimeError, match="on the CPU"):
        torch.stack([torch.zeros(()), there.sum()])
    assert torch.equal((there + torch.ones(())).cpu(), torch.arange(1.0, 7.0).view(1, 1, 2, 3))


def test_predictions_there_are_those_of_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    bundle, frames = with_corrective(tiny_bundle()), pictures(3)

    def say(device: torch.device) -> list[np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
        predictor = Predictor(bundle, precision="fp32", presence=0.51, batch_size=2, tta="flips")
        assert {value.device for value in _parameters(predictor)} == {device}
        probability, uncertainty = predictor.predict_with_uncertainty(frames)
        assert predictor.corrective is not None
        corrector = Corrector(predictor.corrective, window=3, device=predictor.device)
        window = [
            corrector.encode(PredictedFrame(picture=frame, probability=one, uncertainty=two, time=0.0))
            for frame, one, two in zip(frames, probability, uncertainty, strict=True)
        ]
        each = [np.stack(maps) for maps in predictor.predict_each_any_size(frames)]
        return [probability, uncertainty, corrector.fuse(window, 1, (-1.0, 0.0, 1.0)), *each]

    expected = say(CPU)
    with other_device(monkeypatch) as device:
        found = say(device)
    for one, another in zip(expected, found, strict=True):
        np.testing.assert_allclose(another, one, atol=1e-5)


def test_frames_are_scored_there_as_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    bundle, frames = tiny_bundle(), pictures(2)
    expected = FrameScorer(bundle).score(frames)
    with other_device(monkeypatch) as device:
        scorer = FrameScorer(bundle)
        assert all(value.device == device for network in scorer._networks for value in network.parameters())
        found = scorer.score(frames)
    assert [each.uncertainty for each in found] == pytest.approx([each.uncertainty for each in expected], abs=1e-5)


def _parameters(predictor: Predictor) -> list[torch.Tensor]:
    assert predictor.corrective is not None
    return [value for network in (*predictor._torch.networks, predictor.corrective) for value in network.parameters()]


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize(
    "config",
    [
        *(pytest.param(config_of(method), id=method) for method in METHODS),
        pytest.param(CONFIG, id="paper"),
        pytest.param(replace(config_of("supervised"), ema=0.9, dice_weight=1.0, presence_weight=0.2), id="averaged"),
    ],
)
def test_a_run_there_learns_what_one_on_the_cpu_does(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make_data(tmp_path)
    # pseudo-labels count from the first step on, which is the one that is compared
    short = replace(config, max_steps=3, validate_every=2, warm_up_steps=0, ramp_steps=0)

    def fit(name: str, device: torch.device) -> list[Mapping[str, float]]:
        folder = tmp_path / name
        folder.mkdir()
        steps: list[Mapping[str, float]] = []
        listener = RunListener(on_step=lambda record: steps.append(record.values))
        trainer = Trainer(replace(short, max_steps=2), data, folder=folder, device=device, listener=listener)
        trainer.fit()
        resumed = Trainer(short, data, folder=folder, device=device, listener=listener)
        resumed.resume(extended=True)
        resumed.fit()
        networks, _ = resumed.selected_networks()
        assert len(networks) == 2
        assert all(value.device == device for each in resumed.learner.networks for value in each.parameters())
        return steps

    expected = fit("here", CPU)
    with other_device(monkeypatch) as device:
        found = fit("there", device)
    assert found[0] == pytest.approx(expected[0], rel=1e-4)
    # random networks that see two frames tell rounding from rounding: later steps are equal in what they are made of
    assert [list(each) for each in found] == [list(each) for each in expected]
    assert len(found) == 3 and all(np.isfinite(list(each.values())).all() for each in found)


def test_the_corrective_network_learns_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_frames(tmp_path, 3)
    shape = ClipShape(frames=7, size=(64, 64), seed=0)
    raw = still_clips(scan_labeled(tmp_path).records, 4, shape, "training")
    config = CorrectiveTrainConfig(max_steps=2, validate_every=2, batch_size=2, clip_frames=7)
    bundle = tiny_bundle()
    with other_device(monkeypatch) as device:
        frozen = FrozenNetworks(bundle.networks, bundle.card, device)
        clips = [frozen.add_predictions(clip, np.random.default_rng(0)) for clip in raw]
        learner = CorrectiveLearner(config, CorrectiveConfig(widths=(4, 4, 8, 8)), device=device)
        trainer = CorrectiveTrainer(
            config, CorrectiveData(training=clips, validation=clips[:2]), learner, folder=tmp_path
        )
        trainer.fit()
        trainer.best_network()
    assert all(value.device == OTHER for value in learner.network.parameters())


def test_a_model_segments_pictures_there(
    endoseg: Callable[..., Run], tmp_path: Path, random_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, _ = save_frames(tmp_path, 2)
    with other_device(monkeypatch):
        run = endoseg("segment", images[0].parent, "--out", tmp_path / "found", "--weights", random_model, "-v")
    assert run.code == 0 and f"device {OTHER}" in run.stderr
    assert len(list((tmp_path / "found").glob("*.png"))) == 2
