"""Rays against the lumen, its lesions and the instrument: marching, then a secant to the surface."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from endoseg_cli.phantom.world.camera import Pose
from endoseg_cli.phantom.world.lesions import Lesion, soft_minimum
from endoseg_cli.phantom.world.scene import Instrument, Scene
from endoseg_cli.phantom.world.surface import Tube
from endoseg_cli.phantom.world.tables import Array

FAR = 7.5
"""Rays end here; what is farther is dark anyway."""
_STEPS = 48
_CAUTION = np.float32(0.7)  # radial clearance overstates the distance to steep folds
_LONGEST = np.float32(0.3)  # folds are about this thick; a longer step would jump through them


@dataclass(frozen=True, kw_only=True)
class Hits:
    """Where each ray ends."""

    points: Array
    """(3, N)."""
    distance: Array
    """(N,): length of the ray."""
    lesion_share: Array
    """(L, N): 1 on a lesion, 0 on the wall, between where they melt together."""
    lesion_gap: Array
    """(N,): distance to the nearest lesion's surface, in units of its radius."""
    instrument: Array
    """(N,): 1 where the ray ends on the instrument."""


def trace(scene: Scene, pose: Pose, directions: Array, pixel: float) -> Hits:
    """Follow rays with `directions` (3, N), unit vectors in the scene's axes, to what they meet first.

    `pixel` is the angle between neighbouring rays in radians: nothing is found much finer than that.
    """
    position = pose.position[:, None]
    distance = _march(scene, pose, directions, np.float32(pixel))
    points = position + directions * distance
    wall = _CAUTION * scene.tube.clearance(points)
    gaps = [lesion.distance(points) for lesion in scene.lesions]
    shares = [
        _share(np.min([wall, *gaps[:index], *gaps[index + 1 :]], axis=0), gaps[index], lesion)
        for index, lesion in enumerate(scene.lesions)
    ]
    relative = [gap / np.float32(lesion.radius) for gap, lesion in zip(gaps, scene.lesions, strict=True)]
    nearest = np.min(gaps, axis=0) if gaps else np.full_like(distance, FAR)
    rod = np.zeros_like(distance)
    if scene.instrument is not None:
        gap = rod_distance(scene.instrument, pose, points)
        rod = (gap < np.minimum(wall, nearest)).astype(np.float32)
    return Hits(
        points=points,
        distance=distance,
        lesion_share=np.stack(shares) if shares else np.zeros((0, distance.size), np.float32),
        lesion_gap=np.min(relative, axis=0) if relative else nearest,
        instrument=rod,
    )


def rod_distance(instrument: Instrument, pose: Pose, points: Array) -> Array:
    """Distance (N,) from `points` (3, N) to the instrument."""
    start = pose.position + pose.axes.T @ instrument.start
    along = pose.axes.T @ (instrument.tip - instrument.start)
    offset = points - start[:, None]
    share = np.clip((along @ offset) / np.float32(along @ along), 0, 1)
    offset = offset - along[:, None] * share
    return np.asarray(np.sqrt((offset * offset).sum(axis=0)) - np.float32(instrument.radius), np.float32)


def free_space(tube: Tube, lesions: tuple[Lesion, ...], point: Array) -> float:
    """How far a point (3,) is from the wall and from every lesion, roughly; negative inside one of them."""
    column = point[:, None]
    return min(float(_CAUTION * tube.clearance(column)[0]), *(float(each.distance(column)[0]) for each in lesions), 9.0)


def _share(others: Array, gap: Array, lesion: Lesion) -> Array:
    softness = 0.5 / (lesion.melt * lesion.radius)
    return np.asarray(np.clip(0.5 + (others - gap) * np.float32(softness), 0, 1), np.float32)


def _field(scene: Scene, pose: Pose, points: Array) -> Array:
    """A distance (N,) that no surface is nearer than, as far as practice needs it."""
    result = np.asarray(_CAUTION * scene.tube.clearance(points), np.float32)
    for lesion in scene.lesions:
        result = soft_minimum(result, lesion.distance(points), lesion.melt * lesion.radius)
    if scene.instrument is not None:
        result = np.minimum(result, rod_distance(scene.instrument, pose, points))
    return result


def _march(scene: Scene, pose: Pose, directions: Array, pixel: np.float32) -> Array:
    position = pose.position[:, None]
    distance = np.full(directions.shape[1], FAR, np.float32)
    active = np.arange(directions.shape[1])
    rays = directions
    reach, before, gap_before = (np.full(active.size, value, np.float32) for value in (0.02, 0.0, 1.0))
    for _ in range(_STEPS):
        gap = _field(scene, pose, position + rays * reach)
        landed = gap < np.float32(0.1) * pixel * reach
        if landed.any():
            through = before + (reach - before) * gap_before / np.maximum(gap_before - gap, 1e-6)
            distance[active[landed]] = np.where(gap < 0, through, reach)[landed]
        go_on = ~landed & (reach < FAR)
        if not go_on.any():
            break
        before, gap_before = reach[go_on], gap[go_on]
        reach = before + np.minimum(np.maximum(gap_before, np.float32(0.006) + pixel * before), _LONGEST)
        active, rays = active[go_on], rays[:, go_on]
    else:
        distance[active] = reach
    return distance
