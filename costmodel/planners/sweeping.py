"""Sweeps: exact costs over a grid of α and D, as matrix products.

A third algebra beside numbers and symbols: a quantity that is a sum of products u(α)·v(D), each
factor an array along its own axis. A network is rewritten and lowered *once* with such
quantities for sizes and widths; which extent depends on which multiplier is read off the nests.
Over the whole grid the cost is then U(α) @ V(D), of inner size the number of distinct v.

Numbers are float64, exact below 2⁵³; what could pass it is computed again in Python's integers.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import lcm, prod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from costmodel.algebra import arithmetic
from costmodel.algebra.arithmetic import MAX_ALPHA, Dim
from costmodel.core.lower import Lowered, lower
from costmodel.core.quantities import Parts
from costmodel.core.rewrite import resize, widen
from costmodel.core.shapes import infer
from costmodel.core.symbolic import require_numbers
from costmodel.errors import CostModelError
from costmodel.metrics.memory import DEFAULT, MemoryRules, every_quantity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

    from costmodel.core.network import Network

    Array = NDArray[Any]

EXACT = 2**53  # the integers up to it are float64s


class _InexactError(ArithmeticError):
    """A float64 that may be past 2⁵³: try again with Python's integers."""


class _VanishedError(CostModelError):
    """A size below the least that there may be, at the smallest resolution or α."""


class Outer:
    """A sum of products u(α)·v(D); a factor that is constant is the number 1.

    >>> alphas = Outer(((np.array([1.0, 2.0]), 1),))
    >>> sides = Outer(((1, np.array([10.0, 20.0, 30.0])),))
    >>> (3 * alphas * sides).table((2, 3))
    array([[ 30.,  60.,  90.],
           [ 60., 120., 180.]])
    """

    __slots__ = ("terms",)
    __array_ufunc__ = None  # numpy's operators leave the work to this class
    algebra: ClassVar[str] = __name__
    free_symbols: ClassVar[frozenset[str]] = frozenset({"alpha", "D"})

    def __init__(self, terms: Iterable[tuple[Any, Any]]) -> None:
        """Add up what depends on α alone, and what depends on D alone."""
        constant: Any = 0
        alone: dict[int, Any] = {}
        mixed = []
        for u, v in terms:
            axes = [axis for axis, factor in enumerate((u, v)) if isinstance(factor, np.ndarray)]
            if len(axes) == 2:  # noqa: PLR2004 - both
                mixed.append((u, v))
            elif axes:
                alone[axes[0]] = alone.get(axes[0], 0) + u * v
            else:
                constant += u * v
        for axis in sorted(alone, reverse=True):  # a constant goes with D, or with α
            alone[axis], constant = alone[axis] + constant, 0
        single = [(alone[0], 1)] if 0 in alone else []
        single += [(1, alone[1])] if 1 in alone else []
        self.terms = tuple([*single, *mixed] or [(constant, 1)])

    def __add__(self, other: Dim) -> Outer:
        return Outer(self.terms + _terms(other))

    def __mul__(self, other: Dim) -> Outer:
        return Outer(
            (_product(u, x), _product(v, y)) for u, v in self.terms for x, y in _terms(other)
        )

    def __sub__(self, other: Dim) -> Outer:
        return Outer(self.terms + tuple((-1 * u, v) for u, v in _terms(other)))

    def __rsub__(self, other: Dim) -> Outer:
        return Outer(_terms(other)) - self

    def __truediv__(self, other: Dim) -> Dim:
        """An exact quotient of sums of one term; anything else is an error."""
        divisor = _terms(other)
        if self == other:
            return 1
        if len(self.terms) == len(divisor) == 1:
            ((u, v),), ((x, y),) = self.terms, divisor
            quotients = _quotient(u, x), _quotient(v, y)
            if None not in [q if not isinstance(q, np.ndarray) else 0 for q in quotients]:
                return Outer((quotients,))
        raise CostModelError("channels do not divide by groups over the whole sweep; change groups")

    def __rtruediv__(self, other: Dim) -> Dim:
        return Outer(((other, 1),)) / self

    def __floordiv__(self, other: int) -> Outer:
        axis = 0 if isinstance(self.terms[0][0], np.ndarray) else 1
        whole = self.along(axis) // other
        return Outer(((whole, 1) if axis == 0 else (1, whole),))

    def __mod__(self, other: int) -> Outer:
        return self - self // other * other

    def must_equal(self, other: Dim, what: str) -> None:
        """Refuse a sweep where the two differ somewhere."""
        if np.any((self - other).table(None)):
            raise CostModelError(f"{what} somewhere in the sweep; choose other α and resolutions")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, (Outer, int)):
            return NotImplemented
        mine, theirs = self.terms, _terms(other)
        return len(mine) == len(theirs) and all(
            np.array_equal(a, b)
            for term, its in zip(mine, theirs, strict=True)
            for a, b in zip(term, its, strict=True)
        )

    __hash__ = None  # type: ignore[assignment]  # as arrays have none
    __radd__ = __add__
    __rmul__ = __mul__

    def table(self, shape: tuple[int, int] | None) -> Array:
        """The values over the grid; without its shape, over the axes that they depend on."""
        values = sum(np.reshape(u, (-1, 1)) * np.reshape(v, (1, -1)) for u, v in self.terms)
        return np.asarray(values) if shape is None else np.broadcast_to(values, shape)

    def along(self, axis: int) -> Any:
        """The factor on one axis of a quantity that does not depend on the other."""
        others = [term[1 - axis] for term in self.terms]
        if len(self.terms) > 1 or any(isinstance(other, np.ndarray) for other in others):
            raise CostModelError("a size depends on α, or a width on D: not a network to sweep")
        return self.terms[0][axis] * others[0]


def _terms(value: Dim) -> tuple[tuple[Any, Any], ...]:
    return value.terms if isinstance(value, Outer) else ((value, 1),)


def _product(a: Any, b: Any) -> Any:
    product = a * b
    if isinstance(product, np.ndarray) and product.dtype != object and product.max() >= EXACT:
        raise _InexactError
    return product


def _quotient(a: Any, b: Any) -> Any:
    """a / b where it is whole everywhere, else None."""
    quotient = a // b
    return quotient if np.array_equal(quotient * b, a) else None


# The algebra (`costmodel.algebra.arithmetic`) --------------------------------------------------


def ceil_div(size: Outer, stride: int) -> Outer:
    """⌈D / stride⌉ at every D."""
    return Outer(((1, -(-size.along(1) // stride)),))


def ceil_mode_size(span: Outer, padded: Outer, stride: int) -> Outer:
    """The ceil_mode size at every D."""
    sizes = np.minimum(-(-span.along(1) // stride) + 1, -(-padded.along(1) // stride))
    return Outer(((1, sizes),))


def below(size: Outer, least: int) -> bool:
    """Refuse a sweep where a size is under the least somewhere."""
    lows = [(_low(u), _low(v)) for u, v in size.terms]  # where none is negative, a bound
    certain = min(map(min, lows)) >= 0 and sum(u * v for u, v in lows) >= least
    if not certain and np.min(size.table(None)) < least:
        raise _VanishedError("a map vanishes at the smallest resolution; raise it")
    return False


def _low(factor: Any) -> Any:
    """The least of a factor."""
    return factor.min() if isinstance(factor, np.ndarray) else factor


def at_least_one(alpha: _Alphas) -> _Alphas:
    """max(1, α) at every α."""
    return _Alphas(alpha.multipliers.at_least_one(), alpha.dtype)


class _Alphas(Outer):
    """The multipliers themselves; they occur in nothing but `scale_channels`."""

    __slots__ = ("dtype", "multipliers")

    def __init__(self, multipliers: Multipliers, dtype: type) -> None:
        self.multipliers, self.dtype = multipliers, dtype
        self.terms = ((multipliers.floats, 1),)


def round_size(size: int, rho: Outer) -> Outer:
    """Not used: a sweep sets resolutions, which need no rounding."""
    raise NotImplementedError


def scale_channels(count: int, alpha: _Alphas, divisor: int | None, groups: int = 1) -> Outer:
    """The rounded channel count at every α (`costmodel.algebra.arithmetic.scale_channels`)."""
    channels = alpha.multipliers.channels(count, divisor, groups)
    if alpha.dtype is float and channels.max() >= EXACT:
        raise _InexactError
    whole = channels if alpha.dtype is float else [int(number) for number in channels]
    return Outer(((np.array(whole, dtype=alpha.dtype), 1),))


class Multipliers:
    """Many α at once: as float64s for speed, and exactly wherever a rounding is near.

    >>> Multipliers([0.29, "0.2899999999999"]).channels(100, 1).tolist()
    [29.0, 28.0]

    Raises CostModelError for what is no number and for α outside (0, 4].
    """

    __slots__ = ("floats", "given", "least")

    def __init__(self, given: Any, least: int = 0) -> None:
        """Take an array or a list, of numbers of any kind."""
        self.given, self.least = _one_kind(given), least
        self.floats: Array = np.array(self.given, dtype=float)
        for i in np.flatnonzero(~((self.floats > 0) & (self.floats < MAX_ALPHA))):
            _multiplier(self.given[i])

    def at_least_one(self) -> Multipliers:
        """max(1, α)."""
        return Multipliers(self.given, 1)

    def channels(self, count: int, divisor: int | None, groups: int = 1) -> Array:
        """α·count as whole channels (`costmodel.algebra.arithmetic.scale_channels`)."""
        rounded, unsure = self._rounded(count, divisor, groups)
        for i in unsure:
            alpha = _multiplier(self.given[i])
            rounded[i] = arithmetic.scale_channels(count, alpha, divisor, groups)
        if self.least:  # roundings rise with α
            least = arithmetic.scale_channels(count, Fraction(self.least), divisor, groups)
            rounded = np.maximum(rounded, least)
        return rounded if count > EXACT // 8 else rounded.astype(float)

    def _rounded(self, count: int, divisor: int | None, groups: int) -> tuple[Array, Iterable[int]]:
        """The rounded counts in floats, and where floats are not sure of them."""
        if divisor is None or count > EXACT // 8:
            return np.zeros(len(self.floats), dtype=object), range(len(self.floats))
        step = groups if divisor == 1 else lcm(divisor, groups)
        steps = self.floats * (count / step)
        if divisor == 1:
            floored = np.maximum(np.floor(steps), -(-min(8, count) // groups))
            return floored * step, _near(steps)
        nearest = np.maximum(np.floor(steps + 0.5), 1)
        nearest += nearest < 0.9 * steps
        return nearest * step, np.concatenate((_near(steps + 0.5), _near(0.9 * steps)))


def _multiplier(alpha: Any) -> Fraction:
    ratio: Fraction = arithmetic.rational(alpha, "alpha")
    arithmetic.multiplier(ratio, "alpha", MAX_ALPHA)
    return ratio


def _one_kind(given: Any) -> Any:
    """An array of float64s, or else exact numbers in a list."""
    dtype = getattr(given, "dtype", None)
    if dtype is None and {type(number) for number in given} <= {float, np.float64}:
        return np.array(given, dtype=float)
    if dtype is None or dtype.kind != "f":
        return [_multiplier(number) for number in given]
    # A narrower float is read by its own shortest decimal.
    return np.asarray(given if dtype == np.float64 else np.asarray(given).astype(str), dtype=float)


def _near(steps: Array) -> Array:
    """Where a step is too near for a float to tell: α itself may be another within 1e-12."""
    distance = np.abs(steps - np.rint(steps))
    return np.flatnonzero(distance <= 4e-12 * (1 + steps))


# The sweep -----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Sweep:
    """Exact costs over a grid: arrays of shape (len(alpha), len(resolution)), or over pairs.

    The arrays are float64 and every value an integer, or Python's integers where it could pass
    2⁵³. They are evaluated when they are first asked for; `evaluate` fills an array of yours.
    `unknown` names the layers no rule knows: then every figure is a lower bound.
    """

    alpha: Array
    resolution: Array
    paired: bool
    unknown: tuple[str, ...]
    #: For each quantity the pairs U (α × S), V (S × D) of which it is the largest U @ V.
    factors: dict[str, tuple[tuple[Array, Array], ...]]

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
        if name not in self.__dict__.get("factors", ()):
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
            )

    def at(self, row: int, column: int) -> Sweep:
        """The sweep of one cell, as pairs."""
        factors = {
            name: tuple((u[row : row + 1], v[:, column : column + 1]) for u, v in pairs)
            for name, pairs in self.factors.items()
        }
        alpha, resolution = self.alpha[row : row + 1], self.resolution[column : column + 1]
        return Sweep(alpha, resolution, True, self.unknown, factors)  # noqa: FBT003 - paired

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
            columns[name] = values if values.dtype == object else values.astype(np.int64)
        return pd.DataFrame(columns)


def sweep(  # noqa: PLR0913 - all but the first three have defaults
    network: Network,
    alpha: ArrayLike | Sequence[Fraction],
    resolution: ArrayLike,
    *,
    rounding: str | None = None,
    paired: bool = False,
    rules: MemoryRules = DEFAULT,
) -> Sweep:
    """Exact costs of a network at every α and every resolution, or at pairs of them.

    Channel rounding and ceilings included: each cell is the cost of the network built there.

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
                for name, sums in _sums(swept, lowered, rules).items()
            }
        except _InexactError:
            continue
        except _VanishedError:
            raise CostModelError(_vanished(network, min(sides))) from None
        unknown = tuple(layer.layer.name for layer in lowered if layer.bodies is None)
        return Sweep(alphas.floats, np.array(sides, dtype=np.int64), paired, unknown, factors)
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
    swept: Network, lowered: Iterable[Lowered], rules: MemoryRules
) -> dict[str, Sequence[Iterable[Dim]]]:
    """For each quantity the sums of which it is the largest, most often one."""
    parts = Parts.of(lowered)
    known = all(layer.bodies is not None for layer in parts.layers)
    return {
        name: row.sums(swept, rules) if row.sums else [row.terms(parts)]
        for name, row in every_quantity().items()
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
            arithmetic.positive_integer(side, "resolution")  # refuses it
    return list(map(int, sides))


def _swept(
    network: Network, alphas: Multipliers, sides: Sequence[int], rounding: str | None, dtype: type
) -> Network:
    """The network rewritten by every α and every D at once."""
    resized = resize(network, resolution=Outer(((1, np.array(sides, dtype=dtype)),)))
    return widen(resized, _Alphas(alphas, dtype), rounding)


def _factors(values: Iterable[Dim], lengths: tuple[int, int], dtype: type) -> tuple[Array, Array]:
    """U (α × S) and V (S × D), one s for each distinct v, the terms with one v added up."""
    grouped: dict[Any, tuple[Any, Any]] = {}
    for value in values:
        for u, v in _terms(value):
            # Not str(v), which numpy shortens: long axes that differ would be one.
            key = tuple(v.tolist()) if isinstance(v, np.ndarray) else v
            grouped[key] = (v, grouped.get(key, (v, 0))[1] + u)
    columns = [u for _, u in grouped.values()] or [0]
    rows = [v for v, _ in grouped.values()] or [0]
    us, vs = _stacked(columns, lengths[0], dtype).T.copy(), _stacked(rows, lengths[1], dtype)
    # Every cell, and so every partial sum, has to stay below 2⁵³.
    if dtype is float and float(us.max(axis=0) @ vs.max(axis=1)) >= EXACT:
        raise _InexactError
    return us, vs


def _stacked(factors: Sequence[Any], length: int, dtype: type) -> Array:
    return np.array([np.broadcast_to(np.asarray(f, dtype=dtype), length) for f in factors])
