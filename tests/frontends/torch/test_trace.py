from __future__ import annotations

import math
import random
import subprocess
import sys
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

torch = pytest.importorskip("torch", reason="no torch: pip install -e '.[dev]'")

import torch.nn.functional as F  # noqa: E402, N812
from applied import Apply, counted  # noqa: E402
from torch import nn  # noqa: E402

from costmodel import CostModelError, cost, from_json, layers as ir, lower, resize, to_json, widen  # noqa: E402
from costmodel.algebra.symbols import H, W  # noqa: E402
from costmodel.core import LoopNest, infer  # noqa: E402
from costmodel.core.widths import Widths  # noqa: E402
from costmodel.frontends.torch import calls, forward as tracing, products  # noqa: E402
from costmodel.frontends.torch.forward import trace  # noqa: E402
from costmodel.layers import SAME, Conv, Fixed, Input, Linear, Times  # noqa: E402
from costmodel.metrics.operators import Operator, operators  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable


def attention(**settings: Any) -> nn.Module:
    """Self-attention as a module."""
    return nn.MultiheadAttention(8, 2, batch_first=True, **settings)


#: A module, its input's size and its MACs as a product, written by hand.
MODULES: dict[str, tuple[nn.Module, tuple[int, ...], int]] = {
    "conv1d": (nn.Conv1d(4, 8, 3), (4, 20), 3 * 4 * 8 * 18),
    "conv3d, grouped": (nn.Conv3d(4, 8, 3, padding=1, groups=2), (4, 6, 7, 8), 27 * 2 * 8 * 336),
    "conv, padding same": (nn.Conv2d(3, 8, 3, padding="same"), (3, 9, 9), 9 * 3 * 8 * 81),
    "conv, padding same of 4": (nn.Conv2d(3, 8, 4, padding="same"), (3, 9, 9), 16 * 3 * 8 * 81),
    "conv, circular": (
        nn.Conv2d(3, 8, 3, padding=1, padding_mode="circular"),
        (3, 9, 9),
        9 * 3 * 8 * 81,
    ),
    "transposed": (nn.ConvTranspose2d(4, 8, 3, 2, 1, 1), (4, 7, 9), 9 * 4 * 8 * 63),
    "transposed, grouped": (
        nn.ConvTranspose2d(4, 8, 3, 2, groups=2, bias=False),
        (4, 7, 9),
        9 * 2 * 8 * 63,
    ),
    "transposed, depthwise": (nn.ConvTranspose1d(4, 4, 3, 2, groups=4), (4, 9), 3 * 4 * 9),
    "transposed, 3-d": (nn.ConvTranspose3d(4, 8, 2, 2), (4, 3, 4, 5), 8 * 4 * 8 * 60),
    "F.conv2d": (
        Apply(lambda m, x: F.conv2d(x, m.w, stride=2), w=(8, 3, 3, 3)),
        (3, 9, 9),
        27 * 8 * 16,
    ),
    "linear of tokens": (nn.Linear(5, 6), (4, 4, 5), 16 * 5 * 6),
    "@ a parameter": (Apply(lambda m, x: x @ m.w, w=(5, 7)), (4, 5), 4 * 5 * 7),
    "a parameter @": (Apply(lambda m, x: m.w @ x, w=(7, 4)), (4, 5), 7 * 4 * 5),
    "@ itself": (Apply(lambda _, x: x @ x.mT), (2, 4, 5), 2 * 4 * 5 * 4),
    "matmul, broadcast": (
        Apply(lambda m, x: torch.matmul(x, m.w), w=(3, 5, 6)),
        (3, 4, 5),
        3 * 4 * 5 * 6,
    ),
    "bmm": (Apply(lambda _, x: torch.bmm(x[0], x[0].mT)), (3, 4, 5), 3 * 4 * 5 * 4),
    "addmm": (Apply(lambda m, x: torch.addmm(m.b, x[:, 0], m.w), w=(5, 6), b=(6,)), (4, 5), 5 * 6),
    "baddbmm": (Apply(lambda _, x: torch.baddbmm(x @ x.mT, x, x.mT)), (4, 5), 2 * 4 * 5 * 4),
    "einsum": (Apply(lambda _, x: torch.einsum("bij,bkj->bik", x, x)), (4, 5), 4 * 5 * 4),
    "einsum, ellipsis": (
        Apply(lambda m, x: torch.einsum("...ij,jk", x, m.w), w=(5, 6)),
        (3, 4, 5),
        3 * 4 * 5 * 6,
    ),
    "einsum of three": (
        Apply(lambda _, x: torch.einsum("bij,bkj,bkl->bil", x, x, x)),
        (4, 5),
        4 * 5 * 4 + 4 * 4 * 5,
    ),
    "tensordot": (Apply(lambda m, x: torch.tensordot(x, m.w, 1), w=(5, 6)), (4, 5), 4 * 5 * 6),
    "scaled_dot_product_attention": (
        Apply(lambda _, x: F.scaled_dot_product_attention(x, x, x)),
        (2, 4, 8),
        2 * (2 * 4 * 4 * 8),
    ),
    "MultiheadAttention": (
        Apply(lambda m, x: m.a(x, x, x), a=attention()),
        (5, 8),
        4 * 5 * 8 * 8 + 2 * 5 * 5 * 8,
    ),
    "MultiheadAttention across": (
        Apply(lambda m, x: m.a(x, x[:, :3], x[:, :3])[0], a=attention()),
        (5, 8),
        2 * (5 + 3) * 8 * 8 + 2 * 5 * 3 * 8,
    ),
    "MultiheadAttention, other widths": (
        Apply(lambda m, x: m.a(x, x[..., :6], x[..., :6]), a=attention(kdim=6, vdim=6)),
        (5, 8),
        2 * 5 * 8 * 8 + 2 * 5 * 6 * 8 + 2 * 5 * 5 * 8,
    ),
    "TransformerEncoderLayer": (
        nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval(),
        (5, 8),
        4 * 5 * 8 * 8 + 2 * 5 * 5 * 8 + 2 * 5 * 8 * 16,
    ),
    "LSTM": (
        nn.LSTM(4, 6, 2, bidirectional=True, batch_first=True),
        (5, 4),
        5 * 2 * 24 * ((4 + 6) + (12 + 6)),
    ),
    "GRU": (nn.GRU(4, 6, batch_first=True), (5, 4), 5 * 18 * (4 + 6)),
    "RNNCell": (nn.RNNCell(4, 6), (4,), 6 * (4 + 6)),
    "a module called twice": (
        Apply(lambda m, x: m.c(m.c(x)), c=nn.Conv2d(3, 3, 3, padding=1)),
        (3, 8, 8),
        2 * 9 * 3 * 3 * 64,
    ),
    "weight norm": (
        nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 8, 3)),
        (3, 9, 9),
        27 * 8 * 49,
    ),
    "a standardised weight": (
        Apply(lambda m, x: F.conv2d(x, m.w - m.w.mean((1, 2, 3), keepdim=True)), w=(8, 3, 3, 3)),
        (3, 8, 8),
        27 * 8 * 36,
    ),
    "a computed weight": (
        Apply(lambda m, x: F.linear(x, m.a @ m.b), a=(8, 2), b=(2, 5)),
        (4, 5),
        8 * 2 * 5 + 4 * 5 * 8,
    ),
    "a predicted weight": (
        Apply(lambda m, x: F.conv2d(x, m.fc(x.mean((2, 3))).view(8, 3, 1, 1)), fc=nn.Linear(3, 24)),
        (3, 8, 8),
        3 * 24 + 3 * 8 * 64,
    ),
    "an unequal split": (
        Apply(
            lambda m, x: torch.cat([m.a(x[:, :3]), m.b(torch.split(x, [3, 5], 1)[1])], 1),
            a=nn.Conv2d(3, 4, 1),
            b=nn.Conv2d(5, 4, 1),
        ),
        (8, 6, 6),
        3 * 4 * 36 + 5 * 4 * 36,
    ),
    "in place": (
        Apply(lambda m, x: F.relu(m.c(x), inplace=True).add_(1).mul_(x), c=nn.Conv2d(3, 3, 1)),
        (3, 6, 6),
        9 * 36,
    ),
    "written into": (
        Apply(lambda m, x: _written(x, m.c(x)), c=nn.Conv2d(3, 3, 1)),
        (3, 6, 6),
        9 * 36,
    ),
    "norms and scales": (
        nn.Sequential(
            nn.GroupNorm(2, 8),
            nn.InstanceNorm2d(8, affine=True),
            nn.LayerNorm([8, 4, 4]),
            nn.RMSNorm(4),
            nn.BatchNorm2d(8, affine=False),
            nn.PReLU(8),
            nn.PReLU(),
        ),
        (8, 4, 4),
        0,
    ),
    "an unused parameter": (Apply(lambda _, x: x * 2, w=(8, 3)), (3, 8, 8), 0),
    "resampling": (
        nn.Sequential(nn.Upsample(scale_factor=1.5, mode="bilinear"), nn.PixelUnshuffle(1)),
        (3, 9, 9),
        0,
    ),
    "every other shape": (
        Apply(
            lambda _, x: (
                torch.stack(list(x.unflatten(1, (2, 4)).movedim(1, 0).squeeze(1)), 1)
                .flatten(1, 2)[..., ::2, None]
                .expand(-1, -1, -1, 3)
            )
        ),
        (8, 6, 6),
        0,
    ),
}


def _written(x: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    canvas = x.new_zeros(x.shape[0], 6, *x.shape[2:])
    canvas[:, :3] = value
    return canvas


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("name", MODULES)
def test_totals(name: str) -> None:
    """MACs are the hand-written product and FlopCounterMode's, parameters numel's; JSON too."""
    module, size, macs = MODULES[name]
    network = trace(module, size)
    total = cost(network)
    assert (total.macs, total.params) == counted(module, (1, *size))
    assert (total.macs, total.unknown) == (macs, ())
    assert from_json(to_json(network)) == network


def test_a_matrix_times_a_vector() -> None:
    """It multiplies and accumulates, though FlopCounterMode does not see it."""
    module = Apply(lambda m, x: x @ m.w, w=(5,))
    assert cost(trace(module, (4, 5))).macs == 4 * 5
    assert counted(module, (1, 4, 5))[0] == 0


def test_names_are_the_modules() -> None:
    """A layer is named as the module that runs it; functions are numbered within theirs."""
    block = nn.Sequential()
    block.conv = nn.Conv2d(3, 3, 1)
    block.act = nn.ReLU()
    module = Apply(lambda m, x: x + m.body(x) + 1, body=block)
    network = trace(module, (3, 8, 8))
    assert [layer.name for layer in network.layers[1:]] == ["body.conv", "body.act", "add", "add_2"]


def test_names_are_unique() -> None:
    """A module called twice, and one called as a function's number, get names of their own."""
    module = Apply(lambda m, x: m.add(m.add(x)) + x, add=nn.ReLU())
    names = [layer.name for layer in trace(module, (3, 8, 8)).layers]
    assert len(set(names)) == len(names)


def test_hyperparameters_are_free() -> None:
    """A traced layer holds only what torch's module was given; depthwise ones follow."""
    module = nn.Sequential(
        nn.Conv2d(3, 8, (3, 1), (2, 1), (1, 0), dilation=(1, 2), bias=False),
        nn.Conv2d(8, 8, 3, groups=8),
        nn.Conv2d(8, 16, 3, groups=8),
        nn.Conv2d(16, 16, 3, groups=4),
    )
    _, *convs = trace(module, (3, 32, 32)).layers
    assert convs[0] == Conv("0", 8, (3, 1), (2, 1), (1, 0), (1, 2), inputs=("input",))
    assert [(c.out_channels, c.groups) for c in convs[1:]] == [
        (SAME, SAME),
        (Times(2), SAME),
        (Fixed(16), 4),
    ]


def test_parameters_that_are_shared_count_once() -> None:
    """A module called twice, tied weights and one tied weight with its own bias."""
    tied = Apply(lambda m, x: m.head(m.table(x)), table=nn.Embedding(9, 4), head=nn.Linear(4, 9))
    tied.head.weight = tied.table.weight
    network = trace(tied, example_inputs=(torch.zeros(1, 5, dtype=torch.long),))
    assert cost(network).params == 9 * 4 + 9
    assert network["head"].shares == "table"
    assert cost(network).macs == 5 * 4 * 9
    twice = trace(MODULES["a module called twice"][0], (3, 8, 8))
    assert twice["c_2"].shares == "c"


def test_every_shape_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """A layer whose rule disagrees with torch is an error that names it."""
    wrong = calls.Call.emit

    def emit(self: Any, kind: Any, *fields: Any, **named: Any) -> Any:
        if kind is Conv:
            fields = (*fields[:2], 2, *fields[3:])  # the stride
        return wrong(self, kind, *fields, **named)

    monkeypatch.setattr(calls.Call, "emit", emit)
    with pytest.raises(CostModelError, match=r"^conv2d: its shape is 1×8×4×4 by its rule, 1×8×7×7"):
        trace(nn.Conv2d(3, 8, 3), (3, 9, 9))


def test_a_wrong_equation_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison with FlopCounterMode can fail."""
    monkeypatch.setattr(products, "_matmul_equation", lambda *_, **__: "bmk,bnk->bmn")
    module = Apply(lambda _, x: x @ x)
    assert cost(trace(module, (4, 4))).macs == counted(module, (1, 4, 4))[0]
    with pytest.raises(CostModelError, match="matmul"):
        trace(Apply(lambda _, x: x @ x.mT), (4, 5))


class Residual(nn.Module):
    """A small residual network with squeeze-excite, groups, a shuffle and a concatenation."""

    def __init__(self, width: int = 16) -> None:
        """Take a width that 4 divides."""
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, 2, 1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.expand = nn.Conv2d(width, 2 * width, 3, padding=1, groups=4)
        self.depthwise = nn.Conv2d(2 * width, 2 * width, 3, 2, 1, groups=2 * width)
        self.squeeze = nn.Linear(2 * width, width // 2)
        self.excite = nn.Linear(width // 2, 2 * width)
        self.skip = nn.Conv2d(width, 2 * width, 1, 2)
        self.point = nn.Conv2d(width, width, 1)
        self.head = nn.Linear(3 * width, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply them."""
        x = self.norm(self.stem(x)).relu()
        y = self.depthwise(self.expand(x))
        gate = self.excite(self.squeeze(y.mean((2, 3))).relu()).sigmoid()
        y = y * gate[:, :, None, None] + self.skip(x)
        n, c, h, w = y.shape
        y = y.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)
        left, _ = y.chunk(2, dim=1)
        y = torch.cat([self.point(left), y], 1)
        return self.head(F.adaptive_avg_pool2d(y, 1).flatten(1))


@pytest.mark.parametrize("sides", [(32, 32), (64, 48), (31, 45)])
def test_resized_is_traced_again(sides: tuple[int, int]) -> None:
    """A resized network costs, layer by layer, what tracing at that size gives."""
    module = Residual()
    network = resize(trace(module, (3, 40, 40)), resolution=sides)
    again = trace(module, (3, *sides))
    assert cost(network) == cost(again)
    assert [place.output for place in infer(network)] == [place.output for place in infer(again)]


def test_the_formula_in_the_resolution() -> None:
    """Symbolic H and W go through the traced layers and give what tracing at a size does."""
    module = Residual()
    formula = cost(resize(trace(module, (3, 40, 40)), resolution=(H, W)))
    again = cost(trace(module, (3, 57, 64)))
    assert formula.macs.subs({H: 57, W: 64}) == again.macs
    assert formula.params == again.params


@pytest.mark.parametrize(("alpha", "width"), [("1/2", 16), ("3/2", 48), (2, 64)])
def test_widened_is_the_wider_module(alpha: object, width: int) -> None:
    """Every count but the input's and the output's scales; grouped and gated layers follow."""
    network = trace(Residual(32), (3, 40, 40))
    assert cost(widen(network, alpha)) == cost(trace(Residual(width), (3, 40, 40)))
    assert widen(network, 1) == network


def test_the_classifier_is_fixed() -> None:
    """What the model returns keeps its width; a count inside, a gate's too, is a plain one."""
    network = trace(Residual(), (3, 40, 40))
    assert network["head"].out_features == Fixed(10)
    assert network["excite"].out_features == 32
    assert network["stem"].out_channels == 16


def test_a_residual_of_the_input_is_fixed() -> None:
    """What is added to the image has its channels."""
    module = Apply(
        lambda m, x: x + m.b(m.a(x)), a=nn.Conv2d(3, 8, 3, padding=1), b=nn.Conv2d(8, 3, 1)
    )
    network = trace(module, (3, 8, 8))
    assert (network["a"].out_channels, network["b"].out_channels) == (8, Fixed(3))
    assert cost(widen(network, 2)).macs == (9 * 3 * 16 + 16 * 3) * 64


FIXED: dict[str, tuple[nn.Module, tuple[int, ...], str]] = {
    "a table of positions": (
        Apply(lambda m, x: x.flatten(2).mT + m.position, position=(1, 64, 3)),
        (3, 8, 8),
        r"^add: add of 1×256×3 and 1×64×3, one of which fixes the size; trace again",
    ),
    "a hard-coded reshape": (
        Apply(lambda _, x: x.view(-1, 3 * 8 * 8)),
        (3, 8, 8),
        r"^view: view fixes its input's size to 192, got 768; trace again",
    ),
    "a classifier on a flattened map": (
        nn.Sequential(nn.Flatten(), nn.Linear(192, 10)),
        (3, 8, 8),
        r"^1.input: fixes its input's size to \*×\*×8×8, got 1×3×16×16; trace again",
    ),
    "a mixer of tokens": (
        Apply(lambda m, x: m.mix(x.flatten(2)), mix=nn.Linear(64, 64)),
        (3, 8, 8),
        r"^mix.input: fixes its input's size to \*×\*×64, got 1×3×256",
    ),
    "a norm over the map": (
        nn.LayerNorm([3, 8, 8]),
        (3, 8, 8),
        r"input: fixes its input's size to \*×\*×8×8, got 1×3×16×16",
    ),
    "a fixed size": (
        Apply(lambda _, x: F.interpolate(x, size=(4, 4))),
        (3, 8, 8),
        r"^interpolate.size: fixes its input's size to \*×\*×8×8, got 1×3×16×16",
    ),
    "a branch on the remainder": (
        Apply(lambda _, x: x if x.shape[2] % 8 == 0 else F.pad(x, (0, 1)) + 1),
        (3, 8, 12),
        None,
    ),
    "chosen positions": (
        Apply(lambda _, x: x.flatten(2)[:, :, torch.arange(0, 64, 3)]),
        (3, 8, 8),
        r"^getitem: __getitem__ fixes its input's size to 1×3×64, got 1×3×256",
    ),
}


@pytest.mark.parametrize("name", FIXED)
def test_what_fixes_the_size_refuses_another(name: str) -> None:
    """A resize is refused by the name of the layer that fixes the size, not made up."""
    module, size, message = FIXED[name]
    network = trace(module, size)
    assert cost(network) == cost(resize(network, rho=1))
    if message:
        with pytest.raises(CostModelError, match=message):
            cost(resize(network, rho=2))


def test_a_remainder_has_to_stay() -> None:
    """Where the model branched on H mod 8, sizes of another remainder are refused."""
    module = Apply(
        lambda m, x: m.c(x) if x.shape[2] % 8 == 0 else m.c(F.pad(x, (0, 1))), c=nn.Conv2d(3, 3, 1)
    )
    network = trace(module, (3, 16, 12))
    assert cost(resize(network, resolution=(24, 13))).macs == 9 * 24 * 13
    with pytest.raises(CostModelError, match=r"0 mod 8.*got 1×3×12×13"):
        cost(resize(network, resolution=(12, 13)))


@pytest.mark.parametrize("side", [32, 31, 30, 29])
def test_tensorflows_padding(side: int) -> None:
    """Padding computed from the size, as "same" in TensorFlow, is recomputed at another size."""

    def same(m: Any, x: torch.Tensor) -> torch.Tensor:
        h, w = (int(size) for size in x.shape[2:])
        tall, wide = (max((-(-size // 2) - 1) * 2 + 3 - size, 0) for size in (h, w))
        return m.c(F.pad(x, (wide // 2, wide - wide // 2, tall // 2, tall - tall // 2)))

    module = Apply(same, c=nn.Conv2d(3, 8, 3, 2))
    network = resize(trace(module, (3, 64, 64)), resolution=(side, side + 1))
    assert cost(network) == cost(trace(module, (3, side, side + 1)))


def test_a_size_of_another_layer() -> None:
    """Interpolating to another map's size, and reshaping tokens to one, follow that map."""

    def forward(m: Any, x: torch.Tensor) -> torch.Tensor:
        low = m.c(x)
        tokens = low.flatten(2).transpose(1, 2)
        again = tokens.transpose(1, 2).reshape(low.shape[0], 3, low.shape[2], low.shape[3])
        return x + F.interpolate(again, size=x.shape[2:], mode="bilinear")

    module = Apply(forward, c=nn.Conv2d(3, 3, 3, 2))
    network = resize(trace(module, (3, 9, 9)), resolution=(21, 34))
    assert cost(network) == cost(trace(module, (3, 21, 34)))


SIDES: dict[str, tuple[Callable[..., Any], tuple[int, int]]] = {
    "turned": (lambda x, _: (x.shape[3], x.shape[2]), (15, 9)),
    "of two maps": (lambda x, low: (x.shape[2], low.shape[3]), (9, 7)),
}


@pytest.mark.parametrize("name", SIDES)
def test_a_size_of_no_one_layer_is_fixed(name: str) -> None:
    """Interpolating to axes that are turned, or of two maps, knows only the traced size."""
    sides, traced = SIDES[name]

    def forward(m: Any, x: torch.Tensor) -> torch.Tensor:
        low = m.c(x)
        return F.interpolate(low, size=sides(x, low))

    network = trace(Apply(forward, c=nn.Conv2d(3, 3, 3, 2)), (3, 9, 15))
    assert infer(network)[-1].output == (1, 3, *traced)
    with pytest.raises(CostModelError, match=r"^interpolate"):
        cost(resize(network, resolution=(21, 27)))


def attending(width: int, heads: int) -> nn.Module:
    """Attention whose model says heads × features by number."""
    sizes = (1, 4, heads, width // heads)
    return Apply(
        lambda m, x: m.out(
            F.scaled_dot_product_attention(*[m.qkv(x).view(sizes)] * 3).reshape(1, 4, width)
        ),
        qkv=nn.Linear(8, width),
        out=nn.Linear(width, 4),
    )


def test_of_heads_by_number_the_larger_size_follows() -> None:
    """Of 3 × 16 the 16 is what is left, and merged again they are what there is."""
    assert cost(widen(trace(attending(48, 3), (4, 8)), 0.5)) == cost(
        trace(attending(24, 3), (4, 8))
    )


def test_what_keeps_a_width_is_named() -> None:
    """A part of the channels by number is refused by widen itself, with whose they are."""
    part = Apply(lambda m, x: m.b(m.a(x)[:, :4]), a=nn.Conv2d(3, 8, 1), b=nn.Conv2d(4, 2, 1))
    network = trace(part, (3, 8, 8))
    assert widen(network, 1) == network
    with pytest.raises(CostModelError) as caught:
        widen(network, 2)
    assert str(caught.value) == (
        "a: its width of 8 cannot become 16, since getitem.channels fixes its input's size; "
        "write that size in the model as one of its input's, or trace the model at that width"
    )


def test_transposed_convolutions_write_more_than_they_loop_over() -> None:
    """MACs are over the input's positions, activations are the output's elements."""
    (lowered,) = lower(trace(nn.ConvTranspose2d(4, 8, 2, 2), (4, 7, 7)))[1:]
    assert lowered.nests == (LoopNest(1, 1, 8, 4, (7, 7), (2, 2), written=(14, 14), stride=2),)
    assert lowered.nests[0].macs == 4 * 4 * 8 * 49
    assert lowered.nests[0].activations == 8 * 14 * 14


def test_operators_are_listed() -> None:
    """Each function is counted, free or unknown, with the number of its calls."""
    module = Apply(lambda m, x: torch.fft.rfft2(m.c(m.c(x)).relu()).real + 1, c=nn.Conv2d(3, 3, 1))
    network = trace(module, (3, 8, 8))
    assert operators(network) == (
        Operator("fft_rfft2", "unknown", 1),
        Operator("Conv", "counted", 2),
        Operator("add", "free", 1),
        Operator("real", "free", 1),
        Operator("relu", "free", 1),
    )
    assert cost(network).unknown == ("fft_rfft2",)


def test_strict_refuses_an_unknown_function() -> None:
    """It names the layer and the function."""
    module = Apply(lambda m, x: torch.fft.rfft2(m.c(x)).real, c=nn.Conv2d(3, 3, 1))
    with pytest.raises(CostModelError, match=r"^no rule for fft_rfft2 \(fft_rfft2\); register one"):
        trace(module, (3, 8, 8), strict=True)
    assert trace(MODULES["F.conv2d"][0], (3, 9, 9), strict=True)


def test_arguments_that_no_handler_knows_are_unknown() -> None:
    """An odd call is listed as unknown, never guessed."""
    module = Apply(
        lambda m, x: torch.ops.aten.upsample_bilinear2d.vec(x * m.w, None, False, [2.0, 2.0]),  # noqa: FBT003
        w=(8,),
    )
    network = trace(module, (3, 8, 8))
    assert cost(network).unknown == ("upsample_bilinear2d",)
    assert cost(network).params == 8


def test_what_nobody_saw_is_unknown() -> None:
    """A tensor that no seen call made, and that is not the model's, is of unknown cost."""

    def hidden(m: Any, x: torch.Tensor) -> torch.Tensor:
        with torch._C.DisableTorchFunction():
            made = x @ x
        return m.fc(made)

    total = cost(trace(Apply(hidden, fc=nn.Linear(4, 3)), (4, 4)))
    assert (total.macs, total.unknown) == (4 * 4 * 3, ("fc.untraced",))


def test_operators_by_their_own_name() -> None:
    """`torch.ops` are the same functions, overloads too."""
    module = Apply(lambda m, x: torch.ops.aten.mm.default(x[0], m.w), w=(5, 7))
    assert cost(trace(module, (4, 5))).macs == 4 * 5 * 7


def test_a_size_that_was_lost_is_fixed() -> None:
    """A pooling window computed outside of what tracing sees may not be made up elsewhere."""
    module = Apply(lambda m, x: F.avg_pool2d(m.c(x), int(x.shape[2] / 2)), c=nn.Conv2d(3, 3, 1))
    network = trace(module, (3, 8, 8))
    assert cost(network).macs == 9 * 64
    with pytest.raises(CostModelError, match=r"^avg_pool2d: avg_pool2d fixes its input's size"):
        cost(resize(network, rho=2))
    seen = Apply(lambda m, x: F.avg_pool2d(m.c(x), x.shape[2:]), c=nn.Conv2d(3, 3, 1))
    assert infer(resize(trace(seen, (3, 8, 8)), rho=2))[-1].output == (1, 3, 1, 1)


@pytest.mark.parametrize(
    "grown",
    [
        lambda y: y[None],
        lambda y: y[:, None, ..., None],
        lambda y: y.expand(1, 1, 4, 8, 8),
        lambda y: y.expand(1, *y.shape),
        lambda y: torch.broadcast_to(y, (1, 1, 4, 8, 8)),
        lambda y: y.repeat(1, 1, 1, 1, 1),
        lambda y: y.unsqueeze(0),
    ],
)
def test_a_size_that_was_lost_and_new_axes(grown: Callable[..., Any]) -> None:
    """Axes that are added by no number computed from a size are traced, as anywhere else."""
    module = Apply(lambda m, x: (int(x.shape[0]), grown(m.c(x)))[1], c=nn.Conv2d(4, 4, 1))
    network = trace(module, (4, 8, 8))
    assert (cost(network).macs, cost(network).unknown) == (16 * 64, ())
    assert infer(network)[-1].output == tuple(grown(torch.zeros(1, 4, 8, 8)).shape)


def test_a_new_axis_follows_the_size() -> None:
    """With a size lost in the same module, `y[None]` is no reason to refuse another."""
    module = Apply(lambda m, x: (int(x.shape[0]), m.c(x)[None])[1], c=nn.Conv2d(4, 4, 1))
    network = resize(trace(module, (4, 8, 8)), rho=2)
    assert infer(network)[-1].output == (1, 1, 4, 16, 16)


SIZES: dict[str, Callable[[int], Any]] = {
    "half": lambda n: n // 2,
    "half, up": lambda n: -(-n // 2),
    "shifted": lambda n: n >> 1,
    "less": lambda n: n - 4,
    "from": lambda n: 12 - n,
    "a float": lambda n: int(n * 0.5),
    "divided": lambda n: int(n / 2),
    "a root": lambda n: int(n**0.5),
    "a root of math": lambda n: math.isqrt(int(math.sqrt(n) ** 2)),
    "divmod": lambda n: divmod(n, 2)[0],
}


@pytest.mark.parametrize("name", SIZES)
def test_a_size_that_was_computed_is_fixed(name: str) -> None:
    """However a window's size is computed from the input's, it is not kept at another size."""
    module = Apply(lambda m, x: F.avg_pool2d(m.c(x), SIZES[name](x.shape[2])), c=nn.Conv2d(3, 3, 1))
    network = trace(module, (3, 8, 8))
    assert cost(network) == cost(resize(network, rho=1))
    with pytest.raises(CostModelError, match="fixes its input's size"):
        cost(resize(network, rho="3/2"))


def test_a_pin_is_what_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it a classifier on a flattened map would grow in silence."""
    module = nn.Sequential(nn.Flatten(), nn.Linear(192, 10))
    monkeypatch.setattr(Linear, "learned_axes", None)
    assert cost(resize(trace(module, (3, 8, 8)), rho=2)).params == 768 * 10 + 10


def test_a_gate_follows_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """A squeeze-excite's gate is as wide as what groups round, and is missed when forgotten."""

    def forward(m: Any, x: torch.Tensor) -> torch.Tensor:
        x = m.b(m.a(x))
        return m.out(x * m.gate(x.mean((2, 3), keepdim=True)))

    sizes = {"a": (3, 32), "b": (32, 32), "gate": (32, 32), "out": (32, 2)}
    parts = {key: nn.Conv2d(*size, 1, groups=8 if key == "b" else 1) for key, size in sizes.items()}
    network = trace(Apply(forward, **parts), (3, 8, 8))
    widened = widen(network, "0.8")  # 25.6 channels, of which groups of 8 leave 24
    assert [widened[name].out_channels for name in ("a", "b", "gate")] == [24, 24, 24]
    monkeypatch.setattr(Widths, "_equate", lambda *_: None)
    with pytest.raises(CostModelError, match=r"^mul: mul of 1×24×8×8 and 1×25×1×1"):
        cost(widen(trace(Apply(forward, **parts), (3, 8, 8)), "0.8"))


def test_several_inputs() -> None:
    """A tuple or a dict of sizes or tensors; other values are passed on."""
    module = Apply(lambda m, x, other, scale=1: m.fc(x) * scale + other, fc=nn.Linear(4, 6))
    network = trace(module, example_inputs=((1, 5, 4), torch.zeros(1, 5, 6)))
    assert [layer.shape for layer in network.inputs] == [(1, 5, 4), (1, 5, 6)]
    named = Named()
    network = trace(named, example_inputs={"b": (2, 4), "a": (2, 4), "flag": True})
    assert [layer.name for layer in network.inputs] == ["b", "a"]
    assert cost(network).macs == 0


class Pair(NamedTuple):
    """Two inputs."""

    left: Any
    right: Any


IMAGE = (1, 3, 8, 8)

#: Inputs in containers, how the model takes two of them, and their names in the network.
CONTAINERS: dict[str, tuple[Any, Callable[[Any], Any], list[str]]] = {
    "a list of tensors": ([torch.zeros(IMAGE)] * 2, lambda x: x, ["images", "images_2"]),
    "a list of sizes": ([IMAGE, list(IMAGE)], lambda x: x, ["images", "images_2"]),
    "a tuple, and a number": ((torch.zeros(IMAGE), IMAGE, 2), lambda x: x, ["images", "images_2"]),
    "a dict": (
        {"left": torch.zeros(IMAGE), "right": IMAGE, "scale": None},
        lambda x: (x["left"], x["right"]),
        ["images.left", "images.right"],
    ),
    "an ordered dict of lists": (
        OrderedDict(views=[IMAGE, [torch.zeros(IMAGE)]]),
        lambda x: (x["views"][0], x["views"][1][0]),
        ["images.views", "images.views_2"],
    ),
    "a named tuple": (Pair(IMAGE, IMAGE), lambda x: (x.left, x.right), ["images", "images_2"]),
}


@pytest.mark.parametrize("name", CONTAINERS)
@pytest.mark.parametrize("by_name", [False, True])
def test_containers_of_inputs(name: str, by_name: bool) -> None:  # noqa: FBT001
    """A list, tuple or dict, however deep, is given to the model as it is, without its values."""
    given, pair, names = CONTAINERS[name]

    class Takes(Apply):
        def forward(self, images: Any) -> Any:
            assert type(images) is type(given)
            left, right, *_ = pair(images)
            assert left.is_meta
            assert left is not right
            return self.c(left) + self.c(right)

    module = Takes(None, c=nn.Conv2d(3, 4, 1))
    network = trace(module, example_inputs={"images": given} if by_name else (given,))
    assert [layer.name for layer in network.inputs] == names
    assert [layer.shape for layer in network.inputs] == [IMAGE, IMAGE]
    assert cost(network).macs == 2 * 3 * 4 * 64


def _raising(_: Any, x: torch.Tensor) -> torch.Tensor:
    raise ValueError(f"no good: {torch.ones(9, 9)} {x}")


@pytest.mark.parametrize(
    ("module", "inputs", "message"),
    [
        (nn.ReLU(), {"input_size": [torch.ones(3)] * 9}, r"^input_size must be .* got list$"),
        (nn.ReLU(), {"input_size": torch.ones(99)}, r"^input_size must be .* got Tensor$"),
        (nn.ReLU(), {"example_inputs": ([(1, 0)],)}, r"of input must be positive .* got \(1, 0\)$"),
        (
            nn.Linear(4, 2),
            {"example_inputs": (torch.ones(4),)},
            r"^example_inputs must .* got 4; add",
        ),
        (nn.Linear(4, 2), {"example_inputs": ([],)}, r"two axes or more, .*got none; add an axis"),
        (Apply(_raising), {}, r"failed \(ValueError: no good: tensor\(…\); check"),
    ],
)
def test_no_message_holds_the_values_of_a_tensor(
    module: nn.Module, inputs: dict[str, Any], message: str
) -> None:
    """What is wrong with an input is said by its shape or type, and what a model says is cut."""
    with pytest.raises(CostModelError, match=message) as caught:
        trace(module, **inputs)
    assert "0." not in str(caught.value)
    assert "1." not in str(caught.value)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_is_compiled_is_traced_as_written() -> None:
    """A compiled module, method or function hides none of its calls."""
    plain = lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())  # noqa: E731
    function = torch.compile(lambda y: y @ y.mT)
    method = Apply(lambda m, x: m.c(x), c=plain())
    method.compile()
    expected = cost(trace(plain(), (3, 8, 8)))
    for module in (torch.compile(plain()), nn.Sequential(torch.compile(plain())), method):
        assert cost(trace(module, (3, 8, 8))) == expected
    module = Apply(lambda m, x: function(m.c(x)), c=plain())
    assert cost(trace(module, (3, 8, 8))).macs == expected.macs + 4 * 6 * 6 * 6


class Named(nn.Module):
    """Takes inputs by name."""

    def forward(self, a: torch.Tensor, b: torch.Tensor, *, flag: bool = False) -> Any:
        """Return a dict."""
        return {"sum": [a + b if flag else a]}


def _state(module: nn.Module) -> Any:
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    return (
        {
            name: (id(t), t.clone(), t._version, t.requires_grad, t.grad, t.dtype, t.device)
            for name, t in tensors.items()
        },
        [
            {k: len(v) if isinstance(v, (dict, list)) else id(v) for k, v in vars(part).items()}
            for part in module.modules()
        ],
        [part.training for part in module.modules()],
    )


@pytest.mark.parametrize("training", [True, False])
def test_the_model_is_unchanged(training: bool) -> None:  # noqa: FBT001
    """Tensors, versions, modes, hooks, attributes and random numbers are as before."""

    class Stateful(Residual):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.last = x
            self.cache["x"] = x
            self.steps += 1
            self.norm.running_mean = self.norm.running_mean + 1
            self.register_forward_hook(lambda *_: None)
            return super().forward(F.dropout(x) + torch.rand(1) + random.random())  # noqa: S311

    module = Stateful()
    module.cache, module.steps = {}, 0
    module.register_buffer("count", torch.zeros((), dtype=torch.long))
    module.train(training)
    torch.manual_seed(1)
    random.seed(1)
    before, drawn = _state(module), (torch.get_rng_state(), random.getstate())
    trace(module, (3, 32, 32))
    after = _state(module)
    assert before[1:] == after[1:]
    for name, (identity, tensor, *rest) in before[0].items():
        assert (identity, *rest) == (after[0][name][0], *after[0][name][2:])
        assert torch.equal(tensor, after[0][name][1])
    assert torch.equal(drawn[0], torch.get_rng_state())
    assert drawn[1] == random.getstate()
    assert not torch.nn.modules.module._global_forward_hooks
    assert not torch.nn.modules.module._global_forward_pre_hooks
    assert not torch.overrides._get_current_function_mode_stack()


def test_hooks_are_removed_after_an_error() -> None:
    """A pass that fails leaves nothing behind, and the next one works."""
    module = Apply(lambda m, x: m.c(x) + torch.ones(2, 2), c=nn.Conv2d(3, 3, 1))
    with pytest.raises(CostModelError):
        trace(module, (3, 8, 8))
    assert not torch.nn.modules.module._global_forward_hooks
    assert cost(trace(module.c, (3, 8, 8))).macs == 9 * 64


def test_traced_twice_is_the_same() -> None:
    """The same module gives an equal network, from the CPU and from the meta device."""
    module = Residual()
    first = trace(module, (3, 32, 32))
    assert trace(module, (3, 32, 32)) == first
    assert trace(module.to("meta"), (3, 32, 32)) == first


def test_modes() -> None:
    """Train and eval mode count the same; what they run differs."""
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Dropout())
    train, evaluated = (trace(module.train(mode), (3, 8, 8)) for mode in (True, False))
    assert cost(train) == cost(evaluated)


def test_encoders_fast_path_is_not_taken() -> None:
    """In eval mode torch fuses an encoder into one operator; tracing sees its products."""
    encoder = nn.TransformerEncoder(
        nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2, enable_nested_tensor=False
    ).eval()
    network = trace(encoder, (5, 8))
    assert cost(network).macs == 2 * (4 * 5 * 8 * 8 + 2 * 5 * 5 * 8 + 2 * 5 * 8 * 16)
    assert not cost(network).unknown


REFUSED: dict[str, tuple[Any, Any, str]] = {
    "no module": ("resnet", (3, 8, 8), r"^trace takes a torch.nn.Module, got str$"),
    "a class": (nn.ReLU, (3, 8, 8), r"^trace takes a torch.nn.Module, got type$"),
    "a wrong size": (nn.Conv2d(3, 8, 3), (4, 8, 8), r"^Conv2d: the forward pass on 1×4×8×8 failed"),
    "no size": (nn.ReLU(), (), r"^input_size must be positive integers such as \(3, 224, 224\)"),
    "a size of zero": (nn.ReLU(), (3, 0, 8), r"^input_size must be positive integers"),
    "a size of text": (nn.ReLU(), "3,8,8", r"^input_size must be positive integers"),
    "item": (
        Apply(lambda m, x: m.part(x), part=Apply(lambda _, x: x * x.mean().item())),
        (3, 8, 8),
        r"^part: needs the values of a tensor \(item\), and tracing has only sizes",
    ),
    "a branch": (
        Apply(lambda _, x: x if x.sum() > 0 else -x),
        (3, 8, 8),
        r"^Apply: needs the values of a tensor \(bool\)",
    ),
    "raises": (
        Apply(lambda m, x: x + m.nothing),
        (3, 8, 8),
        r"^Apply: the forward pass on 1×3×8×8 failed \(AttributeError: 'Apply' object has no",
    ),
    "nothing": (Apply(lambda _, __: None), (3, 8, 8), r"^Apply returned no tensor, got NoneType$"),
    "a lazy module": (nn.LazyLinear(3), (3, 8), r"^weight: has no shape yet; run the model once"),
    "too few inputs": (nn.Bilinear(2, 2, 2), (2,), r"^Bilinear: .* missing 1 required"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_one_line(name: str) -> None:
    """What cannot be traced is one clear line."""
    module, size, message = REFUSED[name]
    with pytest.raises(CostModelError, match=message) as caught:
        trace(module, size)
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_a_script_is_refused() -> None:
    """What TorchScript compiled makes no calls that could be seen."""
    module = nn.Sequential(nn.Conv2d(3, 3, 1), torch.jit.script(nn.ReLU()))
    with pytest.raises(CostModelError, match=r"^1: a ScriptModule's calls are unseen"):
        trace(module, (3, 8, 8))


def test_wrong_example_inputs() -> None:
    """They are a tuple or a dict, of positive sizes."""
    with pytest.raises(CostModelError, match=r"^example_inputs must be a tuple or a dict, got int"):
        trace(nn.ReLU(), example_inputs=3)
    with pytest.raises(CostModelError, match=r"^example_inputs of input must be positive integers"):
        trace(nn.ReLU(), example_inputs=((3, -1),))


def test_no_input_is_allocated_and_no_weight() -> None:
    """Two weights of 4 GB each, and their products, take no memory."""
    with torch.device("meta"):
        module = nn.Sequential(nn.Linear(32_000, 32_000), nn.Linear(32_000, 32_000, bias=False))
    assert cost(trace(module, (64, 32_000))).macs == 2 * 64 * 32_000**2


@pytest.mark.slow
def test_memory_of_a_large_model() -> None:
    """A model of 300 million parameters is traced in less than 100 MB above torch's own."""
    code = """
import resource, torch
from torch import nn  # noqa: E402
import costmodel.frontends.torch.forward
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
with torch.device("meta"):
    model = nn.Sequential(*(nn.Linear(1024, 1024) for _ in range(290)))
before = peak()
net = costmodel.frontends.torch.forward.trace(model, (16, 1024))
assert costmodel.cost(net).params > 300_000_000
print(peak() - before)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 100


def test_tracing_is_linear() -> None:
    """Ten times the layers are traced with ten times the interpreter's work, not a hundred."""

    def work(depth: int) -> int:
        calls = 0

        def count(*_: object) -> None:
            nonlocal calls
            calls += 1

        blocks = (Apply(lambda m, x: x + m.c(x).relu(), c=nn.Conv2d(4, 4, 1)) for _ in range(depth))
        model = nn.Sequential(*blocks)
        sys.setprofile(count)
        try:
            cost(trace(model, (4, 8, 8)))
        finally:
            sys.setprofile(None)
        return calls

    assert work(100) < 12 * work(10)


def test_nothing_else_of_the_library_needs_torch() -> None:
    """The layers of a traced network are read from JSON without torch."""
    text = to_json(trace(Residual(), (3, 32, 32)))
    code = "import sys, costmodel; from costmodel import cost, from_json; "
    code += "print(cost(from_json(sys.stdin.read())).macs, 'torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], input=text, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [str(cost(trace(Residual(), (3, 32, 32))).macs), "False"]


def test_inputs_of_one_axis_are_constants() -> None:
    """A vector without a batch is no input that could be resized, and does no harm."""
    module = Apply(lambda m, x, t: m.fc(x) + t, fc=nn.Linear(4, 6))
    network = trace(module, example_inputs=((1, 4), (6,)))
    assert [type(layer) for layer in network.layers] == [
        Input,
        ir.Constant,
        Linear,
        ir.Combine,
    ] or (cost(network).macs == 4 * 6)


def test_the_function_mode_is_public() -> None:
    """What tracing stands on is public: a mode of torch.overrides and global module hooks."""
    assert tracing._Watch.__mro__[1] is torch.overrides.TorchFunctionMode


def test_parameters_of_a_layer_that_reads_what_is_added_late() -> None:
    """A part of a split that is only added when it is read doesn't take its reader's name."""
    module = Apply(lambda m, x: x.mul(m.s).chunk(2, 1)[0].mul(m.s[:2]).mul(m.t), s=(4,), t=(2,))
    twice = Apply(lambda m, x: sum(part.mul(m.g) for part in x.mul(2).chunk(2, -1)), g=(2,))
    for each in (module, twice):
        assert cost(trace(each, (4, 4) if each is twice else (4,))).params == sum(
            parameter.numel() for parameter in each.parameters()
        )
