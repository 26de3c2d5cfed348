"""Sweeps: every cell is the exact cost of the network built there, or the sweep is refused."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from strategies import networks

from costmodel import ZOO, Cost, CostModelError, Layer, Network, cost, mobilenet_v1, resize, widen
from costmodel.algebra import grids
from costmodel.core import infer
from costmodel.core.quantities import QUANTITIES
from costmodel.layers import (
    SAME,
    AdaptivePool,
    Add,
    AtLeast,
    Concat,
    Conv,
    Flatten,
    Input,
    Linear,
    Pool,
)
from costmodel.metrics.memory import MemoryRules, peak_activations, weight_bytes
from costmodel.planners.sweeping import Sweep, sweep
from costmodel.zoo import mobilenet_v2

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.slow  # test_sweeping.py and test_functions.py are the quick ones

QUICK = settings(
    derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
V1, V2 = mobilenet_v1(), mobilenet_v2()
MODULE: Any = import_module("costmodel.planners.sweeping")
IMAGE = Input("image", (1, 3, 64, 64))


def net(*layers: Layer, image: Input = IMAGE) -> Network:
    """A network of some layers behind an image."""
    return Network("net", (image, *layers))


def built(network: Network, alpha: Any, resolution: int, rounding: str = "floor") -> Cost:
    """The exact cost of the network at one point."""
    return cost(widen(resize(network, resolution=resolution), alpha, rounding))


def figures(swept: Sweep, *cell: int) -> Cost:
    """What a sweep has in one of its cells, as Python's numbers: their == is exact."""
    values = {name: np.asarray(getattr(swept, name)[cell]).item() for name in QUANTITIES}
    return Cost(**values, unknown=swept.unknown)


def one_line(call: Callable[[], object]) -> str:
    """The message of the error that a call raises."""
    with pytest.raises(CostModelError) as caught:
        call()
    message = str(caught.value)
    assert message
    assert "\n" not in message
    return message


@st.composite
def decimals(draw: Callable[..., Any]) -> Any:
    """A multiplier of one to four digits, as a float, a Decimal or a Fraction."""
    digits = draw(st.integers(1, 4))
    exact = Fraction(draw(st.integers(1, 4 * 10**digits)), 10**digits)
    kind = draw(st.sampled_from([float, Fraction, lambda x: Decimal(str(float(x)))]))
    return kind(exact)


#: The floats are those whose products with a count are often just off an integer.
ALPHAS = st.one_of(
    decimals(),
    st.fractions(Fraction(1, 40), 4, max_denominator=60),
    st.sampled_from([0.07, 0.14, 0.28, 0.29, 0.55, 0.57, 0.58, 1.1, 1.15, 2.3, 1, 2]),
)
ROUNDINGS = st.sampled_from(["floor", "divisible(8)", "divisible(4)"])


@st.composite
def heads(draw: Callable[..., Any]) -> tuple[Layer, ...]:
    """What a network may end in: nothing, a flatten into a classifier, adaptive pooling."""
    flat, classes = Flatten("flat"), Linear("classes", draw(st.integers(1, 12)))
    pool = AdaptivePool("adaptive", output_size=draw(st.sampled_from([1, 2, (3, 2)])))
    return draw(st.sampled_from([(), (flat, classes), (pool, flat, classes), (pool,)]))


@st.composite
def swept_networks(draw: Callable[..., Any]) -> Network:
    """A random network with such a head."""
    body = draw(networks())
    if body.layers[-1].name == "classifier":
        return body
    return Network("random", (*body.layers, *draw(heads())))


@dataclass(frozen=True)
class Grid:
    """The axes of a sweep."""

    alphas: list[Any]
    sides: list[int]
    rounding: str


def small_grids(least: int, most: int) -> st.SearchStrategy[Grid]:
    """Small grids of resolutions between two."""
    return st.builds(
        Grid,
        st.lists(ALPHAS, min_size=1, max_size=3),
        st.lists(st.integers(least, most), min_size=1, max_size=3),
        ROUNDINGS,
    )


def check(network: Network, grid: Grid) -> None:
    """Every cell is exact; where one can't be built, the sweep is refused in one line."""

    def swept() -> Sweep:
        return sweep(network, grid.alphas, grid.sides, rounding=grid.rounding)

    try:
        expected = [[built(network, a, d, grid.rounding) for d in grid.sides] for a in grid.alphas]
    except CostModelError:
        one_line(swept)
        return
    table = swept()
    found = [[figures(table, i, j) for j in range(table.shape[1])] for i in range(table.shape[0])]
    assert found == expected


# Every cell is exact -------------------------------------------------------------------------


@settings(QUICK, max_examples=40)
@given(st.sampled_from(list(ZOO)), small_grids(16, 400))
def test_every_cell_of_the_zoo_is_exact(name: str, grid: Grid) -> None:
    """Each cell is the big-integer cost of the network built there, or a map vanishes."""
    check(ZOO[name].build(), grid)


@pytest.mark.slow
@settings(QUICK, max_examples=600)
@given(st.sampled_from(list(ZOO)), small_grids(16, 700))
def test_every_cell_of_the_zoo_is_exact_at_length(name: str, grid: Grid) -> None:
    """The same on ten times as many grids."""
    check(ZOO[name].build(), grid)


@settings(QUICK, max_examples=120)
@given(swept_networks(), small_grids(1, 60))
def test_every_cell_of_a_random_network_is_exact(network: Network, grid: Grid) -> None:
    """Flattens into classifiers, branches, groups, ceil_mode and adaptive pools as well."""
    check(network, grid)


@pytest.mark.slow
@settings(QUICK, max_examples=1500)
@given(swept_networks(), small_grids(1, 200))
def test_every_cell_of_a_random_network_is_exact_at_length(network: Network, grid: Grid) -> None:
    """The same on many more."""
    check(network, grid)


@settings(QUICK, max_examples=25)
@given(st.sampled_from(["mobilenet_v1", "mobilenet_v2", "alexnet", "squeezenet_1_1"]), st.data())
def test_pairs_are_the_cells_of_their_own(name: str, data: st.DataObject) -> None:
    """With `paired`, entry i is the cost at (alpha[i], resolution[i])."""
    network, rounding = ZOO[name].build(), data.draw(ROUNDINGS)
    pairs = data.draw(st.lists(st.tuples(ALPHAS, st.integers(100, 400)), min_size=1, max_size=4))
    swept = sweep(network, *zip(*pairs, strict=True), rounding=rounding, paired=True)
    assert swept.shape == swept.macs.shape == (len(pairs),)
    found = [figures(swept, i) for i in range(len(pairs))]
    assert found == [built(network, alpha, d, rounding) for alpha, d in pairs]


@pytest.mark.parametrize("name", ZOO)
def test_the_memory_of_every_cell_is_exact(name: str) -> None:
    """Bytes of weights and peak activations are those of the network built there."""
    network, alphas, sides = ZOO[name].build(), [0.29, 1.0, 1.3], [224, 301]
    swept = sweep(network, alphas, sides)
    points = [resize(widen(network, a), resolution=d) for a in alphas for d in sides]
    assert swept.weight_bytes.ravel().tolist() == [weight_bytes(point) for point in points]
    peaks = [peak_activations(point).bytes for point in points]
    assert swept.peak_bytes.ravel().tolist() == peaks


@settings(QUICK, max_examples=40)
@given(swept_networks(), st.sampled_from(["float32", "float16", "int8"]), st.booleans())
def test_the_memory_of_a_random_network_is_exact(
    network: Network,
    dtype: str,
    in_place: bool,  # noqa: FBT001
) -> None:
    """Under every set of rules, maxima over the layers included."""
    rules = MemoryRules(dtype, in_place=in_place, fold_batch_norm=in_place)
    swept = sweep(network, [0.29, 2], [9, 32], rules=rules)
    points = [resize(widen(network, a), resolution=d) for a in (0.29, 2) for d in (9, 32)]
    assert swept.weight_bytes.ravel().tolist() == [weight_bytes(point, rules) for point in points]
    peaks = [peak_activations(point, rules).bytes for point in points]
    assert swept.peak_bytes.ravel().tolist() == peaks


def test_the_papers_cells() -> None:
    """Table 6's and 7's MobileNets, in one sweep: 1.0 is 539492352 + 28224000 + 1024000."""
    swept = sweep(V1, [1.0, 0.75, 0.5, 0.25], [224, 192, 160, 128])
    assert swept.macs[0, 0] == 539492352 + 28224000 + 1024000
    assert np.round(swept.macs[:, 0] / 1e6).tolist() == [569, 325, 149, 41]
    assert np.round(swept.macs[0] / 1e6).tolist() == [569, 418, 291, 186]


def test_a_flatten_mixes_both_multipliers() -> None:
    """A classifier behind a flatten has αC·⌈D/2⌉² inputs, which no single factor holds."""
    flat = net(Conv("conv", 10, 1, 2), Flatten("flat"), Linear("classes", 7, bias=False))
    swept = sweep(flat, [0.5, 1.0, 2.0], [8, 9])
    channels, sides, classes = [8, 10, 20], [4, 5], [7, 7, 14]
    weights = [
        [3 * c + c * d * d * n for d in sides] for c, n in zip(channels, classes, strict=True)
    ]
    assert swept.params.tolist() == weights


@pytest.mark.parametrize("divisor", [3, 5])
def test_ties_of_odd_divisors_round_up(divisor: int) -> None:
    """0.57·50 is 28.5, halfway between 27 and 30: it goes up here as it does alone."""
    network, alphas = net(Conv("a", 50, 1), Conv("b", 30, 1)), np.arange(1, 301) / 100
    swept = sweep(network, alphas, [8], rounding=f"divisible({divisor})")
    exact = [built(network, float(a), 8, f"divisible({divisor})").macs for a in alphas]
    assert swept.macs[:, 0].tolist() == exact


def test_widths_that_never_shrink() -> None:
    """MobileNetV2's last 1280 stay below α = 1 and grow above it, at every α of 2 digits."""
    alphas = [k / 100 for k in range(1, 200)]
    swept = sweep(V2, alphas, [96], rounding="divisible(8)")
    assert swept.params[:, 0].tolist() == [built(V2, a, 96, "divisible(8)").params for a in alphas]


def test_every_hundredth_of_100_channels() -> None:
    """K hundredths of 100 channels are k channels, 0.29·100 (28.999999999999996) included."""
    swept = sweep(net(Conv("conv", 100, 1)), np.arange(8, 401) / 100, [1])
    assert (swept.macs[:, 0] / 3).tolist() == list(range(8, 401))


# Shapes and parts ----------------------------------------------------------------------------


def test_the_frame_has_a_row_for_each_cell() -> None:
    """α varies slowest, and every count is an int64."""
    frame = sweep(V1, [0.5, 1.0], [128, 192, 224]).frame()
    assert frame["alpha"].tolist() == [0.5] * 3 + [1.0] * 3
    assert frame["resolution"].tolist() == [128, 192, 224] * 2
    for row in frame.itertuples():
        exact = built(V1, row.alpha, row.resolution)
        assert (row.macs, row.params, row.activations) == (
            exact.macs,
            exact.params,
            exact.activations,
        )
    assert {str(frame[name].dtype) for name in ("macs", "params", "activations")} == {"int64"}


def test_the_frame_of_pairs_has_a_row_for_each_pair() -> None:
    """Two pairs are two rows."""
    frame = sweep(V1, [0.5, 1.0], [128, 224], paired=True).frame()
    assert frame[["alpha", "resolution"]].to_numpy().tolist() == [[0.5, 128], [1.0, 224]]
    assert frame["macs"].tolist() == [built(V1, 0.5, 128).macs, built(V1, 1, 224).macs]


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("cells", [1, 7, 12, 30, 1000])
def test_chunks_put_together_are_the_whole(cells: int, paired: bool) -> None:  # noqa: FBT001
    """Nothing lost, nothing twice, and no part larger than asked for (or a row)."""
    alphas, sides = np.linspace(0.1, 2, 9), np.arange(100, 109)
    whole = sweep(V1, alphas, sides, paired=paired)
    parts = list(whole.chunks(cells))
    row = 1 if paired else len(sides)
    assert max(part.macs.size for part in parts) <= max(cells, row)
    assert np.concatenate([part.alpha for part in parts]).tolist() == alphas.tolist()
    for quantity in ("macs", "params", "activations", "weight_bytes", "peak_bytes"):
        together = np.concatenate([part.evaluate(quantity) for part in parts])
        assert together.tolist() == whole.evaluate(quantity).tolist()
    frames = pd.concat([part.frame() for part in parts], ignore_index=True)
    assert frames.equals(whole.frame())


def test_chunks_of_the_default_size_are_one() -> None:
    """A small sweep is a single part."""
    (part,) = sweep(V1, [1.0], [224]).chunks()
    assert part.macs.tolist() == [[539492352 + 28224000 + 1024000]]


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("quantity", ["macs", "params", "activations", "peak_bytes"])
def test_evaluate_fills_the_given_array(quantity: str, paired: bool) -> None:  # noqa: FBT001
    """`out` is what is returned, and every element of it is written."""
    swept = sweep(V1, [0.25, 0.5, 1.0], [128, 192, 224], paired=paired)
    out = np.full(swept.shape, np.nan)
    assert swept.evaluate(quantity, out=out) is out
    assert out.tolist() == swept.evaluate(quantity).tolist()


def test_the_inner_size_is_the_number_of_spatial_sizes() -> None:
    """MobileNetV1 has maps of 112, 56, 28, 14, 7 and the classifier's 1: six columns."""
    ((u, v),) = sweep(V1, [0.5, 1.0], [224]).factors["macs"]
    assert u.shape == (2, 6)
    assert sorted(v[:, 0].tolist()) == [1, 7**2, 14**2, 28**2, 56**2, 112**2]


def test_parameters_have_one_column() -> None:
    """Nothing spatial is in a parameter count, so its product is with a constant."""
    ((u, v),) = sweep(V1, [0.5, 1.0], [192, 224]).factors["params"]
    assert (u.shape, v.tolist()) == ((2, 1), [[1.0, 1.0]])


@dataclass(frozen=True)
class Mystery(Layer):
    """A layer no rule knows."""


def test_unknown_layers_are_named() -> None:
    """Their names are with the figures, which are those of the other layers."""
    swept = sweep(net(Conv("conv", 10, 1), Mystery("odd"), Mystery("odder")), [1.0], [8])
    assert swept.unknown == ("odd", "odder")
    assert swept.macs.tolist() == [[3 * 10 * 8 * 8]]
    assert [part.unknown for part in swept.chunks()] == [("odd", "odder")]


def test_memory_with_an_unknown_layer_is_refused() -> None:
    """A lower bound of a peak is no peak: one line that says why, not a KeyError."""
    swept = sweep(net(Conv("conv", 10, 1), Mystery("odd")), [1.0], [8])
    one_line(lambda: swept.peak_bytes)
    one_line(lambda: swept.weight_bytes)


def test_an_unknown_quantity_is_refused() -> None:
    """A misspelt quantity is named."""
    assert "mac" in one_line(lambda: sweep(V1, [1.0], [224]).evaluate("mac"))


# Past 2**53, and small integers --------------------------------------------------------------

BIG = Input("image", (2**50 + 1, 3, 64, 64))


def test_past_2_to_the_53_the_integers_are_pythons() -> None:
    """A batch of 2⁵⁰ + 1 makes counts that no float64 holds: they are exact all the same."""
    network = net(Conv("conv", 7, 3), Conv("next", 31, 3, 2), image=BIG)
    alphas, sides = [0.29, Fraction(1, 3), 1], [17, 64]
    swept = sweep(network, alphas, sides)
    assert swept.macs.dtype == object
    assert all(type(value) is int for value in swept.macs.ravel())
    expected = [[built(network, a, d) for d in sides] for a in alphas]
    assert [[figures(swept, i, j) for j in range(2)] for i in range(3)] == expected
    assert all(total.macs % 2**53 for row in expected for total in row)
    paired = sweep(network, alphas[:2], sides, paired=True)
    assert paired.macs.tolist() == [expected[0][0].macs, expected[1][1].macs]


def test_parts_of_large_sweeps_are_exact() -> None:
    """Frames, chunks and `out` hold Python's integers too."""
    swept = sweep(net(Conv("conv", 7, 3), image=BIG), [0.5, 1.0], [17, 64])
    exact = [[(2**50 + 1) * 27 * 7 * (d - 2) ** 2 for d in (17, 64)]] * 2
    assert swept.macs.tolist() == exact
    assert swept.frame()["macs"].tolist() == [*exact[0], *exact[1]]
    assert [part.macs.tolist() for part in swept.chunks(2)] == [exact[:1], exact[1:]]
    out = np.empty((2, 2), dtype=object)
    assert swept.evaluate("macs", out=out).tolist() == exact


@pytest.mark.parametrize("batch", range(2**53 // 12 - 2, 2**53 // 12 + 3))
def test_the_last_integer_below_2_to_the_53(batch: int) -> None:
    """12·batch crosses 2⁵³ here: exact on both sides."""
    network = net(Conv("conv", 4, 1), image=Input("image", (batch, 3, 1, 1)))
    assert sweep(network, [1.0], [1]).macs.tolist() == [[12 * batch]]


def test_many_resolutions_past_2_to_the_53() -> None:
    """⌈D/3⌉ and ⌈(D + 1)/3⌉, equal at both ends of a thousand sides, are still two sizes."""
    branch = Conv("branch", 4, 2, 3, 1, inputs=("image",))
    network = net(Conv("conv", 4, 1, 3), branch, image=BIG)
    sides = [64, 64, 64, *range(10, 1100), 64, 64, 64]
    exact = [(2**50 + 1) * (12 * (-(-d // 3)) ** 2 + 48 * (-(-(d + 1) // 3)) ** 2) for d in sides]
    assert sweep(network, [1.0], sides).macs[0].tolist() == exact


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.uint16, np.uint32, np.int64])
def test_small_integers_never_wrap(dtype: type) -> None:
    """VGG-16's 15 billion MACs at 224, and the 300 billion at 1000, of integer arrays."""
    network = ZOO["vgg_16"].build()
    swept = sweep(network, np.array([1, 2], dtype), np.array([224, 1000], dtype))
    expected = [[built(network, a, d) for d in (224, 1000)] for a in (1, 2)]
    assert [[figures(swept, i, j) for j in range(2)] for i in range(2)] == expected


def test_float32_multipliers_are_the_decimals_they_print() -> None:
    """np.float32(0.29) is 0.29 to `widen`, so it is in an array."""
    network = net(Conv("conv", 100, 1))
    alphas = np.array([f"{k / 100}" for k in range(8, 401)]).astype(np.float32)
    exact = [built(network, alpha, 4).macs for alpha in alphas]
    assert sweep(network, alphas, [4]).macs[:, 0].tolist() == exact


def test_a_resolution_past_int64() -> None:
    """2⁷⁰ pixels a side are computed, or refused in one line."""
    with suppress(CostModelError):
        swept = sweep(net(Conv("conv", 8, 1)), [1.0], [2**70])
        assert swept.macs.tolist() == [[24 * 2**140]]


def test_exact_rounding_keeps_integers() -> None:
    """Under `exact`, α·C is the count where it is whole, and an error where it isn't."""
    network = net(Conv("conv", 8, 1), image=BIG)
    swept = sweep(network, [0.25, Fraction(1, 8)], [1], rounding="exact")
    assert swept.macs[:, 0].tolist() == [(2**50 + 1) * 3 * 2, (2**50 + 1) * 3]
    assert all(type(value) is int for value in swept.macs.ravel())
    one_line(lambda: sweep(network, [0.29], [1], rounding="exact"))


# Monotonicity --------------------------------------------------------------------------------

MONOTONE = ["mobilenet_v1", "mobilenet_v2", "alexnet", "googlenet", "squeezenet_1_0"]


@pytest.mark.parametrize("name", MONOTONE)
@pytest.mark.parametrize("rounding", ["floor", "divisible(8)"])
def test_wider_never_costs_less(name: str, rounding: str) -> None:
    """MACs and parameters never fall as α grows.

    Nor under `divisible(8)`: where a count would fall under 90 % it is the next multiple, which
    is also the one that comes next without that rule.
    """
    swept = sweep(ZOO[name].build(), np.arange(1, 4001) / 1000, [224], rounding=rounding)
    assert (np.diff(swept.macs[:, 0]) >= 0).all()
    assert (np.diff(swept.params[:, 0]) >= 0).all()


def test_the_90_percent_rule_only_steps_early() -> None:
    """Of 32 channels: 8 until 8.88 (0.9·8.88 < 8), 16 until 17.77, as far as 35.5 and so on."""
    alphas = np.arange(1, 4000) / 2000
    swept = sweep(net(Conv("conv", 32, 1)), alphas, [1], rounding="divisible(8)")
    widths = swept.macs[:, 0] / 3
    last = [float(32 * alphas[widths == width].max()) for width in (8, 16, 24, 32)]
    assert last == [pytest.approx(x, abs=0.02) for x in (80 / 9, 160 / 9, 240 / 9, 320 / 9)]


@pytest.mark.parametrize("name", MONOTONE)
def test_larger_never_costs_less(name: str) -> None:
    """MACs never fall as D grows; parameters stay, but for AlexNet's flatten into a classifier."""
    swept = sweep(ZOO[name].build(), [0.5, 1.0], np.arange(100, 420))
    assert (np.diff(swept.macs, axis=1) >= 0).all()
    steps = np.diff(swept.params, axis=1)
    assert (steps >= 0).all()
    assert steps.any() == (name == "alexnet")


# Mutations -----------------------------------------------------------------------------------


def _wrong(network: Network, alphas: list[float], side: int, rounding: str = "floor") -> list[Any]:
    """The multipliers at which the sweep is not the exact cost."""
    swept = sweep(network, alphas, [side], rounding=rounding)
    return [
        a for i, a in enumerate(alphas) if figures(swept, i, 0) != built(network, a, side, rounding)
    ]


HUNDREDTHS = [k / 100 for k in range(1, 201)]


def test_a_floor_for_a_ceiling_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """⌊225/2⌋ is 112 where the network has 113."""
    assert not _wrong(V1, [0.5], 225)
    floored = lambda size, stride: grids.Outer(((1, size.along(1) // stride),))  # noqa: E731
    monkeypatch.setattr(grids, "ceil_div", floored)
    assert _wrong(V1, [0.5], 225) == [0.5]


def test_a_tie_left_to_floats_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it, 0.29·100 would be 28 channels, and 0.57·100 would be 56."""
    network = net(Conv("conv", 100, 1))
    assert not _wrong(network, HUNDREDTHS, 8)
    monkeypatch.setattr(grids, "_near", lambda _: ())
    assert {0.29, 0.57, 0.58} <= set(_wrong(network, HUNDREDTHS, 8))


def _without_minimum(alphas: Any, count: int, _divisor: int, _groups: int = 1) -> Any:
    return np.maximum(np.floor(alphas.floats * count + 1e-9), 1)


def test_a_lost_minimum_of_8_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """32 channels are never fewer than 8, so α under 0.25 would be wrong, and nothing else."""
    network = net(Conv("conv", 32, 1))
    assert not _wrong(network, HUNDREDTHS, 8)
    monkeypatch.setattr(grids.Multipliers, "channels", _without_minimum)
    assert _wrong(network, HUNDREDTHS, 8) == [a for a in HUNDREDTHS if a < 0.25]


def _without_90_percent(alphas: Any, count: int, divisor: int, _groups: int = 1) -> Any:
    wanted = alphas.floats * count + 1e-9
    return np.maximum(np.floor(wanted / divisor + 0.5) * divisor, divisor)


def test_a_lost_90_percent_rule_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """0.35·32 = 11.2 is 16 channels under MobileNetV2's rounding and would be 8."""
    network = net(Conv("conv", 32, 1))
    assert not _wrong(network, HUNDREDTHS, 8, "divisible(8)")
    monkeypatch.setattr(grids.Multipliers, "channels", _without_90_percent)
    wrong = _wrong(network, HUNDREDTHS, 8, "divisible(8)")
    assert 0.35 in wrong
    assert [a for a in wrong if a < 0.5] == [a for a in HUNDREDTHS if 80 / 9 < 32 * a < 12]


def test_a_lost_check_of_2_to_the_53_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Float64 would round the odd multiples of 2⁵⁰ + 1."""
    network = net(Conv("conv", 7, 3), image=BIG)
    assert not _wrong(network, [1.0], 17)
    for module in (grids, MODULE):
        monkeypatch.setattr(module, "EXACT", float("inf"))
    assert _wrong(network, [1.0], 17) == [1.0]


# Bad input -----------------------------------------------------------------------------------

NAN, INF = float("nan"), float("inf")
BAD_ALPHAS = {
    "nan": [NAN],
    "nan among others": [0.5, NAN],
    "inf": [INF],
    "text": ["half"],
    "empty": [],
    "two axes": [[0.5, 1.0]],
    "no axis": 0.5,
    "one text": "0.5",
    "zero": [0.0],
    "negative": [-1],
    "large": [4.01],
    "complex": [1j],
    "truth": [True],
    "text among fractions": [Fraction(1, 2), "x"],
    "nan among fractions": [Fraction(1, 2), NAN],
    "inf among fractions": [Fraction(1, 2), INF],
    "None": [None],
    "None among numbers": [1, None],
    "ragged": [[1], [1, 2]],
    "line break": ["a\nb"],
}


@pytest.mark.parametrize("alpha", BAD_ALPHAS.values(), ids=BAD_ALPHAS)
def test_bad_multipliers_are_one_line(alpha: Any) -> None:
    """Whatever isn't a list of numbers in (0, 4] is refused by name."""
    assert "alpha" in one_line(lambda: sweep(V1, alpha, [224]))


BAD_SIDES = {
    "zero": [0],
    "negative": [-3],
    "float": [224.0],
    "fraction of a pixel": [224.5],
    "nan": [NAN],
    "inf": [INF],
    "text": ["224"],
    "empty": [],
    "two axes": [[224, 192]],
    "no axis": 224,
    "None": [None],
    "None among numbers": [224, None],
    "truth": [True],
    "ratio": [Fraction(224)],
    "ragged": [[224], [224, 192]],
}


@pytest.mark.parametrize("resolution", BAD_SIDES.values(), ids=BAD_SIDES)
def test_bad_resolutions_are_one_line(resolution: Any) -> None:
    """Whatever isn't a list of integers of at least 1 is refused by name."""
    assert "resolution" in one_line(lambda: sweep(V1, [1.0], resolution))


def test_pairs_of_unequal_length_are_one_line() -> None:
    """Two α and three resolutions are no pairs."""
    assert "2, 3" in one_line(lambda: sweep(V1, [0.5, 1], [224, 192, 160], paired=True))


def test_an_unknown_rounding_is_one_line() -> None:
    """As in `widen`."""
    assert "round-up" in one_line(lambda: sweep(V1, [0.5], [224], rounding="round-up"))


@pytest.mark.parametrize("paired", [False, True])
def test_a_map_that_vanishes_is_one_line(paired: bool) -> None:  # noqa: FBT001
    """AlexNet's kernels don't fit an image of 16; at 224 they do."""
    network = ZOO["alexnet"].build()
    assert "resolution" in one_line(lambda: sweep(network, [1, 1], [16, 224], paired=paired))


@pytest.mark.parametrize("side", [1, 2])
def test_a_ceil_mode_pool_may_hang_over_its_map(side: int) -> None:
    """torch puts a 3×3 window of stride 2 on a map of 2, and none on a map of 1."""
    network = net(Pool("pool", "max", 3, 2, 0, ceil_mode=True), Conv("conv", 4, 1))
    if side == 1:
        one_line(lambda: built(network, 1, side))
        one_line(lambda: sweep(network, [1.0], [side]))
    else:
        assert sweep(network, [1.0], [side]).macs.tolist() == [[built(network, 1, side).macs]]


def test_channels_that_groups_divide_stay_divisible() -> None:
    """60 + 60 channels divide by 8, and so do they at every α, in a sweep as in a network."""
    branches = [Conv("a", 60, 1), Conv("b", 60, 1, inputs=("image",))]
    network = net(*branches, Concat("both", inputs=("a", "b")), Conv("four", SAME, 1, groups=8))
    assert not _wrong(network, [0.3, 0.55, 1], 8)
    assert [infer(widen(network, a))[-1].output[1] % 8 for a in (0.3, 0.55)] == [0, 0]


def test_summands_stay_equal() -> None:
    """Beside a width that never shrinks, what is added to it never does either."""
    both = [Conv("a", 64, 1), Conv("b", AtLeast(64), 1, inputs=("image",))]
    network = net(*both, Add("sum", inputs=("a", "b")))
    assert sweep(network, [1, 2], [8]).macs.tolist() == [[2 * 3 * 64 * 64], [2 * 3 * 128 * 64]]
    assert sweep(network, [0.5], [8]).macs.tolist() == [[2 * 3 * 64 * 64]]


IMPORTED = """
from costmodel import cost_function, mobilenet_v1
cost_function(mobilenet_v1(), over="widths")(multipliers=[0.5] * 14, resolution=224)
from costmodel import sweep
print(sweep(mobilenet_v1(), [0.5], [224]).macs[0, 0])
"""


def test_sweep_is_the_function_whatever_was_imported_before() -> None:
    """`costmodel.sweep` must not turn into the module of that name."""
    command = [sys.executable, "-c", IMPORTED]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ran.stdout, ran.stderr) == ("149497088.0\n", "")
