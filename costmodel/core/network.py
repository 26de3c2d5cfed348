"""Networks as values: layers that hold only what is free, and the graph between them.

A layer never stores its in-channels or sizes, so a network cannot contradict itself; those are
inferred (`costmodel.core.shapes`). Widths are relations where the architecture has relations.
"""

from __future__ import annotations

import reprlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from costmodel.algebra.numbers import rounding_divisor
from costmodel.core.layer import Input, Layer, inputs_of
from costmodel.errors import CostModelError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@dataclass(frozen=True, repr=False)
class Network:
    """A name and layers in an order in which each comes after the layers it reads.

    `rounding` is how its authors round α·C to whole channels (`costmodel.widen`).

    >>> from costmodel.layers import Conv, Input
    >>> Network("tiny", (Input("image", (1, 3, 8, 8)), Conv("conv", 16, kernel=3)))
    Network('tiny', 2 layers, input 1×3×8×8)

    Raises CostModelError for duplicate names, dangling inputs and cycles.
    """

    name: str
    layers: tuple[Layer, ...]
    rounding: str = field(default="floor", kw_only=True)

    def __post_init__(self) -> None:
        """Fill in default inputs, and check the rounding and the graph."""
        rounding_divisor(self.rounding)
        layers = tuple(_chained(self.layers))
        _check_graph(layers)
        object.__setattr__(self, "layers", layers)

    def __repr__(self) -> str:
        shapes = ", ".join("×".join(map(str, layer.shape)) for layer in self.inputs)
        return f"Network({self.name!r}, {len(self.layers)} layers, input {shapes})"

    def __getitem__(self, name: str) -> Layer:
        """The layer of that name."""
        if found := [layer for layer in self.layers if layer.name == name]:
            return found[0]
        raise CostModelError(f"no layer {name!r} in {self.name}")

    @property
    def inputs(self) -> tuple[Input, ...]:
        """The network's inputs."""
        return inputs_of(self.layers)

    @property
    def remembered(self) -> dict[str, Any]:
        """What was worked out about it; a network never changes, so once is enough."""
        return self.__dict__.setdefault("_remembered", {})  # type: ignore[no-any-return]

    def with_layers(self, layers: Iterable[Layer], *, same_widths: bool = False) -> Network:
        """The same graph with other layers at its nodes: names and inputs must be unchanged."""
        network = object.__new__(Network)
        network.__dict__.update(name=self.name, layers=tuple(layers), rounding=self.rounding)
        if same_widths:
            network.__dict__["_remembered"] = self.remembered
        return network


def _chained(layers: tuple[Layer, ...]) -> Iterator[Layer]:
    previous = ""
    for layer in layers:
        if not isinstance(layer, Layer):
            raise CostModelError(f"a network's layers must be layers, got {reprlib.repr(layer)}")
        chained = not layer.inputs and layer.arity != 0 and previous
        yield replace(layer, inputs=(previous,)) if chained else layer
        previous = layer.name


def _check_graph(layers: tuple[Layer, ...]) -> None:
    names = {layer.name: layer for layer in layers}
    seen: set[str] = set()
    for layer in layers:
        of = layer.width_of
        for name in filter(None, (*layer.inputs, of, layer.shares)):
            if name not in names:
                raise CostModelError(f"{layer.name}: reads {name!r}, and there is no such layer")
            if name not in seen:
                why = f"reads {name!r}, which does not come before it: a cycle, or out of order"
                raise CostModelError(f"{layer.name}: {why}; list each layer after what it reads")
        if of and not names[of].width:
            raise CostModelError(f"{layer.name}: takes its width from {of!r}, which sets none")
        if len(layer.inputs) != layer.arity and (layer.arity is not None or not layer.inputs):
            wanted = f"{layer.name}: a {type(layer).__name__} reads {layer.arity or 'at least 1'}"
            raise CostModelError(f"{wanted}, got {len(layer.inputs)}; list its inputs")
        if layer.name in seen:
            raise CostModelError(f"two layers are named {layer.name!r}; rename one")
        seen.add(layer.name)
    if not inputs_of(layers[:1]):
        raise CostModelError("a network must begin with an Input")
