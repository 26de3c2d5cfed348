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

    from costmodel.core.fields import Shape
    from costmodel.core.layer import Inputs
    from costmodel.core.network import Network
    from costmodel.frontends.torch.calls import Graph

#: Layers whose output's shape is their input's.
_KEEP = (ir.BatchNorm, ir.Activation, ir.Pool, ir.AdaptivePool, ir.Affine, ir.Pad, ir.PadSame)


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
    sides = [_by_sides(x) if isinstance(x, ir.Input) else x for x in network.layers]
    layers = {layer.name: layer for layer in network.layers}
    pins: dict[str, list[ir.FixedSize]] = {}
    remainders = _remainders(graph)
    for layer, inputs, output in walk(network.with_layers(sides)):
        if output != graph.shapes[layer.name]:
            has, was = ("×".join(map(str, x)) for x in (output, graph.shapes[layer.name]))
            raise CostModelError(f"{layer.name}: its shape is {has} by its rule, {was} in torch")
        if isinstance(layer, ir.Reshape):
            layers[layer.name] = _following(layer, inputs[0])
        if layer.inputs and layer.inputs[0] in remainders:
            pin = remainders.pop(layer.inputs[0])
            pins.setdefault(layer.name, []).append(pin)
        if isinstance(layer, _PARAMETRIC) and (axes := _fixed_axes(layer, inputs)):
            fixed = tuple(int(x) if i in axes else -1 for i, x in enumerate(inputs[0]))
            pinned: ir.Layer = layer
            source = _flattened(layers, layer) if isinstance(layer, ir.Linear) else None
            if source is not None:
                pinned, fixed = source, (-1, -1, *graph.shapes[source.inputs[0]][2:])
            pin = ir.FixedSize(f"{layer.name}.input", sizes=fixed)
            pins.setdefault(pinned.name, []).append(pin)
    return replace(network, layers=tuple(_pinned(layers.values(), pins)))


def _following(layer: ir.Reshape, shape: Shape) -> ir.Reshape:
    """A reshape that lets a width through, though the model says its sizes by number.

    Of heads × features, say, the largest is what is left. A run that follows the resolution
    stays as it is: at another one the model would fail.
    """
    runs, at = [], 0
    for read, sizes in layer.runs:
        follows = any(isinstance(size, _Side) for size in shape[at : at + read])
        known = [size for size in sizes if isinstance(size, int) and size > 0]
        free = not follows and len(known) == len(sizes) and max(known, default=1) > 1
        last = max(range(len(sizes)), key=lambda i: (known[i], i)) if free else -1
        runs.append((read, tuple(-1 if i == last else size for i, size in enumerate(sizes))))
        at += read
    return layer.evolve(runs=tuple(runs))


def _remainders(graph: Graph) -> dict[str, ir.FixedSize]:
    """By layer, the remainders that its sizes must have."""
    found: dict[str, dict[int, int]] = {}
    for value, axis, by in graph.remainders:
        if value.layer and by > 1:
            axes = found.setdefault(value.layer, {})
            axes[axis] = lcm(axes.get(axis, 1), by)
    return {
        name: ir.FixedSize(
            f"{name}.size",
            sizes=tuple(size % axes[i] if i in axes else -1 for i, size in enumerate(shape)),
            modulo=tuple(axes.get(i, 1) for i in range(len(shape))),
        )
        for name, axes in found.items()
        for shape in [graph.shapes[name]]
    }


def _by_sides(layer: ir.Input) -> ir.Input:
    return layer.evolve(shape=layer.shape[:2] + tuple(map(_Side, layer.shape[2:])))


_PARAMETRIC = (ir.Linear, ir.Conv, ir.TransposedConv, ir.BatchNorm, ir.Affine)


def _fixed_axes(layer: ir.Layer, inputs: Inputs) -> list[int]:
    """The axes that the layer has parameters along and whose size follows the resolution."""
    shape = inputs[0]
    along: tuple[int, ...] = (-1,) if isinstance(layer, ir.Linear) else (1,)
    if isinstance(layer, ir.Affine):
        along = layer.along if layer.tensors else ()
    return [axis % len(shape) for axis in along if isinstance(shape[axis], _Side)]


def _flattened(layers: dict[str, ir.Layer], layer: ir.Layer) -> ir.Layer | None:
    """The Flatten that a layer reads through layers that keep the shape."""
    source = layers[layer.inputs[0]]
    while isinstance(source, _KEEP):
        source = layers[source.inputs[0]]
    return source if isinstance(source, ir.Flatten) else None


def _pinned(layers: Iterable[ir.Layer], pins: dict[str, list[ir.FixedSize]]) -> Iterator[ir.Layer]:
    for layer in layers:
        source = layer.inputs[:1]
        for pin in pins.get(layer.name, ()):
            yield pin.evolve(inputs=source)
            source = (pin.name,)
        yield layer.evolve(inputs=source + layer.inputs[1:])
