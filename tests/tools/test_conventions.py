"""Each tool, really run, prints what its convention says: equal, and never about equal."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cache
from io import StringIO
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import given, settings, strategies as st
from rich.console import Console
from strategies import convolutions, mostly_slow, networks, pools
from torch import nn

from costmodel import (
    ZOO,
    Layer,
    Network,
    alpha,
    lower,
    mobilenet_v1,
    reconcile,
    report,
    resize,
    rho,
    widen,
)
from costmodel.backends.rule import build_rule
from costmodel.backends.rules import FUNCTIONS
from costmodel.core import LoopNest
from costmodel.layers import (
    SAME,
    Activation,
    AdaptivePool,
    Add,
    BatchNorm,
    Concat,
    Conv,
    CropAndResize,
    Flatten,
    Input,
    Linear,
    Pool,
)
from costmodel.reference import mobilenet as reference
from costmodel.show.reconcile import rich, to_json, to_markdown
from costmodel.tools import (
    CALFLOPS,
    CALFLOPS_FLOPS,
    FLOP_COUNTER,
    FVCORE,
    PAPER,
    PTFLOPS,
    PTFLOPS_ATEN,
    THOP,
    TOOLS,
    TORCHINFO,
    TORCHPROFILE,
)
from costmodel.tools.operations import operations

if TYPE_CHECKING:
    from collections.abc import Iterator

    from strategies import Case, PoolCase

    from costmodel.core.layer import Inputs
    from costmodel.tools.convention import Tool


def small(name: str) -> Network:
    """A network of the zoo, narrow and as small as its pools allow."""
    side = {"inception_v3": 79, "alexnet": 67}.get(name, 65)
    return widen(resize(ZOO[name].build(), resolution=side), 0.25)


def assert_reconciled(network: Network, module: nn.Module | None = None) -> None:
    """Every tool prints what is predicted, to the last unit."""
    made = reconcile(network, module, run=True).reckonings
    printed = {x.tool.name: x.measured for x in made[1:]}
    assert printed == {x.tool.name: x.predicted for x in made[1:]}, [x.problem for x in made]


@pytest.mark.parametrize("name", mostly_slow(ZOO, "mobilenet_v1", "squeezenet_1_1"))
def test_the_zoo(name: str) -> None:
    """All nine figures of every network of the zoo are the tools' own."""
    assert_reconciled(small(name))


@pytest.mark.slow
@pytest.mark.parametrize("name", ZOO)
def test_the_zoo_at_full_size(name: str) -> None:
    """As its authors have it, too."""
    assert_reconciled(ZOO[name].build())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mobilenet_v1", "squeezenet_1_1", "mobilenet_v2", "googlenet"])
def test_a_batch(name: str) -> None:
    """What some tools average over the batch, and some of it not, is so divided."""
    network = small(name)
    (image,) = network.inputs
    batch = replace(image, shape=(3, *image.shape[1:]))
    assert_reconciled(Network("batch", (batch, *network.layers[1:])))


@pytest.mark.slow
@pytest.mark.parametrize("width", [1, 0.75, 0.25])
def test_the_model_written_from_the_paper(width: float) -> None:
    """The tools print the same of the MobileNetV1 that knows nothing of our networks."""
    network = widen(mobilenet_v1(resolution=96), width)
    assert_reconciled(network, reference.MobileNetV1(width))


def test_the_twin_written_from_the_paper() -> None:
    """And of the one with full convolutions."""
    assert_reconciled(small("conv_mobilenet"), reference.conv_mobilenet(0.25))


@pytest.mark.slow
def test_the_papers_model_at_full_size() -> None:
    """At α = 1 and 224 px each prints the figure that `PRINTED` lists."""
    assert_reconciled(mobilenet_v1(), reference.MobileNetV1())


#: What each prints, as a sum of what it counts.
PRINTED = {
    PAPER: 568_740_352,
    FVCORE: 568_740_352 + 2 * 5_042_688 + 1024 * 49,
    FLOP_COUNTER: 1_137_480_704,
    THOP: 588_962_304,
    PTFLOPS: 568_740_352 + 1000 + (2 + 1 + 1) * 5_042_688 + 2 * 1024 * 49,
    PTFLOPS_ATEN: 568_740_352 + 1000,
    TORCHINFO: 568_763_240,
    TORCHPROFILE: 573_784_064,
    CALFLOPS: 568_740_352,
    CALFLOPS_FLOPS: 2 * 568_740_352 + (2 + 1) * 5_042_688 + 1024 * 49,
}


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_what_each_prints_of_mobilenet(tool: Tool) -> None:
    """MobileNetV1 has one MAC count and nine more figures, each with its reason."""
    assert tool.count(mobilenet_v1()).total() == PRINTED[tool]


def image(rank: int, batch: int = 2, side: int = 9) -> Input:
    """A small image over `rank` axes."""
    return Input("image", (batch, 4, *[side] * rank))


#: calflops needs a parameter, so every network begins with one.
STEM = Conv("stem", 8, 1)


def _kinds() -> Iterator[tuple[str, tuple[Layer, ...]]]:
    for rank in (1, 2, 3):
        yield from _of_rank(rank)
    for affine in (True, False):
        for shape in ((2, 4), (2, 3, 4)):
            norm = BatchNorm("norm", affine=affine)
            yield f"norm of {shape}, {affine}", (Input("x", shape), Linear("stem", 3), norm)
    for bias in (True, False):
        for tokens in ((), (5,), (5, 6)):
            linear = Linear("linear", 3, bias=bias)
            yield f"linear of {tokens}, {bias}", (Input("x", (2, *tokens, 8)), linear)
    for function in FUNCTIONS:
        yield function, (image(2), STEM, Activation("act", function))
    for inputs in (("stem",), ("stem", "stem"), ("stem", "wide", "stem")):
        layers = (image(2), STEM, Conv("wide", 8, 1, inputs="stem"))
        yield f"sum of {len(inputs)}", (*layers, Add("sum", inputs=inputs))
        yield f"{len(inputs)} side by side", (*layers, Concat("all", inputs=inputs))
    yield "flatten", (image(2), STEM, Flatten("flatten"), Linear("linear", 5))
    yield "crops", (image(2), STEM, CropAndResize("crop", 3, 4), Conv("conv", 5, 3))
    yield "shared weights", (image(2), Conv("a", 4, 3, bias=True), Conv("b", 4, 3, shares="a"))
    yield "a layer inside a layer", (image(2), Conv("a", 4, 3), Conv("a.b", 4, 3), BatchNorm("a.c"))
    inputs = (Input("left", (2, 3, 8, 8)), Input("right", (3, 3, 8, 8)))
    branches = (Conv("a", 4, 3, inputs="left"), Activation("act"), Conv("b", 4, 3, inputs="right"))
    yield "several inputs", (*inputs, *branches, BatchNorm("norm"))


def _of_rank(rank: int) -> Iterator[tuple[str, tuple[Layer, ...]]]:
    inside = f"over {rank} axes"
    for bias in (True, False):
        settings_of = {
            "a convolution": {"out_channels": 6, "kernel": 3, "stride": 2, "padding": 1},
            "a dilated convolution": {"out_channels": 6, "kernel": 3, "dilation": 2},
            "a grouped convolution": {"out_channels": 6, "kernel": 3, "groups": 2},
            "a depthwise convolution": {"out_channels": SAME, "kernel": 3, "groups": SAME},
        }
        for name, hyper in settings_of.items():
            yield f"{name} {inside}, {bias}", (image(rank), Conv("conv", **hyper, bias=bias))
        norm = BatchNorm("norm", affine=bias)
        yield f"batch norm {inside}, {bias}", (image(rank), STEM, norm)
    response = Activation("act", "local_response_norm")
    yield f"response {inside}", (image(rank), STEM, response)
    for kind in ("average", "max"):
        for ceil in (True, False):
            pool = Pool("pool", kind, kernel=3, stride=2, padding=1, ceil_mode=ceil)
            yield f"{kind} pool {inside}, {ceil}", (image(rank, side=8), STEM, pool)
        for size in (1, 2, 3):
            pool = AdaptivePool("pool", kind, output_size=size)
            yield f"adaptive {kind} pool {inside} to {size}", (image(rank), STEM, pool)


KINDS = {name: Network(name, layers) for name, layers in _kinds()}
#: Where thop's float64 product of an inexact window falls below the integer.
LOST = {1: (11, 3), 2: (13, 3), 3: (11, 3)}
KINDS |= {
    f"an inexact window over {rank} axes": Network(
        "lost", (image(rank, 1, side), STEM, AdaptivePool("pool", output_size=size))
    )
    for rank, (side, size) in LOST.items()
}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_layer(name: str) -> None:
    """Each layer, over each number of axes, with and without what is optional."""
    assert_reconciled(KINDS[name])


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=3))
def test_any_adaptive_pool(sides: list[tuple[int, int]]) -> None:
    """thop multiplies and truncates floats, and the prediction does as it does."""
    shape, size = zip(*sides, strict=True)
    pool = AdaptivePool("pool", output_size=size)
    assert_reconciled(Network("n", (Input("image", (1, 3, *shape)), Conv("stem", 3, 1), pool)))


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(networks())
def test_any_network(network: Network) -> None:
    """Branches, sums, groups, pools and shared weights."""
    stem = Conv("stem", SAME, 1, inputs=network.inputs[0].name)
    assert_reconciled(Network("n", (*network.layers, stem)))


@pytest.mark.slow
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_any_convolution_and_pool(rank: int) -> None:
    """Over one to three axes, each axis with settings of its own."""

    @settings(max_examples=10, deadline=None)
    @given(convolutions(rank), pools(rank))
    def agrees(case: Case, pool: PoolCase) -> None:
        assert_reconciled(case.network)
        first, last = pool.network.layers
        assert_reconciled(Network("n", (first, STEM, last)))

    agrees()


@cache
def measured(name: str) -> dict[str, float | None]:
    """What every tool prints of a network in KINDS."""
    made = reconcile(KINDS[name], run=True).reckonings
    return {x.tool.name: x.measured for x in made}


def differs(tool: Tool) -> bool:
    """Whether some kind of layer shows that a convention is wrong."""
    return any(
        tool.count(network).total() != measured(name)[tool.name] for name, network in KINDS.items()
    )


@dataclass(frozen=True)
class Scores(Layer):
    """The products of the tokens of (batch, tokens, features) with one another."""


class Product(nn.Module):
    """The same in torch."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """X·Xᵀ by a function, which tools that look at modules do not see."""
        return torch.matmul(x, x.transpose(1, 2))


def scores(_layer: Layer, inputs: Inputs, _output: object) -> tuple[object, tuple[()]]:
    """A nest whose second operand is no weight."""
    n, tokens, features = inputs[0]
    return (LoopNest(n, 1, tokens, features, (tokens,), (), weighted=False),), ()


@pytest.fixture
def product(monkeypatch: pytest.MonkeyPatch) -> Iterator[Network]:
    """A linear layer and such a product, and the registry as it was, afterwards."""
    before = dict(build_rule.registered)
    monkeypatch.setattr(Scores, "lowered", scores)
    build_rule(Scores)(lambda *_: Product())
    yield Network("product", (Input("x", (2, 5, 8)), Linear("q", 8), Scores("scores")))
    build_rule.registered = before
    build_rule.clear()


@pytest.mark.parametrize("tool", TOOLS[1:], ids=lambda tool: tool.name)
def test_products_of_activations(
    product: Network, tool: Tool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """thop and torchinfo do not see torch.matmul, all others do; a wrong factor is caught."""
    monkeypatch.setattr(Scores, "operation", "matmul")
    (made,) = (x for x in reconcile(product, run=True).reckonings if x.tool == tool)
    assert made.status == "equal"
    sees = tool not in {THOP, TORCHINFO}
    factor = 2 if tool in {FLOP_COUNTER, CALFLOPS_FLOPS} else sees
    assert tool.count(product)["matmul"] == factor * 2 * 5 * 5 * 8
    rules = tuple(
        rule._replace(factor=rule.factor + 1) if rule.operation == "matmul" else rule
        for rule in tool.rules
    )
    assert (replace(tool, rules=rules).count(product).total() != made.measured) == sees


def test_what_no_tool_knows_is_a_lower_bound(product: Network) -> None:
    """A layer of a user's own may be seen or not: each tool's figure is ≥, and ours is exact."""
    ours, *tools = reconcile(product, run=True).reckonings
    assert (ours.predicted, ours.unknown) == (2 * 5 * 8 * 8 + 2 * 5 * 5 * 8, ())
    assert {tool.unknown for tool in tools} == {("scores",)}
    assert all(tool.predicted <= (tool.measured or 0) for tool in tools)
    assert {tool.status for tool in tools} == {"bound", "equal"}
    (torchs,) = (tool for tool in tools if tool.tool == FLOP_COUNTER)
    assert (torchs.predicted, torchs.measured) == (2 * 640, 2 * 640 + 2 * 400)
    assert torchs.status == "bound"


def test_a_lower_bound_is_shown_as_one(product: Network) -> None:
    """In a terminal, Markdown and JSON, beside the layer that nobody knows."""
    made, shown = reconcile(product), report(alpha=0.25, resolution=32)
    console = Console(record=True, width=200, file=StringIO())
    console.print(rich(shown, made))
    texts = console.export_text(), to_markdown(shown, made)
    for text in texts:
        (line,) = (line for line in text.splitlines() if "FlopCounterMode" in line)
        assert line.count("≥") == 2
        assert "no tool's rule knows scores" in text
    data = {tool["tool"]: tool for tool in json.loads(to_json(shown, made))["tools"]}
    assert data["fvcore"]["lower_bound"]
    assert data["fvcore"]["unknown"] == ["scores"]
    assert not data["paper"]["lower_bound"]


def test_a_weight_of_ones_own_is_no_convolution() -> None:
    """A weighted nest with positions of a layer that no rule names is counted by no tool."""
    nest = LoopNest(1, 1, 8, 8, (5,), (3,))
    own = lower(Network("n", (Input("x", (1, 8, 7)), Conv("conv", 8, 3))))[1]
    made = own._replace(layer=Scores("own"), bodies=(nest,))
    assert [operation for operation, _ in operations(made)] == ["unknown"]
    assert FVCORE.parts((made,)) == {}
    assert FVCORE.unknown((made,)) == ("own",)
    assert (
        FVCORE.count_layers((own,)).total() == PAPER.count_layers((made,)).total() == 3 * 8 * 8 * 5
    )


def test_symbols_take_the_same_path() -> None:
    """A tool's figure is a formula in α and ρ as well, and gives its numbers."""
    network = widen(resize(mobilenet_v1(), rho=rho), alpha)
    values = {alpha: 1, rho: 1}
    for tool in (FVCORE, THOP, TORCHINFO, PTFLOPS):
        formula = sum(tool.parts(lower(network)).values())
        assert formula.subs(values).doit() == tool.count(mobilenet_v1()).total()
