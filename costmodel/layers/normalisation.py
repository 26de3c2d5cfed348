"""Normalisations, and other elementwise operations with learned values."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, ClassVar

from costmodel.algebra.arithmetic import exact_div
from costmodel.core.fields import Flag, Owner, Positive, Shape, Text
from costmodel.core.layer import Layer
from costmodel.core.nest import NOTHING, Elementwise, Keeps, Parameter
from costmodel.core.orders import of_image, of_operand
from costmodel.core.shapes import on_axis, ranked, refuse
from costmodel.layers.fields import Axes, Count
from costmodel.layers.named import elementwise, is_elementwise

if TYPE_CHECKING:
    from collections.abc import Callable

    from costmodel.algebra.arithmetic import Dim
    from costmodel.core.layer import Counts, Inputs, Lowering
    from costmodel.core.orders import Order


@dataclass(frozen=True)
class BatchNorm(Layer):
    """Normalisation with, if `affine`, a scale and a shift per channel: 2·C parameters, no MACs.

    >>> from costmodel import Network, cost
    >>> from costmodel.layers import Input
    >>> cost(Network("n", (Input("image", (1, 32, 112, 112)), BatchNorm("norm"))))
    Cost(macs=0, params=64, activations=0)
    """

    affine: Flag = True
    shares: Owner = ""
    follows: ClassVar[bool] = True
    folds: ClassVar[bool] = True
    keeps_axes: ClassVar[bool] = True
    learned_axes = (1,)

    def lowered(self, inputs: Inputs, output: Shape) -> Lowering:
        """No nest, and 2·C parameters."""
        size = 2 * ranked(self, output, 2)[1]
        norm = (Parameter(self.shares or self.name, "norm", size),) if self.affine else ()
        operation = "batch_norm" if self.affine else "batch_norm_without_affine"
        return (Elementwise(operation, output),), norm

    def keeps(self, inputs: Inputs, output: Shape) -> Keeps:
        """Its input, and the mean and reciprocal deviation of the batch."""
        return Keeps(inputs=True, own=((2 * output[1], 0),))

    def may_overwrite(self) -> bool:
        """At inference it is a scale and a shift."""
        return True

    def memory_order(self, orders: list[Order], inputs: Inputs, output: Shape) -> Order:
        """As images are."""
        return of_image(orders, inputs, output)


@dataclass(frozen=True)
class Affine(Layer):
    """An elementwise operation with `tensors` learned values along `along`, as a layer norm has.

    Layer, group and RMS normalisation, layer scale, a bias on its own, PReLU. `groups` divides
    the channels.

    >>> from costmodel import Network, cost
    >>> from costmodel.layers import Input
    >>> norm = Affine("norm", "layer_norm", along=(-1,), tensors=2)
    >>> cost(Network("n", (Input("tokens", (1, 197, 768)), norm))).params
    1536
    """

    function: Text
    along: Axes = (1,)
    tensors: Count = 1
    groups: Positive = 1
    shares: Owner = ""
    keeps_axes: ClassVar[bool] = True

    @property
    def learned_axes(self) -> tuple[int, ...]:
        """Where it has learned values, those that they lie along."""
        return self.along if self.tensors else ()

    def output_shape(self, inputs: Inputs, widths: Counts) -> Shape:
        """Its input's, whose channels the groups divide."""
        (shape,) = inputs
        if self.groups != 1 and exact_div(ranked(self, shape, 2)[1], self.groups) is None:
            refuse(self, f"{self.groups} groups must divide {shape[1]} channels", "change one")
        return shape

    def lowered(self, inputs: Inputs, output: Shape) -> Lowering:
        """No nest, and the learned tensors."""
        size = prod(inputs[0][on_axis(self, axis, inputs[0])] for axis in self.along)
        norm = Parameter(self.shares or self.name, "norm", self.tensors * size)
        return (Elementwise(self.function, output),), (norm,) * (self.tensors > 0)

    def keeps(self, inputs: Inputs, output: Shape) -> Keeps | None:
        """A normalisation its input and its statistics; a product what its gradient needs."""
        if statistics := _STATISTICS.get(self.function):
            return Keeps(inputs=True, own=((statistics(self, output), 0),))
        row = elementwise(self.function)
        return NOTHING if self.function == "channel_shuffle" else row and row.with_learned

    def may_overwrite(self) -> bool:
        """Where its function is elementwise."""
        return is_elementwise(self.function)

    def memory_order(self, orders: list[Order], inputs: Inputs, output: Shape) -> Order | None:
        """As its input's where its function is elementwise."""
        return of_operand(orders, inputs, output) if is_elementwise(self.function) else None


def _rows(layer: Affine, output: Shape) -> Dim:
    """Over how many vectors a normalisation goes."""
    return prod(output) // prod(output[axis] for axis in layer.along)


#: By function, the elements beside its input that a normalisation keeps: a mean and a reciprocal
#: deviation of each vector; instance norm's scale for each image; and RMS norm is written out,
#: so that it keeps the reciprocal alone and what the scale multiplies.
_STATISTICS: dict[str, Callable[[Affine, Shape], Dim]] = {
    "batch_norm": lambda _, output: 2 * output[1],
    "group_norm": lambda layer, output: 2 * output[0] * layer.groups,
    "instance_norm": lambda layer, output: (2 + (layer.tensors > 0)) * output[0] * output[1],
    "layer_norm": lambda layer, output: 2 * _rows(layer, output),
    "rms_norm": lambda layer, output: _rows(layer, output) + prod(output) * (layer.tensors > 0),
}
