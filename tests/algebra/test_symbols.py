"""Symbols are exact: they become the integers of the numeric path, or the paper's polynomial."""

from __future__ import annotations

import pickle
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest
import sympy
from hypothesis import find, given, settings, strategies as st
from strategies import alphas, examples, networks, rhos, roundings

from costmodel import Cost, CostModelError, Network, cost, mobilenet_v1, resize, widen
from costmodel.algebra.symbols import (
    SYMBOLS,
    CeilDiv,
    CeilModeSize,
    H,
    K,
    RoundSize,
    ScaledChannels,
    W,
    alpha,
    parse,
    relax,
    rho,
    scale_channels,
)
from costmodel.zoo import mobilenet_v2

if TYPE_CHECKING:
    from collections.abc import Callable

QUICK = settings(derandomize=True, deadline=None, database=None)
V1 = mobilenet_v1()
V1_SYMBOLIC = cost(widen(resize(V1, rho=rho), alpha))
#: The closed form, term by term: Howard et al. 2017, equations 5 to 7.
V1_FORMULA = 539492352 * alpha**2 * rho**2 + 28224000 * alpha * rho**2 + 1024000 * alpha


def exact(number: Fraction) -> Any:
    """A Fraction as sympy's rational."""
    return sympy.Rational(number.numerator, number.denominator)


def at(total: Cost, width: Fraction, resolution: Fraction) -> Cost:
    """A symbolic cost with numbers for α and ρ."""
    return total.map(
        lambda value: sympy.sympify(value).subs({alpha: exact(width), rho: exact(resolution)})
    )


@settings(QUICK, max_examples=60)
@given(alphas, rhos)
def test_mobilenet_in_symbols_is_exact(width: Fraction, resolution: Fraction) -> None:
    """A formula of α and ρ becomes the integers of the network built at that point."""
    built = cost(widen(resize(V1, rho=resolution), width))
    assert at(V1_SYMBOLIC, width, resolution) == built


@settings(QUICK, max_examples=examples(100))
@given(networks(), alphas, rhos, roundings)
def test_networks_in_symbols_are_exact(
    network: Network, width: Fraction, resolution: Fraction, rounding: str
) -> None:
    """The same with branches, groups, pools and every rounding."""
    symbolic = cost(widen(resize(network, rho=rho), alpha, rounding))
    built = cost(widen(resize(network, rho=resolution), width, rounding))
    assert at(symbolic, width, resolution) == built


@settings(QUICK, max_examples=20)
@given(alphas)
def test_widths_that_never_shrink_are_exact(width: Fraction) -> None:
    """MobileNetV2's last 1280 channels follow max(1, α) in symbols as in numbers."""
    symbolic = cost(widen(mobilenet_v2(resolution=32), alpha, "divisible(8)"))
    built = cost(widen(mobilenet_v2(resolution=32), width, "divisible(8)"))
    assert at(symbolic, width, Fraction(1)) == built


def test_symbols_notice_a_floor_for_a_ceiling(monkeypatch: pytest.MonkeyPatch) -> None:
    """A CeilDiv that rounds down disagrees with the numeric path."""
    monkeypatch.setattr(CeilDiv, "value", staticmethod(lambda size, stride: size // stride))
    sizes = [(side, at(V1_SYMBOLIC, Fraction(1), Fraction(side, 224))) for side in (225, 230)]
    assert any(total != cost(resize(V1, resolution=side)) for side, total in sizes)


@settings(QUICK, max_examples=examples(200))
@given(st.integers(1, 10**6), st.integers(1, 20), st.integers(1, 20))
def test_nested_ceilings_merge(size: int, first: int, second: int) -> None:
    """⌈⌈x / a⌉ / b⌉ is written ⌈x / ab⌉, and for every x it is the same number."""
    merged = CeilDiv(CeilDiv(H, first), second)
    assert merged == CeilDiv(H, first * second)
    assert merged.subs(H, size) == len(range(0, len(range(0, size, first)), second))


@pytest.mark.parametrize("wrong", [lambda a, b: a + b, max])
def test_a_wrong_merge_is_noticed(wrong: Callable[[int, int], int]) -> None:
    """Merging ⌈⌈x / a⌉ / b⌉ into ⌈x / (a + b)⌉ or ⌈x / max(a, b)⌉ is seen in numbers."""
    assert find(
        st.tuples(*(st.integers(1, 50),) * 3),
        lambda n: (
            CeilDiv(H, wrong(*n[1:])).subs(H, n[0])
            != len(range(0, len(range(0, n[0], n[1])), n[2]))
        ),
        settings=QUICK,
    )


def test_ceilings_of_wholes_vanish() -> None:
    """⌈H / 1⌉ is H where H is whole, and stays where α·H need not be."""
    assert CeilDiv(H, 1) == H
    assert CeilDiv(alpha * H, 1) != alpha * H


def test_relaxed_mobilenet_is_the_papers_polynomial() -> None:
    """MACs(α, ρ) = 539492352·α²ρ² + 28224000·αρ² + 1024000·α, exactly."""
    assert relax(V1_SYMBOLIC.macs) == V1_FORMULA


def test_the_papers_polynomial_has_its_reasons() -> None:
    """Its coefficients are pointwise, depthwise and first-layer, and classifier MACs."""
    rows = [(1, 32, 64, 112), (2, 64, 128, 56), (1, 128, 128, 56), (2, 128, 256, 28)]
    rows += [(1, 256, 256, 28), (2, 256, 512, 14), *[(1, 512, 512, 14)] * 5]
    rows += [(2, 512, 1024, 7), (1, 1024, 1024, 7)]
    pointwise = sum(i * o * d * d for _, i, o, d in rows)
    depthwise = sum(9 * i * d * d for _, i, _, d in rows)
    first = 9 * 3 * 32 * 112 * 112
    expected = (
        pointwise * alpha**2 * rho**2 + (depthwise + first) * alpha * rho**2 + 1024 * 1000 * alpha
    )
    assert relax(V1_SYMBOLIC.macs) == expected


def test_relaxing_a_number_changes_nothing() -> None:
    """A plain cost is its own relaxation."""
    assert cost(V1).map(relax) == cost(V1)


@settings(QUICK, max_examples=25)
@given(networks(), st.sampled_from(["floor", "divisible(8)", "exact"]))
def test_relaxing_forgets_the_rounding(network: Network, rounding: str) -> None:
    """All roundings relax to one polynomial."""
    exactly = cost(widen(resize(network, rho=rho), alpha, "exact")).map(relax)
    assert cost(widen(resize(network, rho=rho), alpha, rounding)).map(relax) == exactly


@settings(QUICK, max_examples=25)
@given(networks())
def test_widening_twice_is_widening_by_the_product(network: Network) -> None:
    """widen(a) · widen(b) = widen(ab), once relaxed."""
    a, b = sympy.symbols("a b", positive=True)
    twice, once = widen(widen(network, a), b), widen(network, a * b)
    assert cost(twice).map(relax) == cost(once).map(relax)


def test_widening_twice_rounds_twice() -> None:
    """The identity needs relaxing: of 128 channels ⌊⌊128·3/7⌋·5/7⌋ are 38, ⌊128·15/49⌋ 39."""
    twice, once = widen(widen(V1, "3/7"), "5/7"), widen(V1, "15/49")
    widths = [network["block2.pw"].out_channels for network in (twice, once)]
    assert widths == [54 * 5 // 7, 128 * 15 // 49]
    assert widths == [38, 39]


CHANNELS = ScaledChannels(8, alpha, 1, 1)
EXPRESSIONS = [
    alpha,
    sympy.Integer(7),
    -H,
    H / 3 + K**2 - W,
    CeilDiv(RoundSize(224, rho) + 1, 2) * ScaledChannels(32, alpha, 8, 1),
    CeilModeSize(H - 3, H + 1, 2),
    sympy.Max(1, alpha),
    ScaledChannels(1280, sympy.Max(1, alpha), 8, 1),
    2 * CHANNELS * (CHANNELS + ScaledChannels(3, alpha, 1, 1)),  # sympy multiplies out 2·(x + y)
]


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=str)
def test_parse_reads_what_str_wrote(expression: Any) -> None:
    """parse(str(e)) == e, for the exact functions too."""
    assert parse(str(expression)) == expression


@settings(QUICK, max_examples=25)
@given(networks())
def test_parse_reads_every_cost(network: Network) -> None:
    """The costs of symbolic networks survive their text."""
    macs = cost(widen(resize(network, rho=rho), alpha)).macs
    assert sympy.expand(parse(str(macs)) - macs) == 0


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os')",
        "__import__('os').system('true')",
        "().__class__",
        "alpha.subs",
        "CeilDiv.__init__",
        "eval('1')",
        "lambda: 0",
        "[1, 2]",
        "H if H else 1",
        "H < 2",
        "CeilDiv(H)",
        "CeilDiv(H, stride=2)",
        "CeilDiv(*[H, 2])",
        "sqrt(H)",
        "beta",
        "'a'",
        "1.5",
        "1j",
        "H //2",
        "1 +",
        "",
        "\x00",
        "(" * 5000,
        "-" * 100_000 + "1",
        "1" * 5000,
    ],
    ids=lambda text: text[:20],
)
def test_parse_refuses_anything_else(text: str) -> None:
    """Text that is no size is an error, evaluated by nobody."""
    with pytest.raises(CostModelError, match="not a size"):
        parse(text)


@pytest.mark.parametrize(
    "text",
    ["1/0", "H/0", "CeilDiv(7, 0)", "ScaledChannels(3, 1, 0, 1)", "Max()", "True", "10**10**10"],
)
def test_parse_refuses_what_is_no_number(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A division by zero, an infinity, a truth value or a tower of powers is no size."""
    if "**" in text:  # the answer would take all memory: this stand-in notices the attempt
        monkeypatch.setattr(sympy.Integer, "__pow__", lambda *_: pytest.fail("it is evaluated"))
    with pytest.raises(CostModelError, match="not a size"):
        parse(text)


LATEX = [
    (CeilDiv(H, 2), r"\left\lceil \frac{H}{2} \right\rceil"),
    (RoundSize(224, rho), r"\left\lfloor 224 \rho \right\rceil"),
    (ScaledChannels(32, alpha, 8, 3), r"\left[ 32 \alpha \right]_{24}"),
    (
        CeilModeSize(H - 3, H, 2),
        r"\min\left(\left\lceil \frac{H - 3}{2} \right\rceil + 1, \left\lceil \frac{H}{2} \right\rceil\right)",  # noqa: E501
    ),
]


@pytest.mark.parametrize(("expression", "latex"), LATEX)
def test_exact_functions_have_latex_of_their_own(expression: Any, latex: str) -> None:
    """Ceilings, roundings and channel counts are written as a paper writes them."""
    assert sympy.latex(expression) == latex


@pytest.mark.parametrize("expression", [expression for expression, _ in LATEX])
def test_exact_functions_have_powers_in_latex(expression: Any) -> None:
    """A square of one, as H·W of a square image has it, is written too."""
    assert sympy.latex(expression) in sympy.latex(expression**2)


def test_latex_renders() -> None:
    """matplotlib's TeX parser takes the whole formula of MobileNetV1."""
    from matplotlib.mathtext import MathTextParser

    parser = MathTextParser("path")
    for expression in (V1_SYMBOLIC.macs, V1_SYMBOLIC.params, *(e for e, _ in LATEX)):
        assert parser.parse(f"${sympy.latex(expression)}$").width > 0


@pytest.mark.parametrize("value", [*SYMBOLS.values(), *EXPRESSIONS, V1_SYMBOLIC], ids=str)
def test_symbols_pickle(value: Any) -> None:
    """What a worker process sends back is equal to what was made there."""
    assert pickle.loads(pickle.dumps(value)) == value  # noqa: S301 - our own bytes


def test_a_float_is_the_decimal_it_shows() -> None:
    """0.29·100 is 29 channels in a formula, as it is in a number."""
    channels = ScaledChannels(100, alpha, 1, 1)
    assert channels.subs(alpha, 0.29) == 29
    assert channels.subs(alpha, sympy.Rational(29, 100)) == 29


def test_sizes_are_positive_integers() -> None:
    """sympy may use it: a ceiling and a scaled count are at least 1, and whole."""
    for size in (CeilDiv(H, 2), ScaledChannels(8, alpha, 1, 1)):
        assert size.is_integer
        assert size.is_positive


def test_what_has_no_multiplier_relaxes_to_its_quotient() -> None:
    """⌈H / 2⌉ becomes H/2 where no ρ is in it; a count's groups are 1 unless said."""
    assert relax(CeilDiv(H, 2)) == H / 2
    assert scale_channels(8, alpha, 1) == ScaledChannels(8, alpha, 1, 1)
