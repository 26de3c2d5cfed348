"""In which order a tensor's elements are in memory, and so which views have to be copies.

As torch does on a CPU. An order names the axes of more than one element from the outermost to the
innermost, and has a `GAP` where the next one does not follow at once: before an axis of which only
a part is there, say. Axes that follow each other without a gap merge in the same memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from costmodel.core.fields import Shape

Order = tuple[int, ...]
GAP = -1


def plain(shape: Shape) -> Order:
    """The order of the shape itself.

    >>> plain((1, 8, 14, 14))
    (1, 2, 3)
    """
    # A formula is taken to be more than 1.
    return tuple([axis for axis, size in enumerate(shape) if type(size) is not int or size != 1])


def merged(order: Order, runs: Iterable[tuple[Order, Order]]) -> Order | None:
    """The order once each run of axes is another run; None where one is not in one piece.

    >>> merged((0, 2, 3, 1), [((0,), (0,)), ((2, 3), (1,)), ((1,), (2,))])
    (0, 1, 2)
    >>> merged((0, 2, 3, 1), [((0,), (0,)), ((1, 2), (1,)), ((3,), (2,))]) is None
    True
    """
    places: dict[int, Order] = {}
    for before, after in runs:
        read = tuple(axis for axis in before if axis in order)
        start = order.index(read[0]) if read else 0
        if order[start : start + len(read)] != read:
            return None
        places |= {axis: after if i == 0 else () for i, axis in enumerate(read)}
    return tuple(new for axis in order for new in ((GAP,) if axis == GAP else places[axis]))


def of_operand(orders: Sequence[Order], inputs: Sequence[Shape], output: Shape) -> Order:
    """An operand's order, of the output's shape: what an elementwise function writes."""
    whole = [order for order, shape in zip(orders, inputs, strict=True) if shape == output]
    order = whole[0] if whole else plain(output)
    return tuple([axis for axis in order if axis != GAP]) if GAP in order else order


def of_image(orders: Sequence[Order], inputs: Sequence[Shape], output: Shape) -> Order:
    """Channels last in memory, where all inputs have them there."""
    images = orders[0][-1:] == (1,) and all(map(_is_last, orders, inputs))
    return _channels_last(output) if images else plain(output)


def expanded(order: Order, shape: Shape, output: Shape) -> Order:
    """Axes whose every position is the same element are next to nothing."""
    new = len(output) - len(shape)
    grown = (axis for axis in plain(output) if axis < new or shape[axis - new] == 1)
    moved = (axis if axis == GAP else axis + new for axis in order)
    return (*moved, *(place for axis in grown for place in (GAP, axis)))


def _channels_last(shape: Shape) -> Order:
    return tuple(axis for axis in (0, *range(2, len(shape)), 1) if shape[axis] != 1)


def _is_last(order: Order, shape: Shape) -> bool:
    return len(shape) > 3 and order == _channels_last(shape) != plain(shape)  # noqa: PLR2004
