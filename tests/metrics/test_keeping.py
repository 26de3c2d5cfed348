"""Traced models train at the cost, and keep the bytes, that torch measures."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn
from torch.nn import functional as f
from torch.utils.flop_counter import FlopCounterMode

from costmodel import CostModelError, Layer, Network, layers as ir, to_json
from costmodel.core.nest import INPUTS, NOTHING, OUTPUT, PRODUCT, Keeps
from costmodel.core.orders import plain
from costmodel.frontends.torch.forward import trace
from costmodel.layers import SAME, Conv, Input, Linear
from costmodel.metrics.memory import MemoryRules
from costmodel.metrics.training import kept_bytes, layer_training_costs
from costmodel.tools.flop_counter import flop_counter_flops
from tests.frontends.torch.test_trace_models import built
from tests.metrics.test_training import measured_bytes, measured_flops

if TYPE_CHECKING:
    from collections.abc import Callable

    Function = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

SIZE = (2, 3, 8, 8)


class Between(nn.Module):
    """A function of two convolutions' maps, before another convolution."""

    def __init__(self, function: Function) -> None:
        """With the channels that the function makes."""
        super().__init__()
        self.a, self.b, self.function = nn.Conv2d(3, 6, 1), nn.Conv2d(3, 6, 1), function
        made = function(torch.ones(2, 6, 8, 8), torch.ones(2, 6, 8, 8))
        self.last = nn.Conv2d(made.shape[1], 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The three, one after the other."""
        return self.last(self.function(self.a(x), self.b(x)))


FUNCTIONS: dict[str, Function] = {
    "a product": lambda x, y: x * y,
    "a product of a map and a vector": lambda x, y: x * y.mean((2, 3), keepdim=True),
    "a gate": lambda x, y: x * f.relu6(y + 3) / 6,
    "a quotient": lambda x, y: x / y,
    "a true quotient": torch.true_divide,
    "long names": lambda x, y: torch.divide(x, y) - torch.multiply(x, y).subtract(x),
    "sums and numbers": lambda x, y: 1 - (x + 1) * 2 - (-y),
    "a maximum": torch.maximum,
    "a minimum": torch.minimum,
    "a difference": torch.sub,
    "powers": lambda x, y: (x.pow(2).mean(1, keepdim=True) + 1).rsqrt() * y,
    "exponentials": lambda x, y: x.exp() + y.softmax(1),
    "reductions": lambda x, y: x.std((2, 3), keepdim=True) + y.amax((2, 3), keepdim=True),
    "other reductions": lambda x, y: (
        x.logsumexp((2, 3), keepdim=True) + y.amin((2, 3), keepdim=True)
    ),
    "sums of squares": lambda x, y: x.sum((2, 3), keepdim=True) + y.var((2, 3), keepdim=True),
    "halves": lambda x, y: x.chunk(2, 1)[0] * y[:, :3],
    "joined": lambda x, y: torch.cat([x, y], 2),
    "padded": lambda x, y: f.pad(x, (1, 2)) + f.pad(y, (1, 2)),
    "upsampled": lambda x, y: f.interpolate(x, scale_factor=2) + y.repeat(1, 1, 2, 2),
    "expanded": lambda x, y: x[:, :1].expand(2, 6, 8, 8) * y,
    "expanded to another": lambda x, y: x[:, :1].expand(y.shape) * y,
    "expanded as another": lambda x, y: x[:, :1].expand_as(y) * y,
    "broadcast to another": lambda x, y: torch.broadcast_to(x[:, :1], y.shape) * y,
    "broadcast": lambda x, y: torch.broadcast_to(x[:, :1], (2, 6, 8, 8)) * y,
    "tiled": lambda x, y: x.tile(1, 1, 2, 1) * y.repeat(1, 1, 2, 1),
    "shuffled": lambda x, y: (x + y).view(2, 2, 3, 8, 8).transpose(1, 2).contiguous().flatten(1, 2),
    "shuffled by a reshape": lambda x, y: f.silu(
        (x + y).relu().view(2, 2, 3, 8, 8).transpose(1, 2).reshape(2, 6, 8, 8)
    ),
    "shuffled at once": lambda x, y: f.channel_shuffle(x + y, 2),
    "matmul": lambda x, y: x @ y.transpose(2, 3),
    "einsum": lambda x, y: torch.einsum("bchw,bcdw->bchd", x, y),
    "attention": lambda x, y: f.scaled_dot_product_attention(x, y, x.sigmoid()),
    "attention that nothing else keeps": lambda x, y: f.scaled_dot_product_attention(x, y, y) + x,
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name: str) -> None:
    """What each function keeps of two maps, and what it costs in both passes."""
    module = Between(FUNCTIONS[name])
    network = trace(module, example_inputs=(SIZE,))
    assert kept_bytes(network) == measured_bytes(network, module)
    assert on_meta(network, module) == flop_counter_flops(network)


class Learned(nn.Module):
    """A function of a convolution's map and a parameter, before another convolution."""

    def __init__(self, function: Function) -> None:
        """With a value for each channel."""
        super().__init__()
        self.a, self.last, self.function = nn.Conv2d(3, 6, 1), nn.Conv2d(6, 4, 1), function
        self.scale = nn.Parameter(torch.rand(6, 1, 1) + 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The three, one after the other."""
        return self.last(self.function(self.a(x), self.scale))


LEARNED: dict[str, Function] = {
    "sum": lambda x, s: x + s,
    "difference": lambda x, s: x - s,
    "product": lambda x, s: x * s,
    "quotient": lambda x, s: x / s,
    "batch norm without shift": lambda x, s: f.batch_norm(
        x, None, None, s.flatten(), training=True
    ),
}


@pytest.mark.parametrize("name", LEARNED)
def test_learned_values(name: str) -> None:
    """What each function keeps of a map and a value for each channel, and what it costs."""
    module = Learned(LEARNED[name])
    network = trace(module, example_inputs=(SIZE,))
    assert kept_bytes(network) == measured_bytes(network, module)
    assert measured_flops(network, module) == flop_counter_flops(network)


def test_half_the_bytes() -> None:
    """float16 halves the maps that attention keeps, not its sums, which are float32."""
    network = trace(Between(FUNCTIONS["attention"]), example_inputs=(SIZE,))
    # Whatever else is kept is float16: 2 images, 6 heads and 8 rows have a sum of 4 B each.
    sums = 4 * 2 * 6 * 8
    assert kept_bytes(network, MemoryRules("float16")) - sums == (kept_bytes(network) - sums) / 2


def on_meta(network: Network, module: nn.Module) -> int:
    """FlopCounterMode's count without data, where it sees the products inside attention."""
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        images = [torch.empty(layer.shape) for layer in network.inputs]
        module.to("meta")(*images).sum().backward()
    return int(counter.get_total_flops())


MODULES: dict[str, nn.Module] = {
    "transposed": nn.ConvTranspose2d(3, 6, 3, 2, bias=False),
    "transposed in groups": nn.ConvTranspose2d(3, 6, 3, 2, groups=3),
    "layer norm": nn.LayerNorm(8),
    "layer norm without scale": nn.LayerNorm((8, 8), elementwise_affine=False),
    "group norm": nn.GroupNorm(3, 3),
    "instance norm": nn.InstanceNorm2d(3, affine=True),
    "instance norm without scale": nn.InstanceNorm2d(3),
    "rms norm": nn.RMSNorm(8),
    "rms norm without scale": nn.RMSNorm(8, elementwise_affine=False),
    "prelu": nn.PReLU(),
    "leaky relu": nn.LeakyReLU(0.3),
    "relu6": nn.ReLU6(),
    "relu in place": nn.ReLU(inplace=True),
}


@pytest.mark.parametrize("name", MODULES)
def test_modules(name: str) -> None:
    """What each module keeps between two convolutions, and what it costs in both passes."""
    last = nn.Conv2d(6 if "transposed" in name else 3, 4, 1)
    module = nn.Sequential(nn.Conv2d(3, 3, 1), MODULES[name], last)
    network = trace(module, example_inputs=(SIZE,))
    assert kept_bytes(network) == measured_bytes(network, module)
    assert measured_flops(network, module) == flop_counter_flops(network)


def test_a_table_keeps_its_rows_numbers() -> None:
    """An embedding keeps int64 indices."""
    layers = Input("tokens", (5, 2)), ir.Embedding("table", 8, rows=10), Linear("a", 3)
    network = Network("n", layers)
    assert kept_bytes(network, MemoryRules(count_input=False)) == measured_bytes(network)
    assert kept_bytes(network) == 8 * 5 * 2 + 4 * 5 * 2 * 8


def test_rules_are_there_when_they_are_needed() -> None:
    """A traced network read from JSON finds them in a fresh program; a zoo's network loads none."""
    network = trace(Between(FUNCTIONS["halves"]), example_inputs=(SIZE,))
    code = (
        "import sys, costmodel as c; from costmodel.metrics.training import kept_bytes; "
        "kept_bytes(c.mobilenet_v1()); assert 'costmodel.layers.products' not in sys.modules; "
        "print(kept_bytes(c.from_json(sys.stdin.read())))"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, check=True, capture_output=True, encoding="utf-8", input=to_json(network)
    )
    assert int(done.stdout) == kept_bytes(network)


def test_an_encoder() -> None:
    """A layer of a transformer keeps what its parts keep, copies in its attention included."""
    module = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0)
    network = trace(module, example_inputs=((5, 2, 8),))
    assert kept_bytes(network) == measured_bytes(network, module)
    assert on_meta(network, module) == flop_counter_flops(network)


def test_a_fixed_filter_has_no_gradient_of_its_own() -> None:
    """A kernel that is no parameter costs one product backwards, and not two."""
    layers = Input("image", SIZE), Conv("conv", 4, 1), ir.Filter("blur", SAME, 3, groups=SAME)
    network = Network("n", layers)
    made = layer_training_costs(network)["blur"]
    assert (made.input_gradient, made.weight_gradient) == (made.forward, 0)
    assert measured_flops(network) == flop_counter_flops(network)
    assert kept_bytes(network) == measured_bytes(network)


def test_constants_are_the_modules_own() -> None:
    """A learned table of positions is a parameter: neither it nor a made one is an activation."""
    layers = (
        Input("image", SIZE),
        ir.Constant("positions", (1, 3, 8, 8), 192),
        ir.Combine("scale", "mul", inputs=("image", "positions")),
        Conv("conv", 4, 1),
    )
    network = Network("n", layers)
    assert kept_bytes(network) == measured_bytes(network)
    assert measured_flops(network) == flop_counter_flops(network)


class Logits(nn.Module):
    """What a model returns, as one tensor."""

    def __init__(self, model: nn.Module) -> None:
        """Remember the model."""
        super().__init__()
        self.model = model

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Its first output."""
        made = self.model(x)
        return getattr(made, "logits", made)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "name",
    [
        *("ResNet", "ConvNext", "ViT", "PoolFormer", "Pvt", "resnet18", "mobilenetv2_w1"),
        *("mobilenetv3_large_w1", "shufflenetv2_w1", "densenet121", "efficientnet_b0"),
        *("regnety004", "linknet_cityscapes"),
    ],
)
def test_models(name: str) -> None:
    """Real models on two images: FLOPs of both passes and kept bytes are torch's."""
    model, inputs = built(name, "cpu")
    (image,) = inputs.values()
    module = Logits(model).train()
    network = trace(module, example_inputs=((2, *image.shape[1:]),))
    assert kept_bytes(network) == measured_bytes(network, module)
    assert on_meta(network, module) == flop_counter_flops(network)


REFUSED: list[tuple[Layer, str]] = [
    (ir.Combine("x", "atan2"), "x: no rule for what 'atan2' keeps"),
    (ir.Reduce("x", (2,), function="prod"), "x: no rule for what 'prod' keeps"),
    (ir.Affine("x", "pow"), "x: no rule for what 'pow' keeps"),
    (ir.WithNumbers("x", "normalize", (2,)), "x: no rule for what 'normalize' keeps"),
    (ir.Recorded("x", "roll", (SIZE,), SIZE), "x: no rule for what 'roll' keeps"),
    (
        ir.DotProductAttention("x", inputs=("tokens",) * 3),
        "x: no rule for what attention over 3 axes keeps",
    ),
]


@pytest.mark.parametrize(("layer", "words"), REFUSED)
def test_what_has_no_rule(layer: Layer, words: str) -> None:
    """One clear line names the layer and the function."""
    tokens = Input("tokens", (2, 5, 4))
    with pytest.raises(CostModelError) as caught:
        kept_bytes(Network("n", (tokens, Input("image", SIZE), layer)))
    assert str(caught.value).startswith(words)
    assert "\n" not in str(caught.value)


#: What is wrongly a copy, or a view, and a function in which it shows.
WRONG_VIEWS: dict[str, tuple[type[Layer], bool, str]] = {
    "a half is a copy": (ir.Split, False, "halves"),
    "a join is a view": (ir.Join, True, "joined"),
    "a shuffle is a view": (ir.Reshape, True, "shuffled by a reshape"),
}


@pytest.mark.parametrize("mutation", WRONG_VIEWS)
def test_a_wrong_view_is_caught(mutation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each makes the bytes differ."""
    kind, view, name = WRONG_VIEWS[mutation]
    module = Between(FUNCTIONS[name])
    network = trace(module, example_inputs=(SIZE,))
    measured: Any = measured_bytes(network, module)
    assert kept_bytes(network) == measured
    monkeypatch.setattr(
        kind, "view_order", lambda _, __, ___, output: plain(output) if view else None
    )
    assert kept_bytes(network) != measured


#: One wrong rule for each of several layer types, and a function in which it shows.
WRONG: dict[str, tuple[type[Layer], Keeps, str]] = {
    "a product keeps nothing": (ir.Combine, NOTHING, "a product"),
    "a quotient keeps its output": (ir.Combine, OUTPUT, "a quotient"),
    "a product of matrices keeps its output": (ir.Einsum, OUTPUT, "matmul"),
    "attention is a product": (ir.DotProductAttention, PRODUCT, "attention"),
    "a mean keeps its input": (ir.Reduce, INPUTS, "reductions"),
    "padding keeps its input": (ir.Pad, INPUTS, "padded"),
}


@pytest.mark.parametrize("mutation", WRONG)
def test_a_wrong_rule_is_caught(mutation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each mutation of one rule makes the bytes differ."""
    kind, keeps, name = WRONG[mutation]
    module = Between(FUNCTIONS[name])
    network = trace(module, example_inputs=(SIZE,))
    measured: Any = measured_bytes(network, module)
    assert kept_bytes(network) == measured
    monkeypatch.setattr(kind, "keeps", lambda *_: keeps)
    assert kept_bytes(network) != measured
