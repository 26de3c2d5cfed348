"""Shape inference: every layer's input and output shapes, in one pass."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

from costmodel.arithmetic import Dim, ceil_div, ceil_mode_size
from costmodel.errors import CostModelError
from costmodel.network import (
    AdaptivePool,
    AtLeast,
    Concat,
    Conv,
    Fixed,
    Flatten,
    Input,
    Layer,
    Linear,
    Network,
    Pool,
    Rules,
    Shape,
    Times,
    Width,
)
from costmodel.network import Add as _Add

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

#: Rules (layer, input shapes, shapes by layer name) → output shape. A layer type without one
#: keeps the shape of its first input.
shape_rule = Rules()


#: A window's hyper-parameters: kernel, stride, padding and, of a convolution, dilation.
Window = tuple[Any, ...]


class Placed(NamedTuple):
    """A layer in its place: what it reads and what it makes."""

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


def walk(network: Network) -> Iterator[tuple[Layer, tuple[Shape, ...], Shape]]:
    """What `infer` returns, one plain tuple after the other."""
    shapes: dict[str, Shape] = {}
    for layer in network.layers:
        inputs = tuple([shapes[name] for name in layer.inputs])
        rule = shape_rule[type(layer)]
        shapes[layer.name] = output = rule(layer, inputs, shapes) if rule else inputs[0]
        yield layer, inputs, output


def count(width: Width, shape: Shape, axis: int, shapes: Mapping[str, Shape]) -> Dim:
    """The number of channels a width stands for, given the shape it may relate to."""
    if isinstance(width, Times):
        return (shapes[width.of] if width.of else shape)[axis] * width.factor
    if isinstance(width, (AtLeast, Fixed)):
        return width.count
    return width


def axes(value: Any, layer: Layer, rank: int) -> tuple[Any, ...]:
    """A hyper-parameter's value on each of `rank` spatial axes."""
    if not isinstance(value, tuple):
        return (value,) * rank
    if len(value) != rank:
        message = f"{layer.name}: {value} has {len(value)} values for {rank} spatial axes"
        raise CostModelError(message)
    return value


def _spatial(layer: Layer, shape: Shape) -> Shape:
    if len(shape) < 3:  # noqa: PLR2004 - batch, channels and at least one more
        message = f"{layer.name}: needs an input with spatial axes, got {_text(shape)}"
        raise CostModelError(message)
    return shape[2:]


def _text(shape: Shape) -> str:
    return "×".join(map(str, shape))


def _span(layer: Layer, size: Dim, kernel: Dim, padding: Dim, dilation: Dim) -> Dim:
    """D + 2p − d(k − 1): the positions a window has at stride 1; an error where none."""
    span = size + 2 * padding - dilation * (kernel - 1)
    if type(span) is int and span < 1:
        message = (
            f"{layer.name}: kernel {kernel} (dilation {dilation}) is larger than its input of "
            f"{size} with padding {padding}; raise the resolution or the padding"
        )
        raise CostModelError(message)
    return span


@shape_rule(Input)
def _input(layer: Input, _inputs: tuple[Shape, ...], _shapes: Mapping[str, Shape]) -> Shape:
    return layer.shape


def _per_axis(layer: Layer, sizes: Shape, window: Window, side: Callable[..., Dim]) -> Shape:
    """`side(layer, size, window)` on each axis; once for all where every axis is alike."""
    rank = len(sizes)
    if tuple not in map(type, window) and sizes.count(sizes[0]) == rank:
        return (side(layer, sizes[0], window),) * rank
    windows = zip(*(axes(value, layer, rank) for value in window), strict=True)
    return tuple([side(layer, *axis) for axis in zip(sizes, windows, strict=True)])


def _conv_side(layer: Layer, size: Dim, window: Window) -> Dim:
    # ceil((D + 2p - d(k - 1)) / s), which is torch's floor formula.
    kernel, stride, padding, dilation = window
    return ceil_div(_span(layer, size, kernel, padding, dilation), stride)


@shape_rule(Conv)
def _conv(layer: Conv, inputs: tuple[Shape, ...], shapes: Mapping[str, Shape]) -> Shape:
    (shape,) = inputs
    window = (layer.kernel, layer.stride, layer.padding, layer.dilation)
    sides = _per_axis(layer, _spatial(layer, shape), window, _conv_side)
    return shape[0], count(layer.out_channels, shape, 1, shapes), *sides


@shape_rule(Linear)
def _linear(layer: Linear, inputs: tuple[Shape, ...], shapes: Mapping[str, Shape]) -> Shape:
    (shape,) = inputs
    return *shape[:-1], count(layer.out_features, shape, -1, shapes)


def _pool_side(layer: Pool, size: Dim, window: Window) -> Dim:
    kernel, stride, padding = window
    if 2 * padding > kernel:
        message = f"{layer.name}: padding {padding} must be at most half of the kernel {kernel}"
        raise CostModelError(message)
    span = _span(layer, size, kernel, padding, 1)
    if layer.ceil_mode:
        return ceil_mode_size(span - 1, size + padding, stride)
    return ceil_div(span, stride)


@shape_rule(Pool)
def _pool(layer: Pool, inputs: tuple[Shape, ...], _shapes: Mapping[str, Shape]) -> Shape:
    (shape,) = inputs
    window = (layer.kernel, layer.stride, layer.padding)
    return shape[:2] + _per_axis(layer, _spatial(layer, shape), window, _pool_side)


@shape_rule(AdaptivePool)
def _adaptive(
    layer: AdaptivePool, inputs: tuple[Shape, ...], _shapes: Mapping[str, Shape]
) -> Shape:
    (shape,) = inputs
    return shape[:2] + axes(layer.output_size, layer, len(_spatial(layer, shape)))


@shape_rule(_Add)
def _add(layer: Layer, inputs: tuple[Shape, ...], _shapes: Mapping[str, Shape]) -> Shape:
    for shape in inputs[1:]:
        if shape != inputs[0]:
            message = f"{layer.name}: adds {_text(inputs[0])} and {_text(shape)}; make them equal"
            raise CostModelError(message)
    return inputs[0]


@shape_rule(Concat)
def _concat(layer: Layer, inputs: tuple[Shape, ...], _shapes: Mapping[str, Shape]) -> Shape:
    first = inputs[0]
    for shape in inputs[1:]:
        if len(shape) != len(first) or shape[:1] + shape[2:] != first[:1] + first[2:]:
            message = (
                f"{layer.name}: joins {_text(first)} and {_text(shape)}; all but the channels "
                "must be equal"
            )
            raise CostModelError(message)
    return first[0], sum(shape[1] for shape in inputs), *first[2:]


@shape_rule(Flatten)
def _flatten(_layer: Layer, inputs: tuple[Shape, ...], _shapes: Mapping[str, Shape]) -> Shape:
    (shape,) = inputs
    return shape[0], prod(shape[1:])
