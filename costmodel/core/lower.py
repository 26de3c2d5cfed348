"""Lowering: each layer as loop nests with known extents, one registered rule per layer type.

A new layer is a frozen dataclass and a rule here (and a `shape_rule` where its output's shape
is not its input's). A layer type without a rule is *unknown*: never a silent zero.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, NamedTuple

from costmodel.algebra.arithmetic import ceil_div, exact_div
from costmodel.core import network as ir
from costmodel.core.nest import Body, Elementwise, LoopNest, Parameter
from costmodel.core.shapes import agree, axes, count, ranked, walk
from costmodel.errors import CostModelError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from costmodel.core.shapes import Inputs

    Rule = tuple[tuple[Body, ...], tuple[Parameter, ...]]
    Parts = tuple[ir.Layer, Inputs, ir.Shape, tuple[Body, ...] | None, tuple[Parameter, ...]]

#: Rules (layer, input shapes, output shape) → (bodies, parameters).
lower_rule = ir.Rules()


class Lowered(NamedTuple):
    """A layer's shapes, bodies and parameters; `bodies` is None where no rule knows it.

    >>> from costmodel import mobilenet_v1
    >>> [layer.state for layer in lower(mobilenet_v1())[:3]]
    ['free', 'counted', 'free']
    """

    layer: ir.Layer
    inputs: tuple[ir.Shape, ...]
    output: ir.Shape
    bodies: tuple[Body, ...] | None
    parameters: tuple[Parameter, ...]

    @property
    def nests(self) -> tuple[LoopNest, ...]:
        """The bodies that multiply and accumulate."""
        return tuple(body for body in self.bodies or () if not isinstance(body, Elementwise))

    @property
    def elementwise(self) -> tuple[Elementwise, ...]:
        """The bodies that do not."""
        return tuple(body for body in self.bodies or () if isinstance(body, Elementwise))

    @property
    def state(self) -> str:
        """Counted, free or unknown."""
        return "unknown" if self.bodies is None else "counted" if self.nests else "free"


def lower(network: ir.Network) -> tuple[Lowered, ...]:
    """Every layer of the network, lowered; a shared parameter appears at its owner only.

    >>> from costmodel import mobilenet_v1
    >>> lower(mobilenet_v1())[1].nests[0].macs == 3*3 * 3*32 * 112*112
    True
    """
    return tuple(Lowered(*parts) for parts in each_lowered(network))


def each_lowered(network: ir.Network) -> Iterator[Parts]:
    """What `lower` returns as plain tuples, one at a time: a cost needs to hold no more."""
    owned: list[Parameter] = []
    for layer, inputs, output in walk(network):
        rule = lower_rule[type(layer)]
        bodies, parameters = rule(layer, inputs, output) if rule else (None, ())
        if parameters and parameters[0].owner != layer.name:
            _check_shared(layer.name, parameters, owned)
            parameters = ()
        owned += parameters
        yield layer, inputs, output, bodies, parameters


def _check_shared(name: str, parameters: Iterable[Parameter], owned: Iterable[Parameter]) -> None:
    counts = {(p.owner, p.role): p.count for p in owned}
    for owner, role, size in parameters:
        has = counts.get((owner, role), 0)
        if has != size and not agree(has, size, f"{name} shares the {role} of {owner}"):
            shared = f"shares the {role} of {owner}, which has {has} elements"
            raise CostModelError(f"{name}: {shared}, and needs {size}")


def _parameters(layer: ir.Conv | ir.Linear, nest: LoopNest) -> tuple[Parameter, ...]:
    owner = layer.shares or layer.name
    weight = Parameter(owner, "weight", nest.weights)
    return (weight, Parameter(owner, "bias", nest.g * nest.k)) if layer.bias else (weight,)


@lower_rule(ir.Conv)
def _conv(layer: ir.Conv, inputs: Inputs, output: ir.Shape) -> Rule:
    (shape,) = inputs
    groups = count(layer.groups, shape[1], {})
    c, k = exact_div(shape[1], groups), exact_div(output[1], groups)
    if c is None or k is None:
        side, channels = ("in", shape[1]) if c is None else ("out", output[1])
        got = f"got {channels} and {groups}; change one of them"
        raise CostModelError(f"{layer.name}: {side}_channels must be divisible by groups, {got}")
    kernel = axes(layer.kernel, layer, len(output) - 2)
    nest = LoopNest(output[0], groups, k, c, output[2:], kernel)
    return (nest,), _parameters(layer, nest)


@lower_rule(ir.Linear)
def _linear(layer: ir.Linear, inputs: Inputs, output: ir.Shape) -> Rule:
    nest = LoopNest(prod(inputs[0][:-1]), 1, output[-1], inputs[0][-1], (), ())
    return (nest,), _parameters(layer, nest)


@lower_rule(ir.BatchNorm)
def _batch_norm(layer: ir.BatchNorm, _inputs: Inputs, output: ir.Shape) -> Rule:
    owner = layer.shares or layer.name
    size = 2 * ranked(layer, output, 2)[1]
    parameters = (Parameter(owner, "norm", size),) if layer.affine else ()
    operation = "batch_norm" if layer.affine else "batch_norm_without_affine"
    return (Elementwise(operation, output),), parameters


@lower_rule(ir.Activation)
def _activation(layer: ir.Activation, _inputs: Inputs, output: ir.Shape) -> Rule:
    return (Elementwise(layer.function, output),), ()


@lower_rule(ir.Pool)
def _pool(layer: ir.Pool, _inputs: Inputs, output: ir.Shape) -> Rule:
    window = prod(axes(layer.kernel, layer, len(output) - 2))
    return (Elementwise(f"{layer.kind}_pool", output, window),), ()


@lower_rule(ir.AdaptivePool)
def _adaptive(layer: ir.AdaptivePool, inputs: Inputs, output: ir.Shape) -> Rule:
    # Where a side does not divide, some windows read one more along it.
    taps = prod(ceil_div(size, out) for size, out in zip(inputs[0][2:], output[2:], strict=True))
    return (Elementwise(f"adaptive_{layer.kind}_pool{len(output) - 2}d", output, taps),), ()


@lower_rule(ir.Add)
def _add(_layer: ir.Add, inputs: Inputs, output: ir.Shape) -> Rule:
    return (Elementwise("add", output, len(inputs)),), ()


@lower_rule(ir.Concat)
@lower_rule(ir.Flatten)
def _move(layer: ir.Layer, _inputs: Inputs, output: ir.Shape) -> Rule:
    return (Elementwise(type(layer).__name__.lower(), output),), ()


@lower_rule(ir.Input)
def _input(_layer: ir.Input, _inputs: Inputs, _output: ir.Shape) -> Rule:
    return (), ()
