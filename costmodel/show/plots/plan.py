"""The networks of a plan: what fits, the limits, the front and the choice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.ticker import MaxNLocator

from costmodel.algebra.notation import si
from costmodel.planners.limits import limited
from costmodel.show.plots.style import (
    BLACK,
    BLUE,
    DIM,
    GREEN,
    GREY,
    LEVELS,
    LIGHT,
    ORANGE,
    RING,
    SMALL,
    VERMILLION,
    cut,
    house_figure,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from costmodel.planners.planning import Plan
    from costmodel.show.plots.style import Floats

# The limits of a plan, one after the other: colour and line.
LOOKS: tuple[tuple[str, Any], ...] = (
    *((BLUE, "-"), (ORANGE, "--"), (GREEN, "-."), (VERMILLION, ":")),
    (DIM, (0, (7, 1.5, 1, 1.5, 1, 1.5))),
)
TICKS = 9  # resolutions that each have a tick of their own
LINES = 10  # of equal MACs


def plan_figure(plan: Plan) -> Figure:
    """The networks of a plan over α and D: what fits, each limit, the front and the choice.

    A limit's curve is, at each D, the widest network within it; the shaded region lies within
    all of them. Thin lines join networks of equal MACs.
    """
    alphas, sides = plan.swept.alpha, plan.swept.resolution
    with house_figure(3.6) as figure:
        axes = figure.add_subplot()
        widest = _widest(plan.fits, alphas)
        axes.fill_betweenx(
            sides, alphas[0], widest, where=widest > 0, color=LIGHT, alpha=0.45, lw=0
        )
        if min(len(alphas), len(sides)) > 1:
            _draw_levels(axes, alphas, sides, plan.swept.evaluate("macs").astype(float))
        for limit in plan.limits:
            colour, line = _look(limit.name)
            name = limited()[limit.name].title
            values = plan.swept.evaluate(limit.quantity)
            ends = _widest(values <= limit.most, alphas)
            text = f"{name} ≤ {limit.given}" + (", binds" if limit.name in plan.binding else "")
            reached = (ends > 0) & (ends < alphas[-1])
            axes.plot(
                ends[reached], sides[reached], linestyle=line, color=colour, label=text, zorder=2
            )
        _draw_choices(axes, plan)
        axes.set_xlim(0, alphas[-1] * 1.03)
        axes.set_title(f"Which {cut(plan.network.name)} fits")
        axes.set_xlabel("width multiplier α")
        axes.set_ylabel("resolution D (px)")
        axes.yaxis.set_major_locator(MaxNLocator(8, integer=True, steps=[1, 2, 4, 8, 10]))
        if len(sides) <= TICKS:
            axes.set_yticks(sides)
        figure.legend(loc="outside lower center", ncols=2)
    return figure


def _look(name: str) -> tuple[str, Any]:
    """A limit's colour and line, the same in every plan: of estimates the last."""
    ordered = sorted(limited().values(), key=lambda row: row.estimate)
    return LOOKS[[row.limit for row in ordered].index(name) % len(LOOKS)]


def _widest(inside: NDArray[np.bool_], alphas: Floats) -> Floats:
    """At each D the largest α inside, or 0."""
    widest: Floats = np.max(np.where(inside, alphas[:, np.newaxis], 0), axis=0)
    return widest


def _draw_levels(axes: Axes, alphas: Floats, sides: NDArray[np.int64], macs: Floats) -> None:
    """Lines of equal MACs, each with its label where it crosses the diagonal of the grid."""
    levels = [level for level in LEVELS if macs.min() < level < macs.max()][-LINES:]
    lines = axes.contour(alphas, sides, macs.T, levels, colors=GREY, linewidths=0.4, zorder=1)
    part = np.linspace(0.08, 0.85, 200)
    rows, columns = (np.rint(part * (len(axis) - 1)).astype(int) for axis in (alphas, sides))
    crossed = np.searchsorted(macs[rows, columns], levels)
    places = [(alphas[rows[i]], sides[columns[i]]) for i in crossed if 0 < i < len(part)]
    axes.clabel(lines, fmt=si, fontsize=SMALL, colors=DIM, manual=places, zorder=1)


def _draw_choices(axes: Axes, plan: Plan) -> None:
    front = [(float(c.alpha), c.resolution) for c in plan.front]
    if front:
        label = f"Pareto front ({len(front):,})"
        look: dict[str, Any] = {"color": BLACK, "linestyle": "", "zorder": 3}
        axes.plot(*zip(*front, strict=True), ".", markersize=2, label=label, clip_on=False, **look)
    if plan.choice:
        alpha, side = float(plan.choice.alpha), plan.choice.resolution
        text = f"α = {alpha:.3g}, D = {side}: {si(plan.choice.macs)}"
        axes.plot([alpha], [side], label=text, clip_on=False, **RING)
