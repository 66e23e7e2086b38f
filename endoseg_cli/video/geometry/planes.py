"""A picture as the three planes a video stores: what the overlay tints, so that untouched pixels stay as they were."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from endoseg_cli.video.geometry.colour import ColourTags
from endoseg_cli.video.geometry.rotation import Pixels

if TYPE_CHECKING:
    import av
    from av.video.plane import VideoPlane


@dataclass(frozen=True, kw_only=True, eq=False)
class Planes:
    """One picture as 8-bit limited-range YUV 4:2:0, in the stored orientation, padded to even sides by its edge."""

    y: Pixels
    """Luma 16..235, (H, W), H and W even."""
    u: Pixels
    """Blue difference 16..240 around 128, (H / 2, W / 2)."""
    v: Pixels
    """Red difference 16..240 around 128, (H / 2, W / 2)."""
    colour: ColourTags
    """What the values mean; `full_range` is always False."""


def even(side: int) -> int:
    """Round a side up to the next even number, as 4:2:0 needs it."""
    return side + side % 2


def from_frame(frame: av.VideoFrame, colour: ColourTags) -> Planes:
    """Copy the planes of a limited-range yuv420p frame, padding odd sides by edge replication."""
    assert frame.format.name == "yuv420p", frame.format.name
    y, u, v = (plane_view(plane) for plane in frame.planes)
    padding = ((0, frame.height % 2), (0, frame.width % 2))
    y = np.pad(y, padding, mode="edge") if any(after for _, after in padding) else y.copy()
    return Planes(y=y, u=u.copy(), v=v.copy(), colour=colour)


def fill(frame: av.VideoFrame, *planes: Pixels | int) -> None:
    """Write each plane's values (or one value for all of it) into a frame of the same size."""
    for plane, values in zip(frame.planes, planes, strict=True):
        plane_view(plane)[:] = values


def plane_view(plane: VideoPlane, bytes_per_pixel: int = 1) -> Pixels:
    """Look at a plane's memory as (height, width * bytes_per_pixel), without the bytes that align each line."""
    lines: Pixels = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
    return lines[:, : plane.width * bytes_per_pixel]
