"""Shape inference: every layer's input and output shapes, in one pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, TypeVar

from costmodel.algebra.arithmetic import Dim, below, must_equal
from costmodel.errors import CostModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from costmodel.core.fields import Shape
    from costmodel.core.layer import Inputs, Layer
    from costmodel.core.network import Network

    LayerType = TypeVar("LayerType", bound=Layer)


class Placed(NamedTuple):
    """A layer in its place: what it reads and what it makes.

    >>> from costmodel import mobilenet_v1
    >>> infer(mobilenet_v1())[1].inputs
    ((1, 3, 224, 224),)
    """

    layer: Layer
    inputs: tuple[Shape, ...]
    output: Shape


def infer(network: Network) -> tuple[Placed, ...]:
    """Every layer with its shapes, in the network's order.

    >>> from costmodel import mobilenet_v1
    >>> infer(mobilenet_v1())[1].output
    (1, 32, 112, 112)

    Raises CostModelError, naming the layer, where shapes do not fit.
    """
    return tuple(Placed(*place) for place in walk(network))


def walk(network: Network) -> Iterator[tuple[Layer, Inputs, Shape]]:
    """What `infer` returns, one plain tuple after the other.

    Here alone every size of every layer is checked, in whatever algebra it is.
    """
    shapes: dict[str, Shape] = {}
    widths: dict[str, Dim] = {}
    shape_of = shapes.__getitem__
    for layer in network.layers:
        inputs = tuple(map(shape_of, layer.inputs))
        shapes[layer.name] = output = layer.output_shape(inputs, widths)
        for size in () if inputs and output is inputs[0] else output:
            if size < 1 if type(size) is int else below(size):
                _check_empty(layer, inputs, output)
        if layer.width:
            widths[layer.name] = output[layer.axis]
        yield layer, inputs, output


def _check_empty(layer: Layer, inputs: Inputs, output: Shape) -> None:
    """An error, but for an empty tensor of a traced model and what reads one."""
    empty = layer.may_be_empty or any(0 in shape for shape in inputs)
    if not empty or any(below(size, 0) for size in output):
        if layer.window:
            slide(layer, inputs[0], layer.window, _fit)
        raise CostModelError(f"{layer.name}: would make {shape_text(output)}; raise the resolution")


def _fit(layer: Layer, size: Dim, window: tuple[Any, ...]) -> Dim:
    """The size, if the window is no larger than it is when padded: most often it is why."""
    kernel, _, padding, dilation = window
    if below(size + 2 * padding, dilation * (kernel - 1) + 1):
        what = f"kernel {kernel} (dilation {dilation}) is larger than its input of {size}"
        raise CostModelError(f"{layer.name}: {what} with padding {padding}; raise the resolution")
    return size


def axes(value: Any, layer: Layer, rank: int) -> tuple[Any, ...]:
    """A hyper-parameter's value on each of `rank` spatial axes."""
    if not isinstance(value, tuple):
        return (value,) * rank
    if len(value) != rank:
        raise CostModelError(f"{layer.name}: {value} must have {rank} values, one for each axis")
    return value


def ranked(layer: Layer, shape: Shape, least: int) -> Shape:
    """A shape that has some axes; an error where it has fewer."""
    if len(shape) < least:
        refuse(layer, f"needs {least} axes or more, and its input is {shape_text(shape)}")
    return shape


def on_axis(layer: Layer, axis: int, shape: Shape) -> int:
    """The axis, counted from the front; an error where the shape is too short."""
    if not -len(shape) <= axis < len(shape):
        what = f"needs an axis {axis}, and its input is {shape_text(shape)}"
        refuse(layer, what, "change the axis")
    return axis % len(shape)


def refuse(layer: Layer, what: str, remedy: str = "") -> NoReturn:
    """Raise CostModelError that names the layer."""
    raise CostModelError(f"{layer.name}: {what}" + f"; {remedy}" * bool(remedy))


def same_shape(layer: Layer, shape: Shape, other: Shape) -> bool:
    """Whether two shapes agree on every axis."""
    what = f"{layer.name} needs equal sizes"
    pairs = zip(shape, other, strict=False)
    return len(shape) == len(other) and all(a == b or must_equal(a, b, what) for a, b in pairs)


def shape_text(shape: Shape) -> str:
    """A shape as people write it: 1×3×224×224."""
    return "×".join(map(str, shape)) or "a number"


def slide(
    layer: LayerType,
    shape: Shape,
    window: tuple[Any, ...],
    side: Callable[[LayerType, Dim, tuple[Any, ...]], Dim],
) -> Shape:
    """`side(layer, size, window)` on each spatial axis; once for all where every axis is alike."""
    sizes = ranked(layer, shape, 3)[2:]
    rank = len(sizes)
    if tuple not in map(type, window) and sizes.count(sizes[0]) == rank:
        return (side(layer, sizes[0], window),) * rank
    windows = zip(*(axes(value, layer, rank) for value in window), strict=True)
    return tuple([side(layer, *axis) for axis in zip(sizes, windows, strict=True)])
