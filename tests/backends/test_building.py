"""Built modules cost, measured by torch and fvcore, what their networks say."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import given, settings
from strategies import convolutions, mostly_slow, networks, pools
from torch import nn

from costmodel import (
    ZOO,
    CostModelError,
    Layer,
    Network,
    alpha,
    cost,
    crosscheck,
    drop,
    join,
    mobilenet_v1,
    report,
    resize,
    separate,
    widen,
)
from costmodel.backends.building import build
from costmodel.backends.rule import build_rule
from costmodel.backends.rules import FUNCTIONS
from costmodel.core import infer
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
)
from costmodel.reference.mobilenet import MobileNetV1
from costmodel.reports.checking import checked
from costmodel.show.record import as_dict
from costmodel.tools.crosscheck import BUILT, WRITTEN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from strategies import Case, PoolCase

IMAGE = Input("image", (2, 4, 9, 9))


def shapes(network: Network) -> dict[str, tuple[int, ...]]:
    """What each layer of the built module really makes, on the meta device."""
    with torch.device("meta"):
        module = build(network).eval()
        images = [torch.empty(layer.shape) for layer in network.inputs]
    layers = {path: name for name, path in module.module_of.items()}
    found = {layer.name: layer.shape for layer in network.inputs}
    for path, part in module.named_modules():
        if path in layers:
            part.register_forward_hook(
                lambda _part, _images, made, name=layers[path]: found.update({name: made.shape})
            )
    module(*images)
    return found


def assert_agrees(network: Network) -> None:
    """Shapes, parameters, fvcore's and FlopCounterMode's counts: all equal the network's."""
    assert shapes(network) == {layer.name: output for layer, _, output in infer(network)}
    made = crosscheck(network)
    assert made.mismatches == ()
    totals = {(c.tool, c.quantity): c.measured for c in made.comparisons if not c.layer}
    assert totals["torch", "params"] == cost(network).params
    assert totals["FlopCounterMode", "flops"] == 2 * cost(network).macs


def small(name: str) -> Network:
    """A network of the zoo, narrow and as small as its pools allow."""
    side = {"inception_v3": 79, "alexnet": 67}.get(name, 65)
    return widen(resize(ZOO[name].build(), resolution=side), 0.25)


@pytest.mark.parametrize("name", mostly_slow(ZOO, "mobilenet_v1", "person_detector"))
def test_the_zoo(name: str) -> None:
    """Every network of the zoo builds, and every figure of it is the tools'."""
    assert_agrees(small(name))


@pytest.mark.slow
@pytest.mark.parametrize("name", ZOO)
def test_the_zoo_at_full_size(name: str) -> None:
    """As its authors have it, too."""
    assert_agrees(ZOO[name].build())


REWRITES: dict[str, Callable[[Network], Network]] = {
    "widen": lambda network: widen(network, "3/4"),
    "resize": lambda network: resize(network, rho="9/8"),
    "separate": separate,
    "join": join,
    "drop": lambda network: drop(network, lambda x: isinstance(x.layer, (BatchNorm, Activation))),
}


@pytest.mark.parametrize("rewrite", REWRITES)
@pytest.mark.parametrize(
    "name", mostly_slow(["mobilenet_v2", "squeezenet_1_1", "googlenet"], "squeezenet_1_1")
)
def test_rewrites_of_the_zoo(name: str, rewrite: str) -> None:
    """A rewritten network builds, and every figure of it is the tools'."""
    assert_agrees(REWRITES[rewrite](small(name)))


def test_the_shallow_mobilenet() -> None:
    """Whole blocks dropped by name leave a network that builds."""
    assert_agrees(drop(small("mobilenet_v1"), [f"block{i}.*" for i in range(7, 12)]))


@settings(max_examples=30, deadline=None)
@given(networks())
def test_any_network(network: Network) -> None:
    """Branches, sums, groups, pools and shared weights build, and every figure is the tools'."""
    assert_agrees(network)


@settings(max_examples=15, deadline=None)
@given(networks())
def test_any_rewritten_network(network: Network) -> None:
    """A wider network of depthwise separable convolutions builds as well."""
    assert_agrees(widen(separate(network), "5/4"))


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_any_convolution(rank: int) -> None:
    """Convolutions over one to three axes, each axis with settings of its own."""

    @settings(max_examples=15, deadline=None)
    @given(convolutions(rank))
    def agrees(case: Case) -> None:
        assert_agrees(case.network)

    agrees()


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_any_pool(rank: int) -> None:
    """Pools over one to three axes, in ceil_mode or not, make the sizes that are inferred."""

    @settings(max_examples=15, deadline=None)
    @given(pools(rank))
    def agrees(case: PoolCase) -> None:
        assert_agrees(case.network)

    agrees()


@pytest.mark.parametrize("rank", [0, 1, 2, 3])
@pytest.mark.parametrize("affine", [True, False])
def test_batch_norm(rank: int, affine: bool) -> None:  # noqa: FBT001
    """Over vectors and one to three axes, with scale and shift or without."""
    norm = BatchNorm("norm", affine=affine)
    assert_agrees(Network("n", (Input("image", (2, 4, *[6] * rank)), norm)))


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("kind", ["average", "max"])
def test_adaptive_pools(rank: int, kind: str) -> None:
    """To one element and to a size for each axis."""
    image = Input("image", (2, 4, *[6] * rank))
    sides = AdaptivePool("sides", kind, tuple(range(2, 2 + rank)))
    assert_agrees(Network("n", (image, sides, AdaptivePool("pool", kind))))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_functions(function: str) -> None:
    """Each function that an Activation may name is torch's own."""
    assert_agrees(Network("n", (IMAGE, Activation("act", function))))


def test_local_response_normalisation_is_the_papers() -> None:
    """Over n = 5 channels with α = 10⁻⁴, β = 0.75 and k = 2 (Krizhevsky et al. 2012, §3.3)."""
    module = build(Network("n", (IMAGE, Activation("act", "local_response_norm")))).act
    assert (module.size, module.alpha, module.beta, module.k) == (5, 1e-4, 0.75, 2)


@pytest.mark.parametrize("shape", [(3, 8), (3, 5, 8), (3, 5, 6, 8)])
def test_linear_over_the_last_axis(shape: tuple[int, ...]) -> None:
    """A Linear takes any number of axes before its own."""
    assert_agrees(Network("n", (Input("x", shape), Linear("a", 7), Linear("b", 5, bias=False))))


def test_several_inputs_and_outputs() -> None:
    """A module takes the inputs in order and returns what nothing reads, in order."""
    layers = (
        Input("left", (1, 3, 8, 8)),
        Input("right", (1, 3, 8, 8)),
        Add("sum", inputs=("left", "right")),
        Concat("both", inputs=("sum", "left")),
        Flatten("flat", inputs=("sum",)),
    )
    network = Network("n", layers)
    assert_agrees(network)
    left, right = torch.ones(1, 3, 8, 8), 2 * torch.ones(1, 3, 8, 8)
    both, flat = build(network)(left, right)
    assert torch.equal(both, torch.cat([left + right, left], 1))
    assert torch.equal(flat, 3 * torch.ones(1, 192))


def test_crops() -> None:
    """Every proposal is the whole map, resized to its nearest elements."""
    network = Network("n", (IMAGE, CropAndResize("crop", 5, 3), Conv("conv", 6, 3)))
    assert_agrees(network)
    with torch.no_grad():
        crops = build(drop(network, "conv"))(image := torch.rand(IMAGE.shape))
    assert torch.equal(crops[4], image[0][:, 1::3, 1::3])
    assert torch.equal(crops[5], image[1][:, 1::3, 1::3])


def test_the_references_weights_give_the_references_outputs() -> None:
    """With the weights of the paper-written MobileNet, built from the zoo: difference 0.0."""
    reference, built = MobileNetV1(0.5).eval(), build(widen(mobilenet_v1(), 0.5)).eval()
    for part in reference.modules():
        if isinstance(part, nn.BatchNorm2d):  # or every layer's statistics are alike
            nn.init.uniform_(part.running_mean, -0.1, 0.1)
            nn.init.uniform_(part.running_var, 0.5, 2)
    weights = {k.replace(".conv.", "."): v for k, v in reference.state_dict().items()}
    built.load_state_dict(weights)
    with torch.no_grad():
        expected = reference(image := torch.randn(2, 3, 96, 96))
        assert (built(image) - expected).abs().max() == 0.0
    assert expected.std() > 0


def test_keys_follow_the_layers_names() -> None:
    """`state_dict` has each layer's name with .weight, and nothing else."""
    network = mobilenet_v1(resolution=32)
    kinds = (Conv, Linear)
    wanted = {f"{x.name}.weight" for x in network.layers if isinstance(x, kinds)}
    wanted |= {f"{x.name}.running_mean" for x in network.layers if isinstance(x, BatchNorm)}
    module = build(network)
    assert wanted <= set(module.state_dict())
    assert all(name == path for name, path in module.module_of.items())


#: Names that torch or fvcore cannot have, in pairs that must not meet.
NAMES = ("train", "train_", "a..b", ".a", "a", "a.", "x/y", "x_y", "x.bias", "x", "<b>\n=1,2", "…")


def test_any_name() -> None:
    """Names of any characters each get a submodule of their own, and are counted by layer."""
    layers = (IMAGE, *(Conv(name, i, 1, bias=True) for i, name in enumerate(NAMES, start=1)))
    network = Network("n", layers)
    assert_agrees(network)
    paths = build(network).module_of
    assert list(paths) == list(NAMES)
    assert len(set(paths.values())) == len(NAMES)
    assert (paths["x"], paths["train"], paths["x/y"]) == ("x", "train_", "x_y")


def test_a_layer_inside_another_is_counted_once() -> None:
    """`rpn.boxes` stands inside `rpn`, and neither count has the other's."""
    made = crosscheck(Network("n", (IMAGE, Conv("rpn", 8, 3, padding=1), Conv("rpn.boxes", 5, 1))))
    assert made.mismatches == ()
    assert made.reference_macs == {"rpn": 9 * 4 * 8 * 2 * 81, "rpn.boxes": 8 * 5 * 2 * 81}


def test_shared_weights_are_one_tensor() -> None:
    """A layer that shares another's parameters uses the same tensors."""
    layers = (
        IMAGE,
        Conv("a", 4, 3, padding=1, bias=True),
        BatchNorm("a.norm"),
        Conv("b", 4, 3, padding=1, bias=True, shares="a"),
        BatchNorm("b.norm", shares="a.norm"),
    )
    network = Network("n", layers)
    assert_agrees(network)
    module = build(network)
    assert module.b.weight is module.a.weight
    assert module.b.bias is module.a.bias
    assert module.b.norm.weight is module.a.norm.weight


def test_the_module_is_an_ordinary_one() -> None:
    """It trains: each parameter has a gradient after a backward pass."""
    module = build(widen(mobilenet_v1(classes=3, resolution=32, batch=2), 0.25))
    module(torch.randn(2, 3, 64, 64)).sum().backward()
    assert all(parameter.grad is not None for parameter in module.parameters())


@dataclass(frozen=True)
class Negative(Layer):
    """A layer of one's own."""


@pytest.fixture
def rules() -> Iterator[None]:
    """The registry as it was, afterwards."""
    import_module("costmodel.backends.rules")  # or its rules would be lost with what is undone
    before = dict(build_rule.registered)
    yield
    build_rule.registered = before
    build_rule.clear()


@pytest.mark.usefixtures("rules")
def test_a_rule_of_ones_own() -> None:
    """A new layer type builds as soon as it has a rule, and is refused by name before."""
    network = Network("n", (IMAGE, Negative("minus")))
    with pytest.raises(CostModelError, match=r"minus: no build rule for a Negative; register one"):
        build(network)

    class Minus(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return -x

    build_rule(Negative)(lambda *_: Minus())
    assert torch.equal(build(network)(torch.ones(2)), -torch.ones(2))


WRONG: dict[str, tuple[type[Layer], Callable[..., nn.Module]]] = {
    "a stride forgotten": (Conv, lambda _, i, o: nn.Conv2d(i[0][1], o[1], 3, 1, 1, bias=True)),
    "a bias forgotten": (Conv, lambda _, i, o: nn.Conv2d(i[0][1], o[1], 3, 2, 1, bias=False)),
    "a wrong pool": (AdaptivePool, lambda *_: nn.AdaptiveMaxPool2d(1)),
    "a norm without affine": (BatchNorm, lambda _, i, _o: nn.BatchNorm2d(i[0][1], affine=False)),
    "a wider classifier": (Linear, lambda _, i, o: nn.Linear(i[0][-1], o[-1] + 1)),
}


@pytest.mark.usefixtures("rules")
@pytest.mark.parametrize("mutation", WRONG)
def test_a_wrong_rule_is_caught(mutation: str) -> None:
    """Each mutation of one rule makes a figure differ."""
    layers = (IMAGE, Conv("conv", 8, 3, 2, 1, bias=True), BatchNorm("norm"), AdaptivePool("pool"))
    network = Network("n", (*layers, Flatten("flatten"), Linear("classifier", 3)))
    assert_agrees(network)
    kind, rule = WRONG[mutation]
    build_rule.registered[kind] = rule
    build_rule.clear()
    assert crosscheck(network).mismatches


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ((Input("x", (1, 3, 4, 4, 4, 4)), Conv("conv", 2, 1)), "conv: torch has a Conv over 1, 2"),
        ((IMAGE, Activation("act", "cosine")), "act: function must be one of relu, sigmoid"),
        (
            (IMAGE, Conv("a", 4, (3, 1)), Conv("b", 4, (1, 3), shares="a")),
            "b: shares the weight of a, got 4×4×3×1 and 4×4×1×3",
        ),
        ((Input("x", (1, 3, alpha, alpha)), Conv("conv", 2, 1)), "conv: has symbols"),
        ((IMAGE, Conv("conv", alpha, 1)), "conv: has symbols"),
        ((IMAGE, Conv("conv", 4, alpha, padding=alpha)), "conv: has symbols"),
    ],
)
def test_what_torch_does_not_have_is_refused(layers: tuple[Layer, ...], words: str) -> None:
    """One clear line names the layer, the value and the rule."""
    with pytest.raises(CostModelError) as caught:
        build(Network("n", layers))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_without_torch_building_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where torch is missing, the error names the command that brings it."""
    monkeypatch.setattr("costmodel.errors.find_spec", lambda _: None)
    with pytest.raises(CostModelError, match=r"pip install 'costmodel\[torch\]'"):
        build(mobilenet_v1())


def test_a_report_says_what_it_compared() -> None:
    """The paper's own models are written apart; others are built from the network."""
    assert checked(report(alpha=0.25, resolution=32)).check.model == WRITTEN
    made = checked(report("squeezenet_1_1", alpha=0.25, resolution=65))
    assert (made.check.status, made.check.model) == ("passed", BUILT)
    assert crosscheck(made.network, build(made.network)).model == BUILT
    assert as_dict(made)["check"]["model"] == "a torch model built from the network"


def test_a_report_of_what_torch_does_not_have_is_unchecked() -> None:
    """Where a network does not build, the report says why, and has its figures."""
    made = report(Network("n", (IMAGE, Conv("c", SAME, 1, groups=SAME), Activation("a", "cosine"))))
    with_check = checked(made)
    assert with_check.check.status == "unavailable"
    assert with_check.check.reason.startswith("a: function must be one of")
    assert with_check.total.macs == 4 * 2 * 81


@pytest.mark.parametrize(
    ("layers", "what"),
    [
        ((IMAGE, Flatten("flat"), Linear("wide", 10**7)), "3.25e+09 parameters"),
        ((Input("image", (1, 3, 10**5, 10**5)), Activation("act")), "3.00e+10 elements"),
        ((Input("image", (1, 3, 10**5, 10**5)), Conv("conv", 99, 9)), "MACs"),
    ],
)
def test_a_report_allocates_no_more_than_there_is(layers: tuple[Layer, ...], what: str) -> None:
    """A network too large to run is reported unchecked, and says what is too large."""
    check = checked(report(Network("n", layers))).check
    assert check.status == "unavailable"
    assert what in check.reason
