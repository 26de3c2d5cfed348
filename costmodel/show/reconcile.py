"""Every tool's figure as an exact sum, in a terminal, Markdown and JSON."""

from __future__ import annotations

import json
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from rich.console import Group
from rich.text import Text

from costmodel.show.grid import Grid, plain_table
from costmodel.show.record import as_dict
from costmodel.show.report import escape, title
from costmodel.tools.convention import MAC

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import RenderableType

    from costmodel.reports.report import Report
    from costmodel.tools.convention import Rule
    from costmodel.tools.reconciling import Reckoning, Reconciliation


class Term(NamedTuple):
    """What a sum adds: a count, as it is written, and what it is of."""

    total: int
    figure: str
    words: str

    @property
    def sign(self) -> str:
        """Plus, or minus for what a tool leaves out."""
        return "−" if self.total < 0 else "+"


def terms(reckoning: Reckoning, *, batch: int = 1) -> tuple[Term, ...]:
    """The figure as a sum, its multiply–accumulates first.

    >>> from costmodel import mobilenet_v1, reconcile
    >>> reckoning = reconcile(mobilenet_v1()).reckonings[1]
    >>> [f"{term.figure} {term.words}" for term in terms(reckoning)][:2]
    ['568,740,352 conv + linear', '10,085,376 batch norm (2 per element)']
    """
    added = []
    for _, group in groupby(reckoning.parts.items(), lambda part: _kind(part[0])):
        rules, counts = zip(*group, strict=True)
        total, rule = sum(counts), rules[0]
        figure, notes = f"{abs(total):,}", [rule.why]
        names = dict.fromkeys(rule.part.replace("_", " ") for rule in rules)
        if rule.per is MAC:
            times, notes = f"{rule.factor} × " * (rule.factor > 1), []
            figure = f"{times}{total // rule.factor:,}"
        notes += ["of one sample"] * (rule.averaged and batch > 1)
        words = " + ".join(names) + f" ({', '.join(notes)})" * bool(notes)
        added.append(Term(total, figure, words))
    return tuple(added)


def _kind(rule: Rule) -> tuple[object, ...]:
    """Neighbours of one kind are one term."""
    return (rule.factor, rule.per, rule.averaged, rule.part * (rule.per is not MAC))


def _sum(reckoning: Reckoning, batch: int) -> str:
    """The sum on one line."""
    text = " ".join(f"{t.sign} {t.figure} {t.words}" for t in terms(reckoning, batch=batch))
    return f"{_relation(reckoning)} {text.removeprefix('+ ') or 0}"


def _relation(reckoning: Reckoning) -> str:
    """Whether the figure is the sum, or no less: where a layer is unknown to the tool."""
    return "≥" if reckoning.unknown else "="


def _column(reckoning: Reckoning, batch: int) -> str:
    """The sum, a term a line, its figures aligned."""
    added = terms(reckoning, batch=batch)
    width = max((len(term.figure) for term in added), default=0)
    lines = [f"{term.sign} {term.figure:>{width}} {term.words}" for term in added]
    return _relation(reckoning) + ("\n".join(lines)[1:] if lines else " 0")


_SIGNS = {"equal": " ✓", "different": " ✗", "failed": "", "deviation": " ≠"}
_SIGNS |= {"predicted": "", "bound": " ≥"}


def _printed(reckoning: Reckoning) -> str:
    if reckoning.status == "missing":
        return "–"
    none = "none" if reckoning.problem else ""
    figure = none if reckoning.measured is None else f"{reckoning.measured:,}"
    return figure + _SIGNS[reckoning.status]


def explanation(reckoning: Reckoning) -> str:
    """What a tool printed in place of what was predicted, and the deviations that may be why."""
    printed = reckoning.problem if reckoning.measured is None else f"printed {reckoning.measured:,}"
    names = "; ".join(f"{x.name} ({x.effect})" for x in reckoning.deviations)
    return f"{reckoning.tool.name}: {reckoning.predicted:,} predicted, {printed}: {names}"


def _tool(reckoning: Reckoning) -> str:
    return f"{reckoning.tool.package} {reckoning.version}".rstrip()


def notes(result: Reconciliation) -> list[str]:
    """What no tool knows, what they were run on, which versions, and those without a figure."""
    unknown = dict.fromkeys(name for x in result.reckonings for name in x.unknown)
    bound = [f"no tool's rule knows {', '.join(unknown)}: ≥ is a lower bound"] * bool(unknown)
    if not result.model:
        return bound
    ran = dict.fromkeys(_tool(x) for x in result.reckonings if x.version)
    problems = [
        explanation(x) if x.deviations else f"{x.tool.name}: {x.problem}"
        for x in result.reckonings
        if x.deviations or x.problem
    ]
    return [*bound, f"run on {result.model}: {', '.join(ran) or 'no tool'}", *problems]


def _rows(result: Reconciliation, write: Callable[[Reckoning, int], str]) -> Iterator[list[str]]:
    batch = result.network.inputs[0].shape[0]
    for x in result.reckonings:
        printed = [_printed(x)] * bool(result.model)
        predicted = "≥" * bool(x.unknown) + f"{x.predicted:,}"
        yield [x.tool.name, x.tool.unit, predicted, *printed, write(x, batch)]


def _head(result: Reconciliation) -> tuple[str, ...]:
    return "tool", "counts", "predicted", *["printed"] * bool(result.model), "the sum"


def rich(report: Report, result: Reconciliation) -> RenderableType:
    """For a terminal: a row for each tool, a line for each term of its sum."""
    table = plain_table()
    for name in _head(result):
        figure = name in {"predicted", "printed"}
        table.add_column(name, justify="right" if figure else "left", no_wrap=name != "the sum")
    for *cells, total in _rows(result, _column):
        style = "bold red" if any("✗" in cell for cell in cells) else ""
        table.add_row(*(Text(cell, style=style) for cell in cells), Text(total))
    said = [Text(note) for note in notes(result)]
    return Group(title(report), Text(), table, *[Text()] * bool(said), *said)


def to_markdown(report: Report, result: Reconciliation) -> str:
    """For GitHub."""
    grid = Grid(
        escape(title(report).plain), _head(result), tuple(map(tuple, _rows(result, _sum))), left=2
    )
    return "\n\n".join([grid.markdown(), *map(escape, notes(result))]) + "\n"


def to_json(report: Report, result: Reconciliation) -> str:
    """For a program: each tool's parts, with what they are, and its known deviations."""
    plain = as_dict(report)
    settings = ("network", "alpha", "rho", "resolution", "classes", "rounding")
    data = {key: plain[key] for key in settings}
    data |= {"macs": plain["totals"]["macs"], "model": result.model or None}
    data["tools"] = [_record(x) for x in result.reckonings]
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def _record(reckoning: Reckoning) -> dict[str, object]:
    tool = reckoning.tool
    return {
        "tool": tool.name,
        "unit": tool.unit,
        "package": tool.package or None,
        "version": reckoning.version or None,
        "predicted": reckoning.predicted,
        "lower_bound": bool(reckoning.unknown),
        "unknown": list(reckoning.unknown),
        "parts": [
            {
                "operation": rule.operation,
                "part": rule.part,
                "why": rule.why,
                "averaged": rule.averaged,
                "count": count,
            }
            for rule, count in reckoning.parts.items()
        ],
        "measured": reckoning.measured,
        "status": reckoning.status,
        "problem": reckoning.problem or None,
        "explained_by": [deviation.name for deviation in reckoning.deviations],
        "deviations": [f"{deviation.name}: {deviation.effect}" for deviation in tool.deviations],
    }
