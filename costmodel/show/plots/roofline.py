"""Each layer under a device's roof: MACs a second over MACs per byte."""

from __future__ import annotations

from collections import Counter
from math import atan2, degrees, inf
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from costmodel.algebra.notation import si
from costmodel.core.symbolic import require_numbers
from costmodel.errors import CostModelError
from costmodel.reports.rows import rows
from costmodel.reports.timing import median
from costmodel.show.plots.style import (
    BLACK,
    BLUE,
    CENTRED,
    DIM,
    GREEN,
    GREY,
    LIGHT,
    ORANGE,
    SMALL,
    VERMILLION,
    cut,
    house_figure,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.transforms import Bbox

    from costmodel.metrics.devices import Device
    from costmodel.reports.report import Report

    Point = tuple[float, float]

#: The kinds of layers that have MACs: colour and marker, which says the kind in grey too.
LOOKS = {
    "standard": (BLACK, "s"),
    "pointwise": (BLUE, "o"),
    "depthwise": (ORANGE, "^"),
    "grouped": (VERMILLION, "v"),
    "linear": (GREEN, "D"),
    "matmul": (GREY, "P"),
    "transposed": (GREY, "X"),
}
#: Where a label may stand beside its point, best first: an offset in points, and its alignment.
_PLACES = [
    (step * x, step * y, ("right", "center", "left")[x + 1], ("top", "center", "bottom")[y + 1])
    for step in (5, 10, 16, 24, 34, 44)
    for x, y in ((0, -1), (0, 1), (1, 0), (-1, 0), (1, -1), (-1, -1), (-1, 1), (1, 1))
]
_LEADER = {"arrowstyle": "-", "color": GREY, "linewidth": 0.4, "shrinkA": 0, "shrinkB": 2}
_SHORT = 5  # points: a label that is no farther needs no leader
_MARKER = 5  # pixels: half a marker
_WIDE = 10  # an axis of more than that many times has ticks at powers of ten only


class Roof(NamedTuple):
    """The most that is attained: MACs a second, where anything limits them, and bytes a second.

    >>> roof = Roof(peak=6e9, bandwidth=2e9)
    >>> roof.ridge, roof.at(0.5), roof.at(10)
    (3.0, 1000000000.0, 6000000000.0)
    """

    peak: float | None
    bandwidth: float

    @property
    def ridge(self) -> float | None:
        """The MACs per byte from which on bytes do not limit."""
        return None if self.peak is None else self.peak / self.bandwidth

    def at(self, intensity: float) -> float:
        """The most MACs a second with so many MACs per byte."""
        return min(self.peak or inf, self.bandwidth * intensity)


class _Layer(NamedTuple):
    """A layer: MACs per byte, MACs a second, and the bytes a second that it shows there to be."""

    name: str
    kind: str
    intensity: float
    attained: float
    moved_per_s: float


def roofline_figure(report: Report) -> Figure:
    """Each layer of a report as a point under its device's roof (Williams et al. 2009).

    - A point: MACs a second of the layer's estimated time, with that of its normalisation and
      activation, over MACs per byte of its compulsory traffic in the device's number format.
    - The flat roof: the MACs a second of the device's fastest kind of product.
    - The slope: the bytes a second that these layers show there to be: the most of such traffic in
      a layer's time, or, where reading, writing and weights bind it, in the time of these.

    A device may say the time of some bytes in that of MACs or of other bytes, so the rate of one
    constant is no roof; with this slope no point is above it. What has no MACs has no point.

    Raises CostModelError for a report without a device and for sizes that are symbols.
    """
    device = report.device
    if device is None:
        raise CostModelError(
            f"a roofline of {report.network.name} is of a device; give the report one"
        )
    require_numbers(report.network, "a plot")
    layers = _layers(report, device)
    with house_figure(3.4) as figure:
        axes = figure.add_subplot()
        axes.set_title(_title(report, device))
        axes.set_xlabel(f"MACs per byte of compulsory traffic ({device.dtype})")
        axes.set_ylabel("MACs a second (≈)")
        if not layers:
            axes.text(0.5, 0.5, "no layer has MACs", transform=axes.transAxes, **CENTRED)
            return figure
        roof = _roof(layers, device)
        _frame(axes, layers, roof)
        _draw_points(axes, layers)
        figure.legend(loc="outside lower center", ncols=3)
        figure.draw_without_rendering()  # so that labels go where there is room
        _draw_labels(axes, layers, _draw_roof(axes, roof))
    return figure


def _layers(report: Report, device: Device) -> list[_Layer]:
    found = []
    for row in rows(report.network, device, device.rules):
        if row.macs and row.bytes and row.parts and row.cost.time_s:
            shown = row.parts.memory if row.bound == "memory" else row.cost.time_s
            amounts = row.macs / row.bytes, row.macs / row.cost.time_s, row.bytes / shown
            found.append(_Layer(row.name, row.kind, *map(float, amounts)))
    return found


def _roof(layers: Iterable[_Layer], device: Device) -> Roof:
    rates = (device.constants(kind, product=True).work_per_s for kind in LOOKS)
    peak = max((rate for rate in rates if rate is not None), default=None)
    return Roof(peak, max(layer.moved_per_s for layer in layers))


def _title(report: Report, device: Device) -> str:
    size = "×".join(map(str, report.resolution))
    rho = size if report.rho is None else f"ρ = {float(report.rho):.3g}"
    facts = [f"Roofline of {cut(report.network.name)}", f"α = {float(report.alpha):.3g}", rho]
    facts += [f"batch {report.batch}"] * (report.batch != 1)
    return f"{', '.join(filter(None, facts))}\non {cut(device.name)}, {median(device)}"


def _frame(axes: Axes, layers: Sequence[_Layer], roof: Roof) -> None:
    """Logarithmic axes around all points, the ridge and some of the flat roof."""
    across = [*(layer.intensity for layer in layers), *filter(None, [roof.ridge])]
    up = [*(layer.attained for layer in layers), *filter(None, [roof.peak])]
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(min(across) / 2.5, max(across) * 2.5)
    axes.set_ylim(min(up) / 2, max(up) * 1.8)
    for axis, (low, high) in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
        steps = (1,) if high > low * _WIDE**3 else (1, 2, 5)
        axis.set_major_locator(LogLocator(10, subs=steps))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(lambda value, _: _tick(value)))


def _tick(value: float) -> str:
    """A round number, without the zeros of three digits."""
    number, space, prefix = si(value).partition(" ")
    return f"{float(number):g}{space}{prefix}"


def _draw_points(axes: Axes, layers: Sequence[_Layer]) -> None:
    for kind, (colour, marker) in LOOKS.items():
        drawn = [layer for layer in layers if layer.kind == kind]
        if drawn:
            axes.plot(
                [layer.intensity for layer in drawn],
                [layer.attained for layer in drawn],
                color=colour,
                marker=marker,
                markeredgecolor="white",  # parts those that nearly coincide
                markeredgewidth=0.4,
                linestyle="",
                label=f"{kind} ({len(drawn)})",
                zorder=3,
            )


def _draw_roof(axes: Axes, roof: Roof) -> list[Bbox]:
    """The roof with its figures, and where these stand."""
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    across = [left, *([roof.ridge] if roof.ridge else []), right]
    up = [roof.at(x) for x in across]
    axes.plot(across, up, color=DIM, zorder=2)
    axes.fill_between(across, up, 10 * max(high, *up), color=LIGHT, alpha=0.35, lw=0, zorder=0)
    texts: list[Text] = []
    beside: dict[str, Any] = {"color": DIM, "va": "bottom", "textcoords": "offset points"}
    if roof.peak:
        text = f"{si(roof.peak)} MACs/s"
        texts.append(axes.annotate(text, (across[1], roof.peak), (1, 2), **beside))
    ends = axes.transData.transform([(x, x * roof.bandwidth) for x in (left, right)])
    beside |= {"rotation": degrees(atan2(*(ends[1] - ends[0])[::-1])), "rotation_mode": "anchor"}
    start = max(left, low / roof.bandwidth) * (right / left) ** 0.05
    text = f"{si(roof.bandwidth)}B/s"
    texts.append(axes.annotate(text, (start, start * roof.bandwidth), (-1.5, 2), **beside))
    for written in texts:
        written.set_in_layout(False)
    return [written.get_window_extent() for written in texts]


def _draw_labels(axes: Axes, layers: Sequence[_Layer], taken: list[Bbox]) -> None:
    """The names of the extremes, each where it meets no point, no line, no text and no edge."""
    alike = Counter((layer.intensity, layer.attained) for layer in layers)
    line = axes.transData.transform(_along_roof(axes))
    for layer in _extremes(layers):
        point = (layer.intensity, layer.attained)
        others = axes.transData.transform([other for other in alike if other != point] or [(0, 0)])
        text = cut(layer.name) + (f" (×{alike[point]})" if alike[point] > 1 else "")
        for place in _PLACES:
            label = _label(axes, text, point, place)
            label.get_window_extent()  # puts it there
            box = Text.get_window_extent(label)  # without its leader
            inside = all(axes.bbox.contains(*corner) for corner in box.corners())
            around = box.padded(_MARKER)
            clear = not around.count_contains(others) and not box.count_contains(line)
            if inside and clear and not around.count_overlaps(taken):
                taken.append(box)
                break
            label.remove()


def _label(axes: Axes, text: str, point: Point, place: tuple[Any, ...]) -> Text:
    x, y, across, up = place
    label = axes.annotate(
        text,
        point,
        (x, y),
        textcoords="offset points",
        ha=across,
        va=up,
        fontsize=SMALL,
        zorder=4,
        arrowprops=_LEADER if max(abs(x), abs(y)) > _SHORT else None,
    )
    label.set_in_layout(False)
    return label


def _along_roof(axes: Axes) -> list[Point]:
    """Points along the roof, close to each other."""
    (roof,) = [line for line in axes.lines if line.get_linestyle() == "-"]
    across, up = (np.log(values) for values in roof.get_data())
    steps = np.linspace(across[0], across[-1], 400)
    return list(zip(np.exp(steps), np.exp(np.interp(steps, across, up)), strict=True))


def _extremes(layers: Sequence[_Layer]) -> list[_Layer]:
    """The slowest and the fastest, and those of least and most MACs per byte."""
    keys = (attrgetter("attained"), attrgetter("intensity"))
    found = [choose(layers, key=key) for key in keys for choose in (min, max)]
    return list({(layer.intensity, layer.attained): layer for layer in found}.values())
