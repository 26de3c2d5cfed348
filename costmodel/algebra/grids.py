"""Grids: quantities that are sums of products u(α)·v(D), each factor an array along its own axis.

A network is rewritten and lowered *once* with such quantities for sizes and widths, and is then
what it is at every α and every D (`costmodel.planners.sweeping`).

Numbers are float64, exact below 2⁵³; what could pass it is an error, and then a grid of Python's
integers is to be used.
"""

from __future__ import annotations

from fractions import Fraction
from math import lcm
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from costmodel.algebra import grids, numbers
from costmodel.algebra.numbers import MAX_ALPHA
from costmodel.errors import CostModelError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from costmodel.algebra.arithmetic import Dim
    from costmodel.algebra.protocol import Algebra

    Array = NDArray[Any]

EXACT = 2**53  # the integers up to it are float64s


class InexactError(ArithmeticError):
    """A float64 that may be past 2⁵³: try again with Python's integers."""


class VanishedError(CostModelError):
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
    algebra: ClassVar[Algebra] = grids
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
        left = [(constant, 1)] if constant or not (single or mixed) else []
        self.terms = (*single, *mixed, *left)

    def __add__(self, other: Dim) -> Outer:
        return Outer(self.terms + terms_of(other))

    def __mul__(self, other: Dim) -> Outer:
        return Outer(
            (_product(u, x), _product(v, y)) for u, v in self.terms for x, y in terms_of(other)
        )

    def __sub__(self, other: Dim) -> Outer:
        return Outer(self.terms + tuple((-1 * u, v) for u, v in terms_of(other)))

    def __rsub__(self, other: Dim) -> Outer:
        return Outer(terms_of(other)) - self

    def __truediv__(self, other: Dim) -> Dim:
        """An exact quotient of sums of one term; anything else is an error."""
        divisor = terms_of(other)
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

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, (Outer, int)):
            return NotImplemented
        mine, theirs = self.terms, terms_of(other)
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


def terms_of(value: Dim) -> tuple[tuple[Any, Any], ...]:
    """The products that it is a sum of."""
    return value.terms if isinstance(value, Outer) else ((value, 1),)


def _product(a: Any, b: Any) -> Any:
    product = a * b
    if isinstance(product, np.ndarray) and product.dtype != object and product.max() >= EXACT:
        raise InexactError
    return product


def _quotient(a: Any, b: Any) -> Any:
    """a / b where it is whole everywhere, else None."""
    quotient = a // b
    return quotient if np.array_equal(quotient * b, a) else None


# The algebra (`costmodel.algebra.protocol`) ----------------------------------------------------

FORMULAS: Final = False


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
        raise VanishedError("a map vanishes at the smallest resolution; raise it")
    return False


def must_equal(size: Outer, other: Dim, what: str) -> bool:
    """Refuse a sweep where the two differ somewhere."""
    if np.any((size - other).table(None)):
        raise CostModelError(f"{what} somewhere in the sweep; choose other α and resolutions")
    return True


def _low(factor: Any) -> Any:
    """The least of a factor."""
    return factor.min() if isinstance(factor, np.ndarray) else factor


def at_least_one(alpha: Alphas) -> Alphas:
    """max(1, α) at every α."""
    return Alphas(alpha.multipliers.at_least_one(), alpha.dtype)


class Alphas(Outer):
    """The multipliers themselves; they occur in nothing but `scale_channels`."""

    __slots__ = ("dtype", "multipliers")

    def __init__(self, multipliers: Multipliers, dtype: type) -> None:
        """Keep them, and whether what they scale are floats or Python's integers."""
        self.multipliers, self.dtype = multipliers, dtype
        self.terms = ((np.maximum(multipliers.floats, multipliers.least), 1),)


def round_size(size: int, rho: Outer) -> Outer:
    """size·ρ, rounded at every ρ."""
    ratios = (numbers.rational(ratio, "rho") for ratio in rho.along(1))
    return Outer(((1, np.array([numbers.round_size(size, ratio) for ratio in ratios], float)),))


def scale_channels(count: int, alpha: Alphas, divisor: int | None, groups: int = 1) -> Outer:
    """The rounded channel count at every α (`costmodel.algebra.protocol`)."""
    channels = alpha.multipliers.channels(count, divisor, groups)
    if alpha.dtype is float and channels.max() >= EXACT:
        raise InexactError
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
        """α·count as whole channels (`costmodel.algebra.protocol`)."""
        rounded, unsure = self._rounded(count, divisor, groups)
        for i in unsure:
            alpha = _multiplier(self.given[i])
            rounded[i] = numbers.scale_channels(count, alpha, divisor, groups)
        if self.least:  # roundings rise with α
            least = numbers.scale_channels(count, Fraction(self.least), divisor, groups)
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
    return numbers.multiplier(numbers.rational(alpha, "alpha"), "alpha", MAX_ALPHA)


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
