"""Rows of a network: what is folded, what adds up, what is reduced."""

from __future__ import annotations

import json
from dataclasses import dataclass
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from strategies import networks
from torch import nn

from costmodel import ZOO, Layer, Network, cost, mobilenet_v1, report, resize, table, trace, widen
from costmodel.layers import (
    Activation,
    Affine,
    BatchNorm,
    Combine,
    Concat,
    Constant,
    Conv,
    Input,
    Linear,
    TransposedConv,
)
from costmodel.reports import closed_form
from costmodel.reports.rows import by_kind, params_by_part, rows
from costmodel.show.report import to_csv, to_text
from costmodel.zoo import mobilenet_v2

# Howard et al. 2017, Table 1: the output channels of the thirteen blocks.
BLOCK_CHANNELS = [64, 128, 128, 256, 256, *[512] * 6, 1024, 1024]


def test_mobilenet_has_28_rows() -> None:
    """One first convolution, thirteen pairs, one classifier (Howard et al. 2017, §3.2)."""
    kinds = [row.kind for row in rows(mobilenet_v1())]
    assert kinds == ["standard", *["depthwise", "pointwise"] * 13, "linear"]


def test_the_reduction_of_every_block() -> None:
    """Both layers of each pair carry 1/C_out + 1/K², exactly."""
    reductions = [row.reduction for row in rows(mobilenet_v1())]
    expected = [Fraction(1, c) + Fraction(1, 9) for c in BLOCK_CHANNELS for _ in range(2)]
    assert reductions == [None, *expected, None]


def test_a_transposed_convolution_shows_its_output() -> None:
    """Its loops run over its input's positions, and its row has what it makes."""
    up = TransposedConv("up", 16, kernel=(4, 2), stride=2, padding=(1, 0), bias=True)
    layers = Input("map", (1, 32, 7, 7)), up, Conv("conv", 8, 1), TransposedConv("own", 8, 2, 2, 0)
    made, pointwise, own = rows(Network("n", layers))
    assert (made.kind, made.kernel, made.stride) == ("transposed", (4, 2), (2, 2))
    assert (made.in_channels, made.out_channels, made.out_size) == (32, 16, (14, 14))
    assert (made.macs, made.params) == (8 * 32 * 16 * 7 * 7, 8 * 32 * 16 + 16)
    assert (pointwise.kind, own.kind, own.out_size) == ("pointwise", "transposed", (28, 28))


def test_a_table_of_parameters_has_a_row() -> None:
    """A table of positions has parameters and nothing else; a norm is named by its function."""
    norm = Affine("norm", "layer_norm", (-1,), 2)
    layers = Input("tokens", (1, 5, 8)), Constant("positions", (1, 5, 8), 40)
    add = Combine("add", "add", inputs=("tokens", "positions"))
    made = rows(Network("n", (*layers, add, norm)))
    assert [(row.kind, row.params, row.macs) for row in made] == [
        ("constant", 40, 0),
        ("layer_norm", 16, 0),
    ]


def test_batch_norm_is_folded_into_the_layer_before_it() -> None:
    """A row's params are its weights and the scale and shift of the batch norm that follows."""
    found = {row.name: row.params for row in rows(mobilenet_v1())}
    assert found["conv1"] == 9 * 3 * 32 + 2 * 32
    assert found["block13.pw"] == 1024 * 1024 + 2 * 1024
    assert found["classifier"] == 1024 * 1000 + 1000


def test_batch_norm_after_a_merge_has_a_row() -> None:
    """Normalisation of several layers' channels belongs to none of them."""
    image = Input("image", (1, 3, 8, 8))
    network = Network(
        "dense",
        (
            image,
            Conv("conv", 5, 1),
            Concat("both", inputs=("image", "conv")),
            BatchNorm("norm"),
            Activation("relu"),
            Conv("last", 2, 1),
        ),
    )
    found = {row.name: (row.kind, row.params, row.macs) for row in rows(network)}
    assert found["norm"] == ("batch_norm", 2 * (3 + 5), 0)
    assert found["last"] == ("pointwise", 8 * 2, 8 * 2 * 8 * 8)


@given(networks())
def test_rows_add_up(network: Network) -> None:
    """Whatever the graph, the rows' params and MACs are the network's."""
    total, found = cost(network), rows(network)
    assert sum(row.params for row in found) == total.params
    assert sum(row.macs for row in found) == total.macs
    kinds = by_kind(found).values()
    assert sum(kind["macs"] for kind in kinds) == total.macs
    assert sum(params_by_part(network).values()) == total.params


def test_an_unknown_layer_has_a_row() -> None:
    """A layer without a rule is listed as unknown, not left out."""

    @dataclass(frozen=True)
    class Mystery(Layer):
        """Nobody registered a rule for this."""

    network = Network("odd", (Input("image", (1, 3, 8, 8)), Mystery("mystery")))
    assert [(row.name, row.kind) for row in rows(network)] == [("mystery", "unknown")]


def test_an_unknown_layer_is_no_silent_zero() -> None:
    """Its cells are question marks, and the totals lower bounds."""

    @dataclass(frozen=True)
    class Riddle(Layer):
        """Nobody registered a rule for this."""

    layers = (Input("image", (1, 3, 8, 8)), Conv("conv", 8, 3), Riddle("riddle"))
    network = Network("odd", layers)
    made = report(network)
    text = to_text(made)
    assert "≥ 7,776" in text  # 9*3*8 * 6*6
    (line,) = (line for line in text.splitlines() if line.startswith("riddle"))
    assert line.split()[-3:] == ["?", "?", "?"]
    assert made.memory == ()
    data = json.loads(made.to_json())
    assert [(row["params"], row["macs"]) for row in data["layers"]] == [(216, 7776), (None, None)]
    assert data["by_kind"]["unknown"] == {"params": None, "macs": None}
    assert data["by_kind"]["standard"]["macs"] == 7776
    frame = table(network)
    assert list(frame.macs) == [7776, None]
    assert frame.macs.sum() == 7776
    assert to_csv(made).splitlines()[2] == "riddle,unknown,1,1,8,8,6,6,,,,,,"
    assert str(closed_form(network)).startswith("MACs(α, ρ) ≥ ")
    assert r"(\alpha, \rho) \ge " in closed_form(network).latex


# Howard et al. 2017, Table 2. The printed 1.19 % of the 3×3 convolution is a misprint: with it
# the column adds up to 99.29 %. Parameter shares there are without batch norm and bias.
TABLE_2 = {"pointwise": "94.86", "depthwise": "3.06", "standard": "1.91", "linear": "0.18"}


@pytest.mark.parametrize("kind", TABLE_2)
def test_table_2s_shares(kind: str) -> None:
    """Each kind's share of the mult-adds rounds to what Table 2 prints."""
    macs = by_kind(rows(mobilenet_v1()))[kind]["macs"]
    total = 568_740_352
    assert f"{100 * macs / total:.2f}" == TABLE_2[kind]


def test_params_by_part() -> None:
    """Table 2's parameter shares, 74.59 + 1.06 + 0.02 % convolutions and 24.33 % classifier."""
    parts = params_by_part(mobilenet_v1())
    without = parts["convolutions"] + 1024 * 1000  # no batch norm, no bias
    assert f"{100 * 1024 * 1000 / without:.2f}" == "24.33"
    assert f"{100 * parts['convolutions'] / without:.2f}" == "75.67"


class Classes(nn.Module):
    """A transformer's encoder between patches and classes, with all that has parameters."""

    def __init__(self) -> None:
        """One of each."""
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, 4)
        self.norm = nn.BatchNorm2d(8)
        self.table = nn.Parameter(torch.zeros(1, 4, 8))
        self.block = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, dropout=0.0)
        self.act, self.memory, self.head = nn.PReLU(), nn.GRU(8, 6), nn.Linear(6, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Tokens of 4×4 pixels, and the logarithms of their classes."""
        x = self.norm(self.patches(x)).flatten(2).transpose(1, 2) + self.table
        x, _ = self.memory(self.act(self.block(x)))
        return self.head(x.mean(1)).log_softmax(-1)


def test_params_by_part_say_what_they_are() -> None:
    """Each of a transformer's parameters is under the name of what holds it."""
    module = Classes().eval()
    counts = {name: sum(p.numel() for p in m.parameters()) for name, m in module.named_children()}
    norms = 2 * 2 * 8
    found = params_by_part(trace(module, (3, 8, 8)))
    assert found == {
        "convolutions": counts["patches"],
        "linear": counts["block"] - norms,
        "tables": 4 * 8,
        "other weights": counts["memory"],
        "batch norm": counts["norm"],
        "norms": norms,
        "elementwise": 1,
        "classifier": counts["head"],
    }
    assert sum(found.values()) == sum(p.numel() for p in module.parameters())


def test_a_classifier_is_the_last_linear_layer() -> None:
    """Of VGG's three the last alone; no layer that something else reads, and none of tokens."""
    parts = params_by_part(ZOO["vgg_16"].build())
    assert parts["classifier"] == 4096 * 1000 + 1000
    assert parts["linear"] == 25088 * 4096 + 4096 + 4096 * 4096 + 4096
    vector = Input("x", (1, 8))
    pooled = Network("n", (vector, Linear("a", 4), Activation("t", "tanh")))
    tokens = Network("n", (Input("x", (1, 5, 8)), Linear("a", 4)))
    assert [*params_by_part(pooled)] == [*params_by_part(tokens)] == ["linear"]
    assert params_by_part(Network("n", (vector, Activation("act")))) == {}


def test_table_is_a_data_frame() -> None:
    """`table` gives a DataFrame by layer name with exact integers."""
    frame = table(mobilenet_v2())
    assert frame.index[0] == "conv1"
    assert int(frame.macs.sum()) == 300_774_272
    assert int(frame.params.sum()) == 3_504_872


def test_a_data_frame_does_not_wrap() -> None:
    """Counts past 2⁶³ stay exact in the DataFrame, and so does their sum."""
    side = 10**11
    frame = table(mobilenet_v1(resolution=side))
    assert frame.macs["conv1"] == 27 * 32 * (side // 2) ** 2
    assert frame.macs.sum() == cost(mobilenet_v1(resolution=side)).macs


def test_rows_of_a_symbolic_network() -> None:
    """Symbols pass through: the first convolution is linear in α, relaxed."""
    from costmodel import alpha, relax, rho

    network = widen(resize(mobilenet_v1(), rho=rho), alpha)
    first, depthwise, pointwise, *_ = rows(network)
    assert relax(first.macs) == 9 * 3 * 32 * 112 * 112 * alpha * rho**2
    assert depthwise.kind == "depthwise"
    assert relax(pointwise.reduction - 1 / (64 * alpha)) == Fraction(1, 9)
