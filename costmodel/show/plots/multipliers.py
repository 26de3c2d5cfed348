"""MACs over the width multiplier and the resolution."""

from __future__ import annotations

from contextlib import suppress
from itertools import product
from math import prod
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator

from costmodel.algebra.arithmetic import multiplier
from costmodel.algebra.notation import si
from costmodel.algebra.numbers import MAX_ALPHA
from costmodel.algebra.polynomial import ALPHA, RHO
from costmodel.core.cost import cost
from costmodel.core.rewrite import resize, widen
from costmodel.core.symbolic import require_numbers
from costmodel.errors import CostModelError
from costmodel.show.plots.style import (
    BLACK,
    BOX,
    CENTRED,
    DIM,
    GREY,
    LEVELS,
    RING,
    SMALL,
    cut,
    house_figure,
    label_point,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from fractions import Fraction

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from costmodel.algebra.arithmetic import Dim
    from costmodel.algebra.polynomial import Polynomial
    from costmodel.core.network import Network
    from costmodel.show.plots.style import Floats, Model

# Howard et al. 2017, §4.2: sixteen models of every α and D; the axes reach a little further.
ALPHAS = (1, 0.75, 0.5, 0.25)
RESOLUTIONS = (224, 192, 160, 128)
ALPHA_ENDS = (0.1, 1.4)
RESOLUTION_ENDS = (96, 256)
GAPS = np.array((180, 148, 212, 116, 244))  # D between the models and their labels, best first
WIDE, HIGH = 0.16, 16  # what a label takes, in α and in D


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
            text = f"{cut(base.name)} has no square input,\nso no one resolution to vary"
            figure.text(0.5, 0.5, text, **CENTRED)
            return figure
        (side,) = sides
        axes = figure.add_subplot()
        _draw_models(axes, base)
        rings = [_draw_chosen(axes, base, chosen)] if chosen else []
        _draw_contours(axes, base, side, rings)
        _draw_resolutions(axes, side)
        axes.set_title(f"MACs of {cut(base.name)}")
        axes.set_xlabel("width multiplier α")
        axes.xaxis.set_major_locator(MultipleLocator(0.25))
        figure.legend(loc="outside lower center")
    return figure


def _macs(base: Network, alpha: Dim, resolution: int) -> str:
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
        label_point(axes, text, model, bbox=BOX)


def _draw_chosen(axes: Axes, base: Network, chosen: tuple[Dim, int]) -> Model:
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
