"""Scenes whose lesions cover a wanted share of the frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from endoseg_cli.errors import UsageError
from endoseg_cli.phantom.picture.render import Rendered, render, render_mask
from endoseg_cli.phantom.picture.sampling import resized
from endoseg_cli.phantom.picture.tracing import free_space
from endoseg_cli.phantom.world.config import PhantomConfig
from endoseg_cli.phantom.world.scene import Scene

_PROBE = 36  # longer side of the small masks that measure a scene
_TRIES = 80
_LARGEST = 0.75  # radius of a lesion in a lumen of radius 1

Draw = Callable[[int, float], Scene]
"""Draws a scene from a seed so that its lesions cover about a share of the frame."""


def fitted(seed: int, config: PhantomConfig, draw: Draw, time: float = 0.0) -> tuple[Scene, Rendered]:
    """Draw a scene whose lesions cover `config.lesion_fraction` of the frame at `time`; returns it and that frame.

    Scenes derived from `seed` are drawn until one fits. Raises UsageError when none does, as for a range that is
    narrower than the frame has pixels for.
    """
    low, high = config.lesion_fraction
    for scene in _candidates(seed, config, draw, time):
        frame = render(scene, config.size, time)
        if low <= frame.fraction <= high:
            return scene, frame
    raise UsageError(
        f"no scene found in which lesions cover {low:g} to {high:g} of a {config.size[1]}x{config.size[0]} frame",
        hint="widen --lesion-fraction, or use a larger --size",
    )


def _candidates(seed: int, config: PhantomConfig, draw: Draw, time: float) -> Iterator[Scene]:
    low, high = config.lesion_fraction
    aims = np.random.default_rng([seed, 11])
    for attempt in range(_TRIES):
        aim = float(np.exp(aims.uniform(np.log(max(low, 0.002)), np.log(high))))
        scene = _fit(draw(seed + attempt * 1_000_003, aim), config, aim, time)
        if scene is not None:
            yield scene


def _fit(scene: Scene, config: PhantomConfig, aim: float, time: float) -> Scene | None:
    """The scene with its lesions so large that they cover about `aim`, or None where they cannot."""
    low, high = config.lesion_fraction
    scale = min(1.0, _PROBE / max(config.size))
    probe = (max(1, round(config.size[0] * scale)), max(1, round(config.size[1] * scale)))
    for _ in range(5):
        reached = float((render_mask(scene, probe, time) > 0).mean())
        if reached == 0:
            return None
        if abs(np.log(reached / aim)) < 0.2 and 1.05 * low < reached < high / 1.05:
            break
        scene = resized(scene, float(np.clip((aim / reached) ** 0.45, 0.6, 1.6)))
        if scene.lesions[0].radius > _LARGEST:
            return None
    return scene if _is_free(scene, time) else None


def _is_free(scene: Scene, time: float) -> bool:
    """Whether the camera's whole way is free, and its key pose not too close to anything."""
    times = np.linspace(scene.path.times[0], scene.path.times[-1], 1 if len(scene.path.times) == 1 else 40)
    places = (scene.path.pose(scene.tube, float(each)).position for each in (time, *times))
    return all(free_space(scene.tube, scene.lesions, place) > 0.03 for place in places)
