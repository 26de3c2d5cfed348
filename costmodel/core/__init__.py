"""The counting core: networks, their shapes, their loop nests and what these cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costmodel.lazy import lazy

if TYPE_CHECKING:
    from costmodel.core.cost import Cost as Cost, layer_cost as layer_cost
    from costmodel.core.layer import Input as Input, Layer as Layer
    from costmodel.core.lower import Lowered as Lowered
    from costmodel.core.nest import (
        Elementwise as Elementwise,
        Keeps as Keeps,
        LoopNest as LoopNest,
        Parameter as Parameter,
        Window as Window,
    )
    from costmodel.core.network import Network as Network
    from costmodel.core.quantities import (
        QUANTITIES as QUANTITIES,
        Quantity as Quantity,
        register as register,
    )
    from costmodel.core.relations import (
        SAME as SAME,
        AtLeast as AtLeast,
        Fixed as Fixed,
        Times as Times,
    )
    from costmodel.core.rewrite import drop as drop, resize as resize, widen as widen
    from costmodel.core.shapes import Placed as Placed, infer as infer

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
