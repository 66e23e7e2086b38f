"""Nearest upsampling and the convolution behind it as one transposed convolution: the same sums in 4/9 of the work."""

from __future__ import annotations

import torch
from torch import Tensor


def transposed_kernel(kernel: Tensor) -> Tensor:
    """Return the kernel (I, O, 4, 4) of a transposed convolution with stride 2 and padding 1.

    It gives what `kernel` (O, I, 3, 3), padding 1, gives behind nearest upsampling by 2, borders included.
    """
    return _four_taps(_four_taps(kernel, 2), 3).transpose(0, 1)


def _four_taps(kernel: Tensor, axis: int) -> Tensor:
    """Along one axis, add up those of three taps that fall on the same pixel before upsampling.

    Two pixels lie behind three taps: one and two of them in even places, two and one in odd places.
    """
    first, second, third = kernel.unbind(axis)
    return torch.stack([third, second + third, first + second, first], axis)
