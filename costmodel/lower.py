"""Lowering: each layer as loop nests with known extents, one registered rule per layer type.

A new layer is a frozen dataclass and a rule here (and a `shape_rule` where its output's shape
is not its input's). A layer type without a rule is *unknown*: never a silent zero.
"""

from __future__ import annotations

from math import prod
from typing import NamedTuple

from costmodel.arithmetic import Dim, exact_div, is_symbolic
from costmodel.errors import CostModelError
from costmodel.nest import Body, Elementwise, LoopNest, Parameter
from costmodel.network import (
    Activation,
    AdaptivePool,
    Add,
    BatchNorm,
    Concat,
    Conv,
    Flatten,
    Input,
    Layer,
    Linear,
    Network,
    Pool,
    Rules,
    Shape,
)
from costmodel.shapes import axes, count, walk

Rule = tuple[tuple[Body, ...], tuple[Parameter, ...]]
#: Rules (layer, input shapes, output shape) → (bodies, parameters).
lower_rule = Rules()


class Lowered(NamedTuple):
    """A layer's shapes, bodies and parameters; `bodies` is None where no rule knows it."""

    layer: Layer
    inputs: tuple[Shape, ...]
    output: Shape
    bodies: tuple[Body, ...] | None
    parameters: tuple[Parameter, ...]

    @property
    def nests(self) -> tuple[LoopNest, ...]:
        """The bodies that multiply and accumulate."""
        return tuple(body for body in self.bodies or () if isinstance(body, LoopNest))

    @property
    def elementwise(self) -> tuple[Elementwise, ...]:
        """The bodies that do not."""
        return tuple(body for body in self.bodies or () if isinstance(body, Elementwise))

    @property
    def state(self) -> str:
        """Counted, free or unknown."""
        if self.bodies is None:
            return "unknown"
        return "counted" if self.nests else "free"


def lower(network: Network) -> tuple[Lowered, ...]:
    """Every layer of the network, lowered; a shared parameter appears at its owner only.

    >>> from costmodel import mobilenet_v1
    >>> lower(mobilenet_v1())[1].nests[0].macs == 3*3 * 3*32 * 112*112
    True
    """
    lowered: list[Lowered] = []
    owned: dict[tuple[str, str], Dim] = {}
    for layer, inputs, output in walk(network):
        rule = lower_rule[type(layer)]
        bodies, parameters = rule(layer, inputs, output) if rule else (None, ())
        for owner, role, size in parameters:
            if owner == layer.name:
                owned[owner, role] = size
            elif owned.get((owner, role), 0) != size:
                message = (
                    f"{layer.name}: shares the {role} of {owner}, which has "
                    f"{owned.get((owner, role), 0)} elements, and needs {size}"
                )
                raise CostModelError(message)
        if parameters and parameters[0].owner != layer.name:
            parameters = ()
        lowered.append(Lowered(layer, inputs, output, bodies, parameters))
    return tuple(lowered)


def _parameters(layer: Conv | Linear, weights: Dim, outputs: Dim) -> tuple[Parameter, ...]:
    owner = layer.shares or layer.name
    weight = Parameter(owner, "weight", weights)
    return (weight, Parameter(owner, "bias", outputs)) if layer.bias else (weight,)


@lower_rule(Conv)
def _conv(layer: Conv, inputs: tuple[Shape, ...], output: Shape) -> Rule:
    (shape,) = inputs
    groups = count(layer.groups, shape, 1, {})
    c, k = exact_div(shape[1], groups), exact_div(output[1], groups)
    if c is None or k is None:
        side, channels = ("in", shape[1]) if c is None else ("out", output[1])
        message = (
            f"{layer.name}: {side}_channels must be divisible by groups, got {channels} and "
            f"{groups}; change one of them"
        )
        raise CostModelError(message)
    kernel = axes(layer.kernel, layer, len(output) - 2)
    nest = LoopNest(output[0], groups, k, c, output[2:], kernel)
    return (nest,), _parameters(layer, nest.weights, output[1])


@lower_rule(Linear)
def _linear(layer: Linear, inputs: tuple[Shape, ...], output: Shape) -> Rule:
    (shape,) = inputs
    nest = LoopNest(prod(shape[:-1]), 1, output[-1], shape[-1], (), ())
    return (nest,), _parameters(layer, nest.weights, output[-1])


@lower_rule(BatchNorm)
def _batch_norm(layer: BatchNorm, _inputs: tuple[Shape, ...], output: Shape) -> Rule:
    body = Elementwise("batch_norm", output)
    owner = layer.shares or layer.name
    return (body,), ((Parameter(owner, "norm", 2 * output[1]),) if layer.affine else ())


@lower_rule(Activation)
def _activation(layer: Activation, _inputs: tuple[Shape, ...], output: Shape) -> Rule:
    return (Elementwise(layer.function, output),), ()


@lower_rule(Pool)
def _pool(layer: Pool, _inputs: tuple[Shape, ...], output: Shape) -> Rule:
    window = prod(axes(layer.kernel, layer, len(output) - 2))
    return (Elementwise(f"{layer.kind}_pool", output, window),), ()


@lower_rule(AdaptivePool)
def _adaptive(layer: AdaptivePool, inputs: tuple[Shape, ...], output: Shape) -> Rule:
    # A window that divides evenly reads each input once; others overlap by one element.
    taps = prod(
        _adaptive_taps(size, out) for size, out in zip(inputs[0][2:], output[2:], strict=True)
    )
    return (Elementwise(f"adaptive_{layer.kind}_pool", output, taps),), ()


def _adaptive_taps(size: Dim, out: int) -> Dim:
    if out == 1 or is_symbolic(size):
        return size / out if out != 1 else size
    return -(-size // out) + (size % out > 0)


@lower_rule(Add)
def _add(_layer: Add, inputs: tuple[Shape, ...], output: Shape) -> Rule:
    return (Elementwise("add", output, len(inputs)),), ()


@lower_rule(Concat)
@lower_rule(Flatten)
def _move(layer: Layer, _inputs: tuple[Shape, ...], output: Shape) -> Rule:
    return (Elementwise(type(layer).__name__.lower(), output),), ()


@lower_rule(Input)
def _input(_layer: Input, _inputs: tuple[Shape, ...], _output: Shape) -> Rule:
    return (), ()
