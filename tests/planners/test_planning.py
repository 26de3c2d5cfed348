"""Plans: every distinct network once, and the best within limits, against brute force."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import combinations
from math import log2
from typing import TYPE_CHECKING

import numpy as np
import pytest

from costmodel import ZOO, CostModelError, Layer, Network, cost, mobilenet_v1, resize, widen
from costmodel.core import infer
from costmodel.layers import Conv, Input, Pool
from costmodel.metrics.memory import MemoryRules, peak_activations, weight_bytes
from costmodel.planners import planning
from costmodel.planners.inverting import solve_alpha
from costmodel.planners.limits import limited
from costmodel.planners.planning import distinct_alphas, estimate, plan
from costmodel.published.family import model

if TYPE_CHECKING:
    from collections.abc import Callable

V1 = mobilenet_v1()


def counts(network: Network, alpha: Fraction, rounding: str) -> tuple[int, ...]:
    """The channels of every layer of the widened network."""
    return tuple(placed.output[1] for placed in infer(widen(network, alpha, rounding)))


@pytest.mark.parametrize("rounding", ["floor", "divisible(8)"])
@pytest.mark.parametrize("name", ["mobilenet_v1", "mobilenet_v2", "alexnet"])
def test_every_distinct_network_is_listed_once(name: str, rounding: str) -> None:
    """On a fine grid of α no network turns up that is not listed, and none is listed twice."""
    network = ZOO[name].build()
    most = Fraction(1, 4)
    listed = [counts(network, a, rounding) for a in distinct_alphas(network, rounding, most)]
    assert len(set(listed)) == len(listed)
    fine = {counts(network, Fraction(n, 4001), rounding) for n in range(1, 1001, 3)}
    assert fine <= set(listed)


RULES = MemoryRules("int8", in_place=True, fold_batch_norm=True)
ALPHAS = [Fraction(n, 8) for n in range(1, 13)]
SIDES = [96, 128, 160, 192]
BUDGETS = {
    "max_macs": 150_000_000,
    "max_params": 2_000_000,
    "max_peak_memory": 300_000,
    "max_flash": 1_500_000,
}


def candidates() -> list[tuple[dict[str, int], Fraction, int]]:
    """Every network of a small grid with its quantities, each built and costed by itself."""
    found = []
    for alpha in ALPHAS:
        for side in SIDES:
            network = widen(resize(V1, resolution=side), alpha)
            total = cost(network)
            quantities = {
                "macs": total.macs,
                "params": total.params,
                "peak_bytes": peak_activations(network, RULES).bytes,
                "weight_bytes": weight_bytes(network, RULES),
            }
            found.append((quantities, alpha, side))
    return found


ALL = candidates()


def brute_force(limits: dict[str, int], score: Callable) -> tuple:
    """The best that fits, what binds, and the next better, by loops over every candidate."""
    ranked = sorted(ALL, key=lambda c: (*score(*c), c[0]["macs"], -c[0]["params"]))

    def broken(candidate: tuple) -> set[str]:
        return {n for n, most in limits.items() if candidate[0][limited()[n].name] > most}

    fitting = [c for c in ranked if not broken(c)]
    if not fitting:
        return None, broken(min(ALL, key=lambda c: (c[0]["macs"], c[0]["params"]))), None, 0
    best = fitting[-1]
    better = [c for c in ranked if score(*c)[0] > score(*best)[0]]
    if not better:
        return best, set(), None, len(fitting)
    fewest = min(len(broken(c)) for c in better)
    first = next(c for c in better if len(broken(c)) == fewest)
    alone = set().union(*(broken(c) for c in better if len(broken(c)) == 1))
    return best, alone if fewest == 1 else broken(first), first, len(fitting)


def by_macs(quantities: dict[str, int], _alpha: Fraction, _side: int) -> tuple:
    """The objective of a network without published accuracies."""
    return quantities["macs"], 0


def by_top1(quantities: dict[str, int], alpha: Fraction, side: int) -> tuple:
    """Printed accuracy, else the law between the printed ones; of equals the printed."""
    if (percent := PRINTED.get((alpha, side))) is not None:
        return percent, 1
    below = [p for p, macs in printed_macs().items() if macs <= quantities["macs"]]
    above = [p for p, macs in printed_macs().items() if macs >= quantities["macs"]]
    known = np.array(list(printed_macs().items()), dtype=float)
    slope, intercept = np.polyfit(np.log2(known[:, 1]), known[:, 0], 1)
    fitted = intercept + slope * log2(quantities["macs"])
    return round(min(max([fitted, *below]), *above, 100), 1), 0


@cache
def printed_macs() -> dict[float, int]:
    """The MACs of the networks whose accuracy is printed, by that accuracy."""
    return {percent: cost(model(*key)).macs for key, percent in PRINTED.items()}


# Howard et al. 2017, Tables 6, 7 and 9, typed in from the paper.
PRINTED = {
    (Fraction(1), 224): 70.6,
    (Fraction(3, 4), 224): 68.4,
    (Fraction(1, 2), 224): 63.7,
    (Fraction(1, 4), 224): 50.6,
    (Fraction(1), 192): 69.1,
    (Fraction(1), 160): 67.2,
    (Fraction(1), 128): 64.4,
    (Fraction(1, 2), 160): 60.2,
}


@pytest.mark.parametrize("tightness", [1, 4])
@pytest.mark.parametrize("objective", ["macs", "top1"])
@pytest.mark.parametrize(
    "names", [c for n in range(1, 5) for c in combinations(BUDGETS, n)], ids=" ".join
)
def test_plans_equal_brute_force(names: tuple[str, ...], objective: str, tightness: int) -> None:
    """For every combination of limits: the choice, what binds and the next better, by loops."""
    limits = {name: BUDGETS[name] // tightness for name in names}
    network = V1 if objective == "top1" else Network("another", V1.layers)
    made = plan(network, **limits, alphas=ALPHAS, resolutions=SIDES, rules=RULES)
    best, binding, larger, fitting = brute_force(
        limits, by_top1 if objective == "top1" else by_macs
    )
    assert made.objective == objective
    assert (made.feasible, made.candidates) == (fitting, len(ALL))
    assert set(made.binding) == binding
    for found, expected in ((made.choice, best), (made.larger, larger)):
        assert (found and (found.alpha, found.resolution)) == (expected and expected[1:])
        if found:
            assert {name: getattr(found, name) for name in expected[0]} == expected[0]


def test_brute_force_notices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Were the worst that fits chosen, the comparison above would fail."""
    order = planning._Table.order
    monkeypatch.setattr(planning._Table, "order", lambda table: order(table)[::-1])
    with pytest.raises(AssertionError):
        test_plans_equal_brute_force(("max_macs",), "macs", 1)


def test_estimates_rise_with_macs_and_never_contradict_the_print() -> None:
    """More MACs never estimate lower; at a printed network's MACs the estimate is its print."""
    macs = np.geomspace(1e5, 1e11, 5000)
    assert (np.diff(estimate(macs)) >= 0).all()
    percents = list(printed_macs())
    assert estimate(np.array(list(printed_macs().values()), dtype=float)).tolist() == percents


def test_a_limit_is_inclusive() -> None:
    """A network that takes exactly the limit fits."""
    exact = cost(model(Fraction(1, 2), 224))
    made = plan(V1, max_macs=exact.macs, max_params=exact.params)
    assert (made.choice.macs, made.choice.params) == (exact.macs, exact.params)
    assert made.head_room == {"max_macs": 0, "max_params": 0}


def test_the_closed_form_verifies_the_enumeration() -> None:
    """Without rounding, α lies within a rounding step of the widest that the plan finds.

    `floor` never adds to α·C but where 8 channels are the least, and takes away less than one
    channel of 32: α − 1/32 < found ≤ the next width.
    """
    alphas = distinct_alphas(V1)
    sides = (128, 192, 224)
    for most in (60_000_000, 150_000_000, 400_000_000):
        made = plan(V1, max_macs=most, resolutions=sides)
        for side, fits in zip(sides, made.fits.T, strict=True):
            widest = float(max(a for a, f in zip(alphas, fits, strict=True) if f))
            solved = float(solve_alpha(V1, macs=most, rho=Fraction(side, 224)))
            assert solved - 1 / 512 <= widest <= solved + 1 / 32


def test_python_integers_can_be_planned() -> None:
    """Counts past 2⁵³ are exact and ordered."""
    made = plan(V1, max_macs="1000T", resolutions=[10**6, 10**6 + 32, 4 * 10**5])
    assert made.choice.macs <= 10**15
    assert cost(widen(resize(V1, resolution=made.choice.resolution), made.choice.alpha)).macs == (
        made.choice.macs
    )


def test_a_network_without_widths_or_macs() -> None:
    """Pooling alone has one width, and a plan for it."""
    network = Network(
        "pool", (Input("in", (1, 3, 64, 64)), Pool("pool", kind="max", kernel=2, stride=2))
    )
    made = plan(network, max_peak_memory="1MiB")
    assert (made.choice.alpha, made.choice.macs) == (1, 0)


def test_an_unknown_layer_has_no_plan() -> None:
    """What no rule counts may cost anything: no network is said to fit."""

    @dataclass(frozen=True)
    class Mystery(Layer):
        """Nobody registered a rule for this."""

    network = Network("odd", (Input("in", (1, 3, 64, 64)), Conv("conv", 8, 3), Mystery("mystery")))
    with pytest.raises(CostModelError, match=r"^no rule for mystery: no plan without their cost$"):
        plan(network, max_macs="1G", resolutions=[64])


def test_published_accuracies_decide() -> None:
    """At 150 M MACs the printed 63.7 % of 0.5 MobileNet-224 beats every estimate."""
    made = plan(V1, max_macs="150M")
    assert (made.choice.alpha, made.choice.resolution) == (Fraction(1, 2), 224)
    assert (made.choice.top1, made.choice.estimated) == (63.7, False)
    assert made.objective == "top1"


def test_nothing_fits_is_an_answer() -> None:
    """A budget below the smallest network names what binds and that network."""
    made = plan(V1, max_macs="1k", max_params="2M")
    assert made.choice is None
    assert made.binding == ("max_macs",)
    assert made.smallest.macs > 1000


def test_the_front_is_undominated() -> None:
    """No network of the front is beaten in score and in the binding quantity by another."""
    made = plan(mobilenet_v1(classes=999), max_params="2M", alphas=ALPHAS, resolutions=SIDES)
    assert made.against == "params"
    pairs = [(c.macs, c.params) for c in made.front]
    assert pairs == sorted(pairs, reverse=True)
    assert len({params for _, params in pairs}) == len(pairs)


def test_a_plan_of_too_many_is_refused() -> None:
    """2,001 widths at 10,000 resolutions are just above 2·10⁷."""
    alphas = [Fraction(n, 1000) for n in range(1, 2002)]
    with pytest.raises(CostModelError, match=r"^a plan holds at most 2·10⁷ candidates, got 2,001"):
        plan(V1, max_macs="1M", alphas=alphas, resolutions=range(1, 10_001))


def test_bad_plans() -> None:
    """No limit, empty grids and `exact` are refused in one line."""
    for settings in (
        {},
        {"max_macs": "1M", "resolutions": []},
        {"max_macs": "1M", "alphas": []},
        {"max_macs": "1M", "rounding": "exact"},
        {"max_macs": "1M", "resolutions": range(1, 10**6)},
    ):
        with pytest.raises(CostModelError) as caught:
            plan(V1, **settings)
        assert "\n" not in str(caught.value)
