"""Small helpers of the sweep and the calibration: count pixels by bin, divide where there is something to divide by."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def count_by(bins: NDArray[np.intp], flag: NDArray[np.bool_], count: int) -> NDArray[np.int64]:
    """Count pixels per bin 0..count-1, those without `flag` in row 0 and those with it in row 1: (2, count)."""
    return np.bincount((bins + count * flag).ravel(), minlength=2 * count).reshape(2, count)


def divide(numerator: ArrayLike, denominator: ArrayLike) -> NDArray[np.float64]:
    """Divide elementwise; NaN where the denominator is 0."""
    top, bottom = np.broadcast_arrays(np.asarray(numerator, dtype=np.float64), np.asarray(denominator, np.float64))
    quotient = np.full(top.shape, np.nan)
    np.divide(top, bottom, out=quotient, where=bottom != 0)
    return quotient
