from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from endoseg_cli.phantom.world.tables import Array, sample_table
from endoseg_cli.phantom.world.textures import (
    TILE,
    Tile,
    foam_tile,
    lesion_tile,
    mucosa_tile,
    spectral_noise,
    stone_tile,
)


@pytest.mark.parametrize("make", [mucosa_tile, lesion_tile, stone_tile, foam_tile])
def test_tiles_repeat_without_a_seam(make: Callable[[int], Tile]) -> None:
    tile = make(1).levels[0]
    inner = np.abs(np.diff(tile, axis=0)).mean(axis=(0, 1))
    seam = np.abs(tile[0] - tile[-1]).mean(axis=0)
    assert (seam < 2.1 * inner + 1e-3).all()


def test_a_tile_is_read_alike_one_tile_further() -> None:
    place = np.random.default_rng(0).random((2, 300)).astype(np.float32)
    footprint = np.full(300, 1 / TILE, np.float32)
    tile = mucosa_tile(0)
    np.testing.assert_allclose(tile.sample(place, footprint), tile.sample(place + 1, footprint), atol=0.15)


def test_distant_tiles_are_smooth() -> None:
    place = np.random.default_rng(0).random((2, 500)).astype(np.float32)
    near, far = (mucosa_tile(0).sample(place, np.full(500, width, np.float32))[:, 2].std() for width in (0.002, 0.06))
    assert far < 0.3 * near


def test_noise_has_the_band_that_is_asked_for() -> None:
    noise = spectral_noise(np.random.default_rng(0), 0.0, 20, 30)
    power = np.abs(np.fft.fft2(noise))
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(TILE, 1 / TILE), np.fft.fftfreq(TILE, 1 / TILE)))
    assert power[(frequency < 19) | (frequency > 31)].max() < 0.01 * power.max()
    assert noise.std() == pytest.approx(1, abs=1e-3)


def test_tables_are_read_between_their_entries() -> None:
    table: Array = np.arange(12, dtype=np.float32).reshape(3, 4)
    x, y = np.asarray([0.5, 3.0, 9.0], np.float32), np.asarray([0.0, 1.5, 1.0], np.float32)
    np.testing.assert_allclose(sample_table(table, x, y), [0.5, 9.0, 7.0], atol=0.1)
    assert sample_table(table, x[:0], y[:0]).shape == (0,)
