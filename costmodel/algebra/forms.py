"""Forms: integers that know which widths they are sums of, and note what rules want of them.

`costmodel.core.widths` lowers a network with them and solves what they noted. In everything but
`must_equal` a form is the number that it is.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple, Self

from costmodel.algebra import forms, numbers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from costmodel.algebra.arithmetic import Dim
    from costmodel.algebra.protocol import Algebra

    #: A sum of widths, by name, each times a number.
    Terms = dict[str, Fraction | int]


class Notes(NamedTuple):
    """What rules want of forms: two that are equal (and who says so), one that a number divides."""

    equations: list[tuple[Form, int, str]]
    divisions: list[tuple[Form, int]]


class Form(int):
    """A size that is a sum of widths, each times a number, and of a number.

    A product of two such is none: it knows its `factors`, and in `terms` what they are made of.
    """

    algebra: ClassVar[Algebra] = forms
    notes: Notes
    terms: Terms
    factors: tuple[Form, ...] = ()

    def _made(self, value: int, terms: Mapping[str, Any], factors: tuple[Form, ...] = ()) -> Any:
        form = Form(value)
        form.notes, form.terms, form.factors = self.notes, dict(terms), factors
        return form

    def _product(self, other: int, value: int) -> Any:
        sides = [x for x in (self, other) if isinstance(x, Form)]
        terms = dict.fromkeys(chain(*(side.terms for side in sides)), 1)
        return self._made(value, terms, tuple(chain(*(x.factors or (x,) for x in sides))))

    def __add__(self, other: int) -> Any:
        if type(other) is int:
            return self._made(int.__add__(self, other), self.terms, self.factors)
        if not isinstance(other, Form):  # a symbol, which the resolution may be
            return int(self) + other
        value = int.__add__(self, other)
        if self.factors or other.factors:
            return self._product(other, value)
        total = self.terms.copy()
        for name, factor in other.terms.items():
            total[name] = total.get(name, 0) + factor
        return self._made(value, total)

    def __sub__(self, other: int) -> Any:
        return self + -other

    def __rsub__(self, other: int) -> Any:
        return -self + other

    def __neg__(self) -> Any:
        return self * -1

    def __mul__(self, other: int) -> Any:
        if type(other) is not int:
            whole = isinstance(other, Form)
            return self._product(other, int.__mul__(self, other)) if whole else int(self) * other
        if other == 1:
            return self
        value = int.__mul__(self, other)
        if self.factors:
            return self._made(value, self.terms, self.factors)
        return self._made(value, {name: factor * other for name, factor in self.terms.items()})

    def __floordiv__(self, other: int) -> Any:
        return divmod(self, other)[0]

    def __mod__(self, other: int) -> Any:
        value = int.__mod__(self, other)
        return value if value or self.factors else _Remainder(self, other)

    def __divmod__(self, other: int) -> Any:
        """The quotient of a division that leaves nothing over, and has to at any width."""
        if type(other) is int and other == 1:
            return self, 0
        whole, rest = int.__divmod__(self, other)
        if isinstance(other, Form):
            if self is not other:
                self.note_equal(other * whole, "")
            return whole, rest
        if rest or self.factors:
            return self._product(1, whole), rest
        self.notes.divisions.append((self, other))
        return self._made(whole, {k: Fraction(f) / other for k, f in self.terms.items()}), 0

    def __rdivmod__(self, other: int) -> Any:
        self.note_equal(int(self), "")
        return divmod(int(other), int(self))

    def note_equal(self, other: int, what: str) -> None:
        """Note that two sizes have to be equal, and which layer says so."""
        if self is not other:
            self.notes.equations.append((self, other, what))

    def __eq__(self, other: object) -> bool:
        """A width is no number, though it has one: a rule that wants it equal has to say so.

        In shapes 1 and −1 are no sizes, but stand for whatever there is.
        """
        if self is other:
            return True
        if isinstance(other, Form):
            known = (self.terms, self.factors) == (other.terms, other.factors)
            return known and int.__eq__(self, other)
        return other in (0, 1) and int.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = int.__hash__
    __radd__ = __add__
    __rmul__ = __mul__


class _Remainder(int):
    """Nothing left over, as long as a form divides."""

    algebra: ClassVar[Algebra] = forms
    form: Form
    by: int

    def __new__(cls, form: Form, by: int) -> Self:
        self = super().__new__(cls)
        self.form, self.by = form, by
        return self

    def note_equal(self, other: int, what: str) -> None:
        """Note that the form divides, or that it stays where another remainder is wanted."""
        if other:
            self.form.note_equal(int(self.form), what)
        else:
            self.form.notes.divisions.append((self.form, self.by))


# The algebra (`costmodel.algebra.protocol`) ----------------------------------------------------

FORMULAS: Final = False

ceil_div = numbers.ceil_div
ceil_mode_size = numbers.ceil_mode_size
round_size = numbers.round_size
scale_channels = numbers.scale_channels
at_least_one = numbers.at_least_one
below = numbers.below


def must_equal(size: Form | _Remainder, other: Dim, what: str) -> bool:
    """Yes, which is noted: it is to hold whatever the widths are."""
    size.note_equal(other, what)
    return True
