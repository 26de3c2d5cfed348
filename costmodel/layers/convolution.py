"""Convolutions: a kernel's weights at every position of a map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from costmodel.algebra.arithmetic import Dim, ceil_div, exact_div
from costmodel.core.fields import Flag, Groups, Owner, Padding, PerAxis, Shape, Width
from costmodel.core.layer import Layer
from costmodel.core.nest import INPUTS, Keeps, LoopNest, Parameter, Window
from costmodel.core.orders import of_image
from costmodel.core.relations import count
from costmodel.core.shapes import axes, ranked, refuse, slide

if TYPE_CHECKING:
    from typing import Any

    from costmodel.core.layer import Counts, Inputs, Lowering
    from costmodel.core.orders import Order


class _Kernel(Layer):
    """What slides a kernel: its equation is the loop nest's, with torch's hyper-parameters."""

    out_channels: Width
    kernel: PerAxis
    stride: PerAxis
    padding: Padding
    dilation: PerAxis
    groups: Groups
    bias: Flag
    width: ClassVar[str] = "out_channels"
    operation = "conv"

    def lowered(self, inputs: Inputs, output: Shape) -> Lowering:
        """One nest, and K²·C_in/G·C_out weights and a bias for each of C_out."""
        nest = self._nest(inputs[0], output)
        owner = self.shares or self.name
        weight = Parameter(owner, "weight", nest.weights)
        if self.bias:
            return (nest,), (weight, Parameter(owner, "bias", nest.g * nest.k))
        return (nest,), (weight,)

    def _nest(self, shape: Shape, output: Shape) -> LoopNest:
        groups = count(self.groups, shape[1], {})
        c, k = exact_div(shape[1], groups), exact_div(output[1], groups)
        if c is None or k is None:
            side, channels = ("in", shape[1]) if c is None else ("out", output[1])
            rule = f"{side}_channels must be divisible by groups, got {channels} and {groups}"
            refuse(self, rule, "change one of them")
        extents = output[0], groups, k, c, output[2:], axes(self.kernel, self, len(output) - 2)
        return LoopNest(*extents, True, (), self.stride, self.padding, self.dilation)  # noqa: FBT003

    def keeps(self, inputs: Inputs, output: Shape) -> Keeps:
        """Its input, for ∂W; for ∂I the weight, which is no activation."""
        return INPUTS

    def memory_order(self, orders: list[Order], inputs: Inputs, output: Shape) -> Order:
        """As images are."""
        return of_image(orders, inputs, output)


class _Convolution(_Kernel):
    """A window that slides over its input's map."""

    @property
    def window(self) -> Window:
        """The kernel's."""
        return Window(self.kernel, self.stride, self.padding, self.dilation)

    def output_shape(self, inputs: Inputs, widths: Counts) -> Shape:
        """⌈(D + 2p − d(k − 1)) / s⌉ on each axis, which is torch's floor formula."""
        (shape,) = inputs
        window = (self.kernel, self.stride, self.padding, self.dilation)
        sides = slide(self, shape, window, _positions)
        return shape[0], count(self.out_channels, shape[1], widths), *sides


def _positions(_layer: Layer, size: Dim, window: tuple[Any, ...]) -> Dim:
    kernel, stride, padding, dilation = window
    return ceil_div(size + 2 * padding - dilation * (kernel - 1), stride)


@dataclass(frozen=True)
class Conv(_Convolution):
    """A convolution over any number of spatial axes, with torch's hyper-parameters.

    A kernel, stride, padding or dilation is one number for every axis or a tuple, one for each.
    `groups=SAME` with `out_channels=SAME` is a depthwise convolution. `shares` names the layer
    whose parameters this one uses again.

    MACs are K²·C_in/G·C_out·H·W, parameters K²·C_in/G·C_out and, with `bias`, C_out.

    >>> from costmodel import Network, cost
    >>> from costmodel.layers import Input
    >>> conv = Conv("conv1", 32, kernel=3, stride=2, padding=1)
    >>> cost(Network("n", (Input("image", (1, 3, 224, 224)), conv))).macs == 9*3*32 * 112*112
    True
    """

    out_channels: Width
    kernel: PerAxis
    stride: PerAxis = 1
    padding: Padding = 0
    dilation: PerAxis = 1
    groups: Groups = 1
    bias: Flag = False
    shares: Owner = ""
    takes_over: ClassVar[bool] = True
    learned_axes = (1,)


@dataclass(frozen=True)
class Filter(_Convolution):
    """A convolution whose kernel is no parameter: a buffer, or computed from parameters.

    It is no `Conv`: nothing that rewrites what a kernel learns applies to it.

    >>> from costmodel import Network, cost
    >>> from costmodel.layers import SAME, Input
    >>> blur = Filter("blur", SAME, kernel=3, padding=1, groups=SAME)
    >>> cost(Network("n", (Input("image", (1, 3, 8, 8)), blur)))
    Cost(macs=1728, params=0, activations=192)
    """

    out_channels: Width
    kernel: PerAxis
    stride: PerAxis = 1
    padding: Padding = 0
    dilation: PerAxis = 1
    groups: Groups = 1
    bias: ClassVar[bool] = False  # type: ignore[misc]

    def lowered(self, inputs: Inputs, output: Shape) -> Lowering:
        """The nest alone."""
        return (self._nest(inputs[0], output),), ()


@dataclass(frozen=True)
class TransposedConv(_Kernel):
    """A transposed convolution: each position of the *input* is spread over a window.

    MACs are K²·C_in/G·C_out times the input's positions.

    >>> from costmodel import Network, cost
    >>> from costmodel.layers import Input
    >>> up = TransposedConv("up", 16, kernel=2, stride=2)
    >>> cost(Network("n", (Input("map", (1, 32, 7, 7)), up)))
    Cost(macs=100352, params=2048, activations=3136)
    """

    out_channels: Width
    kernel: PerAxis
    stride: PerAxis = 1
    padding: Padding = 0
    output_padding: Padding = 0
    dilation: PerAxis = 1
    groups: Groups = 1
    bias: Flag = False
    shares: Owner = ""
    learned_axes = (1,)
    operation = "transposed_conv"

    def output_shape(self, inputs: Inputs, widths: Counts) -> Shape:
        """(D − 1)s − 2p + d(k − 1) + o + 1 on each axis."""
        batch, channels, *sizes = ranked(self, inputs[0], 3)
        window = (self.kernel, self.stride, self.padding, self.output_padding, self.dilation)
        windows = zip(sizes, *(axes(value, self, len(sizes)) for value in window), strict=True)
        sides = [self._side(*axis) for axis in windows]
        return batch, count(self.out_channels, channels, widths), *sides

    def _side(  # noqa: PLR0913, PLR0917 - torch's own parameters
        self, size: Dim, kernel: int, stride: int, padding: int, after: int, dilation: int
    ) -> Dim:
        if after >= max(stride, dilation):
            rule = f"must be smaller than stride {stride} or dilation {dilation}"
            refuse(self, f"output_padding {after} {rule}", "lower it")
        span = (size - 1) * stride - 2 * padding + dilation * (kernel - 1) + after + 1
        return ceil_div(span, 1)

    def _nest(self, shape: Shape, output: Shape) -> LoopNest:
        nest = super()._nest(shape, output)
        return nest._replace(positions=shape[2:], written=output[2:])
