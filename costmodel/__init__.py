"""What a neural network costs, before anyone builds it.

The cost of a layer is written once, as a loop nest; the same definition gives a number, a
formula and a check against counts on real torch models.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from costmodel.core.cost import Cost, cost, layer_cost
from costmodel.core.lower import Lowered, lower, lower_rule
from costmodel.core.nest import Elementwise, LoopNest, Parameter
from costmodel.core.network import (
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
from costmodel.core.rewrite import drop, join, resize, separable_pairs, separate, widen
from costmodel.core.shapes import Placed, infer, shape_rule
from costmodel.errors import CostModelError
from costmodel.layers.regions import CropAndResize
from costmodel.version import __version__ as __version__

if TYPE_CHECKING:
    from costmodel.algebra.symbols import alpha, relax, rho
    from costmodel.backends.building import build, build_rule
    from costmodel.frontends.torch.forward import trace
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

#: The zoo, and what loads sympy, numpy, pandas or torch: imported when first asked for.
_LAZY = {
    "ZOO": "zoo",
    "mobilenet_v1": "zoo",
    "mobilenet_v2": "zoo",
    "conv_mobilenet": "zoo",
    "alpha": "algebra.symbols",
    "rho": "algebra.symbols",
    "relax": "algebra.symbols",
    "table": "reports.rows",
    "formulas": "reports.formulas",
    "closed_form": "reports.formulas",
    "report": "show.notebook",
    "sweep": "planners.sweeping",
    "cost_function": "planners.compiling",
    "relaxed_function": "planners.compiling",
    "width_function": "planners.compiling",
    "relaxed_width_function": "planners.compiling",
    "MemoryRules": "metrics.memory",
    "peak_activations": "metrics.memory",
    "traffic": "metrics.memory",
    "weight_bytes": "metrics.memory",
    "trace": "frontends.torch.forward",
    "build": "backends.building",
    "build_rule": "backends.building",
    "training_cost": "metrics.training",
    "kept_bytes": "metrics.training",
    "plan": "planners.planning",
    "solve_alpha": "planners.inverting",
    "crosscheck": "tools.crosscheck",
    "reconcile": "tools.reconciling",
}

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
    "infer",
    "join",
    "kept_bytes",
    "layer_cost",
    "lower",
    "lower_rule",
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
    "shape_rule",
    "solve_alpha",
    "sweep",
    "table",
    "trace",
    "traffic",
    "training_cost",
    "weight_bytes",
    "widen",
    "width_function",
]


def __getattr__(name: str) -> Any:
    """Import what is lazy, when it is asked for."""
    if name in _LAZY:
        value = getattr(import_module(f"costmodel.{_LAZY[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'costmodel' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
