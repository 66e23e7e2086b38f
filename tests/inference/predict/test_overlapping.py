"""On a device that computes by itself, a batch is begun before the one before it is done; the maps are the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from endoseg_cli.errors import DeviceError
from endoseg_cli.inference.flow.predicting import Passed, Predicting
from endoseg_cli.inference.pipeline import SegmentConfig, segment_video
from endoseg_cli.inference.predict import predictor as module
from endoseg_cli.inference.predict.predictor import Pixels, Predictor
from endoseg_cli.inference.refine.refiner import RefineConfig, make_refiner
from endoseg_cli.networks.running.captured import Captured
from endoseg_cli.networks.running.transfers import DirectTransfers, StreamTransfers
from endoseg_cli.video.reading.reader import Frame
from tests.inference.brightness import STYLE, disc_picture, targets_for
from tests.networks.tiny import tiny_bundle, with_corrective
from tests.pretended_cuda import pretend
from tests.video.rendering import Clip

CPU = torch.device("cpu")
BATCH = 4
SIZE = (64, 64)
MODEL = with_corrective(tiny_bundle())


class Overlapping(Predictor):
    """What `Predictor` is on a GPU, on the pretended one."""

    overlaps = True

    def __init__(self, *, batch_size: int = BATCH, presence: float = 0.0) -> None:
        super().__init__(MODEL, device="cpu", batch_size=batch_size, presence=presence)
        self._transfers = StreamTransfers(CPU)
        self._captured = Captured()
        self._torch._threads = None


@pytest.fixture(autouse=True)
def _pretended(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch)


def plain(presence: float = 0.0) -> Predictor:
    return Predictor(MODEL, device="cpu", batch_size=BATCH, presence=presence)


def pictures(seed: int, count: int = BATCH) -> list[Pixels]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 256, (*SIZE, 3), np.uint8) for _ in range(count)]


def assert_near(found: object, expected: object, atol: float = 1e-5) -> None:
    np.testing.assert_allclose(np.asarray(found), np.asarray(expected), atol=atol)


def test_batches_on_their_way_at_the_same_time_keep_their_maps() -> None:
    predictor = Overlapping()
    waiting = [predictor.begin(pictures(seed, count), with_uncertainty=True) for seed, count in enumerate((4, 4, 2, 4))]
    assert predictor._captured is not None and predictor._captured.is_captured
    for seed, count in ((2, 2), (0, 4), (3, 4), (1, 4)):
        expected = plain().predict_with_uncertainty(pictures(seed, count))
        for mine, wanted in zip(waiting[seed](), expected, strict=True):
            assert_near(mine, wanted)
    probability, none = predictor.begin(pictures(5), with_uncertainty=False)()
    assert none is None
    assert_near(probability, plain().predict(pictures(5)))


def test_the_presence_is_demanded(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = plain(0.9).predict(pictures(0))
    assert not np.allclose(expected, plain().predict(pictures(0)))
    assert_near(Overlapping(presence=0.9).begin(pictures(0), with_uncertainty=False)()[0], expected)


def test_frames_close_to_the_presence_are_those_of_the_batch_and_not_of_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    predictor = Overlapping()
    predictor.compute_as("bf16")
    waiting = [predictor.begin(pictures(seed), with_uncertainty=True) for seed in range(3)]
    monkeypatch.setattr(module, "is_close", lambda probability, presence: True)
    for seed, wait in enumerate(waiting):
        assert_near(wait()[0], plain().predict(pictures(seed)))


class Full(Overlapping):
    """A device whose memory holds so many frames."""

    fits = 2
    tried: list[int]

    def _logits(self, images: Tensor) -> list[Tensor]:
        self.tried.append(len(images))
        if len(images) > self.fits:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return super()._logits(images)


def test_a_batch_that_does_not_fit_is_made_smaller() -> None:
    predictor = Full()
    predictor.tried = []
    one = predictor.begin(pictures(0), with_uncertainty=True)
    another = predictor.begin(pictures(1), with_uncertainty=True)
    for seed, wait in enumerate((one, another)):
        assert_near(wait()[0], plain().predict(pictures(seed)))
    assert predictor.batch_size == 2 and max(predictor.tried[2:]) == 2
    predictor.fits, predictor._captured = 0, Captured()
    with pytest.raises(DeviceError, match="does not suffice for a single frame"):
        predictor.begin(pictures(2), with_uncertainty=True)()


def test_memory_that_ends_at_the_end_of_a_batch_makes_it_smaller_too(monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = Overlapping()
    ended = predictor._ended
    tried: list[int] = []

    def full(begun: module._Begun) -> module.Probability:
        tried.append(len(begun.frames))
        if len(begun.frames) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return ended(begun)

    monkeypatch.setattr(predictor, "_ended", full)
    assert_near(predictor.begin(pictures(0), with_uncertainty=True)()[0], plain().predict(pictures(0)))
    assert tried == [4, 2, 2] and predictor.batch_size == 2


def test_other_errors_are_raised_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = Overlapping()

    def broken(images: Tensor) -> list[Tensor]:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(predictor, "_run_networks", broken)
    with pytest.raises(RuntimeError, match="illegal memory access"):
        predictor.begin(pictures(0), with_uncertainty=True)


def test_threads_that_share_a_predictor_get_their_own_maps() -> None:
    predictor = Overlapping()
    predictor._transfers = DirectTransfers(CPU)
    expected = [plain().predict(pictures(seed)) for seed in range(8)]
    for seed in range(2):
        predictor.predict(pictures(seed))
    assert predictor._captured is not None and predictor._captured.is_captured
    with ThreadPoolExecutor(4) as threads:
        found = threads.map(lambda seed: predictor.predict(pictures(seed)), [*range(8)] * 4)
        for seed, maps in enumerate(found):
            assert_near(maps, expected[seed % 8])


def frame(index: int, picture: Pixels) -> Frame:
    return Frame(index=index, pts=index, time_base=Fraction(1, 25), damaged=False, rgb=picture, planes=None)


def passed(predictor: Predictor, choice: str, batches: Sequence[int], every: int) -> list[Passed]:
    """What comes of batches of such sizes, of which every so many frames are predicted."""
    predicting = Predicting(predictor, make_refiner(predictor, RefineConfig(choice=choice), 0.5))  # type: ignore[arg-type]
    done: list[Passed] = []
    index = 0
    for size in batches:
        frames = [(frame(at, pictures(at, 1)[0]), at % every == 0) for at in range(index, index + size)]
        done += predicting(frames)
        index += size
    return [*done, *predicting.finish()]


@pytest.mark.parametrize("choice", ["off", "flagged", "all"])
@pytest.mark.parametrize(("batches", "every"), [((4, 4, 4, 3), 1), ((4, 4, 1), 3), ((3, 2, 4), 5), ((1,), 1), ((), 1)])
def test_frames_come_in_order_with_what_belongs_to_them(choice: str, batches: Sequence[int], every: int) -> None:
    found = passed(Overlapping(), choice, batches, every)
    expected = passed(plain(), choice, batches, every)
    assert [each.frame.index for each in found] == [each.frame.index for each in expected] == list(range(sum(batches)))
    for mine, wanted in zip(found, expected, strict=True):
        assert (mine.refined is None) == (wanted.refined is None)
        if mine.refined is not None and wanted.refined is not None:
            assert_near(mine.refined.probability, wanted.refined.probability, atol=1e-4)


def test_a_batch_waits_for_the_next_one() -> None:
    predictor = Overlapping()
    predicting = Predicting(predictor, make_refiner(predictor, RefineConfig(choice="off"), 0.5))
    first = [(frame(at, pictures(at, 1)[0]), True) for at in range(4)]
    assert predicting.predict(first) == []
    assert [each.frame.index for each in predicting.predict([(frame(4, pictures(4, 1)[0]), True)])] == [0, 1, 2, 3]
    assert [each.frame.index for each in predicting.finish()] == [4]


@pytest.mark.parametrize("choice", ["off", "all"])
def test_a_video_has_the_masks_that_it_has_without(render: Callable[[Clip], Path], tmp_path: Path, choice: str) -> None:
    path = render(Clip(name="a.mp4", picture=disc_picture, frames=23))
    config = SegmentConfig(refine=RefineConfig(choice=choice))  # type: ignore[arg-type]
    for name, predictor in (("one", plain()), ("other", Overlapping())):
        outcome = segment_video(targets_for(path, masks=tmp_path / f"{name}.mp4"), predictor, STYLE, config)
        assert outcome.frames == outcome.predicted_frames == 23
    assert (tmp_path / "one.mp4").read_bytes() == (tmp_path / "other.mp4").read_bytes()
