"""Lowering: the extents of every layer, shared parameters, and layer types of a user's own."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import given, settings, strategies as st
from strategies import networks

from costmodel import CostModelError, Layer, Network, cost, from_json, lower, to_json
from costmodel.core import Elementwise, LoopNest, Lowered, Parameter
from costmodel.core.nest import Window
from costmodel.layers import (
    SAME,
    Activation,
    AdaptivePool,
    Add,
    BatchNorm,
    Concat,
    Conv,
    Flatten,
    Input,
    Linear,
    Pool,
    Times,
)

if TYPE_CHECKING:
    from costmodel.core.fields import Shape

QUICK = settings(derandomize=True, deadline=None, database=None)
IMAGE = Input("image", (2, 8, 9, 6))


def last(*layers: Layer) -> Lowered:
    """The last of some layers, lowered."""
    return lower(Network("net", (IMAGE, *layers)))[-1]


@pytest.mark.parametrize(
    ("layer", "nest"),
    [
        (Conv("l", 16, 3), LoopNest(2, 1, 16, 8, (7, 4), (3, 3))),
        (Conv("l", 16, (1, 3), 2), LoopNest(2, 1, 16, 8, (5, 2), (1, 3), stride=2)),
        (Conv("l", 16, 3, groups=4), LoopNest(2, 4, 4, 2, (7, 4), (3, 3))),
        (Conv("l", SAME, 3, groups=SAME), LoopNest(2, 8, 1, 1, (7, 4), (3, 3))),
        (Conv("l", Times(2), 1, groups=SAME), LoopNest(2, 8, 2, 1, (9, 6), (1, 1))),
        (Linear("l", 5), LoopNest(2 * 8 * 9, 1, 5, 6, (), ())),
    ],
    ids=str,
)
def test_nests(layer: Layer, nest: LoopNest) -> None:
    """Standard, grouped, depthwise and linear layers are one equation with other extents."""
    assert last(layer).nests == (nest,)


@pytest.mark.parametrize(
    ("layer", "module"),
    [
        (Conv("l", 16, 3), torch.nn.Conv2d(8, 16, 3, bias=False)),
        (Conv("l", 16, 3, bias=True), torch.nn.Conv2d(8, 16, 3)),
        (Conv("l", 16, (3, 1), groups=4, bias=True), torch.nn.Conv2d(8, 16, (3, 1), groups=4)),
        (Conv("l", SAME, 3, groups=SAME), torch.nn.Conv2d(8, 8, 3, groups=8, bias=False)),
        (Linear("l", 5), torch.nn.Linear(6, 5)),
        (Linear("l", 5, bias=False), torch.nn.Linear(6, 5, bias=False)),
        (BatchNorm("l"), torch.nn.BatchNorm2d(8)),
        (BatchNorm("l", affine=False), torch.nn.BatchNorm2d(8, affine=False)),
    ],
    ids=str,
)
def test_parameters_are_torchs(layer: Layer, module: torch.nn.Module) -> None:
    """A layer owns as many parameters as torch's module has, tensor by tensor."""
    parameters = last(layer).parameters
    assert all(parameter.owner == "l" for parameter in parameters)
    ours = {role: count for _, role, count in parameters}
    theirs = {name: parameter.numel() for name, parameter in module.named_parameters()}
    if isinstance(layer, BatchNorm):  # one entry for weight and bias
        theirs = {"norm": sum(theirs.values())} if theirs else {}
    assert ours == theirs


@pytest.mark.parametrize(
    ("layer", "body"),
    [
        (BatchNorm("l"), Elementwise("batch_norm", (2, 8, 9, 6))),
        (Activation("l", "relu6"), Elementwise("relu6", (2, 8, 9, 6))),
        (
            Pool("l", "max", (3, 2), 3),
            Elementwise("max_pool", (2, 8, 3, 2), 3 * 2, Window((3, 2), 3)),
        ),
        (AdaptivePool("l"), Elementwise("adaptive_average_pool2d", (2, 8, 1, 1), 9 * 6)),
        (
            AdaptivePool("l", output_size=(3, 2)),
            Elementwise("adaptive_average_pool2d", (2, 8, 3, 2), 3 * 3),
        ),
        (Add("l", inputs=("image",) * 3), Elementwise("add", (2, 8, 9, 6), 3)),
        (Concat("l", inputs=("image",) * 2), Elementwise("concat", (2, 16, 9, 6))),
        (Flatten("l"), Elementwise("flatten", (2, 8 * 9 * 6))),
    ],
    ids=str,
)
def test_free_layers_are_listed(layer: Layer, body: Elementwise) -> None:
    """A layer without MACs is free and says what it does to how many elements."""
    lowered = last(layer)
    assert lowered.elementwise == (body,)
    assert lowered.state == "free"
    assert lowered.nests == ()


@QUICK
@given(st.integers(1, 40), st.integers(1, 40))
def test_adaptive_windows_are_as_small_as_the_taps_say(size: int, out: int) -> None:
    """The taps of adaptive pooling are its smallest window, and every one where sides divide."""
    out = min(size, out)
    image = Input("image", (1, 1, size))
    (body,) = lower(Network("n", (image, AdaptivePool("p", output_size=out))))[1].elementwise
    windows = [ceil((i + 1) * size / out) - floor(i * size / out) for i in range(out)]
    assert body.taps == min(windows)
    if size % out == 0:
        assert body.taps * out == sum(windows) == size


@pytest.mark.parametrize(
    ("width", "groups", "side"),
    [(16, 3, "in_channels must be divisible by groups, got 8 and 3"), (6, 4, "out_channels")],
)
def test_groups_must_divide(width: int, groups: int, side: str) -> None:
    """Channels that groups do not divide are an error that says which and by what."""
    with pytest.raises(CostModelError, match=f"l: {side}"):
        last(Conv("l", width, 3, groups=groups))


def test_groups_can_follow_the_channels_alone() -> None:
    """groups=Times(n, of=layer) either follows that layer or is refused: it is not ignored."""
    with pytest.raises(CostModelError):
        last(Conv("a", 4, 1), Conv("b", 8, 1), Conv("l", 8, 1, groups=Times(1, of="nowhere")))


SHARED = (Conv("a", 8, 3, padding=1, bias=True), Conv("b", 8, 3, padding=1, bias=True, shares="a"))


def in_torch(*convolutions: torch.nn.Module) -> int:
    """The parameters of torch modules in a row, shared ones once."""
    return sum(parameter.numel() for parameter in torch.nn.Sequential(*convolutions).parameters())


def test_shared_parameters_count_once() -> None:
    """Two convolutions of one weight have torch's one set of parameters, and both work."""
    network = Network("net", (IMAGE, *SHARED))
    conv = torch.nn.Conv2d(8, 8, 3, padding=1)
    assert cost(network).params == in_torch(conv, conv)
    assert cost(network).macs == 2 * (9 * 8 * 8 * 9 * 6) * 2  # two layers, a batch of two
    assert lower(network)[-1].parameters == ()


def test_torch_notices_shared_parameters_counted_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule that ignores `shares` disagrees with torch."""
    rule = Conv.lowered
    monkeypatch.setattr(Conv, "lowered", lambda conv, *rest: rule(conv.evolve(shares=""), *rest))
    conv = torch.nn.Conv2d(8, 8, 3, padding=1)
    assert cost(Network("net", (IMAGE, *SHARED))).params != in_torch(conv, conv)


@pytest.mark.parametrize(
    ("layer", "role"),
    [
        (Conv("b", 8, 1, shares="a"), "weight"),
        (Conv("b", 4, 3, shares="a"), "weight"),
        (BatchNorm("b", shares="a"), "norm"),
        (Conv("b", 8, 3, bias=True, shares="image"), "weight"),
    ],
    ids=str,
)
def test_parameters_that_cannot_be_shared(layer: Layer, role: str) -> None:
    """Sharing parameters of another size, or that are not there, is an error."""
    with pytest.raises(CostModelError, match=f"b: shares the {role} of"):
        last(SHARED[0], layer)


@settings(QUICK, max_examples=60)
@given(networks())
def test_every_layer_is_counted_free_or_unknown(network: Network) -> None:
    """Each layer is lowered once, in order, with the shapes of the layers it reads."""
    lowered = lower(network)
    assert [each.layer for each in lowered] == list(network.layers)
    outputs = {each.layer.name: each.output for each in lowered}
    for each in lowered:
        assert each.inputs == tuple(outputs[name] for name in each.layer.inputs)
        assert each.state == ("counted" if isinstance(each.layer, (Conv, Linear)) else "free")


@dataclass(frozen=True)
class Mystery(Layer):
    """A layer type no rule knows."""


@dataclass(frozen=True)
class Attention(Layer):
    """Single-head self-attention over (batch, tokens, features): a layer of a user's."""

    features: int

    def lowered(self, inputs: tuple[Shape, ...], _output: Shape) -> tuple:
        """Three projections, and QKᵀ."""
        ((n, tokens, width),) = inputs
        projections = LoopNest(n * tokens, 3, self.features, width, (), ())
        scores = LoopNest(n, 1, tokens, self.features, (tokens,), (), weighted=False)
        weight = Parameter(self.name, "weight", projections.weights)
        return (projections, scores), (weight,)


@dataclass(frozen=True)
class FasterAttention(Attention):
    """One that costs as much."""


TOKENS = Input("tokens", (2, 7, 5))


@pytest.mark.parametrize("kind", [Attention, FasterAttention])
def test_a_new_layer_is_a_dataclass_with_a_method(kind: type[Attention]) -> None:
    """One method is all that a layer type needs, and its subclasses follow it."""
    total = cost(Network("net", (TOKENS, kind("attention", 4))))
    assert total.params == 3 * 5 * 4
    assert total.macs == 2 * 7 * 3 * 5 * 4 + 2 * 7 * 7 * 4
    assert total.unknown == ()


def test_a_new_layer_is_read_from_json() -> None:
    """A layer type of a user's is written and read as those of the library."""
    network = Network("net", (TOKENS, FasterAttention("attention", 4)))
    assert from_json(to_json(network)) == network


def test_a_subclass_can_have_its_own_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule for a subclass is followed from then on, also where the base's was before."""
    network = Network("net", (TOKENS, FasterAttention("attention", 4)))
    assert cost(network).macs > 0
    monkeypatch.setattr(FasterAttention, "lowered", lambda *_: ((), ()))
    assert cost(network).macs == 0


def test_an_unknown_layer_is_never_zero() -> None:
    """A layer type without a rule is unknown: it is named, and the total a lower bound."""
    network = Network("net", (IMAGE, Conv("conv", 4, 1), Mystery("what"), Mystery("else")))
    assert lower(network)[2].state == "unknown"
    assert lower(network)[2].bodies is None
    assert cost(network).unknown == ("what", "else")
    assert cost(network).macs == 2 * 8 * 4 * 9 * 6
    with pytest.raises(CostModelError, match="no rule for what, else"):
        cost(network, strict=True)
