"""Networks and variants side by side, with ratios to the first."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from costmodel.show.grid import Grid
from costmodel.show.record import as_dict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from costmodel.reports.report import Report


def grid(reports: Sequence[Report], names: Sequence[str]) -> Grid:
    """A row each; the ratios are exact quotients of the integers beside them, to the first."""
    first = reports[0].total
    rows = tuple(
        (
            name,
            bound + f"{report.total.macs:,}",
            _times(report.total.macs, first.macs),
            bound + f"{report.total.params:,}",
            _times(report.total.params, first.params),
            bound + f"{report.total.activations:,}",
        )
        for name, report in zip(names, reports, strict=True)
        for bound in ("≥ " if report.total.unknown else "",)
    )
    head = ("network", "MACs", "× first", "params", "× first", "activations")
    return Grid("Side by side", head, rows)


def _times(count: int, first: int) -> str:
    return f"{float(Fraction(count, first)):.4g}" if first else "–"


def to_json(reports: Sequence[Report]) -> str:
    """For a program."""
    return json.dumps([_record(report) for report in reports], indent=2, ensure_ascii=False) + "\n"


def _record(report: Report) -> dict[str, Any]:
    plain = as_dict(report)
    settings = {key: plain[key] for key in ("alpha", "resolution", "classes")}
    counts = {key: plain["totals"][key] for key in ("macs", "params", "activations")}
    unknown = {"unknown": plain["totals"]["unknown"]} if report.total.unknown else {}
    return {"name": plain["network"]} | settings | counts | unknown
