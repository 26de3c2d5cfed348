"""A fit to a table: what each row took and was predicted to, and how good the constants are."""

from __future__ import annotations

import json
from dataclasses import asdict
from statistics import median
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.text import Text

from costmodel.reports.device_tables import SETTINGS, off, within
from costmodel.show.devices import constants
from costmodel.show.grid import Grid

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from costmodel.reports.device_tables import TableFit

NOTE = """\
median / 90 % within / most, of rows that were left out: fitted without them,
these constants with other values; chosen without them, perhaps other constants\
"""


def rich(fit: TableFit) -> RenderableType:
    """For a terminal."""
    terms = ", ".join(term.name for term in fit.terms)
    return Group(
        _rows(fit),
        _errors(fit),
        Text(NOTE, style="dim"),
        Text(),
        Text(f"{len(fit.terms)} constants for {len(fit.rows)} rows: {terms}", style="bold"),
        constants(fit.device),
    )


def _rows(fit: TableFit) -> Grid:
    said = [name for name in SETTINGS if any(name in row.said for row in fit.rows)]
    head = (*(_SHORT.get(name, name) for name in said), "measured ms", "predicted", "difference")
    rows = tuple(
        (
            *(row.said.get(name, "") for name in said),
            f"{1000 * row.seconds:.4g}",
            f"≈ {1000 * row.seconds * ratio:.4g}",
            f"{100 * (ratio - 1):+.1f} %",
        )
        for row, ratio in zip(fit.rows, fit.ratios, strict=True)
    )
    title = f"Each {fit.hardest} left out in turn, as constants were chosen and fitted"
    return Grid(title, head, rows)


_SHORT = {"alpha": "α", "resolution": "D", "in_channels": "in"}


def _errors(fit: TableFit) -> Grid:
    """How far off what is left out was, with the same constants and with a choice without it."""
    head = ("left out", "rows", "fitted without, %", "chosen without, %")
    return Grid("How far off", head, tuple(_error_rows(fit)))


def _error_rows(fit: TableFit) -> Iterator[tuple[str, ...]]:
    for name, judged in fit.judged.items():
        groups = dict.fromkeys(judged.labels) if name != "row" else {}
        for group in (None, *groups):
            kept = [i for i, label in enumerate(judged.labels) if group in {None, label}]
            cells = (
                " / ".join(f"{100 * figure:.1f}" for figure in _figures([errors[i] for i in kept]))
                for errors in (off(judged.fixed), off(judged.anew))
            )
            title = f"each {name}" if group is None else f"  {_text(group)}"
            yield (title, str(len(kept)), *cells)


def _text(label: Any) -> str:
    return label if isinstance(label, str) else f"{float(label):g}"


def _figures(errors: list[float]) -> tuple[float, ...]:
    return median(errors), within(errors), max(errors)


def to_json(fit: TableFit) -> str:
    """For a program: the device, the rows, and every prediction."""
    data = {
        "device": asdict(fit.device),
        "constants": [term.name for term in fit.terms],
        "rows": [
            {**row.said, "time_s": row.seconds, "predicted_s": row.seconds * ratio}
            for row, ratio in zip(fit.rows, fit.ratios, strict=True)
        ],
        "left_out": {
            name: {
                how: dict(zip(("median", "within_90", "most"), _figures(off(ratios)), strict=True))
                for how, ratios in (("fixed", judged.fixed), ("anew", judged.anew))
            }
            for name, judged in fit.judged.items()
        },
    }
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"
