"""Tiles that repeat in both directions: mucosa with branching vessels, polyp pits, stone, and foam."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from endoseg_cli.phantom.world.tables import Array, blurred, sample_table

TILE = 512
"""Side of a tile, texels."""
VARIANTS = 6
"""How many different sets of tiles there are."""
_LEVELS = 6


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One tile at falling resolutions, so that distant walls do not flicker."""

    levels: tuple[Array, ...]
    """(TILE / 2^level, same, C) each."""

    def sample(self, place: Array, footprint: Array) -> Array:
        """Read at `place` (2, N) in tiles, a pixel covering `footprint` (N,) of a tile; returns (N, C)."""
        level = np.clip(np.log2(np.maximum(footprint * TILE, 1)), 0, len(self.levels) - 1)
        result = np.zeros((place.shape[1], self.levels[0].shape[2]), np.float32)
        for index, table in enumerate(self.levels):
            weight = 1 - np.abs(level - index)
            chosen = np.flatnonzero(weight > 0)
            side = table.shape[0]
            x, y = np.mod(place[:, chosen], 1) * np.float32(side) - np.float32(0.5)
            result[chosen] += weight[chosen, None] * sample_table(table, x, y, wrap=True)
        return result


@lru_cache(maxsize=VARIANTS)
def mucosa_tile(variant: int) -> Tile:
    """Channels: mottling (zero mean, unit deviation), vessels 0..1, slope of the wet relief in u and in v."""
    rng = np.random.default_rng([7001, variant])
    mottle = spectral_noise(rng, 2.0, 2, 60)
    vessels = _vessels(rng)
    film = spectral_noise(rng, 1.2, 14, 90) + 0.5 * spectral_noise(rng, 0.0, 60, 140)
    film *= np.exp(0.8 * spectral_noise(rng, 1.5, 3, 14))
    return _tile(mottle, vessels, *_slopes(film))


@lru_cache(maxsize=VARIANTS)
def lesion_tile(variant: int) -> Tile:
    """Channels: mottling, pits 0..1, slope of the relief in u and in v."""
    rng = np.random.default_rng([7002, variant])
    cells = spectral_noise(rng, 0.0, 26 + 6 * variant, 40 + 8 * variant)
    pits = 1 / (1 + np.exp(-4 * (cells - 0.7)))
    relief = 0.3 * cells + spectral_noise(rng, 1.4, 6, 70)
    return _tile(spectral_noise(rng, 2.0, 2, 50), pits.astype(np.float32), *_slopes(relief))


@lru_cache(maxsize=VARIANTS)
def stone_tile(variant: int) -> Tile:
    """Channels: mottling, crystal grain 0..1, slope of the rough relief in u and in v."""
    rng = np.random.default_rng([7003, variant])
    rough = spectral_noise(rng, 1.6, 3, 200)
    ridged = 1 - np.abs(spectral_noise(rng, 1.4, 4, 120))
    grain = 1 / (1 + np.exp(-2.5 * spectral_noise(rng, 0.4, 30, 200)))
    return _tile(
        spectral_noise(rng, 1.8, 2, 90),
        grain.astype(np.float32),
        *_slopes(np.asarray(rough + 0.8 * ridged, np.float32)),
    )


@lru_cache(maxsize=VARIANTS)
def foam_tile(variant: int) -> Tile:
    """Channels: bubble rim 0..1, glint 0..1, covered by a bubble 0..1, shade of its inside -1..1."""
    rng = np.random.default_rng([7004, variant])
    layers = np.zeros((4, TILE, TILE), np.float32)
    for _ in range(260):
        radius = float(np.clip(rng.lognormal(2.4, 0.6), 5, 58))
        _draw_bubble(layers, rng.uniform(0, TILE, 2), radius, rng)
    return _tile(*(_blurred_tile(layer, 0.7) for layer in layers))


def spectral_noise(rng: np.random.Generator, slope: float, low: float, high: float) -> Array:
    """Repeating noise (TILE, TILE), zero mean, unit deviation, amplitude f^-slope between `low` and `high` cycles."""
    rows = np.fft.fftfreq(TILE, 1 / TILE)[:, None]
    columns = np.fft.rfftfreq(TILE, 1 / TILE)[None]
    frequency = np.hypot(rows, columns)
    band = np.where((frequency >= low) & (frequency <= high), np.maximum(frequency, 1.0) ** -slope, 0)
    noise = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((TILE, TILE))) * band)
    return np.asarray(noise / noise.std(), np.float32)


def _tile(*channels: Array) -> Tile:
    levels = [np.ascontiguousarray(np.stack(channels, axis=-1))]
    while len(levels) < _LEVELS:
        half = levels[-1].shape[0] // 2
        levels.append(np.asarray(cv2.resize(levels[-1], (half, half), interpolation=cv2.INTER_AREA), np.float32))
    return Tile(levels=tuple(levels))


def _slopes(height: Array) -> tuple[Array, Array]:
    along_u = np.roll(height, -1, 1) - np.roll(height, 1, 1)
    along_v = np.roll(height, -1, 0) - np.roll(height, 1, 0)
    scale = np.sqrt((along_u**2 + along_v**2).mean())
    return along_u / scale, along_v / scale


def _blurred_tile(tile: Array, sigma: float) -> Array:
    edge = 4 * round(sigma + 1)
    return blurred(np.pad(tile, edge, mode="wrap"), sigma)[edge:-edge, edge:-edge]


def _vessels(rng: np.random.Generator) -> Array:
    canvas = np.zeros((TILE, TILE), np.float32)
    deep = np.zeros_like(canvas)
    for _ in range(9):
        _grow(deep, rng, rng.uniform(0, TILE, 2), rng.uniform(0, 2 * np.pi), rng.uniform(2.5, 4.5), 4)
    for _ in range(22):
        _grow(canvas, rng, rng.uniform(0, TILE, 2), rng.uniform(0, 2 * np.pi), rng.uniform(1.0, 2.4), 4)
    both = np.maximum(0.7 * _blurred_tile(deep, 2.5), _blurred_tile(canvas, 0.9))
    return np.asarray(np.clip(both, 0, 1), np.float32)


def _grow(canvas: Array, rng: np.random.Generator, start: np.ndarray, heading: float, width: float, depth: int) -> None:
    """Draw one vessel as a random walk that thins, and its branches."""
    steps = int(rng.integers(8, 20))
    headings = heading + np.cumsum(rng.normal(0, 0.28, steps))
    points = start + np.cumsum(7.0 * np.stack([np.cos(headings), np.sin(headings)], axis=1), axis=0)
    _draw_wrapped(canvas, np.vstack([start, points]), width)
    if depth == 0 or width < 0.7:
        return
    for side in (-1, 1):
        turn = side * rng.uniform(0.25, 0.8)
        _grow(canvas, rng, points[-1], headings[-1] + turn, width * rng.uniform(0.6, 0.85), depth - 1)


def _draw_wrapped(canvas: Array, points: np.ndarray, width: float) -> None:
    strength = float(np.clip(0.35 + 0.25 * width, 0, 1))
    origin = np.floor(points.min(axis=0) / TILE) * TILE
    for dx in (0, TILE):
        for dy in (0, TILE):
            fixed = np.round((points - origin - (dx, dy)) * 16).astype(np.int32)
            cv2.polylines(canvas, [fixed], False, strength, max(1, round(width)), cv2.LINE_8, 4)


def _draw_bubble(layers: np.ndarray, centre: np.ndarray, radius: float, rng: np.random.Generator) -> None:
    rows, columns = np.ogrid[: int(2 * radius) + 5, : int(2 * radius) + 5]
    reach = np.hypot(rows - radius - 2, columns - radius - 2) / radius
    index = np.ix_((np.arange(rows.size) + int(centre[1])) % TILE, (np.arange(columns.size) + int(centre[0])) % TILE)
    inside = reach < 1
    rim = np.exp(-(((reach - 0.94) / max(0.05, 1.1 / radius)) ** 2))
    glint = np.zeros_like(reach)
    for _ in range(int(rng.integers(1, 4))):
        offset = rng.normal(0, 0.4, 2) * radius
        spot = np.hypot(rows - radius - 2 - offset[0], columns - radius - 2 - offset[1])
        glint = np.maximum(glint, np.exp(-((spot / max(1.3, 0.09 * radius)) ** 2)))
    shade = (rows - radius - 2) / radius * np.clip(reach, 0, 1)
    for layer, value in zip(layers, (rim, glint, np.ones_like(reach), shade), strict=True):
        layer[index] = np.where(inside, value, layer[index])
