"""Plans: which α and which resolution fit a budget, over every network that there is.

A decimal grid of α misses networks and repeats others. Channel counts change at rational α
only, so the distinct networks can be listed, each once, and swept.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from costmodel.arithmetic import MAX_ALPHA, multiplier, rounding_divisor
from costmodel.errors import CostModelError
from costmodel.family import IMAGENET_TABLES, accuracies, law
from costmodel.functions import Column, width_function
from costmodel.memory import DEFAULT, MemoryRules
from costmodel.sweeping import Sweep, scaled_channels, sweep

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from costmodel.network import Network

    Array = NDArray[Any]

#: What may be limited, and the sweep's quantity that it limits.
LIMITS = {
    "max_macs": "macs",
    "max_params": "params",
    "max_peak_memory": "peak_bytes",
    "max_flash": "weight_bytes",
}
_COUNTS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_BYTES = {"B": 1}
_BYTES |= {f"{p}B": 10 ** (3 * (i + 1)) for i, p in enumerate("kMGT")} | {"KB": 1000}
_BYTES |= {f"{p}iB": 2 ** (10 * (i + 1)) for i, p in enumerate("KMGT")}
_AMOUNT = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)")


def amount(value: Any, name: str) -> int:
    """A limit: 150M or 1.2G of MACs and params, 512KB (10³) or 512KiB (2¹⁰) of memory.

    >>> amount("1.2G", "max_macs"), amount("512KiB", "max_flash"), amount("512KB", "max_flash")
    (1200000000, 524288, 512000)

    Raises CostModelError for what is no positive amount, and for bytes without a unit.
    """
    units = _BYTES if LIMITS[name].endswith("bytes") else _COUNTS
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    found = _AMOUNT.fullmatch(str(value).strip())
    if not found or found[2] not in units or Fraction(found[1]) <= 0:
        known = ", ".join(filter(None, units))
        raise CostModelError(f"{name} must be a positive amount in {known}, got {value!r}")
    return int(Fraction(found[1]) * units[found[2]])


def distinct_alphas(
    network: Network, rounding: str = "floor", most: Fraction = Fraction(3, 2)
) -> tuple[Fraction, ...]:
    """An α for every distinct network that `widen` makes up to `most`: the shortest decimal.

    >>> from costmodel import mobilenet_v1
    >>> len(distinct_alphas(mobilenet_v1()))
    1529

    Under `floor`, C channels change at α = k/C; under `divisible(n)`, at the midpoints between
    multiples of n and where the 90 % rule takes over.
    """
    divisor = rounding_divisor(rounding)
    if divisor is None:
        raise CostModelError("rounding exact has no steps to list; choose floor or divisible(8)")
    columns = width_function(network, rounding).columns
    steps = sorted({step for c in columns for step in _steps(c, divisor, most)} | {most})
    between = [(a + b) / 2 for a, b in zip([Fraction(0), *steps], steps, strict=False)]
    candidates = sorted({*steps, *between} - {Fraction(0)})
    counts = _counts(columns, candidates, divisor)
    starts = [0, *(i for i in range(1, len(candidates)) if counts[i] != counts[i - 1])]
    ends = [*starts[1:], len(candidates)]
    return tuple(_shortest(candidates[i:j]) for i, j in zip(starts, ends, strict=True))


def _steps(column: Column, divisor: int, most: Fraction) -> set[Fraction]:
    """Where a column's count may change."""
    channels, groups = column.channels, column.groups
    if divisor == 1:
        last = int(most * channels) // groups
        return {Fraction(k * groups, channels) for k in range(1, last + 1)}
    step = int(np.lcm(divisor, groups))
    last = int(most * channels) // step + 1
    halves = {Fraction(2 * k + 1, 2) * step / channels for k in range(last)}
    tenths = {Fraction(10 * k, 9) * step / channels for k in range(1, last + 1)}
    return {alpha for alpha in halves | tenths if alpha <= most}


def _counts(
    columns: Sequence[Column], alphas: Sequence[Fraction], divisor: int
) -> list[tuple[int, ...]]:
    """The channel counts of every column at every α, exactly."""
    values: Array = np.array(alphas, dtype=object)
    rows = {}
    for column in columns:
        factors = np.maximum(values, 1) if column.grows else values
        key = (column.channels, column.grows, column.groups)
        if key not in rows:
            rows[key] = scaled_channels(column.channels, factors, divisor, column.groups)
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


class Choice(NamedTuple):
    """A network: its α and resolution, what it costs, and how accurate it is said to be."""

    alpha: Fraction
    resolution: int
    macs: int
    params: int
    peak_bytes: int
    weight_bytes: int
    top1: float | None
    estimated: bool


@dataclass(frozen=True)
class Plan:
    """What fits the limits, the choice and why; `choice` is None where nothing fits.

    `binding` are the limits that the next better network would break (or, where nothing fits,
    that the smallest network breaks); `head_room` is the part of each limit the choice leaves.
    """

    limits: Mapping[str, int]
    objective: str
    candidates: int
    feasible: int
    choice: Choice | None
    binding: tuple[str, ...]
    head_room: Mapping[str, float]
    larger: Choice | None
    smaller: Choice | None
    smallest: Choice
    front: tuple[Choice, ...]
    swept: Sweep


def plan(  # noqa: PLR0913 - one for each option of the command
    network: Network,
    *,
    max_macs: Any = None,
    max_params: Any = None,
    max_peak_memory: Any = None,
    max_flash: Any = None,
    resolutions: Sequence[int] = tuple(range(96, 225, 32)),
    alphas: Sequence[Any] | None = None,
    rounding: str = "floor",
    rules: MemoryRules = DEFAULT,
) -> Plan:
    """The best network within limits, over every distinct width and some resolutions.

    The objective is ImageNet top-1 for MobileNetV1 with 1000 classes (as printed, else by the
    log-linear law), and the most MACs for any other network.

    >>> from costmodel import mobilenet_v1
    >>> made = plan(mobilenet_v1(), max_macs="150M", max_params="2M")
    >>> made.choice.alpha, made.choice.resolution, made.choice.macs, made.binding
    (Fraction(1, 2), 224, 149497088, ('max_macs', 'max_params'))

    Raises CostModelError for limits that are no positive amounts, and for empty grids.
    """
    given = {
        "max_macs": max_macs,
        "max_params": max_params,
        "max_peak_memory": max_peak_memory,
        "max_flash": max_flash,
    }
    limits = {name: amount(value, name) for name, value in given.items() if value is not None}
    if not limits:
        raise CostModelError(f"a plan needs a limit; give one of {', '.join(LIMITS)}")
    values = distinct_alphas(network, rounding) if alphas is None else _given(alphas)
    swept = sweep(network, list(values), list(resolutions), rounding=rounding, rules=rules)
    if swept.unknown:
        raise CostModelError(f"no rule for {', '.join(swept.unknown)}: no plan without their cost")
    return _planned(_Table(network, tuple(values), swept, rounding), limits)


def _given(alphas: Sequence[Any]) -> tuple[Fraction, ...]:
    return tuple(sorted({multiplier(alpha, "alpha", MAX_ALPHA) for alpha in alphas}))


class _Table:
    """Every candidate, flat: its quantities and what the objective makes of it."""

    def __init__(
        self, network: Network, alphas: tuple[Fraction, ...], swept: Sweep, rounding: str
    ) -> None:
        self.alphas, self.swept = alphas, swept
        self.quantities = {name: swept.evaluate(name).reshape(-1) for name in LIMITS.values()}
        self.printed: Mapping[int, float] = {}
        macs = self.quantities["macs"]
        self.objective = "macs"
        self.score: Array = macs.astype(float)
        if _has_accuracies(network, rounding):
            self.objective = "top1"
            self.score = law().intercept + law().slope * np.log2(self.score)
            self.printed = self._printed()
            for cell, percent in self.printed.items():
                self.score[cell] = percent

    def _printed(self) -> dict[int, float]:
        """The cells whose accuracy the paper prints."""
        sides = self.swept.resolution.tolist()
        places = {alpha: i for i, alpha in enumerate(self.alphas)}
        return {
            places[alpha] * len(sides) + sides.index(side): accuracy.percent
            for (alpha, side), accuracy in accuracies("mobilenet_v1_paper", IMAGENET_TABLES).items()
            if alpha in places and side in sides
        }

    def choice(self, cell: int) -> Choice:
        """A candidate in exact integers."""
        row, column = divmod(cell, len(self.swept.resolution))
        counts = {name: int(values[cell]) for name, values in self.quantities.items()}
        top1 = round(float(self.score[cell]), 1) if self.objective == "top1" else None
        estimated = top1 is not None and cell not in self.printed
        side = int(self.swept.resolution[column])
        return Choice(self.alphas[row], side, **counts, top1=top1, estimated=estimated)


def _has_accuracies(network: Network, rounding: str) -> bool:
    classes = getattr(network.layers[-1], "out_features", None)
    return (
        network.name == "mobilenet_v1"
        and rounding == "floor"
        and getattr(classes, "count", None) == 1000  # noqa: PLR2004 - ImageNet's
    )


def _planned(table: _Table, limits: Mapping[str, int]) -> Plan:
    within = {name: table.quantities[LIMITS[name]] <= limit for name, limit in limits.items()}
    fits = np.logical_and.reduce(list(within.values()))
    # Ties go to fewer MACs: the order is by score, then by MACs from high to low.
    order = np.lexsort((-table.quantities["macs"], table.score))
    ranked = order[fits[order]]
    smallest = int(np.lexsort((table.quantities["params"], table.quantities["macs"]))[0])
    if not len(ranked):
        broken = tuple(name for name, inside in within.items() if not inside[smallest])
        broken = broken or tuple(name for name, inside in within.items() if not inside.any())
        return Plan(
            limits,
            table.objective,
            len(fits),
            0,
            None,
            broken or tuple(limits),
            {},
            None,
            None,
            table.choice(smallest),
            (),
            table.swept,
        )
    best = int(ranked[-1])
    above = order[bisect_right(table.score[order], table.score[best]) :]
    larger = next((int(cell) for cell in above if not fits[cell]), None)
    binding = () if larger is None else tuple(n for n, i in within.items() if not i[larger])
    return Plan(
        limits,
        table.objective,
        len(fits),
        int(fits.sum()),
        table.choice(best),
        binding,
        {n: 1 - int(table.quantities[LIMITS[n]][best]) / limit for n, limit in limits.items()},
        None if larger is None else table.choice(larger),
        table.choice(int(ranked[-2])) if len(ranked) > 1 else None,
        table.choice(smallest),
        _front(table, ranked, binding[0] if binding else next(iter(limits))),
        table.swept,
    )


def _front(table: _Table, ranked: Array, limit: str) -> tuple[Choice, ...]:
    """The Pareto front among what fits, between the objective and one limited quantity.

    From the best score down, each that takes less than all before it.
    """
    best_first = ranked[::-1]
    spent = table.quantities[LIMITS[limit]][best_first]
    least = np.minimum.accumulate(spent)
    fresh = np.concatenate(([True], spent[1:] < least[:-1]))
    return tuple(table.choice(int(cell)) for cell in best_first[fresh])
