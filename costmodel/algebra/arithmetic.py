"""The operations that must know what a quantity is, each asked of the quantity's own algebra.

A class of quantities names its algebra (`costmodel.algebra.protocol`); an expression of sympy's
belongs to `costmodel.algebra.symbols`, and everything else is a number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from costmodel.algebra import numbers

if TYPE_CHECKING:
    from costmodel.algebra.protocol import Algebra

Dim = numbers.Dim


def is_symbolic(value: Dim) -> bool:
    """Whether `value` is an expression rather than a number."""
    return hasattr(type(value), "free_symbols")  # of the value sympy would work them out


def is_formula(value: Dim) -> bool:
    """Whether it is an expression that has no value yet: neither a grid's nor emitted code's."""
    return _algebra(value).FORMULAS


def _algebra(*values: Dim) -> Algebra:
    """The algebra of the first of these that is no plain number."""
    for value in values:
        if algebra := getattr(type(value), "algebra", None):
            return algebra  # type: ignore[no-any-return]
        if is_symbolic(value):
            from costmodel.algebra import symbols  # sympy is slow to load

            return symbols
    return numbers


def multiplier(value: Any, name: str, most: int) -> Dim:
    """α or ρ as a positive Fraction of at most `most`, or the symbol it is.

    >>> multiplier(0.75, "alpha", 4), multiplier("6/7", "rho", 16)
    (Fraction(3, 4), Fraction(6, 7))
    """
    return value if is_symbolic(value) else numbers.multiplier(value, name, most)


def ceil_div(size: Dim, stride: Dim) -> Dim:
    """⌈size / stride⌉, the number of positions of a window that moves by `stride`.

    >>> ceil_div(225, 2)
    113
    """
    return (numbers if type(size) is int else _algebra(size)).ceil_div(size, stride)


def ceil_mode_size(span: Dim, padded: Dim, stride: Dim) -> Dim:
    """Positions of a pooling window in torch's ceil_mode, for span = D + 2p − d(k − 1) − 1.

    min(⌈span / stride⌉ + 1, ⌈padded / stride⌉): a last window may hang over the end, but must
    start within the input or its left padding (padded = D + p).

    >>> ceil_mode_size(112 - 3, 112, 2)
    56
    """
    return _algebra(span, padded, stride).ceil_mode_size(span, padded, stride)


def exact_div(whole: Dim, parts: Dim) -> Dim | None:
    """Whole / parts; None where they are numbers and the division leaves a remainder.

    >>> exact_div(32, 4), exact_div(30, 4)
    (8, None)
    """
    if not type(whole) is type(parts) is int and (is_symbolic(whole) or is_symbolic(parts)):
        return whole / parts
    quotient, remainder = divmod(whole, parts)
    return None if remainder else quotient


def below(size: Dim, least: int = 1) -> bool:
    """Whether a size is under the least that there may be; with symbols, if that is certain.

    A grid of sizes refuses where one of them is, and a function to be called later does when it
    is called (`costmodel.algebra.grids`, `costmodel.algebra.emitted`).

    >>> below(0), below(1), below(4, least=5)
    (True, False, True)
    """
    return _algebra(size).below(size, least)


def must_equal(one: Dim, other: Dim, what: str) -> bool:
    """Whether two sizes are one; `what` says which layer wants it.

    A number or a formula tells. Any other (of a grid, of a function to be called later, of a
    width that may change) sees to it itself, here or later, and is taken to be.

    >>> must_equal(7, 7, "a sum"), must_equal(7, 8, "a sum")
    (True, False)
    """
    algebra = _algebra(one)
    if algebra is numbers or algebra.FORMULAS:
        one, other, algebra = other, one, _algebra(other)
    return algebra.must_equal(one, other, what)


def at_least_one(alpha: Dim) -> Dim:
    """max(1, α), for a width that grows with α but never shrinks."""
    return _algebra(alpha).at_least_one(alpha)


def round_size(size: Dim, rho: Dim) -> Dim:
    """The resolution a multiplier ρ sets: size·ρ to the nearest integer, halves to even.

    >>> from fractions import Fraction
    >>> round_size(224, Fraction("0.857")), round_size(224, Fraction("0.571"))
    (192, 128)
    """
    return _algebra(rho, size).round_size(size, rho)


def scale_channels(count: Dim, alpha: Dim, divisor: int | None, groups: int = 1) -> Dim:
    """α·count as a whole number of channels, under the policy `numbers.rounding_divisor` names.

    - 1, `floor`: max(⌊α·count⌋, min(8, count)), as TF-slim's MobileNetV1 has it;
    - n, `divisible(n)`: the nearest multiple of n, at least n, never under 90 % of α·count
      (MobileNetV2 and V3's `_make_divisible`);
    - None, `exact`: α·count as it is, an error where that is no whole number.

    The result is a multiple of `groups`, so that every consumer's channels divide.

    >>> from fractions import Fraction
    >>> scale_channels(32, Fraction(35, 100), 1), scale_channels(32, Fraction(35, 100), 8)
    (11, 16)
    """
    return _algebra(alpha, count).scale_channels(count, alpha, divisor, groups)
