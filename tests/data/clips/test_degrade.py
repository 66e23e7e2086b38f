from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from endoseg_cli.data.clips.degrade import DEGRADATIONS, Degradation, degrade


def tissue() -> NDArray[np.uint8]:
    """Return reddish texture with a darker disc."""
    noise = np.random.default_rng(0).integers(40, 120, (64, 80, 3), np.uint8)
    picture = np.asarray(cv2.GaussianBlur(noise, (3, 3), 0), np.uint8)
    picture[..., 0] += 60
    return np.asarray(cv2.circle(picture, (40, 32), 12, (90, 30, 30), -1), np.uint8)


@pytest.mark.parametrize("kind", DEGRADATIONS)
def test_a_picture_gets_worse_with_the_strength(kind: Degradation) -> None:
    picture = tissue()
    shown = [degrade(picture, kind, strength, np.random.default_rng(3)) for strength in (0.0, 0.3, 1.0)]
    changes = [float(np.abs(worse.astype(int) - picture).mean()) for worse in shown]
    assert changes[0] == 0 and 0.5 < changes[1] < changes[2] and changes[2] > 5
    assert all(worse.shape == picture.shape and worse.dtype == np.uint8 for worse in shown)


@pytest.mark.parametrize("kind", ["washed out", "defocused"])
def test_what_can_be_told_apart_fades(kind: Degradation) -> None:
    picture = tissue()
    disc = np.zeros((64, 80), np.uint8)
    cv2.circle(disc, (40, 32), 12, 1, -1)

    def edge(shown: NDArray[np.uint8]) -> float:
        inner, outer = disc - cv2.erode(disc, np.ones((3, 3))), cv2.dilate(disc, np.ones((3, 3))) - disc
        return abs(float(shown[outer > 0].mean()) - float(shown[inner > 0].mean()))

    assert edge(degrade(picture, kind, 1.0, np.random.default_rng(1))) < 0.4 * edge(picture)


def test_glare_and_bubbles_brighten() -> None:
    picture = tissue()
    for kind in ("glare", "bubbles"):
        bright = degrade(picture, kind, 1.0, np.random.default_rng(2))
        assert bright.mean() > picture.mean() + 10, kind
