"""A scene and a time become a picture and its mask."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from endoseg_cli.phantom.picture.sensor import develop
from endoseg_cli.phantom.picture.shading import shade
from endoseg_cli.phantom.picture.tracing import trace
from endoseg_cli.phantom.world.camera import Pose
from endoseg_cli.phantom.world.scene import Scene
from endoseg_cli.phantom.world.tables import Array

_SHUTTER = 0.016  # seconds
_TYPICAL_DISTANCE = 1.2  # of the wall that is looked at, in lumen radii
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Rendered:
    """One frame and its truth."""

    picture: Bytes
    """(H, W, 3), red first."""
    mask: Bytes
    """(H, W): 255 where a lesion is in the line of sight, else 0."""
    disturbances: tuple[str, ...]
    """Names of the disturbances that act on this frame."""

    @property
    def fraction(self) -> float:
        """Share of the frame that the mask covers."""
        return float((self.mask > 0).mean())


def render(scene: Scene, size: tuple[int, int], time: float = 0.0) -> Rendered:
    """Render `scene` at a time in seconds as a picture of `size` (height, width).

    The mask marks the pixels in whose line of sight a lesion lies. What is transparent (bubbles, water, smoke) or only
    spoils the picture (blur, glare) does not remove it from the mask; what is opaque (folds, the instrument, the wall
    on the lens, the black surround of the field of view) does.
    """
    pose = scene.path.pose(scene.tube, time)
    directions, visible = scene.lens.rays(size)
    chosen = np.flatnonzero(visible > 0)
    rays = pose.world(directions.reshape(3, -1)[:, chosen])
    pixel = _pixel(scene, size)
    hits = trace(scene, pose, rays, pixel)
    light = np.zeros((size[0] * size[1], 3), np.float32)
    light[chosen] = shade(scene, pose, rays, hits, pixel).T
    mask = np.zeros(size[0] * size[1], bool)
    mask[chosen] = _lesion_pixels(hits.lesion_share, hits.instrument)
    mask &= visible.reshape(-1) >= 0.5
    if any(each.hides(time) for each in scene.disturbances):
        mask[:] = False
    picture = develop(scene, light.reshape(*size, 3), visible, time, _motion(scene, pose, time, pixel))
    return Rendered(
        picture=picture,
        mask=np.where(mask, 255, 0).astype(np.uint8).reshape(size),
        disturbances=tuple(each.name for each in scene.disturbances if each.level(time) > 0),
    )


def render_mask(scene: Scene, size: tuple[int, int], time: float = 0.0) -> Bytes:
    """The mask alone, (H, W), 255 on lesions: many times as fast as `render`."""
    pose = scene.path.pose(scene.tube, time)
    directions, visible = scene.lens.rays(size)
    chosen = np.flatnonzero(visible.reshape(-1) >= 0.5)
    hits = trace(scene, pose, pose.world(directions.reshape(3, -1)[:, chosen]), _pixel(scene, size))
    mask = np.zeros(size[0] * size[1], np.uint8)
    mask[chosen] = np.where(_lesion_pixels(hits.lesion_share, hits.instrument), 255, 0)
    return mask.reshape(size)


def _motion(scene: Scene, pose: Pose, time: float, pixel: float) -> tuple[float, float]:
    """How far (right, down) in pixels the picture's middle moves while the shutter is open."""
    if len(scene.path.times) == 1:
        return 0.0, 0.0
    later = scene.path.pose(scene.tube, time + _SHUTTER)
    turned = pose.axes @ later.axes[2]
    moved = pose.axes @ (later.position - pose.position)
    right, down = -(turned + moved / _TYPICAL_DISTANCE)[:2] / pixel
    return float(right), float(down)


def _pixel(scene: Scene, size: tuple[int, int]) -> float:
    """The angle in radians that a pixel covers."""
    return scene.lens.half_angle / max(scene.lens.half_pixels(size))


def _lesion_pixels(shares: Array, instrument: Array) -> npt.NDArray[np.bool_]:
    if not shares.shape[0]:
        return np.zeros(instrument.shape, bool)
    return np.asarray((shares.max(axis=0) > 0.5) & (instrument == 0), bool)
