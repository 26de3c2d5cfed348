"""The roofline: each point is a layer's MACs, bytes and time, and none is above the roof."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from math import prod
from typing import TYPE_CHECKING, Any

import pytest
from matplotlib.text import Text

from costmodel import CostModelError, Network
from costmodel.algebra.symbols import H, W
from costmodel.layers import Conv, Input, Pool
from costmodel.metrics.devices import Constants, Device, device
from costmodel.reports.report import Report
from costmodel.show.plots import roofline_figure
from costmodel.zoo import ZOO

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PIXEL, STM32 = device("pixel_1_tflite"), device("stm32h747_int8")
#: A server's core, of which every constant counts, and whose pools are the fastest.
CORE = replace(
    PIXEL,
    name="core",
    kinds={
        "product": Constants(1e-5, 6e10, 1.5e10, 1.2e10, 1.1e10),
        "pointwise": Constants(1e-5, 7.5e10, 2e10, 1.2e10, None),
        "depthwise": Constants(1.2e-5, 1e10, 1e10, 1.4e10, None),
        "max_pool": Constants(0, 9e13, None, None, None),
        "elementwise": Constants(4e-6, None, 2.5e10, 2.5e10, None),
    },
)
#: One that says the time of bytes in that of MACs, but for a layer's start.
MACS = replace(
    PIXEL, name="macs", kinds={"product": Constants(1e-6, 1e10), "elementwise": Constants()}
)
NETWORKS = ("mobilenet_v1", "mobilenet_v2", "vgg_16", "squeezenet_1_1", "inception_v3")


def drawn(network: str | Network, of: Device, **settings: Any) -> Figure:
    """The picture of a network on a device."""
    return roofline_figure(Report.of(network, device=of, **settings))


def points(axes: Axes) -> dict[str, list[tuple[float, float]]]:
    """Those of each kind."""
    marked = (line for line in axes.lines if line.get_marker() not in {"", "None"})
    return {
        str(line.get_label()).partition(" (")[0]: list(
            zip(line.get_xdata(), line.get_ydata(), strict=True)
        )
        for line in marked
    }


def roof(axes: Axes) -> list[tuple[float, float]]:
    """The corners of the line."""
    (line,) = [line for line in axes.lines if line.get_marker() in {"", "None"}]
    return list(zip(line.get_xdata(), line.get_ydata(), strict=True))


def boxes(axes: Axes) -> dict[str, Any]:
    """What is written in the picture, and where; leaders apart."""
    axes.figure.draw_without_rendering()
    return {text.get_text(): Text.get_window_extent(text) for text in axes.texts}


def test_a_point_is_what_a_layer_does_moves_and_takes() -> None:
    """Block 7 of MobileNetV1, with the numbers of its equation and the device's constants.

    A mutation that fails it: the bytes of the following norm left out, or its time.
    """
    found = points(drawn("mobilenet_v1", CORE).axes[0])
    assert {kind: len(places) for kind, places in found.items()} == {
        "standard": 1,
        "pointwise": 13,
        "depthwise": 13,
        "linear": 1,
    }
    size = 4 * prod((512, 14, 14))
    after = 2 * (4e-6 + 2 * size / 2.5e10)  # the norm and the activation
    for kind, macs, weights, seconds in (
        *(("depthwise", 9 * 512 * 14 * 14, 9 * 512, (1.2e-5, 1e10, 1e10, 1.4e10)),),
        *(("pointwise", 512 * 512 * 14 * 14, 512 * 512, (1e-5, 7.5e10, 2e10, 1.2e10)),),
    ):
        start, work, read, written = seconds
        taken = start + macs / work + size / read + size / written + after
        moved = 2 * size + 4 * (weights + 2 * 512)
        place = (pytest.approx(macs / moved), pytest.approx(macs / taken))
        assert found[kind].count(place) == 5


def test_bytes_are_those_of_the_devices_numbers() -> None:
    """On int8 a weight and an activation are a byte, a norm's values 4: a quarter, nearly.

    A mutation that fails it: bytes in float32 everywhere.
    """
    axes = drawn("mobilenet_v1", STM32).axes[0]
    moved = 2 * 512 * 14 * 14 + 9 * 512 + 4 * 2 * 512
    across = [x for x, _ in points(axes)["depthwise"]]
    assert across.count(pytest.approx(9 * 512 * 14 * 14 / moved)) == 5
    assert axes.get_xlabel() == "MACs per byte of compulsory traffic (int8)"


@pytest.mark.parametrize("of", [PIXEL, STM32, CORE, MACS], ids=lambda of: of.name)
@pytest.mark.parametrize("network", NETWORKS)
def test_no_point_is_above_the_roof(network: str, of: Device) -> None:
    """Neither of a device of whole constants nor of one that hides bytes.

    A mutation that fails it: the slope is the rate of one constant, or of layers that bytes bind.
    """
    axes = drawn(network, of).axes[0]
    corners = roof(axes)
    peak, slope = corners[-1][1], corners[0][1] / corners[0][0]
    for x, y in (place for places in points(axes).values() for place in places):
        assert y <= min(peak, slope * x) * (1 + 1e-9)
        (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
        assert left < x < right
        assert low < y < high


def test_the_roof_is_the_devices() -> None:
    """Flat at its fastest kind of product, whatever its pools do, and said in figures.

    A mutation that fails it: the fastest of all kinds, 90 T a second of a max pool.
    """
    axes = drawn("squeezenet_1_1", CORE).axes[0]
    assert roof(axes)[-1][1] == 7.5e10
    assert "75.0 G MACs/s" in boxes(axes)
    (_, low), (ridge, _), _ = roof(axes)
    assert any(text.endswith("B/s") for text in boxes(axes))
    assert low < 7.5e10
    assert axes.get_xlim()[0] < ridge < axes.get_xlim()[1]


@pytest.mark.parametrize("of", [PIXEL, STM32, CORE], ids=lambda of: of.name)
@pytest.mark.parametrize("network", NETWORKS)
def test_only_extremes_are_named_and_no_text_meets_another(network: str, of: Device) -> None:
    """At most four names, at least one; each clear of all texts and points, within the axes.

    A mutation that fails it: the first place is taken, whatever lies there.
    """
    axes = drawn(network, of).axes[0]
    written = boxes(axes)
    names = [text for text in written if not text.endswith("/s")]
    assert 1 <= len(names) <= 4
    for one, two in combinations(written.values(), 2):
        assert not one.overlaps(two)
    places = [place for each in points(axes).values() for place in each]
    marks = axes.transData.transform(places)
    for name in names:
        assert not written[name].count_contains(marks), name
        assert all(axes.bbox.contains(*corner) for corner in written[name].corners())


def test_layers_that_coincide_are_counted() -> None:
    """MobileNetV1 has five times block 7, which has the most MACs per byte."""
    assert "block7.pw (×5)" in boxes(drawn("mobilenet_v1", CORE).axes[0])


def test_the_title_says_what_of() -> None:
    """Network, α, ρ, device and its error; the batch where there are several."""
    title = drawn("mobilenet_v2", STM32, alpha="3/4", rho="192/224").axes[0].get_title(loc="left")
    first = "Roofline of mobilenet_v2, α = 0.75, ρ = 0.857"
    assert title == f"{first}\non stm32h747_int8, median error 3.9 %"
    several = drawn("mobilenet_v1", STM32, batch=8).axes[0].get_title(loc="left")
    assert "ρ = 1, batch 8\n" in several


def test_kinds_differ_without_colour() -> None:
    """Each kind has a marker of its own, and is in the legend with how many there are."""
    figure = drawn("mobilenet_v1", PIXEL)
    lines = [line for line in figure.axes[0].lines if line.get_marker() not in {"", "None"}]
    assert len({line.get_marker() for line in lines}) == len(lines) == 4
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["standard (1)", "pointwise (13)", "depthwise (13)", "linear (1)"]


def test_without_macs_there_is_a_note() -> None:
    """A network of pools only has no point; one layer has one."""
    pool = Pool("pool", "max", 2, 2)
    (note,) = drawn(Network("pools", (Input("x", (1, 3, 8, 8)), pool)), CORE).axes[0].texts
    assert note.get_text() == "no layer has MACs"
    layers = (Input("x", (1, 3, 8, 8)), Conv("conv", 4, 3), replace(pool, inputs=("conv",)))
    assert "conv" in boxes(drawn(Network("one", layers), CORE).axes[0])


def test_mistakes() -> None:
    """Without a device, and with symbols for sizes: one line each."""
    with pytest.raises(CostModelError, match="a roofline of mobilenet_v1 is of a device"):
        roofline_figure(Report.of("mobilenet_v1"))
    symbols = replace(
        Report.of("mobilenet_v1", device=PIXEL),
        network=Network("s", (Input("x", (1, 3, H, W)), Conv("c", 8, 1))),
    )
    with pytest.raises(CostModelError, match="a plot needs numbers"):
        roofline_figure(symbols)


def test_a_report_writes_it_where_there_is_a_device(run: Callable, tmp_path: Path) -> None:
    """`report --plots --device` has five pictures, without a device four."""
    kinds = (".png", ".svg")
    arguments = ("report", "mobilenet_v1", "--no-check", "--plots")
    assert run(*arguments, tmp_path / "with", "--device", "pixel_1_tflite").code == 0
    assert {path.name for path in (tmp_path / "with").iterdir()} >= {f"roofline{k}" for k in kinds}
    assert run(*arguments, tmp_path / "without").code == 0
    assert len(list((tmp_path / "with").iterdir())) == 10
    assert len(list((tmp_path / "without").iterdir())) == 8


def test_the_same_picture_every_time() -> None:
    """Where labels stand depends on nothing but the report."""
    one, two = (drawn(ZOO["mobilenet_v2"].build(), STM32) for _ in range(2))
    places = [[(t.get_text(), t.get_position()) for t in f.axes[0].texts] for f in (one, two)]
    assert places[0] == places[1]
