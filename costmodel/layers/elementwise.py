"""Elementwise functions: of one input, of one and numbers, of several."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, ClassVar

from costmodel.core.fields import Shape, Text
from costmodel.core.layer import Layer
from costmodel.core.nest import NOTHING, OUTPUT, Elementwise, Keeps
from costmodel.core.orders import GAP, expanded, of_operand, plain
from costmodel.core.shapes import refuse, same_shape, shape_text
from costmodel.layers.fields import Numbers
from costmodel.layers.fixed import TRACE_AGAIN, agree_fixed
from costmodel.layers.named import elementwise, is_elementwise

if TYPE_CHECKING:
    from costmodel.core.layer import Counts, Inputs, Lowering
    from costmodel.core.orders import Order


class _Function(Layer):
    """A function of torch, by name, of tensors and no parameters."""

    function: Text

    def lowered(self, inputs: Inputs, output: Shape) -> Lowering:
        """An elementwise body of as many taps as there are inputs."""
        return (Elementwise(self.function, output, len(inputs)),), ()

    def may_overwrite(self) -> bool:
        """Where the function is elementwise."""
        return is_elementwise(self.function)

    def memory_order(self, orders: list[Order], inputs: Inputs, output: Shape) -> Order | None:
        """As an operand's where the function is elementwise."""
        return of_operand(orders, inputs, output) if is_elementwise(self.function) else None


class _OfOne(_Function):
    """A function of one input."""

    follows: ClassVar[bool] = True

    def view_order(self, order: Order, inputs: Inputs, output: Shape) -> Order | None:
        """Nothing is done where the tensor is as it should be, and by dropout at inference."""
        if self.function == "contiguous":  # a gap around all of it is none
            return order if order[order[:1] == (GAP,) :] == plain(output) else None
        return order if self.function in {"dropout", "identity"} else None

    def keeps(self, inputs: Inputs, output: Shape) -> Keeps | None:
        """As the function's row says, and dropout its mask."""
        size = prod(output)
        if self.function == "dropout":
            return Keeps(own=((size, 0),))  # the mask, scaled
        if self.function == "local_response_norm":
            # Over 5 channels: the squares, padded by 2 on each side; the sum; and its power.
            padded = output[0] * (output[1] + 4) * prod(output[2:])
            return Keeps(inputs=True, own=((padded, 0), (size, 0), (size, 0)))
        row = elementwise(self.function)  # in place it keeps the same
        return row.keeps if row else _KEPT.get(self.function)


#: By function, of those that are not elementwise.
_KEPT = {"softmax": OUTPUT, "log_softmax": OUTPUT, "contiguous": NOTHING}


@dataclass(frozen=True)
class Activation(_OfOne):
    """An elementwise function of one input: no MACs, no parameters.

    >>> Activation("conv1.act", "relu6").function
    'relu6'
    """

    function: Text = "relu"
    keeps_axes: ClassVar[bool] = True


@dataclass(frozen=True)
class WithNumbers(_OfOne):
    """An elementwise function of one input and of numbers, in torch's order: x + 3, x mod 2.

    >>> from costmodel import Network, cost
    >>> from costmodel.layers import Input
    >>> halved = WithNumbers("halved", "div", (2.0,))
    >>> cost(Network("n", (Input("x", (1, 16)), halved))).macs
    0
    """

    function: Text = "relu"
    numbers: Numbers = ()


@dataclass(frozen=True)
class Add(Layer):
    """The elementwise sum of inputs of one shape (a residual connection).

    >>> from costmodel import Network
    >>> from costmodel.core import infer
    >>> from costmodel.layers import Input
    >>> total = Add("sum", inputs=("image", "act"))
    >>> layers = (Input("image", (1, 24, 56, 56)), Activation("act"), total)
    >>> infer(Network("n", layers))[-1].output
    (1, 24, 56, 56)
    """

    arity: ClassVar[int | None] = None

    def output_shape(self, inputs: Inputs, widths: Counts) -> Shape:
        """The first input's, which the others have to have."""
        for shape in inputs:
            if shape != inputs[0] and not same_shape(self, shape, inputs[0]):
                what = f"adds {shape_text(inputs[0])} and {shape_text(shape)}"
                refuse(self, what, "make them equal")
        return inputs[0]

    def lowered(self, inputs: Inputs, output: Shape) -> Lowering:
        """An elementwise body of as many taps as there are inputs."""
        return (Elementwise("add", output, len(inputs)),), ()

    def keeps(self, inputs: Inputs, output: Shape) -> Keeps:
        """Nothing."""
        return NOTHING

    def may_overwrite(self) -> bool:
        """It may."""
        return True

    def view_order(self, order: Order, inputs: Inputs, output: Shape) -> Order | None:
        """A sum of one is that."""
        return order if len(inputs) == 1 else None

    def memory_order(self, orders: list[Order], inputs: Inputs, output: Shape) -> Order:
        """As an operand's."""
        return of_operand(orders, inputs, output)


@dataclass(frozen=True)
class Combine(_Function):
    """An elementwise function of several inputs, broadcast as torch does: squeeze-excite's product.

    >>> from costmodel import Network
    >>> from costmodel.core import infer
    >>> from costmodel.layers import Input
    >>> layers = (Input("map", (1, 24, 56, 56)), Input("gate", (1, 24, 1, 1)))
    >>> infer(Network("n", (*layers, Combine("scale", "mul", inputs=("map", "gate")))))[-1].output
    (1, 24, 56, 56)
    """

    function: Text
    arity: ClassVar[int | None] = None

    @property
    def _expands(self) -> bool:
        return self.function in {"expand", "expand_as", "broadcast_to"}

    def output_shape(self, inputs: Inputs, widths: Counts) -> Shape:
        """Broadcast: axes of 1 take the other's size."""
        rank = max(map(len, inputs))
        aligned = [(1,) * (rank - len(shape)) + tuple(shape) for shape in inputs]
        output = []
        for sizes in zip(*aligned, strict=True):
            size, *others = [size for size in sizes if size != 1] or [1]
            ones = [one for one in sizes if one == 1]
            fits = all(agree_fixed(self, size, other) for other in others)
            if not (fits and all(agree_fixed(self, one, 1) for one in ones)):
                given = " and ".join(map(shape_text, inputs))
                what = f"{self.function} of {given}, one of which fixes the size"
                refuse(self, what, TRACE_AGAIN)
            output.append(size)
        return tuple(output)

    def keeps(self, inputs: Inputs, output: Shape) -> Keeps | None:
        """As the function's row says; an expansion nothing."""
        row = elementwise(self.function)
        return NOTHING if self._expands else row and row.of_more

    def view_order(self, order: Order, inputs: Inputs, output: Shape) -> Order | None:
        """An expansion repeats without a copy."""
        return expanded(order, inputs[0], output) if self._expands else None
