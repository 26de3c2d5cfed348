"""Sweeps: exact costs over a grid of α and D, as matrix products.

A network is rewritten and lowered *once* with grids for sizes and widths
(`costmodel.algebra.grids`); which extent depends on which multiplier is read off the nests. Over
the whole grid the cost is then U(α) @ V(D), of inner size the number of distinct v.

Numbers are float64, exact below 2⁵³; what could pass it is computed again in Python's integers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from costmodel.algebra import numbers
from costmodel.algebra.grids import (
    EXACT,
    Alphas,
    InexactError,
    Multipliers,
    Outer,
    VanishedError,
    terms_of,
)
from costmodel.core.lower import Lowered, lower
from costmodel.core.quantities import Parts
from costmodel.core.rewrite import resize, widen
from costmodel.core.shapes import infer
from costmodel.core.symbolic import require_numbers
from costmodel.errors import CostModelError
from costmodel.metrics.memory import DEFAULT, MemoryRules
from costmodel.metrics.timing import every_quantity, quantities

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from fractions import Fraction

    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

    from costmodel.algebra.arithmetic import Dim
    from costmodel.core.network import Network
    from costmodel.metrics.devices import Device

    Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Sweep:
    """Exact costs over a grid: arrays of shape (len(alpha), len(resolution)), or over pairs.

    The arrays are float64 and every value an integer, or Python's integers where it could pass
    2⁵³, but of a `device`'s seconds, which are an estimate. They are evaluated when they are first
    asked for; `evaluate` fills an array of yours. `unknown` names the layers no rule knows: then
    every figure is a lower bound.
    """

    alpha: Array
    resolution: Array
    paired: bool
    unknown: tuple[str, ...]
    #: For each quantity the pairs U (α × S), V (S × D) of which it is the largest U @ V.
    factors: dict[str, tuple[tuple[Array, Array], ...]]
    #: What says how much time each takes, if that is asked for.
    device: Device | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the arrays."""
        return (len(self.alpha),) if self.paired else (len(self.alpha), len(self.resolution))

    @property
    def size(self) -> int:
        """How many configurations."""
        return prod(self.shape)

    def evaluate(self, quantity: str, out: Array | None = None) -> Array:
        """One of the quantities, into the array `out` if it is given."""
        if quantity not in self.factors:
            known = ", ".join(self.factors)
            raise CostModelError(f"quantity must be one of {known}, got {quantity!r}")
        (u, v), *others = self.factors[quantity]
        largest = self._product(u, v, out)
        for factors in others:  # peak memory is a maximum over the layers
            np.maximum(largest, self._product(*factors), out=largest)
        return largest

    def _product(self, u: Array, v: Array, out: Array | None = None) -> Array:
        if self.paired:
            return np.einsum("is,si->i", u, v, out=out)
        return np.matmul(u, v, out=out)

    def __getattr__(self, name: str) -> Array:
        """A quantity over the grid, evaluated once."""
        state = self.__dict__
        if "factors" not in state or name not in quantities(state.get("device")):
            raise AttributeError(f"a sweep has no {name}")
        self.__dict__[name] = values = self.evaluate(name)
        return values

    def chunks(self, cells: int = 2**22) -> Iterator[Sweep]:
        """The same sweep in parts of at most about `cells` cells, so that none holds it all."""
        width = 1 if self.paired else len(self.resolution)
        rows = max(1, cells // width)
        for start in range(0, len(self.alpha), rows):
            part = slice(start, start + rows)
            yield Sweep(
                self.alpha[part],
                self.resolution[part] if self.paired else self.resolution,
                self.paired,
                self.unknown,
                {
                    name: tuple((u[part], v[:, part] if self.paired else v) for u, v in pairs)
                    for name, pairs in self.factors.items()
                },
                self.device,
            )

    def at(self, row: int, column: int) -> Sweep:
        """The sweep of one cell, as pairs."""
        factors = {
            name: tuple((u[row : row + 1], v[:, column : column + 1]) for u, v in pairs)
            for name, pairs in self.factors.items()
        }
        alpha, resolution = self.alpha[row : row + 1], self.resolution[column : column + 1]
        return replace(self, alpha=alpha, resolution=resolution, paired=True, factors=factors)

    def value(self, name: str, number: Any) -> Any:
        """A figure of a quantity as Python's own number: an integer, but for an estimate."""
        return every_quantity()[name].value(number)

    def frame(self) -> pd.DataFrame:
        """A tidy DataFrame: a row for each α and D, integers as int64 or Python's own."""
        import pandas as pd

        alpha, resolution = self.alpha, self.resolution
        if not self.paired:
            alpha = np.repeat(alpha, len(self.resolution))
            resolution = np.tile(resolution, len(self.alpha))
        columns = {"alpha": alpha, "resolution": resolution}
        for name in self.factors:
            values = self.evaluate(name).reshape(-1)
            counted = not every_quantity()[name].estimate
            kept = values.dtype == object or not counted
            columns[name] = values if kept else values.astype(np.int64)
        return pd.DataFrame(columns)


def sweep(  # noqa: PLR0913 - all but the first three have defaults
    network: Network,
    alpha: ArrayLike | Sequence[Fraction],
    resolution: ArrayLike,
    *,
    rounding: str | None = None,
    paired: bool = False,
    rules: MemoryRules = DEFAULT,
    device: Device | None = None,
) -> Sweep:
    """Exact costs of a network at every α and every resolution, or at pairs of them.

    Channel rounding and ceilings included: each cell is the cost of the network built there. With
    a device, its seconds too (`costmodel.metrics.timing`), as `time_s`.

    >>> from costmodel import mobilenet_v1
    >>> swept = sweep(mobilenet_v1(), alpha=[0.25, 0.5, 0.75, 1.0], resolution=[192, 224])
    >>> swept.macs[2, 0], swept.params[2, 0]
    (np.float64(239273472.0), np.float64(2585560.0))

    Raises CostModelError for arrays that are empty, not of numbers, or out of range, and where a
    map vanishes.
    """
    alphas, sides = _multipliers(alpha), _sides(resolution)
    require_numbers(resize(network, resolution=1), "a sweep")
    shape = len(alphas.floats), len(sides)
    if paired and shape[0] != shape[1]:
        raise CostModelError(f"pairs need as many α as resolutions, got {shape[0]}, {shape[1]}")
    for dtype in (float, object):
        try:
            swept = _swept(network, alphas, sides, rounding, dtype)
            lowered = lower(swept)
            factors = {
                name: tuple(_factors(values, shape, dtype) for values in sums)
                for name, sums in _sums(swept, lowered, rules, device).items()
            }
        except InexactError:
            continue
        except VanishedError:
            raise CostModelError(_vanished(network, min(sides))) from None
        unknown = tuple(layer.layer.name for layer in lowered if layer.bodies is None)
        axes = alphas.floats, np.array(sides, dtype=np.int64)
        return Sweep(*axes, paired, unknown, factors, device)
    raise AssertionError("Python's integers are never inexact")


def _vanished(network: Network, smallest: int) -> str:
    def exists(side: int) -> bool:
        try:
            return bool(infer(resize(network, resolution=side)))
        except CostModelError:
            return False

    if exists(smallest):
        return f"a size of {network.name} vanishes at the smallest alpha; raise it"
    larger = range(smallest + 1, smallest + 1024)
    least = next((side for side in larger if exists(side)), None)
    remedy = f"the smallest that {network.name} has is {least}" if least else "raise it"
    return f"a map vanishes at resolution {smallest}; {remedy}"


def _sums(
    swept: Network, lowered: Iterable[Lowered], rules: MemoryRules, device: Device | None
) -> dict[str, Sequence[Iterable[Dim]]]:
    """For each quantity the sums of which it is the largest, most often one."""
    parts = Parts.of(lowered)
    known = all(layer.bodies is not None for layer in parts.layers)
    return {
        name: row.sums(swept, rules) if row.sums else [row.terms(parts)]
        for name, row in quantities(device).items()
        if known or not row.sums
    }


def _listed(given: Any, name: str, what: str) -> Array:
    """What is given as an array of one axis, at least one long."""
    try:
        values = np.asarray(given)
    except ValueError:
        got = "a ragged one"
    else:
        if values.ndim == 1 and values.size:
            return values
        got = f"shape {values.shape}"
    raise CostModelError(f"{name} must be a list of {what}, not empty, got {got}")


def _multipliers(alpha: ArrayLike | Sequence[Any]) -> Multipliers:
    _listed(alpha, "alpha", "numbers")
    return Multipliers(alpha)


def _sides(resolution: ArrayLike) -> list[int]:
    values = _listed(resolution, "resolution", "integers")
    sides: list[Any] = values.tolist()
    if values.dtype.kind not in "iuO" or not all(isinstance(side, int) for side in sides):
        raise CostModelError(f"resolution must be a list of integers, got {values.dtype}")
    for side in sides:
        if not 1 <= side < 2**63:
            numbers.positive_integer(side, "resolution")  # refuses it
    return list(map(int, sides))


def _swept(
    network: Network, alphas: Multipliers, sides: Sequence[int], rounding: str | None, dtype: type
) -> Network:
    """The network rewritten by every α and every D at once."""
    resized = resize(network, resolution=Outer(((1, np.array(sides, dtype=dtype)),)))
    return widen(resized, Alphas(alphas, dtype), rounding)


def _factors(values: Iterable[Dim], lengths: tuple[int, int], dtype: type) -> tuple[Array, Array]:
    """U (α × S) and V (S × D), one s for each distinct v, the terms with one v added up."""
    grouped: dict[Any, tuple[Any, Any]] = {}
    for value in values:
        for u, v in terms_of(value):
            # Not str(v), which numpy shortens: long axes that differ would be one.
            key = tuple(v.tolist()) if isinstance(v, np.ndarray) else v
            grouped[key] = (v, grouped.get(key, (v, 0))[1] + u)
    columns = [u for _, u in grouped.values()] or [0]
    rows = [v for v, _ in grouped.values()] or [0]
    us, vs = _stacked(columns, lengths[0], dtype).T.copy(), _stacked(rows, lengths[1], dtype)
    # Every cell, and so every partial sum, has to stay below 2⁵³.
    if dtype is float and float(us.max(axis=0) @ vs.max(axis=1)) >= EXACT:
        raise InexactError
    return us, vs


def _stacked(factors: Sequence[Any], length: int, dtype: type) -> Array:
    return np.array([np.broadcast_to(np.asarray(f, dtype=dtype), length) for f in factors])
