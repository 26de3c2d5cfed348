"""Plans: which α and which resolution fit a budget, over every network that there is.

A decimal grid of α misses networks and repeats others. Channel counts change at rational α
only, so the distinct networks can be listed, each once, and swept.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from math import lcm
from typing import TYPE_CHECKING, Any

import numpy as np

from costmodel.algebra.arithmetic import multiplier
from costmodel.algebra.numbers import MAX_ALPHA, rounding_divisor, scale_channels
from costmodel.core.cost import cost
from costmodel.errors import CostModelError
from costmodel.metrics.memory import DEFAULT, MemoryRules
from costmodel.planners.compiling import Column, cost_function
from costmodel.planners.limits import Limit, limited, limits
from costmodel.planners.sweeping import Sweep, sweep
from costmodel.published.family import IMAGENET_TABLES, accuracies, law, model

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from costmodel.core.network import Network
    from costmodel.metrics.devices import Device

    Array = NDArray[Any]


def distinct_alphas(
    network: Network, rounding: str | None = None, most: Fraction = Fraction(3, 2)
) -> tuple[Fraction, ...]:
    """An α for every distinct network that `widen` makes up to `most`: the shortest decimal.

    >>> from costmodel import mobilenet_v1
    >>> len(distinct_alphas(mobilenet_v1()))
    1529

    Under `floor`, C channels change at α = k/C; under `divisible(n)`, at the midpoints between
    multiples of n and where the 90 % rule takes over.
    """
    divisor = rounding_divisor(network.rounding if rounding is None else rounding)
    if divisor is None:
        raise CostModelError("rounding exact has no steps to list; choose floor or divisible(8)")
    columns = cost_function(network, over="widths", rounding=rounding).columns
    if not columns:
        return (min(Fraction(1), most),)
    _check_steps(columns, divisor, most)
    steps = sorted({step for c in columns for step in _steps(c, divisor, most)} | {most})
    between = [(a + b) / 2 for a, b in zip([Fraction(0), *steps], steps, strict=False)]
    candidates = sorted({*steps, *between} - {Fraction(0)})
    counts = _counts(columns, candidates, divisor)
    starts = [0, *(i for i in range(1, len(candidates)) if counts[i] != counts[i - 1])]
    ends = [*starts[1:], len(candidates)]
    return tuple(_shortest(candidates[i:j]) for i, j in zip(starts, ends, strict=True))


def _check_steps(columns: Sequence[Column], divisor: int, most: Fraction) -> None:
    """Refuse, before they are listed, more steps than a few seconds allow."""
    widths = {(column.channels, lcm(divisor, column.groups)) for column in columns}
    steps = sum(int(most * channels) // step for channels, step in widths)
    if steps > MOST_STEPS:
        raise CostModelError(
            f"the widths up to α = {most} change at {steps:,} values, more than the "
            f"{MOST_STEPS:,} that are listed; give alphas"
        )


def _steps(column: Column, divisor: int, most: Fraction) -> set[Fraction]:
    """Where a column's count may change."""
    channels, groups = column.channels, column.groups
    if divisor == 1:
        last = int(most * channels) // groups
        return {Fraction(k * groups, channels) for k in range(1, last + 1)}
    step = lcm(divisor, groups)
    last = int(most * channels) // step + 1
    halves = {Fraction(2 * k + 1, 2) * step / channels for k in range(last)}
    tenths = {Fraction(10 * k, 9) * step / channels for k in range(1, last + 1)}
    return {alpha for alpha in halves | tenths if alpha <= most}


def _counts(
    columns: Sequence[Column], alphas: Sequence[Fraction], divisor: int
) -> list[tuple[int, ...]]:
    """The channel counts of every column at every α."""
    rows = {
        (c.channels, c.grows, c.groups): [
            scale_channels(
                c.channels, max(alpha, Fraction(1)) if c.grows else alpha, divisor, c.groups
            )
            for alpha in alphas
        ]
        for c in columns
    }
    return list(zip(*rows.values(), strict=True))


def _shortest(alphas: Sequence[Fraction]) -> Fraction:
    """The decimal of fewest digits from the first α to the last, else the first."""
    first, last = alphas[0], alphas[-1]
    for digits in range(1, 7):
        ten = 10**digits
        rounded = Fraction(-(-first.numerator * ten // first.denominator), ten)
        if rounded <= last:
            return rounded
    return first


@dataclass(frozen=True)
class Choice:
    """A network: its α and resolution, what it costs, and how accurate it is said to be.

    Each of the `quantities` that may be limited is an attribute: `choice.macs`.
    """

    alpha: Fraction
    resolution: int
    quantities: Mapping[str, Any]
    top1: float | None
    estimated: bool

    def __getattr__(self, name: str) -> Any:
        """One of the quantities."""
        try:
            return self.__dict__["quantities"][name]
        except KeyError:
            raise AttributeError(f"a choice has no {name}") from None


@dataclass(frozen=True, eq=False)
class Plan:
    """What fits the limits, the choice and why; `choice` is None where nothing fits.

    `binding` are the limits that a better network breaks alone (where each breaks several, those
    that `larger` breaks; where nothing fits, those that `smallest` breaks), and `head_room` is
    the part of each limit that the choice leaves. `larger` is, of the networks that are better
    and break the fewest limits, the next one; `smaller` the next worse that fits. `front` is the
    Pareto front of what fits, between the objective and the quantity `against`. `fits` says of
    each α and resolution of `swept` whether it is within limits.
    """

    network: Network
    rules: MemoryRules
    limits: tuple[Limit, ...]
    objective: str
    choice: Choice | None
    binding: tuple[str, ...]
    head_room: Mapping[str, float]
    larger: Choice | None
    smaller: Choice | None
    smallest: Choice
    against: str
    front: tuple[Choice, ...]
    swept: Sweep
    fits: Array

    @property
    def candidates(self) -> int:
        """How many networks were considered."""
        return int(self.fits.size)

    @property
    def feasible(self) -> int:
        """How many of them fit."""
        return int(self.fits.sum())


#: Values of α at which some width changes, that `distinct_alphas` lists.
MOST_STEPS = 50_000
#: A plan holds about a hundred bytes for each candidate (a benchmark measures it).
MOST_CANDIDATES = 2 * 10**7


def plan(  # noqa: PLR0913 - all but the first have defaults
    network: Network,
    *,
    resolutions: Sequence[int] = tuple(range(96, 225, 32)),
    alphas: Sequence[Any] | None = None,
    rounding: str | None = None,
    rules: MemoryRules = DEFAULT,
    device: Device | None = None,
    **most: Any,
) -> Plan:
    """The best network within limits, over every distinct width and some resolutions.

    The limits are max_macs, max_params, max_flash, max_peak_memory and, on a device, max_latency:
    what `costmodel.planners.limits.limited` names.

    The objective is ImageNet top-1 for MobileNetV1 with 1000 classes (as printed, else estimated,
    see `estimate`; to a tenth of a percent, and of equals the printed), and the most MACs for any
    other network.

    >>> from costmodel import mobilenet_v1
    >>> made = plan(mobilenet_v1(), max_macs="150M", max_params="2M")
    >>> made.choice.alpha, made.choice.resolution, made.choice.macs, made.binding
    (Fraction(1, 2), 224, 149497088, ('max_macs',))

    Raises CostModelError for limits that are no positive amounts, for empty grids and for more
    than 2·10⁷ candidates.
    """
    within = limits(most, device)
    if not within:
        raise CostModelError(f"a plan needs a limit; give one of {', '.join(limited())}")
    if rounding is not None:
        network = replace(network, rounding=rounding)
    values = distinct_alphas(network) if alphas is None else _given(alphas)
    if len(values) * len(resolutions) > MOST_CANDIDATES:
        size = f"{len(values):,} widths × {len(resolutions):,} resolutions"
        raise CostModelError(f"a plan holds at most 2·10⁷ candidates, got {size}; give fewer")
    swept = sweep(network, list(values), list(resolutions), rules=rules, device=device)
    if swept.unknown:
        raise CostModelError(f"no rule for {', '.join(swept.unknown)}: no plan without their cost")
    table = _Table(network, tuple(values), swept)
    return _planned(table, within, rules)


def _given(alphas: Sequence[Any]) -> tuple[Fraction, ...]:
    return tuple(sorted({multiplier(alpha, "alpha", MAX_ALPHA) for alpha in alphas}))


@cache
def _printed_by_macs() -> tuple[Array, Array]:
    """The MACs of the models whose ImageNet accuracy the paper prints, rising, and that."""
    printed = accuracies("mobilenet_v1_paper", IMAGENET_TABLES)
    points = sorted((cost(model(*key)).macs, top1.percent) for key, top1 in printed.items())
    return np.array([m for m, _ in points], dtype=float), np.array([top1 for _, top1 in points])


def estimate(macs: Array) -> Array:
    """ImageNet top-1 of MobileNetV1 at some MACs, in percent, to a tenth.

    The log-linear law (`costmodel.published.family.law`), but never below what is printed for a
    network of fewer MACs, nor above what is printed for one of more: so that a better estimate
    always takes more MACs, and no estimate contradicts the print.

    >>> estimate(np.array([30e6, 239273472.0])).tolist()
    [50.6, 65.8]
    """
    known, percents = _printed_by_macs()
    least = np.concatenate(([0], np.maximum.accumulate(percents)))
    most = np.concatenate((np.minimum.accumulate(percents[::-1])[::-1], [100]))
    fitted = law().intercept + law().slope * np.log2(macs)
    low, high = (np.searchsorted(known, macs, side) for side in ("right", "left"))
    bounded: Array = np.round(np.clip(fitted, least[low], most[high]), 1)
    return bounded


class _Table:
    """Every candidate, flat: its quantities and what the objective makes of it."""

    def __init__(self, network: Network, alphas: tuple[Fraction, ...], swept: Sweep) -> None:
        self.network, self.alphas, self.swept = network, alphas, swept
        names = [row.name for row in limited().values() if row.name in swept.factors]
        self.quantities = {name: swept.evaluate(name).reshape(-1) for name in names}
        self.objective = "macs"
        self.score: Array = self.quantities["macs"]
        self.printed: Array = np.zeros(len(self.score), dtype=bool)
        if _has_accuracies(network):
            self.objective = "top1"
            self.score = estimate(self.score.astype(float))
            for cell, percent in self._printed():
                self.score[cell], self.printed[cell] = percent, True

    def _printed(self) -> Iterator[tuple[int, float]]:
        """The cells whose accuracy the paper prints."""
        places = {alpha: i for i, alpha in enumerate(self.alphas)}
        sides = {side: i for i, side in enumerate(self.swept.resolution.tolist())}
        printed = accuracies("mobilenet_v1_paper", IMAGENET_TABLES)
        for (alpha, side), accuracy in printed.items():
            if alpha in places and side in sides:
                yield places[alpha] * len(sides) + sides[side], accuracy.percent

    def order(self) -> Array:
        """From the worst to the best: by score, of equals the printed, then the most MACs."""
        macs, params = (_ranks(self.quantities[name]) for name in ("macs", "params"))
        by: Array = np.lexsort((-params, macs, self.printed, _ranks(self.score)))
        return by

    def smallest(self) -> int:
        """The cell of fewest MACs, and of those of fewest params."""
        macs, params = (_ranks(self.quantities[name]) for name in ("macs", "params"))
        return int(np.lexsort((params, macs))[0])

    def built(self, cell: int) -> Choice:
        """A candidate in exact integers."""
        row, column = divmod(cell, len(self.swept.resolution))
        counts = {name: self.swept.value(name, x[cell]) for name, x in self.quantities.items()}
        top1 = float(self.score[cell]) if self.objective == "top1" else None
        estimated = top1 is not None and not self.printed[cell]
        side = int(self.swept.resolution[column])
        return Choice(self.alphas[row], side, counts, top1, estimated)

    def choice(self, cell: int | None) -> Choice | None:
        """A candidate, if there is one."""
        return None if cell is None else self.built(cell)

    def head_room(self, cell: int, limits: Iterable[Limit]) -> dict[str, float]:
        """The part of each limit that a candidate leaves."""
        return {x.name: 1 - float(self.quantities[x.quantity][cell] / x.most) for x in limits}


def _ranks(values: Array) -> Array:
    """Values that sort as these do, which Python's integers in an array do not."""
    if values.dtype != object:
        return values
    ranks: Array = np.unique(values, return_inverse=True)[1]
    return ranks


def _has_accuracies(network: Network) -> bool:
    classes = getattr(network.layers[-1], "out_features", None)
    return (
        network.name == "mobilenet_v1"
        and network.rounding == "floor"
        and getattr(classes, "count", None) == 1000  # noqa: PLR2004 - ImageNet's
    )


def _planned(table: _Table, limits: tuple[Limit, ...], rules: MemoryRules) -> Plan:
    within = {x.name: (table.quantities[x.quantity] <= x.most).astype(bool) for x in limits}
    fits = np.logical_and.reduce(list(within.values()))
    order = table.order()
    ranked = order[fits[order]]
    best = int(ranked[-1]) if len(ranked) else None
    smallest = table.smallest()
    if best is None:
        larger = smaller = None
        binding = tuple(name for name, inside in within.items() if not inside[smallest])
    else:
        above, below = _apart(table.score, order, ranked)
        larger, binding = _next_better(above, within)
        smaller = int(below[-1]) if len(below) else None
    against = _against(limits, binding)
    return Plan(
        network=table.network,
        rules=rules,
        limits=limits,
        objective=table.objective,
        choice=table.choice(best),
        binding=binding,
        head_room={} if best is None else table.head_room(best, limits),
        larger=table.choice(larger),
        smaller=table.choice(smaller),
        smallest=table.built(smallest),
        against=against,
        front=tuple(map(table.built, _front(table, ranked, against))),
        swept=table.swept,
        fits=fits.reshape(table.swept.shape),
    )


def _apart(score: Array, order: Array, ranked: Array) -> tuple[Array, Array]:
    """What is better than the best that fits, and what fits and is worse, from worst to best."""
    highest = score[ranked[-1]]
    better = order[int(np.searchsorted(score[order], highest, "right")) :]
    return better, ranked[: int(np.searchsorted(score[ranked], highest, "left"))]


def _next_better(above: Array, within: Mapping[str, Array]) -> tuple[int | None, tuple[str, ...]]:
    """Of what breaks the fewest limits the first, and the limits that bind.

    A limit binds where a better network breaks it alone; where each breaks several, those that
    the first breaks.
    """
    if not len(above):
        return None, ()
    broken = np.array([~inside[above] for inside in within.values()])
    counts = broken.sum(axis=0)
    first = int(counts.argmin())
    alone = broken & (counts == 1)
    binds = alone.any(axis=1) if counts[first] == 1 else broken[:, first]
    return int(above[first]), tuple(
        name for name, is_bound in zip(within, binds, strict=True) if is_bound
    )


def _against(limits: tuple[Limit, ...], binding: tuple[str, ...]) -> str:
    """What the objective is traded for: a limited quantity, one that binds first, but not MACs.

    More MACs are what makes a network better here, so that against them all would be a front.
    """
    others = [x for x in limits if x.quantity != "macs"]
    return max(others, key=lambda x: x.name in binding).quantity if others else "params"


def _front(table: _Table, ranked: Array, quantity: str) -> list[int]:
    """The Pareto front among what fits, between the objective and one limited quantity.

    From the best down, each that takes less than all before it.
    """
    best_first = ranked[::-1]
    spent = table.quantities[quantity][best_first]
    fresh = np.ones(len(ranked), dtype=bool)
    fresh[1:] = spent[1:] < np.minimum.accumulate(spent)[:-1]
    return [int(cell) for cell in best_first[fresh]]
