"""Rewrites: the multipliers, the factorisation and its inverse, and what they leave alone."""

from __future__ import annotations

import json
from contextlib import suppress
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from strategies import (
    WITH_PAIRS,
    WITHOUT_PAIRS,
    alphas,
    examples,
    networks,
    rhos,
    roundings,
    width_function,
)

from costmodel import (
    ZOO,
    CostModelError,
    Network,
    cost,
    cost_function,
    drop,
    from_json,
    join,
    lower,
    mobilenet_v1,
    plan,
    report,
    resize,
    separate,
    sweep,
    to_json,
    widen,
)
from costmodel.core import infer, widths
from costmodel.layers import (
    SAME,
    Activation,
    Add,
    AtLeast,
    BatchNorm,
    Concat,
    Conv,
    Fixed,
    Input,
    Linear,
    Times,
    factorising,
    separable_pairs,
)
from costmodel.zoo import mobilenet_v2

if TYPE_CHECKING:
    from collections.abc import Callable

QUICK = settings(derandomize=True, deadline=None, database=None)
V1, V2 = mobilenet_v1(), mobilenet_v2()
IMAGE = Input("image", (1, 3, 9, 9))


def net(*layers: Any) -> Network:
    """A network of some layers behind an image."""
    return Network("net", (IMAGE, *layers))


# widen ---------------------------------------------------------------------------------------

#: MobileNetV2's figures, as fvcore and torch count the real model at each width.
V2_FIGURES = [
    (0.35, 59_285_808, 1_677_128),
    (1.0, 300_774_272, 3_504_872),
    (1.4, 582_195_824, 6_108_776),
]


@pytest.mark.parametrize(("alpha", "macs", "params"), V2_FIGURES)
def test_widened_mobilenet_v2_is_the_real_one(alpha: float, macs: int, params: int) -> None:
    """With its relations and divisible(8), MobileNetV2 is the network that exists."""
    total = cost(widen(V2, alpha, "divisible(8)"))
    assert (total.macs, total.params) == (macs, params)


def _as_counts(layer: Any, channels: int) -> Any:
    return layer.evolve(out_channels=channels) if isinstance(layer, Conv) else layer


def _without(*relations: type) -> Network:
    """MobileNetV2 with the counts that some of its relations stand for at α = 1."""
    return V2.with_layers(
        tuple(
            _as_counts(placed.layer, placed.output[1])
            if isinstance(getattr(placed.layer, "out_channels", None), relations)
            and getattr(placed.layer, "groups", 1) == 1
            else placed.layer
            for placed in infer(V2)
        )
    )


def test_a_network_carries_its_authors_rounding() -> None:
    """The library, functions, sweep, plan, JSON, rewrites and report round as the authors do."""
    real = 59_285_808  # MobileNetV2 at α = 0.35; floor would make it 52,050,566
    assert V2.rounding == "divisible(8)"
    assert cost(widen(V2, 0.35)).macs == real
    assert cost(widen(V2, 0.35, "floor")).macs == 52_050_566
    assert cost_function(V2)(0.35, 224).macs == real
    assert cost_function(V2, rounding="floor")(0.35, 224).macs == 52_050_566
    widths = width_function(V2)
    assert widths([0.35] * len(widths.layers), 224).macs == real
    assert sweep(V2, [0.35], [224]).macs.tolist() == [[real]]
    assert plan(V2, max_macs="1G", alphas=[0.35], resolutions=[224]).choice.macs == real
    assert report("mobilenet_v2", alpha=0.35).total.macs == real
    assert report(V2, alpha=0.35).total.macs == real
    assert report(V2, alpha=0.35, rounding="floor").total.macs == 52_050_566
    assert cost(widen(from_json(to_json(V2)), 0.35)).macs == real
    for rewritten in (join(V2), separate(V2, "conv1"), resize(V2, rho=1), drop(V2, "block3.*")):
        assert rewritten.rounding == "divisible(8)"


@pytest.mark.parametrize("rounding", ["", "ceil", "divisible(0)", None, 8])
def test_a_rounding_that_there_is_not(rounding: object) -> None:
    """A network's rounding is checked where it is made, and in JSON."""
    with pytest.raises(CostModelError, match=r"must be floor, exact or divisible\(N<10⁶\)"):
        Network("n", V2.layers, rounding=rounding)
    with pytest.raises(CostModelError, match="rounding must be"):
        from_json(json.dumps({"name": "n", "rounding": rounding, "layers": []}))


@pytest.mark.parametrize("relation", [Times, AtLeast])
def test_mobilenet_v2_notices_a_lost_relation(relation: type) -> None:
    """With plain counts for a relation, widen would build a MobileNetV2 that exists nowhere."""
    alpha, macs, params = V2_FIGURES[0]
    plain = _without(relation)
    assert cost(plain) == cost(V2)
    total = cost(widen(plain, alpha, "divisible(8)"))
    assert total.params != params
    assert total.macs != macs


@pytest.mark.parametrize("rounding", ["floor", "divisible(8)"])
def test_mobilenet_v2_notices_another_rounding(rounding: str) -> None:
    """Only the policy of its authors gives MobileNetV2's 1.4 figures."""
    alpha, macs, _ = V2_FIGURES[2]
    assert (cost(widen(V2, alpha, rounding)).macs == macs) == (rounding == "divisible(8)")


def test_each_relation_widens_its_own_way() -> None:
    """A count scales, SAME and Times follow, AtLeast never shrinks, Fixed stays."""
    relations = net(
        Conv("count", 32, 1),
        Conv("same", SAME, 3, groups=SAME),
        Conv("times", Times(6), 1),
        Conv("least", AtLeast(100), 1),
        Linear("fixed", Fixed(10)),
    )
    widths = {
        a: [placed.output[1 if placed.layer.name != "fixed" else -1] for placed in infer(made)][1:]
        for a in ("0.35", "2")
        for made in [widen(relations, a)]
    }
    assert widths["0.35"] == [11, 11, 6 * 11, 100, 10]
    assert widths["2"] == [64, 64, 6 * 64, 200, 10]


@settings(QUICK, max_examples=examples(150))
@given(networks())
def test_widening_by_one_changes_nothing(network: Network) -> None:
    """widen(net, 1) == net, with groups, relations and shared weights."""
    assert widen(network, 1) == network


@pytest.mark.parametrize("name", ZOO)
def test_widening_the_zoo_by_one_changes_nothing(name: str) -> None:
    """widen(net, 1) == net under each network's own rounding."""
    network = ZOO[name].build()
    assert widen(network, 1) == network
    assert widen(network, 1, "exact") == network


@settings(QUICK, max_examples=examples(200))
@given(networks(), alphas, roundings)
def test_grouped_layers_stay_multiples(network: Network, alpha: Fraction, rounding: str) -> None:
    """At any α and rounding, the channels on both sides of a grouped layer divide."""
    for placed in infer(widen(network, alpha, rounding)):
        groups = getattr(placed.layer, "groups", 1)
        if isinstance(groups, int):
            assert placed.output[1] % groups == 0
            assert placed.layer.arity == 0 or placed.inputs[0][1] % groups == 0


def test_groups_are_noticed_when_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the multiples that groups need, a grouped layer does not divide."""
    layers = Conv("a", 12, 1), Conv("b", 12, 3, groups=4)
    assert cost(widen(net(*layers), "5/6")).params == 3 * 8 + 9 * 8 * 2  # 12·5/6 = 10, of which 8
    grouped = net(*layers)
    monkeypatch.setattr(widths, "_step", lambda *_: 1)
    with pytest.raises(CostModelError, match="divisible by groups"):
        cost(widen(grouped, "5/6"))


#: Grouped layers whose channels come from somewhere else than one plain count before them.
GROUPED = {
    "concat": net(
        Conv("a", 3, 1),
        Conv("b", 5, 1, inputs="image"),
        Concat("ab", inputs=("a", "b")),
        Conv("grouped", 8, 3, groups=4),
    ),
    "times": net(Conv("a", 6, 1), Conv("b", Times(2), 1), Conv("grouped", 8, 3, groups=4)),
    "times of": net(
        Conv("a", 36, 1),
        Conv("b", 30, 1),
        Conv("c", Times(1, of="a"), 1),
        Conv("grouped", 8, 3, groups=4),
    ),
    "at least": net(Conv("a", AtLeast(20), 1), Conv("grouped", 20, 3, groups=5)),
    "residual": net(
        Conv("a", 20, 1),
        Conv("b", 20, 1),
        Conv("grouped", 20, 3, padding=1, groups=4),
        Add("sum", inputs=("a", "grouped")),
    ),
    "normalised": net(Conv("a", 20, 1), BatchNorm("n"), Conv("grouped", 20, 3, groups=4)),
}


@pytest.mark.parametrize("alpha", ["1/2", "7/10", "11/10"])
@pytest.mark.parametrize("network", GROUPED.values(), ids=GROUPED)
def test_groups_divide_wherever_channels_come_from(network: Network, alpha: str) -> None:
    """A grouped layer behind a concatenation, a relation or an addition can be widened."""
    assert cost(widen(network, alpha)).macs > 0


@pytest.mark.parametrize("network", GROUPED.values(), ids=GROUPED)
def test_grouped_networks_widened_by_one_change_nothing(network: Network) -> None:
    """widen(net, 1) == net there too."""
    assert widen(network, 1) == network


def test_widening_looks_at_each_layer_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What groups need is found without walking every path: paths grow as 2ⁿ."""
    layers: list[Any] = [Conv("s0", 4, 1)]
    for i in range(12):
        layers.append(Activation(f"a{i}"))
        layers.append(Add(f"s{i + 1}", inputs=(f"s{i}", f"a{i}")))
    network = net(*layers, Conv("grouped", 4, 1, groups=2))
    looked_at: list[str] = []
    look = Network.__getitem__
    monkeypatch.setattr(
        Network, "__getitem__", lambda self, name: (looked_at.append(name), look(self, name))[1]
    )
    widen(network, "1/2")
    assert len(looked_at) <= len(network.layers) ** 2


BAD_MULTIPLIERS = [0, -1, float("nan"), float("inf"), "abc", True, None, "1e999999999", "1/0", []]


@pytest.mark.parametrize("alpha", [*BAD_MULTIPLIERS, 1e9, "4.0001"], ids=str)
def test_bad_alpha_is_refused(alpha: Any) -> None:
    """An α outside (0, 4], or none at all, is an error of one line that begins with its name."""
    with pytest.raises(CostModelError, match=r"\Aalpha must be .*, got .*\Z"):
        widen(V1, alpha)


@pytest.mark.parametrize("rounding", ["", "round", "divisible(0)", "divisible(x)", 8])
def test_bad_rounding_is_refused(rounding: Any) -> None:
    """A rounding that is none is an error that lists the three."""
    with pytest.raises(CostModelError, match=r"floor, exact or divisible\(N<10⁶\), got"):
        widen(V1, 0.5, rounding)


@pytest.mark.parametrize("alpha", [0.5, "1/2", "0.5", Fraction(1, 2), np.float64(0.5), " 5e-1 "])
def test_alpha_is_accepted_however_it_is_written(alpha: Any) -> None:
    """Numbers, ratios and their texts are one α."""
    assert widen(V1, alpha) == widen(V1, Fraction(1, 2))


# resize --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rho", "side"), [(0.857, 192), ("6/7", 192), ("192/224", 192), ("0.714", 160), (0.571, 128)]
)
def test_rho_sets_the_papers_resolutions(rho: Any, side: int) -> None:
    """ρ and the resolution it stands for make one network."""
    assert resize(V1, rho=rho) == resize(V1, resolution=side)
    assert resize(V1, rho=rho).layers[0].shape == (1, 3, side, side)


@settings(QUICK, max_examples=60)
@given(networks(), rhos)
def test_resizing_leaves_parameters_alone(network: Network, rho: Fraction) -> None:
    """ρ changes inputs only: batch, channels and convolutions' parameters stay."""
    assume(not any(isinstance(layer, Linear) for layer in network.layers))
    resized = resize(network, rho=rho)
    assert resized.layers[0].shape[:2] == network.layers[0].shape[:2]
    assert resized.layers[1:] == network.layers[1:]
    assert cost(resized).params == cost(network).params


def test_sides_may_differ() -> None:
    """A resolution is one side for both axes, or a side for each."""
    assert resize(V1, resolution=(160, 96)).layers[0].shape == (1, 3, 160, 96)


@pytest.mark.parametrize("resolution", [np.int64(192), np.int16(192)])
def test_a_resolution_can_be_numpys(resolution: Any) -> None:
    """numpy's integers are integers here as in every other field."""
    resized = resize(V1, resolution=resolution)
    assert resized == resize(V1, resolution=192)
    assert type(resized.layers[0].shape[2]) is int


BAD_RHOS = [*(bad for bad in BAD_MULTIPLIERS if bad is not None), 160, "16.001"]


@pytest.mark.parametrize("rho", BAD_RHOS, ids=str)
def test_bad_rho_is_refused(rho: Any) -> None:
    """A ρ outside (0, 16], or none at all, is an error of one line with its name."""
    with pytest.raises(CostModelError, match=r"\Arho must be .*, got .*\Z"):
        resize(V1, rho=rho)


@pytest.mark.parametrize("rho", ["1e-300", "1/1000"])
def test_a_rho_that_leaves_no_image_is_refused(rho: str) -> None:
    """A ρ that rounds a side to 0 is an error that names the ρ and the remedy."""
    with pytest.raises(CostModelError, match=f"got 0 from rho {rho}; raise rho"):
        resize(V1, rho=rho)


@pytest.mark.parametrize(
    "resolution", [0, -1, 1.5, True, "abc", float("nan"), (224,), (1, 2, 3), (224, 0), (2, 1.5), ()]
)
def test_bad_resolutions_are_refused(resolution: Any) -> None:
    """A resolution that is no positive integer for each side is an error of one line."""
    with pytest.raises(CostModelError, match=r"\Aresolution must .*, got .*\Z"):
        resize(V1, resolution=resolution)


@pytest.mark.parametrize(
    ("arguments", "got"),
    [
        ({}, "neither"),
        ({"rho": 1, "resolution": 224}, "both"),
        ({"rho": 0, "resolution": 224}, "both"),
    ],
)
def test_rho_or_resolution(arguments: dict[str, Any], got: str) -> None:
    """resize takes one of the two, and says what it got."""
    with pytest.raises(CostModelError, match=f"either rho or resolution, got {got}"):
        resize(V1, **arguments)


VIDEO = Network("video", (Input("frames", (1, 3, 16, 112, 112)), Conv("conv", 8, 3)))


@pytest.mark.parametrize(
    ("settings", "sides"),
    [
        ({"rho": "1/2"}, (16, 56, 56)),
        ({"resolution": 56}, (16, 56, 56)),
        ({"rho": "1/2", "axes": (-3, -2, -1)}, (8, 56, 56)),
        ({"rho": "1/2", "axes": (-1,)}, (16, 112, 56)),
        ({"resolution": (4, 5, 6)}, (4, 5, 6)),
    ],
)
def test_rho_scales_an_images_axes(settings: dict[str, Any], sides: tuple[int, ...]) -> None:
    """ρ and one side are of height and width, not of time, unless the axes are named."""
    assert resize(VIDEO, **settings).layers[0].shape[2:] == sides


@pytest.mark.parametrize("axes", [(0,), (-4,), (-1, 3)])
def test_axes_that_are_none_are_refused(axes: tuple[int, ...]) -> None:
    """An axis that the input does not have is an error that says which it has."""
    with pytest.raises(CostModelError, match=r"^rho's axes must be from -3 to -1 .*, got "):
        resize(VIDEO, rho="1/2", axes=axes)


def test_a_side_is_not_taken_for_rho() -> None:
    """`resize(network, 160)` says neither ρ nor resolution, so it is no call."""
    with pytest.raises(TypeError, match="positional"):
        resize(V1, 160)  # type: ignore[misc]


# separate and join ---------------------------------------------------------------------------


@settings(QUICK, max_examples=examples(200))
@given(networks(WITHOUT_PAIRS))
def test_joining_undoes_separating(network: Network) -> None:
    """join(separate(net)) == net where net had no separable pair."""
    assert separable_pairs(network) == ()
    assert join(separate(network)) == network


@settings(QUICK, max_examples=examples(200))
@given(networks(WITH_PAIRS))
def test_separating_undoes_joining(network: Network) -> None:
    """separate(join(net), the joined) == net."""
    joined = [pair.joined for pair in separable_pairs(network)]
    assume(joined)
    assert separate(join(network), joined) == network


def test_separating_the_joined_mobilenet_is_mobilenet() -> None:
    """Conv MobileNet, separated again, is MobileNet, layer by layer."""
    assert len(separable_pairs(V1)) == 13
    assert separate(join(V1), [f"block{i}" for i in range(1, 14)]) == V1


@pytest.mark.parametrize("lost", ["stride", "padding", "dilation"])
def test_the_identities_notice_a_lost_setting(lost: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A join that forgets a hyper-parameter is not undone by separating."""
    depthwise = Conv("c.dw", SAME, 3, 2, 2, 2, groups=SAME, bias=True)
    network = net(depthwise, Conv("c.pw", 8, 1, bias=True))
    assert separate(join(network), "c") == network
    kept = tuple(k for k in factorising._WINDOW if k != lost)
    monkeypatch.setattr(factorising, "_WINDOW", kept)
    assert separate(join(network), "c") != network


def test_separating_is_depthwise_and_pointwise() -> None:
    """K×K·C_in·C_out becomes K×K·C_in + C_in·C_out; stride, padding, dilation go first."""
    standard = net(Conv("c", 8, (3, 1), 2, 1, 2, bias=True), BatchNorm("c.norm"), Activation("act"))
    names = ["image", "c.dw", "c.dw.norm", "act.dw", "c.pw", "c.pw.norm", "act"]
    separated = separate(standard)
    assert [layer.name for layer in separated.layers] == names
    assert separated["c.pw"] == Conv("c.pw", 8, 1, bias=True, inputs=("act.dw",))
    nests = {each.layer.name: each.nests for each in lower(separated)}
    assert [nest.kind for name in ("c.dw", "c.pw") for nest in nests[name]] == [
        "depthwise",
        "pointwise",
    ]
    assert infer(separated)[-1].output == infer(standard)[-1].output


@settings(QUICK, max_examples=examples(100))
@given(networks(WITHOUT_PAIRS))
def test_separating_keeps_every_shape(network: Network) -> None:
    """What follows a separated convolution sees the same shape as before."""
    separated = separate(network)
    assert infer(separated)[-1].output == infer(network)[-1].output


@settings(QUICK, max_examples=examples(100))
@given(networks(WITH_PAIRS))
def test_reduction_is_exact(network: Network) -> None:
    """A separable block costs exactly 1/C_out + 1/K² of the convolution it factorises."""
    separable = {each.layer.name: each.nests for each in lower(network)}
    standard = {each.layer.name: each.nests for each in lower(join(network))}
    for depthwise, _, pointwise, joined in separable_pairs(network):
        (whole,) = standard[joined]
        parts = separable[depthwise][0].macs + separable[pointwise][0].macs
        width = network[pointwise].out_channels
        assert Fraction(parts, whole.macs) == Fraction(1, width) + Fraction(1, 3 * 3)


def test_a_joined_kernel_is_shared_only_where_both_its_halves_are() -> None:
    """Sharing one factor of a kernel is not sharing the kernel."""
    pair = (Conv("a.dw", SAME, 3, padding=1, groups=SAME), Conv("a.pw", 8, 1))
    depthwise = Conv("b.dw", SAME, 3, padding=1, groups=SAME)
    pointwise = Conv("b.pw", 8, 1, shares="a.pw")
    stem = Conv("stem", 8, 1)
    half = net(stem, *pair, depthwise, pointwise)
    both = net(stem, *pair, depthwise.evolve(shares="a.dw"), pointwise)
    assert cost(join(half)).params == 3 * 8 + 2 * 9 * 8 * 8
    assert cost(join(both)).params == 3 * 8 + 9 * 8 * 8


def test_shared_convolutions_separate_together() -> None:
    """Convolutions that share a weight share both of its factors when separated."""
    layers = (Conv("b", 8, 3, padding=1), Conv("c", 8, 3, padding=1, shares="b"))
    separated = separate(net(Conv("stem", 8, 1), *layers))
    assert cost(separated).params == 3 * 8 + (9 * 8 + 8 * 8)


@pytest.mark.parametrize(
    ("layers", "why"),
    [
        ((Conv("d", SAME, 3, groups=SAME),), "nothing follows"),
        ((Conv("d", SAME, 3, groups=SAME), Conv("p", 8, 3)), "not 1×1"),
        ((Conv("d", SAME, 3, groups=SAME), Conv("p", 8, 1, stride=2)), "strided"),
        ((Conv("d", SAME, 3, groups=SAME), Conv("p", 9, 1, groups=3)), "grouped"),
        ((Conv("d", Times(2), 3, groups=SAME), Conv("p", 8, 1)), "a multiplier of 2"),
        ((Conv("d", SAME, 3, groups=SAME), Conv("p", 8, 1), Conv("q", 8, 1, inputs="d")), "2 read"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_separable_pair(layers: tuple[Any, ...], why: str) -> None:
    """Only a depthwise convolution that one 1×1 convolution alone reads is half of a pair."""
    assert separable_pairs(net(*layers)) == (), why
    assert join(net(*layers)) == net(*layers)


# drop ----------------------------------------------------------------------------------------


def test_the_shallow_mobilenet() -> None:
    """Five layers of 14×14×512 less: 5·(9·512 + 512²)·14² MACs less."""
    shallow = drop(V1, [f"block{i}.*" for i in range(7, 12)])
    assert cost(V1).macs - cost(shallow).macs == 5 * (9 * 512 + 512 * 512) * 14 * 14
    assert len(shallow.layers) == len(V1.layers) - 5 * 6


def test_dropping_a_residual_block() -> None:
    """A whole residual block can go: its addition has one source left."""
    dropped = drop(V2, "block3.*")
    assert infer(dropped)[-1].output == (1, 1000)
    assert not any(layer.name.startswith("block3.") for layer in dropped.layers)
    assert cost(V2).macs - cost(dropped).macs == (24 * 144 + 9 * 144 + 144 * 24) * 56 * 56


def test_a_residual_addition_cannot_go_alone() -> None:
    """Of two inputs that stay different, none is the layer's: an error that names both."""
    with pytest.raises(CostModelError, match=r"block3.add: merges \['block2.pw.norm', 'block3"):
        drop(V2, "block3.add")


def test_dropping_the_owner_of_a_weight() -> None:
    """A layer never comes to share the weight of one it did not share before."""
    conv = {"kernel": 3, "padding": 1}
    shared = net(
        Conv("stem", 8, 1),
        Conv("a", 8, **conv),
        Conv("b", 8, **conv),
        Conv("c", 8, **conv, shares="b"),
    )
    with suppress(CostModelError):  # to refuse is right too
        assert cost(drop(shared, "b")).params == 3 * 8 + 2 * (9 * 8 * 8)


def test_dropping_what_sets_a_width() -> None:
    """A layer whose width is another's keeps that one from being dropped, by name."""
    network = Network(
        "n", (Input("image", (1, 3, 8, 8)), Conv("a", 4, 1), Conv("b", Times(2, of="a"), 1))
    )
    with pytest.raises(CostModelError, match=r"^b: its width is a's, so it needs a"):
        drop(network, "a")


def test_readers_of_the_dropped_read_what_it_read() -> None:
    """Every reference to a dropped layer becomes one to its source."""
    chain = net(Conv("a", 4, 1), BatchNorm("b"), Activation("c"), Add("d", inputs=("a", "c")))
    assert drop(chain, ["b", "c"])["d"].inputs == ("a", "a")


# selectors -----------------------------------------------------------------------------------


NO_SELECTORS = {"name": "zzz", "names": ["zzz", "yyy"], "none": [], "input": "image"}


@pytest.mark.parametrize("apply", [separate, join, drop])
@pytest.mark.parametrize(
    "select", [*NO_SELECTORS.values(), lambda _: False], ids=[*NO_SELECTORS, "never"]
)
def test_selectors_that_match_nothing_are_an_error(
    apply: Callable[..., Network], select: Any
) -> None:
    """A selector that picks no eligible layer is an error, not a network unchanged."""
    with pytest.raises(CostModelError, match="selects no layer of mobilenet_v1"):
        apply(V1, select)


@pytest.mark.parametrize(
    "select",
    ["block7.*", ["block7.dw*", "block7.pw*"], lambda p: p.layer.name.startswith("block7.")],
    ids=["glob", "globs", "predicate"],
)
def test_selectors_pick_alike(select: Any) -> None:
    """A glob, several and a predicate pick the same layers."""
    assert drop(V1, select) == drop(V1, "block7.*")


def test_selectors_see_shapes() -> None:
    """A predicate sees a layer in its place: joining the pairs at 14×14 joins five."""
    joined = join(V1, lambda placed: placed.inputs[0][2:] == (14, 14) == placed.output[2:])
    assert len(separable_pairs(joined)) == 13 - 5


def test_rewrites_leave_their_argument_alone() -> None:
    """Every rewrite returns a new network."""
    before = mobilenet_v1()
    for after in (
        widen(V1, 0.5),
        resize(V1, rho=0.5),
        join(V1),
        separate(V1),
        drop(V1, "block7.*"),
    ):
        assert after != V1
    assert before == V1


@settings(QUICK, max_examples=60)
@given(networks(), alphas, rhos)
def test_the_multipliers_commute(network: Network, alpha: Fraction, rho: Fraction) -> None:
    """Width and resolution are independent: either order makes one network."""
    assert widen(resize(network, rho=rho), alpha) == resize(widen(network, alpha), rho=rho)
