"""Devices from tables: constants fitted to printed milliseconds of networks, and how well they do.

A runtime that prints such tables folds batch norm and activations into the convolutions before
them, and a handful of rows warrants a handful of constants: those that predict what is left out.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any, NamedTuple

from costmodel.algebra.numbers import positive_integer, rational
from costmodel.core.cost import cost
from costmodel.core.rewrite import resize, widen
from costmodel.core.symbolic import require_numbers
from costmodel.errors import CostModelError
from costmodel.metrics.devices import ELEMENTWISE, PRODUCT, Constants, Device
from costmodel.metrics.memory import MemoryRules, known_layers
from costmodel.metrics.timing import Amounts, amounts, kind, takes_time
from costmodel.planners.limits import sides
from costmodel.published import TIMES, table
from costmodel.reports.loading import base_network

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence

    from costmodel.core.lower import Lowered
    from costmodel.core.network import Network
    from costmodel.metrics.fitting import Judged

_COLUMNS = ("network", "alpha", "resolution", "ms")
#: What a network's row may say of it.
SETTINGS = ("network", "alpha", "resolution", "classes", "in_channels")
_LEAST_ROWS = 4
#: Of a time in milliseconds.
_SHORTEST, _LONGEST = 1e-6, 1e9
#: How far a prediction is off, and rows are from each other, where a unit is wrong.
_FAR, _FARTHER = 10, 100


@dataclass(frozen=True)
class Measured:
    """A row of a table: a network at its width and resolution, and what it takes."""

    line: int
    #: What the table says: network, alpha, resolution and, where it has them, the others.
    said: Mapping[str, str]
    network: Network
    seconds: float


class Term(NamedTuple):
    """A constant that a device may have: of what (a field of Constants), for which operators."""

    name: str
    constant: str
    operators: frozenset[str]


_LINEAR, _DEPTHWISE = "linear", "depthwise"
_CONVOLUTIONS = frozenset({PRODUCT, _DEPTHWISE})
_PRODUCTS = _CONVOLUTIONS | {_LINEAR}
#: From what is sure to take time to what a runtime spares; the first is always fitted.
TERMS = (
    Term("MACs", "work_per_s", _PRODUCTS),
    Term("activations written", "written_per_s", _PRODUCTS),
    Term("activations read", "read_per_s", _PRODUCTS),
    Term("weights of linear layers", "weights_per_s", frozenset({_LINEAR})),
    Term("weights of convolutions", "weights_per_s", _CONVOLUTIONS),
    Term("starting an operator", "start_s", _PRODUCTS),
    Term("MACs of depthwise layers", "work_per_s", frozenset({_DEPTHWISE})),
    Term("elementwise operators", "written_per_s", frozenset({ELEMENTWISE})),
)
_STEPS = ("start_s", *(f"{name}_per_s" for name in Amounts._fields))


def off(ratios: Iterable[float]) -> list[float]:
    """How far each prediction is off, relative.

    >>> off([0.75, 1.5])
    [0.25, 0.5]
    """
    return [abs(ratio - 1) for ratio in ratios]


def within(errors: Sequence[float], share: int = 90) -> float:
    """What a share, in percent, of some errors are within.

    >>> within([0.1, 0.2, 0.3, 0.4, 0.5])
    0.46
    """
    every = sorted(errors)
    return quantiles(every, n=100, method="inclusive")[share - 1] if every[1:] else every[0]


@dataclass(frozen=True)
class TableFit:
    """A device, the rows it is from, and what is predicted for each where it was left out."""

    rows: tuple[Measured, ...]
    terms: tuple[Term, ...]
    device: Device
    #: What was left out in turn (network, width), and what was predicted then.
    judged: Mapping[str, Judged]
    #: The one of them with the largest median error, which is the device's.
    hardest: str

    @property
    def ratios(self) -> tuple[float, ...]:
        """Predicted over measured of each row, chosen and fitted without it and its like."""
        return self.judged[self.hardest].anew


def fit_table(  # noqa: PLR0913 - what a device says of itself
    source: str,
    name: str,
    *,
    dtype: str = "float32",
    machine: str | None = None,
    runtime: str = "not said",
    threads: int | str = 1,
) -> TableFit:
    """Fit a device to a table that comes along or a CSV file: network, alpha, resolution, ms.

    classes and in_channels are read, too, and others ignored; the machine is what a column `device`
    says, where it says one thing. Which constants there are is chosen by what they predict of rows
    that are left out (`costmodel.metrics.fitting.chosen`): each width in turn and, where there are
    several, each network. The device's error is that of rows that neither its constants nor their
    choice had seen, of the harder of the two.

    >>> fit = fit_table("stm32h7_mobilenets_int8", "h7", dtype="int8")
    >>> [term.name for term in fit.terms]
    ['MACs', 'activations written', 'weights of linear layers']

    Raises CostModelError, with the line, for what is no such table and for fewer than four rows.
    """
    rules = MemoryRules(dtype)
    count = positive_integer(threads, "threads")
    records = _records(source)
    rows = tuple(_measured(f"{source}, line {line}", line, record) for line, record in records)
    devices = {record.get("device") or "" for _, record in records}
    plain = Device(
        name,
        machine or (devices.pop() if len(devices) == 1 else "") or name,
        runtime,
        count,
        dtype,
        datetime.now().astimezone().date().isoformat(),
        f"{len(rows)} rows of {Path(source).name}",
        "nothing yet",
        0,
        0,
        {PRODUCT: Constants(), ELEMENTWISE: Constants()},
    )
    fit = _fitted(rows, [_totals(row, rules, source) for row in rows], plain)
    _check_units(source, fit)
    return fit


def _records(source: str) -> list[tuple[int, dict[str, Any]]]:
    """The lines of a table that are not blank, by column."""
    reader = csv.DictReader(io.StringIO(table(source, TIMES)))
    try:
        heading = list(reader.fieldnames or ())
        found = [(reader.line_num, record) for record in reader]
    except csv.Error as error:
        raise CostModelError(f"cannot read {source}: {error}; name a CSV file") from None
    if not heading:
        raise CostModelError(f"{source} is empty; give {', '.join(_COLUMNS)} and a row for each")
    for column in _COLUMNS:
        if heading.count(column) != 1:
            what = "is there twice; keep one" if column in heading else "is missing; add it"
            unit = ", in milliseconds" * (column == "ms")
            has = ", ".join(heading)
            raise CostModelError(f"{source}: column {column!r} {what}{unit} (it has {has})")
    for line, record in found:
        if None in record or None in record.values():
            what = "more" if None in record else "fewer"
            raise CostModelError(
                f"{source}, line {line}: has {what} cells than the heading; a comma is no decimal "
                "point"
            )
    if len(found) < _LEAST_ROWS:
        rule = f"a device takes at least {_LEAST_ROWS} rows"
        raise CostModelError(f"{source}: {rule}, got {len(found)}; add more")
    return found


def _measured(where: str, line: int, record: dict[str, Any]) -> Measured:
    try:
        base, _ = base_network(record["network"], record.get("classes") or None)
        if channels := record.get("in_channels"):
            base = _with_channels(base, positive_integer(channels, "in_channels"))
        sized = resize(base, resolution=sides(record["resolution"]))
        network = widen(sized, record["alpha"])
        require_numbers(network, "a device's table")
    except CostModelError as error:
        raise CostModelError(f"{where}: {error}") from None
    try:
        ms = float(rational(record["ms"], "ms"))
    except (CostModelError, OverflowError):
        ms = 0.0
    if not _SHORTEST <= ms <= _LONGEST:
        rule = "ms must be a number of milliseconds above 0 and without a unit, such as 73.8"
        raise CostModelError(f"{where}: {rule}; got {record['ms']!r}")
    said = {column: record[column].strip() for column in SETTINGS if record.get(column)}
    return Measured(line, said, network, ms / 1000)


def _with_channels(network: Network, channels: int) -> Network:
    """The network for images of so many channels."""
    given = {
        layer.name: layer.evolve(shape=(layer.shape[0], channels, *layer.shape[2:]))
        for layer in network.inputs
    }
    return network.with_layers(given.get(layer.name, layer) for layer in network.layers)


def _totals(row: Measured, rules: MemoryRules, source: str) -> list[float]:
    """What each term counts in a network."""
    try:
        layers = known_layers(row.network)
    except CostModelError as error:
        raise CostModelError(f"{source}, line {row.line}: {error}") from None
    busy = [x for x, timed in zip(layers, takes_time(layers), strict=True) if timed]
    counted = [(_operator(x), dict(_steps(x, rules))) for x in busy]
    return [
        float(sum(steps[t.constant] for operator, steps in counted if operator in t.operators))
        for t in TERMS
    ]


def _operator(x: Lowered) -> str:
    """Which of the operators that terms tell apart a layer is."""
    if not x.nests:
        return ELEMENTWISE
    return kind(x) if kind(x) in _PRODUCTS else PRODUCT


def _steps(x: Lowered, rules: MemoryRules) -> Iterator[tuple[str, int]]:
    yield from zip(_STEPS, (1, *amounts(x, rules)), strict=True)


def _fitted(rows: tuple[Measured, ...], totals: list[list[float]], plain: Device) -> TableFit:
    from costmodel.metrics.fitting import choice

    labels: dict[str, list[Hashable]] = {
        "network": [row.said["network"] for row in rows],
        "width": [rational(row.said["alpha"], "alpha") for row in rows],
    }
    made = choice(totals, [row.seconds for row in rows], labels)
    terms = {
        TERMS[column]: value
        for column, value in zip(made.columns, made.coefficients, strict=True)
        if value
    }
    hardest = max(made.judged, key=lambda name: median(off(made.judged[name].anew)))
    unseen = off(made.judged[hardest].anew)
    device = replace(
        plain,
        judged_on=f"each {hardest} left out in turn, as the constants were chosen and fitted",
        error=round(median(unseen), 4),
        spread=round(within(unseen), 4),
        kinds=_kinds(terms),
    )
    return TableFit(rows, tuple(terms), device, made.judged, hardest)


def _kinds(terms: Mapping[Term, float]) -> dict[str, Constants]:
    """The constants of each operator: of several terms that say the same, the times add up."""
    kinds = {}
    for operator in (PRODUCT, _DEPTHWISE, _LINEAR, ELEMENTWISE):
        slopes = dict.fromkeys(_STEPS, 0.0)
        for term, value in terms.items():
            slopes[term.constant] += value if operator in term.operators else 0
        start = _rounded(slopes.pop("start_s"))
        rates = {name: _rounded(1 / slope) for name, slope in slopes.items() if slope}
        kinds[operator] = Constants(start, **rates)
    return {
        operator: constants
        for operator, constants in kinds.items()
        if operator in {PRODUCT, ELEMENTWISE} or constants != kinds[PRODUCT]
    }


def _rounded(constant: float) -> float:
    """To the digits that a fit to milliseconds has, and more."""
    return float(f"{constant:.5g}")


def _check_units(source: str, fit: TableFit) -> None:
    """Refuse rows that lie apart by orders of magnitude where no constants explain it."""
    if all(1 / _FAR < ratio < _FAR for ratio in fit.ratios):
        return
    paces = sorted((cost(row.network).macs / row.seconds, row.line) for row in fit.rows)
    gaps = [after / max(before, 1) for (before, _), (after, _) in pairwise(paces)]
    if max(gaps) < _FARTHER:
        return
    at = gaps.index(max(gaps)) + 1
    odd, *_ = min(paces[:at], paces[at:], key=len)
    raise CostModelError(
        f"{source}, line {odd[1]}: its ms are {max(gaps):.0f} times off what other rows take for "
        "their MACs; give all in milliseconds"
    )
