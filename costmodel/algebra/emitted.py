"""Emitted code: quantities that leave behind, as lines of Python, the operations done on them.

A network is rewritten and lowered once with such quantities, and what is left is a function
without loops, look-ups or objects, each common subexpression computed once
(`costmodel.planners.compiling`).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import floor, isfinite
from typing import TYPE_CHECKING, Any, ClassVar, Final

from costmodel.algebra import emitted, numbers
from costmodel.algebra.arithmetic import Dim, is_symbolic
from costmodel.algebra.polynomial import Polynomial
from costmodel.errors import CostModelError

if TYPE_CHECKING:
    from costmodel.algebra.protocol import Algebra

_FEW = 2**18  # fractions of smaller denominators are further apart than a float α is unsure
UNEVEN = "channels do not divide by their groups or parts"


class RefusalError(ArithmeticError):
    """A network that is none: a map of no size, channels that do not divide, a fixed size."""

    def at(self, widths: str, resolution: int) -> str:
        """The message, with where it was."""
        if not self.args:
            return f"a map vanishes at resolution {resolution}; raise it"
        return f"{self} at {widths} resolution {resolution}; choose others"


def some(values: Any) -> bool:
    """Whether a number, or any of an array's, is not 0."""
    return bool(values.any() if hasattr(values, "any") else values)


def _scaled(count: int, alpha: Any, divisor: int | None, groups: int) -> int:
    """`numbers.scale_channels`, without Fractions where a float's floor is sure."""
    if type(alpha) is float and divisor == groups == 1 and count < _FEW:
        wanted = count * alpha
        whole = round(wanted)
        if abs(wanted - whole) > 2e-12 * wanted:
            return max(floor(wanted), min(8, count))
        if wanted == whole:  # then whole / count is the fraction that α means
            return max(whole, min(8, count))
    return int(numbers.scale_channels(count, numbers.rational(alpha, "alpha"), divisor, groups))


def _rounded(size: int, rho: Any) -> int:
    return numbers.round_size(size, numbers.rational(rho, "rho"))


#: What the lines use beside the function's own parameters.
_SCOPE = {
    "Refusal": RefusalError,
    "some": some,
    "minimum": min,
    "maximum": max,
    "scaled": _scaled,
    "rounded": _rounded,
}


class Tape:
    """The lines of a function; a line that is there already is not written again."""

    def __init__(self, *, relaxed: bool = False) -> None:
        """Begin with no lines; relaxed ones check nothing and divide without rounding."""
        self.relaxed = relaxed
        self.lines: list[str] = []
        self.names: dict[str, str] = {}
        self.least: dict[str, int] = {}  # what a value is certain to be at least, by its name

    def emit(self, expression: str) -> str:
        """The name of an expression's value."""
        if expression not in self.names:
            self.names[expression] = name = f"t{len(self.names)}"
            self.lines.append(f"{name} = {expression}")
        return self.names[expression]

    def require(self, size: Traced, least: int) -> None:
        """A line that refuses a size under the least that there may be."""
        under = f"{size.text} < {least}"  # False of a number, and of an array another array
        self._check(f"if ({under}) is not False and some({under}): raise Refusal")
        self.know(size.name, least - size.offset)

    def know(self, name: str, least: int) -> None:
        """From here on a value is certain to be at least so much."""
        self.least[name] = max(least, self.least.get(name, least))

    def require_whole(self, whole: str, parts: str | int) -> None:
        """A line that refuses channels that do not divide."""
        self._check(f"if some({whole} % {parts}): raise Refusal({UNEVEN!r})")

    def require_equal(self, one: str, other: str | int, what: str) -> None:
        """A line that refuses sizes that are not one."""
        self._check(f"if some({one} - {other}): raise Refusal({what!r})")

    def _check(self, line: str) -> None:
        if not self.relaxed and line not in self.lines:
            self.lines.append(line)

    def function(self, parameters: str, results: str) -> Any:
        """The function that these lines are of."""
        source = "\n    ".join([f"def cost({parameters}):", *self.lines, f"return {results}"])
        scope = dict(_SCOPE)
        exec(source, scope)  # noqa: S102 - the source is written here, of names and integers alone
        return scope["cost"]


@dataclass(frozen=True, eq=False)
class Traced:
    """A value of the function being written: a name, and an integer to add to it.

    Keeping the integer apart lets D + 2·1 − 2 be D again.
    """

    tape: Tape
    name: str
    offset: int = 0
    algebra: ClassVar[Algebra] = emitted
    free_symbols: ClassVar[frozenset[str]] = frozenset({"traced"})

    @property
    def text(self) -> str:
        """The value as an operand."""
        if not self.offset:
            return self.name
        return self.tape.emit(f"{self.name} {'+' if self.offset > 0 else '-'} {abs(self.offset)}")

    def made(self, expression: str, *of: Dim) -> Traced:
        """Another value of the same function, at least 1 where all `of` which it is made are."""
        name = self.tape.emit(expression)
        if of and all(isinstance(x, Traced) and x.is_at_least(1) for x in of):
            self.tape.know(name, 1)
        return Traced(self.tape, name)

    def is_at_least(self, least: int) -> bool:
        """Whether that is certain, whatever the function is called with."""
        return self.tape.least.get(self.name, least - self.offset - 1) + self.offset >= least

    def __add__(self, other: Dim) -> Traced:
        if is_symbolic(other):
            return self.made(" + ".join(sorted((self.text, operand(other)))), self, other)
        if type(other) is float:
            return self.made(f"{self.text} + {number(other)!r}")
        return Traced(self.tape, self.name, self.offset + integer(other))

    def __sub__(self, other: Dim) -> Traced:
        if is_symbolic(other):
            return self.made(f"{self.text} - {operand(other)}")
        return Traced(self.tape, self.name, self.offset - integer(other))

    def __rsub__(self, other: Dim) -> Traced:
        return self.made(f"{operand(other)} - {self.text}")

    def __mul__(self, other: Dim) -> Dim:
        if is_symbolic(other):
            return self.made(" * ".join(sorted((self.text, operand(other)))), self, other)
        if number(other) in (0, 1):
            return self if other else 0
        return self.made(f"{other} * {self.text}", *(self,) * (other > 0))

    def __truediv__(self, other: Dim) -> Dim:
        """A division that leaves nothing over."""
        if self == other:
            return 1
        self.tape.require_whole(self.text, operand(other))
        return self // other

    def __floordiv__(self, other: Dim) -> Traced:
        return self.made(f"{self.text} {'/' if self.tape.relaxed else '//'} {operand(other)}")

    def __rtruediv__(self, other: Dim) -> Dim:
        self.tape.require_whole(operand(other), self.text)
        return self.made(f"{operand(other)} {'/' if self.tape.relaxed else '//'} {self.text}")

    def __mod__(self, other: int) -> Traced:
        return self.made(f"{self.text} % {integer(other)}")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Traced) and self.text == other.text

    def __str__(self) -> str:
        return self.text

    __hash__ = None  # type: ignore[assignment]  # values, not keys
    __radd__ = __add__
    __rmul__ = __mul__


def operand(value: Dim) -> str:
    """A value as it stands in a function's source; relaxed sizes are polynomials in ρ."""
    if isinstance(value, Traced):
        return value.text
    return f"({value})" if isinstance(value, Polynomial) else str(number(value))


def number(value: Dim) -> int | float:
    """What may stand in a function's source: an integer, or of an estimate a finite float."""
    return value if type(value) is float and isfinite(value) else integer(value)


def integer(value: Dim) -> int:
    """What may stand in a function's source beside its own names: nothing but an integer."""
    if type(value) is not int:
        what = f"a cost function needs a network of integers, and {value} is none"
        raise CostModelError(f"{what}; build the network with numbers")
    return value


# The algebra (`costmodel.algebra.protocol`) ----------------------------------------------------

FORMULAS: Final = False


def ceil_div(size: Traced, stride: int) -> Traced:
    """⌈size / stride⌉."""
    return size if stride == 1 else size.made(f"-(-{size.text} // {integer(stride)})", size)


def ceil_mode_size(span: Traced, padded: Traced, stride: int) -> Traced:
    """The ceil_mode size of a pooling window."""
    stride = integer(stride)
    first, second = f"-(-{span.text} // {stride}) + 1", f"-(-{padded.text} // {stride})"
    return span.made(f"minimum({first}, {second})")


def below(size: Traced, least: int) -> bool:
    """Refuse, when the function is called, a size that is under the least."""
    if not size.is_at_least(least):
        size.tape.require(size, least)
    return False


def must_equal(size: Traced, other: Dim, what: str) -> bool:
    """Refuse, when the function is called, two sizes that differ."""
    if size != other:
        size.tape.require_equal(size.text, operand(other), what)
    return True


def at_least_one(alpha: Traced) -> Traced:
    """max(1, α)."""
    return alpha.made(f"maximum(1, {alpha.text})")


def scale_channels(count: int, alpha: Traced, divisor: int | None, groups: int = 1) -> Traced:
    """The rounded channel count."""
    scaled = alpha.made(f"scaled({integer(count)}, {alpha.text}, {divisor}, {groups})")
    alpha.tape.know(scaled.name, 1)
    return scaled


def round_size(size: int, rho: Traced) -> Traced:
    """size·ρ, rounded."""
    return rho.made(f"rounded({integer(size)}, {rho.text})")
