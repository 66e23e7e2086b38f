"""Binary entropy of a probability, where tensors are not needed."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray


def binary_entropy(probability: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Return -p ln p - (1 - p) ln(1 - p) in nats, in the shape of `probability`: the uncertainty of one pass."""
    p = probability.astype(np.float32, copy=False)
    entropy = 0 - (_times_log(p) + _times_log(np.float32(1) - p))  # 0 - x, as -x would make negative zeros
    return np.asarray(entropy, np.float32)


def _times_log(p: NDArray[np.float32]) -> NDArray[np.float32]:
    logs = cv2.log(np.maximum(p, np.finfo(np.float32).tiny))  # twice as fast as NumPy's
    return np.asarray(logs, np.float32).reshape(p.shape) * p
