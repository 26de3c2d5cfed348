"""The counting core: networks, their shapes, their loop nests and what these cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costmodel.lazy import lazy

if TYPE_CHECKING:
    from costmodel.core.cost import Cost, layer_cost
    from costmodel.core.layer import Input, Layer
    from costmodel.core.lower import Lowered
    from costmodel.core.nest import Elementwise, Keeps, LoopNest, Parameter, Window
    from costmodel.core.network import Network
    from costmodel.core.quantities import QUANTITIES, Quantity, register
    from costmodel.core.relations import SAME, AtLeast, Fixed, Times
    from costmodel.core.rewrite import drop, resize, widen
    from costmodel.core.shapes import Placed, infer

__getattr__ = lazy(
    __name__,
    {
        "cost": "Cost layer_cost",
        "layer": "Input Layer",
        "lower": "Lowered",
        "nest": "Elementwise Keeps LoopNest Parameter Window",
        "network": "Network",
        "quantities": "QUANTITIES Quantity register",
        "relations": "SAME AtLeast Fixed Times",
        "rewrite": "drop resize widen",
        "shapes": "Placed infer",
    },
)

__all__ = [
    "QUANTITIES",
    "SAME",
    "AtLeast",
    "Cost",
    "Elementwise",
    "Fixed",
    "Input",
    "Keeps",
    "Layer",
    "LoopNest",
    "Lowered",
    "Network",
    "Parameter",
    "Placed",
    "Quantity",
    "Times",
    "Window",
    "drop",
    "infer",
    "layer_cost",
    "register",
    "resize",
    "widen",
]
