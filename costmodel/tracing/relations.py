"""What a traced network leaves free: which channels belong together, which sizes are fixed."""

from __future__ import annotations

from dataclasses import replace
from math import lcm
from typing import TYPE_CHECKING

from costmodel import network as ir
from costmodel import operators as op
from costmodel.errors import CostModelError
from costmodel.shapes import walk

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from costmodel.shapes import Inputs
    from costmodel.tracing.calls import Graph

#: Layers whose inputs have the same channels, where those are not 1.
_ALIKE = (ir.Add, op.Combine)
#: Layers whose output's channels are their input's.
_KEEP = (ir.BatchNorm, ir.Activation, ir.Pool, ir.AdaptivePool, op.Affine, op.Pad, op.PadSame)


def relate(graph: Graph, outputs: Iterable[str]) -> Iterator[ir.Layer]:
    """The layers, with the counts that inputs, outputs and constants fix as `Fixed`.

    The count of a squeeze-excite's gate becomes that of the layer it multiplies.
    """
    channels = _Channels(graph)
    fixed = channels.fixed(outputs)
    for layer in graph.layers:
        width = getattr(layer, layer.width) if layer.width else None
        if not isinstance(width, int):
            yield layer
        elif channels.find(layer.name) in fixed:
            yield layer.evolve(**{layer.width: ir.Fixed(width)})
        elif of := channels.gates.get(layer.name):
            yield layer.evolve(**{layer.width: ir.Times(1, of)})
        else:
            yield layer


class _Channels:
    """Classes of layers with the same channels (a union–find), and what each is made of."""

    def __init__(self, graph: Graph) -> None:
        self.parents: dict[str, str] = {}
        #: By class, the classes that it is computed from: a concatenation's parts.
        self.parts: dict[str, tuple[str, ...]] = {}
        #: By layer, the last layer before it that set its channels; those layers in order.
        self.setters: dict[str, str] = {}
        self.order: dict[str, int] = {}
        self.gates: dict[str, str] = {}
        self.seeds: set[str] = set()
        self.shapes = graph.shapes
        for layer in graph.layers:
            self._place(layer)

    def find(self, name: str) -> str:
        """The layer that stands for a class."""
        root = name
        while self.parents.get(root, root) != root:
            root = self.parents[root]
        while self.parents.get(name, name) != root:
            self.parents[name], name = root, self.parents[name]
        return root

    def _union(self, name: str, other: str) -> None:
        self.parents[self.find(name)] = self.find(other)

    def _place(self, layer: ir.Layer) -> None:
        name, shape = layer.name, self.shapes[layer.name]
        width = getattr(layer, layer.width) if layer.width else None
        if width is None and len(layer.inputs) == 1:
            self.setters[name] = self._setter(layer, shape)
        if width == ir.SAME or (isinstance(layer, _KEEP) and layer.inputs):
            self._union(name, layer.inputs[0])
        elif isinstance(layer, _ALIKE) and len(shape) > 1:
            self._merge(layer, shape)
        elif width is None or isinstance(width, ir.Times):
            self.parts[name] = layer.inputs
        if layer.width:
            self.setters[name] = name
            self.order[name] = len(self.order)
        if not layer.inputs:
            self.seeds.add(name)

    def _setter(self, layer: ir.Layer, shape: tuple[int, ...]) -> str:
        before = self.shapes[layer.inputs[0]]
        kept = len(shape) > 1 and len(before) > 1 and shape[1] == before[1]
        return self.setters.get(layer.inputs[0], "") if kept else ""

    def _merge(self, layer: ir.Layer, shape: tuple[int, ...]) -> None:
        same = [name for name in layer.inputs if self._channels(name, len(shape)) == shape[1]]
        for each in same:
            self._union(layer.name, each)
        self.parts[layer.name] = tuple(name for name in layer.inputs if name not in same)
        if not same:
            return
        self.setters[layer.name] = of = self.setters.get(same[0], "")
        for gate in same[1:]:
            source = self.setters.get(gate, "")
            after = bool(of and source) and self.order[of] < self.order[source]
            if after and self.shapes[gate][2:] != shape[2:]:
                self.gates[source] = of

    def _channels(self, name: str, rank: int) -> int:
        """The size on axis 1 once broadcast to a rank; 0 where there is none."""
        shape = (1,) * (rank - len(self.shapes[name])) + self.shapes[name]
        return shape[1]

    def fixed(self, outputs: Iterable[str]) -> set[str]:
        """The classes α must leave: the inputs', the outputs' and constants', and their parts."""
        todo = [self.find(name) for name in (*self.seeds, *outputs)]
        parts: dict[str, list[str]] = {}
        for name, sources in self.parts.items():
            parts.setdefault(self.find(name), []).extend(sources)
        found: set[str] = set()
        while todo:
            name = todo.pop()
            if name not in found:
                found.add(name)
                todo += [self.find(part) for part in parts.get(name, ())]
        return found


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


def checked(network: ir.Network, graph: Graph) -> ir.Network:
    """The network, each shape inferred anew and compared with the traced one.

    Where a layer has a parameter for every position (a classifier on a flattened map), a
    `FixedSize` comes before it, since at another resolution the model would not run; and where
    the model took a size's remainder, since it might have done something else.
    """
    sides = [_by_sides(x) if isinstance(x, ir.Input) else x for x in network.layers]
    layers = {layer.name: layer for layer in network.layers}
    pins: dict[str, list[op.FixedSize]] = {}
    remainders = _remainders(graph)
    for layer, inputs, output in walk(network.with_layers(sides)):
        if output != graph.shapes[layer.name]:
            has, was = ("×".join(map(str, x)) for x in (output, graph.shapes[layer.name]))
            raise CostModelError(f"{layer.name}: its shape is {has} by its rule, {was} in torch")
        if layer.inputs and layer.inputs[0] in remainders:
            pin = remainders.pop(layer.inputs[0])
            pins.setdefault(layer.name, []).append(pin)
        if isinstance(layer, _PARAMETRIC) and (axes := _fixed_axes(layer, inputs)):
            fixed = tuple(int(x) if i in axes else -1 for i, x in enumerate(inputs[0]))
            pinned: ir.Layer = layer
            source = _flattened(layers, layer) if isinstance(layer, ir.Linear) else None
            if source is not None:
                pinned, fixed = source, (-1, -1, *graph.shapes[source.inputs[0]][2:])
            pin = op.FixedSize(f"{layer.name}.input", sizes=fixed)
            pins.setdefault(pinned.name, []).append(pin)
    return replace(network, layers=tuple(_pinned(network, pins))) if pins else network


def _remainders(graph: Graph) -> dict[str, op.FixedSize]:
    """By layer, the remainders that its sizes must have."""
    found: dict[str, dict[int, int]] = {}
    for value, axis, by in graph.remainders:
        if value.layer and by > 1:
            axes = found.setdefault(value.layer, {})
            axes[axis] = lcm(axes.get(axis, 1), by)
    return {
        name: op.FixedSize(
            f"{name}.size",
            sizes=tuple(size % axes[i] if i in axes else -1 for i, size in enumerate(shape)),
            modulo=tuple(axes.get(i, 1) for i in range(len(shape))),
        )
        for name, axes in found.items()
        for shape in [graph.shapes[name]]
    }


def _by_sides(layer: ir.Input) -> ir.Input:
    return layer.evolve(shape=layer.shape[:2] + tuple(map(_Side, layer.shape[2:])))


_PARAMETRIC = (ir.Linear, ir.Conv, op.TransposedConv, ir.BatchNorm, op.Affine)


def _fixed_axes(layer: ir.Layer, inputs: Inputs) -> list[int]:
    """The axes that the layer has parameters along and whose size follows the resolution."""
    shape = inputs[0]
    along: tuple[int, ...] = (-1,) if isinstance(layer, ir.Linear) else (1,)
    if isinstance(layer, op.Affine):
        along = layer.along if layer.tensors else ()
    return [axis % len(shape) for axis in along if isinstance(shape[axis], _Side)]


def _flattened(layers: dict[str, ir.Layer], layer: ir.Layer) -> ir.Layer | None:
    """The Flatten that a layer reads through layers that keep the shape."""
    source = layers[layer.inputs[0]]
    while isinstance(source, _KEEP):
        source = layers[source.inputs[0]]
    return source if isinstance(source, ir.Flatten) else None


def _pinned(network: ir.Network, pins: dict[str, list[op.FixedSize]]) -> Iterator[ir.Layer]:
    for layer in network.layers:
        source = layer.inputs[:1]
        for pin in pins.get(layer.name, ()):
            yield pin.evolve(inputs=source)
            source = (pin.name,)
        yield layer.evolve(inputs=source + layer.inputs[1:])
