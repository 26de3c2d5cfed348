"""The few operations that must know whether a quantity is a number or a symbol.

Everything above multiplies, divides and adds, which numbers and symbols do alike. What is
left (ceilings, roundings, comparisons) is here, once. An *algebra* is a module with the
functions `ceil_div`, `ceil_mode_size`, `scale_channels`, `round_size` and `at_least_one`:
`costmodel.symbols` keeps them exact, `costmodel.show.polynomial` relaxes them away.
"""

from __future__ import annotations

import math
import re
from contextlib import suppress
from fractions import Fraction
from importlib import import_module
from typing import Any

from costmodel.errors import CostModelError

#: A size or a count: an int, or an expression of some algebra (sympy's, by default).
Dim = Any

MAX_ALPHA = 4
MAX_RHO = 16  # 224 px become 3584; a resolution, a size in pixels, goes further
MOST = 10**18  # of a size or count that a user types: products stay within floats
_MAX_EXPONENT = 300  # of a number typed by a user: 1e999999999 would take all memory


def is_symbolic(value: Dim) -> bool:
    """Whether `value` is an expression rather than a number."""
    return hasattr(value, "free_symbols")


def _algebra(*values: Dim) -> Any:
    """The algebra of the first symbol, imported only now (sympy is slow to load), or None."""
    for value in values:
        if hasattr(value, "free_symbols"):
            return import_module(getattr(value, "algebra", "costmodel.symbols"))
    return None


def rational(value: Any, name: str) -> Fraction:
    """The exact number a user meant: 0.1 is 1/10, and "192/224" and "6/7" are ratios.

    >>> rational(0.1, "alpha"), rational("192/224", "rho")
    (Fraction(1, 10), Fraction(6, 7))
    """
    if isinstance(value, (int, Fraction)) and not isinstance(value, bool):
        return Fraction(value)
    text = str(value).strip().lower()
    try:
        if abs(int(text.partition("e")[2] or 0)) <= _MAX_EXPONENT:
            return Fraction(text)
    except (ValueError, ZeroDivisionError):
        pass
    raise CostModelError(f"{name} must be a number or a ratio such as 6/7, got {value!r}")


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


def multiplier(value: Any, name: str, most: int) -> Dim:
    """α or ρ as a positive Fraction of at most `most`, or the symbol it is.

    >>> multiplier(0.75, "alpha", MAX_ALPHA), multiplier("6/7", "rho", MAX_RHO)
    (Fraction(3, 4), Fraction(6, 7))
    """
    number = value if is_symbolic(value) else rational(value, name)
    if not is_symbolic(number) and not 0 < number <= most:
        raise CostModelError(f"{name} must be in (0, {most}], got {value}")
    return number


def ceil_div(size: Dim, stride: int) -> Dim:
    """⌈size / stride⌉, the number of positions of a window that moves by `stride`.

    >>> ceil_div(225, 2)
    113
    """
    if hasattr(size, "free_symbols"):  # as is_symbolic: this is a planner's inner loop
        return _algebra(size).ceil_div(size, stride)
    return -(-size // stride)


def ceil_mode_size(span: Dim, padded: Dim, stride: int) -> Dim:
    """Positions of a pooling window in torch's ceil_mode, for span = D + 2p − d(k − 1) − 1.

    min(⌈span / stride⌉ + 1, ⌈padded / stride⌉): a last window may hang over the end, but must
    start within the input or its left padding (padded = D + p).

    >>> ceil_mode_size(112 - 3, 112, 2)
    56
    """
    if algebra := _algebra(span, padded, stride):
        return algebra.ceil_mode_size(span, padded, stride)
    return min(-(-span // stride) + 1, -(-padded // stride))


def exact_div(whole: Dim, parts: Dim) -> Dim | None:
    """Whole / parts; None where they are numbers and the division leaves a remainder.

    >>> exact_div(32, 4), exact_div(30, 4)
    (8, None)
    """
    if hasattr(whole, "free_symbols") or hasattr(parts, "free_symbols"):
        return whole / parts
    quotient, remainder = divmod(whole, parts)
    return None if remainder else quotient


def at_least_one(alpha: Dim) -> Dim:
    """max(1, α), for a width that grows with α but never shrinks."""
    algebra = _algebra(alpha)
    return algebra.at_least_one(alpha) if algebra else max(Fraction(1), alpha)


def round_size(size: Dim, rho: Dim) -> Dim:
    """The resolution a multiplier ρ sets: size·ρ to the nearest integer, halves to even.

    >>> round_size(224, Fraction("0.857")), round_size(224, Fraction("0.571"))
    (192, 128)
    """
    if algebra := _algebra(rho, size):
        return algebra.round_size(size, rho)
    return round(size * rho)


def rounding_divisor(rounding: str) -> int | None:
    """The policy behind a name: None for `exact`, 1 for `floor`, n for `divisible(n)`.

    >>> rounding_divisor("divisible(8)")
    8
    """
    if rounding in ("exact", "floor"):
        return 1 if rounding == "floor" else None
    if found := re.fullmatch(r"divisible\(([1-9][0-9]*)\)", str(rounding)):
        return int(found[1])
    raise CostModelError(f"rounding must be floor, exact or divisible(N), got {rounding!r}")


def scale_channels(count: Dim, alpha: Dim, divisor: int | None, groups: int = 1) -> Dim:
    """α·count as a whole number of channels, under the policy `rounding_divisor` names.

    - 1, `floor`: max(⌊α·count⌋, min(8, count)), as TF-slim's MobileNetV1 has it;
    - n, `divisible(n)`: the nearest multiple of n, at least n, never under 90 % of α·count
      (MobileNetV2 and V3's `_make_divisible`);
    - None, `exact`: α·count as it is, an error where that is no whole number.

    The result is a multiple of `groups`, so that every consumer's channels divide.

    >>> scale_channels(32, Fraction(35, 100), 1), scale_channels(32, Fraction(35, 100), 8)
    (11, 16)
    """
    if algebra := _algebra(alpha, count):
        return algebra.scale_channels(count, alpha, divisor, groups)
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
    nearest = max(divisor, math.floor(scaled / divisor + Fraction(1, 2)) * divisor)
    return nearest if 10 * nearest >= 9 * scaled else nearest + divisor
