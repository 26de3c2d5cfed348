"""Inputs joined along the channels, and a map as a vector: nothing is computed."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, ClassVar

from costmodel.core.fields import Shape
from costmodel.core.layer import Layer
from costmodel.core.nest import NOTHING, Elementwise, Keeps
from costmodel.core.orders import merged, of_image
from costmodel.core.shapes import ranked, refuse, same_shape, shape_text

if TYPE_CHECKING:
    from costmodel.core.layer import Counts, Inputs, Lowering
    from costmodel.core.orders import Order


class _Moves(Layer):
    """What moves elements or leaves them where they are, and does nothing to them."""

    def lowered(self, inputs: Inputs, output: Shape) -> Lowering:
        """No nest."""
        operation = getattr(self, "function", type(self).__name__.lower())
        return (Elementwise(operation, output),), ()

    def keeps(self, inputs: Inputs, output: Shape) -> Keeps:
        """Nothing."""
        return NOTHING


@dataclass(frozen=True)
class Concat(_Moves):
    """Inputs side by side along the channels.

    >>> from costmodel import Network
    >>> from costmodel.core import infer
    >>> from costmodel.layers import Conv, Input
    >>> layers = (Input("image", (1, 3, 8, 8)), Conv("a", 5, 1), Concat("c", inputs=("image", "a")))
    >>> infer(Network("n", layers))[-1].output
    (1, 8, 8, 8)
    """

    arity: ClassVar[int | None] = None

    def output_shape(self, inputs: Inputs, widths: Counts) -> Shape:
        """The channels' sum; all else has to be equal."""
        rest = [shape[:1] + shape[2:] for shape in (ranked(self, x, 2) for x in inputs)]
        for shape, part in zip(inputs, rest, strict=True):
            if part != rest[0] and not same_shape(self, part, rest[0]):
                what = f"joins {shape_text(inputs[0])} and {shape_text(shape)}"
                refuse(self, what, "make them equal")
        return inputs[0][0], sum(shape[1] for shape in inputs), *inputs[0][2:]

    def memory_order(self, orders: list[Order], inputs: Inputs, output: Shape) -> Order:
        """As images are."""
        return of_image(orders, inputs, output)


@dataclass(frozen=True)
class Flatten(_Moves):
    """Everything but the batch as one axis.

    >>> from costmodel import Network
    >>> from costmodel.core import infer
    >>> from costmodel.layers import Input
    >>> infer(Network("n", (Input("image", (1, 256, 6, 6)), Flatten("flatten"))))[-1].output
    (1, 9216)
    """

    flattens: ClassVar[bool] = True

    def output_shape(self, inputs: Inputs, widths: Counts) -> Shape:
        """(batch, all else)."""
        shape = ranked(self, inputs[0], 1)
        return shape[0], prod(shape[1:])

    def view_order(self, order: Order, inputs: Inputs, output: Shape) -> Order | None:
        """A view where the axes are in one piece."""
        rest = tuple(range(1, len(inputs[0])))
        return merged(order, [((0,), (0,)), (rest, (1,) * (output[1] != 1))])
