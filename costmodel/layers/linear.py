"""Matrices: a product over the last axis, and a table of vectors."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, ClassVar

from costmodel.core.fields import Flag, Owner, Positive, Shape, Width
from costmodel.core.layer import Layer
from costmodel.core.nest import INPUTS, Elementwise, Keeps, LoopNest, Parameter
from costmodel.core.relations import count
from costmodel.core.shapes import ranked

if TYPE_CHECKING:
    from costmodel.core.layer import Counts, Inputs, Lowering


@dataclass(frozen=True)
class Linear(Layer):
    """A matrix product over the last axis: C_in·C_out MACs for each vector of it.

    >>> from costmodel import Network, cost
    >>> from costmodel.layers import Fixed, Input
    >>> cost(Network("n", (Input("features", (1, 1024)), Linear("classifier", Fixed(1000)))))
    Cost(macs=1024000, params=1025000, activations=1000)
    """

    out_features: Width
    bias: Flag = True
    shares: Owner = ""
    width: ClassVar[str] = "out_features"
    axis: ClassVar[int] = -1
    takes_over: ClassVar[bool] = True
    learned_axes = (-1,)
    operation = "linear"

    def output_shape(self, inputs: Inputs, widths: Counts) -> Shape:
        """The same vectors, of another length."""
        shape = ranked(self, inputs[0], 1)
        return *shape[:-1], count(self.out_features, shape[-1], widths)

    def lowered(self, inputs: Inputs, output: Shape) -> Lowering:
        """One nest without spatial axes."""
        nest = LoopNest(prod(inputs[0][:-1]), 1, output[-1], inputs[0][-1], (), ())
        owner = self.shares or self.name
        weight, bias = Parameter(owner, "weight", nest.weights), Parameter(owner, "bias", nest.k)
        return (nest,), (weight, bias) if self.bias else (weight,)

    def keeps(self, inputs: Inputs, output: Shape) -> Keeps:
        """Its input, for ∂W."""
        return INPUTS

    def merged_axes(self, shape: Shape) -> int:
        """All but the last: a product of two matrices."""
        return len(shape) - 1


@dataclass(frozen=True)
class Embedding(Layer):
    """A table of `rows` vectors, looked up: parameters, and no multiply–accumulates.

    >>> from costmodel import Network, cost
    >>> from costmodel.layers import Input
    >>> cost(Network("n", (Input("tokens", (1, 16)), Embedding("words", 64, rows=1000))))
    Cost(macs=0, params=64000, activations=0)
    """

    out_features: Width
    rows: Positive
    shares: Owner = ""
    width: ClassVar[str] = "out_features"
    axis: ClassVar[int] = -1

    def output_shape(self, inputs: Inputs, widths: Counts) -> Shape:
        """A vector for each number."""
        return *inputs[0], count(self.out_features, 1, widths)

    def lowered(self, inputs: Inputs, output: Shape) -> Lowering:
        """The table is a weight."""
        table = Parameter(self.shares or self.name, "weight", self.rows * output[-1])
        return (Elementwise("embedding", output),), (table,)

    def keeps(self, inputs: Inputs, output: Shape) -> Keeps:
        """The rows, as int64."""
        return Keeps(own=((prod(inputs[0]), 8),))
