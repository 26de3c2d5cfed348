"""The audit for someone who has the paper open: by verdict, counted, with the reason."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from costmodel.published import SOURCES
from costmodel.published.audit import VERDICTS, Finding
from costmodel.show.grid import Grid

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import RenderableType

TITLES = {
    "reproduced": "Reproduced: the exact figure gives what is printed",
    "other_convention": "Reproduced under another convention",
    "erratum": "Errata: other evidence says it cannot be right",
    "not_reproduced": "Not reproduced",
    "not_modelled": "Not modelled",
}


def _by_verdict(findings: Sequence[Finding]) -> Iterator[tuple[str, list[Finding]]]:
    for verdict in VERDICTS:
        chosen = [finding for finding in findings if finding.verdict == verdict]
        if chosen:
            yield verdict, chosen


def _sources(findings: Sequence[Finding]) -> str:
    names = dict.fromkeys(finding.figure.source for finding in findings)
    return "; ".join(SOURCES.get(name, name) for name in names)


def _counts(findings: Sequence[Finding]) -> str:
    counts = (f"{len(chosen)} {verdict}" for verdict, chosen in _by_verdict(findings))
    return f"{len(findings)} printed costs: {', '.join(counts)}".replace("_", " ")


def _reason(finding: Finding) -> str:
    parts = (
        finding.convention if finding.verdict == "other_convention" else "",
        f"should be {finding.should_be}" if finding.should_be else "",
        finding.evidence,
    )
    return "; ".join(filter(None, parts))


def rich(findings: Sequence[Finding]) -> RenderableType:
    """For a terminal: a heading per verdict, a row per figure, in the paper's order."""
    lines: list[RenderableType] = [
        Text(_counts(findings), style="bold"),
        Text(f"from {_sources(findings)}", style="dim"),
    ]
    for verdict, chosen in _by_verdict(findings):
        lines += [Text(), Text(f"{TITLES[verdict]} ({len(chosen)})", style="bold"), _rows(chosen)]
    return Group(*lines)


def _rows(findings: Sequence[Finding]) -> RenderableType:
    """Where a figure stands, what is printed, what is exact and why; long cells fold."""
    grid = Table.grid(padding=(0, 1, 0, 0), expand=True)
    grid.add_column(style="dim", width=7)
    grid.add_column(ratio=4)
    grid.add_column(style="bold", width=8, justify="right")
    grid.add_column(ratio=5)
    for finding in findings:
        figure = finding.figure
        label = f"{figure.row}, {figure.quantity.replace('_', ' ')}"
        printed = f"{figure.printed} {figure.unit}".strip()
        grid.add_row(*map(Text, (figure.table, label, printed, _reason(finding))))
    return grid


def grid(findings: Sequence[Finding], title: str = "") -> Grid:
    """A row per figure: where it stands, what is printed, what is exact and why."""
    head = ("table", "row", "quantity", "printed", "exact, and why")
    rows = tuple(
        (
            finding.figure.table,
            finding.figure.row,
            finding.figure.quantity.replace("_", " "),
            f"{finding.figure.printed} {finding.figure.unit}".strip(),
            _reason(finding),
        )
        for finding in findings
    )
    return Grid(title, head, rows, left=5)


def to_markdown(findings: Sequence[Finding]) -> str:
    """A section per verdict, for documentation."""
    lines = ["# Audit of printed costs", "", f"From {_sources(findings)}.", "", _counts(findings)]
    for verdict, chosen in _by_verdict(findings):
        lines += ["", grid(chosen, f"## {TITLES[verdict]} ({len(chosen)})").markdown()]
    return "\n".join(lines) + "\n"


def to_json(findings: Sequence[Finding]) -> str:
    """For a program: a list in the order of the sources."""
    data = [finding.as_dict() for finding in findings]
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"
