"""What a neural network costs, before anyone builds it.

The cost of a layer is written once, as a loop nest; the same definition gives a number, a
formula and a check against counts on real torch models. Here is what most programs need; the rest
is by subject: `costmodel.layers`, `costmodel.zoo`, `costmodel.planners`, `costmodel.metrics`,
`costmodel.reports`, `costmodel.tools`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costmodel.lazy import lazy
from costmodel.version import __version__ as __version__

if TYPE_CHECKING:
    from costmodel.algebra.symbols import alpha, relax, rho
    from costmodel.backends.building import build
    from costmodel.core.cost import Cost, cost
    from costmodel.core.layer import Layer
    from costmodel.core.lower import lower
    from costmodel.core.network import Network
    from costmodel.core.rewrite import drop, resize, widen
    from costmodel.errors import CostModelError
    from costmodel.frontends.torch.forward import trace
    from costmodel.layers.factorising import join, separate
    from costmodel.layers.serial import from_json, to_json
    from costmodel.planners.compiling import cost_function
    from costmodel.planners.planning import plan
    from costmodel.planners.sweeping import sweep
    from costmodel.reports.rows import table
    from costmodel.show.notebook import report
    from costmodel.tools.crosscheck import crosscheck
    from costmodel.tools.reconciling import reconcile
    from costmodel.zoo import ZOO, mobilenet_v1

__getattr__ = lazy(
    __name__,
    {
        "algebra.symbols": "alpha relax rho",
        "backends.building": "build",
        "core.cost": "Cost cost",
        "core.layer": "Layer",
        "core.lower": "lower",
        "core.network": "Network",
        "core.rewrite": "drop resize widen",
        "errors": "CostModelError",
        "frontends.torch.forward": "trace",
        "layers.factorising": "join separate",
        "layers.serial": "from_json to_json",
        "planners.compiling": "cost_function",
        "planners.planning": "plan",
        "planners.sweeping": "sweep",
        "reports.rows": "table",
        "show.notebook": "report",
        "tools.crosscheck": "crosscheck",
        "tools.reconciling": "reconcile",
        "zoo": "ZOO mobilenet_v1",
    },
)

__all__ = [
    "ZOO",
    "Cost",
    "CostModelError",
    "Layer",
    "Network",
    "alpha",
    "build",
    "cost",
    "cost_function",
    "crosscheck",
    "drop",
    "from_json",
    "join",
    "lower",
    "mobilenet_v1",
    "plan",
    "reconcile",
    "relax",
    "report",
    "resize",
    "rho",
    "separate",
    "sweep",
    "table",
    "to_json",
    "trace",
    "widen",
]
