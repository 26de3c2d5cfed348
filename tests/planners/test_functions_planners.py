"""Cost functions for planners: right at every input, and refused where there is no network."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import sympy
import torch
from hypothesis import HealthCheck, assume, given, settings, strategies as st
from strategies import networks, width_function

from costmodel import (
    ZOO,
    Cost,
    CostModelError,
    Layer,
    Network,
    cost,
    cost_function,
    mobilenet_v1,
    resize,
    widen,
)
from costmodel.algebra.symbols import alpha, relax, rho
from costmodel.layers import SAME, Add, AtLeast, Conv, Fixed, Flatten, Input, Linear, Pool, Times
from costmodel.zoo import mobilenet_v2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from costmodel.planners.compiling import WidthFunction

pytestmark = pytest.mark.slow  # test_sweeping.py and test_functions.py are the quick ones

QUICK = settings(
    derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
V1, V2 = mobilenet_v1(), mobilenet_v2()
NETWORKS = {name: architecture.build() for name, architecture in ZOO.items()}
IMAGE = Input("image", (1, 3, 64, 64))
NAN, INF = float("nan"), float("inf")


def net(*layers: Layer, image: Input = IMAGE) -> Network:
    """A network of some layers behind an image."""
    return Network("net", (image, *layers))


def built(network: Network, multiplier: Any, resolution: int, rounding: str = "floor") -> Cost:
    """The exact cost of the network at one point."""
    return cost(widen(resize(network, resolution=resolution), multiplier, rounding))


def one_line(call: Callable[[], object]) -> str:
    """The message of the error that a call raises."""
    with pytest.raises(CostModelError) as caught:
        call()
    message = str(caught.value)
    assert message
    assert "\n" not in message
    return message


def python(total: Cost) -> Cost:
    """A cost with Python's numbers, whose == is exact."""
    return total.map(lambda value: np.asarray(value).item())


@st.composite
def decimals(draw: Callable[..., Any]) -> Fraction:
    """A multiplier of one to four digits."""
    digits = draw(st.integers(1, 4))
    return Fraction(draw(st.integers(1, 4 * 10**digits)), 10**digits)


ROUNDINGS = st.sampled_from(["floor", "divisible(8)", "divisible(4)", "divisible(3)"])
#: What a planner may hold a multiplier in.
KINDS: dict[str, Callable[[Fraction], Any]] = {
    "float": float,
    "Fraction": Fraction,
    "Decimal": lambda exact: Decimal(str(float(exact))),
    "float64": np.float64,
    "float32": np.float32,
}


# cost_function -------------------------------------------------------------------------------


def check(network: Network, rounding: str, multiplier: Any, side: int) -> None:
    """The function has the exact cost, or there is none."""
    function = cost_function(network, rounding=rounding)
    try:
        exact = built(network, multiplier, side, rounding)
    except CostModelError:
        one_line(lambda: function(multiplier, side))
        return
    total = function(multiplier, side)
    assert total == exact
    assert {type(x) for x in (total.params, total.macs, total.activations)} == {int}


@pytest.mark.parametrize("name", ZOO)
@settings(QUICK, max_examples=10)
@given(decimals(), st.sampled_from(list(KINDS)), st.integers(16, 600), ROUNDINGS)
def test_the_function_is_the_exact_cost(
    name: str, exact: Fraction, kind: str, side: int, rounding: str
) -> None:
    """For every network of the zoo, under several roundings, whatever α is held in."""
    check(NETWORKS[name], rounding, KINDS[kind](exact), side)


@settings(QUICK, max_examples=80)
@given(networks(), decimals(), st.sampled_from(list(KINDS)), st.integers(1, 80), ROUNDINGS)
def test_the_function_of_a_random_network_is_its_exact_cost(
    network: Network, exact: Fraction, kind: str, side: int, rounding: str
) -> None:
    """Branches, groups, shared weights and ceil_mode pools as well."""
    check(network, rounding, KINDS[kind](exact), side)


@pytest.mark.parametrize("multiplier", [1, 2, 4, np.int64(1), np.int32(2), np.float16(0.5)])
def test_multipliers_may_be_integers(multiplier: Any) -> None:
    """1 is 1.0, and so are numpy's numbers."""
    assert cost_function(V1)(multiplier, 224) == built(V1, str(multiplier), 224)


def test_every_hundredth_of_100_channels() -> None:
    """K hundredths of 100 channels are k channels, 0.29·100 (28.999999999999996) included."""
    function = cost_function(net(Conv("conv", 100, 1)))
    assert [function(k / 100, 1).macs for k in range(8, 401)] == [3 * k for k in range(8, 401)]


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("rounding", ["floor", "divisible(8)"])
def test_widths_that_never_shrink(kind: Callable[[Fraction], Any], rounding: str) -> None:
    """max(1, α)·100 is 164 at 1.64, which is halfway between two multiples of 8, however held."""
    network = net(Conv("conv", AtLeast(100), 1))
    function = cost_function(network, rounding=rounding)
    multipliers = [kind(Fraction(k, 100)) for k in range(1, 401)]
    exact = [built(network, a, 4, rounding) for a in multipliers]
    assert [function(a, 4) for a in multipliers] == exact


def test_exact_rounding() -> None:
    """α·C where it is whole, and an error where it isn't."""
    function = cost_function(V1, rounding="exact")
    assert function(0.5, 224) == built(V1, 0.5, 224)
    one_line(lambda: function(0.29, 224))


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.int32, np.int64])
def test_resolutions_of_numpy_never_wrap(kind: type) -> None:
    """VGG-16's 15 billion MACs at 224 don't fit int32: exact, whatever 224 is held in."""
    assert cost_function(NETWORKS["vgg_16"])(1.0, kind(224)) == built(NETWORKS["vgg_16"], 1, 224)


def test_counts_past_2_to_the_63() -> None:
    """A batch of 2⁶⁰ + 1 gives an exact integer."""
    network = net(Conv("conv", 7, 3), image=Input("image", (2**60 + 1, 3, 64, 64)))
    assert cost_function(network)(1.0, 64).macs == (2**60 + 1) * 27 * 7 * 62 * 62


class Mystery(Layer):
    """A layer no rule knows."""


def test_unknown_layers_are_named() -> None:
    """In all three kinds of function, and the figures are those of the other layers."""
    network = net(Conv("conv", 10, 1), Mystery("odd"))
    total = Cost(macs=30 * 8 * 8, params=30, activations=10 * 8 * 8, unknown=("odd",))
    assert cost_function(network)(1.0, 8) == total
    assert cost_function(network, relaxed=True)(Fraction(1), Fraction(1, 8)) == total
    assert width_function(network)([10], 8) == total


def test_an_unknown_rounding_is_refused() -> None:
    """When the function is made."""
    assert "round-up" in one_line(lambda: cost_function(V1, rounding="round-up"))


BAD_ALPHAS = [0, 0.0, -1, -0.5, 4.01, 5, NAN, INF, "x", None, [0.5], 1j, True, {}]


@pytest.mark.parametrize("multiplier", BAD_ALPHAS, ids=repr)
def test_bad_multipliers_are_one_line(multiplier: Any) -> None:
    """Whatever isn't a number in (0, 4] is refused by name."""
    function = cost_function(V1)
    assert "alpha" in one_line(lambda: function(multiplier, 224))


BAD_SIDES = [0, -1, 224.5, NAN, INF, "x", None, [224], 1j, {}]


@pytest.mark.parametrize("side", BAD_SIDES, ids=repr)
def test_bad_resolutions_are_one_line(side: Any) -> None:
    """Whatever isn't an integer of at least 1 is refused by name."""
    function = cost_function(V1)
    assert "resolution must be an integer from 1" in one_line(lambda: function(0.5, side))


def test_a_whole_float_is_no_resolution_or_the_same() -> None:
    """224.0 is either refused or 224, and then gives integers."""
    function = cost_function(V1)
    try:
        total = function(0.5, 224.0)
    except CostModelError:
        return
    assert type(total.macs) is int
    assert total == built(V1, 0.5, 224)


def test_a_map_that_vanishes_is_one_line() -> None:
    """AlexNet's kernels don't fit an image of 16; at 224 they do."""
    function = cost_function(NETWORKS["alexnet"])
    assert "16" in one_line(lambda: function(1.0, 16))
    assert function(1.0, 224) == built(NETWORKS["alexnet"], 1, 224)


@pytest.mark.parametrize("side", [1, 2])
def test_a_ceil_mode_pool_may_hang_over_its_map(side: int) -> None:
    """torch puts a 3×3 window of stride 2 on a map of 2, and none on a map of 1."""
    network = net(Pool("pool", "max", 3, 2, 0, ceil_mode=True), Conv("conv", 4, 1))
    function = cost_function(network)
    if side == 1:
        one_line(lambda: built(network, 1, side))
        one_line(lambda: function(1.0, side))
    else:
        assert function(1.0, side) == built(network, 1, side)


# relaxed_function ----------------------------------------------------------------------------


def relaxed(network: Network) -> Cost:
    """The polynomials of `costmodel.algebra.symbols`."""
    return cost(widen(resize(network, rho=rho), alpha, "exact")).map(relax)


POLYNOMIALS = {name: relaxed(network) for name, network in NETWORKS.items()}
RATIOS = st.fractions(Fraction(1, 40), 4, max_denominator=100)


def at(polynomial: Any, a: Fraction, r: Fraction) -> Fraction:
    """The exact value of a polynomial in α and ρ."""
    point = {alpha: sympy.Rational(str(a)), rho: sympy.Rational(str(r))}
    value = sympy.sympify(polynomial).subs(point)
    return Fraction(int(value.p), int(value.q))


@pytest.mark.parametrize("name", ZOO)
@settings(QUICK, max_examples=10)
@given(RATIOS, RATIOS)
def test_the_relaxed_function_is_the_polynomial(name: str, a: Fraction, r: Fraction) -> None:
    """With Fractions, exactly what `relax` leaves of the exact expression."""
    expected = POLYNOMIALS[name].map(lambda polynomial: at(polynomial, a, r))
    assert cost_function(NETWORKS[name], relaxed=True)(a, r) == expected


@settings(QUICK, max_examples=30)
@given(networks(), RATIOS, RATIOS)
def test_the_relaxed_function_of_a_random_network(
    network: Network, a: Fraction, r: Fraction
) -> None:
    """Pools, groups and branches too."""
    expected = relaxed(network).map(lambda polynomial: at(polynomial, a, r))
    assert cost_function(network, relaxed=True)(a, r) == expected


def test_mobilenets_polynomial() -> None:
    """539492352·α²ρ² + 28224000·αρ² + 1024000·α, at α = 1/2 and ρ = 3/4."""
    g = cost_function(V1, relaxed=True)
    macs = Fraction(539492352 * 9, 4 * 16) + Fraction(28224000 * 9, 2 * 16) + 512000
    assert g(Fraction(1, 2), Fraction(3, 4)).macs == macs


@pytest.mark.parametrize("name", ZOO)
@pytest.mark.parametrize("point", [(0.5, 1.0), (1.7, 0.571), (0.9, 1.25)])
def test_gradients_are_sympys_derivatives(name: str, point: tuple[float, float]) -> None:
    """Through torch tensors, in float64, in both variables and of all three figures."""
    tensors = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in point]
    total = cost_function(NETWORKS[name], relaxed=True)(*tensors)
    exact = dict(zip((alpha, rho), map(sympy.Rational, point), strict=True))
    for quantity in ("params", "macs", "activations"):
        formula = sympy.sympify(getattr(POLYNOMIALS[name], quantity))
        slopes = torch.autograd.grad(
            getattr(total, quantity), tensors, retain_graph=True, allow_unused=True
        )
        for symbol, slope in zip((alpha, rho), slopes, strict=True):
            expected = float(sympy.diff(formula, symbol).subs(exact))
            assert (slope.item() if slope is not None else 0) == pytest.approx(expected, rel=1e-12)


def test_arrays_broadcast() -> None:
    """A column of α and a row of ρ give a table of what the numbers give one by one."""
    g = cost_function(V2, relaxed=True)
    alphas, rhos = np.linspace(0.1, 2, 7), np.linspace(0.5, 1.5, 5)
    table = g(alphas[:, None], rhos[None, :]).macs
    assert table.tolist() == [[g(float(a), float(r)).macs for r in rhos] for a in alphas]


def test_tensors_of_many_points() -> None:
    """A batch of multipliers has the gradient of each."""
    alphas = torch.tensor([0.25, 0.5, 1.0], dtype=torch.float64, requires_grad=True)
    cost_function(V1, relaxed=True)(alphas, 1.0).macs.sum().backward()
    slopes = [2 * 539492352 * a + 28224000 + 1024000 for a in (0.25, 0.5, 1.0)]
    assert alphas.grad.tolist() == slopes


# width_function ------------------------------------------------------------------------------


def ties(network: Network) -> dict[str, set[str]]:
    """For each layer with a plain width, those that additions make it equal to, found by walks."""

    def owners(name: str) -> set[str]:
        layer = network[name]
        width = getattr(layer, layer.width) if layer.width else SAME
        if isinstance(width, Times) or isinstance(layer, Add):
            return set().union(*(owners(source) for source in layer.inputs))
        return {name}

    own = [
        x.name
        for x in network.layers
        if x.width and not isinstance(getattr(x, x.width), (Times, Fixed))
    ]
    tied = {name: {name} for name in own}
    for layer in network.layers:
        if isinstance(layer, Add):
            whole = set().union(*(tied[owner] for owner in owners(layer.name)))
            tied |= dict.fromkeys(whole, whole)
    return tied


def with_widths(network: Network, layers: Iterable[str], counts: Iterable[int]) -> Network:
    """The network whose layers have these counts, and what is added to them theirs."""
    tied = ties(network)
    own = {
        name: int(count)
        for column, count in zip(layers, counts, strict=True)
        for name in tied[column]
    }
    assert own.keys() == tied.keys()
    return network.with_layers(
        [x.evolve(**{x.width: own[x.name]}) if x.name in own else x for x in network.layers]
    )


def row(total: Cost, i: int) -> Cost:
    """The cost of one network of many, in Python's numbers."""
    return python(total.map(lambda values: values[i]))


def counts(function: WidthFunction, n: int, most: int = 200, seed: int = 0) -> np.ndarray:
    """Random widths, even ones, which AlexNet's two groups divide."""
    random = np.random.default_rng(seed)
    return 2 * random.integers(1, most // 2, (n, len(function.layers)))


@pytest.mark.parametrize("name", ZOO)
def test_counts_are_those_of_the_network_with_these_widths(name: str) -> None:
    """For one row and for many, relations, residuals and groups included."""
    network = NETWORKS[name]
    function = width_function(network)
    table = counts(function, 4, seed=len(name))
    for side in (224, 301):
        networks_ = [with_widths(network, function.layers, widths) for widths in table]
        exact = [cost(resize(one, resolution=side)) for one in networks_]
        total = function(table, side)
        assert [row(total, i) for i in range(len(table))] == exact
        assert [function(widths, side) for widths in table] == exact
        assert function(table[0].tolist(), side) == exact[0]


@settings(QUICK, max_examples=60)
@given(networks(("plain", "residual", "branches", "pool", "depthwise", "separable")), st.data())
def test_counts_of_random_networks(network: Network, data: st.DataObject) -> None:
    """Any width for any layer that has one."""
    function = width_function(network)
    assume(function.layers)
    widths = np.array([data.draw(st.integers(1, 40)) for _ in function.layers], dtype=int)
    assert function(widths, 20) == cost(
        resize(with_widths(network, function.layers, widths), resolution=20)
    )


@settings(QUICK, max_examples=30)
@given(networks(("grouped", "branches", "residual")), st.sampled_from([0.29, 0.5, 1.0, 2.3]))
def test_multipliers_of_grouped_networks(network: Network, multiplier: float) -> None:
    """One multiplier for all is `widen`, where groups divide the counts too."""
    function = width_function(network)
    assert function([multiplier] * len(function.layers), 20) == built(network, multiplier, 20)


@pytest.mark.parametrize("source", ["first", "conv"])
def test_shared_weights_share_a_width(source: str) -> None:
    """Two convolutions with the same weights are of one width, side by side or in a row."""
    again = Conv("again", 8, 3, padding=1, shares="conv", inputs=(source,))
    function = width_function(net(Conv("first", 8, 1), Conv("conv", 8, 3, padding=1), again))
    total = function([5] * len(function.layers), 10)
    assert (total.params, total.macs) == (3 * 5 + 9 * 25, 100 * (3 * 5 + 2 * 9 * 25))


@pytest.mark.parametrize("name", ZOO)
@pytest.mark.parametrize("rounding", ["floor", "divisible(8)", "divisible(4)"])
def test_one_multiplier_for_all_is_widen(name: str, rounding: str) -> None:
    """f([α, …], D) is the cost of widen(net, α)."""
    function = width_function(NETWORKS[name], rounding)
    multipliers = [0.07, 0.29, 0.5, 1.0, 1.15, 2.3]
    total = function(np.outer(multipliers, np.ones(len(function.layers))), 224)
    exact = [built(NETWORKS[name], a, 224, rounding) for a in multipliers]
    assert [row(total, i) for i in range(len(multipliers))] == exact


@pytest.mark.parametrize("name", ["mobilenet_v1", "mobilenet_v2", "alexnet", "inception_v3"])
@pytest.mark.parametrize("rounding", ["floor", "divisible(8)"])
def test_each_multiplier_rounds_as_widen_rounds(name: str, rounding: str) -> None:
    """Column i at α is as wide as its layer is in widen(net, α)."""
    network = NETWORKS[name]
    function = width_function(network, rounding)
    random = np.random.default_rng(7)
    multipliers = random.integers(1, 250, (3, len(function.layers))) / 100
    total = function(multipliers, 224)
    for i, ratios in enumerate(multipliers):
        layers = [
            widen(network, float(a), rounding)[name]
            for name, a in zip(function.layers, ratios, strict=True)
        ]
        found = [getattr(x, x.width) for x in layers]
        widths = [x.count if isinstance(x, AtLeast) else x for x in found]
        assert row(total, i) == cost(
            resize(with_widths(network, function.layers, widths), resolution=224)
        )


def test_the_columns_of_mobilenet_v1() -> None:
    """The first convolution and the 13 pointwise ones; depthwise ones and classes follow."""
    assert width_function(V1).layers == ("conv1", *(f"block{i}.pw" for i in range(1, 14)))


def test_the_columns_of_mobilenet_v2() -> None:
    """A residual stage has one width; expansions are 6 times it; the 1280 is its own."""
    stages = [f"block{i}.pw" for i in (1, 2, 4, 7, 11, 14, 17)]
    assert width_function(V2).layers == ("conv1", *stages, "conv2")


def test_depthwise_and_expanded_widths_follow() -> None:
    """By hand: a width of w, 6·w for its expansion and its depthwise convolution."""
    network = net(
        Conv("a", 8, 1),
        Conv("expand", Times(6), 1),
        Conv("dw", SAME, 3, padding=1, groups=SAME),
        Conv("project", 8, 1),
        Add("sum", inputs=("a", "project")),
    )
    function = width_function(network)
    assert function.layers == ("a",)
    w = np.arange(1, 50)
    per_pixel = 3 * w + w * 6 * w + 9 * 6 * w + 6 * w * w
    assert function(w[:, None], 10).macs.tolist() == (100 * per_pixel).tolist()


def test_a_flatten_into_a_classifier() -> None:
    """W·D² inputs of a classifier, by hand."""
    function = width_function(net(Conv("a", 8, 1), Flatten("flat"), Linear("out", Fixed(5))))
    assert function([7], 10).params == 3 * 7 + 7 * 100 * 5 + 5


def test_counts_past_2_to_the_53_are_exact() -> None:
    """Two layers of 2³⁰ + 1 and 2³⁰ + 4 channels: an odd count beyond any float64."""
    function = width_function(net(Conv("a", 8, 1), Conv("b", 8, 1)))
    a, b = 2**30 + 1, 2**30 + 4
    exact = 3 * a + a * b
    assert exact % 2
    assert function([a, b], 1).macs == exact
    table = function([[a, b], [1, 1]], 1).macs
    assert table.dtype == object
    assert table.tolist() == [exact, 4]
    assert {type(value) for value in table} == {int}


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.uint32, np.int64])
def test_small_integers_never_wrap(dtype: type) -> None:
    """Widths of 100 in arrays of any integer type: VGG-16's 2 billion MACs."""
    function = width_function(NETWORKS["vgg_16"])
    widths = np.full((2, len(function.layers)), 100, dtype)
    exact = cost(resize(with_widths(NETWORKS["vgg_16"], function.layers, widths[0]), rho=1))
    assert [row(function(widths, 224), i) for i in range(2)] == [exact, exact]
    assert function(widths[0], 224) == exact


def test_large_widths_in_int32_never_wrap() -> None:
    """(2³⁰)² is 2⁶⁰ and not 0."""
    function = width_function(net(Conv("a", 8, 1), Conv("b", 8, 1)))
    assert function(np.full(2, 2**30, np.int32), 1).macs == 3 * 2**30 + 2**60


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.int32, np.int64])
def test_width_functions_take_resolutions_of_numpy(kind: type) -> None:
    """224 in any integer type is 224."""
    function = width_function(NETWORKS["vgg_16"])
    widths = [512] * len(function.layers)
    assert function(widths, kind(224)) == function(widths, 224)
    assert python(function([widths], kind(224)).map(lambda x: x[0])) == function(widths, 224)


def test_float32_multipliers_are_the_decimals_they_print() -> None:
    """np.float32(0.29) is 0.29 to `widen`, so it is in an array of them."""
    network = net(Conv("conv", 100, 1))
    multipliers = np.array([f"{k / 100}" for k in range(8, 401)]).astype(np.float32)
    exact = [built(network, a, 4).macs for a in multipliers]
    assert width_function(network)(multipliers[:, None], 4).macs.tolist() == exact


@pytest.mark.parametrize("widths", [[], np.zeros(0, int), np.zeros((1, 0))], ids=repr)
def test_a_network_without_widths(widths: Any) -> None:
    """Where nothing is free there are no columns, and the cost is the network's."""
    function = width_function(net(Conv("dw", SAME, 3, groups=SAME), Conv("out", Fixed(5), 1)))
    assert function.layers == ()
    macs = np.asarray(function(widths, 10).macs)
    assert macs.ravel().tolist() == [8 * 8 * (9 * 3 + 3 * 5)]


def test_no_rows_are_no_costs() -> None:
    """An empty batch is an empty result."""
    function = width_function(V1)
    for dtype in (int, float):
        assert function(np.zeros((0, len(function.layers)), dtype), 224).macs.shape == (0,)


WIDTHS = {
    "too few": [32] * 13,
    "too many": [32] * 15,
    "a number": 32,
    "none": [],
    "three axes": [[[32] * 14]],
    "zero": [0] * 14,
    "one zero": [32] * 13 + [0],
    "negative": [-32] * 14,
    "nan": [NAN] * 14,
    "one nan": [0.5] * 13 + [NAN],
    "inf": [INF] * 14,
    "zero multiplier": [0.0] * 14,
    "negative multiplier": [-0.5] * 14,
    "large multiplier": [4.5] * 14,
    "text": ["32"] * 14,
    "None": [None] * 14,
    "truth": [True] * 14,
    "complex": [1j] * 14,
    "ragged": [[32] * 14, [32]],
}


@pytest.mark.parametrize("widths", WIDTHS.values(), ids=WIDTHS)
def test_bad_widths_are_one_line(widths: Any) -> None:
    """Another shape, counts below 1 and whatever is no number are refused."""
    function = width_function(V1)
    one_line(lambda: function(widths, 224))


@pytest.mark.parametrize("side", BAD_SIDES, ids=repr)
def test_bad_resolutions_of_width_functions_are_one_line(side: Any) -> None:
    """As in `cost_function`."""
    function = width_function(V1)
    assert "resolution" in one_line(lambda: function([[32] * 14] * 2, side))


def test_width_functions_refuse_maps_that_vanish() -> None:
    """AlexNet's kernels don't fit an image of 16, whatever the widths."""
    function = width_function(NETWORKS["alexnet"])
    assert "16" in one_line(lambda: function([64] * len(function.layers), 16))


def test_counts_that_groups_do_not_divide_are_refused() -> None:
    """AlexNet's conv2 has two groups: 63 channels in front of it are no network."""
    function = width_function(NETWORKS["alexnet"])
    one_line(lambda: cost(with_widths(NETWORKS["alexnet"], function.layers, [63] * 7)))
    one_line(lambda: function([63] * len(function.layers), 224))


def test_an_unknown_rounding_of_widths_is_refused() -> None:
    """At the latest where a multiplier has to be rounded."""
    one_line(lambda: width_function(V1, "round-up")([0.5] * 14, 224))


# Planners ------------------------------------------------------------------------------------

TINY = net(Conv("a", 16, 3, padding=1), Conv("b", 32, 1), Conv("c", 8, 1))
SIDE = 10


def by_hand(a: Any, b: Any, c: Any) -> Any:
    """MACs of TINY at 10×10: a 3×3 convolution of an image and two 1×1 ones."""
    return 100 * (9 * 3 * a + a * b + b * c)


def test_a_planner_that_shrinks_one_layer_at_a_time() -> None:
    """NetAdapt: of the layers, narrowed by 8 each, take the cheapest network until it fits."""
    function = width_function(V1)
    widths = np.array([column.channels for column in function.columns])
    budget = built(V1, 0.5, 224).macs
    steps = [int(function(widths, 224).macs)]
    assert steps == [539492352 + 28224000 + 1024000]
    while steps[-1] > budget:
        proposals = widths - 8 * np.eye(len(widths), dtype=int)
        proposals = proposals[(proposals >= 8).all(axis=1)]
        macs = function(proposals, 224).macs
        widths = proposals[macs.argmin()]
        steps.append(int(macs.min()))
    assert (np.diff(steps) < 0).all()
    assert steps[-1] <= budget < steps[-2]
    assert steps[-1] == cost(with_widths(V1, function.layers, widths)).macs


def test_what_one_narrower_layer_saves() -> None:
    """NetAdapt's step: 8 channels fewer in b save 8·(a + c) products a pixel."""
    function = width_function(TINY)
    before, after = function([[16, 32, 8], [16, 24, 8]], SIDE).macs
    assert before - after == 8 * (16 + 8) * 100


def test_a_planner_that_draws_ten_thousand_networks() -> None:
    """Random NAS: all of them in one call, each what it is by hand."""
    draws = np.random.default_rng(3).integers(1, 65, (10_000, 3))
    macs = width_function(TINY)(draws, SIDE).macs
    assert macs.tolist() == by_hand(*draws.T).tolist()
    fits = macs <= by_hand(16, 32, 8)
    assert fits.any()
    best = draws[fits][draws[fits].sum(axis=1).argmax()]
    assert by_hand(*best) <= by_hand(16, 32, 8)


def test_a_planner_that_sets_a_ratio_for_each_layer() -> None:
    """AMC: a half for each layer is the 149M MobileNet; a half for one spares only its share."""
    function = width_function(V1)
    ratios = np.vstack([np.full(14, 0.5), np.ones(14), np.ones(14)])
    ratios[2, 0] = 0.5  # conv1 from 32 to 16 channels: its own, a depthwise and half a pointwise
    half, full, first = function(ratios, 224).macs
    assert half == 149_497_088
    assert full - first == 112 * 112 * 16 * (27 + 9 + 64)


def test_a_planner_that_follows_a_gradient() -> None:
    """MorphNet: Newton's steps on the relaxed MACs find the α of a budget, 1/2 by hand."""
    g = cost_function(V1, relaxed=True)
    budget = 539492352 / 4 + (28224000 + 1024000) / 2
    a = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
    for _ in range(8):
        excess = g(a, 1.0).macs - budget
        (slope,) = torch.autograd.grad(excess, a)
        a = (a - excess / slope).detach().requires_grad_()
    assert a.item() == pytest.approx(0.5, rel=1e-12)


def test_a_planner_that_trades_width_for_resolution() -> None:
    """EfficientNet-like: of (α, D) under 300M MACs, the dearest is found by trying them all."""
    f = cost_function(V1)
    tried = {(a, d): f(a / 20, d).macs for a in range(5, 29) for d in (128, 160, 192, 224)}
    (a, d), macs = max((x for x in tried.items() if x[1] <= 300_000_000), key=lambda x: x[1])
    assert macs == built(V1, Fraction(a, 20), d).macs
    wider = tried.get((a + 1, d), 10**9)
    assert wider > 300_000_000
