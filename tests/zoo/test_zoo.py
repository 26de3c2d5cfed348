"""The zoo's networks have the figures that are printed and measured."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

import pytest

from costmodel import ZOO, CostModelError, cost, drop, lower, mobilenet_v1, resize, widen, zoo
from costmodel.zoo import architecture, conv_mobilenet

V1 = mobilenet_v1()

# Howard et al. 2017, Table 1, written down again: stride, in, out and output size of each block.
TABLE_1 = [
    *[(1, 32, 64, 112), (2, 64, 128, 56), (1, 128, 128, 56), (2, 128, 256, 28), (1, 256, 256, 28)],
    *[(2, 256, 512, 14), *[(1, 512, 512, 14)] * 5, (2, 512, 1024, 7), (1, 1024, 1024, 7)],
]


def table_1(alpha: Fraction, side: int = 224) -> tuple[int, int]:
    """MACs and parameters of the table, row by row; α·C is whole at quarters."""
    scale = side / 224
    first = int(32 * alpha)
    macs = 9 * 3 * first * int(112 * scale) ** 2
    params = 9 * 3 * first + 2 * first
    for _, c_in, c_out, d in TABLE_1:
        i, o, positions = int(c_in * alpha), int(c_out * alpha), int(d * scale) ** 2
        macs += (9 * i + i * o) * positions
        params += 9 * i + 2 * i + i * o + 2 * o
    last = int(1024 * alpha)
    return macs + last * 1000, params + last * 1000 + 1000


#: α, resolution, MACs, parameters: counted on real models by fvcore and torch.
HEADLINES = [
    ("1", 224, 568_740_352, 4_231_976),
    ("0.75", 192, 239_273_472, 2_585_560),
    ("0.5", 224, 149_497_088, 1_331_592),
    ("0.25", 224, 41_030_272, 470_072),
]


@pytest.mark.parametrize(("alpha", "side", "macs", "params"), HEADLINES)
def test_mobilenets_headline_figures(alpha: str, side: int, macs: int, params: int) -> None:
    """MobileNetV1's MACs and parameters at each width are those of the real models."""
    total = cost(widen(resize(V1, resolution=side), alpha))
    assert (total.macs, total.params) == (macs, params)
    assert table_1(Fraction(alpha), side) == (macs, params)


def test_the_headline_of_the_printed_rho() -> None:
    """ρ = 0.857 is printed for 192/224, and costs as much."""
    assert cost(widen(resize(V1, rho=0.857), alpha=0.75)).macs == HEADLINES[1][2]


@pytest.mark.parametrize("alpha", ["1", "3/4", "1/2", "1/4"])
@pytest.mark.parametrize("side", [224, 192, 160, 128])
def test_the_table_at_every_printed_point(alpha: str, side: int) -> None:
    """The sixteen networks of the paper cost what Table 1 sums to."""
    total = cost(widen(resize(V1, resolution=side), alpha))
    assert (total.macs, total.params) == table_1(Fraction(alpha), side)


def test_the_table_notices_a_stride_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stride 2 that Table 1 prints for its last depthwise row would be another network."""
    blocks = (*zoo.mobilenet.V1_BLOCKS[:-1], (2, 1024))
    monkeypatch.setattr(zoo.mobilenet, "V1_BLOCKS", blocks)
    assert cost(mobilenet_v1()).macs != table_1(Fraction(1))[0]


def printed(value: Fraction | int, cell: str, unit: int) -> bool:
    """Whether a value, in the unit of a printed cell, rounds to its digits."""
    digits = Decimal(cell)
    exact = Decimal(Fraction(value).numerator) / Decimal(Fraction(value).denominator * unit)
    return exact.quantize(digits, ROUND_HALF_UP) == digits


MILLION = 10**6


def shares(quantity: str) -> dict[str, Fraction]:
    """Each kind's share of the MACs, or of the weights, in per cent."""
    nests = [nest for each in lower(V1) for nest in each.nests]
    kinds: dict[str, int] = {}
    for nest in nests:
        kinds[nest.kind] = kinds.get(nest.kind, 0) + getattr(nest, quantity)
    return {kind: Fraction(100 * count, sum(kinds.values())) for kind, count in kinds.items()}


TABLE_2 = [
    ("macs", "pointwise", "94.86"),
    ("macs", "depthwise", "3.06"),
    ("macs", "linear", "0.18"),
    ("weights", "pointwise", "74.59"),
    ("weights", "depthwise", "1.06"),
    ("weights", "standard", "0.02"),
    ("weights", "linear", "24.33"),
]


@pytest.mark.parametrize(("quantity", "kind", "cell"), TABLE_2)
def test_table_2_prints_the_shares(quantity: str, kind: str, cell: str) -> None:
    """The shares of Table 2, of weights without biases and batch norm, at two decimals."""
    assert printed(shares(quantity)[kind], cell, 1)


def test_table_2_has_one_wrong_cell() -> None:
    """The 1.19 % printed for the first layer is 1.91 %: the column sums to 99.29 %."""
    column = [Decimal(cell) for quantity, _, cell in TABLE_2 if quantity == "macs"]
    assert sum(column) + Decimal("1.19") == Decimal("99.29")
    first = 9 * 3 * 32 * 112 * 112
    assert shares("macs")["standard"] == Fraction(100 * first, HEADLINES[0][2])
    assert printed(shares("macs")["standard"], "1.91", 1)


def layer_of_table_3(alpha: str = "1", side: int = 14, *, separable: bool = True) -> list[int]:
    """MACs and weights of the layer of Table 3: 14×14, 512 to 512 channels, in our networks."""
    network = resize(V1 if separable else conv_mobilenet(), resolution=side * 16)
    layers = [
        each for each in lower(widen(network, alpha)) if each.layer.name.split(".")[0] == "block8"
    ]
    nests = [nest for each in layers for nest in each.nests]
    return [sum(nest.macs for nest in nests), sum(nest.weights for nest in nests)]


@pytest.mark.parametrize(
    ("counts", "reason", "cells"),
    [
        (
            layer_of_table_3(separable=False),
            [9 * 512 * 512 * 14 * 14, 9 * 512 * 512],
            ("462", "2.36"),
        ),
        (
            layer_of_table_3(),
            [(9 * 512 + 512 * 512) * 14 * 14, 9 * 512 + 512 * 512],
            ("52.3", "0.27"),
        ),
        (
            layer_of_table_3("0.75"),
            [(9 * 384 + 384 * 384) * 14 * 14, 9 * 384 + 384 * 384],
            ("29.6", "0.15"),
        ),
        (
            layer_of_table_3("0.75", 10),
            [(9 * 384 + 384 * 384) * 10 * 10, 9 * 384 + 384 * 384],
            ("15.1", "0.15"),
        ),
    ],
    ids=["standard", "separable", "alpha = 0.75", "rho = 0.714"],
)
def test_table_3_prints_the_layer(
    counts: list[int], reason: list[int], cells: tuple[str, str]
) -> None:
    """Each step of Table 3, on one layer, at the digits the paper prints."""
    assert counts == reason
    assert all(printed(*pair, MILLION) for pair in zip(counts, cells, strict=True))


TABLES_6_AND_7 = [
    ("1", 224, "569", "4.2"),
    ("0.75", 224, "325", "2.6"),
    ("0.5", 224, "149", "1.3"),
    ("0.25", 224, "41", "0.5"),
    ("1", 192, "418", "4.2"),
    ("1", 128, "186", "4.2"),
]


@pytest.mark.parametrize(("alpha", "side", "macs", "params"), TABLES_6_AND_7)
def test_tables_6_and_7_print_the_networks(alpha: str, side: int, macs: str, params: str) -> None:
    """The mult-adds and parameters of Tables 6 and 7, in millions, at their printed digits."""
    total = cost(widen(resize(V1, resolution=side), alpha))
    assert printed(total.macs, macs, MILLION)
    assert printed(total.params, params, MILLION)


def test_table_7_truncates_once() -> None:
    """1.0 MobileNet-160 has 290.7 million MACs: the paper prints 290, and TF-slim 291."""
    total = cost(resize(V1, resolution=160))
    assert total.macs // MILLION == 290
    assert printed(total.macs, "291", MILLION)


def test_table_5_prints_the_shallow_network() -> None:
    """Without five layers MobileNet has 307 million mult-adds and 2.9 million parameters."""
    total = cost(drop(V1, [f"block{i}.*" for i in range(7, 12)]))
    assert printed(total.macs, "307", MILLION)
    assert printed(total.params, "2.9", MILLION)


def test_conv_mobilenet_is_the_table_with_full_convolutions() -> None:
    """Conv MobileNet has 9·C_in·C_out weights a block, and 29.3 million parameters."""
    macs = 9 * 3 * 32 * 112 * 112 + 1024 * 1000
    macs += sum(9 * i * o * d * d for _, i, o, d in TABLE_1)
    params = 9 * 3 * 32 + 2 * 32 + 1024 * 1000 + 1000
    params += sum(9 * i * o + 2 * o for _, i, o, _ in TABLE_1)
    total = cost(conv_mobilenet())
    assert (total.macs, total.params) == (macs, params)
    assert printed(total.params, "29.3", MILLION)


def test_a_printed_cell_can_be_missed() -> None:
    """The comparison with a printed cell is no formality."""
    assert not printed(568_400_000, "569", MILLION)
    assert printed(568_500_000, "569", MILLION)


@pytest.mark.parametrize("name", ZOO)
def test_every_architecture_builds(name: str) -> None:
    """Each network of the zoo bears its name and takes classes, channels, batch, resolution."""
    found = architecture(name)
    classes = {"classes": 10} if found.classes else {}
    network = found.build(**classes, resolution=96, in_channels=1, batch=2)
    assert network.name == name
    assert network.layers[0].shape == (2, 1, 96, 96)
    if network.layers[-1].name == "classifier":
        assert lower(network)[-1].output == (2, 10)
    assert cost(network, strict=True).macs > 0


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("mobilenet_v3", "did you mean"),
        ("mobilenetv1", "mobilenet_v1"),
        ("mobilnet_v2", "mobilenet_v2"),
        ("conv-mobilenet", "conv_mobilenet"),
        ("zzzz", "choose from mobilenet_v1, "),
        ("", "choose from"),
    ],
)
def test_unknown_networks_suggest_the_nearest(name: str, hint: str) -> None:
    """A name that is not there is an error with the nearest ones, or all."""
    with pytest.raises(CostModelError, match=f"unknown network {name!r}; .*{hint}"):
        architecture(name)
