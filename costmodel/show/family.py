"""The family as tables and data."""

from __future__ import annotations

import csv
import io
import json
from fractions import Fraction
from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text

from costmodel.published.family import Alternative, Member, alternatives, family, law
from costmodel.show.grid import Grid

if TYPE_CHECKING:
    from rich.console import RenderableType

TITLE = "The MobileNetV1 family (Howard et al. 2017, Tables 6 and 7; TF-slim)"
NOTE = "top-1 in percent, as the paper's tables print it or, with ≈, by its log-linear law:"


def _grids() -> tuple[Grid, ...]:
    head = ("α", "D", "ρ", "MACs", "fewer", "params", "fewer", "top-1", "from", "TF-slim")
    models = tuple(
        (
            f"{float(m.alpha):g}",
            str(m.resolution),
            f"{m.resolution / 224:.3f}",
            f"{m.cost.macs:,}",
            f"{float(m.fewer_macs):.2f}×",
            f"{m.cost.params:,}",
            f"{float(m.fewer_params):.2f}×",
            str(m.top1),
            "law" if m.top1.estimated else m.top1.source.rpartition(" ")[2],
            str(m.tf_slim),
        )
        for m in family()
    )
    others = (
        Grid(
            title[0].upper() + title[1:],
            ("", "MACs", "params", "top-1"),
            tuple((a.name, f"{a.cost.macs:,}", f"{a.cost.params:,}", str(a.top1)) for a in rows),
        )
        for title, rows in alternatives().items()
    )
    return (Grid(TITLE, head, models, left=0), *others)


def rich() -> RenderableType:
    """For a terminal."""
    first, *rest = _grids()
    return Group(first, Text(NOTE), Text(str(law())), Text(), *rest)


def to_markdown() -> str:
    """For GitHub."""
    first, *rest = _grids()
    return "\n\n".join((first.markdown(), f"{NOTE} {law()}", *(g.markdown() for g in rest))) + "\n"


def to_json() -> str:
    """For a program: exact counts, the law, and where every accuracy is from."""
    data = {
        "models": [_model(member) for member in family()],
        "law": {
            "slope_per_doubling": law().slope,
            "intercept": law().intercept,
            "residual": law().residual,
            "points": law().points,
        },
        "alternatives": {
            title: [_alternative(a) for a in rows] for title, rows in alternatives().items()
        },
    }
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def _model(member: Member) -> dict[str, object]:
    return {
        "alpha": float(member.alpha),
        "resolution": member.resolution,
        "rho": float(Fraction(member.resolution, 224)),
        "macs": member.cost.macs,
        "params": member.cost.params,
        "fewer_macs": float(member.fewer_macs),
        "fewer_params": float(member.fewer_params),
        "top1": member.top1.percent,
        "top1_estimated": member.top1.estimated,
        "top1_source": member.top1.source,
        "top1_tf_slim": member.tf_slim.percent,
    }


def _alternative(other: Alternative) -> dict[str, object]:
    figures = {"macs": other.cost.macs, "params": other.cost.params}
    return (
        {"name": other.name} | figures | {"top1": other.top1.percent, "source": other.top1.source}
    )


def to_csv() -> str:
    """The sixteen models, a line each."""
    text = io.StringIO()
    records = [_model(member) for member in family()]
    writer = csv.DictWriter(text, list(records[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue()
