"""In which order a tensor's elements are in memory, and so which views have to be copies.

As torch does on a CPU. An order names the axes of more than one element from the outermost to the
innermost, and has a `GAP` where the next one does not follow at once: before an axis of which only
a part is there, say. Axes that follow each other without a gap merge in the same memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from costmodel.core import network as ir
from costmodel.layers.named import is_elementwise

if TYPE_CHECKING:
    from collections.abc import Iterable

    from costmodel.core.lower import Lowered
    from costmodel.core.network import Shape
    from costmodel.core.shapes import Inputs

Order = tuple[int, ...]
GAP = -1

#: Rules (layer, its input's order, input shapes, output shape) → the order of a view; None where
#: it has to be a copy. What is no view has none.
order_rule = ir.Rules()
#: Rules (layer, inputs' orders and shapes, output shape) → the order of a new tensor; that of its
#: shape for a layer without one.
written_rule = ir.Rules()
#: Rules (layer, the shape of an input) → how many leading axes it merges before it reads them, a
#: copy where they are not in one piece: those that a product of matrices has beside its own.
merge_rule = ir.Rules()


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


def views(layers: Iterable[Lowered]) -> set[str]:
    """The layers whose output is their first input in the same memory, with dropout at inference.

    A permutation of the channels to the end leaves height and width together, and no others:

    >>> from costmodel import Input, Network, lower
    >>> from costmodel.layers.operators import Permute, Reshape
    >>> kept, two = (1, (-1,)), (2, (-1,))
    >>> def flat(*runs):
    ...     moved = Permute("moved", (0, 2, 3, 1))
    ...     layers = Input("x", (2, 8, 7, 7)), moved, Reshape("flat", runs)
    ...     return "flat" in views(lower(Network("n", layers)))
    >>> flat(kept, two, kept), flat(kept, kept, two)
    (True, False)
    """
    return {name for name, place in placed(layers).items() if place.is_view}


class Place(NamedTuple):
    """Where a layer's output is: in which order, and whether in its first input's memory."""

    order: Order
    is_view: bool


def placed(layers: Iterable[Lowered]) -> dict[str, Place]:
    """The place of every layer's output."""
    places: dict[str, Place] = {}
    for layer, inputs, output, *_ in layers:
        reads = [places[name].order for name in layer.inputs]
        view = _viewed(layer, reads, inputs, output)
        order = _written(layer, reads, inputs, output) if view is None else view
        places[layer.name] = Place(order, view is not None)
    return places


def is_copied(layer: ir.Layer, order: Order, shape: Shape) -> bool:
    """Whether the layer copies an input before it reads it.

    >>> is_copied(ir.Linear("a", 8), (0, 2, 1), (2, 49, 8)), is_copied(
    ...     ir.Linear("a", 8), (0, 1, 2), (2, 49, 8))
    (True, False)
    """
    rule = merge_rule[type(layer)]
    leading = rule(layer, shape) if rule else 0
    if leading < 2:  # noqa: PLR2004 - nothing to merge
        return False
    rest = tuple(range(leading, len(shape)))
    pieces = [(tuple(range(leading)), (0,)), *(((axis,), (axis,)) for axis in rest)]
    return merged(order, pieces) is None


@merge_rule(ir.Linear)
def _linear(_layer: ir.Linear, shape: Shape) -> int:
    return len(shape) - 1


def is_view(x: Lowered) -> bool:
    """Whether a layer's output is its input in the same memory, where that is in plain order."""
    return _viewed(x.layer, list(map(plain, x.inputs)), x.inputs, x.output) is not None


def _viewed(layer: ir.Layer, reads: list[Order], inputs: Inputs, output: Shape) -> Order | None:
    rule = order_rule[type(layer)]
    return rule(layer, reads[0], inputs, output) if rule and reads else None


def _written(layer: ir.Layer, reads: list[Order], inputs: Inputs, output: Shape) -> Order:
    rule = written_rule[type(layer)]
    made: Order = rule(layer, reads, inputs, output) if rule else plain(output)
    return made


@written_rule(ir.Activation)
@written_rule(ir.Add)
def as_elementwise(layer: Any, reads: list[Order], inputs: Inputs, output: Shape) -> Order:
    """An operand's order, of the output's shape; the plain one of what is not elementwise."""
    if not isinstance(layer, ir.Add) and not is_elementwise(layer.function):
        return plain(output)
    whole = [order for order, shape in zip(reads, inputs, strict=True) if shape == output]
    order = whole[0] if whole else plain(output)
    return tuple([axis for axis in order if axis != GAP]) if GAP in order else order


@written_rule(ir.AdaptivePool)
@written_rule(ir.BatchNorm)
@written_rule(ir.Concat)
@written_rule(ir.Conv)
@written_rule(ir.Pool)
def as_image(_layer: ir.Layer, reads: list[Order], inputs: Inputs, output: Shape) -> Order:
    """Channels last in memory, where all inputs have them there."""
    images = reads[0][-1:] == (1,) and all(map(_is_last, reads, inputs))
    return _channels_last(output) if images else plain(output)


def _channels_last(shape: Shape) -> Order:
    return tuple(axis for axis in (0, *range(2, len(shape)), 1) if shape[axis] != 1)


def _is_last(order: Order, shape: Shape) -> bool:
    return len(shape) > 3 and order == _channels_last(shape) != plain(shape)  # noqa: PLR2004


@order_rule(ir.Activation)
def _activation(layer: ir.Activation, order: Order, _inputs: Inputs, output: Shape) -> Order | None:
    if layer.function == "contiguous":  # a gap around all of it is none
        return order if order[order[:1] == (GAP,) :] == plain(output) else None
    return order if layer.function in {"dropout", "identity"} else None


@order_rule(ir.Add)
def _add(_layer: ir.Add, order: Order, inputs: Inputs, _output: Shape) -> Order | None:
    return order if len(inputs) == 1 else None


@order_rule(ir.Flatten)
def _flatten(_layer: ir.Flatten, order: Order, inputs: Inputs, output: Shape) -> Order | None:
    rest = tuple(range(1, len(inputs[0])))
    return merged(order, [((0,), (0,)), (rest, (1,) * (output[1] != 1))])
