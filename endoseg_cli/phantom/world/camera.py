"""The camera: a fisheye lens with its field of view, and a path through the lumen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from endoseg_cli.phantom.world.tables import Array, unit


@dataclass(frozen=True, kw_only=True)
class Lens:
    """An equidistant fisheye lens behind a stop: the part of the picture that shows anything."""

    shape: str
    """Form of the visible part: round, octagon, squarish or full."""
    centre: tuple[float, float]
    """Middle of the visible part, in widths and heights of the frame."""
    half_sides: tuple[float, float]
    """Half its width and height, in widths and heights of the frame."""
    half_angle: float
    """Angle in radians between the axis and a ray at the end of the longer half side."""

    def half_pixels(self, size: tuple[int, int]) -> tuple[float, float]:
        """Half the width and height of the visible part in a frame of `size` (height, width); a circle stays one."""
        half_x, half_y = self.half_sides[0] * size[1], self.half_sides[1] * size[0]
        radius = min(half_x, 1.12 * half_y)
        return (radius, radius) if self.shape == "round" else (half_x, half_y)

    def rays(self, size: tuple[int, int]) -> tuple[Array, Array]:
        """Directions (3, H, W) in the camera's axes (right, down, forward), and the visible share (H, W) of pixels."""
        height, width = size
        half_x, half_y = self.half_pixels(size)
        x = np.arange(width, dtype=np.float32)[None] + np.float32(0.5 - self.centre[0] * width)
        y = np.arange(height, dtype=np.float32)[:, None] + np.float32(0.5 - self.centre[1] * height)
        reach = max(half_x, half_y)
        radius = np.hypot(x, y)
        angle = np.minimum(radius * np.float32(self.half_angle / reach), np.float32(1.7))
        across = np.sin(angle) / np.maximum(radius, 1e-6)
        directions = np.stack([x * across, y * across, np.cos(angle)]).astype(np.float32)
        inside = self._inside(x / np.float32(half_x), y / np.float32(half_y))
        visible = np.clip(0.5 + inside * min(half_x, half_y), 0, 1)
        return directions, np.asarray(np.broadcast_to(visible, size), np.float32)

    def _inside(self, x: Array, y: Array) -> Array:
        """How far (in half sides) each pixel lies inside the stop; negative outside."""
        box = 1 - np.maximum(np.abs(x), np.abs(y))
        if self.shape == "round":
            return np.asarray(1 - np.hypot(x, y), np.float32)
        if self.shape == "octagon":
            return np.asarray(np.minimum(box, (1.52 - np.abs(x) - np.abs(y)) * 0.7071), np.float32)
        if self.shape == "squarish":
            return np.asarray(1 - (np.abs(x) ** 7 + np.abs(y) ** 7) ** (1 / 7), np.float32)
        return np.ones((y.shape[0], x.shape[1]), np.float32)


@dataclass(frozen=True, kw_only=True)
class Pose:
    """Where the camera is and how it is turned."""

    position: Array
    """(3,)."""
    axes: Array
    """(3, 3): rows are right, down and forward."""

    def world(self, directions: Array) -> Array:
        """Directions (3, N) from the camera's axes into the scene's."""
        return np.asarray(self.axes.T @ directions, np.float32)


def look(position: Array, forward: Array, roll: float) -> Pose:
    """A pose that looks along `forward` (3,), turned by `roll` radians about it."""
    forward = unit(forward)
    up = np.asarray([np.sin(roll), -np.cos(roll), 0.0], np.float32)
    right = unit(np.cross(forward, up).astype(np.float32))
    down = np.cross(forward, right)
    return Pose(position=position.astype(np.float32), axes=np.stack([right, down, forward]).astype(np.float32))


@dataclass(frozen=True, kw_only=True)
class Wobble:
    """A smooth tremor: a sum of sines for each of several channels."""

    amplitude: Array
    """(channels, waves)."""
    frequency: Array
    """(channels, waves), in hertz."""
    phase: Array
    """(channels, waves), in radians."""

    def at(self, time: float) -> Array:
        """Values (channels,) at a time in seconds."""
        waves = self.amplitude * np.sin(2 * np.pi * self.frequency * time + self.phase)
        return np.asarray(waves.sum(axis=1), np.float32)


def random_wobble(rng: np.random.Generator, sizes: tuple[float, ...]) -> Wobble:
    """A tremor whose channels have about these sizes; slow waves are larger than quick ones."""
    frequency = rng.uniform((0.1, 0.3, 0.8), (0.3, 0.8, 1.8), (len(sizes), 3))
    amplitude = np.asarray(sizes)[:, None] * rng.uniform(0.4, 1.0, (len(sizes), 3)) * (0.9, 0.4, 0.15)
    phase = rng.uniform(0, 2 * np.pi, (len(sizes), 3))
    return Wobble(
        amplitude=amplitude.astype(np.float32), frequency=frequency.astype(np.float32), phase=phase.astype(np.float32)
    )
