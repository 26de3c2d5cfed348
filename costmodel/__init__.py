"""What a neural network costs, before anyone builds it.

The cost of a layer is written once, as a loop nest; the same definition gives a number, a
formula and a check against counts on real torch models.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from costmodel.version import __version__ as __version__

if TYPE_CHECKING:
    from costmodel.algebra.symbols import alpha, relax, rho
    from costmodel.backends.building import build
    from costmodel.backends.rule import build_rule
    from costmodel.core.cost import Cost, cost, layer_cost
    from costmodel.core.layer import Input, Layer
    from costmodel.core.lower import Lowered, lower
    from costmodel.core.nest import Elementwise, Keeps, LoopNest, Parameter
    from costmodel.core.network import Network
    from costmodel.core.relations import SAME, AtLeast, Fixed, Times
    from costmodel.core.rewrite import drop, resize, widen
    from costmodel.core.shapes import Placed, infer
    from costmodel.errors import CostModelError
    from costmodel.frontends.torch.forward import trace
    from costmodel.layers.arranging import Concat, Flatten
    from costmodel.layers.convolution import Conv
    from costmodel.layers.elementwise import Activation, Add
    from costmodel.layers.factorising import join, separable_pairs, separate
    from costmodel.layers.linear import Linear
    from costmodel.layers.normalisation import BatchNorm
    from costmodel.layers.pooling import AdaptivePool, CropAndResize, Pool
    from costmodel.layers.serial import from_json, to_json
    from costmodel.metrics.memory import MemoryRules, peak_activations, traffic, weight_bytes
    from costmodel.metrics.training import kept_bytes, training_cost
    from costmodel.planners.compiling import (
        cost_function,
        relaxed_function,
        relaxed_width_function,
        width_function,
    )
    from costmodel.planners.inverting import solve_alpha
    from costmodel.planners.planning import plan
    from costmodel.planners.sweeping import sweep
    from costmodel.reports.formulas import closed_form, formulas
    from costmodel.reports.rows import table
    from costmodel.show.notebook import report
    from costmodel.tools.crosscheck import crosscheck
    from costmodel.tools.reconciling import reconcile
    from costmodel.zoo import ZOO, conv_mobilenet, mobilenet_v1, mobilenet_v2

#: Where each name is: imported when it is first asked for, and what it needs with it.
_PLACES = {
    "algebra.symbols": "alpha relax rho",
    "backends.building": "build",
    "backends.rule": "build_rule",
    "core.cost": "Cost cost layer_cost",
    "core.layer": "Input Layer",
    "core.lower": "Lowered lower",
    "core.nest": "Elementwise Keeps LoopNest Parameter",
    "core.network": "Network",
    "core.relations": "SAME AtLeast Fixed Times",
    "core.rewrite": "drop resize widen",
    "core.shapes": "Placed infer",
    "errors": "CostModelError",
    "frontends.torch.forward": "trace",
    "layers.arranging": "Concat Flatten",
    "layers.convolution": "Conv",
    "layers.elementwise": "Activation Add",
    "layers.factorising": "join separable_pairs separate",
    "layers.linear": "Linear",
    "layers.normalisation": "BatchNorm",
    "layers.pooling": "AdaptivePool CropAndResize Pool",
    "layers.serial": "from_json to_json",
    "metrics.memory": "MemoryRules peak_activations traffic weight_bytes",
    "metrics.training": "kept_bytes training_cost",
    "planners.compiling": "cost_function relaxed_function relaxed_width_function width_function",
    "planners.inverting": "solve_alpha",
    "planners.planning": "plan",
    "planners.sweeping": "sweep",
    "reports.formulas": "closed_form formulas",
    "reports.rows": "table",
    "show.notebook": "report",
    "tools.crosscheck": "crosscheck",
    "tools.reconciling": "reconcile",
    "zoo": "ZOO conv_mobilenet mobilenet_v1 mobilenet_v2",
}
_PLACE = {name: place for place, names in _PLACES.items() for name in names.split()}
__all__ = [
    "SAME",
    "ZOO",
    "Activation",
    "AdaptivePool",
    "Add",
    "AtLeast",
    "BatchNorm",
    "Concat",
    "Conv",
    "Cost",
    "CostModelError",
    "CropAndResize",
    "Elementwise",
    "Fixed",
    "Flatten",
    "Input",
    "Keeps",
    "Layer",
    "Linear",
    "LoopNest",
    "Lowered",
    "MemoryRules",
    "Network",
    "Parameter",
    "Placed",
    "Pool",
    "Times",
    "alpha",
    "build",
    "build_rule",
    "closed_form",
    "conv_mobilenet",
    "cost",
    "cost_function",
    "crosscheck",
    "drop",
    "formulas",
    "from_json",
    "infer",
    "join",
    "kept_bytes",
    "layer_cost",
    "lower",
    "mobilenet_v1",
    "mobilenet_v2",
    "peak_activations",
    "plan",
    "reconcile",
    "relax",
    "relaxed_function",
    "relaxed_width_function",
    "report",
    "resize",
    "rho",
    "separable_pairs",
    "separate",
    "solve_alpha",
    "sweep",
    "table",
    "to_json",
    "trace",
    "traffic",
    "training_cost",
    "weight_bytes",
    "widen",
    "width_function",
]


def __getattr__(name: str) -> Any:
    """What a name stands for, imported when it is asked for."""
    if name not in _PLACE:
        raise AttributeError(f"module 'costmodel' has no attribute {name!r}")
    globals()[name] = value = getattr(import_module(f"costmodel.{_PLACE[name]}"), name)
    return value


def __dir__() -> list[str]:
    return __all__
