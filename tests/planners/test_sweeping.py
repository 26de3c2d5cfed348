"""Sweeps: every cell is the exact cost of the network built there."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, dataclass
from fractions import Fraction
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from costmodel import (
    ZOO,
    CostModelError,
    Layer,
    Network,
    cost,
    cost_function,
    mobilenet_v1,
    resize,
    sweep,
    sweep as swept_by,
    widen,
)
from costmodel.algebra import grids
from costmodel.core import Elementwise
from costmodel.layers import Conv, Input
from costmodel.metrics.memory import MemoryRules, peak_activations, weight_bytes
from costmodel.planners.reducing import best, front, histogram
from costmodel.reports import closed_form

if TYPE_CHECKING:
    from costmodel.planners.sweeping import Sweep

V1 = mobilenet_v1()
QUICK = settings(derandomize=True, deadline=None, database=None, max_examples=20)
decimals = st.integers(1, 1500).map(lambda n: n / 1000)
RULES = MemoryRules("int8", in_place=True, fold_batch_norm=True)


def exact(network: Network, alpha: object, side: int, rounding: str) -> dict[str, int]:
    """The cost of the network built at one α and D, by the scalar path."""
    built = widen(resize(network, resolution=side), alpha, rounding)
    total = cost(built)
    return {
        "macs": total.macs,
        "params": total.params,
        "activations": total.activations,
        "weight_bytes": weight_bytes(built, RULES),
        "peak_bytes": peak_activations(built, RULES).bytes,
    }


def differing(swept: Sweep, network: Network, alphas: list, sides: list, rounding: str) -> int:
    """How many cells are not what the network built there costs."""
    wrong = 0
    for i, alpha in enumerate(alphas):
        for j, side in enumerate(sides):
            cells = {name: int(swept.evaluate(name)[i, j]) for name in swept.factors}
            wrong += cells != exact(network, alpha, side, rounding)
    return wrong


@pytest.mark.parametrize("rounding", ["floor", "divisible(8)"])
@pytest.mark.parametrize("name", ZOO)
def test_every_network_of_the_zoo(name: str, rounding: str) -> None:
    """The factorisation is read off whatever network is given: all quantities, exactly."""
    network, alphas, sides = ZOO[name].build(), [0.29, 0.77, 1.2], [128, 225]
    swept = swept_by(network, alphas, sides, rounding=rounding, rules=RULES)
    assert differing(swept, network, alphas, sides, rounding) == 0


@QUICK
@given(
    st.lists(decimals, min_size=1, max_size=5),
    st.lists(st.integers(32, 400), min_size=1, max_size=5),
    st.sampled_from(["floor", "divisible(8)", "divisible(4)"]),
)
def test_random_grids(alphas: list[float], sides: list[int], rounding: str) -> None:
    """Random α, D and roundings of MobileNetV1."""
    swept = swept_by(V1, alphas, sides, rounding=rounding, rules=RULES)
    assert swept.macs.shape == (len(alphas), len(sides))
    assert differing(swept, V1, alphas, sides, rounding) == 0


def nearest_multiple(alphas: grids.Multipliers, count: int, n: int, _groups: int = 1) -> object:
    """The nearest multiple of n, without the rule of 90 %."""
    return np.maximum(np.floor(alphas.floats * count / n + 0.5), 1) * n


@pytest.mark.parametrize("mutation", ["no ties", "no least", "no 90 %", "floor for ceiling"])
def test_mutations_are_caught(mutation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each rule of the array path, left out, makes cells differ from the scalar path."""
    network, alphas, sides, rounding = V1, [0.29, 0.1, 0.35], [97, 225], "floor"
    if mutation == "no ties":
        image = Input("image", (1, 3, 8, 8))
        network = Network("hundred", (image, Conv("conv", 100, 3, padding=1)))
        monkeypatch.setattr(grids, "_near", lambda _: ())
    elif mutation == "no least":
        monkeypatch.setattr(grids.np, "maximum", lambda values, _: values)
    elif mutation == "no 90 %":
        rounding = "divisible(8)"
        monkeypatch.setattr(grids.Multipliers, "channels", nearest_multiple)
    else:
        monkeypatch.setattr(grids, "ceil_div", lambda x, s: grids.Outer(((1, x.along(1) // s),)))
    swept = swept_by(network, alphas, sides, rounding=rounding, rules=RULES)
    monkeypatch.undo()
    assert differing(swept, network, alphas, sides, rounding) > 0


def test_the_inner_size_is_the_number_of_spatial_sizes() -> None:
    """MobileNetV1's MACs have six: 112, 56, 28, 14, 7 and the classifier's 1."""
    ((u, v),) = swept_by(V1, [0.5, 1.0], [224]).factors["macs"]
    assert (u.shape, v.shape) == ((2, 6), (6, 1))


def test_past_float64_the_integers_are_pythons() -> None:
    """What could pass 2⁵³ is exact all the same."""
    side = 10**8
    swept = swept_by(V1, [0.5, Fraction(1)], [side, 224], rules=RULES)
    assert swept.macs.dtype == object
    assert differing(swept, V1, [0.5, 1], [side, 224], "floor") == 0


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.uint8])
def test_narrow_integers_do_not_wrap(dtype: type) -> None:
    """Resolutions in narrow integers are widened before anything is multiplied."""
    swept = swept_by(V1, np.array([1, 2], dtype=dtype), np.array([224], dtype=dtype))
    assert swept.macs[:, 0].tolist() == [exact(V1, a, 224, "floor")["macs"] for a in (1, 2)]


def test_pairs_chunks_and_out() -> None:
    """Pairs are the grid's diagonal; chunks put together are the whole; `out` is filled."""
    alphas, sides = [0.25, 0.5, 0.75], [128, 160, 192]
    grid, pairs = swept_by(V1, alphas, sides), swept_by(V1, alphas, sides, paired=True)
    for name in grid.factors:
        assert pairs.evaluate(name).tolist() == np.diagonal(grid.evaluate(name)).tolist()
        parts = [part.evaluate(name) for part in grid.chunks(4)]
        assert len(parts) == 3
        assert np.array_equal(np.concatenate(parts), grid.evaluate(name))
    out = np.empty((3, 3))
    assert grid.evaluate("macs", out) is out
    assert np.array_equal(out, grid.macs)


def test_frame() -> None:
    """A tidy DataFrame, a row a cell, in exact integers."""
    frame = swept_by(V1, [0.75, 1.0], [192, 224]).frame()
    row = frame[(frame.alpha == 0.75) & (frame.resolution == 192)].iloc[0]
    assert (row.macs, row.params) == (239_273_472, 2_585_560)
    assert str(frame.macs.dtype) == "int64"


@pytest.mark.parametrize(
    ("alpha", "resolution"),
    [
        ([], [224]),
        ([0.5], []),
        ([[0.5]], [224]),
        (["half"], [224]),
        ([0.5, float("nan")], [224]),
        ([float("inf")], [224]),
        ([0.0], [224]),
        ([-1], [224]),
        ([4.1], [224]),
        ([0.5], [0]),
        ([0.5], [224.0]),
        ([True], ["224"]),
    ],
)
def test_bad_axes(alpha: list, resolution: list) -> None:
    """Axes that are empty, no numbers or out of range are an error of one line."""
    with pytest.raises(CostModelError) as caught:
        swept_by(V1, alpha, resolution)
    assert "\n" not in str(caught.value)


def test_what_cannot_be_swept() -> None:
    """Pairs of unequal length and maps that vanish are refused."""
    with pytest.raises(CostModelError, match="pairs need"):
        swept_by(V1, [0.5], [128, 224], paired=True)
    with pytest.raises(CostModelError, match="vanishes"):
        swept_by(ZOO["alexnet"].build(), [1.0], [16, 227])


def test_reductions_equal_brute_force() -> None:
    """The best under limits, the histogram and the front, against loops over every cell."""
    alphas, sides = [n / 20 for n in range(2, 31)], list(range(96, 257, 16))
    swept = swept_by(V1, alphas, sides)
    cells = [
        (int(swept.macs[i, j]), int(swept.params[i, j]), a, d)
        for i, a in enumerate(alphas)
        for j, d in enumerate(sides)
    ]
    fitting = [cell for cell in cells if cell[0] <= 150e6 and cell[1] <= 2e6]
    found = best(swept, {"macs": 150_000_000, "params": 2_000_000})
    assert (found.alpha, found.resolution) == max(fitting)[2:]
    assert best(swept, {"macs": 1}) is None
    counts, edges = histogram(swept)
    assert counts.sum() == len(cells)
    assert counts[0] == sum(edges[0] <= cell[0] < edges[1] for cell in cells)
    undominated = {
        cell[2:]
        for cell in cells
        if not any(o[0] >= cell[0] and o[1] <= cell[1] and o[:2] != cell[:2] for o in cells)
    }
    assert {(cell.alpha, cell.resolution) for cell in front(swept)} == undominated
    with pytest.raises(CostModelError, match="quantity must be one of"):
        histogram(swept, "miles")


@dataclass(frozen=True)
class Halved(Layer):
    """A user's own layer, whose shape is divided with `//`."""

    def output_shape(self, inputs: tuple, _widths: dict) -> tuple:
        """Half of everything but the batch."""
        n, c, *sides = inputs[0]
        return (n, c // 2, *(side // 2 for side in sides))

    def lowered(self, _inputs: tuple, output: tuple) -> tuple:
        """No nest."""
        return (Elementwise("halved", output),), ()


def test_a_rule_that_halves_with_slashes() -> None:
    """`//` in a user's shape rule is swept, compiled and relaxed as it is evaluated."""
    layers = (Input("image", (1, 3, 33, 33)), Conv("a", 16, 3), Halved("half"), Conv("b", 8, 1))
    network = Network("halved", layers)
    widths, sides = [0.5, 0.75, 1.0], [21, 32, 33]
    grid = swept_by(network, widths, sides).macs
    function = cost_function(network)
    for (i, a), (j, side) in product(enumerate(widths), enumerate(sides)):
        expected = cost(widen(resize(network, resolution=side), a)).macs
        assert grid[i, j] == expected == function(a, side).macs
    # 9·3·16·31² and, at half the channels and half of 31, 8·8·15²
    assert closed_form(network).macs_at(Fraction(1), Fraction(1)) == 9 * 48 * 31**2 + 64 * 15**2


def test_what_planners_return_stays_as_it_is() -> None:
    """A sweep and a function of widths are values that nobody changes."""
    swept = sweep(mobilenet_v1(), [1], [32])
    function = cost_function(mobilenet_v1(), over="widths")
    for value, field in ((swept, "alpha"), (function, "columns")):
        with pytest.raises(FrozenInstanceError):
            setattr(value, field, ())
