"""The symbols of every formula, and the exact functions of symbols that sympy lacks.

Importing this module loads sympy; nothing else in the core does, and only a symbol brings it
in. The functions stay unevaluated while an argument is a symbol, become the exact integer when
all are numbers, and disappear under `relax`, which leaves the papers' polynomials.
"""

from __future__ import annotations

import ast
from fractions import Fraction
from functools import cache
from math import lcm
from typing import TYPE_CHECKING, Any, ClassVar, Final

import sympy

from costmodel.algebra import numbers
from costmodel.errors import CostModelError

if TYPE_CHECKING:
    from costmodel.algebra.numbers import Dim

#: Width multiplier (Howard et al. 2017, §3.3) and resolution multiplier (§3.4).
alpha, rho = sympy.symbols("alpha rho", positive=True)
#: Kernel size, channels, and height and width of a layer's *output*.
K, C_in, C_out, H, W = sympy.symbols("K C_in C_out H W", positive=True, integer=True)

SYMBOLS = {str(symbol): symbol for symbol in (alpha, rho, K, C_in, C_out, H, W)}


class _Exact(sympy.Function):  # type: ignore[misc]
    """A function that takes its exact value once every argument is a number."""

    is_integer: ClassVar[bool] = True
    is_positive: ClassVar[bool] = True

    @classmethod
    def eval(cls, *args: Any) -> Any:
        """The exact integer, or None to stay unevaluated."""
        if all(arg.is_Number for arg in args):
            return sympy.Integer(cls.value(*map(_fraction, args)))
        return None

    def relaxed(self) -> Any:
        """Without the rounding."""
        return self.unrounded(*self.args)

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        whole = self.unrounded(*self.args)
        text = self.tex(*(printer.doprint(part) for part in (whole, *self.args)))
        return rf"{{{text}}}^{{{exp}}}" if exp else text


def _fraction(number: Any) -> Fraction:
    if number.is_Rational:
        return Fraction(int(number.p), int(number.q))
    return numbers.rational(float(number), "a value")


class _Size(_Exact):
    """A map's size, which is relaxed to ρ times what it is at ρ = 1 (Howard et al. 2017, §3.4)."""

    def relaxed(self) -> Any:
        """As above; in other symbols than ρ, without the rounding."""
        if not self.has(rho):
            return super().relaxed()
        degree = sympy.degree(relax(self.args[0]), rho)
        return relax(self.subs({alpha: 1, rho: 1})) * rho**degree


class CeilDiv(_Size):
    """⌈x / s⌉; nested ones merge: ⌈⌈x / a⌉ / b⌉ = ⌈x / ab⌉."""

    value = staticmethod(numbers.ceil_div)
    unrounded = staticmethod(lambda size, stride: size / stride)
    tex = staticmethod(lambda whole, *_: rf"\left\lceil {whole} \right\rceil")

    @classmethod
    def eval(cls, size: Any, stride: Any) -> Any:
        """Also the identities ⌈x / 1⌉ = x and the merging of nested ceilings."""
        if stride == 1 and size.is_integer and (isinstance(size, _Exact) or not size.has(rho)):
            return size  # a size in ρ that is a sum stays: it is relaxed as one
        if isinstance(size, CeilDiv):
            return CeilDiv(size.args[0], size.args[1] * stride)
        return super().eval(size, stride)


class CeilModeSize(_Size):
    """min(⌈x / s⌉ + 1, ⌈y / s⌉): positions of a pooling window in ceil_mode."""

    value = staticmethod(numbers.ceil_mode_size)
    unrounded = staticmethod(lambda span, _, stride: span / stride + 1)
    tex = staticmethod(
        lambda _, x, y, s: (
            rf"\min\left(\left\lceil \frac{{{x}}}{{{s}}} \right\rceil + 1, "
            rf"\left\lceil \frac{{{y}}}{{{s}}} \right\rceil\right)"
        )
    )


class RoundSize(_Exact):
    """D·ρ to the nearest integer."""

    value = staticmethod(numbers.round_size)
    unrounded = staticmethod(lambda size, factor: size * factor)
    tex = staticmethod(lambda whole, *_: rf"\left\lfloor {whole} \right\rceil")


class ScaledChannels(_Exact):
    """α·C as a whole number of channels; its arguments are C, α, the divisor and the groups."""

    value = staticmethod(lambda c, a, *n: numbers.scale_channels(int(c), a, *map(int, n)))
    unrounded = staticmethod(lambda count, factor, *_: count * factor)
    tex = staticmethod(
        lambda scaled, *args: rf"\left[ {scaled} \right]_{{{lcm(*map(int, args[2:]))}}}"
    )


# The algebra (`costmodel.algebra.protocol`): what stays unevaluated -----------------------------

FORMULAS: Final = True

must_equal = numbers.must_equal
ceil_div = CeilDiv
ceil_mode_size = CeilModeSize
round_size = RoundSize


def below(size: Dim, least: int) -> bool:
    """Whether a size is certain to be under the least."""
    whole = size.args[0] if isinstance(size, CeilDiv) else size  # ⌈x / s⌉ is at most x
    return bool(whole.is_nonpositive if least == 1 else (whole - least).is_negative)


def at_least_one(factor: Dim) -> Dim:
    """max(1, α) as an expression."""
    return sympy.Max(1, factor)


def scale_channels(count: Dim, factor: Dim, divisor: int | None, groups: int = 1) -> Dim:
    """The scaled channel count as an expression; `exact` is a plain product."""
    return count * factor if divisor is None else ScaledChannels(count, factor, divisor, groups)


def relax(expression: Dim) -> Dim:
    """The paper's polynomial: every width α times, every map ρ times what it is at α = ρ = 1.

    So it is exact at α = ρ = 1, whatever the strides, and where rounding changes nothing.

    >>> from costmodel import cost, mobilenet_v1, resize, widen
    >>> relax(cost(widen(resize(mobilenet_v1(), rho=rho), alpha)).macs)
    539492352*alpha**2*rho**2 + 28224000*alpha*rho**2 + 1024000*alpha
    """
    return _relaxed(expression) if isinstance(expression, sympy.Basic) else expression


@cache
def _relaxed(expression: Any) -> Any:
    while rounded := expression.atoms(_Exact):
        expression = expression.xreplace({part: part.relaxed() for part in rounded})
    return sympy.expand(expression)


def latex(expression: Dim) -> str:
    """The expression in LaTeX, sympy's order of symbols."""
    return str(sympy.latex(expression))


_FUNCTIONS = {f.__name__: f for f in (CeilDiv, CeilModeSize, RoundSize, ScaledChannels, sympy.Max)}
_UNREADABLE = (SyntaxError, LookupError, ArithmeticError, TypeError, ValueError)
_MAX_EXPONENT = 64  # of a size that someone else wrote


def parse(text: str) -> Dim:
    """The expression that `str` wrote, without evaluating anything else a text may hold.

    >>> parse("CeilDiv(H, 2)*alpha")
    alpha*CeilDiv(H, 2)

    Raises CostModelError for anything that is no finite expression in the declared symbols.
    """
    try:
        expression = _parse(ast.parse(text, mode="eval").body)
        if not expression.has(sympy.oo, -sympy.oo, sympy.zoo, sympy.nan):
            return expression
    except (*_UNREADABLE, RecursionError, MemoryError):
        pass
    raise CostModelError(f"not a size: {text[:40]!r}; use integers and {', '.join(SYMBOLS)}")


def _parse(node: ast.expr) -> Any:  # noqa: PLR0911 - a return for each kind of node
    match node:
        case ast.Constant(value=int(value)) if type(value) is int:
            return sympy.Integer(value)
        case ast.Name(id=name):
            return SYMBOLS[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_parse(operand)
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() as sign, right=right):
            term = _parse(right)
            return _parse(left) + (term if isinstance(sign, ast.Add) else -term)
        case ast.BinOp(op=ast.Mult() | ast.Div()):
            return sympy.Mul(*_factors(node))  # at once, or 2·(a + b)·c would be multiplied out
        case ast.BinOp(left=left, op=ast.Pow(), right=ast.Constant(value=int(exponent))):
            base = _parse(left)
            if base.free_symbols and exponent <= _MAX_EXPONENT:
                return base**exponent
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
            return _FUNCTIONS[name](*map(_parse, args))
    raise ValueError


def _factors(node: ast.expr) -> list[Any]:
    match node:
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            return _factors(left) + _factors(right)
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            return [*_factors(left), 1 / _parse(right)]
    return [_parse(node)]
