"""Networks and variants side by side, with ratios to the first."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from costmodel.errors import CostModelError
from costmodel.show.grid import Grid
from costmodel.show.report import Report, report

if TYPE_CHECKING:
    from collections.abc import Sequence

FORM = "a variant is name[@alpha[,resolution[,classes]]], as mobilenet_v1@0.5,160"


def variant(text: str) -> Report:
    """The report of a variant such as `mobilenet_v1@0.5,160,10`.

    >>> variant("mobilenet_v1@0.5,160").total.macs
    76524800

    Raises CostModelError for an unknown name and a malformed variant.
    """
    name, at, settings = (text, "", "") if text.endswith(".json") else text.partition("@")
    parts = settings.split(",") if at else []
    if len(parts) > 3 or "" in parts or not name:  # noqa: PLR2004 - α, resolution, classes
        raise CostModelError(f"malformed variant {text!r}; {FORM}")
    given: dict[str, str] = dict(zip(("alpha", "resolution", "classes"), parts, strict=False))
    return report(
        name,
        alpha=given.get("alpha", 1),
        resolution=given.get("resolution"),
        classes=given.get("classes"),
    )


def compare(variants: Sequence[str]) -> tuple[Report, ...]:
    """The reports of some variants, in their order.

    >>> [made.total.params for made in compare(["mobilenet_v1", "mobilenet_v2"])]
    [4231976, 3504872]
    """
    return tuple(variant(text) for text in variants)


def grid(reports: Sequence[Report], names: Sequence[str]) -> Grid:
    """A row each; the ratios are exact quotients of the integers beside them, to the first."""
    first = reports[0].total
    rows = tuple(
        (
            name,
            bound + f"{made.total.macs:,}",
            _times(made.total.macs, first.macs),
            bound + f"{made.total.params:,}",
            _times(made.total.params, first.params),
            bound + f"{made.total.activations:,}",
        )
        for name, made in zip(names, reports, strict=True)
        for bound in ("≥ " if made.total.unknown else "",)
    )
    head = ("network", "MACs", "× first", "params", "× first", "activations")
    return Grid("Side by side", head, rows)


def _times(count: int, first: int) -> str:
    return f"{float(Fraction(count, first)):.4g}" if first else "–"


def to_json(reports: Sequence[Report]) -> str:
    """For a program."""
    return json.dumps([_record(made) for made in reports], indent=2, ensure_ascii=False) + "\n"


def _record(made: Report) -> dict[str, Any]:
    plain = made.as_dict()
    settings = {key: plain[key] for key in ("alpha", "resolution", "classes")}
    counts = {key: plain["totals"][key] for key in ("macs", "params", "activations")}
    unknown = {"unknown": plain["totals"]["unknown"]} if made.total.unknown else {}
    return {"name": plain["network"]} | settings | counts | unknown
