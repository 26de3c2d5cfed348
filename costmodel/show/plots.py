"""Figures for a paper's column: the reduction, the layers and the multipliers.

Each function returns a matplotlib `Figure` that no backend and no pyplot state knows of. The
colours are Okabe and Ito's; markers, line styles and hatches say the same without colour.
"""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager, suppress
from io import BytesIO
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from matplotlib import style
from matplotlib.collections import PolyCollection
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import (
    FuncFormatter,
    LogLocator,
    MaxNLocator,
    MultipleLocator,
    NullLocator,
    PercentFormatter,
)

from costmodel.algebra.arithmetic import MAX_ALPHA, multiplier, positive_integer
from costmodel.algebra.polynomial import ALPHA, RHO
from costmodel.core.cost import Cost, cost, layer_cost
from costmodel.core.lower import lower
from costmodel.core.network import Conv, Input, Network
from costmodel.core.rewrite import join, resize, separable_pairs, separate, widen
from costmodel.core.symbolic import require_numbers
from costmodel.errors import CostModelError
from costmodel.files import image_format, make_directory, write_atomically
from costmodel.published.family import family, law
from costmodel.show.format import si
from costmodel.tools.crosscheck import CrossCheck

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from fractions import Fraction
    from pathlib import Path

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from costmodel.algebra.polynomial import Polynomial
    from costmodel.core.lower import Lowered
    from costmodel.planners.planning import Plan
    from costmodel.published.family import Member
    from costmodel.reports.report import Report

    Floats = NDArray[np.float64]
    Model = tuple[float, float]  # α and D

WIDTH = 3.5  # inches: a column of a two-column paper
DPI = 200
SHOWN = 150  # pixels of a screen for an inch
TALLEST = 300  # inches: the most that is drawn is 2¹⁶ pixels
# No date: the same figure is the same bytes.
METADATA: dict[str, dict[str, Any]] = {
    "png": {},
    "svg": {"Date": None},
    "pdf": {"CreationDate": None},
}
SMALL = 5.5  # points: labels beside what they name
BLACK, DIM, GREY, LIGHT = "#000000", "#555555", "#8C8C8C", "#CCCCCC"
# Okabe and Ito's; orange and blue differ in grey too.
BLUE, ORANGE, VERMILLION, GREEN = "#0072B2", "#E69F00", "#D55E00", "#009E73"

STYLE = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so every machine draws the same
    "text.parse_math": False,  # a name may have dollar signs, and plain text can be searched
    "font.size": 7,
    "axes.titlesize": 7.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 7,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "figure.titlesize": 7.5,
    "figure.titleweight": "bold",
    "legend.fontsize": 6.5,
    "legend.frameon": False,
    "lines.linewidth": 1.2,
    "lines.markersize": 4,
    "hatch.linewidth": 0.5,
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "costmodel",  # and identifiers stay the same from run to run
}

CENTRED: dict[str, Any] = {"ha": "center", "va": "center"}
BOX = {"facecolor": "white", "edgecolor": "none", "pad": 0.6}  # parts the lines behind a text
LONGEST = 20  # characters of a name that came with a model

# By K: colour, line style, and on which side of the limit its label lies, in points.
CURVES = {3: (BLUE, "-", -2), 5: (VERMILLION, "--", 5), 7: (GREEN, "-.", -2)}
KERNELS = (1, 3, 5, 7, 9, 11)
CHANNELS = (16, 32, 64, 128, 256, 512, 1024, 2048)
DARK = 0.7  # of the colour map: beyond it, text is white

# A ring hides nothing beneath it.
RING: dict[str, Any] = {
    "color": VERMILLION,
    "marker": "o",
    "markersize": 7.5,
    "markeredgewidth": 1.4,
    "fillstyle": "none",
    "linestyle": "",
    "zorder": 3,
}
SHIFT = 0.21  # of a row: how far the two bars of a block lie from its middle
SERIES: dict[str, dict[str, Any]] = {
    "standard": {"facecolor": "white", "edgecolor": BLACK, "hatch": "//////", "linewidth": 0.5},
    "depthwise": {"facecolor": ORANGE},
    "pointwise": {"facecolor": BLUE},
    "in no separable block": {"facecolor": LIGHT, "edgecolor": GREY, "linewidth": 0.5},
}

# Howard et al. 2017, §4.2: sixteen models of every α and D; the axes reach a little further.
ALPHAS = (1, 0.75, 0.5, 0.25)
RESOLUTIONS = (224, 192, 160, 128)
ALPHA_ENDS = (0.1, 1.4)
RESOLUTION_ENDS = (96, 256)
LEVELS = tuple(m * 10**e for e in range(16) for m in (1, 2, 5))
GAPS = np.array((180, 148, 212, 116, 244))  # D between the models and their labels, best first
WIDE, HIGH = 0.16, 16  # what a label takes, in α and in D


def reduction_figure(network: Network, measured: Mapping[str, Fraction] | None = None) -> Figure:
    """The share of a standard convolution's MACs that its factorisation needs: 1/C_out + 1/K².

    Curves over C_out for K = 3, 5 and 7 with their limits 1/K² (Howard et al. 2017, §3.1), and
    the network's blocks: as fvcore `measured` them (`CrossCheck.reductions`, by block), or else
    from the formula, and then the figure says so.

    Raises CostModelError for sizes that are symbols and for `measured` of other blocks.
    """
    require_numbers(network, "a plot")
    blocks = _blocks(network)
    if measured and measured.keys() != blocks.keys():
        raise CostModelError(
            f"measured must have the {len(blocks)} separable blocks of {network.name}, got "
            f"{', '.join(measured)}; cross-check that network"
        )
    shares = measured or {name: _share(*block) for name, block in blocks.items()}
    points = Counter((blocks[name][0], float(share)) for name, share in shares.items())
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


def _blocks(network: Network) -> dict[str, tuple[int, int]]:
    """C_out and K² of the convolution that each depthwise separable block factorises."""
    names = {pair.joined for pair in separable_pairs(network)}
    return {
        lowered.layer.name: (nest.k, prod(nest.kernel))
        for lowered in lower(join(network))
        if lowered.layer.name in names
        for nest in lowered.nests
    }


def _share(channels: Any, taps: Any) -> Any:
    """1/C_out + 1/K², of numbers or arrays."""
    return 1 / channels + 1 / taps


def _draw_curves(axes: Axes, channels: Floats) -> None:
    for kernel, (colour, line, side) in CURVES.items():
        limit = _share(np.inf, kernel**2)
        axes.plot(channels, _share(channels, kernel**2), line, color=colour)
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
    label = f"blocks of {_cut(name)} ({points.total()}), {source}"
    axes.plot(
        [channels for channels, _ in points],
        [share for _, share in points],
        color=BLACK,
        marker="o" if points else "",
        markerfacecolor=BLACK if measured else "white",
        linestyle="",
        label=label if points else f"{_cut(name)} has no depthwise separable blocks",
        zorder=3,
    )
    for point, alike in points.items():
        if alike > 1:
            _label(axes, f"×{alike}", point)


def _label(axes: Axes, text: str, point: tuple[float, float], **look: Any) -> None:
    """A small text just above a marker."""
    place: dict[str, Any] = {"ha": "center", "va": "bottom", "textcoords": "offset points"}
    axes.annotate(text, point, (0, 4), fontsize=SMALL, **place, **look)


def _cut(name: str) -> str:
    """A name that came with a model, of bounded length."""
    return name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"


def reduction_map_figure() -> Figure:
    """1/C_out + 1/K² over K and C_out in percent (Howard et al. 2017, §3.1).

    At K = 1 it exceeds 100 %: there is nothing to factorise.
    """
    shares = _share(np.array(CHANNELS), np.array(KERNELS)[:, np.newaxis] ** 2)
    norm = LogNorm(shares.min(), shares.max())
    with house_figure(2.2) as figure:
        axes = figure.add_subplot()
        axes.pcolormesh(shares, norm=norm, cmap="Blues", edgecolor="white", linewidth=0.8)
        for (row, column), share in np.ndenumerate(shares):
            text = f"{100 * share:#.3g}".removesuffix(".")
            colour = "white" if norm(share) > DARK else BLACK
            axes.text(column + 0.5, row + 0.5, text, color=colour, **CENTRED)
        axes.set_xticks(np.arange(len(CHANNELS)) + 0.5, [str(c) for c in CHANNELS])
        axes.set_yticks(np.arange(len(KERNELS)) + 0.5, [str(k) for k in KERNELS])
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.set_title("1/Cₒᵤₜ + 1/K² (% of standard convolution's MACs)")
        axes.set_xlabel("output channels Cₒᵤₜ")
        axes.set_ylabel("kernel size K")
    return figure


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
        panels = figure.subplots(1, 2, sharey=True)
        for axes, quantity in zip(panels, ("macs", "params"), strict=True):
            _draw_bars(axes, bars, quantity)
        panels[0].set_yticks(range(len(rows)), [_cut(row.layer.name) for row in rows])
        panels[0].set_ylim(places - 0.5, -0.5)
        panels[0].set_xlabel("MACs")
        panels[1].set_xlabel("params without batch norm")
        figure.suptitle(f"Layers of {_cut(network.name)}", x=0.02, ha="left")
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


class _Bank(NamedTuple):
    """A layer's filters: how it is drawn, how many there are, and each one's C, R and S."""

    kind: str
    filters: int
    sides: tuple[int, int, int]
    weights: int


SLANT = (0.42, 0.3)  # where a step into the depth of a filter leads, in cells
FACES = {"standard": LIGHT, "depthwise": ORANGE, "pointwise": BLUE}


def filters_figure(kernel: int = 3, c_in: int = 4, c_out: int = 6) -> Figure:
    """The filter banks of a standard, a depthwise and a pointwise convolution, cell by cell.

    The three banks of Howard et al. 2017, Figure 2, with a cell for every weight.

    Raises CostModelError where the three are no positive integers.
    """
    sizes = {"kernel": kernel, "c_in": c_in, "c_out": c_out}
    kernel, c_in, c_out = (positive_integer(value, name) for name, value in sizes.items())
    banks = list(_banks(kernel, c_in, c_out))
    steps = [bank.sides[2] + SLANT[0] * bank.sides[0] + 1 for bank in banks]
    heights = [bank.sides[1] + SLANT[1] * bank.sides[0] for bank in banks]
    with house_figure(2.2) as figure:
        panels = figure.subplots(len(banks), 1, height_ratios=heights)
        for axes, bank, step, height in zip(panels, banks, steps, heights, strict=True):
            for i in range(bank.filters):
                axes.add_collection(_filter(bank, i * step))
            axes.set_xlim(0, max(x * b.filters for x, b in zip(steps, banks, strict=True)))
            axes.set_ylim(0, height)
            axes.set_aspect("equal", anchor="NW")
            axes.set_axis_off()
            c, r, s = bank.sides
            each = f"{bank.filters} filters of {r}×{s}×{c}, {bank.weights} weights"
            axes.set_title(f"{bank.kind}: {each}")
    return figure


def _banks(kernel: int, c_in: int, c_out: int) -> Iterator[_Bank]:
    """The banks of one convolution and of its two factors, off their loop nests."""
    layers = (Conv("standard", c_out, kernel, padding=kernel // 2),)
    network = Network("one", (Input("x", (1, c_in, kernel, kernel)), *layers))
    for part in (*lower(network), *lower(separate(network, "standard"))):
        for nest in part.nests:
            kind = "pointwise" if part.layer.name.endswith(".pw") else nest.kind
            yield _Bank(kind, nest.g * nest.k, (nest.c, *nest.kernel), nest.weights)


def _filter(bank: _Bank, left: float) -> PolyCollection:
    """One filter as a block in oblique projection: the cells of its front, top and right."""
    c, r, s = bank.sides
    front = [_cell((left + x, y), (1, 0), (0, 1)) for x, y in product(range(s), range(r))]
    top = [
        _cell((left + x + z * SLANT[0], r + z * SLANT[1]), (1, 0), SLANT)
        for x, z in product(range(s), range(c))
    ]
    right = [
        _cell((left + s + z * SLANT[0], y + z * SLANT[1]), SLANT, (0, 1))
        for y, z in product(range(r), range(c))
    ]
    look: dict[str, Any] = {
        "facecolor": FACES[bank.kind],
        "edgecolor": BLACK,
        "linewidth": 0.4,
        "clip_on": False,
    }
    return PolyCollection([*front, *top, *right], **look)


def _cell(corner: Model, across: Model, up: Model) -> list[Model]:
    """A parallelogram."""
    (x, y), (a, b), (u, v) = corner, across, up
    return [(x, y), (x + a, y + b), (x + a + u, y + b + v), (x + u, y + v)]


def multipliers_figure(
    base: Network, chosen: tuple[float | Fraction | str, int] | None = None
) -> Figure:
    """MACs over the width multiplier α and the resolution D, ρ times the base's side.

    The contours are the relaxed closed form (Howard et al. 2017, §3.3 and §3.4). Sixteen models
    (§4.2) and the `chosen` (α, D) have the exact MACs of their rounded widths. A network whose
    inputs have no one side gets a figure that says so.

    Raises CostModelError for sizes that are symbols and for a wrong α or D.
    """
    require_numbers(base, "a plot")
    sides = {side for layer in base.inputs for side in layer.shape[2:]}
    with house_figure(3.4) as figure:
        if len(sides) != 1:
            text = f"{_cut(base.name)} has no square input,\nso no one resolution to vary"
            figure.text(0.5, 0.5, text, **CENTRED)
            return figure
        (side,) = sides
        axes = figure.add_subplot()
        _draw_models(axes, base)
        rings = [_draw_chosen(axes, base, chosen)] if chosen else []
        _draw_contours(axes, base, side, rings)
        _draw_resolutions(axes, side)
        axes.set_title(f"MACs of {_cut(base.name)}")
        axes.set_xlabel("width multiplier α")
        axes.xaxis.set_major_locator(MultipleLocator(0.25))
        figure.legend(loc="outside lower center")
    return figure


def _macs(base: Network, alpha: Any, resolution: int) -> str:
    """The exact MACs of one model, as text; a lower bound where a layer is unknown."""
    total = cost(widen(resize(base, resolution=resolution), alpha))
    return ("≥ " if total.unknown else "") + si(total.macs)


def _draw_models(axes: Axes, base: Network) -> None:
    """Those of the sixteen that are: a resolution may be too small for a network."""
    models = {}
    for alpha, resolution in product(ALPHAS, RESOLUTIONS):
        with suppress(CostModelError):
            models[alpha, resolution] = _macs(base, alpha, resolution)
    axes.plot(
        [alpha for alpha, _ in models],
        [resolution for _, resolution in models],
        color=BLACK,
        marker="o",
        linestyle="",
        label=f"exact MACs of {len(models)} models, widths rounded by {base.rounding}",
    )
    for model, text in models.items():
        _label(axes, text, model, bbox=BOX)


def _draw_chosen(axes: Axes, base: Network, chosen: tuple[Any, int]) -> Model:
    """A ring, which hides nothing beneath it; the legend says what it costs."""
    alpha, resolution = float(multiplier(chosen[0], "alpha", MAX_ALPHA)), chosen[1]
    label = f"α = {alpha:.3g}, D = {resolution}: {_macs(base, *chosen)}"
    axes.plot([alpha], [resolution], label=label, clip_on=False, **RING)
    return alpha, resolution


def _draw_contours(axes: Axes, base: Network, side: int, chosen: Sequence[Model]) -> None:
    """Lines of equal MACs, those that have room for a label."""
    alphas = _span(*ALPHA_ENDS, *(alpha for alpha, _ in chosen))
    sides = _span(*RESOLUTION_ENDS, *(resolution for _, resolution in chosen))
    relaxed = cost(widen(resize(base, rho=RHO), ALPHA)).macs
    places = _label_places(alphas, _evaluate(relaxed, alphas, GAPS[:, np.newaxis] / side), chosen)
    if places:
        macs = _evaluate(relaxed, alphas, sides[:, np.newaxis] / side)
        axes.contour(alphas, sides, macs, list(places), colors=GREY, linewidths=0.7)
    for level, place in places.items():
        axes.text(*place, si(level), color=DIM, fontsize=SMALL, bbox=BOX, **CENTRED)
    axes.plot([], [], color=GREY, linewidth=0.7, label="equal MACs by the relaxed closed form")


def _label_places(alphas: Floats, in_gaps: Floats, chosen: Sequence[Model]) -> dict[int, Model]:
    """For each level the first gap where its label meets no other, no edge and not the ring."""
    places: dict[int, Model] = {}
    for level in LEVELS:
        for gap, macs in zip(GAPS, in_gaps, strict=True):
            alpha = float(np.interp(level, macs, alphas))
            inside = alphas[0] + WIDE / 2 < alpha < alphas[-1] - WIDE / 2
            taken = (*chosen, *places.values())
            if inside and all(abs(alpha - a) > WIDE or abs(gap - d) > HIGH for a, d in taken):
                places[level] = (alpha, float(gap))
                break
    return places


def _span(*ends: float) -> Floats:
    return np.linspace(min(ends), max(ends), 200)


def _evaluate(polynomial: Polynomial, alpha: Floats, rho: Floats) -> Floats:
    """A relaxed closed form on a grid, in float64; a plain 0 where nothing is counted."""
    values = {"alpha": alpha, "rho": rho, "max(1, alpha)": np.maximum(1, alpha)}
    total = np.zeros(np.broadcast(alpha, rho).shape)
    for powers, coefficient in (polynomial + 0 * ALPHA).terms.items():
        total += float(coefficient) * prod(values[symbol] ** e for symbol, e in powers)
    return total


def _draw_resolutions(axes: Axes, side: int) -> None:
    """D on the left, and at the same ticks ρ on the right."""
    right = axes.secondary_yaxis("right")
    right.spines["right"].set_visible(True)
    for axis in (axes.yaxis, right.yaxis):
        axis.set_major_locator(MaxNLocator(8, steps=[1, 1.6, 3.2, 6.4, 10]))  # multiples of 32
    right.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / side:.3g}"))
    axes.set_ylabel("input resolution D (pixels)")
    right.set_ylabel(f"resolution multiplier ρ = D/{side}")


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


POINTS: dict[str, Any] = {"textcoords": "offset points", "fontsize": SMALL}
RESOLUTION_LOOK = {224: (BLUE, "o"), 192: (VERMILLION, "s"), 160: (GREEN, "^"), 128: (BLACK, "D")}


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


def family_figures() -> dict[str, Figure]:
    """The paper's Figures 4 and 5."""
    return {f"accuracy_{quantity}": accuracy_figure(quantity) for quantity in ("macs", "params")}


# What limits a plan: colour, line and name.
LIMIT_LOOK = {
    "macs": (BLUE, "-", "MACs"),
    "params": (ORANGE, "--", "params"),
    "peak_bytes": (GREEN, "-.", "peak memory"),
    "weight_bytes": (VERMILLION, ":", "flash"),
}


def plan_figure(made: Plan) -> Figure:
    """The networks of a plan over α and D: what fits, each limit, the front and the choice.

    A limit's curve is, at each D, the widest network within it; the shaded region lies within
    all of them. Thin lines join networks of equal MACs.
    """
    alphas, sides = made.swept.alpha, made.swept.resolution
    with house_figure(3.6) as figure:
        axes = figure.add_subplot()
        widest = _widest(made.fits, alphas)
        axes.fill_betweenx(
            sides, alphas[0], widest, where=widest > 0, color=LIGHT, alpha=0.45, lw=0
        )
        if min(len(alphas), len(sides)) > 1:
            _draw_levels(axes, alphas, sides, made.swept.evaluate("macs").astype(float))
        for limit in made.limits:
            colour, line, name = LIMIT_LOOK[limit.quantity]
            values = made.swept.evaluate(limit.quantity)
            ends = _widest(values <= limit.most, alphas)
            text = f"{name} ≤ {limit.given}" + (", binds" if limit.name in made.binding else "")
            reached = (ends > 0) & (ends < alphas[-1])
            axes.plot(ends[reached], sides[reached], line, color=colour, label=text, zorder=2)
        _draw_choices(axes, made)
        axes.set_xlim(0, alphas[-1] * 1.03)
        axes.set_title(f"Which {_cut(made.network.name)} fits")
        axes.set_xlabel("width multiplier α")
        axes.set_ylabel("resolution D (px)")
        axes.yaxis.set_major_locator(MaxNLocator(8, integer=True, steps=[1, 2, 4, 8, 10]))
        if len(sides) <= TICKS:
            axes.set_yticks(sides)
        figure.legend(loc="outside lower center", ncols=2)
    return figure


TICKS = 9  # resolutions that each have a tick of their own
LINES = 10  # of equal MACs


def _widest(inside: NDArray[Any], alphas: Floats) -> Floats:
    """At each D the largest α inside, or 0."""
    found: Floats = np.max(np.where(inside, alphas[:, np.newaxis], 0), axis=0)
    return found


def _draw_levels(axes: Axes, alphas: Floats, sides: NDArray[Any], macs: Floats) -> None:
    """Lines of equal MACs, each with its label where it crosses the diagonal of the grid."""
    levels = [level for level in LEVELS if macs.min() < level < macs.max()][-LINES:]
    lines = axes.contour(alphas, sides, macs.T, levels, colors=GREY, linewidths=0.4, zorder=1)
    part = np.linspace(0.08, 0.85, 200)
    rows, columns = (np.rint(part * (len(axis) - 1)).astype(int) for axis in (alphas, sides))
    crossed = np.searchsorted(macs[rows, columns], levels)
    places = [(alphas[rows[i]], sides[columns[i]]) for i in crossed if 0 < i < len(part)]
    axes.clabel(lines, fmt=si, fontsize=SMALL, colors=DIM, manual=places, zorder=1)


def _draw_choices(axes: Axes, made: Plan) -> None:
    front = [(float(c.alpha), c.resolution) for c in made.front]
    if front:
        label = f"Pareto front ({len(front):,})"
        look: dict[str, Any] = {"color": BLACK, "linestyle": "", "zorder": 3}
        axes.plot(*zip(*front, strict=True), ".", markersize=2, label=label, clip_on=False, **look)
    if made.choice:
        alpha, side = float(made.choice.alpha), made.choice.resolution
        text = f"α = {alpha:.3g}, D = {side}: {si(made.choice.macs)}"
        axes.plot([alpha], [side], label=text, clip_on=False, **RING)


def report_figures(report: Report) -> dict[str, Figure]:
    """The four figures of a report, the blocks as fvcore measured them where it did."""
    measured = report.check.reductions if isinstance(report.check, CrossCheck) else None
    sides = set(report.resolution)
    chosen = (report.alpha, sides.pop()) if len(sides) == 1 else None
    return {
        "reduction": reduction_figure(report.network, measured),
        "reduction_map": reduction_map_figure(),
        "layers": layers_figure(report.network),
        "multipliers": multipliers_figure(report.base, chosen),
    }


def save_figures(figures: Mapping[str, Figure], directory: str | Path) -> tuple[Path, ...]:
    """Write NAME.png (200 dpi) and NAME.svg of each figure; returns the paths.

    The directory is made if need be. Each file is replaced whole: what interrupts the writing
    leaves the old one.

    Raises CostModelError where the directory is a file or cannot be written to.
    """
    folder = make_directory(directory)
    paths = [folder / f"{name}.{kind}" for name in figures for kind in ("png", "svg")]
    for path in paths:
        save_figure(figures[path.stem], path)
    return tuple(paths)


def save_figure(figure: Figure, path: str | Path) -> None:
    """Write one figure as the PNG (200 dpi), SVG or PDF that its name asks for.

    Raises CostModelError for another kind of file and a place that cannot be written.
    """
    write_atomically(path, _image(figure, image_format(path)))


def _image(figure: Figure, kind: str) -> bytes:
    image = BytesIO()
    with _style():
        figure.savefig(image, format=kind, dpi=DPI, metadata=METADATA[kind])
    return image.getvalue()


def _style() -> AbstractContextManager[None]:
    """The house style on matplotlib's defaults, whatever the user's own settings are."""
    return style.context(STYLE, after_reset=True)


class HouseFigure(Figure):
    """A figure that Jupyter shows as it would be saved, a column 525 pixels wide."""

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        return _image(self, "png"), {"width": round(SHOWN * self.get_figwidth())}


@contextmanager
def house_figure(height: float) -> Iterator[HouseFigure]:
    """A figure as wide as a column, `height` inches high, laid out when the block ends.

    >>> with house_figure(2) as figure:
    ...     _ = figure.add_subplot().plot([1, 2, 4], [1, 4, 16])
    >>> float(figure.get_figwidth())
    3.5

    Ticks take their style when they are first drawn, so that has to happen in here. A frozen
    layout draws the same however often and in whatever format. Text is plain, without TeX, so a
    logarithmic axis wants a formatter ("{x:g}").
    """
    with _style():
        figure = HouseFigure(figsize=(WIDTH, height), layout="constrained")
        yield figure
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        figure.set_dpi(SHOWN)  # as large where Jupyter's pyplot shows it
