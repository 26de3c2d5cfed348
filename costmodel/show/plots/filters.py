"""The filter banks of a standard, a depthwise and a pointwise convolution."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

from matplotlib.collections import PolyCollection

from costmodel.algebra.numbers import positive_integer
from costmodel.core.layer import Input
from costmodel.core.lower import lower
from costmodel.core.network import Network
from costmodel.layers import Conv
from costmodel.layers.factorising import separate
from costmodel.show.plots.style import BLACK, BLUE, LIGHT, ORANGE, house_figure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.figure import Figure

    from costmodel.show.plots.style import Model


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
