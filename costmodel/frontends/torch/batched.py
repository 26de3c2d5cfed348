"""What runs under torch.vmap: tensors that hide an axis, and calls that are many calls in one.

The hidden axes are those of functorch's wrappers, for which torch has no public functions.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

from torch._C import _functorch

from costmodel.core.lower import Lowered
from costmodel.frontends.torch.calls import Call, Graph, Value, others, values_in
from costmodel.frontends.torch.functions import interpret

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from costmodel.core.layer import Layer

is_batched = _functorch.is_batchedtensor


@dataclass(slots=True, eq=False)
class Each(Value):
    """What one of the calls sees of a tensor, `whole` being all of it."""

    whole: Value | None = None


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor with the axes that vmap hides."""
    while is_batched(tensor):
        tensor = _functorch.get_unwrapped(tensor)
    return tensor


def interpret_each(
    call: Call, args: Any, kwargs: Any, outputs: Sequence[torch.Tensor]
) -> list[Value]:
    """The values of a call with hidden axes, which is as many calls as their sizes' product.

    Its sizes are recorded, and its cost is that of one call, in a graph apart, by their number.
    """
    graph = Graph(call.graph.numel)
    shapes = [tuple(output.shape) for output in outputs]
    times = prod(call.shape) // max(prod(shapes[0]), 1)
    one = Call(graph, call.path, call.base, call.function, shapes, call.origin)
    for value in interpret(one, *(_apart(given, call, graph) for given in (args, kwargs))):
        graph.read(value)
    layers = [_lowered(layer, graph) for layer in graph.layers]
    reads = [
        value.whole or value if isinstance(value, Each) else value
        for value in values_in((args, kwargs))
    ]
    if any(layer.state == "unknown" for layer in layers):
        first = call.unknown(reads)
    else:
        nests = [nest for layer in layers for nest in layer.nests]
        macs = times * sum(nest.macs for nest in nests)
        activations = times * sum(nest.activations for nest in nests)
        first = call.recorded(reads, macs, activations=activations)
    return [first, *others(call, first)]


def _apart(given: Any, call: Call, graph: Graph) -> Any:
    """Arguments whose values are in another graph, under the names of the layers that make them."""
    if isinstance(given, Value):
        layer = "" if given.is_constant else call.graph.read(given)
        if isinstance(given, Each) and layer:
            layer = f"{layer} each"
        graph.shapes |= {layer: given.shape} if layer else {}
        return Value(given.shape, layer, given.parameters)
    if isinstance(given, (tuple, list)):
        return type(given)([_apart(part, call, graph) for part in given])
    if isinstance(given, dict):
        return {key: _apart(part, call, graph) for key, part in given.items()}
    return given


def _lowered(layer: Layer, graph: Graph) -> Lowered:
    inputs, output = tuple(graph.shapes[name] for name in layer.inputs), graph.shapes[layer.name]
    return Lowered(layer, inputs, output, *layer.lowered(inputs, output))
