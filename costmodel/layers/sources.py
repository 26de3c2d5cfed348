"""Tensors that a model has itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from costmodel.algebra.arithmetic import Dim, exact_div
from costmodel.core.layer import Layer
from costmodel.core.nest import NOTHING, Keeps, Parameter
from costmodel.layers.fields import Count, Counts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from costmodel.core import layer as base
    from costmodel.core.fields import Shape, Width
    from costmodel.core.layer import Inputs, Lowering


@dataclass(frozen=True)
class Constant(Layer):
    """A tensor that comes from no input: learned (`parameters` of its own) or made.

    A parameter that no layer uses is one that nothing reads.

    >>> from costmodel import Network, cost
    >>> from costmodel.layers import Input
    >>> cost(Network("n", (Input("tokens", (1, 16)), Constant("cls", (1, 1, 768), 768)))).params
    768
    """

    sizes: Counts
    parameters: Count = 0
    arity: ClassVar[int | None] = 0
    may_be_empty: ClassVar[bool] = True

    @property
    def widths(self) -> dict[str, Width]:
        """The axes that may follow the width of what it is added to or joined with.

        Along others (of a parameter that is repeated) it has no parameters.
        """
        scale = {i for i, size in enumerate(self.sizes) if size > 1 and not self.parameters % size}
        return {f"{self.name}[{axis}]": self.sizes[axis] for axis in scale}

    def with_widths(self, widths: Mapping[str, Width]) -> Self:
        """The constant with others, and as many parameters for each position as before."""
        sizes = [widths.get(f"{self.name}[{i}]", size) for i, size in enumerate(self.sizes)]
        parameters: Dim = self.parameters
        for before, after in zip(self.sizes, sizes, strict=True):
            parameters = parameters if after is before else exact_div(parameters * after, before)
        return self.evolve(sizes=tuple(sizes), parameters=parameters)

    def output_shape(self, inputs: Inputs, widths: base.Counts) -> Shape:
        """Its own."""
        return self.sizes

    def lowered(self, inputs: Inputs, output: Shape) -> Lowering:
        """Nothing is done; it may be learned."""
        weight = Parameter(self.name, "weight", self.parameters)
        return (), (weight,) if self.parameters else ()

    def keeps(self, inputs: Inputs, output: Shape) -> Keeps:
        """Nothing."""
        return NOTHING
