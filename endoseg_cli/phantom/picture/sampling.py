"""Scenes drawn from a seed: colon and ureter, as a still or as a clip."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from endoseg_cli.phantom.picture.tracing import free_space
from endoseg_cli.phantom.world.camera import Lens, random_wobble
from endoseg_cli.phantom.world.config import SCENES
from endoseg_cli.phantom.world.disturbances import Disturbance
from endoseg_cli.phantom.world.lesions import Lesion, random_polyp, random_stone
from endoseg_cli.phantom.world.scene import CameraPath, Instrument, Scene, Sensor, Wall
from endoseg_cli.phantom.world.surface import Tube, colon_tube, ureter_tube
from endoseg_cli.phantom.world.tables import Array, unit
from endoseg_cli.phantom.world.textures import VARIANTS

_PALER = np.asarray((0.3, 1.0, 1.2))  # mucosa is redder or paler: green and blue vary together
_CLEARANCE = 0.16  # the camera keeps this far from everything at its key pose


def sample_scene(kind: str, seed: int, coverage: float) -> Scene:
    """Draw a scene for a still from `seed`, its lesions covering roughly `coverage` of the frame (see `fitting`).

    A coverage of 0 gives the scene without any lesion.
    """
    rng = np.random.default_rng([seed, SCENES.index(kind)])
    tube = colon_tube(rng) if kind == "colon" else ureter_tube(rng)
    wall = _colon_wall(rng) if kind == "colon" else _ureter_wall(rng)
    lens = _lens(rng, kind)
    lesions, position = _place(rng, kind, coverage or 0.05, tube, wall, lens)
    path = _still_path(rng, tube, lesions, position)
    return Scene(
        kind=kind,
        seed=seed,
        tube=tube,
        wall=wall,
        lesions=lesions if coverage > 0 else (),
        instrument=_instrument(rng, kind),
        lens=lens,
        path=path,
        sensor=_sensor(rng, kind),
        specks=int(rng.integers(0, 60)) if kind == "ureter" else 0,
        disturbances=_still_disturbances(rng),
    )


def _place(
    rng: np.random.Generator, kind: str, coverage: float, tube: Tube, wall: Wall, lens: Lens
) -> tuple[tuple[Lesion, ...], Array]:
    """Lesions and a free place (3,) for the camera from which they cover about what is wished for."""
    spread = float(np.sqrt(coverage / 0.8)) * lens.half_angle * 1.1  # radians that a lesion's radius must fill
    for _ in range(60):
        lesions = _lesions(rng, kind, tube, wall)
        main = lesions[0]
        away = main.radius / np.sin(min(spread, 1.2))
        back = main.frame[2] * rng.uniform(0.15, 1.0) + np.asarray((0, 0, -1), np.float32) * rng.uniform(0.4, 1.0)
        position = main.middle + unit(back) * np.float32(away)
        axis = tube.axis(float(position[2]))
        if away > 0.8:
            position = axis + (position - axis) * np.float32(0.35 * rng.random())
        if free_space(tube, lesions, position) > min(_CLEARANCE, 0.5 * away):
            return lesions, position
    return lesions, axis


def _lesions(rng: np.random.Generator, kind: str, tube: Tube, wall: Wall) -> tuple[Lesion, ...]:
    depth, angle = rng.uniform(4.5, 7.5), rng.uniform(0, 2 * np.pi)
    count = 1 + int(rng.random() < 0.12) + (int(rng.integers(0, 4)) if kind == "ureter" else 0)
    lesions = []
    for index in range(count):
        near = (depth + (index > 0) * rng.normal(0, 0.35), angle + (index > 0) * rng.normal(0, 0.5))
        if kind == "colon":
            lesions.append(random_polyp(rng, tube, *near, wall.colour))
        else:
            lesions.append(random_stone(rng, tube, *near).resized(1.0 if index == 0 else rng.uniform(0.2, 0.7)))
    return tuple(lesions)


def _still_path(rng: np.random.Generator, tube: Tube, lesions: tuple[Lesion, ...], position: Array) -> CameraPath:
    axis = tube.axis(float(position[2]))
    far = float(np.linalg.norm(lesions[0].middle - position)) > 1.0
    attention = rng.uniform(0.25, 0.8) if far else rng.uniform(0.6, 1.0)
    return CameraPath(
        times=np.zeros(1, np.float32),
        depths=position[2:].copy(),
        offsets=(position - axis)[None, :2],
        attention=np.asarray([attention], np.float32),
        target=lesions[0].middle,
        roll=float(rng.uniform(0, 2 * np.pi)),
        wobble=random_wobble(rng, (0.0, 0.0, 0.0, 0.1, 0.1, 0.1)),
    )


def _colon_wall(rng: np.random.Generator) -> Wall:
    base = np.asarray((0.68, 0.255, 0.125)) * np.exp(rng.normal(0, (0.06, 0.12, 0.14)) + rng.normal(0, 0.15) * _PALER)
    return Wall(
        colour=np.clip(base, 0.05, 0.9).astype(np.float32),
        vessels=float(np.clip(rng.normal(0.5, 0.25), 0, 1)),
        mottle=float(rng.uniform(0.4, 1.4)),
        relief=float(rng.uniform(0.05, 0.3)),
        gloss=float(rng.uniform(0.25, 1.0)),
        foam=float(rng.uniform(0.1, 0.6)) if rng.random() < 0.3 else 0.0,
        stain=float(rng.uniform(0.05, 0.5)) if rng.random() < 0.3 else 0.0,
        variant=int(rng.integers(VARIANTS)),
        turn=float(rng.random()),
    )


def _ureter_wall(rng: np.random.Generator) -> Wall:
    base = np.asarray((0.74, 0.32, 0.19)) * np.exp(rng.normal(0, (0.06, 0.14, 0.16)) + rng.normal(0, 0.2) * _PALER)
    return Wall(
        colour=np.clip(base, 0.05, 0.95).astype(np.float32),
        vessels=float(np.clip(rng.normal(0.5, 0.25), 0, 1)),
        mottle=float(rng.uniform(0.4, 1.3)),
        relief=float(rng.uniform(0.04, 0.18)),
        gloss=float(rng.uniform(0.05, 0.5)),
        foam=0.0,
        stain=0.0,
        variant=int(rng.integers(VARIANTS)),
        turn=float(rng.random()),
    )


def _lens(rng: np.random.Generator, kind: str) -> Lens:
    odds = (0.2, 0.5, 0.2, 0.1) if kind == "colon" else (0.6, 0.05, 0.15, 0.2)
    shape = str(rng.choice(["round", "octagon", "squarish", "full"], p=odds))
    half, centre = (0.5, 0.5), (0.5, 0.5)
    if shape == "full":
        half = (0.62, 0.62)
    elif rng.random() < 0.45:
        width = rng.uniform(0.34, 0.5)
        half = (width, min(0.52, width * rng.uniform(1.0, 1.3)))
        centre = (float(rng.uniform(width, 1 - width)), float(rng.normal(0.5, 0.01)))
    angle = rng.uniform(1.0, 1.25) if kind == "colon" else rng.uniform(0.7, 0.9)
    return Lens(shape=shape, centre=centre, half_sides=half, half_angle=float(angle))


def _instrument(rng: np.random.Generator, kind: str) -> Instrument | None:
    if rng.random() > (0.4 if kind == "ureter" else 0.06):
        return None
    turn, reach = rng.uniform(0, 2 * np.pi), rng.uniform(0.3, 0.55)
    side = np.asarray((np.cos(turn), np.sin(turn), 0.0))
    start, tip = side * 0.34 + (0, 0, 0.05), side * rng.uniform(0.05, 0.16) + (0, 0, reach)
    fibres = ((0.10, 0.25, 0.75), (0.75, 0.78, 0.80), (0.15, 0.55, 0.35), (0.2, 0.2, 0.22))
    aiming = ((0.1, 2.5, 0.3), (2.5, 0.1, 0.1), (0.0, 0.0, 0.0))[int(rng.integers(3))]
    colon = kind == "colon"
    return Instrument(
        start=start.astype(np.float32),
        tip=tip.astype(np.float32),
        radius=float(rng.uniform(0.02, 0.04) if colon else rng.uniform(0.01, 0.024)),
        colour=np.asarray(fibres[3] if colon else fibres[int(rng.integers(3))], np.float32),
        aiming=np.asarray((0, 0, 0) if colon else aiming, np.float32),
    )


def _sensor(rng: np.random.Generator, kind: str) -> Sensor:
    return Sensor(
        exposure=float(rng.uniform(0.4, 0.75)),
        balance=np.exp(rng.normal(0, (0.03, 0.04, 0.08))).astype(np.float32),
        softness=float(rng.uniform(0.5, 2.0) if kind == "colon" else rng.uniform(1.0, 4.0)),
        sharpening=float(rng.uniform(0, 0.5)),
        noise=float(rng.uniform(0.5, 3.5)),
        vignette=float(rng.uniform(0.0, 0.45)),
        fringe=float(rng.uniform(0, 0.004)),
        sequential=bool(rng.random() < 0.4),
        quality=int(rng.integers(55, 100)),
        console=bool(rng.random() < 0.4),
    )


def _still_disturbances(rng: np.random.Generator) -> tuple[Disturbance, ...]:
    if rng.random() > 0.3:
        return ()
    name = str(rng.choice(["motion_blur", "out_of_focus", "glare", "smoke", "bubbles"]))
    strength = float(rng.uniform(0.15, 0.6))
    return (Disturbance(name=name, start=-0.5, duration=1.0, strength=strength, seed=int(rng.integers(2**31))),)


def resized(scene: Scene, factor: float) -> Scene:
    """The same scene with its lesions `factor` times as large."""
    return replace(scene, lesions=tuple(lesion.resized(factor) for lesion in scene.lesions))
