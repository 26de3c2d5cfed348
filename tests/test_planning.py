"""Plans: every distinct network once, and the best within limits, against brute force."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations

import pytest

from costmodel import ZOO, CostModelError, Network, cost, infer, mobilenet_v1, resize, widen
from costmodel.memory import MemoryRules, peak_activations, weight_bytes
from costmodel.planning import LIMITS, amount, distinct_alphas, plan

V1 = mobilenet_v1()


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("150M", "max_macs", 150 * 10**6),
        ("1.2G", "max_macs", 12 * 10**8),
        ("2000", "max_params", 2000),
        (7, "max_params", 7),
        ("512KB", "max_flash", 512 * 10**3),
        ("512KiB", "max_flash", 512 * 2**10),
        ("1 MiB", "max_peak_memory", 2**20),
    ],
)
def test_amounts(text: object, name: str, value: int) -> None:
    """Counts have SI prefixes, memory decimal or binary units."""
    assert amount(text, name) == value


@pytest.mark.parametrize(
    ("text", "name"),
    [
        *((text, "max_macs") for text in ("-1", "0", 0, "", "1MiB", "nan", "1e9")),
        ("512", "max_flash"),
        (True, "max_params"),
    ],
)
def test_bad_amounts(text: object, name: str) -> None:
    """Nothing, less than nothing, and bytes without a unit are refused by name."""
    with pytest.raises(CostModelError, match=f"{name} must be a positive amount"):
        amount(text, name)


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


@pytest.mark.parametrize(
    "names", [c for n in range(1, 5) for c in combinations(BUDGETS, n)], ids=" ".join
)
def test_plans_equal_brute_force(names: tuple[str, ...]) -> None:
    """For every combination of limits the choice is the best of all that fit, by loops."""
    limits = {name: BUDGETS[name] for name in names}
    network = mobilenet_v1(classes=999)  # no published accuracies: the objective is MACs
    made = plan(network, **limits, alphas=ALPHAS, resolutions=SIDES, rules=RULES)
    shift = {"macs": 1024, "params": 1025, "weight_bytes": 1024 + 4, "peak_bytes": 0}

    def fits(quantities: dict[str, int], alpha: Fraction) -> bool:
        # One class less: 1024α weights, and a bias of four bytes.
        less = {q: int(shift[q] * alpha) if q == "macs" else 0 for q in quantities}
        less["params"] = int(1024 * alpha) + 1
        less["weight_bytes"] = int(1024 * alpha) + 4
        return all(quantities[LIMITS[n]] - less[LIMITS[n]] <= most for n, most in limits.items())

    fitting = [(q["macs"] - int(1024 * a), a, d) for q, a, d in ALL if fits(q, a)]
    _, alpha, side = max(fitting)
    assert (made.choice.alpha, made.choice.resolution) == (alpha, side)
    assert made.feasible == len(fitting)
    assert made.candidates == len(ALL)
    if made.larger:
        assert made.larger.macs > made.choice.macs
        assert made.binding
    if made.smaller:
        assert made.smaller.macs <= made.choice.macs


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
    pairs = [(c.macs, c.params) for c in made.front]
    assert pairs == sorted(pairs, reverse=True)
    assert len({params for _, params in pairs}) == len(pairs)


def test_bad_plans() -> None:
    """No limit, empty grids and `exact` are refused in one line."""
    for settings in (
        {},
        {"max_macs": "1M", "resolutions": []},
        {"max_macs": "1M", "alphas": []},
        {"max_macs": "1M", "rounding": "exact"},
    ):
        with pytest.raises(CostModelError) as caught:
            plan(V1, **settings)
        assert "\n" not in str(caught.value)
