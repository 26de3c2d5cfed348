"""What a network has an amount of: each quantity is a row, and whatever counts iterates over them.

A row has a name, a title, a unit and the terms that a lowered layer contributes: of its nests, of
its parameters, or of the layers as a whole. `Cost`, sweeps, compiled functions, limits, tables,
plots and the page's script read the rows; none lists them by hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from costmodel.core.lower import Lowered
from costmodel.core.nest import Elementwise
from costmodel.errors import CostModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from costmodel.algebra.arithmetic import Dim
    from costmodel.core.nest import LoopNest, Parameter
    from costmodel.core.network import Network


class Parts(NamedTuple):
    """What a network is lowered to, laid out for adding up."""

    nests: list[LoopNest]
    parameters: list[Parameter]
    layers: list[Any]

    @classmethod
    def of(cls, layers: Iterable[Any]) -> Self:
        """The nests and parameters of lowered layers."""
        parts = cls([], [], list(layers))
        for _, _, _, bodies, parameters in parts.layers:
            parts.parameters.extend(parameters)
            for body in bodies or ():
                if not isinstance(body, Elementwise):
                    parts.nests.append(body)
        return parts


@dataclass(frozen=True)
class Quantity:
    """A row: `title` names it, `what` says what is counted, and `unit` is "", "bytes" or "s".

    A `limit` is what plans call one on it. Tables of layers have a `column` for it, or only totals.
    What is an `estimate` is no integer, and shown with ≈; `of_layers` gives a term for each layer.
    What is no sum over layers has `sums` of a network and of rules of memory, and is the largest.

    >>> from costmodel import lower, mobilenet_v1
    >>> sum(QUANTITIES["macs"].terms(Parts.of(lower(mobilenet_v1()))))
    568740352
    """

    name: str
    title: str
    what: str = ""
    unit: str = ""
    limit: str = ""
    column: bool = True
    estimate: bool = False
    of_nest: Callable[[LoopNest], Dim] | None = None
    of_parameter: Callable[[Parameter], Dim] | None = None
    of_layers: Callable[[Sequence[Lowered]], Iterable[Dim]] | None = None
    sums: Callable[[Network, Any], Sequence[Iterable[Dim]]] | None = None

    def terms(self, parts: Parts) -> Iterable[Dim]:
        """What each nest, each parameter and each layer contributes."""
        return chain(
            map(self.of_nest, parts.nests) if self.of_nest else (),
            map(self.of_parameter, parts.parameters) if self.of_parameter else (),
            self.of_layers(list(map(Lowered._make, parts.layers))) if self.of_layers else (),
        )

    def text(self, number: Any) -> str:
        """An amount of it for people.

        >>> QUANTITIES["macs"].text(568740352)
        '568,740,352'
        """
        if self.estimate:
            scaled, unit = (1000 * number, "ms") if self.unit == "s" else (number, self.unit)
            text = f"{scaled:#.3g}" if abs(scaled) < 100 else f"{scaled:,.0f}"  # noqa: PLR2004
            return f"≈{text} {unit}"
        return f"{number:,}"

    def value(self, number: Any) -> Any:
        """A number of it as Python's own: an integer, but for an estimate."""
        return float(number) if self.estimate else int(number)


#: The rows that add up over layers, by name, in the order in which they are shown.
QUANTITIES = {
    row.name: row
    for row in (
        Quantity(
            "macs",
            "MACs",
            "multiply–accumulates, taps on padding included; flops are 2 · macs",
            limit="max_macs",
            of_nest=attrgetter("macs"),
        ),
        Quantity(
            "params",
            "params",
            "each layer's weights and bias, and the scale and shift of the batch norm after it",
            limit="max_params",
            of_parameter=attrgetter("count"),
        ),
        Quantity(
            "activations",
            "activations",
            "elements of convolution and linear outputs",
            column=False,
            of_nest=attrgetter("activations"),
        ),
    )
}


def register(row: Quantity) -> None:
    """Add a row of your own, before the first cost is asked for.

    Raises CostModelError for a name that is there already, or that is none.
    """
    if row.name in QUANTITIES or not row.name.isidentifier():
        raise CostModelError(f"a quantity needs a new name, got {row.name!r}; choose another")
    QUANTITIES[row.name] = row


def columns(rows: Mapping[str, Quantity] = QUANTITIES) -> dict[str, Quantity]:
    """Those that tables of layers have a column for."""
    return {name: row for name, row in rows.items() if row.column}
