"""ImageNet accuracy over MACs or params, for the MobileNet family."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from costmodel.algebra.notation import si
from costmodel.published.family import family, law
from costmodel.show.plots.style import (
    BLACK,
    BLUE,
    DIM,
    GREEN,
    GREY,
    SMALL,
    VERMILLION,
    house_figure,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from costmodel.published.family import Member

POINTS: dict[str, Any] = {"textcoords": "offset points", "fontsize": SMALL}
RESOLUTION_LOOK = {224: (BLUE, "o"), 192: (VERMILLION, "s"), 160: (GREEN, "^"), 128: (BLACK, "D")}


def accuracy_figure(quantity: str) -> Figure:
    """ImageNet top-1 over `macs` or `params` (Howard et al. 2017, Figures 4 and 5).

    Filled markers are printed in the paper, hollow ones estimates by its log-linear law, which
    is drawn where the axis is MACs; a marker's shape and colour are its resolution.
    """
    members = family()
    with house_figure(2.9) as figure:
        axes = figure.add_subplot()
        if quantity == "macs":
            ends = np.array([getattr(m.cost, quantity) for m in members])
            line = np.geomspace(ends.min(), ends.max(), 50)
            axes.plot(line, [law()(x) for x in line], ":", color=GREY, linewidth=0.8)
            middle = (line[20], law()(line[20]))
            axes.annotate("log-linear law", middle, (6, -8), **POINTS, color=DIM)
        for resolution in RESOLUTION_LOOK:
            _draw_members(axes, members, quantity, resolution)
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(10, subs=(1, 2, 5)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: si(value)))
        axes.set_title("The MobileNet family on ImageNet")
        axes.set_xlabel("MACs" if quantity == "macs" else "params")
        axes.set_ylabel("top-1 accuracy (%)")
        figure.legend(loc="outside lower center", ncols=2)
    return figure


def _draw_members(axes: Axes, members: Sequence[Member], quantity: str, side: int) -> None:
    """The four widths at one resolution, what the paper printed filled, estimates hollow."""
    colour, marker = RESOLUTION_LOOK[side]
    for estimated in (False, True):
        chosen = [m for m in members if m.resolution == side and m.top1.estimated is estimated]
        axes.plot(
            [getattr(member.cost, quantity) for member in chosen],
            [member.top1.percent for member in chosen],
            color=colour,
            marker=marker if chosen else "",
            markerfacecolor="white" if estimated else colour,
            linestyle="",
            label=f"{side} px, {'estimated' if estimated else 'printed'}" if chosen else None,
            zorder=3,
        )
