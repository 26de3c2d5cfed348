"""Costs: a small monoid, of layers and of networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from costmodel.algebra.arithmetic import Dim, is_symbolic
from costmodel.core.lower import Lowered, each_lowered
from costmodel.core.nest import Elementwise
from costmodel.errors import CostModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from costmodel.core.lower import Parts
    from costmodel.core.network import Network


@dataclass(frozen=True)
class Cost:
    """What a layer or a network costs; costs add up, and `Cost()` is nothing.

    `params` counts shared parameters once, `macs` the multiply–accumulates (a paper's
    mult-adds), `activations` the elements of convolution and linear outputs. `unknown` names
    the layers no rule knows: then every figure is a lower bound.

    >>> Cost(params=10, macs=100) + Cost(macs=1)
    Cost(params=10, macs=101, activations=0)
    """

    params: Dim = 0
    macs: Dim = 0
    activations: Dim = 0
    unknown: tuple[str, ...] = ()

    @property
    def flops(self) -> Dim:
        """2 · macs: a multiplication and an addition each."""
        return 2 * self.macs

    def __add__(self, other: Cost) -> Cost:
        if not isinstance(other, Cost):
            return NotImplemented
        sums = {name: v + getattr(other, name) for name, v in self._quantities().items()}
        return Cost(**sums, unknown=self.unknown + other.unknown)

    def __radd__(self, other: int) -> Cost:
        """So that `sum` adds costs up."""
        return self if other == 0 else NotImplemented

    def map(self, function: Callable[[Dim], Dim]) -> Cost:
        """The cost with a function applied to each quantity, as `relax`."""
        return Cost(**{n: function(v) for n, v in self._quantities().items()}, unknown=self.unknown)

    def _quantities(self) -> dict[str, Dim]:
        return {"params": self.params, "macs": self.macs, "activations": self.activations}

    def __repr__(self) -> str:
        bound = "≥" if self.unknown else ""
        parts = [f"{name}={bound}{value}" for name, value in self._quantities().items()]
        parts += [f"unknown={self.unknown}"] * bool(self.unknown)
        return f"Cost({', '.join(parts)})"

    def _repr_latex_(self) -> str | None:
        """The formulas, where there are any, for Jupyter."""
        if not any(map(is_symbolic, self._quantities().values())):
            return None
        from costmodel.algebra.symbols import latex  # sympy only where there is a symbol

        relation = r"&\ge" if self.unknown else "&="
        quantities = self._quantities().items()
        lines = [rf"\text{{{name}}} {relation} {latex(value)}" for name, value in quantities]
        return r"$\begin{aligned}" + r" \\ ".join(lines) + r"\end{aligned}$"


def layer_cost(lowered: Lowered) -> Cost:
    """The cost of one lowered layer; parameters it shares are its owner's.

    >>> from costmodel import lower, mobilenet_v1
    >>> layer_cost(lower(mobilenet_v1())[1])
    Cost(params=864, macs=10838016, activations=401408)
    """
    return _total((lowered,))


def _total(layers: Iterable[Parts]) -> Cost:
    params = macs = activations = 0
    unknown: tuple[str, ...] = ()
    for layer, _, _, bodies, parameters in layers:
        for parameter in parameters:
            params += parameter.count
        if bodies is None:
            unknown += (layer.name,)
            continue
        for body in bodies:
            if not isinstance(body, Elementwise):
                macs += body.macs
                activations += body.activations
    return Cost(params, macs, activations, unknown)


def cost(network: Network, *, strict: bool = False) -> Cost:
    """The cost of a network: the sum over its layers.

    MACs are K²·C_in·C_out·H·W for a standard convolution, and so on (`costmodel.core.nest`).

    >>> from costmodel import mobilenet_v1, resize, widen
    >>> cost(widen(resize(mobilenet_v1(), rho=0.857), alpha=0.75))
    Cost(params=2585560, macs=239273472, activations=2779624)

    With `strict`, a layer no rule knows raises CostModelError.
    """
    total = _total(each_lowered(network))
    if strict and total.unknown:
        raise CostModelError(f"no rule for {', '.join(total.unknown)}; register one, or not strict")
    return total
