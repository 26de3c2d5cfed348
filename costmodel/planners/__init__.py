"""What is asked of many networks at once: sweeps, compiled functions, plans."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costmodel.lazy import lazy

if TYPE_CHECKING:
    from costmodel.planners.compiling import cost_function as cost_function
    from costmodel.planners.inverting import solve_alpha as solve_alpha
    from costmodel.planners.planning import (
        Plan as Plan,
        distinct_alphas as distinct_alphas,
        plan as plan,
    )
    from costmodel.planners.reducing import (
        best as best,
        extremes as extremes,
        front as front,
        histogram as histogram,
    )
    from costmodel.planners.sweeping import Sweep as Sweep, sweep as sweep

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
