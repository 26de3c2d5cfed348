"""Shape inference: every layer's input and output shapes, in one pass."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

from costmodel import network as ir
from costmodel.arithmetic import Dim, ceil_div, ceil_mode_size
from costmodel.errors import CostModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Inputs = tuple[ir.Shape, ...]
    Widths = Mapping[str, Dim]

#: Rules (layer, input shapes, widths by layer name) → output shape. A layer type without one
#: keeps the shape of its first input.
shape_rule = ir.Rules()
#: A window's hyper-parameters: kernel, stride, padding and, of a convolution, dilation.
Window = tuple[Any, ...]


class Placed(NamedTuple):
    """A layer in its place: what it reads and what it makes.

    >>> from costmodel import mobilenet_v1
    >>> infer(mobilenet_v1())[1].inputs
    ((1, 3, 224, 224),)
    """

    layer: ir.Layer
    inputs: tuple[ir.Shape, ...]
    output: ir.Shape


def infer(network: ir.Network) -> tuple[Placed, ...]:
    """Every layer with its shapes, in the network's order.

    >>> from costmodel import mobilenet_v1
    >>> infer(mobilenet_v1())[1].output
    (1, 32, 112, 112)

    Raises CostModelError, naming the layer, where shapes do not fit.
    """
    return tuple(Placed(*place) for place in walk(network))


def walk(network: ir.Network) -> Iterator[tuple[ir.Layer, Inputs, ir.Shape]]:
    """What `infer` returns, one plain tuple after the other."""
    shapes: dict[str, ir.Shape] = {}
    widths: dict[str, Dim] = {}
    shape_of = shapes.__getitem__
    for layer in network.layers:
        inputs = tuple(map(shape_of, layer.inputs))
        rule = shape_rule[type(layer)]
        shapes[layer.name] = output = rule(layer, inputs, widths) if rule else inputs[0]
        if layer.width:
            widths[layer.name] = output[layer.axis]
        yield layer, inputs, output


def count(width: ir.Width, own: Dim, widths: Widths) -> Dim:
    """The channels a width stands for, given those of its own input and of other layers."""
    if isinstance(width, ir.Times):
        return (widths[width.of] if width.of else own) * width.factor
    return width.count if isinstance(width, (ir.AtLeast, ir.Fixed)) else width


def axes(value: Any, layer: ir.Layer, rank: int) -> tuple[Any, ...]:
    """A hyper-parameter's value on each of `rank` spatial axes."""
    if not isinstance(value, tuple):
        return (value,) * rank
    if len(value) != rank:
        raise CostModelError(f"{layer.name}: {value} must have {rank} values, one for each axis")
    return value


def agree(size: Dim, other: Dim, what: str) -> bool:
    """Whether two sizes are one; `what` says which layer wants it.

    A size that is no plain number (of a grid, of a function to be called later, of a width that
    may change) sees to it itself, with `must_equal`.
    """
    for one, another in ((size, other), (other, size)):
        if hasattr(one, "must_equal"):
            one.must_equal(another, what)
            return True
    return bool(size == other)


def same_shape(layer: ir.Layer, shape: ir.Shape, other: ir.Shape) -> bool:
    """Whether two shapes agree on every axis."""
    what = f"{layer.name} needs equal sizes"
    pairs = zip(shape, other, strict=False)
    return len(shape) == len(other) and all(a == b or agree(a, b, what) for a, b in pairs)


def _spatial(layer: ir.Layer, shape: ir.Shape) -> ir.Shape:
    if len(shape) < 3:  # noqa: PLR2004 - batch, channels and at least one more
        raise CostModelError(f"{layer.name}: needs spatial axes, and its input is {_text(shape)}")
    return shape[2:]


def _text(shape: ir.Shape) -> str:
    return "×".join(map(str, shape))


def _span(layer: ir.Layer, size: Dim, window: Window, over: int = 0) -> Dim:
    """D + 2p − d(k − 1): the positions a window has at stride 1; an error where none.

    A window may hang `over` the end, in ceil_mode by less than a stride.
    """
    kernel, padding, dilation = window
    span = size + 2 * padding - dilation * (kernel - 1)
    if type(span) is int and span + over < 1:
        what = f"kernel {kernel} (dilation {dilation}) is larger than its input of {size}"
        raise CostModelError(f"{layer.name}: {what} with padding {padding}; raise the resolution")
    return span


def _per_axis(
    layer: ir.Layer, shape: ir.Shape, window: Window, side: Callable[..., Dim]
) -> ir.Shape:
    """`side(layer, size, window)` on each axis; once for all where every axis is alike."""
    sizes = _spatial(layer, shape)
    rank = len(sizes)
    if tuple not in map(type, window) and sizes.count(sizes[0]) == rank:
        return (side(layer, sizes[0], window),) * rank
    windows = zip(*(axes(value, layer, rank) for value in window), strict=True)
    return tuple([side(layer, *axis) for axis in zip(sizes, windows, strict=True)])


def _conv_side(layer: ir.Layer, size: Dim, window: Window) -> Dim:
    # ceil((D + 2p - d(k - 1)) / s), which is torch's floor formula.
    kernel, stride, padding, dilation = window
    return ceil_div(_span(layer, size, (kernel, padding, dilation)), stride)


def _pool_side(layer: ir.Pool, size: Dim, window: Window) -> Dim:
    kernel, stride, padding = window
    if 2 * padding > kernel:
        raise CostModelError(
            f"{layer.name}: padding {padding} must be at most half of kernel {kernel}"
        )
    if layer.ceil_mode:
        span = _span(layer, size, (kernel, padding, 1), stride - 1)
        return ceil_mode_size(span - 1, size + padding, stride)
    return ceil_div(_span(layer, size, (kernel, padding, 1)), stride)


@shape_rule(ir.Input)
def _input(layer: ir.Input, _inputs: Inputs, _widths: Widths) -> ir.Shape:
    return layer.shape


@shape_rule(ir.Conv)
def _conv(layer: ir.Conv, inputs: Inputs, widths: Widths) -> ir.Shape:
    (shape,) = inputs
    window = (layer.kernel, layer.stride, layer.padding, layer.dilation)
    sides = _per_axis(layer, shape, window, _conv_side)
    return shape[0], count(layer.out_channels, shape[1], widths), *sides


@shape_rule(ir.Linear)
def _linear(layer: ir.Linear, inputs: Inputs, widths: Widths) -> ir.Shape:
    (shape,) = inputs
    return *shape[:-1], count(layer.out_features, shape[-1], widths)


@shape_rule(ir.Pool)
def _pool(layer: ir.Pool, inputs: Inputs, _widths: Widths) -> ir.Shape:
    (shape,) = inputs
    window = (layer.kernel, layer.stride, layer.padding)
    return shape[:2] + _per_axis(layer, shape, window, _pool_side)


@shape_rule(ir.AdaptivePool)
def _adaptive(layer: ir.AdaptivePool, inputs: Inputs, _widths: Widths) -> ir.Shape:
    (shape,) = inputs
    return shape[:2] + axes(layer.output_size, layer, len(_spatial(layer, shape)))


@shape_rule(ir.Add)
def _add(layer: ir.Layer, inputs: Inputs, _widths: Widths) -> ir.Shape:
    return _alike(layer, inputs, inputs)


@shape_rule(ir.Concat)
def _concat(layer: ir.Layer, inputs: Inputs, _widths: Widths) -> ir.Shape:
    # All but the channels have to be equal.
    first = _alike(layer, inputs, tuple(shape[:1] + shape[2:] for shape in inputs))
    return first[0], sum(shape[1] for shape in inputs), *first[2:]


def _alike(layer: ir.Layer, inputs: Inputs, parts: Inputs) -> ir.Shape:
    """The first input, if the parts that must be equal are."""
    for shape, part in zip(inputs, parts, strict=True):
        if part != parts[0] and not same_shape(layer, part, parts[0]):
            verb = "adds" if isinstance(layer, ir.Add) else "joins"
            what = f"{verb} {_text(inputs[0])} and {_text(shape)}"
            raise CostModelError(f"{layer.name}: {what}; make them equal")
    return inputs[0]


@shape_rule(ir.Flatten)
def _flatten(_layer: ir.Layer, inputs: Inputs, _widths: Widths) -> ir.Shape:
    (shape,) = inputs
    return shape[0], prod(shape[1:])
