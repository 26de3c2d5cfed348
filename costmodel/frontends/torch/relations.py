"""What a traced network leaves free: which channels belong together, which sizes are fixed."""

from __future__ import annotations

from dataclasses import replace
from math import lcm
from typing import TYPE_CHECKING

from costmodel import layers as ir
from costmodel.core.relations import Fixed
from costmodel.core.shapes import walk
from costmodel.core.widths import Widths
from costmodel.errors import CostModelError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from costmodel.core.network import Network
    from costmodel.frontends.torch.calls import Graph


def related(network: Network, outputs: Iterable[str]) -> Network:
    """The network with the counts that its inputs and outputs fix as `Fixed`."""
    kept = {name for name, why in Widths(network, outputs).kept.items() if not why}
    return network.with_layers([_fixed(x) if x.name in kept else x for x in network.layers])


def _fixed(layer: ir.Layer) -> ir.Layer:
    width = getattr(layer, layer.width)
    return layer.evolve(**{layer.width: Fixed(width)}) if type(width) is int else layer


class _Side(int):
    """A size that follows the resolution, as an int."""

    def __add__(self, other: int) -> int:
        return _Side(int.__add__(self, other))

    def __sub__(self, other: int) -> int:
        return _Side(int.__sub__(self, other))

    def __mul__(self, other: int) -> int:
        return _Side(int.__mul__(self, other))

    def __floordiv__(self, other: int) -> int:
        return _Side(int.__floordiv__(self, other))

    def __neg__(self) -> int:
        return _Side(int.__neg__(self))

    def __divmod__(self, other: int) -> tuple[int, int]:
        return _Side(int.__floordiv__(self, other)), int.__mod__(self, other)

    __radd__ = __add__
    __rmul__ = __mul__


def checked(network: Network, graph: Graph) -> Network:
    """The network, each shape inferred anew and compared with the traced one.

    Where a layer has a parameter for every position (a classifier on a flattened map), a
    `FixedSize` comes before it, since at another resolution the model would not run; and where
    the model took a size's remainder, since it might have done something else.
    """
    layers = {layer.name: layer for layer in network.layers}
    by_sides = layers | {layer.name: _by_sides(layer) for layer in network.inputs}
    pins: dict[str, list[ir.FixedSize]] = {}
    remainders = _remainders(graph)
    for layer, inputs, output in walk(network.with_layers(by_sides.values())):
        if output != graph.shapes[layer.name]:
            has, was = ("×".join(map(str, x)) for x in (output, graph.shapes[layer.name]))
            raise CostModelError(f"{layer.name}: its shape is {has} by its rule, {was} in torch")
        if layer.inputs and layer.inputs[0] in remainders:
            pin = remainders.pop(layer.inputs[0])
            pins.setdefault(layer.name, []).append(pin)
        shape = inputs[0] if inputs else ()
        sides = {axis for axis, size in enumerate(shape) if isinstance(size, _Side)}
        layers[layer.name] = layers[layer.name].of_any_width(sides)
        if axes := {axis % len(shape) for axis in layer.learned_axes or ()} & sides:
            fixed = tuple(int(x) if i in axes else -1 for i, x in enumerate(shape))
            pinned: ir.Layer = layer
            source = _flattened(layers, layer) if layer.operation == "linear" else None
            if source is not None:
                pinned, fixed = source, (-1, -1, *graph.shapes[source.inputs[0]][2:])
            pin = ir.FixedSize(f"{layer.name}.input", sizes=fixed)
            pins.setdefault(pinned.name, []).append(pin)
    return replace(network, layers=tuple(_pinned(layers.values(), pins)))


def _remainders(graph: Graph) -> dict[str, ir.FixedSize]:
    """By layer, the remainders that its sizes must have."""
    moduli: dict[str, dict[int, int]] = {}
    for value, axis, by in graph.remainders:
        if value.layer and by > 1:
            axes = moduli.setdefault(value.layer, {})
            axes[axis] = lcm(axes.get(axis, 1), by)
    return {
        name: ir.FixedSize(
            f"{name}.size",
            sizes=tuple(size % axes[i] if i in axes else -1 for i, size in enumerate(shape)),
            modulo=tuple(axes.get(i, 1) for i in range(len(shape))),
        )
        for name, axes in moduli.items()
        for shape in [graph.shapes[name]]
    }


def _by_sides(layer: ir.Input) -> ir.Input:
    return layer.evolve(shape=layer.shape[:2] + tuple(map(_Side, layer.shape[2:])))


def _flattened(layers: dict[str, ir.Layer], layer: ir.Layer) -> ir.Layer | None:
    """The Flatten that a layer reads through layers that leave axes as they are."""
    source = layers[layer.inputs[0]]
    while source.keeps_axes:
        source = layers[source.inputs[0]]
    return source if source.flattens else None


def _pinned(layers: Iterable[ir.Layer], pins: dict[str, list[ir.FixedSize]]) -> Iterator[ir.Layer]:
    for layer in layers:
        source = layer.inputs[:1]
        for pin in pins.get(layer.name, ()):
            yield pin.evolve(inputs=source)
            source = (pin.name,)
        yield layer.evolve(inputs=source + layer.inputs[1:])
