"""The house style of every picture: a paper's column, its colours, and how it is laid out.

The colours are Okabe and Ito's; markers, line styles and hatches say the same without colour.
"""

from __future__ import annotations

from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, Any

from matplotlib import style
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    import numpy as np
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

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
LEVELS = tuple(m * 10**e for e in range(16) for m in (1, 2, 5))


def label_point(axes: Axes, text: str, point: tuple[float, float], **look: Any) -> None:
    """A small text just above a marker."""
    place: dict[str, Any] = {"ha": "center", "va": "bottom", "textcoords": "offset points"}
    axes.annotate(text, point, (0, 4), fontsize=SMALL, **place, **look)


def cut(name: str) -> str:
    """A name that came with a model, of bounded length."""
    return name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"


def image(figure: Figure, kind: str) -> bytes:
    """What a file of that kind holds."""
    file = BytesIO()
    with _style():
        figure.savefig(file, format=kind, dpi=DPI, metadata=METADATA[kind])
    return file.getvalue()


def _style() -> AbstractContextManager[None]:
    """The house style on matplotlib's defaults, whatever the user's own settings are."""
    return style.context(STYLE, after_reset=True)


class HouseFigure(Figure):
    """A figure that Jupyter shows as it would be saved, a column 525 pixels wide."""

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        return image(self, "png"), {"width": round(SHOWN * self.get_figwidth())}


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
