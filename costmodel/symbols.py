"""The symbols of every formula, and the exact functions of symbols that sympy lacks.

Importing this module loads sympy; nothing else in the core does, and only a symbol brings it
in. The functions stay unevaluated while an argument is a symbol, become the exact integer when
all are numbers, and disappear under `relax`, which leaves the papers' polynomials.
"""

from __future__ import annotations

import ast
import operator
from fractions import Fraction
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


class CeilDiv(_Exact):
    """⌈x / s⌉; nested ones merge: ⌈⌈x / a⌉ / b⌉ = ⌈x / ab⌉."""

    value = staticmethod(arithmetic.ceil_div)

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

    def _latex(self, printer: Any) -> str:
        return rf"\left\lceil {printer._print(self.relaxed())} \right\rceil"  # noqa: SLF001


class CeilModeSize(_Exact):
    """min(⌈x / s⌉ + 1, ⌈y / s⌉): positions of a pooling window in ceil_mode."""

    value = staticmethod(arithmetic.ceil_mode_size)

    def relaxed(self) -> Any:
        """x / s + 1."""
        return self.args[0] / self.args[2] + 1

    def _latex(self, printer: Any) -> str:
        span, padded, stride = (printer._print(arg) for arg in self.args)  # noqa: SLF001
        ceilings = (
            rf"\left\lceil \frac{{{x}}}{{{stride}}} \right\rceil{plus}"
            for x, plus in ((span, " + 1"), (padded, ""))
        )
        return rf"\min\left({', '.join(ceilings)}\right)"


class RoundSize(_Exact):
    """D·ρ to the nearest integer."""

    value = staticmethod(arithmetic.round_size)

    def relaxed(self) -> Any:
        """D·ρ."""
        return self.args[0] * self.args[1]

    def _latex(self, printer: Any) -> str:
        return rf"\left\lfloor {printer._print(self.relaxed())} \right\rceil"  # noqa: SLF001


class ScaledChannels(_Exact):
    """α·C as a whole number of channels; its arguments are C, α, the divisor and the groups."""

    value = staticmethod(
        lambda count, factor, divisor, groups: arithmetic.scale_channels(
            int(count), factor, int(divisor), int(groups)
        )
    )

    def relaxed(self) -> Any:
        """α·C."""
        return self.args[0] * self.args[1]

    def _latex(self, printer: Any) -> str:
        divisor = printer._print(sympy.ilcm(*self.args[2:]))  # noqa: SLF001
        return rf"\left[ {printer._print(self.relaxed())} \right]_{{{divisor}}}"  # noqa: SLF001


def ceil_div(size: Dim, stride: int) -> Dim:
    """⌈size / stride⌉ as an expression."""
    return CeilDiv(size, stride)


def ceil_mode_size(span: Dim, padded: Dim, stride: int) -> Dim:
    """The ceil_mode size of a pooling layer as an expression."""
    return CeilModeSize(span, padded, stride)


def at_least_one(factor: Dim) -> Dim:
    """max(1, α) as an expression."""
    return sympy.Max(1, factor)


def round_size(size: Dim, factor: Dim) -> Dim:
    """The rounded resolution as an expression."""
    return RoundSize(size, sympy.sympify(factor))


def scale_channels(count: Dim, factor: Dim, divisor: int | None, groups: int = 1) -> Dim:
    """The scaled channel count as an expression; `exact` is a plain product."""
    if divisor is None:
        return count * sympy.sympify(factor)
    return ScaledChannels(count, sympy.sympify(factor), divisor, groups)


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


_OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
_FUNCTIONS = {
    kind.__name__: kind for kind in (CeilDiv, CeilModeSize, RoundSize, ScaledChannels, sympy.Max)
}


def parse(text: str) -> Dim:
    """The expression that `str` wrote, without evaluating anything else a text may hold.

    >>> parse("CeilDiv(H, 2)*alpha")
    alpha*CeilDiv(H, 2)
    """
    try:
        return _parse(ast.parse(text, mode="eval").body)
    except (SyntaxError, KeyError, TypeError, ValueError, RecursionError):
        message = f"not a size: {text!r}; use an integer or an expression in {', '.join(SYMBOLS)}"
        raise CostModelError(message) from None


def _parse(node: ast.expr) -> Any:
    match node:
        case ast.Constant(value=int(value)):
            return sympy.Integer(value)
        case ast.Name(id=name):
            return SYMBOLS[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_parse(operand)
        case ast.BinOp(left=left, op=op, right=right):
            return _OPERATORS[type(op)](_parse(left), _parse(right))
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
            return _FUNCTIONS[name](*map(_parse, args))
    raise ValueError
