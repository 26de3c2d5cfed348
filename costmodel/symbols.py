"""The symbols of every formula, and the exact functions of symbols that sympy lacks.

Importing this module loads sympy; nothing else in the core does, and only a symbol brings it
in. The functions stay unevaluated while an argument is a symbol, become the exact integer when
all are numbers, and disappear under `relax`, which leaves the papers' polynomials.
"""

from __future__ import annotations

import ast
from fractions import Fraction
from math import lcm
from typing import TYPE_CHECKING, Any, ClassVar

import sympy

from costmodel import arithmetic
from costmodel.errors import CostModelError

if TYPE_CHECKING:
    from costmodel.arithmetic import Dim

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
            return sympy.Integer(cls.value(*(Fraction(str(arg)) for arg in args)))
        return None

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        text = self.tex(*(printer.doprint(part) for part in (self.relaxed(), *self.args)))
        return rf"{{{text}}}^{{{exp}}}" if exp else text


class CeilDiv(_Exact):
    """⌈x / s⌉; nested ones merge: ⌈⌈x / a⌉ / b⌉ = ⌈x / ab⌉."""

    value = staticmethod(arithmetic.ceil_div)
    tex = staticmethod(lambda relaxed, *_: rf"\left\lceil {relaxed} \right\rceil")

    @classmethod
    def eval(cls, size: Any, stride: Any) -> Any:
        """Also the identities ⌈x / 1⌉ = x and the merging of nested ceilings."""
        if stride == 1 and size.is_integer:
            return size
        if isinstance(size, CeilDiv):
            return CeilDiv(size.args[0], size.args[1] * stride)
        return super().eval(size, stride)

    def relaxed(self) -> Any:
        """x / s."""
        return self.args[0] / self.args[1]


class CeilModeSize(_Exact):
    """min(⌈x / s⌉ + 1, ⌈y / s⌉): positions of a pooling window in ceil_mode."""

    value = staticmethod(arithmetic.ceil_mode_size)
    tex = staticmethod(
        lambda _, x, y, s: (
            rf"\min\left(\left\lceil \frac{{{x}}}{{{s}}} \right\rceil + 1, "
            rf"\left\lceil \frac{{{y}}}{{{s}}} \right\rceil\right)"
        )
    )

    def relaxed(self) -> Any:
        """x / s + 1."""
        return self.args[0] / self.args[2] + 1


class RoundSize(_Exact):
    """D·ρ to the nearest integer."""

    value = staticmethod(arithmetic.round_size)
    tex = staticmethod(lambda relaxed, *_: rf"\left\lfloor {relaxed} \right\rceil")

    def relaxed(self) -> Any:
        """D·ρ."""
        return self.args[0] * self.args[1]


class ScaledChannels(_Exact):
    """α·C as a whole number of channels; its arguments are C, α, the divisor and the groups."""

    value = staticmethod(lambda c, a, *n: arithmetic.scale_channels(int(c), a, *map(int, n)))
    tex = staticmethod(
        lambda scaled, *args: rf"\left[ {scaled} \right]_{{{lcm(*map(int, args[2:]))}}}"
    )
    relaxed = RoundSize.relaxed


# As an algebra (`costmodel.arithmetic`): what stays unevaluated.
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
    """Drop every rounding: the polynomial a paper prints, in place of the exact count.

    >>> from costmodel import cost, mobilenet_v1, resize, widen
    >>> relax(cost(widen(resize(mobilenet_v1(), rho), alpha)).macs)
    539492352*alpha**2*rho**2 + 28224000*alpha*rho**2 + 1024000*alpha
    """
    if not arithmetic.is_symbolic(expression):
        return expression
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
