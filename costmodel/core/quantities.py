"""What a network has an amount of: each quantity is a row, and whatever counts iterates over them.

A row has a name, a title, a unit and the terms that a lowered layer contributes: of its nests, of
its parameters, or of the layer as a whole. `Cost`, sweeps, compiled functions, limits, tables,
plots and the page's script read the rows; none lists them by hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING

from costmodel.errors import CostModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from costmodel.algebra.arithmetic import Dim
    from costmodel.core.lower import Lowered
    from costmodel.core.nest import LoopNest, Parameter


@dataclass(frozen=True)
class Quantity:
    """A row; `title` is its name for people, `what` a sentence, `limit` what a limit is called.

    >>> from costmodel import lower, mobilenet_v1
    >>> sum(QUANTITIES["macs"].terms(lower(mobilenet_v1())))
    568740352
    """

    name: str
    title: str
    what: str = ""
    unit: str = ""
    limit: str = ""
    of_nest: Callable[[LoopNest], Dim] | None = None
    of_parameter: Callable[[Parameter], Dim] | None = None
    of_layer: Callable[[Lowered], Dim] | None = None

    def terms(self, layers: Sequence[Lowered]) -> Iterator[Dim]:
        """What each nest, each parameter and each layer contributes."""
        if self.of_nest:
            yield from map(self.of_nest, (nest for x in layers for nest in x.nests))
        if self.of_parameter:
            yield from map(self.of_parameter, (p for x in layers for p in x.parameters))
        if self.of_layer:
            yield from map(self.of_layer, layers)


#: The rows, by name.
QUANTITIES = {
    row.name: row
    for row in (
        Quantity(
            "params",
            "params",
            "each layer's weights and bias, and the scale and shift of the batch norm after it",
            limit="max_params",
            of_parameter=attrgetter("count"),
        ),
        Quantity(
            "macs",
            "MACs",
            "multiply–accumulates, taps on padding included; flops are 2 · macs",
            limit="max_macs",
            of_nest=attrgetter("macs"),
        ),
        Quantity(
            "activations",
            "activations",
            "elements of convolution and linear outputs",
            limit="max_activations",
            of_nest=attrgetter("activations"),
        ),
    )
}


def register(row: Quantity) -> None:
    """Add a row of your own, before what it is asked of is made.

    Raises CostModelError for a name that is there already.
    """
    if row.name in QUANTITIES or not row.name.isidentifier():
        raise CostModelError(f"a quantity needs a new name, got {row.name!r}; choose another")
    QUANTITIES[row.name] = row
