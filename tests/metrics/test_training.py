"""A step of training costs and keeps what torch, measured, computes and saves."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import given, settings
from strategies import convolutions, mostly_slow, networks, pools
from sympy import Rational
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torch_models.mobilenet_v2 import MobileNetV2

from costmodel import (
    ZOO,
    CostModelError,
    Layer,
    Network,
    alpha,
    cost,
    lower,
    mobilenet_v1,
    resize,
    rho,
    widen,
)
from costmodel.backends.building import build
from costmodel.backends.rule import build_rule
from costmodel.backends.rules import FUNCTIONS
from costmodel.core import LoopNest
from costmodel.core.nest import INPUTS, NOTHING, OUTPUT, PRODUCT, Keeps
from costmodel.core.orders import plain
from costmodel.layers import (
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
from costmodel.metrics.memory import MemoryRules
from costmodel.metrics.training import (
    Kept,
    TrainingCost,
    kept_activations,
    kept_bytes,
    layer_training_costs,
    training_cost,
)
from costmodel.reference import mobilenet as reference
from costmodel.tools.flop_counter import flop_counter_flops
from costmodel.zoo import conv_mobilenet, mobilenet_v2

if TYPE_CHECKING:
    from collections.abc import Iterator

    from strategies import Case, PoolCase

IMAGE = Input("image", (2, 4, 9, 9))
CONV = Conv("conv", 6, 3, padding=1)
AGAIN = Conv("again", 5, 3, padding=1)


def loss(made: torch.Tensor | tuple[torch.Tensor, ...]) -> torch.Tensor:
    """The sum of every output: it keeps nothing."""
    outputs = made if isinstance(made, tuple) else (made,)
    return sum(tensor.sum() for tensor in outputs)


def measured_flops(network: Network, module: nn.Module | None = None) -> int:
    """FlopCounterMode's count of a forward and a backward pass, by default on the meta device."""
    with torch.device("cpu" if module else "meta"):
        module = (module or build(network)).train()
        images = [torch.zeros(layer.shape) for layer in network.inputs]
        with FlopCounterMode(display=False) as counter:
            made = loss(module(*images))
            if made.requires_grad:
                made.backward()
    return counter.get_total_flops()


def measured_bytes(
    network: Network,
    module: nn.Module | None = None,
    dtype: torch.dtype = torch.float32,
    *,
    count_input: bool = True,
) -> int:
    """The storages that autograd saves in a real forward pass, but for the module's own."""
    module = (module or build(network)).train().to(dtype)
    images = [torch.rand(layer.shape, dtype=dtype) for layer in network.inputs]
    ours = [*module.parameters(), *module.buffers(), *([] if count_input else images)]
    ignored = {tensor.untyped_storage().data_ptr() for tensor in ours}
    held: dict[int, torch.Tensor] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        address = tensor.untyped_storage().data_ptr()
        if address not in ignored:
            held[address] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        made = loss(module(*images))
    del made
    return sum(tensor.untyped_storage().nbytes() for tensor in held.values())


def assert_equal_to_torch(network: Network) -> None:
    """Both passes' FLOPs, with the named deviation, and the bytes kept between them."""
    assert measured_flops(network) == flop_counter_flops(network)
    assert measured_bytes(network) == kept_bytes(network)


def paired(network: Network) -> Network:
    """With two images: batch norm does not train on one value per channel."""
    layers = network.layers
    shape = (2, *layers[0].shape[1:])
    return Network(network.name, (replace(layers[0], shape=shape), *layers[1:]))


def full(name: str) -> Network:
    """A network of the zoo as its authors have it, for two images (and few crops)."""
    few = {"proposals": 3} if name == "faster_rcnn_mobilenet" else {}
    return ZOO[name].build(batch=2, **few)


@pytest.mark.parametrize("name", mostly_slow(ZOO, "mobilenet_v1", "squeezenet_1_1"))
def test_the_zoo(name: str) -> None:
    """Every network of the zoo, narrow and small: FLOPs and kept bytes are torch's."""
    side = {"inception_v3": 79, "alexnet": 67}.get(name, 65)
    assert_equal_to_torch(widen(resize(full(name), resolution=side), 0.25))


@pytest.mark.slow
@pytest.mark.parametrize("name", ZOO)
def test_the_zoo_at_full_size(name: str) -> None:
    """As its authors have it, too."""
    assert_equal_to_torch(full(name))


@pytest.mark.parametrize(
    ("network", "module"),
    [
        (mobilenet_v1(batch=2), reference.MobileNetV1()),
        (conv_mobilenet(batch=2), reference.conv_mobilenet()),
        (mobilenet_v2(batch=2), MobileNetV2()),
    ],
    ids=["mobilenet_v1", "conv_mobilenet", "mobilenet_v2"],
)
def test_models_written_from_the_papers(network: Network, module: nn.Module) -> None:
    """Models that were not built from the network have the same FLOPs and kept bytes."""
    network = resize(network, resolution=64)
    assert measured_flops(network, module) == flop_counter_flops(network)
    assert measured_bytes(network, module) == kept_bytes(network)


@settings(max_examples=40, deadline=None)
@given(networks())
def test_any_network(network: Network) -> None:
    """Branches, sums, groups, pools and shared weights: FLOPs and kept bytes are torch's."""
    assert_equal_to_torch(paired(network))


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_any_convolution(rank: int) -> None:
    """Convolutions over one to three axes, strided, dilated and grouped."""

    @settings(max_examples=20, deadline=None)
    @given(convolutions(rank))
    def equal(case: Case) -> None:
        (image, conv) = case.network.layers
        before = Conv("before", image.shape[1], 1)
        assert_equal_to_torch(case.network)
        assert_equal_to_torch(Network("n", (image, before, replace(conv, inputs=("before",)))))

    equal()


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_any_pool(rank: int) -> None:
    """Pools over one to three axes behind a convolution."""

    @settings(max_examples=20, deadline=None)
    @given(pools(rank))
    def equal(case: PoolCase) -> None:
        (image, pool) = case.network.layers
        assert_equal_to_torch(Network("n", (image, Conv("c", 3, 1), replace(pool, inputs=("c",)))))

    equal()


@pytest.mark.parametrize("size", [1, 2, (1, 2)])
@pytest.mark.parametrize("kind", ["average", "max"])
def test_adaptive_pools(kind: str, size: int | tuple[int, int]) -> None:
    """To one element an average keeps nothing; to more, and a maximum always, its input."""
    assert_equal_to_torch(Network("n", (IMAGE, CONV, AdaptivePool("pool", kind, size))))


@pytest.mark.parametrize("shape", [(3, 8), (3, 5, 8), (3, 5, 6, 8)])
@pytest.mark.parametrize("bias", [True, False])
def test_linear(shape: tuple[int, ...], bias: bool) -> None:  # noqa: FBT001
    """Over vectors, sequences and maps."""
    layers = (Input("x", shape), Linear("a", 7, bias=bias), Linear("b", 5, bias=bias))
    assert_equal_to_torch(Network("n", layers))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_functions(function: str) -> None:
    """What each activation keeps, between two convolutions and behind a bare image."""
    assert_equal_to_torch(Network("n", (IMAGE, CONV, Activation("act", function), AGAIN)))
    assert_equal_to_torch(Network("n", (IMAGE, Activation("act", function), CONV)))


def test_layers_before_the_first_parameter_keep_nothing() -> None:
    """Without a parameter before it, a layer has no gradient, and no MACs backwards."""
    free = Pool("pool", "max", 3, 2), Activation("act"), BatchNorm("norm", affine=False)
    network = Network("n", (IMAGE, *free))
    assert kept_bytes(network) == measured_bytes(network) == 0
    network = Network("n", (IMAGE, *free, CONV, AGAIN))
    assert_equal_to_torch(network)
    assert layer_training_costs(network)["conv"].input_gradient == 0


def test_by_layer() -> None:
    """Conv1 has one gradient, every other layer two, and the sum is the network's cost."""
    network = mobilenet_v1(batch=2)
    layers = layer_training_costs(network)
    macs = {x.layer.name: sum(nest.macs for nest in x.nests) for x in lower(network)}
    assert layers.pop("conv1") == TrainingCost(macs["conv1"], 0, macs["conv1"])
    assert all(made == TrainingCost(*[macs[name]] * 3) for name, made in layers.items())
    total = training_cost(network)
    assert total.forward == total.weight_gradient == cost(network).macs
    assert total.macs == total.forward + total.backward == 3 * cost(network).macs - macs["conv1"]


@pytest.mark.parametrize("groups", [2, 3, 6])
def test_the_deviation_of_grouped_convolutions(groups: int) -> None:
    """FlopCounterMode counts a grouped weight's gradient G times: done by parts it counts once."""
    image = Input("image", (2, 6, 9, 9))
    grouped = Network("n", (image, Conv("before", 6, 1), Conv("conv", 12, 3, groups=groups)))
    nest = lower(grouped)[-1].nests[0]
    once = 2 * training_cost(grouped).macs

    class ByParts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.before = nn.Conv2d(6, 6, 1, bias=False)
            parts = (nn.Conv2d(6 // groups, 12 // groups, 3, bias=False) for _ in range(groups))
            self.parts = nn.ModuleList(parts)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            chunks = self.before(x).chunk(groups, 1)
            return torch.cat([part(c) for part, c in zip(self.parts, chunks, strict=True)], 1)

    assert measured_flops(grouped, ByParts()) == once
    assert measured_flops(grouped) == flop_counter_flops(grouped)
    assert flop_counter_flops(grouped) == once + 2 * (groups - 1) * nest.macs


def test_symbols_are_numbers_later() -> None:
    """The formulas in α and ρ are, at numbers, what the numbers give."""
    formula = widen(resize(mobilenet_v1(), rho=rho), alpha)
    number = widen(resize(mobilenet_v1(), rho="6/7"), "3/4")
    for quantity in (
        lambda network: training_cost(network).macs,
        flop_counter_flops,
        kept_bytes,
        lambda network: kept_bytes(network, MemoryRules("float16", count_input=False)),
    ):
        made = quantity(formula)
        assert made.free_symbols == {alpha, rho}
        assert made.subs({alpha: Rational(3, 4), rho: Rational(6, 7)}) == quantity(number)


def test_the_dtype_and_the_images() -> None:
    """float16 halves all but the indices; images are left out where they are the caller's."""
    network = Network("n", (IMAGE, CONV, BatchNorm("norm"), Pool("pool", "max", 3, 2), AGAIN))
    half = MemoryRules("float16")
    assert kept_bytes(network, half) == measured_bytes(network, dtype=torch.float16)
    without = MemoryRules(count_input=False)
    assert kept_bytes(network, without) == measured_bytes(network, count_input=False)
    assert kept_bytes(network) - kept_bytes(network, without) == 4 * 2 * 4 * 9 * 9


def test_each_tensor_is_kept_once() -> None:
    """ReLU's output and the next two layers' input are one tensor, flattened or not."""
    layers = (
        IMAGE,
        CONV,
        Activation("act"),
        replace(AGAIN, inputs=("act",)),
        Flatten("flat", inputs=("act",)),
        Linear("classifier", 3),
    )
    network = Network("n", layers)
    assert_equal_to_torch(network)
    sizes = {"image": 4 * 2 * 4 * 81, "act": 4 * 2 * 6 * 81}
    wanted = tuple(Kept(name, "output", size) for name, size in sizes.items())
    assert kept_activations(network) == wanted


def test_shared_weights_have_a_gradient_each_time() -> None:
    """A weight used twice is differentiated twice."""
    shared = Conv("shared", 6, 3, padding=1, shares="conv")
    network = Network("n", (replace(IMAGE, shape=(2, 6, 9, 9)), CONV, shared))
    assert_equal_to_torch(network)
    assert training_cost(network).weight_gradient == cost(network).macs


@dataclass(frozen=True)
class Product(Layer):
    """A product of two activations: one layer with itself, or two."""

    arity = None

    def lowered(self, inputs: tuple, _output: tuple) -> tuple:
        """One nest."""
        n, tokens, features = inputs[0]
        return (LoopNest(n, 1, tokens, features, (tokens,), (), weighted=False),), ()

    def keeps(self, _inputs: tuple, _output: tuple) -> Keeps:
        """Each factor that the other's gradient needs."""
        return PRODUCT


class Multiply(nn.Module):
    """Q·Kᵀ, or Q·Qᵀ."""

    def forward(self, q: torch.Tensor, k: torch.Tensor | None = None) -> torch.Tensor:
        """Over the last axis."""
        return q @ (q if k is None else k).transpose(-2, -1)


@pytest.fixture
def product() -> Iterator[None]:
    """A rule to build the product."""
    build_rule(Product)(lambda *_: Multiply())
    yield
    del build_rule.registered[Product]
    build_rule.clear()


X = Input("x", (2, 7, 8))
PRODUCTS = {
    "with itself": ((X, Linear("a", 5), Product("p")), 2),
    "of two": (
        (X, Linear("a", 5), Linear("b", 5, inputs=("x",)), Product("p", inputs=("a", "b"))),
        2,
    ),
    "with an image": ((X, Linear("a", 8), Product("p", inputs=("a", "x"))), 1),
    "of an image": ((X, Product("p")), 0),
}


@pytest.mark.usefixtures("product")
@pytest.mark.parametrize(("layers", "gradients"), PRODUCTS.values(), ids=PRODUCTS)
def test_products_of_activations(layers: tuple[Layer, ...], gradients: int) -> None:
    """Q·Kᵀ has no weight, and a gradient for each operand that has one."""
    network = Network("n", layers)
    assert measured_flops(network) == flop_counter_flops(network)
    assert kept_bytes(network) == measured_bytes(network)
    made = layer_training_costs(network)["p"]
    assert made == TrainingCost(made.forward, gradients * made.forward, 0)


@pytest.mark.usefixtures("product")
def test_a_wrong_product_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Factors that no gradient needs, kept all the same, make the bytes differ."""
    network = Network("n", PRODUCTS["with an image"][0])
    monkeypatch.setattr(Product, "keeps", lambda *_: INPUTS)
    assert kept_bytes(network) != measured_bytes(network)


#: One wrong rule for each layer type, and layers among which it shows.
WRONG: dict[str, tuple[type[Layer], Keeps, tuple[Layer, ...]]] = {
    "a convolution keeps nothing": (Conv, NOTHING, (CONV, AGAIN)),
    "a linear layer keeps nothing": (Linear, NOTHING, (Linear("a", 3), Linear("b", 3))),
    "a batch norm without statistics": (BatchNorm, INPUTS, (CONV, BatchNorm("norm"))),
    "a max pool without indices": (Pool, INPUTS, (CONV, Pool("pool", "max", 3, 2))),
    "an average pool keeps nothing": (Pool, NOTHING, (CONV, Pool("pool", "average", 3, 2))),
    "a mean keeps its input": (AdaptivePool, INPUTS, (CONV, AdaptivePool("pool"))),
    "an adaptive pool keeps nothing": (
        AdaptivePool,
        NOTHING,
        (CONV, AdaptivePool("pool", output_size=2)),
    ),
    "a sum keeps its inputs": (
        Add,
        INPUTS,
        (CONV, Conv("b", 6, 1, inputs=("image",)), Add("sum", inputs=("conv", "b"))),
    ),
    "a concatenation keeps its inputs": (Concat, INPUTS, (CONV, Concat("both"))),
    "a crop keeps its input": (CropAndResize, INPUTS, (CONV, CropAndResize("crop", 3, 4))),
}
#: What is wrongly a copy, or a view.
WRONG_VIEWS: dict[str, tuple[type[Layer], bool, tuple[Layer, ...]]] = {
    "a sum of one is a copy": (Add, False, (CONV, Activation("act"), Add("sum"), AGAIN)),
    "a concatenation is a view": (Concat, True, (CONV, Activation("act"), Concat("both"), AGAIN)),
    "Flatten copies": (Flatten, False, (CONV, Activation("act"), Flatten("flat"), Linear("a", 3))),
}


@pytest.mark.parametrize("mutation", WRONG_VIEWS)
def test_a_wrong_view_is_caught(mutation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each makes the bytes differ."""
    kind, view, layers = WRONG_VIEWS[mutation]
    network = Network("n", (IMAGE, *layers))
    measured = measured_bytes(network)
    assert kept_bytes(network) == measured
    monkeypatch.setattr(
        kind, "view_order", lambda _, __, ___, output: plain(output) if view else None
    )
    assert kept_bytes(network) != measured


@pytest.mark.parametrize("mutation", WRONG)
def test_a_wrong_rule_is_caught(mutation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each mutation of one rule makes the bytes differ."""
    kind, keeps, layers = WRONG[mutation]
    network = Network("n", (IMAGE, *layers))
    measured = measured_bytes(network)
    assert kept_bytes(network) == measured
    monkeypatch.setattr(kind, "keeps", lambda *_: keeps)
    assert kept_bytes(network) != measured


#: Those that keep something and are no module of torch's.
OTHERS = ("abs", "celu", "cos", "exp", "hardtanh", "log", "sin", "softplus", "sqrt", "square")


@pytest.mark.parametrize("function", [*sorted(FUNCTIONS.keys() - {"identity"}), *OTHERS])
def test_a_wrong_function_is_caught(function: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A function that keeps its input for its output, or the reverse, makes the bytes differ."""
    network = Network("n", (IMAGE, CONV, Activation("act", function), AGAIN))
    assert kept_bytes(network) == measured_bytes(network)  # and all rules are registered
    right = Activation.keeps(network["act"], (), (2, 6, 9, 9))
    wrong = INPUTS if right in {OUTPUT, NOTHING} else OUTPUT
    monkeypatch.setattr(Activation, "keeps", lambda *_: wrong)
    assert kept_bytes(network) != measured_bytes(network)


def test_a_wrong_gradient_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gradient of the image, or a grouped weight's counted once, makes the FLOPs differ."""
    network = Network("n", (IMAGE, CONV, Conv("grouped", 6, 3, groups=2)))
    measured = measured_flops(network)
    assert flop_counter_flops(network) == measured != 2 * training_cost(network).macs
    monkeypatch.setattr(
        "costmodel.metrics.training._trained", lambda layers: {x.layer.name for x in layers}
    )
    assert flop_counter_flops(network) != measured


def test_a_layer_without_gradient_that_keeps_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """If layers before the first parameter kept something, the bytes would differ."""
    network = Network("n", (IMAGE, Activation("act"), Pool("pool", "max", 3, 2), CONV))
    measured = measured_bytes(network)
    assert kept_bytes(network) == measured
    monkeypatch.setattr(
        "costmodel.metrics.training._trained", lambda layers: {x.layer.name for x in layers}
    )
    assert kept_bytes(network) != measured


@dataclass(frozen=True)
class Stranger(Layer):
    """A layer that no rule knows."""


def test_a_layer_without_a_rule_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Never a silent zero: the layer is named, and so is the rule it needs."""
    network = Network("n", (IMAGE, Stranger("who")))
    for quantity in (training_cost, layer_training_costs, flop_counter_flops, kept_bytes):
        with pytest.raises(CostModelError, match=r"no rule for who; subclass Layer and say"):
            quantity(network)
    monkeypatch.setattr(Stranger, "lowered", lambda *_: ((), ()))
    assert training_cost(network) == TrainingCost()
    with pytest.raises(CostModelError, match=r"who: no rule for what a Stranger keeps"):
        kept_bytes(network)
    monkeypatch.setattr(Stranger, "keeps", lambda *_: NOTHING)
    assert kept_bytes(Network("n", (*network.layers, CONV))) == 4 * 2 * 4 * 81


def test_an_activation_without_a_rule_is_refused() -> None:
    """A function whose derivative is not known is named."""
    with pytest.raises(CostModelError, match=r"act: no rule for what 'cosine' keeps"):
        kept_bytes(Network("n", (IMAGE, Activation("act", "cosine"))))


@pytest.mark.parametrize(
    "rules",
    [MemoryRules("int8"), MemoryRules(in_place=True), MemoryRules(fold_batch_norm=True)],
    ids=["int8", "in place", "folded"],
)
def test_rules_of_inference_are_refused(rules: MemoryRules) -> None:
    """Nothing is trained in int8, overwritten or folded here."""
    with pytest.raises(CostModelError, match="training keeps float32 or float16"):
        kept_bytes(mobilenet_v1(), rules)


def test_costs_add_up() -> None:
    """A training cost adds to its like only."""
    with pytest.raises(TypeError):
        TrainingCost() + 1
