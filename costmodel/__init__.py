"""What a neural network costs, before anyone builds it.

The cost of a layer is written once, as a loop nest; the same definition gives a number, a
formula and a check against counts on real torch models.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from costmodel.cost import Cost, cost, layer_cost
from costmodel.errors import CostModelError
from costmodel.lower import Lowered, lower, lower_rule
from costmodel.nest import Elementwise, LoopNest, Parameter
from costmodel.network import (
    SAME,
    Activation,
    AdaptivePool,
    Add,
    AtLeast,
    BatchNorm,
    Concat,
    Conv,
    Fixed,
    Flatten,
    Input,
    Layer,
    Linear,
    Network,
    Pool,
    Times,
)
from costmodel.rewrite import drop, join, resize, separable_pairs, separate, widen
from costmodel.shapes import Placed, infer, shape_rule
from costmodel.zoo import ZOO, conv_mobilenet, mobilenet_v1, mobilenet_v2

__version__ = "0.1.0"
