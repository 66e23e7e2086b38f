"""Which matrix, primaries, transfer and range the pixels of a video have, also where the file does not say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import av

# Code points of ITU-T H.273, which FFmpeg, MP4 and Matroska share.
RGB = 0
BT709 = 1
UNSPECIFIED = 2
SMPTE170M = 6
BT2020_NCL = 9
BT2020_CL = 10
LIMITED_RANGE = 1
FULL_RANGE = 2

# From an H.273 matrix to swscale's own numbers (SWS_CS_*); every other matrix is read as BT.601.
_SWSCALE_MATRIX = {BT709: 1, 4: 4, 5: 5, SMPTE170M: 5, 7: 7, BT2020_NCL: 9, BT2020_CL: 9}
_SWSCALE_BT601 = 5

# Weights of red and blue in luma, by matrix; all others are BT.601.
_LUMA_WEIGHTS = {BT709: (0.2126, 0.0722), BT2020_NCL: (0.2627, 0.0593), BT2020_CL: (0.2627, 0.0593)}
_BT601_WEIGHTS = (0.299, 0.114)

HD_HEIGHT = 720
"""From this many lines up an untagged video is taken as BT.709, below as BT.601, as players do."""


@dataclass(frozen=True, kw_only=True)
class ColourTags:
    """What YUV values mean, as H.273 code points; `UNSPECIFIED` is 2."""

    matrix: int
    """Matrix coefficients (1 is BT.709, 5 and 6 are BT.601, 9 is BT.2020)."""
    primaries: int
    """Colour primaries."""
    transfer: int
    """Transfer characteristics."""
    full_range: bool
    """Whether luma runs 0..255 instead of 16..235."""

    def resolved(self, height: int) -> ColourTags:
        """Return limited-range YUV tags with the unknown parts filled in from the height (BT.709 from 720 lines up)."""
        standard = BT709 if height >= HD_HEIGHT else SMPTE170M
        matrix = standard if self.matrix == UNSPECIFIED else BT709 if self.matrix == RGB else self.matrix
        from_rgb = self.matrix == RGB
        return ColourTags(
            matrix=matrix,
            primaries=self._or(self.primaries, BT709 if from_rgb else _like(matrix, standard)),
            transfer=self._or(self.transfer, BT709 if from_rgb else _like(matrix, standard)),
            full_range=False,
        )

    @staticmethod
    def _or(value: int, fallback: int) -> int:
        return fallback if value in (0, UNSPECIFIED) else value

    @property
    def luma_weights(self) -> tuple[float, float]:
        """What red and blue count in luma; green counts the rest."""
        return _LUMA_WEIGHTS.get(self.matrix, _BT601_WEIGHTS)

    @property
    def swscale_matrix(self) -> int:
        """The matrix in swscale's numbering."""
        return _SWSCALE_MATRIX.get(self.matrix, _SWSCALE_BT601)


def _like(matrix: int, fallback: int) -> int:
    """Return the primaries or transfer that usually go with a matrix."""
    if matrix == BT709:
        return BT709
    return SMPTE170M if matrix in (5, SMPTE170M) else fallback


def tags_of(frame: av.VideoFrame) -> ColourTags:
    """Read the tags of one decoded frame; RGB and palette pictures have the matrix `RGB`."""
    is_rgb = frame.format.is_rgb or frame.format.has_palette
    return ColourTags(
        matrix=RGB if is_rgb else (UNSPECIFIED if frame.colorspace == RGB else int(frame.colorspace)),
        primaries=int(frame.color_primaries),
        transfer=int(frame.color_trc),
        full_range=frame.color_range == FULL_RANGE or frame.format.name.startswith("yuvj"),
    )
