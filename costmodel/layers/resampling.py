"""Maps at another size: regions cut out, axes reduced, and what interpolates."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, ClassVar

from costmodel.algebra.arithmetic import ceil_div
from costmodel.core.fields import Flag, PerAxis, Positive, Shape, Text
from costmodel.core.layer import Layer
from costmodel.core.nest import INPUTS, NOTHING, Elementwise, Keeps
from costmodel.core.shapes import axes, on_axis, ranked
from costmodel.layers.fields import Axes
from costmodel.layers.pooling import _OfImages

if TYPE_CHECKING:
    from costmodel.core.layer import Counts, Inputs, Lowering


@dataclass(frozen=True)
class CropAndResize(Layer):
    """The regions of a feature map that `proposals` name, each resized to `output_size`.

    They stand along the batch: the second stage of a Faster R-CNN runs once for each. Choosing
    and interpolating them is no multiply–accumulate.

    >>> from costmodel import Network
    >>> from costmodel.core import infer
    >>> from costmodel.layers import Input
    >>> image = Input("image", (1, 512, 38, 38))
    >>> infer(Network("crops", (image, CropAndResize("crop", 300, 14))))[-1].output
    (300, 512, 14, 14)

    Raises CostModelError for proposals or a size below 1.
    """

    proposals: Positive
    output_size: Positive

    def output_shape(self, inputs: Inputs, widths: Counts) -> Shape:
        """A map of that size for each region."""
        batch, channels, *sides = ranked(self, inputs[0], 3)
        return batch * self.proposals, channels, *[self.output_size] * len(sides)

    def lowered(self, inputs: Inputs, output: Shape) -> Lowering:
        """No nest."""
        return (Elementwise("crop_and_resize", output),), ()

    def keeps(self, inputs: Inputs, output: Shape) -> Keeps:
        """Nothing."""
        return NOTHING


@dataclass(frozen=True)
class Reduce(Layer):
    """A mean, sum, … over some axes, which it drops or, with `keepdim`, leaves as 1.

    >>> from costmodel import Network
    >>> from costmodel.core import infer
    >>> from costmodel.layers import Input
    >>> infer(Network("n", (Input("map", (1, 96, 7, 7)), Reduce("mean", (2, 3)))))[-1].output
    (1, 96)
    """

    over: Axes
    keepdim: Flag = False
    function: Text = "mean"

    def output_shape(self, inputs: Inputs, widths: Counts) -> Shape:
        """Without those axes."""
        (shape,) = inputs
        over = {on_axis(self, axis, shape) for axis in self.over}
        sizes = ((1 if axis in over else size, axis) for axis, size in enumerate(shape))
        return tuple(size for size, axis in sizes if self.keepdim or axis not in over)

    def lowered(self, inputs: Inputs, output: Shape) -> Lowering:
        """As many taps as there are elements along the axes."""
        taps = prod(inputs[0][axis] for axis in self.over)
        return (Elementwise(self.function, output, taps),), ()

    def keeps(self, inputs: Inputs, output: Shape) -> Keeps | None:
        """What the function's derivative needs."""
        return _REDUCED.get(self.function)


#: By function, what a reduction keeps.
_REDUCED = {"mean": NOTHING, "sum": NOTHING, "var": INPUTS}
_REDUCED |= dict.fromkeys(("std", "logsumexp", "amax", "amin"), Keeps(inputs=True, output=True))


@dataclass(frozen=True)
class Resample(_OfImages):
    """Spatial axes scaled by numerator/denominator, rounded down; or to a second input's size.

    >>> from costmodel import Network
    >>> from costmodel.core import infer
    >>> from costmodel.layers import Input
    >>> infer(Network("n", (Input("map", (1, 64, 7, 7)), Resample("up", 2))))[-1].output
    (1, 64, 14, 14)
    """

    numerator: PerAxis = 1
    denominator: PerAxis = 1
    function: Text = "interpolate"
    arity: ClassVar[int | None] = None

    def output_shape(self, inputs: Inputs, widths: Counts) -> Shape:
        """⌊D·n / d⌋ on each axis."""
        shape, *like = inputs
        if like:
            return *ranked(self, shape, 2)[:2], *like[0][2:]
        rank = len(ranked(self, shape, 3)) - 2
        scales = (axes(value, self, rank) for value in (self.numerator, self.denominator))
        # floor(a/b) = ceil((a − b + 1) / b)
        windows = zip(shape[2:], *scales, strict=True)
        sides = (d * n if b == 1 else ceil_div(d * n - b + 1, b) for d, n, b in windows)
        return *shape[:2], *sides

    def lowered(self, inputs: Inputs, output: Shape) -> Lowering:
        """No nest."""
        return (Elementwise(self.function, output),), ()

    def keeps(self, inputs: Inputs, output: Shape) -> Keeps:
        """An average its input, an interpolation nothing."""
        return INPUTS if self.function.startswith("adaptive_avg") else NOTHING
