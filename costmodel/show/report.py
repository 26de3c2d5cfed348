"""The report for a terminal, as CSV and as Markdown."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from operator import attrgetter
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from costmodel.algebra.notation import estimated, si
from costmodel.core.quantities import columns
from costmodel.errors import printable
from costmodel.metrics.timing import TIME
from costmodel.reports.checking import checked
from costmodel.reports.timing import of_device
from costmodel.show.grid import console, plain, plain_table
from costmodel.show.record import records
from costmodel.tools.crosscheck import TRACED, WRITTEN, CrossCheck

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rich.console import ConsoleOptions, JustifyMethod, RenderableType, RenderResult

    from costmodel.algebra.arithmetic import Dim
    from costmodel.backends.measuring import Measured
    from costmodel.core.cost import Cost
    from costmodel.core.quantities import Quantity
    from costmodel.reports.formula import ClosedForm
    from costmodel.reports.report import Report
    from costmodel.reports.rows import Row

BAR_WIDTH = 5


def check_live(report: Report) -> Report:
    """Show the analytic figures at once, and fvcore's column once torch has counted."""
    screen = console()
    with Live(render(report, waiting=True), console=screen, refresh_per_second=12) as live:
        with_check = checked(report)
        live.update(render(with_check))
    return with_check


def render(report: Report, *, waiting: bool = False) -> RenderableType:
    """The whole report; `waiting` leaves fvcore's column open and says that it is coming."""
    verdict = (
        Spinner("dots", Text("loading torch to count a real model …", style="dim"))
        if waiting
        else _verdict(report)
    )
    return Group(
        _headline(report),
        verdict,
        Text(),
        _Fitted(_columns(report, waiting=waiting)),
        Text(),
        *_totals(report),
        *_memory(report),
        *_closed_form(report),
        *_before(report),
        *_standard(report),
    )


def title(report: Report) -> Text:
    """The network's name and the settings it is at."""
    alpha, rho = _ratio(report.alpha), "" if report.rho is None else f"ρ = {_ratio(report.rho)}, "
    facts = [f"α = {alpha}"]
    before = report.base.inputs[0].shape[2:]
    sizes = dict.fromkeys([_times(before), _times(report.resolution)])
    facts += [f"{rho}{' → '.join(sizes)} px"] * bool(report.resolution)
    facts += [f"{report.classes} classes"] * (report.classes is not None)
    facts += [f"batch {report.batch}"] * (report.batch != 1)
    facts += [f"rounding {report.network.rounding}"]
    name = Text(printable(report.network.name), style="bold")
    return Text.assemble(name, "  " + " · ".join(facts))


def _headline(report: Report) -> Text:
    bound = "≥ " if report.total.unknown else ""
    text = title(report).append("\n")
    total, of = report.total, report.quantities
    figures = [(row.text(getattr(total, row.name)), row.title) for row in of.values()]
    figures.insert(2, (f"{total.flops:,}", "FLOPs"))
    for i, (value, unit) in enumerate(figures):
        text.append("   " if i else "")
        text.append(f"{bound}{value}", style="bold cyan" if i < 2 else "")  # noqa: PLR2004
        text.append(f" {unit}")
    if report.device is not None:
        text.append(f"\n{of_device(report.device)}")
    if report.measured is not None:
        text.append(f"\n{_measured_line(report, report.measured)}")
    return text


def _measured_line(report: Report, clock: Measured) -> str:
    """What the clock says of the model as a whole and of its layers, and how repeatable it is."""
    whole, layers = map(_clocked, (clock.whole, clock.total))
    off = _off(report.total.time_s, clock.whole)
    said = f"measured here: {whole}, of which ≈ is {off} off; its layers add up to {layers}; "
    return f"{said}halves of the passes {100 * clock.apart:.1f} % apart"


def _clocked(seconds: float) -> str:
    return TIME.text(seconds).removeprefix("≈")


def _off(predicted: Dim, clock: float) -> str:
    """How far a prediction is from the clock, as a share of what the clock says."""
    return f"{100 * (predicted / clock - 1):+.0f} %" if clock else ""


def _ratio(value: Fraction) -> str:
    """A multiplier as a short decimal, or as the ratio it is.

    >>> _ratio(Fraction("0.857")), _ratio(Fraction(6, 7))
    ('0.857', '6/7')
    """
    decimal = f"{float(value):.10g}"
    return decimal if Fraction(decimal) == value else str(value)


def _times(sides: Iterable[object]) -> str:
    return "×".join(map(str, sides))


def _verdict(report: Report) -> Text:
    check = report.check
    if not isinstance(check, CrossCheck):
        return Text(f"not checked: {check.reason}", style="yellow")
    tools = ", ".join(f"{tool} {version}" for tool, version in check.tools.items())
    count = len(check.comparisons)
    if not check.mismatches:
        text = Text("✓ ", style="bold green")
        whose = "a real torch model's" if check.model == WRITTEN else f"those of {check.model}"
        text.append(f"all {count} figures equal {whose}: {tools}")
        if report.rewritten:
            at = " at this α" if report.alpha != 1 else ""
            text.append(f"; the network is the rewritten one, not its authors'{at}")
        text.stylize("green")
        for explanation in check.explanations:
            text.append(f"\n≠ {explanation}", style="yellow")
        return text
    text = Text(f"✗ {len(check.mismatches)} of {count} figures differ ({tools})\n", "bold red")
    lines = [f"  {printable(str(mismatch))}" for mismatch in check.mismatches[:10]]
    more = len(check.mismatches) - len(lines)
    text.append("\n".join(lines + [f"  … and {more} more"] * (more > 0)), style="red")
    return text


@dataclass(frozen=True)
class _Column:
    """A column of the layers' table: its cells, and the total below them."""

    key: str
    title: str
    right: bool
    footer: Text
    cells: tuple[Text, ...]

    @property
    def width(self) -> int:
        return max(cell.cell_len for cell in (Text(self.title), self.footer, *self.cells))


#: The columns that go, one after the other, where a terminal is narrow.
_OPTIONAL = (
    "bar",
    "traffic",
    "reduction",
    "kind",
    "intensity",
    "window",
    "channels",
    "output",
    "params",
    "macs",
    "share",
    "bound",
)


class _Fitted:
    """A table that gives up its least important columns until it fits the width."""

    def __init__(self, columns: list[_Column]) -> None:
        self.columns = columns

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        columns = self.columns
        for key in _OPTIONAL:
            if sum(column.width + 1 for column in columns) - 1 <= options.max_width:
                break
            columns = [column for column in columns if column.key != key]
        table = plain_table(gap=1, show_footer=True)
        for column in columns:
            justify: JustifyMethod = "right" if column.right else "left"
            table.add_column(column.title, column.footer, justify=justify, no_wrap=True)
        for cells in zip(*(column.cells for column in columns), strict=True):
            table.add_row(*cells)
        yield table


def _columns(report: Report, *, waiting: bool) -> list[_Column]:
    """Every column there is to show of a report."""
    bound = "≥ " if report.total.unknown else ""
    rows, total, timed = report.rows, report.total, report.device is not None
    shared = attrgetter("cost.time_s" if timed else "macs")
    whole, most = sum(map(shared, rows)) or 1, max(map(shared, rows), default=0) or 1

    def column(
        key: str,
        title: str,
        cell: Callable[[Row], str | Text],
        total: str = "",
        *,
        right: bool = True,
    ) -> _Column:
        cells = (cell(row) for row in rows)
        texts = tuple(Text(c) if isinstance(c, str) else c for c in cells)
        return _Column(key, title, right, Text(total, style="bold"), texts)

    def counted(x: Quantity) -> Callable[[Row], str]:
        return lambda row: "?" if row.unknown else x.text(getattr(row.cost, x.name))

    clock = []
    if report.measured is not None:
        seconds = {row.name: report.measured_s(row) or 0.0 for row in rows}
        clock = [
            column(
                "clock",
                "measured",
                lambda row: _clocked(seconds[row.name]),
                _clocked(report.measured.total),
            ),
            column(
                "off",
                "off",
                lambda row: _off(row.cost.time_s, seconds[row.name]),
                _off(total.time_s, report.measured.total),
            ),
        ]
    before = []
    if report.total_before is not None:
        texts = {name: f"{macs:,}" for name, macs in report.macs_before.items()}
        whole_before = f"{report.total_before.macs:,}"
        before = [column("before", "before", lambda row: texts.get(row.name, ""), whole_before)]
    shown = [
        column("name", "layer", lambda row: printable(row.name), "total", right=False),
        column("kind", "kind", _kind, right=False),
        column("window", "K/s", _window, right=False),
        column("channels", "channels", lambda row: f"{row.in_channels}→{row.out_channels}"),
        column("output", "H×W", lambda row: _times(row.out_size) or "1×1"),
        *(
            column(x.name, x.title, counted(x), bound + x.text(getattr(total, x.name)))
            for x in _by_share(report)
        ),
        *clock,
        *before,
        column("share", "share", lambda row: "?" if row.unknown else _percent(shared(row), whole)),
        column("bar", "", lambda row: Text(_bar(shared(row) / most), style="cyan"), right=False),
        *([column("bound", "bound by", lambda row: row.bound or "", right=False)] if timed else []),
        column("traffic", "traffic", lambda row: "" if row.bytes is None else _bytes(row.bytes)),
        column("intensity", "MACs/B", _intensity),
        column("reduction", "vs std", _reduction),
    ]
    if waiting or isinstance(report.check, CrossCheck):
        cells = tuple(_measured(report, row, waiting) for row in rows)
        footer = _reference(_measured_total(report), total.macs, waiting, _left_out(report))
        counter = report.check.counter if isinstance(report.check, CrossCheck) else "fvcore"
        shown.append(_Column("fvcore", counter, right=True, footer=footer, cells=cells))
    return shown


def _bar(share: float) -> str:
    """A bar of eighths of a character.

    >>> _bar(0.5)
    '██▌'
    """
    whole, eighths = divmod(round(share * BAR_WIDTH * 8), 8)
    return "█" * whole + (" ▏▎▍▌▋▊▉"[eighths] if eighths else "")


def _by_share(report: Report) -> list[Quantity]:
    """The columns, that of which each layer's share is shown last: time, or else MACs."""
    last = {"macs": 1, TIME.name: 2}
    return sorted(columns(report.quantities).values(), key=lambda x: last.get(x.name, 0))


def _percent(part: Dim, whole: Dim) -> str:
    return f"{100 * part / whole:.1f}%"


def _bytes(count: int) -> str:
    return si(count) + ("B" if " " in si(count) else " B")


def _intensity(row: Row) -> str:
    return f"{float(row.intensity):.3g}" if row.macs and row.intensity is not None else ""


def _kind(row: Row) -> Text:
    return Text(row.kind, style=_KIND_STYLE.get(row.kind, ""))


def _reduction(row: Row) -> str:
    """On the pair's second layer, which completes it."""
    if row.reduction is None or row.kind != "pointwise":
        return ""
    return f"{float(row.reduction):.4f}"


_KIND_STYLE = {"depthwise": "magenta", "pointwise": "blue", "standard": "yellow"}


def _measured(report: Report, row: Row, waiting: bool) -> Text:  # noqa: FBT001
    """A row's reference; a traced model's functions are counted in its total alone."""
    measured = report.reference_macs(row.name)
    is_part = isinstance(report.check, CrossCheck) and report.check.model == TRACED
    return Text() if is_part and measured is None else _reference(measured, row.macs, waiting)


def _measured_total(report: Report) -> int | None:
    if isinstance(report.check, CrossCheck) and report.check.model == TRACED:
        flops = (c for c in report.check.comparisons if (c.quantity, c.layer) == ("flops", ""))
        return int(next(flops).measured or 0) // 2
    counts = [report.reference_macs(row.name) for row in report.rows if row.macs]
    return None if None in counts else sum(count or 0 for count in counts)


def _left_out(report: Report) -> int:
    """The MACs that the counter is known not to see."""
    check = report.check
    totals = check.comparisons if isinstance(check, CrossCheck) else ()
    return sum(c.left_out // 2 for c in totals if (c.quantity, c.layer) == ("flops", ""))


def _reference(measured: int | None, macs: int, waiting: bool, left_out: int = 0) -> Text:  # noqa: FBT001
    if waiting or (measured is None and not macs):
        return Text("…" if waiting else "", style="dim")
    if left_out and measured == macs - left_out:
        return Text(f"{measured:,} ≠", style="yellow")
    if measured == macs:
        return Text(f"{measured:,} ✓", style="green")
    return Text(f"{'none' if measured is None else f'{measured:,}'} ✗", style="bold red")


def _window(row: Row) -> str:
    if not row.kernel:
        return ""
    stride = "" if set(row.stride) == {1} else f"/{_times(dict.fromkeys(row.stride))}"
    return _times(row.kernel) + stride


def _with_share(row: Quantity, count: Dim | None, whole: Dim) -> tuple[str, str]:
    if count is None:
        return "?", ""
    return row.text(count), f"{100 * count / (whole or 1):.2f}%"


def _totals(report: Report) -> Iterable[RenderableType]:
    """By kind, as Howard et al. 2017, Table 2; and where the parameters are."""
    table = plain_table()
    shown = columns(report.quantities)
    titles = (title for row in shown.values() for title in (row.title, ""))
    for title in ("by kind", *titles):
        table.add_column(title, justify="right" if title != "by kind" else "left", no_wrap=True)
    whole = report.total
    for kind, counts in report.by_kind.items():
        shares = (
            _with_share(shown[name], count, getattr(whole, name)) for name, count in counts.items()
        )
        table.add_row(Text(kind, style=_KIND_STYLE.get(kind, "")), *chain(*shares))
    yield table
    parts = report.params_by_part.items()
    yield Text("params  " + " · ".join(f"{name} {count:,}" for name, count in parts))
    if whole.unknown:
        names = ", ".join(map(printable, whole.unknown))
        yield Text(f"lower bound: no rule for {names}", style="yellow")


def _memory(report: Report) -> Iterable[RenderableType]:
    """What the weights take, and the activations where they take the most."""
    if not report.memory:
        return
    yield Text()
    table = plain_table()
    for title in ("memory", "weights", "peak activations", ""):
        table.add_column(title, justify="left" if title in {"memory", ""} else "right")
    for rules, weights, peak in report.memory:
        where = f"at {printable(peak.layer)}"
        table.add_row(str(rules), f"{weights:,} B", f"{peak.bytes:,} B", where)
    yield table
    if training := report.training:
        step = f"training step: {training.cost.macs:,} MACs"
        yield Text(f"{step}, {training.kept_bytes:,} B of float32 activations kept for it")


def _closed_form(report: Report) -> Iterable[RenderableType]:
    """The formulas, and what they give here where rounding makes the network another."""
    if report.closed_form is None:
        return
    yield Text()
    for line in str(report.closed_form).splitlines():
        name, _, rest = line.partition(") ")
        yield Text.assemble((f"{name})", "bold"), " ", rest)
    yield from _without_rounding(report, report.closed_form)
    if report.time_form is not None:
        form = estimated(1000 * report.time_form)
        yield Text.assemble(("time(α, ρ)", "bold"), f" ≈ {form}  ms")


def _without_rounding(report: Report, form: ClosedForm) -> Iterable[RenderableType]:
    if report.scale is not None:
        relaxed = form.macs_at(report.alpha, report.scale)
        if relaxed != report.total.macs:
            yield Text(f"without rounding; here that is {float(relaxed):,.0f} MACs", style="dim")


def _before(report: Report) -> Iterable[RenderableType]:
    if report.total_before is not None:
        yield _against("before", report, report.total_before)


def _standard(report: Report) -> Iterable[RenderableType]:
    if report.standard is not None:
        yield _against("as standard convolutions", report, report.standard)


def _against(what: str, report: Report, other: Cost) -> Text:
    """Another cost, and how many times the network's own it is."""
    text = Text(f"{what}: ")
    for i, (name, row) in enumerate(columns(report.quantities).items()):
        theirs, ours = getattr(other, name), getattr(report.total, name)
        text.append(", " * (i > 0) + f"{row.text(theirs)} {row.title} (")
        text.append(f"{theirs / (ours or 1):.2f}×", "bold").append(")")
    return text


def to_text(report: Report) -> str:
    """What a terminal would show, without colour and trailing blanks."""
    return plain(render(report))


def to_csv(report: Report) -> str:
    """The layers as CSV; a name that a spreadsheet would run as a formula is quoted for it."""
    text = io.StringIO()
    rows = records(report)
    writer = csv.DictWriter(text, list(rows[0]) if rows else ["name"], lineterminator="\n")
    writer.writeheader()
    for record in rows:
        name = printable(record["name"])
        inert = f"'{name}" if name[:1] in "=+-@" else name
        writer.writerow(record | {"name": inert})
    return text.getvalue()


def to_markdown(report: Report) -> str:
    """The report as GitHub Markdown."""
    headline = _headline(report).plain.splitlines()
    columns = [c for c in _columns(report, waiting=False) if c.key != "bar"]
    cells = [(c.title, "---:" if c.right else "---", *c.cells, c.footer) for c in columns]
    lines = [f"# {escape(report.network.name)}", "", *map(escape, headline), ""]
    for i, line in enumerate(zip(*cells, strict=True)):
        texts = line if i == 1 else (escape(str(cell)) for cell in line)
        lines.append(f"| {' | '.join(texts)} |")
    lines.append("")
    verdict = str(_verdict(report)).split("\n")
    rest = (*_closed_form(report), *_before(report), *_standard(report), "", *verdict)
    return "\n".join([*lines, *(escape(str(part)) for part in rest)]) + "\n"


def escape(text: str) -> str:
    """Text of a model inside Markdown: no markup, no HTML, no new cell."""
    text = printable(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for sign in "\\`*_[]|":
        text = text.replace(sign, "\\" + sign)
    return text
