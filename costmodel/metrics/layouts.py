"""Where each layer's output lies: in which order, and whether in its input's memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from costmodel.core.orders import merged, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from costmodel.core.fields import Shape
    from costmodel.core.layer import Inputs, Layer
    from costmodel.core.lower import Lowered
    from costmodel.core.orders import Order


def views(layers: Iterable[Lowered]) -> set[str]:
    """The layers whose output is their first input in the same memory, with dropout at inference.

    A permutation of the channels to the end leaves height and width together, and no others:

    >>> from costmodel import Network, lower
    >>> from costmodel.layers import Input
    >>> from costmodel.layers import Permute, Reshape
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
        order = layer.memory_order(reads, inputs, output) if view is None else view
        order = plain(output) if order is None else order
        places[layer.name] = Place(order, view is not None)
    return places


def is_copied(layer: Layer, order: Order, shape: Shape) -> bool:
    """Whether the layer copies an input before it reads it.

    >>> from costmodel.layers import Linear
    >>> is_copied(Linear("a", 8), (0, 2, 1), (2, 49, 8)), is_copied(
    ...     Linear("a", 8), (0, 1, 2), (2, 49, 8))
    (True, False)
    """
    leading = layer.merged_axes(shape)
    if leading < 2:  # noqa: PLR2004 - nothing to merge
        return False
    rest = tuple(range(leading, len(shape)))
    pieces = [(tuple(range(leading)), (0,)), *(((axis,), (axis,)) for axis in rest)]
    return merged(order, pieces) is None


def is_view(x: Lowered) -> bool:
    """Whether a layer's output is its input in the same memory, where that is in plain order."""
    return _viewed(x.layer, list(map(plain, x.inputs)), x.inputs, x.output) is not None


def _viewed(layer: Layer, orders: Sequence[Order], inputs: Inputs, output: Shape) -> Order | None:
    return layer.view_order(orders[0], inputs, output) if orders else None
