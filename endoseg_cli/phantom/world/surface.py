"""The wall: a curving tube along z whose radius is a table over angle and depth, with folds."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from endoseg_cli.phantom.world.tables import Array, blurred, sample_table, smooth_step, unit

LENGTH = 14.0
"""Length of every tube along z; its typical radius is 1."""
_DEPTHS, _ANGLES, _FINE = 560, 128, 16


@dataclass(frozen=True, kw_only=True)
class Tube:
    """A lumen that looks along +z: everything nearer to the centre line than `radius` is empty."""

    radius: Array
    """(angles + 1, depths): distance of the wall from the centre line; the last row repeats the first."""
    slope: Array
    """(angles + 1, depths, 2): its derivative along the angle (per radian) and along z."""
    centre: Array
    """(1, depths, 4): x and y of the centre line and their derivatives along z."""
    fine_centre: Array
    """(2, 16 depths): the centre line once more, so fine that its nearest entry will do."""
    openness: Array
    """(angles + 1, depths): about 1; larger on crests, smaller in grooves that little light reaches."""

    def clearance(self, points: Array) -> Array:
        """Radial distance (N,) from `points` (3, N) to the wall; negative beyond it."""
        column = points[2] * np.float32(_DEPTHS / LENGTH)
        index = np.minimum(np.maximum(column * _FINE, 0), self.fine_centre.shape[1] - 1).astype(np.int32)
        dx, dy = points[0] - self.fine_centre[0].take(index), points[1] - self.fine_centre[1].take(index)
        rho, angle = cv2.cartToPolar(dx, dy)
        row = angle.reshape(-1) * np.float32(_ANGLES / (2 * np.pi))
        return np.asarray(sample_table(self.radius, column, row) - rho.reshape(-1), np.float32)

    def coordinates(self, points: Array) -> tuple[Array, Array]:
        """Angle (radians, 0 to 2 pi) and distance from the centre line of `points` (3, N)."""
        centre = self._centre(points[2])
        dx, dy = points[0] - centre[:, 0], points[1] - centre[:, 1]
        return np.mod(np.arctan2(dy, dx), np.float32(2 * np.pi)), np.hypot(dx, dy)

    def normals(self, points: Array) -> Array:
        """Unit vectors (3, N) from the wall into the lumen, for points on the wall."""
        angle, rho = self.coordinates(points)
        centre = self._centre(points[2])
        row = angle * np.float32(_ANGLES / (2 * np.pi))
        slope = sample_table(self.slope, points[2] * np.float32(_DEPTHS / LENGTH), row)
        cosine, sine, turn = np.cos(angle), np.sin(angle), slope[:, 0] / np.maximum(rho, 0.05)
        x, y = -cosine - turn * sine, -sine + turn * cosine
        return unit(np.stack([x, y, slope[:, 1] - x * centre[:, 2] - y * centre[:, 3]]))

    def opening(self, angle: Array, depth: Array) -> Array:
        """`openness` (N,) at angles (radians, 0 to 2 pi) and depths."""
        row = angle * np.float32(_ANGLES / (2 * np.pi))
        return sample_table(self.openness, depth * np.float32(_DEPTHS / LENGTH), row)

    def anchor(self, depth: float, angle: float) -> tuple[Array, Array]:
        """The wall's point (3,) at a depth and an angle, and the unit vector (3,) from there into the lumen."""
        centre = self._centre(np.asarray([depth], np.float32))[0]
        column = np.asarray([depth * _DEPTHS / LENGTH], np.float32)
        row = np.asarray([np.mod(angle, 2 * np.pi) * _ANGLES / (2 * np.pi)], np.float32)
        radius = float(sample_table(self.radius, column, row)[0])
        x, y = centre[0] + radius * np.cos(angle), centre[1] + radius * np.sin(angle)
        point = np.asarray([x, y, depth], np.float32)
        return point, self.normals(point[:, None])[:, 0]

    def axis(self, depth: float) -> Array:
        """The point (3,) of the centre line at a depth."""
        centre = self._centre(np.asarray([depth], np.float32))[0]
        return np.asarray([centre[0], centre[1], depth], np.float32)

    def _centre(self, depth: Array) -> Array:
        column = np.asarray(depth * np.float32(_DEPTHS / LENGTH), np.float32)
        return sample_table(self.centre, column, np.zeros_like(column))


def colon_tube(rng: np.random.Generator) -> Tube:
    """A wide, curving tube with sharp haustral folds, some of them crescents, some triangular rings."""
    angle, depth = _grid()
    radius = 1 + _undulation(rng, angle, depth, 0.06)
    position = rng.uniform(0, 1)
    spacing, strength = rng.uniform(0.7, 1.35), rng.uniform(0.5, 1.0)
    corner = rng.uniform(0, 2 * np.pi)
    while position < LENGTH:
        corner += rng.normal(0, 0.25)
        _press_fold(radius, rng, position, corner, strength)
        position += spacing * rng.uniform(0.65, 1.4)
    return _tube(radius, _centre_line(rng, rng.uniform(0.1, 0.9)))


def ureter_tube(rng: np.random.Generator) -> Tube:
    """A narrow smooth tube with long soft pleats that mostly ends in a rounded calyx."""
    angle, depth = _grid()
    radius = 1 + _undulation(rng, angle, depth, 0.07)
    pleats, phase = int(rng.integers(2, 5)), rng.uniform(0, 2 * np.pi)
    radius += np.float32(rng.uniform(0.02, 0.1)) * np.cos(pleats * angle + phase + 0.3 * depth)
    for _ in range(int(rng.integers(1, 5))):
        narrow = smooth_step(1, 0, np.abs(depth - np.float32(rng.uniform(0, LENGTH))) / np.float32(rng.uniform(0.4, 1)))
        radius -= np.float32(rng.uniform(0.1, 0.35)) * narrow
    if rng.random() < 0.7:
        radius *= _dome(depth, LENGTH * rng.uniform(0.6, 0.72), rng.uniform(1.0, 2.2))
    return _tube(radius.astype(np.float32), _centre_line(rng, rng.uniform(0.1, 0.7)))


def _grid() -> tuple[Array, Array]:
    angle = np.arange(_ANGLES + 1, dtype=np.float32)[:, None] * np.float32(2 * np.pi / _ANGLES)
    depth = np.arange(_DEPTHS, dtype=np.float32)[None] * np.float32(LENGTH / _DEPTHS)
    return angle, depth


def _undulation(rng: np.random.Generator, angle: Array, depth: Array, amplitude: float) -> Array:
    total = np.zeros((angle.shape[0], depth.shape[1]), np.float32)
    for turns in (1, 1, 2, 3, 4):
        wave, phase = rng.uniform(0.4, 3.0), rng.uniform(0, 2 * np.pi)
        around = np.cos(turns * angle + phase)
        total += np.float32(rng.normal(0, amplitude / turns**0.5)) * around * np.cos(wave * depth + 3 * phase)
    return total


def _press_fold(radius: Array, rng: np.random.Generator, position: float, corner: float, strength: float) -> None:
    """Press one fold into the radius table, in place: a ridge that is steeper on its far side."""
    angle, depth = _grid()
    width, tilt = rng.uniform(0.1, 0.24), rng.uniform(0, 0.25)
    window = np.flatnonzero(np.abs(depth[0] - position) < 4 * width + tilt)
    if not window.size:
        return
    ridge = position + np.float32(tilt) * np.cos(angle + np.float32(rng.uniform(0, 6.3)))
    offset = depth[:, window] - ridge
    scaled = offset * np.where(offset > 0, np.float32(1 / (0.6 * width)), np.float32(1 / (1.3 * width)))
    profile = np.exp(-scaled * scaled)
    inner = 1.05 - strength * rng.uniform(0.7, 1.3) * _lips(rng, angle - np.float32(corner))
    if rng.random() < 0.45:
        crescent = smooth_step(-0.9, 0.6, np.cos(angle - np.float32(rng.uniform(0, 6.3))))
        inner = 1.05 + (inner - 1.05) * crescent
    pressed = radius[:, window] * (1 - profile) + np.maximum(inner, 0.38) * profile
    radius[:, window] = np.minimum(radius[:, window], pressed)


def _lips(rng: np.random.Generator, angle: Array) -> Array:
    """How far a fold stands out around the lumen: between a round lip and a triangle with blunt corners."""
    around = np.mod(angle, 2 * np.pi / 3) - np.pi / 3
    inner = ((0.45 / np.cos(around)) ** -6.0 + 0.95**-6.0) ** (-1 / 6)
    uneven = np.zeros_like(angle)
    for turns in (1, 2, 5, 8):
        uneven += np.float32(rng.normal(0, 0.05 / turns**0.5)) * np.cos(turns * angle + np.float32(rng.uniform(0, 6.3)))
    share = rng.uniform(0.2, 1.0)
    return np.asarray(share * (1 - inner) + (1 - share) * 0.35 + uneven, np.float32)


def _dome(depth: Array, end: float, length: float) -> Array:
    reach = np.clip((depth - (end - length)) / length, 0, 1)
    swell = 1 + 0.35 * smooth_step(0, 0.5, np.asarray(reach, np.float32))
    closed = np.maximum(depth - end, 0)  # goes on falling, so that the tip's slope faces the camera
    return np.asarray(swell * np.sqrt(np.maximum(1 - reach**2, 0)) - 2 * closed, np.float32)


def _centre_line(rng: np.random.Generator, bend: float) -> Array:
    depth = _grid()[1][0]
    columns = []
    for _ in range(2):
        slow, quick = rng.uniform(0.45, 0.8), rng.uniform(0.9, 1.5)
        first, second = rng.uniform(0, 2 * np.pi, 2)
        columns.append(bend * np.sin(slow * depth + first) + 0.25 * bend * np.sin(quick * depth + second))
    step = LENGTH / _DEPTHS
    return np.stack([*columns, *(np.gradient(column, step) for column in columns)], -1)[None].astype(np.float32)


def _tube(radius: Array, centre: Array) -> Tube:
    radius = np.asarray(cv2.GaussianBlur(radius, (5, 1), 0.8), np.float32)
    radius[-1] = radius[0]
    along_angle = np.gradient(np.vstack([radius[-2], radius, radius[1]]), 2 * np.pi / _ANGLES, axis=0)[1:-1]
    along_depth = np.gradient(radius, LENGTH / _DEPTHS, axis=1)
    slope = np.clip(np.stack([along_angle, along_depth], -1), -8, 8).astype(np.float32)
    around = blurred(np.vstack([radius[-25:-1], radius, radius[1:25]]), 7)[24:-24]
    fine = cv2.resize(centre[..., :2], (_DEPTHS * _FINE, 1), interpolation=cv2.INTER_LINEAR)[0].T
    openness = np.clip(1 + 1.6 * (around - radius), 0.55, 1.25).astype(np.float32)
    return Tube(
        radius=np.ascontiguousarray(radius),
        slope=slope,
        centre=centre,
        fine_centre=np.ascontiguousarray(fine),
        openness=openness,
    )
