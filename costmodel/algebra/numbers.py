"""Exact numbers: the algebra of integers and Fractions, and what a number typed by a user means."""

from __future__ import annotations

import math
import re
from contextlib import suppress
from fractions import Fraction
from typing import Any, Final

from costmodel.errors import CostModelError

#: A size or a count: an int, or an expression of some algebra (sympy's, by default). No Protocol of
#: operators says more: an int times a quantity is of its kind, so that each would return Any.
Dim = Any

MAX_ALPHA = 4
MAX_RHO = 16  # 224 px become 3584; a resolution, a size in pixels, goes further
MOST = 10**18  # of a size or count that a user types: products stay within floats
_MAX_EXPONENT = 300  # of a number typed by a user: 1e999999999 would take all memory
_MAX_DENOMINATOR = 500_000  # of what a float is taken for: up to 4, at most one is that near
#: ASCII's digits alone, and no more of them than any number here needs.
_NUMBER = re.compile(r"[+-]?[0-9]{0,400}\.?[0-9]{0,400}(e[+-]?[0-9]{1,9}|/[0-9]{1,400})?")


def rational(value: Any, name: str) -> Fraction:
    """The exact number that `value` means, wherever it is used.

    An int, a Fraction, a Decimal and a text ("0.75", "6/7") are what they say. A float is the
    simplest fraction within 1e-12 of it, relative, with a denominator up to 500,000, and where
    there is none its shortest decimal; narrower floats are first read by their own.

    >>> rational(0.29, "alpha"), rational(2 / 3, "alpha"), rational("192/224", "rho")
    (Fraction(29, 100), Fraction(2, 3), Fraction(6, 7))
    >>> rational("0.4999999999999", "alpha")
    Fraction(4999999999999, 10000000000000)
    """
    if isinstance(value, (int, Fraction)) and not isinstance(value, bool):
        return Fraction(value)
    text = str(value).strip().lower()
    try:
        if _NUMBER.fullmatch(text) and abs(int(text.partition("e")[2] or 0)) <= _MAX_EXPONENT:
            return _simplest(float(text)) if _is_float(value) else Fraction(text)
    except (ValueError, ZeroDivisionError):
        pass
    raise CostModelError(f"{name} must be a number or a ratio such as 6/7, got {value!r}")


def _is_float(value: Any) -> bool:
    """Whether it is Python's or one of numpy's, which need not be loaded to know."""
    return isinstance(value, float) or getattr(getattr(value, "dtype", 0), "kind", "") == "f"


def _simplest(number: float) -> Fraction:
    decimal = Fraction(repr(number))
    if decimal.denominator <= _MAX_DENOMINATOR or not number:  # none is simpler within 1e-12
        return decimal
    over, under = abs(number).as_integer_ratio()
    low, high, under = over * (10**12 - 1), over * (10**12 + 1), under * 10**12
    top, bottom = _between(low, under, high, under)
    return decimal if bottom > _MAX_DENOMINATOR else Fraction(top if number > 0 else -top, bottom)


def _between(a: int, b: int, c: int, d: int) -> tuple[int, int]:
    """The fraction of least denominator in [a/b, c/d], by the continued fraction they share."""
    whole = -(-a // b)
    if whole * d <= c:
        return whole, 1
    whole -= 1
    over, under = _between(d, c - whole * d, b, a - whole * b)
    return whole * over + under, over


def positive_integer(value: Any, name: str) -> int:
    """A whole number of at least 1, however a user wrote it.

    >>> positive_integer("192", "resolution")
    192
    """
    number: Fraction | int = value if type(value) is int else 0
    with suppress(CostModelError):
        number = number or rational(value, name)
    if number.denominator != 1 or not 1 <= number <= MOST:
        raise CostModelError(f"{name} must be an integer from 1 to 10**18, got {value!r}")
    return number.numerator


def multiplier(value: Any, name: str, most: int) -> Fraction:
    """α or ρ as a positive Fraction of at most `most`.

    >>> multiplier(0.75, "alpha", MAX_ALPHA), multiplier("6/7", "rho", MAX_RHO)
    (Fraction(3, 4), Fraction(6, 7))
    """
    number = rational(value, name)
    if not 0 < number <= most:
        raise CostModelError(f"{name} must be in (0, {most}], got {value}")
    return number


def rounding_divisor(rounding: str) -> int | None:
    """The policy behind a name: None for `exact`, 1 for `floor`, n for `divisible(n)`.

    >>> rounding_divisor("divisible(8)")
    8
    """
    if rounding in ("exact", "floor"):
        return 1 if rounding == "floor" else None
    if found := re.fullmatch(r"divisible\(([1-9][0-9]{0,5})\)", str(rounding)):
        return int(found[1])
    raise CostModelError(f"rounding must be floor, exact or divisible(N<10⁶), got {rounding!r}")


# The algebra (`costmodel.algebra.protocol`) ----------------------------------------------------

Number = int | Fraction

FORMULAS: Final = False


def ceil_div(size: Number, stride: Number) -> int:
    """⌈size / stride⌉."""
    return -(-size // stride)


def ceil_mode_size(span: Number, padded: Number, stride: Number) -> int:
    """min(⌈span / stride⌉ + 1, ⌈padded / stride⌉)."""
    return min(ceil_div(span, stride) + 1, ceil_div(padded, stride))


def round_size(size: Number, rho: Number) -> int:
    """size·ρ to the nearest integer, halves to even."""
    return round(size * rho)


def scale_channels(count: int, alpha: Fraction, divisor: int | None, groups: int = 1) -> int:
    """α·count under a rounding policy, a multiple of `groups`."""
    if divisor is None:
        return _whole(count * alpha, groups)
    if divisor == 1:
        return _floor(count, alpha, groups)
    return _divisible(count * alpha, math.lcm(divisor, groups))


def _whole(scaled: Fraction, groups: int) -> int:
    if scaled.denominator != 1 or scaled.numerator % groups:
        rule = "a whole number" if groups == 1 else f"a multiple of its {groups} groups"
        raise CostModelError(
            f"exact rounding gives {scaled} channels, not {rule}; choose floor or divisible(8)"
        )
    return scaled.numerator


def _floor(count: int, alpha: Fraction, groups: int) -> int:
    down = count * alpha.numerator // (alpha.denominator * groups)
    return groups * max(down, -(-min(8, count) // groups))


def _divisible(scaled: Fraction, divisor: int) -> int:
    top, bottom = scaled.numerator, scaled.denominator
    nearest = max(divisor, (2 * top + bottom * divisor) // (2 * bottom * divisor) * divisor)
    return nearest if 10 * nearest * bottom >= 9 * top else nearest + divisor


def at_least_one(alpha: Number) -> Number:
    """max(1, α)."""
    return max(Fraction(1), alpha)


def below(size: Number, least: int) -> bool:
    """Whether a size is under the least."""
    return size < least


def must_equal(size: Any, other: Any, what: str) -> bool:  # noqa: ARG001 - the caller words it
    """Whether the two are equal."""
    return bool(size == other)
