"""One α, one answer: every way to a cost reads a number alike, at ties and beside them.

The oracle is the README's rule alone, as loops: what a number means, and how channels are rounded.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from functools import cache
from math import ceil, floor, nextafter
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from strategies import width_function

from costmodel import ZOO, CostModelError, Network, cost, cost_function, plan, report, sweep, widen
from costmodel.algebra import grids, numbers
from costmodel.layers import Conv, Input

if TYPE_CHECKING:
    from collections.abc import Iterator

SIDE = 4


# The oracle ----------------------------------------------------------------------------------


@cache
def meant_by(number: float) -> Fraction:
    """The fraction of least denominator within 1e-12 of a float, else its shortest decimal."""
    least = Fraction(number) / 10**12
    nearest = Fraction(number).limit_denominator(500_000)
    if abs(nearest - Fraction(number)) > least:
        return Fraction(repr(number))
    denominators = np.arange(1, nearest.denominator)
    numerators = np.rint(number * denominators)
    for i in np.flatnonzero(np.abs(numerators - number * denominators) < 1e-5):
        fraction = Fraction(int(numerators[i]), int(denominators[i]))
        if abs(fraction - Fraction(number)) <= least:
            return fraction
    return nearest


def meaning(alpha: Any) -> Fraction:
    """What a number of any kind is."""
    if isinstance(alpha, np.floating):
        return meant_by(float(str(alpha)))
    if isinstance(alpha, float):
        return meant_by(alpha)
    return Fraction(int(alpha) if isinstance(alpha, np.integer) else alpha)


def rounded(count: int, alpha: Fraction, rounding: str, groups: int) -> int | None:
    """The channels that a policy makes of α·count; None where `exact` makes none."""
    wanted = alpha * count
    if rounding == "exact":
        return wanted.numerator if wanted.denominator == 1 and wanted % groups == 0 else None
    if rounding == "floor":
        return max(floor(wanted / groups) * groups, ceil(Fraction(min(8, count), groups)) * groups)
    step = int(rounding[10:-1])
    while step % groups:
        step += int(rounding[10:-1])
    nearest = max(step, floor(wanted / step + Fraction(1, 2)) * step)
    return nearest if nearest >= Fraction(9, 10) * wanted else nearest + step


# The ways to a cost --------------------------------------------------------------------------


def one_layer(count: int, groups: int) -> Network:
    """A 1×1 convolution with one input channel for each group: its params are its channels."""
    image = Input("image", (1, groups, SIDE, SIDE))
    return Network("one", (image, Conv("conv", count, 1, groups=groups)))


def answers(network: Network, rounding: str, alphas: list[Any]) -> Iterator[tuple[str, Any, int]]:
    """(way, α, params) for each α, by every way."""
    function, widths = cost_function(network, rounding=rounding), width_function(network, rounding)
    for alpha in alphas:
        yield "cost", alpha, cost(widen(network, alpha, rounding)).params
        yield "report", alpha, report(network, alpha=alpha, rounding=rounding).total.params
        yield "cost_function", alpha, function(alpha, SIDE).params
        if not isinstance(alpha, (int, np.integer)):  # which would be a count
            yield "width_function", alpha, widths([alpha], SIDE).params
    for kind in {type(alpha) for alpha in alphas}:  # an array of floats, a list of Fractions, …
        alike = [alpha for alpha in alphas if type(alpha) is kind]
        floats = issubclass(kind, (float, np.floating))
        swept = sweep(network, np.array(alike) if floats else alike, [SIDE], rounding=rounding)
        for alpha, params in zip(alike, swept.params[:, 0], strict=True):
            yield f"sweep of {kind.__name__}", alpha, int(params)
        if kind is float:
            columns = widths(np.array(alike)[:, None], SIDE).params
            for alpha, params in zip(alike, columns, strict=True):
                yield "width_function of an array", alpha, int(params)
    swept = sweep(network, alphas, [SIDE], rounding=rounding)
    for alpha, params in zip(alphas, swept.params[:, 0], strict=True):
        yield "sweep of a mixture", alpha, int(params)
    planned = plan(network, alphas=alphas, resolutions=[SIDE], max_params=1, rounding=rounding)
    found = planned.swept.params[:, 0].tolist()
    for alpha, params in zip(sorted(set(map(meaning, alphas))), found, strict=False):
        yield "plan", alpha, int(params)


def ties(count: int, rounding: str, groups: int, random: np.random.Generator) -> list[Fraction]:
    """Some α at which the count changes."""
    if rounding in {"floor", "exact"}:
        return [Fraction(int(k) * groups, count) for k in random.integers(1, count + 1, 4)]
    step = int(rounding[10:-1]) * groups
    halves = [Fraction((2 * int(k) + 1) * step, 2 * count) for k in random.integers(0, 4, 2)]
    return halves + [Fraction(10 * int(k) * step, 9 * count) for k in random.integers(1, 5, 2)]


def around(tie: Fraction) -> Iterator[Any]:
    """A tie, just under and just over it, in every kind of number."""
    number = float(tie)
    yield from (tie, str(tie), number, np.float64(number), np.float32(number), np.float16(number))
    yield from (nextafter(number, 0), nextafter(number, 9))
    for distance in (1e-13, 9.99e-13, 1e-12, 1.001e-12, 3e-12, 1e-11):
        yield from (number * (1 - distance), number * (1 + distance))
    for distance in (Fraction(1, 10**13), Fraction(1, 10**20)):
        yield from (tie * (1 - distance), tie * (1 + distance))
    decimal = Decimal(tie.numerator) / Decimal(tie.denominator)
    yield from (decimal, str(decimal), str(decimal - Decimal("1e-13")), f"{number:.4f}")


def cases(seed: int) -> tuple[Network, str, list[Any], dict[Any, int]]:
    """A network of one layer, a rounding, numbers, and the count that each has to give."""
    random = np.random.default_rng(seed)
    groups = int(random.choice([1, 1, 2, 3, 8]))
    count = groups * int(random.integers(1, 1025 // groups))
    rounding = ["floor", "divisible(8)", "divisible(5)", "floor", "exact", "divisible(3)"][seed % 6]
    numbers = [x for tie in ties(count, rounding, groups, random) for x in around(tie)]
    numbers += [1, 2, np.int64(3), *random.uniform(0.001, 4, 6).tolist()]
    start, step = random.uniform(0.01, 0.5), random.choice([0.01, 0.02, 0.005])
    numbers += [*np.arange(round(start, 2), 1.2, step)[::9], *np.linspace(0.1, 1.9, 19).tolist()]
    numbers = [x for x in numbers if 0 < as_float(x) < 4]
    right = {(type(x), x): rounded(count, meaning(x), rounding, groups) for x in numbers}
    if rounding == "exact":
        numbers = [x for x in numbers if right[type(x), x] is not None]
    return one_layer(count, groups), rounding, numbers, right


def mistaken(seed: int) -> tuple[int, list[str]]:
    """How many answers there are, and those that are wrong."""
    network, rounding, numbers, right = cases(seed)
    groups, count = network["conv"].groups, network["conv"].out_channels
    wrong, asked = [], 0
    for way, alpha, params in answers(network, rounding, numbers):
        asked += 1
        own = right.get((type(alpha), alpha)) or rounded(count, meaning(alpha), rounding, groups)
        if params != own:
            wrong.append(
                f"{way}: {rounding} of {alpha!r}·{count}, {groups} groups: {params}, {own}"
            )
    return asked, wrong


@pytest.mark.parametrize("seed", range(12))
def test_one_number_has_one_answer(seed: int) -> None:
    """Every way to a cost, every kind of number, every rounding, groups: the rule's channels."""
    assert mistaken(seed)[1] == []


@pytest.mark.slow
def test_one_number_has_one_answer_in_a_hundred_thousand_cases() -> None:
    """The same of at least 10⁵ answers."""
    asked = 0
    for seed in range(12, 1000):
        some, wrong = mistaken(seed)
        assert wrong == []
        asked += some
        if asked >= 10**5:
            return
    raise AssertionError(asked)


@pytest.mark.parametrize("name", ZOO)
def test_a_float_is_its_fraction_in_every_network(name: str) -> None:
    """2/3 and 5/6 as floats cost what they cost as ratios, in `cost`, `sweep` and functions."""
    network = ZOO[name].build()
    side = network.inputs[0].shape[2]
    for number, ratio in ((2 / 3, "2/3"), (5 / 6, "5/6"), (0.29, "29/100")):
        right = cost(widen(network, ratio))
        assert cost(widen(network, number)) == right
        assert cost_function(network)(number, side) == right
        assert sweep(network, [number], [side]).macs.tolist() == [[right.macs]]


def test_what_the_issue_found() -> None:
    """SqueezeNet at 2/3, an exact text beside a half, and a 90 % tie of divisible(5)."""
    squeezenet = ZOO["squeezenet_1_0"].build()
    assert cost(widen(squeezenet, 2 / 3)).macs == 414_882_268 == cost(widen(squeezenet, "2/3")).macs
    text = "0.4999999999999"
    network = one_layer(64, 1)
    assert cost(widen(network, text)).params == 31 == sweep(network, [text], [SIDE]).params
    assert cost(widen(network, float(text))).params == 32  # a float that near is a half
    tie = one_layer(11, 1)  # 50/99·11 = 50/9, of which 5 is 90 % exactly
    assert cost(widen(tie, 50 / 99, "divisible(5)")).params == 5
    assert sweep(tie, [50 / 99], [SIDE], rounding="divisible(5)").params == 5


@pytest.mark.parametrize("text", ["٣", "0,5", "1_0", "0x1", "", "nan", "1/0", "½", "9" * 5000])
def test_what_is_no_number(text: str) -> None:
    """Digits of other scripts, separators, and what is no number are refused alike."""
    for way in (
        lambda: widen(one_layer(8, 1), text),
        lambda: sweep(one_layer(8, 1), [text], [SIDE]),
        lambda: cost_function(one_layer(8, 1))(text, SIDE),
    ):
        with pytest.raises(CostModelError, match="alpha must be a number"):
            way()


def _widened(given: Any) -> Any:
    """An array as float64s, whatever it was."""
    return np.array([as_float(x) for x in given])


def as_float(number: Any) -> float:
    """A number or a ratio in a text as a float."""
    return float(Fraction(number) if isinstance(number, str) else number)


MUTATIONS = {
    "floats are their decimals": (numbers, "_simplest", lambda x: Fraction(repr(x))),
    "no fraction past 1000": (numbers, "_MAX_DENOMINATOR", 1000),
    "no care at ties": (grids, "_near", lambda _: ()),
    "ratios are floats": (numbers, "rational", lambda x, _: meant_by(as_float(x))),
    "every number is a float64": (grids, "_one_kind", _widened),
}


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_mutations_would_be_seen(mutation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each part of the rule is needed: without it some answer is another."""
    monkeypatch.setattr(*MUTATIONS[mutation])
    assert any(mistaken(seed)[1] for seed in range(12))
