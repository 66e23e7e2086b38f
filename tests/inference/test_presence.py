from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from endoseg_cli.errors import UsageError
from endoseg_cli.inference.predict.predictor import Predictor
from endoseg_cli.networks.running.presence import demand_presence
from tests.networks.tiny import tiny_bundle


def two_regions() -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    maps = np.full((1, 1, 12, 12), 0.1, np.float32)
    maps[0, 0, 1:4, 1:4], maps[0, 0, 2, 2] = 0.6, 0.98
    maps[0, 0, 7:10, 7:10], maps[0, 0, 8, 8] = 0.6, 0.9
    return maps


def test_a_region_that_is_nowhere_sure_is_not_drawn() -> None:
    maps = two_regions()
    kept = demand_presence(maps, 0.95)
    assert ((kept > 0.5) == (maps > 0.5))[..., :6, :6].all()
    assert not (kept > 0.5)[..., 6:, 6:].any()
    assert kept[0, 0, 8, 8] == pytest.approx(0.5) and kept[0, 0, 0, 0] == maps[0, 0, 0, 0]
    assert maps[0, 0, 8, 8] == np.float32(0.9), "the input stays as it is"
    assert demand_presence(maps, 0.0) is maps


def test_the_card_decides_unless_asked_otherwise() -> None:
    bundle = tiny_bundle()
    demanding = replace(bundle, card=replace(bundle.card, presence=0.9))
    assert Predictor(demanding, device="cpu").presence == 0.9
    assert Predictor(demanding, device="cpu", presence=0.0).presence == 0.0
    with pytest.raises(UsageError, match=r"--presence must be at least 0 and below 1, found 1\.5"):
        Predictor(bundle, device="cpu", presence=1.5)
    with pytest.raises(UsageError, match="presence"):
        replace(bundle.card, presence=1.0)


def test_each_network_and_both_together_come_from_one_look() -> None:
    bundle = tiny_bundle()
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 255, (40, 56, 3), dtype=np.uint8) for _ in range(2)]
    both = Predictor(bundle, device="cpu", precision="fp32")
    for maps, joint in zip(both.predict_each_any_size(frames), both.predict_any_size(frames), strict=True):
        assert len(maps) == 1 + len(bundle.networks)
        np.testing.assert_allclose(maps[0], joint, atol=1e-6)
        np.testing.assert_allclose(maps[0], np.mean(maps[1:], axis=0), atol=1e-6)
