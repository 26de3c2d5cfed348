"""Networks and variants side by side, with ratios to the first."""

from __future__ import annotations

import json
from fractions import Fraction
from itertools import chain
from typing import TYPE_CHECKING, Any

from costmodel.core.quantities import QUANTITIES
from costmodel.show.grid import Grid
from costmodel.show.record import as_dict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from costmodel.core.cost import Cost
    from costmodel.reports.report import Report


def grid(reports: Sequence[Report], names: Sequence[str]) -> Grid:
    """A row each; the ratios are exact quotients of the integers beside them, to the first."""
    first = reports[0].total
    rows = tuple(
        (name, *_cells(report.total, first)) for name, report in zip(names, reports, strict=True)
    )
    titles = ((row.title, *("× first",) * row.column) for row in QUANTITIES.values())
    return Grid("Side by side", ("network", *chain(*titles)), rows)


def _cells(total: Cost, first: Cost) -> Iterator[str]:
    bound = "≥ " if total.unknown else ""
    for name, row in QUANTITIES.items():
        yield f"{bound}{getattr(total, name):,}"
        if row.column:
            yield _times(getattr(total, name), getattr(first, name))


def _times(count: int, first: int) -> str:
    return f"{float(Fraction(count, first)):.4g}" if first else "–"


def to_json(reports: Sequence[Report]) -> str:
    """For a program."""
    return json.dumps([_record(report) for report in reports], indent=2, ensure_ascii=False) + "\n"


def _record(report: Report) -> dict[str, Any]:
    plain = as_dict(report)
    settings = {key: plain[key] for key in ("alpha", "resolution", "classes")}
    counts = {key: plain["totals"][key] for key in QUANTITIES}
    unknown = {"unknown": plain["totals"]["unknown"]} if report.total.unknown else {}
    return {"name": plain["network"]} | settings | counts | unknown
