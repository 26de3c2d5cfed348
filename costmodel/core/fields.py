"""What a layer's fields may be: each kind in words, with the function that checks it.

A field has the kind that its declared type carries: `Flag = Annotated[bool, Kind(…)]`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable  # noqa: TC003 - a NamedTuple's
from typing import Annotated, Any, NamedTuple

from costmodel.algebra.arithmetic import Dim
from costmodel.core.relations import AtLeast, Fixed, Times

#: (batch, channels, *spatial sizes) or (batch, *, features), as torch has them.
Shape = tuple[Dim, ...]


class Kind(NamedTuple):
    """What a field must be, in words, and the function that checks and normalises a value."""

    words: str
    canonical: Callable[[Any], Any]


def valid(value: Any, rule: object) -> Any:
    """The value where the rule holds; else a ValueError, which a layer words."""
    if not rule:
        raise ValueError
    return value


def number(value: Any, least: int = 1) -> Dim:
    """An integer of at least `least` as Python's own, or a symbol as it is."""
    if getattr(value, "free_symbols", None):
        return value
    whole = operator.index(value)  # numpy's integers too, which would overflow in silence
    return valid(whole, whole >= least and not isinstance(value, bool))


def _axes(value: Any, least: int = 1) -> Any:
    if not isinstance(value, (tuple, list)):
        return number(value, least)
    numbers = tuple(number(part, least) for part in valid(value, value))
    return numbers[0] if numbers.count(numbers[0]) == len(numbers) else numbers


def _width(value: Any) -> Any:
    if isinstance(value, Times):
        return Times(number(value.factor), text(value.of))
    related = isinstance(value, (AtLeast, Fixed))
    return type(value)(number(value.count)) if related else number(value)


def _groups(value: Any) -> Any:
    related = isinstance(value, (AtLeast, Fixed)) or getattr(value, "of", "") != ""
    return _width(valid(value, not related))


def each(check: Callable[[Any], Any], least: int = 0) -> Callable[[Any], tuple[Any, ...]]:
    """A check of a tuple of at least `least`, by that of its elements."""
    return lambda values: tuple(
        map(check, valid(values, isinstance(values, (tuple, list)) and len(values) >= least))
    )


def text(value: Any) -> Any:
    """A text."""
    return valid(value, type(value) is str)


def _name(value: Any) -> Any:
    return valid(text(value), value)


def _names(value: Any) -> tuple[str, ...]:
    return each(_name)((value,) if isinstance(value, str) else value)


#: A plain count scales with α.
Width = Annotated[Dim | Times | AtLeast | Fixed, Kind("a positive count or a relation", _width)]
Name = Annotated[str, Kind("a text that is not empty", _name)]
Names = Annotated[tuple[str, ...], Kind("names of layers", _names)]
Owner = Annotated[str, Kind("the name of a layer", text)]
Text = Annotated[str, Kind("a text", text)]
Pooling = Annotated[str, Kind("'average' or 'max'", lambda x: valid(x, x in {"average", "max"}))]
Flag = Annotated[bool, Kind("true or false", lambda value: valid(value, type(value) is bool))]
Positive = Annotated[int, Kind("a positive count", lambda value: operator.index(number(value)))]
Sizes = Annotated[Shape, Kind("two or more positive integers", each(number, 2))]
#: A tuple has one for each spatial axis.
PerAxis = Annotated[Dim, Kind("a positive integer (or one for each axis)", _axes)]
Padding = Annotated[
    Dim, Kind("an integer of at least 0 (or one for each axis)", lambda value: _axes(value, 0))
]
Groups = Annotated[Dim, Kind("a positive integer or Times(n)", _groups)]
