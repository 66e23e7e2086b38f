from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from endoseg_cli.data.clips.training_clips import ClipShape, RawClip, still_clips
from endoseg_cli.data.labels.layout import scan_labeled
from endoseg_cli.errors import TrainingError
from endoseg_cli.inference.predict.corrector import Corrector, PredictedFrame
from endoseg_cli.networks.architecture.corrective import CorrectiveConfig
from endoseg_cli.training.corrective.clips import FAILED, TWINS, Clip, FrozenNetworks, Twin, split_clips
from endoseg_cli.training.corrective.config import CorrectiveTrainConfig
from endoseg_cli.training.corrective.learner import CorrectiveLearner
from endoseg_cli.training.corrective.trainer import CorrectiveData, CorrectiveTrainer
from endoseg_cli.training.corrective.validation import CorrectiveScores
from endoseg_cli.training.corrective.windows import Windows, draw_pattern, validation_windows
from tests.networks.tiny import constant_bundle, tiny_bundle
from tests.training.small import save_frames

CONFIG = CorrectiveTrainConfig(max_steps=4, validate_every=2, batch_size=2, clip_frames=7)
ARCHITECTURE = CorrectiveConfig(widths=(4, 4, 8, 8))
CPU = torch.device("cpu")
Maps = np.ndarray[tuple[int, ...], np.dtype[np.float32]]
Truth = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Clip]:
    folder = tmp_path_factory.mktemp("stills")
    save_frames(folder, 3)
    raw = still_clips(scan_labeled(folder).records, 4, ClipShape(frames=7, size=(64, 64), seed=0), "training")
    bundle = tiny_bundle()
    frozen = FrozenNetworks(bundle.networks, bundle.card, CPU)
    return [frozen.add_predictions(clip) for clip in raw]


def make_trainer(clips: list[Clip], folder: Path, config: CorrectiveTrainConfig = CONFIG) -> CorrectiveTrainer:
    folder.mkdir(exist_ok=True)
    learner = CorrectiveLearner(config, ARCHITECTURE, device=CPU)
    return CorrectiveTrainer(config, CorrectiveData(training=clips, validation=clips[:2]), learner, folder=folder)


def test_two_steps_and_two_resumed_are_four_to_the_bit(clips: list[Clip], tmp_path: Path) -> None:
    whole = make_trainer(clips, tmp_path / "whole")
    whole.fit()
    first = make_trainer(clips, tmp_path / "parts")
    for _ in range(2):
        first.train_step()
    first.validate()
    second = make_trainer(clips, tmp_path / "parts")
    second.resume()
    assert second.step == 2
    second.fit()
    for name, tensor in whole.learner.network.state_dict().items():
        assert torch.equal(tensor, second.learner.network.state_dict()[name]), name
    network, scores = whole.best_network()
    assert not network.training and set(scores) >= {"spoiled_before", "untouched_after"}


def test_the_gradient_of_a_step_reaches_the_whole_network(clips: list[Clip], tmp_path: Path) -> None:
    trainer = make_trainer(clips, tmp_path)
    for _ in range(2):  # the head begins at zero and lets gradients through from the second step on
        values = trainer.train_step()
    assert values["segmentation"] > 0 and values["consistency"] > 0
    still = [name for name, value in trainer.learner.network.named_parameters() if not value.grad.any()]
    assert still == []


def test_an_untrained_network_leaves_all_windows_as_they_are(clips: list[Clip], tmp_path: Path) -> None:
    trainer = make_trainer(clips, tmp_path)
    trainer.validate()
    _, scores = trainer.best_network()
    assert (
        scores["spoiled_before"] == scores["spoiled_after"] and scores["untouched_before"] == scores["untouched_after"]
    )


def test_a_loss_that_is_not_finite_ends_the_run(clips: list[Clip], tmp_path: Path) -> None:
    trainer = make_trainer(clips, tmp_path)
    with torch.no_grad():
        trainer.learner.network.head.weight.fill_(torch.nan)
    with pytest.raises(TrainingError, match="step 1: segmentation is not finite"):
        trainer.train_step()


def test_batches_depend_on_seed_and_step_alone_and_are_shared_out(clips: list[Clip]) -> None:
    one, other = (Windows(clips, window=5, batch_size=2, seed=0) for _ in range(2))
    for step in (0, 7):
        batch, again = one.batch(step), other.batch(step)
        assert torch.equal(batch.probability, again.probability) and torch.equal(batch.images, again.images)
        shares = [one.batch(step, (rank, 2)) for rank in range(2)]
        assert torch.equal(torch.cat([share.truth for share in shares]), batch.truth)
    assert not torch.equal(one.batch(0).images, one.batch(7).images[:, : one.batch(0).images.shape[1]])


def test_patterns_fit_the_clip_and_hold_what_they_correct() -> None:
    patterns = [draw_pattern(5, 7, 0, step) for step in range(60)]
    assert {pattern.causal for pattern in patterns} == {True, False}
    assert {pattern.stride for pattern in patterns} == {1, 2}
    for pattern in patterns:
        assert (pattern.places[-1] - pattern.places[0]) * pattern.stride <= 6
        for centre in (0, 1):
            window = [pattern.places[index] for index in pattern.window(centre)]
            assert centre in window and len(window) >= 2
            assert not pattern.causal or max(window) == centre


def test_spoiled_validation_windows_differ_in_the_centre(clips: list[Clip]) -> None:
    untouched = validation_windows(clips, 5, spoiled=False, seed=0)
    spoiled = validation_windows(clips, 5, spoiled=True, seed=0)
    for one, other in zip(untouched, spoiled, strict=True):
        assert torch.equal(one.truth, other.truth) and torch.equal(one.images, other.images)
        assert not torch.equal(one.probability[:, 2], other.probability[:, 2])


def test_unlabelled_frames_teach_where_the_networks_agree_surely(clips: list[Clip]) -> None:
    raw = RawClip(group="video", frames=clips[0].frames, truth=None, flow=clips[0].flow, interval=1.0)
    for logits, trusted in (((-8.0, -8.0), 7), ((8.0, -8.0), 0), ((0.1, 0.1), 0)):
        bundle = constant_bundle(*logits)
        clip = FrozenNetworks(bundle.networks, bundle.card, CPU).add_predictions(raw)
        assert len(clip.trusted) == trusted, logits
        assert clip.known.any() == bool(trusted)


def test_clips_of_one_group_are_not_split(clips: list[Clip]) -> None:
    grouped = [replace(clips[0], group=name) for name in "aabbbc"]
    train, held = split_clips(grouped)
    assert [clip.group for clip in train] == list("aabbb") and [clip.group for clip in held] == ["c"]
    train, held = split_clips(grouped[:2])
    assert len(train) == len(held) == 1


def test_predictions_are_those_of_the_networks(clips: list[Clip]) -> None:
    assert clips[0].probability.dtype == np.float16 and clips[0].probability.shape == (7, 64, 64)
    bundle = tiny_bundle()
    frozen = FrozenNetworks(bundle.networks, bundle.card, CPU)
    image = frozen.normalise(torch.from_numpy(clips[0].frames[3]).permute(2, 0, 1))[None]
    with torch.no_grad():
        expected = sum(torch.sigmoid(network(image)) for network in bundle.networks) / 2
    assert np.allclose(clips[0].probability[3], expected[0, 0], atol=2e-3)  # type: ignore[index]


def test_clips_are_predicted_at_the_models_size_and_kept_at_the_corrective_networks(clips: list[Clip]) -> None:
    bundle = tiny_bundle()
    clip = clips[0]
    raw = RawClip(group="a", frames=clip.frames, truth=clip.truth, flow=clip.flow, interval=1.0)
    frozen = FrozenNetworks(bundle.networks, bundle.card, CPU, kept_size=(32, 48))
    kept = frozen.add_predictions(raw)
    assert kept.frames.shape == (7, 32, 48, 3) and kept.frames.dtype == np.uint8
    for name in ("truth", "known", "probability", "uncertainty"):
        mine, whole = getattr(kept, name), getattr(clip, name)
        assert mine.shape == (7, 32, 48) and mine.dtype == whole.dtype, name
        assert abs(mine.mean(dtype=float) - whole.mean(dtype=float)) < 0.02, name
    # a step of so many pixels is one of fewer where pixels are larger
    assert np.allclose(kept.flow[:, 0], clip.flow[:, 0] * 0.75, atol=2e-3)
    assert np.allclose(kept.flow[:, 1], clip.flow[:, 1] * 0.5, atol=2e-3)


def bright(frames: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> tuple[Maps, Maps, list[Truth]]:
    """Return predictions of networks that know the drawn disc by its contrast, and are sure."""
    contrast = frames.mean(-1) - frames.mean((1, 2, 3))[:, None, None]
    probability = np.where(np.abs(contrast) > 25, 0.99, 0.01).astype(np.float32)
    return probability, np.full_like(probability, 0.05), [probability > 0.5] * 2


def test_twins_are_degraded_until_the_networks_fail(clips: list[Clip], monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = tiny_bundle()
    frozen = FrozenNetworks(bundle.networks, bundle.card, CPU)
    monkeypatch.setattr(frozen, "_predict", bright)
    y, x = np.mgrid[:64, :64]
    disc = np.stack([(x - 30 - index) ** 2 + (y - 32) ** 2 < 10**2 for index in range(7)])
    frames = np.where(disc[..., None], 160, 80).astype(np.uint8).repeat(3, -1)
    raw = RawClip(group="a", frames=frames, truth=disc, flow=clips[0].flow, interval=1.0)
    made = [frozen.add_predictions(raw, np.random.default_rng(seed)) for seed in range(8)]
    assert all(clip.agreed == tuple(range(7)) and len(clip.twins) <= TWINS for clip in made)
    twins = [(clip, index, twin) for clip in made for index, twin in clip.twins.items()]
    assert len(twins) >= 8
    for clip, index, twin in twins:
        before, after = clip.probability[index] > 0.5, twin.probability > 0.5
        assert 2 * (before & after).sum() < FAILED * (before.sum() + after.sum())
        assert not np.array_equal(twin.frame, clip.frames[index])
        assert np.array_equal(clip.truth[index], disc[index]), "the masks stay"
    assert not frozen.add_predictions(raw).twins


def with_twins(clip: Clip) -> Clip:
    """Return a clip that the networks agree on, with twins in which they see nothing; its masks are all wrong."""
    probability = np.zeros((7, 64, 64), np.float16)
    probability[:, 20:40, 20:40] = 0.99
    nothing = np.zeros((64, 64), np.float16)
    twin = Twin(frame=np.full((64, 64, 3), 255, np.uint8), probability=nothing, uncertainty=nothing)
    return replace(
        clip,
        truth=np.zeros((7, 64, 64), np.bool_),
        probability=probability,
        uncertainty=np.zeros_like(probability),
        agreed=tuple(range(7)),
        twins={2: twin, 3: twin, 4: twin},
    )


def test_degraded_and_calm_windows_keep_the_prediction_of_the_good_pictures_as_truth(clips: list[Clip]) -> None:
    windows = Windows([with_twins(clips[0])], window=5, batch_size=1, seed=0)
    degraded = calm = 0
    for step in range(60):
        batch = windows.batch(step)
        centre = batch.pattern.places.index(0)
        if not batch.truth.any():
            continue  # a window with its masks for truth
        assert batch.truth.sum((-1, -2)).flatten().tolist() == [400, 400] and batch.known.all()
        others = [place for place in range(len(batch.pattern.places)) if place != centre]
        assert (batch.probability[0, others].amax((-1, -2)) > 0.9).all(), "only the corrected frame is degraded"
        if (batch.images[0, centre] == 255).all():
            degraded += 1
            assert not batch.probability[0, centre].any()
        else:
            calm += 1
            assert batch.probability[0, centre].max() > 0.9
    assert degraded >= 8 and calm >= 8


def test_no_window_is_called_calm_where_the_networks_disagree(clips: list[Clip]) -> None:
    clip = replace(with_twins(clips[0]), agreed=(0, 1, 2, 3))
    windows = Windows([clip], window=5, batch_size=1, seed=0)
    for step in range(30):
        batch = windows.batch(step)
        span = (batch.pattern.places[-1] - batch.pattern.places[0]) * batch.pattern.stride
        assert span <= 3 or not batch.truth.any()


def test_half_of_the_spoiled_validation_windows_are_degraded_pictures(clips: list[Clip]) -> None:
    spoiled = validation_windows([with_twins(clips[0])] * 4, 5, spoiled=True, seed=0)
    assert [bool((one.images[0, 2] == 255).all()) for one in spoiled] == [False, True, False, True]


def test_a_state_that_harms_is_never_chosen_before_one_that_does_not() -> None:
    def scored(spoiled: float, untouched: float) -> float:
        return CorrectiveScores(
            spoiled_before=0.5, spoiled_after=spoiled, untouched_before=0.8, untouched_after=untouched
        ).choice

    assert scored(0.9, 0.799) > scored(0.6, 0.81) > scored(0.4, 0.8) > scored(0.95, 0.79) > scored(0.95, 0.7)


def test_training_shows_the_network_what_the_corrector_shows_it(clips: list[Clip], tmp_path: Path) -> None:
    trainer = make_trainer(clips, tmp_path)
    network = trainer.learner.network.eval()
    torch.nn.init.normal_(network.head.weight)
    batch = validation_windows(clips[:1], 5, spoiled=False, seed=0)[0]
    logits = trainer.learner.correct(batch)[0]
    corrector = Corrector(network, window=5, device=CPU)
    features = [
        corrector.encode(
            PredictedFrame(
                picture=batch.images[0, place].permute(1, 2, 0).numpy(),
                probability=batch.probability[0, place].numpy(),
                uncertainty=batch.uncertainty[0, place].numpy(),
                time=place / 25,
            )
        )
        for place in range(5)
    ]
    corrected = corrector.fuse(features, 2, [-2.0, -1.0, 0.0, 1.0, 2.0])
    assert np.allclose(corrected, torch.sigmoid(logits[0]).detach().numpy(), atol=1e-4)


def test_presence_is_demanded_of_corrected_regions(clips: list[Clip], tmp_path: Path) -> None:
    network = make_trainer(clips, tmp_path).learner.network.eval()
    said = np.full((1, 64, 64), 0.01, np.float32)
    said[0, 10:30, 10:30] = 0.9
    for presence, peak in ((0.0, 0.9), (0.95, 0.5)):
        corrector = Corrector(network, window=5, device=CPU, presence=presence)
        frame = PredictedFrame(picture=clips[0].frames[0], probability=said, uncertainty=said, time=0.0)
        assert corrector.fuse([corrector.encode(frame)], 0, [0.0]).max() == pytest.approx(peak, abs=1e-3)
