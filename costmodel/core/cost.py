"""Costs: a small monoid, of layers and of networks, with a value for each quantity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from costmodel.algebra.arithmetic import Dim, is_symbolic
from costmodel.core.lower import Lowered, each_lowered
from costmodel.core.quantities import QUANTITIES, Parts
from costmodel.errors import CostModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from costmodel.core.network import Network
    from costmodel.core.quantities import Quantity


class Cost:
    """What a layer or a network costs; costs add up, and `Cost()` is nothing.

    An attribute for each of `costmodel.core.quantities`: `params` counts shared parameters once,
    `macs` the multiply–accumulates (a paper's mult-adds), `activations` the elements of convolution
    and linear outputs. `unknown` names the layers no rule knows: then each is a lower bound.

    >>> Cost(macs=100, params=10) + Cost(macs=1)
    Cost(macs=101, params=10, activations=0)
    """

    unknown: tuple[str, ...]

    def __init__(self, *, unknown: tuple[str, ...] = (), **values: Dim) -> None:
        """Take the quantities by name; what is not given is 0."""
        if wrong := values.keys() - QUANTITIES.keys():
            known = ", ".join(QUANTITIES)
            raise CostModelError(f"a cost has {known}, got {', '.join(sorted(wrong))}")
        self.__dict__.update(dict.fromkeys(QUANTITIES, 0), **values)
        self.__dict__["unknown"] = unknown

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Dim:
            """A quantity."""

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a cost cannot be changed, {name} neither")

    @classmethod
    def of(
        cls, values: Iterable[Dim], unknown: tuple[str, ...] = (), names: Iterable[str] = QUANTITIES
    ) -> Self:
        """The cost of values in the order of the quantities: for a planner's inner loop."""
        self = object.__new__(cls)
        state = self.__dict__
        state.update(zip(names, values))  # noqa: B905 - a value each, and strict takes longer
        state["unknown"] = unknown
        return self

    @property
    def quantities(self) -> dict[str, Dim]:
        """The values by name."""
        return {name: value for name, value in self.__dict__.items() if name != "unknown"}

    @property
    def flops(self) -> Dim:
        """2 · macs: a multiplication and an addition each."""
        return 2 * self.macs

    def __eq__(self, other: object) -> bool:
        return self.__dict__ == other.__dict__ if isinstance(other, Cost) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self.__dict__.values()))

    def __add__(self, other: Cost) -> Cost:
        if not isinstance(other, Cost):
            return NotImplemented
        one, two = self.quantities, other.quantities
        names = one | two  # an empty cost has no estimates
        sums = [one.get(name, 0) + two.get(name, 0) for name in names]
        return Cost.of(sums, self.unknown + other.unknown, names)

    def __radd__(self, other: int) -> Cost:
        """So that `sum` adds costs up."""
        return self if other == 0 else NotImplemented

    def map(self, function: Callable[[Dim], Dim]) -> Cost:
        """The cost with a function applied to each quantity, as `relax`."""
        quantities = self.quantities
        return Cost.of(map(function, quantities.values()), self.unknown, quantities)

    def __repr__(self) -> str:
        bound = "≥" if self.unknown else ""
        parts = [f"{name}={bound}{value}" for name, value in self.quantities.items()]
        parts += [f"unknown={self.unknown}"] * bool(self.unknown)
        return f"Cost({', '.join(parts)})"

    def _repr_latex_(self) -> str | None:
        """The formulas, where there are any, for Jupyter."""
        if not any(map(is_symbolic, self.quantities.values())):
            return None
        from costmodel.algebra.symbols import latex  # sympy only where there is a symbol

        relation = r"&\ge" if self.unknown else "&="
        quantities = self.quantities.items()
        lines = [rf"\text{{{name}}} {relation} {latex(value)}" for name, value in quantities]
        return r"$\begin{aligned}" + r" \\ ".join(lines) + r"\end{aligned}$"


def layer_costs(layers: Sequence[Lowered], rows: Mapping[str, Quantity] = QUANTITIES) -> list[Cost]:
    """The cost of each of a network's layers.

    >>> from costmodel import lower, mobilenet_v1
    >>> [layer.macs for layer in layer_costs(lower(mobilenet_v1()))[:2]]
    [0, 10838016]
    """
    parts = [Parts.of((x,)) for x in layers]
    columns = [
        list(row.of_layers(layers)) if row.of_layers else [sum(row.terms(x)) for x in parts]
        for row in rows.values()
    ]
    each = zip(layers, zip(*columns, strict=True), strict=True)
    return [Cost.of(v, (x.layer.name,) * (x.bodies is None), rows) for x, v in each]


def layer_cost(lowered: Lowered) -> Cost:
    """The cost of one lowered layer; parameters it shares are its owner's.

    >>> from costmodel import lower, mobilenet_v1
    >>> layer_cost(lower(mobilenet_v1())[1])
    Cost(macs=10838016, params=864, activations=401408)
    """
    return total_cost((lowered,))


def total_cost(
    layers: Iterable[tuple[Any, ...]], rows: Mapping[str, Quantity] = QUANTITIES
) -> Cost:
    """The cost of lowered layers: the sum of every quantity's terms.

    >>> from costmodel import lower, mobilenet_v1
    >>> total_cost(lower(mobilenet_v1())).params
    4231976
    """
    parts = Parts.of(layers)
    unknown = tuple([x[0].name for x in parts.layers if x[3] is None])
    return Cost.of([sum(row.terms(parts)) for row in rows.values()], unknown, rows)


def cost(
    network: Network, *, strict: bool = False, rows: Mapping[str, Quantity] = QUANTITIES
) -> Cost:
    """The cost of a network: the sum over its layers, of every quantity or of those in `rows`.

    MACs are K²·C_in·C_out·H·W for a standard convolution, and so on (`costmodel.core.nest`).

    >>> from costmodel import mobilenet_v1, resize, widen
    >>> cost(widen(resize(mobilenet_v1(), rho=0.857), alpha=0.75))
    Cost(macs=239273472, params=2585560, activations=2779624)

    With `strict`, a layer no rule knows raises CostModelError.
    """
    total = total_cost(each_lowered(network), rows)
    if strict and total.unknown:
        raise CostModelError(f"no rule for {', '.join(total.unknown)}; register one, or not strict")
    return total
