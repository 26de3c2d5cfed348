"""The same share over K and C_out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import LogNorm

from costmodel.show.plots.reduction import CHANNELS, shares
from costmodel.show.plots.style import BLACK, CENTRED, house_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KERNELS = (1, 3, 5, 7, 9, 11)
DARK = 0.7  # of the colour map: beyond it, text is white


def reduction_map_figure() -> Figure:
    """1/C_out + 1/K² over K and C_out in percent (Howard et al. 2017, §3.1).

    At K = 1 it exceeds 100 %: there is nothing to factorise.
    """
    grid = shares(np.array(CHANNELS, float), np.array(KERNELS, float)[:, np.newaxis])
    norm = LogNorm(grid.min(), grid.max())
    with house_figure(2.2) as figure:
        axes = figure.add_subplot()
        axes.pcolormesh(grid, norm=norm, cmap="Blues", edgecolor="white", linewidth=0.8)
        for (row, column), share in np.ndenumerate(grid):
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
