"""What is drawn does not hang on the rounding of half precision: close frames are computed again."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from endoseg_cli.inference.predict.predictor import Pixels, Predictor, Probability
from endoseg_cli.networks.running.presence import DOUBT, is_close
from tests.networks.tiny import calibrated_bundle


def frames(count: int) -> list[Pixels]:
    side = calibrated_bundle().card.input_size[0]
    coarse = np.random.default_rng(5).integers(0, 256, (count, 4, 4, 3), dtype=np.uint8)
    return list(coarse.repeat(side // 4, 1).repeat(side // 4, 2))


def plane(*peaks: float) -> Probability:
    """Return a picture (1, 8, 24) with a region of each peak."""
    found = np.full((1, 8, 24), 0.1, np.float32)
    for place, peak in enumerate(peaks):
        found[0, 2:5, 6 * place : 6 * place + 3] = 0.6
        found[0, 3, 6 * place + 1] = peak
    return found


CLOSE: list[tuple[tuple[float, ...], bool]] = [
    ((0.95,), True),
    ((0.945,), True),
    ((0.958,), True),
    ((0.99, 0.955), True),
    ((0.935,), False),
    ((0.97,), False),
    ((0.99, 0.7), False),
    ((), False),
]


@pytest.mark.parametrize(("peaks", "close"), CLOSE)
def test_regions_near_the_presence_are_close(peaks: tuple[float, ...], close: bool) -> None:
    assert is_close(plane(*peaks), 0.95) == close
    assert not is_close(plane(*peaks), 0.0), "every region is drawn"


@pytest.mark.parametrize("tta", ["off", "flips"])
def test_a_peak_at_the_presence_is_decided_as_in_full_precision(tta: str) -> None:
    bundle, pictures = calibrated_bundle(), frames(12)

    def predict(precision: str, presence: float) -> Probability:
        choice = {"precision": precision, "presence": presence, "tta": tta}
        return Predictor(bundle, device="cpu", **choice).predict(pictures)  # type: ignore[arg-type]

    exact, rounded = predict("fp32", 0.0), predict("bf16", 0.0)
    peaks = exact.max((1, 2, 3))
    assert (peaks > 0.55).sum() >= 3 and not np.array_equal(exact, rounded)
    for peak in np.sort(peaks)[-3:]:
        for presence in (peak - 2e-5, peak + 2e-5):
            if presence < 1:
                full, half = ((predict(each, float(presence)) > 0.5).any((1, 2, 3)) for each in ("fp32", "bf16"))
                assert np.array_equal(full, half)


def runs(predictor: Predictor, pictures: list[Pixels], monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return how many frames the networks are given in each of their runs."""
    seen: list[int] = []
    run = predictor._torch

    def count(images: torch.Tensor) -> list[torch.Tensor]:
        seen.append(len(images))
        return run(images)

    for name in ("_torch", "_run_networks"):
        monkeypatch.setattr(predictor, name, count)
    predictor.predict(pictures)
    return seen


def test_frames_that_are_not_close_are_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    bundle, pictures = calibrated_bundle(), frames(4)
    peaks = Predictor(bundle, device="cpu", precision="fp32", presence=0.0).predict(pictures).max((1, 2, 3))
    far = float(min(peaks.max() + 4 * DOUBT, 0.999))
    for presence, more in ((far, 0), (float(peaks.max()), 1), (0.0, 0)):
        predictor = Predictor(bundle, device="cpu", precision="bf16", presence=presence, batch_size=4)
        seen = runs(predictor, pictures, monkeypatch)
        assert seen[0] == 4 and len(seen) == 1 + more, (presence, seen)
