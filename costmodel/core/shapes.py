"""Shape inference: every layer's input and output shapes, in one pass."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

from costmodel.algebra.arithmetic import Dim, below, ceil_div, ceil_mode_size
from costmodel.core import network as ir
from costmodel.errors import CostModelError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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
    """What `infer` returns, one plain tuple after the other.

    Here alone every size of every layer is checked, in whatever algebra it is.
    """
    shapes: dict[str, ir.Shape] = {}
    widths: dict[str, Dim] = {}
    shape_of = shapes.__getitem__
    for layer in network.layers:
        inputs = tuple(map(shape_of, layer.inputs))
        rule = shape_rule[type(layer)]
        shapes[layer.name] = output = rule(layer, inputs, widths) if rule else inputs[0]
        for size in output if rule else ():
            if size < 1 if type(size) is int else below(size):
                _check_empty(layer, inputs, output)
        if layer.width:
            widths[layer.name] = output[layer.axis]
        yield layer, inputs, output


def _check_empty(layer: ir.Layer, inputs: Inputs, output: ir.Shape) -> None:
    """An error, but for an empty tensor of a traced model and what reads one."""
    empty = getattr(layer, "may_be_empty", False) or any(0 in shape for shape in inputs)
    if not empty or any(below(size, 0) for size in output):
        if hasattr(layer, "kernel"):
            window = tuple(getattr(layer, x, 1) for x in ("kernel", "padding", "dilation"))
            _per_axis(layer, inputs[0], window, _fit)
        raise CostModelError(f"{layer.name}: would make {_text(output)}; raise the resolution")


def _fit(layer: ir.Layer, size: Dim, window: Window) -> Dim:
    """The size, if the window is no larger than it is when padded: most often it is why."""
    kernel, padding, dilation = window
    if below(size + 2 * padding, dilation * (kernel - 1) + 1):
        what = f"kernel {kernel} (dilation {dilation}) is larger than its input of {size}"
        raise CostModelError(f"{layer.name}: {what} with padding {padding}; raise the resolution")
    return size


def count(width: ir.Width, own: Dim, widths: Widths) -> Dim:
    """The channels a width stands for, given those of its own input and of other layers."""
    if type(width) is int:  # as most are: this is a planner's inner loop
        return width
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


def ranked(layer: ir.Layer, shape: ir.Shape, least: int) -> ir.Shape:
    """A shape that has some axes; an error where it has fewer."""
    if len(shape) < least:
        what = f"needs {least} axes or more, and its input is {_text(shape)}"
        raise CostModelError(f"{layer.name}: {what}")
    return shape


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


def _text(shape: ir.Shape) -> str:
    return "×".join(map(str, shape)) or "a number"


def _per_axis(layer: ir.Layer, shape: ir.Shape, window: Window, side: Any) -> ir.Shape:
    """`side(layer, size, window)` on each axis; once for all where every axis is alike."""
    sizes = ranked(layer, shape, 3)[2:]
    rank = len(sizes)
    if tuple not in map(type, window) and sizes.count(sizes[0]) == rank:
        return (side(layer, sizes[0], window),) * rank
    windows = zip(*(axes(value, layer, rank) for value in window), strict=True)
    return tuple([side(layer, *axis) for axis in zip(sizes, windows, strict=True)])


def _conv_side(_layer: ir.Layer, size: Dim, window: Window) -> Dim:
    # ceil((D + 2p - d(k - 1)) / s), which is torch's floor formula.
    kernel, stride, padding, dilation = window
    return ceil_div(size + 2 * padding - dilation * (kernel - 1), stride)


def _pool_side(layer: ir.Pool, size: Dim, window: Window) -> Dim:
    kernel, stride, padding = window
    if 2 * padding > kernel:
        what = f"padding {padding} must be at most half of kernel {kernel}"
        raise CostModelError(f"{layer.name}: {what}")
    span = size + 2 * padding - kernel
    if layer.ceil_mode:
        return ceil_mode_size(span, size + padding, stride)
    return ceil_div(span + 1, stride)


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
    shape = ranked(layer, inputs[0], 1)
    return *shape[:-1], count(layer.out_features, shape[-1], widths)


@shape_rule(ir.Pool)
def _pool(layer: ir.Pool, inputs: Inputs, _widths: Widths) -> ir.Shape:
    window = (layer.kernel, layer.stride, layer.padding)
    return inputs[0][:2] + _per_axis(layer, inputs[0], window, _pool_side)


@shape_rule(ir.AdaptivePool)
def _adaptive(layer: ir.AdaptivePool, inputs: Inputs, _widths: Widths) -> ir.Shape:
    (shape,) = inputs
    return shape[:2] + axes(layer.output_size, layer, len(ranked(layer, shape, 3)) - 2)


@shape_rule(ir.Concat)
def _concat(layer: ir.Layer, inputs: Inputs, _widths: Widths) -> ir.Shape:
    # All but the channels have to be equal.
    ranks = tuple(ranked(layer, shape, 2) for shape in inputs)
    first = _alike(layer, inputs, {}, tuple(shape[:1] + shape[2:] for shape in ranks))
    return first[0], sum(shape[1] for shape in inputs), *first[2:]


@shape_rule(ir.Add)
def _alike(layer: ir.Layer, inputs: Inputs, _widths: Widths, parts: Inputs = ()) -> ir.Shape:
    """The first input, if the parts that must be equal are: all of it, or some."""
    first = (parts or inputs)[0]
    for shape, part in zip(inputs, parts or inputs, strict=True):
        if part != first and not same_shape(layer, part, first):
            verb = "adds" if isinstance(layer, ir.Add) else "joins"
            what = f"{verb} {_text(inputs[0])} and {_text(shape)}"
            raise CostModelError(f"{layer.name}: {what}; make them equal")
    return inputs[0]


@shape_rule(ir.Flatten)
def _flatten(layer: ir.Layer, inputs: Inputs, _widths: Widths) -> ir.Shape:
    shape = ranked(layer, inputs[0], 1)
    return shape[0], prod(shape[1:])
