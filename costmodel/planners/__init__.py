"""What is asked of many networks at once: sweeps, compiled functions, plans."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costmodel.lazy import lazy

if TYPE_CHECKING:
    from costmodel.planners.compiling import cost_function
    from costmodel.planners.inverting import solve_alpha
    from costmodel.planners.planning import Plan, distinct_alphas, plan
    from costmodel.planners.reducing import best, extremes, front, histogram
    from costmodel.planners.sweeping import Sweep, sweep

__getattr__ = lazy(
    __name__,
    {
        "compiling": "cost_function",
        "inverting": "solve_alpha",
        "planning": "Plan distinct_alphas plan",
        "reducing": "best extremes front histogram",
        "sweeping": "Sweep sweep",
    },
)

__all__ = [
    "Plan",
    "Sweep",
    "best",
    "cost_function",
    "distinct_alphas",
    "extremes",
    "front",
    "histogram",
    "plan",
    "solve_alpha",
    "sweep",
]
