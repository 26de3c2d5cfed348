"""What fields of the layers that traced models need may be."""

from __future__ import annotations

from functools import partial
from math import isfinite
from operator import index
from typing import Annotated, Any

from costmodel.algebra.numbers import MOST
from costmodel.core.fields import Kind, each, number, text, valid


def _integer(value: Any, least: int = 0) -> int:
    return index(number(value, least))


def _axis(value: Any) -> int:
    return _integer(value, -9)


def _equation(value: Any) -> Any:
    """Two operands' indices and some of them, each once, as the output's."""
    left, arrow, right = text(value).partition("->")
    letters = "".join((*left.split(","), right))
    known = set(right) <= set(left) and len(set(right)) == len(right)
    return text(valid(value, arrow and left.count(",") == 1 and letters.isalpha() and known))


def _finite(value: Any) -> Any:
    return valid(value, type(value) in {int, float} and isfinite(value))


def _order(value: Any) -> Any:
    order = each(_integer)(value)
    return valid(order, sorted(order) == [*range(len(order))])


def _pair(value: Any) -> tuple[int, int]:
    before, after = value
    return _integer(before, -MOST), _integer(after, -MOST)


def _run(value: Any) -> tuple[int, tuple[Any, ...]]:
    axes_read, sizes = value
    sizes = each(_size)(sizes)
    return _integer(axes_read), valid(sizes, sizes.count(-1) <= 1)


def _size(value: Any) -> Any:
    """A count, -1 for what is left, or an axis of an input."""
    if not isinstance(value, (tuple, list)):
        return _integer(value, -1)
    source, axis = value
    return _integer(source), _axis(axis)


def _item(value: Any) -> Any:
    if not isinstance(value, (tuple, list)):
        return _integer(value, -MOST)
    start, stop, step = value
    return (
        _integer(start, -MOST),
        stop if stop is None else _integer(stop, -MOST),
        _integer(step, 1),
    )


Axis = Annotated[int, Kind("an axis", _axis)]
Axes = Annotated[tuple[int, ...], Kind("axes", each(_axis))]
Count = Annotated[int, Kind("a count", _integer)]
Counts = Annotated[tuple[int, ...], Kind("counts", each(_integer))]
Positives = Annotated[tuple[int, ...], Kind("positive counts", each(partial(_integer, least=1)))]
SizesOrAny = Annotated[tuple[int, ...], Kind("sizes, or -1", each(partial(_integer, least=-1)))]
Shapes = Annotated[tuple[tuple[int, ...], ...], Kind("shapes", each(each(_integer)))]
Numbers = Annotated[tuple[float, ...], Kind("finite numbers", each(_finite))]
Equation = Annotated[str, Kind("two operands' indices and their output's", _equation)]
Permutation = Annotated[tuple[int, ...], Kind("a permutation of the axes", _order)]
Amounts = Annotated[tuple[tuple[int, int], ...], Kind("pairs of (before, after)", each(_pair))]
Runs = Annotated[
    tuple[tuple[int, tuple[int | tuple[int, int], ...]], ...],
    Kind("runs of (number of axes, sizes)", each(_run)),
]
Items = Annotated[
    tuple[int | tuple[int, int | None, int], ...],
    Kind("indices or (start, stop, step)", each(_item)),
]
