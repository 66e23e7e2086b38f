"""A still turned into a short clip: a camera moves smoothly over it, and its masks move along."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float64]

SHIFT, TURN, ZOOM, TILT = 0.10, 0.25, 0.12, 0.10
"""How far a camera moves within a clip at speed 1: of the frame's side, in radians, as a factor, as perspective."""
BLUR_SHARE, LIGHT_SHARE, SPECK_SHARE = 0.3, 0.6, 0.3
"""Share of the clips with blurred frames, with changing light, with highlights and bubbles."""


@dataclass(frozen=True, kw_only=True)
class MovedStill:
    """A clip made from a still."""

    frames: Bytes
    """(N, H, W, 3) RGB."""
    masks: NDArray[np.bool_]
    """(N, H, W)."""
    homographies: Floats
    """(N, 3, 3), from pixels of each frame to pixels of the still, so the motion between frames is known."""


def move_camera(
    image: Bytes,
    mask: NDArray[np.bool_],
    *,
    frames: int,
    size: tuple[int, int],
    speed: float,
    rng: np.random.Generator,
    shifts: Floats | None = None,
) -> MovedStill:
    """Return a clip of `frames` views (H, W) = `size` of a still (h, w, 3) and its mask (h, w).

    The camera shifts, turns, zooms and tilts along smooth paths, `speed` times a usual motion; frames may be blurred by
    motion or defocus, the light changes, and highlights or bubbles pass. Beyond its border the still is mirrored.
    `shifts` (N, 2), in parts of the view's side, come on top.
    """
    homographies = _path(image.shape[:2], size, frames, speed, rng)
    if shifts is not None:
        homographies = np.stack(
            [_shifted(matrix, shift, size) for matrix, shift in zip(homographies, shifts, strict=True)]
        )
    pictures = [_view(image, matrix, size, cv2.INTER_LINEAR) for matrix in homographies]
    plain = mask.view(np.uint8) * np.uint8(255)
    masks = [_view(plain, matrix, size, cv2.INTER_LINEAR) > 127 for matrix in homographies]
    return MovedStill(frames=disturb(np.stack(pictures), rng), masks=np.stack(masks), homographies=homographies)


def _shifted(homography: Floats, shift: Floats, size: tuple[int, int]) -> Floats:
    """Return a view (3, 3) moved in its own plane by parts of its side."""
    moved: Floats = homography @ np.array([[1, 0, shift[0] * size[1]], [0, 1, shift[1] * size[0]], [0, 0, 1]])
    return moved


def known_flow(first: Floats, second: Floats, size: tuple[int, int]) -> NDArray[np.float32]:
    """Return where each pixel of one frame lies in another, minus where it is: (H, W, 2), x first."""
    rows, columns = np.mgrid[: size[0], : size[1]].astype(np.float64)
    points = np.stack([columns, rows, np.ones_like(rows)]).reshape(3, -1)
    moved = np.linalg.inv(second) @ first @ points
    flow = (moved[:2] / moved[2:] - points[:2]).T.reshape(*size, 2)
    return np.asarray(flow, dtype=np.float32)


def disturb(frames: Bytes, rng: np.random.Generator) -> Bytes:
    """Return a clip (N, H, W, 3) with blur, light and highlights as endoscopes have them; no pixel moves."""
    changed = frames.astype(np.float32)
    if rng.random() < LIGHT_SHARE:
        _change_light(changed, rng)
    if rng.random() < SPECK_SHARE:
        _add_specks(changed, rng)
    if rng.random() < BLUR_SHARE:
        _blur(changed, rng)
    changed += rng.normal(0, rng.uniform(0, 3), changed.shape).astype(np.float32)
    return np.clip(changed, 0, 255).astype(np.uint8)


def _smooth(frames: int, rng: np.random.Generator) -> Floats:
    """Return a smooth curve over the clip that stays about within +-1."""
    time = np.linspace(0, 1, frames)
    cycles, phase = rng.uniform(0.2, 1.2), rng.uniform(0, 2 * np.pi)
    trend = rng.uniform(-0.7, 0.7) * (2 * time - 1)
    curve: Floats = trend + 0.5 * np.sin(2 * np.pi * cycles * time + phase)
    return curve


def _path(still: tuple[int, ...], size: tuple[int, int], frames: int, speed: float, rng: np.random.Generator) -> Floats:
    shift_x, shift_y, turn, zoom, tilt_x, tilt_y = (
        speed * amount * _smooth(frames, rng) for amount in (SHIFT, SHIFT, TURN, ZOOM, TILT, TILT)
    )
    start, base = rng.uniform(-0.4, 0.4), rng.uniform(0.7, 1.0)
    to_unit = np.array([[2 / size[1], 0, -1], [0, 2 / size[0], -1], [0, 0, 1]])
    from_unit = np.array([[still[1] / 2, 0, still[1] / 2], [0, still[0] / 2, still[0] / 2], [0, 0, 1]])
    matrices = []
    for index in range(frames):
        angle, scale = start + turn[index], base * np.exp(zoom[index])
        cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
        view = np.array(
            [
                [cosine, -sine, 2 * shift_x[index]],
                [sine, cosine, 2 * shift_y[index]],
                [tilt_x[index], tilt_y[index], 1],
            ]
        )
        matrices.append(from_unit @ view @ to_unit)
    return np.stack(matrices)


def _view(picture: Bytes, matrix: Floats, size: tuple[int, int], interpolation: int) -> Bytes:
    flags = interpolation | cv2.WARP_INVERSE_MAP
    view = cv2.warpPerspective(picture, matrix, (size[1], size[0]), flags=flags, borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(view, dtype=np.uint8)


def _change_light(frames: NDArray[np.float32], rng: np.random.Generator) -> None:
    count, height, width, _ = frames.shape
    rows, columns = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    direction, strength, curve = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.35), _smooth(count, rng)
    ramp = (np.cos(direction) * columns + np.sin(direction) * rows)[..., None]
    gains = 1 + rng.uniform(0, 0.25) * _smooth(count, rng)
    for index in range(count):
        frames[index] *= gains[index] * (1 + strength * curve[index] * ramp)


def _blur(frames: NDArray[np.float32], rng: np.random.Generator) -> None:
    """Blur a run of frames, along a line (motion) or evenly (defocus)."""
    count, side = len(frames), max(frames.shape[1:3])
    first = int(rng.integers(count))
    length = max(int(rng.uniform(0.01, 0.05) * side), 2)
    kernel = np.zeros((length, length), np.float32)
    if rng.random() < 0.5:
        cv2.line(kernel, (0, int(rng.integers(length))), (length - 1, int(rng.integers(length))), 1.0)
    else:
        cv2.circle(kernel, (length // 2, length // 2), length // 2, 1.0, -1)
    kernel /= kernel.sum()
    for index in range(first, min(first + int(rng.integers(1, 4)), count)):
        frames[index] = cv2.filter2D(frames[index], -1, kernel, borderType=cv2.BORDER_REFLECT_101)


def _add_specks(frames: NDArray[np.float32], rng: np.random.Generator) -> None:
    """Draw highlights, or bubbles with a bright rim, that drift through a part of the clip."""
    count, height, width, _ = frames.shape
    for _ in range(int(rng.integers(1, 7))):
        place, drift = rng.uniform(0, 1, 2) * (width, height), rng.normal(0, 0.01, 2) * (width, height)
        radius = max(int(rng.uniform(0.005, 0.04) * width), 1)
        thickness = -1 if rng.random() < 0.6 else max(radius // 4, 1)
        for index in range(int(rng.integers(count)), count):
            x, y = place + index * drift
            layer = np.zeros((height, width), np.float32)
            cv2.circle(layer, (round(x), round(y)), radius, 1.0, thickness)
            layer = np.asarray(cv2.GaussianBlur(layer, (3, 3), 0), np.float32)[..., None]
            frames[index] += layer * (250 - frames[index]) * 0.9
