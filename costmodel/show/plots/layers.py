"""MACs and params of each layer, and of each block both ways."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from matplotlib.ticker import FuncFormatter, MaxNLocator

from costmodel.algebra.notation import si
from costmodel.core.cost import Cost, layer_cost
from costmodel.core.lower import lower
from costmodel.core.quantities import columns
from costmodel.core.symbolic import require_numbers
from costmodel.layers.factorising import join, separable_pairs
from costmodel.show.plots.style import (
    BLACK,
    BLUE,
    GREY,
    LIGHT,
    ORANGE,
    SMALL,
    TALLEST,
    cut,
    house_figure,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from costmodel.core.lower import Lowered
    from costmodel.core.network import Network

SHIFT = 0.21  # of a row: how far the two bars of a block lie from its middle
SERIES: dict[str, dict[str, Any]] = {
    "standard": {"facecolor": "white", "edgecolor": BLACK, "hatch": "//////", "linewidth": 0.5},
    "depthwise": {"facecolor": ORANGE},
    "pointwise": {"facecolor": BLUE},
    "in no separable block": {"facecolor": LIGHT, "edgecolor": GREY, "linewidth": 0.5},
}


class _Bar(NamedTuple):
    """Part of a row: its series, its place, the cost it begins at and the cost it adds."""

    series: str
    place: float
    start: Cost
    cost: Cost


def layers_figure(network: Network) -> Figure:
    """MACs and params of each layer, and of each block both ways: standard and separable.

    A block's depthwise and pointwise part are stacked beside the one convolution of
    `join(network)` (Howard et al. 2017, §3.1). Params are the weights and biases of these
    layers, without batch norm's. A layer that no rule knows is marked unknown.

    Raises CostModelError for sizes that are symbols.
    """
    require_numbers(network, "a plot")
    rows = [lowered for lowered in lower(join(network)) if lowered.state != "free"]
    bars = list(_bars(network, rows))
    places = max(1, len(rows))
    with house_figure(min(1 + 0.24 * places, TALLEST)) as figure:
        panels = figure.subplots(1, len(columns()), sharey=True)
        for axes, row in zip(panels, columns().values(), strict=True):
            _draw_bars(axes, bars, row.name)
            axes.set_xlabel(f"{row.title} without batch norm" if row.of_parameter else row.title)
        panels[0].set_yticks(range(len(rows)), [cut(row.layer.name) for row in rows])
        panels[0].set_ylim(places - 0.5, -0.5)
        figure.suptitle(f"Layers of {cut(network.name)}", x=0.02, ha="left")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def _bars(network: Network, rows: Sequence[Lowered]) -> Iterator[_Bar]:
    pairs = {pair.joined: pair for pair in separable_pairs(network)}
    parts = {lowered.layer.name: layer_cost(lowered) for lowered in lower(network)}
    for place, row in enumerate(rows):
        if pair := pairs.get(row.layer.name):
            depthwise = parts[pair.depthwise]
            yield _Bar("standard", place - SHIFT, Cost(), layer_cost(row))
            yield _Bar("depthwise", place + SHIFT, Cost(), depthwise)
            yield _Bar("pointwise", place + SHIFT, depthwise, parts[pair.pointwise])
        else:
            yield _Bar("in no separable block", place, Cost(), layer_cost(row))


def _draw_bars(axes: Axes, bars: Sequence[_Bar], quantity: str) -> None:
    def value(cost: Cost) -> int:
        return int(getattr(cost, quantity))

    def text(bar: _Bar) -> str:
        """A block's total, with its depthwise part in words: as a bar it is too thin to see."""
        total = bar.start + bar.cost
        part = 100 * value(bar.start) / value(total) if value(bar.start) else 0
        share = f", {part:.1f} % depthwise" if part else ""
        return "unknown" if total.unknown else si(value(total)) + share

    for series in sorted({bar.series for bar in bars}, key=[*SERIES].index):
        chosen = [bar for bar in bars if bar.series == series]
        drawn = axes.barh(
            [bar.place for bar in chosen],
            [float(value(bar.cost)) for bar in chosen],  # integers past 2⁶³ are none of numpy's
            height=1.7 * SHIFT,
            left=[float(value(bar.start)) for bar in chosen],
            label=series,
            **SERIES[series],
        )
        if series != "depthwise":  # where the pointwise part ends, the block does
            axes.bar_label(drawn, [text(bar) for bar in chosen], padding=2, fontsize=SMALL)
    axes.margins(x=0.35)
    axes.set_xlim(left=0)
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_locator(MaxNLocator(3))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: si(value)))
