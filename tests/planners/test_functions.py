"""Planners' functions: the exact cost, without building anything."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from strategies import width_function
from sympy import Symbol

from costmodel import (
    ZOO,
    CostModelError,
    Layer,
    Network,
    cost,
    cost_function,
    mobilenet_v1,
    relax,
    resize,
    widen,
)
from costmodel.algebra.symbols import alpha, rho
from costmodel.layers import AtLeast, Conv, Input, Linear, Pool

if TYPE_CHECKING:
    from collections.abc import Callable

V1 = mobilenet_v1()


@pytest.mark.parametrize("rounding", ["floor", "divisible(8)", "divisible(4)"])
@pytest.mark.parametrize("name", ZOO)
def test_cost_functions_are_exact(name: str, rounding: str) -> None:
    """f(α, D) is the cost of the network built there, for floats, Fractions and integers."""
    network = ZOO[name].build()
    f = cost_function(network, rounding=rounding)
    for a, side in ((0.29, 128), (Fraction(7, 9), 225), (1, 160), (np.float64(1.35), 300)):
        assert f(a, side) == cost(widen(resize(network, resolution=side), a, rounding))


@pytest.mark.parametrize(("a", "side"), [(0, 224), (-1, 224), (4.5, 224), (1, 0)])
def test_bad_arguments(a: float, side: int) -> None:
    """α outside (0, 4] and D below 1 are refused."""
    with pytest.raises(CostModelError, match="must be"):
        cost_function(V1)(a, side)


#: A symbol whose name would do something if it became part of a function's source.
CODE = Symbol("print('run')", positive=True, integer=True)
IMAGE = Input("image", (1, 3, 8, 8))


@pytest.mark.parametrize(
    "layers",
    [
        (Input("image", (CODE, 3, 8, 8)), Conv("conv", 4, 1)),
        (Input("image", (1, CODE, 8, 8)), Conv("conv", 4, 1)),
        (Input("image", (CODE, 3)), Linear("linear", 4)),
        (IMAGE, Conv("conv", CODE, 1)),
        (IMAGE, Conv("conv", 4, CODE)),
        (IMAGE, Conv("conv", 4, 3, padding=CODE)),
        (IMAGE, Conv("conv", 4, 3, stride=CODE)),
        (IMAGE, Pool("pool", "max", 2, CODE, ceil_mode=True), Conv("conv", 4, 1)),
    ],
)
@pytest.mark.parametrize("make", [cost_function, width_function])
def test_a_symbol_is_never_source(
    make: Callable[[Network], object], layers: tuple[Layer, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """A network with a symbol in it is refused: only integers are written into a function."""
    with pytest.raises(CostModelError, match="print") as error:
        make(Network("n", layers))
    assert "\n" not in str(error.value)
    assert capsys.readouterr().out == ""


def test_a_map_that_vanishes() -> None:
    """A resolution that leaves no map is refused, as building the network would be."""
    f = cost_function(ZOO["alexnet"].build())
    with pytest.raises(CostModelError, match="vanishes at resolution 16"):
        f(1, 16)


@pytest.mark.parametrize("name", ZOO)
def test_relaxed_functions_are_the_formula(name: str) -> None:
    """g(α, ρ) is sympy's relaxed expression, at exact rationals."""
    network = ZOO[name].build()
    g = cost_function(network, relaxed=True)
    expression = relax(cost(widen(resize(network, rho=rho), alpha)).macs)
    for a, r in ((Fraction(3, 4), Fraction(6, 7)), (Fraction(7, 5), Fraction(1, 2))):
        assert expression.subs({alpha: a, rho: r}) == g(a, r).macs


def test_gradients_are_sympys() -> None:
    """Tensors flow through, and autograd's derivative is the symbolic one."""
    expression = relax(cost(widen(resize(V1, rho=rho), alpha)).macs)
    a, r = (torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in (0.7, 0.9))
    cost_function(V1, relaxed=True)(a, r).macs.backward()
    values = {alpha: 0.7, rho: 0.9}
    for symbol, tensor in ((alpha, a), (rho, r)):
        expected = float(expression.diff(symbol).subs(values))
        assert tensor.grad.item() == pytest.approx(expected, rel=1e-12)


def built(network: Network, widths: dict[str, int]) -> Network:
    """The network with other counts in some layers, one by one."""
    layers = []
    for layer in network.layers:
        if layer.name in widths:
            width = getattr(layer, layer.width)
            count = widths[layer.name]
            grown = AtLeast(count) if isinstance(width, AtLeast) else count
            layers.append(layer.evolve(**{layer.width: grown}))
        else:
            layers.append(layer)
    return network.with_layers(layers)


@pytest.mark.parametrize("name", ["mobilenet_v1", "squeezenet_1_0", "vgg_16", "inception_v3"])
def test_widths_of_each_layer(name: str) -> None:
    """A row of counts costs what the network with those counts costs; N rows at once."""
    network = ZOO[name].build()
    f = width_function(network)
    rows = np.random.default_rng(1).integers(1, 600, (5, len(f.layers)))
    made = f(rows, 160)
    resized = resize(network, resolution=160)
    for i, row in enumerate(rows.tolist()):
        total = cost(built(resized, dict(zip(f.layers, row, strict=True))))
        assert (made.macs[i], made.params[i]) == (total.macs, total.params)
        assert f(row, 160) == total


@pytest.mark.parametrize("rounding", ["floor", "divisible(8)"])
@pytest.mark.parametrize("name", ZOO)
def test_equal_multipliers_are_a_width_multiplier(name: str, rounding: str) -> None:
    """The same multiplier in every column is `widen`, groups and relations included."""
    network = ZOO[name].build()
    f = width_function(network, rounding)
    for a in (0.3, 0.75, 1.25):
        expected = cost(widen(resize(network, resolution=128), a, rounding))
        assert f([a] * len(f.layers), 128) == expected


def test_layers_that_are_added_share_a_column() -> None:
    """MobileNetV2's residuals tie the projections of a stage: nine widths in all."""
    f = width_function(ZOO["mobilenet_v2"].build())
    assert len(f.layers) == 1 + 7 + 1  # the stem, the stages, the head
    assert "block2.pw" in f.layers
    assert "block3.pw" not in f.layers


@pytest.mark.parametrize(
    "widths",
    [[1.0] * 13, np.zeros((2, 14)), np.zeros((2, 14), int), [float("nan")] * 14, [5.0] * 14],
)
def test_bad_widths(widths: object) -> None:
    """Another number of columns, nothing, nan and too large multipliers are refused."""
    with pytest.raises(CostModelError):
        width_function(V1)(widths, 224)


def test_counts_are_exact_past_float64_and_do_not_wrap() -> None:
    """Millions of channels in int32: Python's integers."""
    f = width_function(V1)
    wide = np.full((1, 14), 2**30, dtype=np.int32)
    assert f(wide, 224).macs[0] == cost(built(V1, dict.fromkeys(f.layers, 2**30))).macs


def test_a_netadapt_like_planner() -> None:
    """Shrinking one layer at a time until a budget is met ends within it."""
    f = width_function(V1)
    widths = np.array([c.channels for c in f.columns])
    while f(widths, 224).macs > 300_000_000:
        tries = np.repeat(widths[None], len(widths), axis=0)
        tries[np.diag_indices(len(widths))] = np.maximum(1, widths * 9 // 10)
        widths = tries[int(np.argmin(f(tries, 224).macs))]
    assert 0 < f(widths, 224).macs <= 300_000_000


@pytest.mark.parametrize("name", ["mobilenet_v1", "mobilenet_v2", "squeezenet_1_1"])
def test_relaxed_widths_are_the_exact_ones_where_nothing_is_rounded(name: str) -> None:
    """At ρ = 1 and whole channels no map of these networks is rounded but SqueezeNet's."""
    network = ZOO[name].build()
    exact, relaxed = width_function(network), cost_function(network, over="widths", relaxed=True)
    random = np.random.default_rng(3)
    side = 224 if name.startswith("mobilenet") else 227
    for _ in range(5):
        widths = random.integers(1, 40, len(exact.layers)) * 8
        ours, theirs = relaxed(widths.tolist(), 1), exact(widths, side)
        assert ours.params == theirs.params
        if side == 224:
            assert ours.macs == theirs.macs


def test_a_channels_price_is_the_gradient() -> None:
    """MobileNetV1's MACs are linear in each width: one more channel costs the gradient."""
    exact, relaxed = width_function(V1), cost_function(V1, over="widths", relaxed=True)
    own = np.array([c.channels for c in exact.columns])
    widths = torch.tensor(own.tolist(), dtype=torch.float64, requires_grad=True)
    relaxed(widths, 1.0).macs.backward()
    more = exact(own + np.eye(len(own), dtype=int), 224).macs
    assert (more - exact(own, 224).macs).tolist() == widths.grad.tolist()


def test_relaxed_widths_are_counted() -> None:
    """Another number of widths is one clear line."""
    with pytest.raises(CostModelError, match="widths must be 14, one for each of conv1"):
        cost_function(V1, over="widths", relaxed=True)([1.0], 1.0)


def test_functions_of_thousands_of_layers() -> None:
    """A sum of thousands of terms is no deeper than Python's parser goes."""
    layers = [Input("image", (1, 3, 64, 64)), *(Conv(f"c{i}", 8 + i, 1) for i in range(3000))]
    network = Network("deep", tuple(layers))
    expected = 64 * 64 * (3 * 8 + sum((8 + i) * (9 + i) for i in range(2999)))
    assert cost_function(network)(1, 64).macs == expected
