"""Polynomials in α and ρ: the relaxed algebra, for closed forms without loading sympy.

Loading sympy takes longer than everything else `costmodel report` does, and a closed form needs
only sums and products. Exponents may be negative, coefficients are rational. As an algebra it
has the paper's rule: a channel count is α times, and a map's size ρ times, what it is at
α = ρ = 1 (Howard et al. 2017, §3.3, §3.4). So a network widened by `ALPHA` and resized by `RHO`
costs there exactly what the network does, and everywhere what `relax` makes of its exact
expression (tests hold both equal).
"""

from __future__ import annotations

from fractions import Fraction
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar, Final

from costmodel.algebra import numbers, polynomial
from costmodel.errors import CostModelError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from costmodel.algebra.arithmetic import Dim
    from costmodel.algebra.protocol import Algebra

#: A monomial: (symbol, exponent) pairs, sorted.
Powers = tuple[tuple[str, int], ...]


class Polynomial:
    """An immutable sum of rational coefficients times monomials.

    >>> 3 * ALPHA * (ALPHA + 2)
    Polynomial(3*alpha**2 + 6*alpha)
    """

    __slots__ = ("terms",)
    algebra: ClassVar[Algebra] = polynomial

    def __init__(self, terms: dict[Powers, Fraction]) -> None:
        """Keep the terms that are not zero."""
        self.terms = {powers: c for powers, c in terms.items() if c}

    @property
    def free_symbols(self) -> frozenset[str]:
        """The symbols that occur."""
        return frozenset(symbol for powers in self.terms for symbol, _ in powers)

    def __add__(self, other: Dim) -> Polynomial:
        theirs = _terms(other)
        if theirs is None:
            return NotImplemented
        terms = dict(self.terms)
        for powers, coefficient in theirs.items():
            terms[powers] = terms.get(powers, Fraction()) + coefficient
        return Polynomial(terms)

    def __mul__(self, other: Dim) -> Polynomial:
        factors = _terms(other)
        if factors is None:
            return NotImplemented
        terms: dict[Powers, Fraction] = {}
        for theirs, factor in factors.items():
            for ours, coefficient in self.terms.items():
                powers = _times(ours, theirs)
                terms[powers] = terms.get(powers, Fraction()) + coefficient * factor
        return Polynomial(terms)

    def __truediv__(self, other: Dim) -> Polynomial:
        divisor = _terms(other)
        if divisor is None:
            return NotImplemented
        if divisor and self.terms == divisor:
            return Polynomial({(): Fraction(1)})
        if len(divisor) != 1:
            raise CostModelError(
                f"cannot divide {self} by {other}: no polynomial; use sympy's symbols"
            )
        ((powers, coefficient),) = divisor.items()
        inverse = tuple((symbol, -exponent) for symbol, exponent in powers)
        return self * Polynomial({inverse: 1 / coefficient})

    def __rtruediv__(self, other: Dim) -> Polynomial:
        return Polynomial({(): Fraction(other)}) / self

    def __floordiv__(self, other: int) -> Polynomial:
        return self.scaled(self.at_one() // other)

    def __sub__(self, other: Dim) -> Dim:
        return self + -1 * other

    def __rsub__(self, other: Dim) -> Dim:
        return self * -1 + other

    __radd__ = __add__
    __rmul__ = __mul__

    def at_one(self) -> Fraction:
        """The value where every multiplier is 1."""
        return sum(self.terms.values(), Fraction(0))

    def at(self, values: Mapping[str, Any]) -> Any:
        """The value where each symbol has the one of its name: a Fraction, a float, an array.

        >>> (3 * ALPHA * ALPHA + 1).at({"alpha": Fraction(1, 2)})
        Fraction(7, 4)
        """
        terms = (
            prod((values[name] ** e for name, e in powers), start=coefficient)
            for powers, coefficient in self.terms.items()
        )
        return sum(terms, Fraction(0))

    def scaled(self, whole: Dim) -> Polynomial:
        """`whole` times the highest powers that occur: a size grows as what it is made of."""
        highest = max(self.terms, key=lambda powers: sum(e for _, e in powers), default=())
        return Polynomial({highest: Fraction(whole)})

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, (Polynomial, int, Fraction)):
            return NotImplemented
        return self.terms == (self * 0 + other).terms

    def __hash__(self) -> int:
        return hash(
            self.terms.get((), 0) if not self.free_symbols else frozenset(self.terms.items())
        )

    def __repr__(self) -> str:
        return f"Polynomial({self})"

    def __str__(self) -> str:
        """Python's and sympy's syntax, highest powers first."""
        terms = sorted(self.terms.items(), key=_degree)
        return " + ".join(_term(*term) for term in terms).replace("+ -", "- ") or "0"


def _term(powers: Powers, coefficient: Fraction) -> str:
    factors = [symbol if e == 1 else f"{symbol}**{e}" for symbol, e in powers]
    return "*".join([str(coefficient)] * (coefficient != 1 or not powers) + factors)


def _degree(term: tuple[Powers, Fraction]) -> tuple[int, Powers]:
    return -sum(exponent for _, exponent in term[0]), term[0]


def _terms(value: Dim) -> dict[Powers, Fraction] | None:
    """The terms of a polynomial or a number; None of what has an algebra of its own."""
    if isinstance(value, Polynomial):
        return value.terms
    if isinstance(value, (int, float, Fraction)):  # a float of an estimate, as the fraction it is
        return {(): Fraction(value)}
    if hasattr(value, "algebra"):
        return None
    raise CostModelError(f"no polynomial with {value} in it; build the network with numbers")


def _times(left: Powers, right: Powers) -> Powers:
    powers = dict(left)
    for symbol, exponent in right:
        powers[symbol] = powers.get(symbol, 0) + exponent
    return tuple(sorted((symbol, e) for symbol, e in powers.items() if e))


def symbol(name: str) -> Polynomial:
    """A symbol of this name, as a polynomial."""
    return Polynomial({((name, 1),): Fraction(1)})


ALPHA, RHO = symbol("alpha"), symbol("rho")

# The algebra (`costmodel.algebra.protocol`) ----------------------------------------------------

FORMULAS: Final = True

must_equal = numbers.must_equal

#: What networks are scaled by: sizes in other symbols have no value at 1.
_MULTIPLIERS = frozenset({"alpha", "rho"})


def ceil_div(size: Polynomial, stride: int) -> Polynomial:
    """ρ times the positions that there are at ρ = 1; size / stride in other symbols."""
    if size.free_symbols <= _MULTIPLIERS:
        return size.scaled(numbers.ceil_div(size.at_one(), _number(stride)))
    return size / stride


def ceil_mode_size(span: Polynomial, padded: Polynomial, stride: int) -> Polynomial:
    """ρ times the positions that there are at ρ = 1."""
    whole = numbers.ceil_mode_size(span.at_one(), padded.at_one(), _number(stride))
    return span.scaled(whole)


def _number(stride: Dim) -> int:
    if isinstance(stride, int):
        return stride
    raise CostModelError(f"no polynomial of a map at stride {stride}; build it with numbers")


def below(size: Dim, least: int) -> bool:  # noqa: ARG001
    """Never: a formula says nothing about the sizes at which there is no network."""
    return False


def at_least_one(factor: Polynomial) -> Dim:
    """max(1, α), which is no polynomial in α, as a symbol of its own."""
    return Polynomial({((f"max(1, {factor})", 1),): Fraction(1)})


def round_size(size: Dim, factor: Dim) -> Dim:
    """Size · factor."""
    return size * factor


def scale_channels(count: Dim, factor: Dim, divisor: int | None, groups: int = 1) -> Dim:  # noqa: ARG001
    """Count · factor."""
    return count * factor
