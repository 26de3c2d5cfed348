"""The share of a standard convolution that its factorisation needs, over C_out."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator, PercentFormatter

from costmodel.core.lower import lower
from costmodel.core.symbolic import require_numbers
from costmodel.errors import CostModelError
from costmodel.reports.formula import reduction
from costmodel.reports.rows import reductions
from costmodel.show.plots.style import (
    BLACK,
    BLUE,
    GREEN,
    VERMILLION,
    cut,
    house_figure,
    label_point,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from fractions import Fraction

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from costmodel.core.network import Network
    from costmodel.show.plots.style import Floats

# By K: colour, line style, and on which side of the limit its label lies, in points.
CURVES = {3: (BLUE, "-", -2), 5: (VERMILLION, "--", 5), 7: (GREEN, "-.", -2)}
CHANNELS = (16, 32, 64, 128, 256, 512, 1024, 2048)


def reduction_figure(network: Network, measured: Mapping[str, Fraction] | None = None) -> Figure:
    """The share of a standard convolution's MACs that its factorisation needs: 1/C_out + 1/K².

    Curves over C_out for K = 3, 5 and 7 with their limits 1/K² (Howard et al. 2017, §3.1), and
    the network's blocks: as fvcore `measured` them (`CrossCheck.reductions`, by block), or else
    from the formula, and then the figure says so.

    Raises CostModelError for sizes that are symbols and for `measured` of other blocks.
    """
    require_numbers(network, "a plot")
    lowered = lower(network)
    blocks = {pair.joined: (pair, share) for pair, share in reductions(network, lowered).items()}
    if measured and measured.keys() != blocks.keys():
        raise CostModelError(
            f"measured must have the {len(blocks)} separable blocks of {network.name}, got "
            f"{', '.join(measured)}; cross-check that network"
        )
    widths = {part.layer.name: part.output[1] for part in lowered}
    points = Counter(
        (widths[pair.pointwise], float(measured[name] if measured else share))
        for name, (pair, share) in blocks.items()
    )
    ends = [CHANNELS[0], CHANNELS[-1], *(channels for channels, _ in points)]
    with house_figure(2.7) as figure:
        axes = figure.add_subplot()
        _draw_curves(axes, np.geomspace(min(ends), max(ends), 200))
        _draw_points(axes, points, network.name, measured=bool(measured))
        axes.set_ylim(bottom=0)
        axes.set_title("MACs of a depthwise separable block")
        axes.set_xlabel("output channels Cₒᵤₜ")
        axes.set_ylabel("1/Cₒᵤₜ + 1/K² (% of standard)")
        figure.legend(loc="outside lower center")
    return figure


def shares(channels: Any, kernels: Any) -> Floats:
    """What `reduction` is of arrays of C_out and K."""
    return np.asarray(reduction().at({"C_out": channels, "K": kernels}), dtype=float)


def _draw_curves(axes: Axes, channels: Floats) -> None:
    for kernel, (colour, line, side) in CURVES.items():
        limit = float(shares(np.inf, kernel))
        axes.plot(channels, shares(channels, kernel), line, color=colour)
        axes.axhline(limit, color=colour, linestyle=":", linewidth=0.8)
        text = f"K = {kernel}, limit 1/{kernel**2} = {100 * limit:.1f} %"
        axes.annotate(
            text,
            (channels[-1], limit),
            (0, side),
            textcoords="offset points",
            ha="right",
            va="top" if side < 0 else "bottom",
            color=colour,
        )
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(LogLocator(2, numticks=len(channels)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=""))


def _draw_points(
    axes: Axes, points: Counter[tuple[int, float]], name: str, *, measured: bool
) -> None:
    """Blocks of one C_out and K coincide: a label counts them. Hollow is not measured."""
    source = "measured by fvcore" if measured else "from the formula, not measured"
    label = f"blocks of {cut(name)} ({points.total()}), {source}"
    axes.plot(
        [channels for channels, _ in points],
        [share for _, share in points],
        color=BLACK,
        marker="o" if points else "",
        markerfacecolor=BLACK if measured else "white",
        linestyle="",
        label=label if points else f"{cut(name)} has no depthwise separable blocks",
        zorder=3,
    )
    for point, alike in points.items():
        if alike > 1:
            label_point(axes, f"×{alike}", point)
