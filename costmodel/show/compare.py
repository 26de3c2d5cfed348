"""Networks and variants side by side, with ratios to the first."""

from __future__ import annotations

import json
from fractions import Fraction
from itertools import chain
from typing import TYPE_CHECKING, Any

from costmodel.reports.timing import device_record
from costmodel.show.grid import Grid
from costmodel.show.record import as_dict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from costmodel.algebra.arithmetic import Dim
    from costmodel.core.cost import Cost
    from costmodel.reports.report import Report


def grid(reports: Sequence[Report], names: Sequence[str]) -> Grid:
    """A row each; the ratios are exact quotients of the integers beside them, to the first."""
    first = reports[0].total
    rows = tuple(
        (name, *_cells(report, first)) for name, report in zip(names, reports, strict=True)
    )
    asked = reports[0].quantities.values()
    titles = ((row.title, *("× first",) * row.column) for row in asked)
    return Grid("Side by side", ("network", *chain(*titles)), rows)


def _cells(report: Report, first: Cost) -> Iterator[str]:
    total, bound = report.total, "≥ " if report.total.unknown else ""
    for name, row in report.quantities.items():
        yield bound + row.text(getattr(total, name))
        if row.column:
            yield _times(getattr(total, name), getattr(first, name))


def _times(count: Dim, first: Dim) -> str:
    return f"{float(Fraction(count) / Fraction(first)):.4g}" if first else "–"


def to_json(reports: Sequence[Report]) -> str:
    """For a program."""
    return json.dumps([_record(report) for report in reports], indent=2, ensure_ascii=False) + "\n"


def _record(report: Report) -> dict[str, Any]:
    plain = as_dict(report)
    settings = {key: plain[key] for key in ("alpha", "resolution", "classes")}
    counts = {key: plain["totals"][key] for key in report.quantities}
    bounds = {"unknown": plain["totals"]["unknown"]} if report.total.unknown else {}
    device = device_record(report.device)
    return {"name": plain["network"], **settings, **counts, **bounds, **device}
