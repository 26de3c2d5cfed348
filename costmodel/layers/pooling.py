"""Pooling."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

from costmodel.algebra.arithmetic import Dim, ceil_div, ceil_mode_size
from costmodel.core.fields import Flag, Padding, PerAxis, Pooling, Shape
from costmodel.core.layer import Layer
from costmodel.core.nest import INPUTS, NOTHING, Elementwise, Keeps, Window
from costmodel.core.orders import of_image
from costmodel.core.shapes import axes, ranked, refuse, slide

if TYPE_CHECKING:
    from costmodel.core.layer import Counts, Inputs, Lowering
    from costmodel.core.orders import Order

#: Bytes of the position of a maximum: torch's int64.
_INDEX = 8


def _max_or_average(kind: str, output: Shape) -> Keeps:
    return Keeps(inputs=True, own=((prod(output), _INDEX),)) if kind == "max" else INPUTS


class _OfImages(Layer):
    """What leaves images as they lie in memory."""

    def memory_order(self, orders: list[Order], inputs: Inputs, output: Shape) -> Order:
        """As images are."""
        return of_image(orders, inputs, output)


@dataclass(frozen=True)
class Pool(_OfImages):
    """Max or average pooling; `ceil_mode` lets a last window hang over the edge, as torch has it.

    >>> from costmodel import Network
    >>> from costmodel.core import infer
    >>> from costmodel.layers import Input
    >>> pool = Pool("pool1", "max", kernel=3, stride=2, ceil_mode=True)
    >>> infer(Network("n", (Input("image", (1, 64, 112, 112)), pool)))[-1].output
    (1, 64, 56, 56)
    """

    kind: Pooling
    kernel: PerAxis
    stride: PerAxis
    padding: Padding = 0
    ceil_mode: Flag = False

    @property
    def window(self) -> Window:
        """Its own."""
        return Window(self.kernel, self.stride, self.padding)

    def output_shape(self, inputs: Inputs, widths: Counts) -> Shape:
        """⌊(D + 2p − k) / s⌋ + 1 on each axis, or ⌈…⌉ + 1."""
        return inputs[0][:2] + slide(self, inputs[0], (*self.window,), Pool._side)

    def _side(self, size: Dim, window: tuple[Any, ...]) -> Dim:
        kernel, stride, padding, _ = window
        if 2 * padding > kernel:
            refuse(self, f"padding {padding} must be at most half of kernel {kernel}")
        span = size + 2 * padding - kernel
        if self.ceil_mode:
            return ceil_mode_size(span, size + padding, stride)
        return ceil_div(span + 1, stride)

    def lowered(self, inputs: Inputs, output: Shape) -> Lowering:
        """K² taps each."""
        taps = prod(axes(self.kernel, self, len(output) - 2))
        return (Elementwise(f"{self.kind}_pool", output, taps, self.window),), ()

    def keeps(self, inputs: Inputs, output: Shape) -> Keeps:
        """Its input, and where each maximum is."""
        return _max_or_average(self.kind, output)


@dataclass(frozen=True)
class AdaptivePool(_OfImages):
    """Pooling to a fixed output size; 1 is global pooling.

    >>> from costmodel import Network
    >>> from costmodel.core import infer
    >>> from costmodel.layers import Input
    >>> infer(Network("n", (Input("image", (1, 1024, 7, 7)), AdaptivePool("pool"))))[-1].output
    (1, 1024, 1, 1)
    """

    kind: Pooling = "average"
    output_size: PerAxis = 1

    def output_shape(self, inputs: Inputs, widths: Counts) -> Shape:
        """That size on each axis."""
        (shape,) = inputs
        return shape[:2] + axes(self.output_size, self, len(ranked(self, shape, 3)) - 2)

    def lowered(self, inputs: Inputs, output: Shape) -> Lowering:
        """⌈D / size⌉ taps on each axis: where it does not divide, some windows read one more."""
        sides = zip(inputs[0][2:], output[2:], strict=True)
        taps = prod(ceil_div(size, out) for size, out in sides)
        name = f"adaptive_{self.kind}_pool{len(output) - 2}d"
        return (Elementwise(name, output, taps),), ()

    def keeps(self, inputs: Inputs, output: Shape) -> Keeps:
        """As a pool; of a mean, whose gradient is the same everywhere, nothing."""
        if self.kind == "average" and all(side == 1 for side in output[2:]):
            return NOTHING
        return _max_or_average(self.kind, output)
