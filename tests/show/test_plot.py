"""Figures: what is drawn is the formulas' and the papers' numbers, and files are whole."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
import pytest

from costmodel import (
    CostModelError,
    Layer,
    Network,
    alpha as alpha_symbol,
    cost,
    mobilenet_v1,
    relax,
    resize,
    rho as rho_symbol,
    widen,
)
from costmodel.algebra.notation import si
from costmodel.algebra.polynomial import ALPHA, RHO
from costmodel.layers import SAME, Conv, Input, Linear
from costmodel.metrics.devices import device
from costmodel.planners.planning import plan
from costmodel.show.plots import (
    filters_figure,
    layers_figure,
    multipliers_figure,
    plan_figure,
    reduction_figure,
    reduction_map_figure,
    save_figures,
)
from costmodel.show.plots.multipliers import _evaluate
from costmodel.show.plots.style import VERMILLION, house_figure
from costmodel.zoo import mobilenet_v2

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from matplotlib.axes import Axes

V1 = mobilenet_v1()
PLAIN = Network(
    "plain", (Input("image", (1, 3, 32, 32)), Conv("first", 16, 3), Conv("second", 32, 3))
)


@dataclass(frozen=True)
class Mystery(Layer):
    """A layer that no rule knows."""


def labelled(axes: Axes, text: str) -> Any:
    """The one line whose legend entry contains a text."""
    (line,) = [line for line in axes.lines if text in str(line.get_label())]
    return line


def points(line: Any) -> list[tuple[float, float]]:
    """A line's coordinates."""
    return list(zip(line.get_xdata(), line.get_ydata(), strict=True))


def texts_at(axes: Axes) -> Mapping[tuple[float, float], str]:
    """What is written beside each point."""
    return {tuple(text.xy): text.get_text() for text in axes.texts if hasattr(text, "xy")}


def bars(axes: Axes) -> Mapping[str, Any]:
    """The bars of each series."""
    return {str(container.get_label()): container for container in axes.containers}


def widths(container: Any) -> list[int]:
    """How long a series' bars are."""
    return [bar.get_width() for bar in container]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (864, "864"),
        (999, "999"),
        (999.6, "1.00 k"),
        (1000, "1.00 k"),
        (9995, "10.0 k"),
        (999_499, "999 k"),
        (999_950, "1.00 M"),
        (4_231_976, "4.23 M"),
        (13_600_000, "13.6 M"),
        (568_740_352, "569 M"),
        (15.3e9, "15.3 G"),
        (1e36, "1e+36"),
        (0.125, "0.125"),
    ],
)
def test_si_keeps_three_digits_and_carries_into_the_next_prefix(value: float, text: str) -> None:
    """A number has three significant digits and the prefix of its rounded value."""
    assert si(value) == text


@pytest.mark.parametrize(
    ("kernel", "first", "last"),
    [
        (3, Fraction(25, 144), Fraction(2057, 18432)),
        (5, Fraction(41, 400), Fraction(2073, 51200)),
        (7, Fraction(65, 784), Fraction(2097, 100352)),
    ],
)
def test_reduction_curves_run_from_16_to_2048_channels(
    kernel: int, first: Fraction, last: Fraction
) -> None:
    """Each curve is 1/C_out + 1/K² and falls to its dotted limit 1/K²."""
    axes = reduction_figure(V1).axes[0]
    ends = [(points(line)[0], points(line)[-1]) for line in axes.lines]
    assert ((16, pytest.approx(float(first))), (2048, pytest.approx(float(last)))) in ends
    limits = [line.get_ydata()[0] for line in axes.lines if line.get_linestyle() == ":"]
    assert pytest.approx(1 / kernel**2) in limits


def test_blocks_lie_on_the_curve_of_3_by_3_kernels() -> None:
    """MobileNetV1's thirteen blocks have Table 1's widths and 1/C_out + 1/9, not measured."""
    axes = reduction_figure(V1).axes[0]
    drawn = points(labelled(axes, "blocks of mobilenet_v1 (13), from the formula, not measured"))
    expected = {
        64: Fraction(73, 576),
        128: Fraction(137, 1152),
        256: Fraction(265, 2304),
        512: Fraction(521, 4608),
        1024: Fraction(1033, 9216),
    }
    assert drawn == [(channels, float(share)) for channels, share in expected.items()]
    assert [texts_at(axes).get(point) for point in drawn] == [None, "×2", "×2", "×6", "×2"]


def test_measured_blocks_are_drawn_where_they_were_measured() -> None:
    """A measured ratio is drawn as it is, whatever the formula says, and the figure says so."""
    measured = {f"block{i}": Fraction(i, 100) for i in range(1, 14)}
    line = labelled(reduction_figure(V1, measured).axes[0], "measured by fvcore")
    assert "not measured" not in line.get_label()
    assert sorted(line.get_ydata()) == [i / 100 for i in range(1, 14)]


def test_measured_blocks_of_another_network_are_refused() -> None:
    """Ratios of other blocks than the network's raise one clear error."""
    with pytest.raises(CostModelError, match=r"must have the 13 separable blocks .* got block1;"):
        reduction_figure(V1, {"block1": Fraction(1, 2)})


def test_blocks_beyond_the_usual_range_are_in_view() -> None:
    """A block of one-dimensional kernels, 1/8 + 1/3, widens the axes until it shows."""
    layers = (Input("x", (1, 8, 64)), Conv("dw", SAME, 3, groups=SAME), Conv("pw", 8, 1))
    axes = reduction_figure(Network("one", layers)).axes[0]
    ((x, y),) = points(labelled(axes, "blocks of one (1)"))
    assert (x, y) == (8, pytest.approx(1 / 8 + 1 / 3))
    assert axes.get_xlim()[0] < x < axes.get_xlim()[1]
    assert axes.get_ylim()[0] < y < axes.get_ylim()[1]


def test_a_network_without_blocks_still_has_the_curves() -> None:
    """Without depthwise separable blocks there are three curves, three limits and a note."""
    axes = reduction_figure(PLAIN).axes[0]
    note = labelled(axes, "plain has no depthwise separable blocks")
    assert points(note) == []
    assert len(axes.lines) == 3 + 3 + 1


def test_the_map_has_every_ratio() -> None:
    """Each cell is 1/C_out + 1/K², and says so in percent; a 1×1 kernel has nothing to save."""
    axes = reduction_map_figure().axes[0]
    shares = axes.collections[0].get_array().reshape(6, 8)
    for row, kernel in enumerate((1, 3, 5, 7, 9, 11)):
        for column in range(8):
            exact = Fraction(1, 16 * 2**column) + Fraction(1, kernel**2)
            assert shares[row, column] == pytest.approx(float(exact))
    assert all(shares[0] > 1)
    written = [text.get_text() for text in axes.texts]
    assert written[8:12] == ["17.4", "14.2", "12.7", "11.9"]
    assert [label.get_text() for label in axes.get_xticklabels()][-1] == "2048"


def test_a_blocks_two_ways_stand_beside_each_other() -> None:
    """Block 7 is Howard et al. 2017, Table 3: 462 M MACs as one convolution, 52.3 M as two."""
    macs, params = map(bars, layers_figure(V1).axes)
    assert macs["standard"][6].get_width() == 9 * 512 * 512 * 14 * 14
    assert macs["depthwise"][6].get_width() == 9 * 512 * 14 * 14
    assert macs["pointwise"][6].get_width() == 512 * 512 * 14 * 14
    assert macs["pointwise"][6].get_x() == 9 * 512 * 14 * 14
    assert params["standard"][6].get_width() == 9 * 512 * 512
    assert params["depthwise"][6].get_width() == 9 * 512
    written = [text.get_text() for text in layers_figure(V1).axes[0].texts]
    assert written.count("462 M") == 8  # of stride 1: blocks 3, 5, 7 to 11 and 13
    assert written.count("52.3 M, 1.7 % depthwise") == 5


def test_the_bars_add_up_to_the_network() -> None:
    """The bars sum to the totals of MobileNet and of its full convolutions, batch norm apart."""
    macs, params = map(bars, layers_figure(V1).axes)
    others = sum(widths(macs["in no separable block"]))
    assert others == 9 * 3 * 32 * 112 * 112 + 1024 * 1000
    assert sum(widths(macs["depthwise"]) + widths(macs["pointwise"])) + others == 568_740_352
    standard = sum(widths(macs["standard"]))
    assert standard == (5 * 32 * 64 * 112 * 112 + 8 * 512 * 512 * 14 * 14) * 9
    kept = ("depthwise", "pointwise", "in no separable block")
    assert sum(sum(widths(params[name])) for name in kept) == 4_231_976 - 21_888


def test_layers_without_blocks_are_plain_bars() -> None:
    """Without depthwise separable blocks every layer has one bar and the legend one entry."""
    figure = layers_figure(PLAIN)
    (series,) = bars(figure.axes[0]).items()
    assert series[0] == "in no separable block"
    assert widths(series[1]) == [9 * 3 * 16 * 30 * 30, 9 * 16 * 32 * 28 * 28]
    assert len(figure.legends[0].get_texts()) == 1


def test_an_unknown_layer_is_not_a_silent_zero() -> None:
    """A layer no rule knows has a row that says unknown, and its network's MACs are bounds."""
    network = Network("n", (*PLAIN.layers, Mystery("mystery")))
    assert "unknown" in [text.get_text() for text in layers_figure(network).axes[0].texts]
    written = texts_at(multipliers_figure(network).axes[0]).values()
    assert all(text.startswith("≥ ") for text in written)


def test_models_that_do_not_fit_are_left_out() -> None:
    """A kernel of 150 has no place at 128 pixels: the other twelve models are drawn."""
    network = Network("big", (Input("image", (1, 3, 224, 224)), Conv("conv", 8, 150)))
    drawn = texts_at(multipliers_figure(network).axes[0])
    assert {side for _, side in drawn} >= {224, 192, 160}
    assert 128 not in {side for _, side in drawn}


def test_counts_past_64_bits_are_drawn(tmp_path: Path) -> None:
    """A bar longer than any integer of numpy's."""
    figure = layers_figure(resize(V1, resolution=10**12))
    assert widths(bars(figure.axes[0])["in no separable block"])[0] > 2**64
    assert all(path.exists() for path in save_figures({"layers": figure}, tmp_path))


def test_a_network_of_nothing_has_an_empty_figure() -> None:
    """A network without layers that count still gives figures, and no warning."""
    network = Network("none", (Input("image", (1, 3, 8, 8)),))
    assert bars(layers_figure(network).axes[0]) == {}
    assert set(texts_at(multipliers_figure(network).axes[0]).values()) == {"0"}


def test_sixteen_models_have_their_exact_macs() -> None:
    """Howard et al. 2017, Tables 6 and 7 (TF-slim's 291 for 290), stand beside their points."""
    axes = multipliers_figure(V1).axes[0]
    written = texts_at(axes)
    assert len(points(labelled(axes, "16 models, widths rounded by floor"))) == len(written) == 16
    assert [written[alpha, 224] for alpha in (1, 0.75, 0.5, 0.25)] == [
        "569 M",
        "325 M",
        "149 M",
        "41.0 M",
    ]
    assert [written[1, side] for side in (192, 160, 128)] == ["418 M", "291 M", "186 M"]


def test_contours_follow_the_closed_form() -> None:
    """On every contour 539492352·α²ρ² + 28224000·αρ² + 1024000·α is its level."""
    (contours,) = multipliers_figure(V1).axes[0].collections
    assert [si(level) for level in contours.levels] == [
        *("10.0 M", "20.0 M", "50.0 M", "100 M", "200 M", "500 M", "1.00 G")
    ]
    for level, path in zip(contours.levels, contours.get_paths(), strict=True):
        alpha, rho = path.vertices[:, 0], path.vertices[:, 1] / 224
        macs = 539492352 * alpha**2 * rho**2 + 28224000 * alpha * rho**2 + 1024000 * alpha
        assert macs == pytest.approx(level, rel=1e-3)


def test_contour_labels_lie_on_their_contours_and_apart() -> None:
    """Each level is written once, where the closed form has that level, clear of the others."""
    axes = multipliers_figure(V1, (0.5, 148)).axes[0]
    labels = [text for text in axes.texts if not hasattr(text, "xy")]
    places = [text.get_position() for text in labels]
    for text, (alpha, side) in zip(labels, places, strict=True):
        macs = 539492352 * alpha**2 + 28224000 * alpha
        assert si(macs * (side / 224) ** 2 + 1024000 * alpha) == text.get_text()
    for i, (a, d) in enumerate(places):
        for other, side in [*places[:i], (0.5, 148)]:
            assert abs(a - other) > 0.16 or abs(d - side) > 16


@pytest.mark.parametrize(("alpha", "rho"), [(0.5, 1), (1, 0.5), (1.4, 8 / 7)])
def test_a_width_that_never_shrinks_is_max_1_alpha(alpha: float, rho: float) -> None:
    """MobileNetV2's polynomial on a grid is sympy's relaxed expression with Max(1, α)."""
    relaxed = relax(cost(widen(resize(mobilenet_v2(), rho=rho_symbol), alpha_symbol)).macs)
    expected = relaxed.subs({alpha_symbol: alpha, rho_symbol: rho})
    polynomial = cost(widen(resize(mobilenet_v2(), rho=RHO), ALPHA)).macs
    assert _evaluate(polynomial, np.array(alpha), np.array(rho)) == pytest.approx(float(expected))


def test_the_chosen_model_is_ringed() -> None:
    """0.75 MobileNet-192 is 239 M (Howard et al. 2017, Table 10), and beyond 256 is in view."""
    axes = multipliers_figure(V1, ("3/4", 192)).axes[0]
    assert points(labelled(axes, "α = 0.75, D = 192: 239 M")) == [(0.75, 192)]
    assert multipliers_figure(V1, (1, 320)).axes[0].get_ylim() == (96, 320)


def test_rho_is_shown_beside_the_resolution() -> None:
    """The right axis has ρ = D/224 at the ticks of the left: 192 is 0.857."""
    axes = multipliers_figure(V1).axes[0]
    (right,) = axes.child_axes
    ticks = [label.get_text() for label in right.get_yticklabels()]
    assert list(axes.get_yticks()) == list(right.get_yticks())
    assert dict(zip(axes.get_yticks(), ticks, strict=True))[192] == "0.857"
    assert right.get_ylabel() == "resolution multiplier ρ = D/224"


@pytest.mark.parametrize("shape", [(1, 3), (1, 3, 224, 160)])
def test_without_a_square_input_a_note_takes_the_place_of_the_grid(shape: tuple[int, ...]) -> None:
    """A network of vectors or of oblong images has no one D; its figure says so."""
    network = Network("odd", (Input("x", shape), Linear("fc", 4)))
    figure = multipliers_figure(network, (1, 224))
    assert figure.axes == []
    assert figure.texts[0].get_text().startswith("odd has no square input")


@pytest.mark.slow
def test_every_axis_is_named_and_every_figure_titled() -> None:
    """Axes name their quantity and unit, figures their subject."""
    reduction, grid = reduction_figure(V1).axes[0], reduction_map_figure().axes[0]
    assert reduction.get_title(loc="left") == "MACs of a depthwise separable block"
    assert reduction.get_xlabel() == grid.get_xlabel() == "output channels Cₒᵤₜ"
    assert reduction.get_ylabel() == "1/Cₒᵤₜ + 1/K² (% of standard)"
    assert [str(t.get_text()) for t in reduction.get_yticklabels()][:3] == ["0", "5", "10"]
    assert grid.get_ylabel() == "kernel size K"
    assert "(% of standard" in grid.get_title(loc="left")
    layers = layers_figure(V1)
    assert layers.get_suptitle() == "Layers of mobilenet_v1"
    assert [axes.get_xlabel() for axes in layers.axes] == ["MACs", "params without batch norm"]
    assert [t.get_text() for t in layers.axes[0].get_xticklabels()][:2] == ["0", "250 M"]
    assert layers.axes[0].get_yticklabels()[0].get_text() == "conv1"
    multipliers = multipliers_figure(V1).axes[0]
    assert multipliers.get_title(loc="left") == "MACs of mobilenet_v1"
    assert multipliers.get_xlabel() == "width multiplier α"
    assert multipliers.get_ylabel() == "input resolution D (pixels)"


def test_symbols_are_refused_by_name() -> None:
    """A plot of a network whose sizes are symbols raises one clear error."""
    symbolic = widen(V1, alpha_symbol)
    for draw in (reduction_figure, layers_figure, multipliers_figure):
        with pytest.raises(CostModelError, match=r"has symbols .*, and a plot needs numbers"):
            draw(symbolic)


def test_names_are_no_formulas(tmp_path: Path) -> None:
    """A name with dollar signs, markup and great length is drawn as text and cut."""
    layers = (Input("x", (1, 3)), Linear("$a_b$ <&>", 4), Linear("x" * 100, 4))
    save_figures({"f": layers_figure(Network("n", layers))}, tmp_path)
    svg = (tmp_path / "f.svg").read_text()
    assert "$a_b$ &lt;&amp;&gt;" in svg
    assert f">{'x' * 19}…<" in svg


def test_files_are_png_and_svg_with_text(tmp_path: Path) -> None:
    """Each figure becomes a PNG of 200 dpi and an SVG whose text is text, without a date."""
    directory = tmp_path / "a" / "b"
    png, svg = save_figures({"map": reduction_map_figure()}, directory)
    assert (png, svg) == (directory / "map.png", directory / "map.svg")
    assert png.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert int.from_bytes(png.read_bytes()[16:20], "big") == 3.5 * 200
    assert ">kernel size K<" in svg.read_text()
    assert "date" not in svg.read_text()
    assert sorted(directory.iterdir()) == [png, svg]


@pytest.mark.slow
def test_two_runs_write_the_same_bytes(tmp_path: Path) -> None:
    """Another process, which never loads pyplot, writes byte for byte the same files."""
    figures = {"r": reduction_figure(V1), "m": multipliers_figure(V1, (1, 224))}
    paths = save_figures(figures, tmp_path / "here")
    script = (
        "import sys; from pathlib import Path; from costmodel import mobilenet_v1\n"
        "from costmodel.show.plots import multipliers_figure, reduction_figure, save_figures\n"
        "net = mobilenet_v1()\n"
        "figures = {'r': reduction_figure(net), 'm': multipliers_figure(net, (1, 224))}\n"
        "save_figures(figures, Path(sys.argv[1]))\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    there = tmp_path / "there"
    subprocess.run([sys.executable, "-c", script, str(there)], check=True)
    for path in paths:
        assert path.read_bytes() == (there / path.name).read_bytes()


def test_the_users_style_neither_matters_nor_changes(tmp_path: Path) -> None:
    """The same bytes come out under another matplotlib style, which is left as it was."""
    expected = save_figures({"f": reduction_figure(PLAIN)}, tmp_path / "default")
    with mpl.rc_context({"font.size": 20, "axes.grid": True, "svg.fonttype": "path"}):
        found = save_figures({"f": reduction_figure(PLAIN)}, tmp_path / "styled")
        assert mpl.rcParams["font.size"] == 20
    assert [p.read_bytes() for p in found] == [p.read_bytes() for p in expected]


def test_a_file_is_no_directory(tmp_path: Path) -> None:
    """A directory that is a file raises one line with the path, and the file is as it was."""
    (tmp_path / "file").write_text("mine")
    with pytest.raises(CostModelError, match=r"make the directory \S*/file: it is a file"):
        save_figures({}, tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_plans_figure_is_the_plan() -> None:
    """Each limit's curve ends at the widest network within it; the ring is the choice."""
    made = plan(mobilenet_v1(), max_macs="150M", max_peak_memory="2MiB", resolutions=[96, 160, 224])
    axes = plan_figure(made).axes[0]
    lines = {line.get_label(): line.get_xydata().tolist() for line in axes.lines}
    assert lines[next(label for label in lines if label.startswith("α = "))] == [
        [float(made.choice.alpha), made.choice.resolution]
    ]
    front = lines[f"Pareto front ({len(made.front)})"]
    assert front == [[float(c.alpha), c.resolution] for c in made.front]
    curve = next(points for label, points in lines.items() if label.startswith("MACs ≤ 150M"))
    assert curve
    for width, side in curve:
        resized = resize(mobilenet_v1(), resolution=int(side))
        wider = min(a for a in made.swept.alpha if a > width)
        assert cost(widen(resized, width)).macs <= 150_000_000 < cost(widen(resized, wider)).macs


def test_each_limit_has_a_look_of_its_own() -> None:
    """Five limits, five colours and lines; time takes none of the others' from them.

    A mutation that fails it: looks in the order of `limited`, or four of them.
    """
    given = {"max_macs": "900M", "max_params": "6M", "max_flash": "20MiB"}
    given |= {"max_peak_memory": "9MiB", "max_latency": "120ms"}
    sizes: Any = {"resolutions": [96, 160, 224]}
    made = plan(mobilenet_v1(), **given, **sizes, device=device("pixel_1_tflite"))
    lines = [line for line in plan_figure(made).axes[0].lines if "≤" in str(line.get_label())]
    assert len(lines) == len({line.get_color() for line in lines}) == 5
    assert len({str((line.get_linestyle(), line._unscaled_dash_pattern)) for line in lines}) == 5
    flash = plan_figure(plan(mobilenet_v1(), max_flash="9MiB", **sizes)).axes[0]
    assert labelled(flash, "flash ≤").get_color() == VERMILLION


def test_a_plan_without_a_choice_or_a_grid_is_drawn() -> None:
    """Nothing fits, or there is one network only: the figure says what there is."""
    nothing = plan_figure(plan(mobilenet_v1(), max_flash="1KiB"))
    assert not nothing.axes[0].get_legend_handles_labels()[1][1:]
    one = plan_figure(plan(mobilenet_v1(), max_macs="1G", alphas=[1], resolutions=[224]))
    assert any("α = 1" in label for label in one.axes[0].get_legend_handles_labels()[1])


def test_a_filter_bank_has_a_block_for_every_filter() -> None:
    """Six filters of 3×3×4, four of 3×3 and six of 1×1×4, with a cell for each visible weight."""
    standard, depthwise, pointwise = filters_figure(kernel=3, c_in=4, c_out=6).axes
    assert [len(axes.collections) for axes in (standard, depthwise, pointwise)] == [6, 4, 6]
    cells = [len(axes.collections[0].get_paths()) for axes in (standard, depthwise, pointwise)]
    assert cells == [9 + 2 * 3 * 4, 9 + 2 * 3, 1 + 2 * 4]  # front, top and right
    titles = [axes.get_title(loc="left") for axes in (standard, depthwise, pointwise)]
    assert titles[0] == "standard: 6 filters of 3×3×4, 216 weights"
    assert titles[1] == "depthwise: 4 filters of 3×3×1, 36 weights"
    assert titles[2] == "pointwise: 6 filters of 1×1×4, 24 weights"


def test_a_filter_bank_without_filters_is_refused() -> None:
    """No output channels, no picture."""
    with pytest.raises(CostModelError, match="c_out must be"):
        filters_figure(c_out=0)


def test_jupyter_shows_a_figure_as_it_is_saved(tmp_path: Path) -> None:
    """The picture in a notebook is the PNG file's bytes, as wide as pyplot would show it."""
    figure = reduction_map_figure()
    png, _ = save_figures({"map": figure}, tmp_path)
    assert figure._repr_png_() == (png.read_bytes(), {"width": 525})
    assert figure.get_figwidth() * figure.get_dpi() == 525


def test_a_figure_of_ones_own_has_the_house_style() -> None:
    """What is drawn inside `house_figure` has small type and no frame, and no backend."""
    with house_figure(2) as figure:
        axes = figure.add_subplot()
        axes.set_xlabel("mine")
    assert (figure.get_figwidth(), figure.get_figheight()) == (3.5, 2)
    assert axes.xaxis.label.get_fontsize() == 7
    assert not axes.spines["top"].get_visible()
