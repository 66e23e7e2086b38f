"""From light to the frame that a processor puts out: exposure, tone, lens, noise, and the field of view."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from endoseg_cli.phantom.world.console import write_console
from endoseg_cli.phantom.world.disturbances import smear
from endoseg_cli.phantom.world.particles import drifting_specks
from endoseg_cli.phantom.world.scene import Scene, Sensor
from endoseg_cli.phantom.world.tables import Array, blurred


def develop(
    scene: Scene, light: Array, visible: Array, time: float, motion: tuple[float, float]
) -> npt.NDArray[np.uint8]:
    """Turn linear light (H, W, 3) into a frame (H, W, 3) uint8, red first.

    `visible` (H, W) is the field of view, `motion` how far the picture moves while the shutter is open, in pixels.
    """
    sensor = scene.sensor
    rng = np.random.default_rng([scene.seed, round(time * 1000) % 2**31])
    exposed = _expose(sensor, light, visible) * sensor.balance
    if scene.specks:
        exposed += drifting_specks(scene.lens, visible.shape, scene.specks, scene.seed, time)[..., None]
    exposed = smear(exposed, motion, sensor.sequential)
    for disturbance in scene.disturbances:
        exposed = disturbance.act(exposed, time)
    exposed *= _vignette(scene, visible.shape)[..., None]
    toned = _soften(sensor, _tone(_bloom(exposed)), scene)
    toned *= visible[..., None]
    noisy = 255 * toned + 7 + _noise(rng, sensor, toned)
    frame = np.clip(np.round(noisy), 0, 255).astype(np.uint8)
    if sensor.console:
        write_console(frame, scene.lens, rng)
    return _compressed(frame, sensor.quality)


def _compressed(frame: npt.NDArray[np.uint8], quality: int) -> npt.NDArray[np.uint8]:
    """The frame as a JPEG of that quality shows it; 100 leaves it as it is."""
    if quality >= 100:
        return frame
    ok, data = cv2.imencode(".jpg", frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert ok
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert decoded is not None
    return np.asarray(decoded[..., ::-1], np.uint8)


def _expose(sensor: Sensor, light: Array, visible: Array) -> Array:
    """Automatic exposure: the upper middle of the visible light gets the brightness that is aimed at."""
    luminance = light @ np.asarray((0.3, 0.6, 0.1), np.float32)
    inside = luminance[visible > 0.5]
    level = float(np.quantile(inside, 0.7)) if inside.size else 1.0
    return np.asarray(light * np.float32(0.75 * sensor.exposure / max(level, 1e-3)), np.float32)


def _tone(light: Array) -> Array:
    """Grey levels 0..1 of linear light: a soft shoulder, the display's gamma, and deeper shadows."""
    toned = (1 - np.exp(-1.25 * light)) ** np.float32(1 / 2.0)
    return np.asarray(toned * (0.75 + 0.25 * toned), np.float32)


def _vignette(scene: Scene, size: tuple[int, ...]) -> Array:
    height, width = size
    half_x, half_y = scene.lens.half_pixels((height, width))
    x = (np.arange(width, dtype=np.float32)[None] + 0.5 - scene.lens.centre[0] * width) / half_x
    y = (np.arange(height, dtype=np.float32)[:, None] + 0.5 - scene.lens.centre[1] * height) / half_y
    square = x * x + y * y
    return np.asarray(1 - scene.sensor.vignette * np.minimum(square / 1.5, 1) ** 2, np.float32)


def _bloom(light: Array) -> Array:
    sigma = max(light.shape[:2]) / 60
    glow = blurred(np.minimum(light, 4), sigma)
    return np.asarray(light + 0.06 * glow, np.float32)


def _soften(sensor: Sensor, toned: Array, scene: Scene) -> Array:
    sigma = max(0.25, sensor.softness * max(toned.shape[:2]) / 1000)
    soft = blurred(toned, sigma)
    if sensor.sharpening:
        soft += np.float32(sensor.sharpening) * (soft - blurred(soft, 2.5 * sigma))
    if sensor.fringe:
        soft[..., 0] = _scaled(soft[..., 0], 1 + sensor.fringe, scene.lens.centre)
        soft[..., 2] = _scaled(soft[..., 2], 1 - sensor.fringe, scene.lens.centre)
    return np.asarray(np.clip(soft, 0, 1), np.float32)


def _scaled(channel: Array, factor: float, centre: tuple[float, float]) -> Array:
    height, width = channel.shape
    x, y = centre[0] * width, centre[1] * height
    matrix = np.asarray([[factor, 0, x * (1 - factor)], [0, factor, y * (1 - factor)]], np.float64)
    return np.asarray(cv2.warpAffine(channel, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE), np.float32)


def _noise(rng: np.random.Generator, sensor: Sensor, toned: Array) -> Array:
    height, width, _ = toned.shape
    grain = rng.standard_normal((height, width, 1), np.float32)
    colour = rng.standard_normal((height // 2 + 1, width // 2 + 1, 3), np.float32)
    strength = np.float32(sensor.noise) * (0.35 + 0.65 * np.sqrt(toned))
    return np.asarray(strength * (0.7 * grain + 0.6 * cv2.resize(colour, (width, height))), np.float32)
