"""What traced models hold in memory is what torch holds, operator by operator."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as f
from torch_models.live import samples

from costmodel import Layer, Network, cost, layers as ir
from costmodel.frontends.torch.forward import trace
from costmodel.layers import Conv, Input
from costmodel.metrics.memory import (
    MemoryRules,
    live_bytes,
    peak_activations,
    traffic,
    weight_bytes,
)
from tests.frontends.torch.test_trace_models import built


class Shuffle(nn.Module):
    """ShuffleNetV2's unit: a half passes by, both are joined and shuffled."""

    def __init__(self) -> None:
        """Build the layers for eight channels."""
        super().__init__()
        self.stem, self.right = nn.Conv2d(3, 8, 3), nn.Conv2d(4, 4, 1)
        self.last = nn.Conv2d(8, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Of 10×10 images."""
        left, right = self.stem(x).chunk(2, 1)
        x = torch.cat((left, self.right(right).relu()), 1).view(1, 2, 4, 8, 8)
        return self.last(x.transpose(1, 2).reshape(1, 8, 8, 8))


class Excite(nn.Module):
    """A squeeze-excite, a layer scale, padding and a transposed convolution."""

    def __init__(self) -> None:
        """Build the layers for eight channels."""
        super().__init__()
        self.stem, self.gate = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 1)
        self.scale = nn.Parameter(torch.ones(8, 1, 1))
        self.up = nn.ConvTranspose2d(8, 4, 2, 2, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Of 10×10 images."""
        x = self.stem(x)
        x = x * torch.sigmoid(self.gate(x.mean((2, 3), keepdim=True)))
        return self.up(f.pad(x * self.scale, (1, 1, 1, 1)))


class Attend(nn.Module):
    """Attention that is written out, with a table of positions and permutations."""

    def __init__(self) -> None:
        """Build the layers for eight channels."""
        super().__init__()
        self.stem, self.positions = nn.Conv2d(3, 8, 3), nn.Parameter(torch.ones(1, 64, 8))
        self.last = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Of 10×10 images."""
        x = self.stem(x).flatten(2).transpose(1, 2) + self.positions
        x = (x @ x.transpose(1, 2)).softmax(-1) @ x
        return self.last(x[:, 0])


#: Operators that make no tensor.
SILENT = {
    *("aten::view", "aten::t", "aten::transpose.int", "aten::slice.Tensor", "aten::select.int"),
    *("aten::split.Tensor", "aten::_unsafe_view", "aten::expand"),
}
#: Models, and the layers that are views by type and copy all the same.
MODELS: dict[str, tuple[type[nn.Module], set[str]]] = {
    "shuffle": (Shuffle, {"reshape"}),
    "excite": (Excite, set()),
    "attend": (Attend, set()),
}


@pytest.mark.parametrize("name", MODELS)
def test_live_bytes_are_those_of_a_real_forward_pass(name: str) -> None:
    """Operator by operator, and at its peak, torch holds what the traced network says."""
    make, copies = MODELS[name]
    model = make().eval()
    network = trace(model, (3, 10, 10))
    measured = samples(model, torch.ones(1, 3, 10, 10))
    silent = {layer.layer for layer in traffic(network) if not layer.bytes} - copies
    said = [size for layer, size in live_bytes(network) if layer not in silent]
    assert said == [size for operator, size in measured if operator not in SILENT]
    assert peak_activations(network).bytes == max(size for _, size in measured)


def test_what_is_overwritten() -> None:
    """In place a gate's product takes the map's memory, never the gate's, a part's or a table's."""
    rules = MemoryRules(in_place=True, count_input=False)
    image, conv = Input("image", (1, 3, 8, 8)), Conv("conv", 4, 1)
    gate = (Conv("gate", 4, 1, inputs=("image",)), ir.Reduce("mean", (2, 3), keepdim=True))
    product = ir.Combine("product", "mul", inputs=("mean", "conv"))
    gated = Network("n", (image, conv, *gate, product))
    assert dict(live_bytes(gated, rules))["product"] == 4 * (4 * 64 + 4)
    assert dict(live_bytes(gated))["product"] == 4 * (2 * 4 * 64 + 4)
    half = Network("n", (image, conv, ir.Split("half", 2), ir.WithNumbers("more", "add", (1.0,))))
    assert dict(live_bytes(half, rules))["more"] == 4 * (4 * 64 + 2 * 64)
    table = ir.Constant("table", (1, 4, 8, 8), 256)
    learned = Network("n", (image, table, ir.Combine("twice", "add", inputs=("table", "table"))))
    assert dict(live_bytes(learned, rules))["twice"] == 4 * 4 * 64


@pytest.mark.parametrize(
    ("layer", "elements"),
    [
        *((ir.Affine("x", function), 0) for function in ("add", "sub", "mul", "div", "prelu")),
        (ir.Affine("x", "batch_norm"), 0),
        (ir.Affine("x", "layer_norm", (-1,)), 4 * 8),
        (ir.Affine("x", "channel_shuffle", (), 0, 2), 4 * 8),
        *((ir.Repeat("x", (1, 1, 3, 1), function), 0) for function in ("expand", "broadcast_to")),
        *((ir.Repeat("x", (1, 1, 3, 1), function), 4 * 24) for function in ("repeat", "tile")),
    ],
)
def test_what_makes_no_tensor_in_place(layer: Layer, elements: int) -> None:
    """What needs one element at a time may overwrite it; what is expanded is a view of it."""
    network = Network("n", (Input("image", (1, 3, 1, 8)), Conv("conv", 4, 1), layer))
    live = dict(live_bytes(network, MemoryRules(in_place=True, count_input=False)))
    assert live["x"] == 4 * (4 * 8 + elements)


@pytest.mark.parametrize(
    ("function", "order", "copied"),
    [
        ("reshape", (0, 2, 3, 1), True),
        ("view", (0, 2, 3, 1), False),  # or torch would have refused
        ("reshape", (), False),
    ],
)
def test_a_reshape_copies_what_is_in_another_order(
    function: str, order: tuple[int, ...], *, copied: bool
) -> None:
    """A permutation's elements are moved where axes merge, and others stay where they are."""
    permute = (ir.Permute("permute", order), ir.Split("half", 2, 2)) if order else ()
    merged = ir.Reshape("merged", ((1, (-1,)), (2, (-1,)), (1, (-1,))), function)
    layers = Input("image", (1, 3, 8, 4)), Conv("conv", 3, 1), *permute, merged
    live = dict(live_bytes(Network("n", layers), MemoryRules(count_input=False)))
    assert live["merged"] == 4 * (96 + 48 * copied)


def test_constants_are_weights() -> None:
    """A table of positions is among the weights, moves with its reader, and is never live."""
    image = Input("image", (1, 3, 8, 8))
    table = ir.Constant("table", (1, 3, 8, 8), 192)
    network = Network("n", (image, table, ir.Combine("add", "add", inputs=("image", "table"))))
    assert weight_bytes(network) == 4 * 192
    assert live_bytes(network)[1:] == (("table", 4 * 192), ("add", 4 * (192 + 192)))
    assert [layer.bytes for layer in traffic(network)] == [0, 0, 3 * 4 * 192]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["ViT", "ConvNext", "resnet18", "shufflenetv2_w1", "Bert", "T5"])
def test_weight_bytes_are_those_of_the_models_parameters(name: str) -> None:
    """Every parameter once, in each dtype."""
    model, inputs = built(name)
    network = trace(model, example_inputs=inputs)
    for dtype, torchs in (("float32", torch.float32), ("float16", torch.float16)):
        tensors = model.to(torchs).parameters()
        assert weight_bytes(network, MemoryRules(dtype)) == sum(t.nbytes for t in tensors)
    assert 4 * cost(network).params == weight_bytes(network)
