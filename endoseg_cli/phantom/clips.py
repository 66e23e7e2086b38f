"""Scenes for clips: the camera nears a lesion, looks at it, passes it; short events spoil some of the frames."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from endoseg_cli.phantom.picture.sampling import sample_scene
from endoseg_cli.phantom.world.camera import random_wobble
from endoseg_cli.phantom.world.disturbances import Disturbance
from endoseg_cli.phantom.world.scene import CameraPath, Scene
from endoseg_cli.phantom.world.tables import Array

_KEY = 0.45  # when, within the time that shows the lesion, the camera is nearest
_PASSING = 0.7  # seconds that it takes to pass the lesion
_EVENTS = {
    # name: (odds in the colon, odds in the ureter, shortest and longest in seconds)
    "motion_blur": (0.24, 0.22, (0.12, 0.35)),
    "wash_out": (0.22, 0.16, (0.10, 0.5)),
    "bubbles": (0.20, 0.14, (0.15, 0.7)),
    "out_of_focus": (0.14, 0.12, (0.2, 0.7)),
    "glare": (0.10, 0.08, (0.1, 0.4)),
    "smoke": (0.02, 0.22, (0.3, 1.2)),
    "wall_contact": (0.08, 0.06, (0.15, 0.4)),
}


@dataclass(frozen=True, kw_only=True)
class ClipPlan:
    """How long a clip is and for how long it shows a lesion."""

    seconds: float
    """Its length."""
    empty_fraction: float
    """Share of it, about, in which no lesion is in view because the camera has passed it."""

    @property
    def showing(self) -> float:
        """Seconds with a lesion in view."""
        return self.seconds * (1 - self.empty_fraction)

    @property
    def key_time(self) -> float:
        """When the camera is nearest to the lesion, in seconds."""
        return _KEY * self.showing


def sample_clip(kind: str, plan: ClipPlan, seed: int, coverage: float) -> Scene:
    """Draw a scene for a clip from `seed`; its lesions cover roughly `coverage` of the frame at `plan.key_time`.

    A coverage of 0 gives the scene without any lesion.
    """
    scene = sample_scene(kind, seed, coverage)
    rng = np.random.default_rng([seed, 31])
    return replace(
        scene,
        path=_path(rng, scene, plan),
        sensor=replace(scene.sensor, console=False, quality=100),
        disturbances=_events(rng, kind, plan),
    )


def _path(rng: np.random.Generator, scene: Scene, plan: ClipPlan) -> CameraPath:
    """From a still's pose to a way that leads there and on."""
    still = scene.path
    depth, offset, attention = float(still.depths[0]), still.offsets[0], float(still.attention[0])
    aside = -0.3 * np.nan_to_num((still.target - scene.tube.axis(float(still.target[2])))[:2])
    beyond = float(still.target[2]) + 0.55
    knots: list[tuple[float, float, Array, float]] = [
        (0.0, depth - rng.uniform(0.4, 0.9), 0.4 * offset, 0.5 * attention),
        (plan.key_time, depth, offset, attention),
        (0.8 * plan.showing, depth - rng.uniform(0.1, 0.4), 0.7 * offset, 0.8 * attention),
    ]
    if plan.empty_fraction:
        end = plan.showing - 0.3 * _PASSING
        knots = [knot for knot in knots if knot[0] < end - 0.05]
        knots += [
            (end, min(depth - 0.15, beyond - 0.8), 0.3 * offset + 0.5 * aside, 0.3),
            (end + _PASSING, beyond, aside, 0.0),
            (plan.seconds + _PASSING, beyond + 0.15 * plan.empty_fraction * plan.seconds, 0.5 * aside, 0.0),
        ]
    else:
        knots.append((plan.seconds, depth - rng.uniform(0.0, 0.5), 0.5 * offset, attention))
    times, depths, offsets, looks = zip(*knots, strict=True)
    return CameraPath(
        times=np.asarray(times, np.float32),
        depths=np.asarray(depths, np.float32),
        offsets=np.asarray(offsets, np.float32),
        attention=np.asarray(looks, np.float32),
        target=still.target,
        roll=still.roll,
        wobble=random_wobble(rng, (0.05, 0.05, 0.10, 0.16, 0.16, 0.3)),
    )


def _events(rng: np.random.Generator, kind: str, plan: ClipPlan) -> tuple[Disturbance, ...]:
    """Events every second or two; the first one hides or washes out the lesion while it is in view."""
    names = list(_EVENTS)
    odds = np.asarray([_EVENTS[name][0 if kind == "colon" else 1] for name in names])
    events = []
    start = rng.uniform(0.15, 0.6) * plan.showing
    name = str(rng.choice(["wash_out", "bubbles"]))
    while start < plan.seconds:
        shortest, longest = _EVENTS[name][2]
        duration, strength = float(rng.uniform(shortest, longest)), float(rng.uniform(0.45, 1.0))
        seed = int(rng.integers(2**31))
        events.append(Disturbance(name=name, start=float(start), duration=duration, strength=strength, seed=seed))
        start += duration + rng.exponential(1.1)
        name = str(rng.choice(names, p=odds / odds.sum()))
    return tuple(events)
