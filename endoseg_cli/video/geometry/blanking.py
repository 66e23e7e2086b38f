"""Blank parts of a picture in the planes that a video stores."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from endoseg_cli.video.geometry.planes import Planes
from endoseg_cli.video.geometry.rotation import stored

BLACK, GREY = np.uint8(16), np.uint8(128)
"""Limited-range luma, and chroma without colour."""


class BlankPart:
    """What is blanked in every picture of a video, as one mask for luma and one for chroma.

    Four pixels share a chroma sample: where one of them is hidden, all four are, so that no colour of it is left.
    """

    def __init__(self, hidden: NDArray[np.bool_], rotation: int) -> None:
        """`hidden` (H, W) is True where the upright picture is blanked, `rotation` as in `video.geometry.rotation`."""
        turned = stored(hidden.view(np.uint8), rotation)
        height, width = turned.shape
        whole = np.pad(turned, ((0, height % 2), (0, width % 2)), mode="edge")
        blocks = whole.reshape(whole.shape[0] // 2, 2, whole.shape[1] // 2, 2)
        self._chroma = blocks.any(axis=(1, 3))
        self._luma = self._chroma.repeat(2, axis=0).repeat(2, axis=1)

    def blank(self, planes: Planes) -> None:
        """Make this part of a stored picture flat black, in place."""
        np.copyto(planes.y, BLACK, where=self._luma)
        np.copyto(planes.u, GREY, where=self._chroma)
        np.copyto(planes.v, GREY, where=self._chroma)
