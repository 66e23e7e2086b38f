"""The weak view: where a pixel of the frame goes, drawn from a generator that depends on nothing but its key."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from endoseg_cli.data.views.augment_config import WeakViewConfig
from endoseg_cli.pictures.resize import resize_frame

MaskType = TypeVar("MaskType", np.uint8, np.bool_)


def random_generator(seed: int, epoch: int, index: int, stream: str) -> np.random.Generator:
    """Return the generator of one kind of draw (`stream`) for one sample in one epoch.

    The key alone decides the draws: not the worker, their number, the order of samples, nor what was drawn before. So
    epochs and samples differ, and a resumed run draws what the uninterrupted one would have drawn.
    """
    # A hash of the written key cannot confuse neighbouring numbers, as words strung together could.
    key = f"{seed}/{epoch}/{index}/{stream}".encode()
    return np.random.default_rng(int.from_bytes(hashlib.blake2b(key, digest_size=16).digest()))


def weak_view(
    image: NDArray[np.uint8],
    mask: NDArray[MaskType] | None,
    size: tuple[int, int],
    rng: np.random.Generator,
    config: WeakViewConfig,
) -> tuple[NDArray[np.uint8], NDArray[MaskType] | None]:
    """Return a frame and its mask after the same geometric change (Endo-SemiS, weak view).

    `image` (h, w, 3) RGB and `mask` (h, w) become (H, W, 3) and (H, W) with `size` = (H, W): resized, turned by a
    multiple of 90 degrees, flipped, and with some probability scaled, shifted and rotated. The mask takes its nearest
    pixel and keeps its dtype and values. What lies outside the frame becomes black, like the rim of an endoscope's
    picture, and background in the mask. The inputs stay as they are; a frame that needs no change is returned itself.
    """
    assert mask is None or mask.shape == image.shape[:2], "a mask has the size of its image"
    moves = _draw_moves(rng, config, size)
    upright = size if moves.quarter_turns % 2 == 0 else (size[1], size[0])
    # Resizing comes first because it averages, where a warp that shrinks would alias; what follows resamples once.
    view = _turn(resize_frame(image, upright), moves)
    if moves.affine is not None:
        view = _warp(view, moves.affine, moves.shift, size, cv2.INTER_LINEAR)
    if mask is None:
        return view, None
    turned = _turn(mask.view(np.uint8), moves)
    stretch = np.diag((size[1] / turned.shape[1], size[0] / turned.shape[0]))
    linear = stretch if moves.affine is None else moves.affine @ stretch
    return view, _warp(turned, linear, moves.shift, size, cv2.INTER_NEAREST).view(mask.dtype)


@dataclass(frozen=True, kw_only=True)
class _Moves:
    """What one weak view does to a frame, in this order."""

    quarter_turns: int
    """Number of turns by 90 degrees, counter-clockwise."""
    flip_x: bool
    """Mirror left and right."""
    flip_y: bool
    """Mirror top and bottom."""
    affine: NDArray[np.float64] | None
    """Scale, rotation and shear about the centre as a 2x2 matrix on (x, y), or none."""
    shift: NDArray[np.float64]
    """Shift along (x, y) in pixels, zero without an affine map."""


def _draw_moves(rng: np.random.Generator, config: WeakViewConfig, size: tuple[int, int]) -> _Moves:
    quarter_turns = int(rng.integers(4)) if config.rotate_90 else 0
    flip_x, flip_y = bool(rng.random() < config.horizontal_flip), bool(rng.random() < config.vertical_flip)
    affine, shift = None, np.zeros(2)
    if rng.random() < config.affine:
        factor = rng.uniform(*config.scale)
        angle = math.radians(rng.uniform(-config.rotation, config.rotation))
        shift = rng.uniform(-config.shift, config.shift, size=2) * (size[1], size[0])
        cos, sin = factor * math.cos(angle), factor * math.sin(angle)
        affine = np.array(((cos, -sin), (sin, cos)))
        if config.shear:
            slant = math.tan(math.radians(rng.uniform(-config.shear, config.shear)))
            affine = affine @ np.array(((1.0, slant), (0.0, 1.0)))
    return _Moves(quarter_turns=quarter_turns, flip_x=flip_x, flip_y=flip_y, affine=affine, shift=shift)


def _turn(picture: NDArray[np.uint8], moves: _Moves) -> NDArray[np.uint8]:
    """Turn and mirror a picture; this moves whole pixels and is exact."""
    if moves.quarter_turns:
        # OpenCV numbers clockwise turns, starting with 0 for the first.
        picture = _as_uint8(cv2.rotate(picture, 3 - moves.quarter_turns))
    if moves.flip_x or moves.flip_y:
        direction = -1 if moves.flip_x and moves.flip_y else int(moves.flip_x)
        picture = _as_uint8(cv2.flip(picture, direction))
    return picture


def _warp(
    picture: NDArray[np.uint8],
    linear: NDArray[np.float64],
    shift: NDArray[np.float64],
    size: tuple[int, int],
    interpolation: int,
) -> NDArray[np.uint8]:
    """Map a picture onto (H, W), centre to centre; both centres lie half a pixel off OpenCV's pixel grid."""
    source_centre = np.array((picture.shape[1] - 1, picture.shape[0] - 1)) / 2
    target_centre = np.array((size[1] - 1, size[0] - 1)) / 2
    matrix = np.column_stack((linear, target_centre + shift - linear @ source_centre))
    width_height, constant = (size[1], size[0]), cv2.BORDER_CONSTANT
    return _as_uint8(
        cv2.warpAffine(picture, matrix, width_height, flags=interpolation, borderMode=constant, borderValue=0)
    )


def _as_uint8(picture: object) -> NDArray[np.uint8]:
    """Give OpenCV's result the dtype that its type stubs leave open."""
    return np.asarray(picture, dtype=np.uint8)
