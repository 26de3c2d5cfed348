"""A convolution done tap by tap in Python, counting each multiply–accumulate as it happens.

Slow on purpose: nothing is multiplied out, no formula is used, and nothing is shared with the
core, not even how large an output is.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count, product, takewhile
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray


@dataclass(frozen=True)
class Convolved:
    """A convolution's output, and how many taps read the image and how many read padding."""

    output: NDArray[np.float64]
    real_taps: int
    padding_taps: int

    @property
    def macs(self) -> int:
        """All taps: the count every tool and paper uses."""
        return self.real_taps + self.padding_taps


def convolve(  # noqa: PLR0913 - torch's own parameters
    image: NDArray[np.float64],
    weight: NDArray[np.float64],
    *,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int] = (0, 0),
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
) -> Convolved:
    """Convolve (N, C, H, W) with (O, C/groups, R, S) as torch's `conv2d` does.

    >>> ones = np.ones((1, 1, 3, 3))
    >>> done = convolve(ones, ones, padding=(1, 1))
    >>> done.output[0, 0, 1, 1], done.macs, done.real_taps
    (np.float64(9.0), 81, 49)
    """
    batch, _, *size = image.shape
    outputs, inputs_per_group, *kernel = weight.shape
    rows, columns = (
        list(_starts(*axis)) for axis in zip(size, kernel, stride, padding, dilation, strict=True)
    )
    output = np.zeros((batch, outputs, len(rows), len(columns)))
    real = padded = 0
    for n, o, (p, top), (q, left) in product(
        range(batch), range(outputs), enumerate(rows), enumerate(columns)
    ):
        group = o // (outputs // groups)
        for c, r, s in product(range(inputs_per_group), range(kernel[0]), range(kernel[1])):
            y, x = top + r * dilation[0], left + s * dilation[1]
            if 0 <= y < size[0] and 0 <= x < size[1]:
                channel = group * inputs_per_group + c
                output[n, o, p, q] += weight[o, c, r, s] * image[n, channel, y, x]
                real += 1
            else:
                padded += 1
    return Convolved(output, real, padded)


def _starts(size: int, kernel: int, stride: int, padding: int, dilation: int) -> Iterator[int]:
    """Where a window may begin, by sliding it until its last tap leaves the padded image."""
    return takewhile(
        lambda start: start + dilation * (kernel - 1) < size + padding, count(-padding, stride)
    )
