"""Sweeps for people and files: a table or ranges, what a reduction found, and CSV or Parquet."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

from costmodel.algebra.notation import si
from costmodel.errors import CostModelError, printable
from costmodel.files import check_target, is_stream, replacing
from costmodel.metrics.timing import every_quantity
from costmodel.planners import reducing as reductions
from costmodel.planners.reducing import extremes
from costmodel.reports.timing import device_record, on_device
from costmodel.show.grid import Grid, console
from costmodel.show.plan import square

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from pandas import DataFrame

    from costmodel.core.network import Network
    from costmodel.metrics.memory import MemoryRules
    from costmodel.planners.limits import Limit
    from costmodel.planners.reducing import Cell
    from costmodel.planners.sweeping import Sweep

    Advance = Callable[[float], object]

#: A sweep of more configurations is shown as ranges.
MOST_ROWS = 50
#: What JSON in one piece holds; more goes to a file, in parts.
MOST_RECORDS = 10**5
#: Rows that are written at a time.
CHUNK = 2**18
_ENDINGS = (".csv", ".parquet")


@dataclass(frozen=True)
class Table:
    """What a sweep comes to: a table to print, and the same as plain data."""

    headline: str
    grid: Grid
    data: Mapping[str, object]

    def __rich__(self) -> Group:
        """The headline, and the table below it."""
        return Group(Text(self.headline), Text(), self.grid)

    def json(self) -> str:
        """The data as JSON text.

        Raises CostModelError for more configurations than a piece of JSON should hold.
        """
        if "configurations" in self.data and self.data["configurations"] is None:
            raise CostModelError(f"--json prints at most {MOST_RECORDS:,} configurations; --output")
        return json.dumps(self.data, indent=2, ensure_ascii=False) + "\n"


@dataclass(frozen=True)
class View:
    """A sweep of a network, under a rounding and rules of memory."""

    swept: Sweep
    network: Network
    rules: MemoryRules

    @property
    def headline(self) -> str:
        """What was swept, and whether its figures are bounds."""
        size = " × ".join(f"{length:,}" for length in self.swept.shape)
        facts = f"rounding {self.network.rounding} · {self.rules}{square(self.network)}"
        facts += on_device(self.swept.device)
        text = f"{printable(self.network.name)}  {size} configurations · {facts}"
        if self.swept.unknown:
            text += f"\nlower bounds: no rule for {', '.join(map(printable, self.swept.unknown))}"
        return text

    def table(
        self,
        limits: Sequence[Limit] = (),
        front: str | None = None,
        histogram: str | None = None,
        *,
        progress: Advance = int,
    ) -> Table:
        """The best within limits, a front, a histogram, or else every configuration."""
        if limits:
            grid, data = _best(self.swept, limits, progress)
        elif front is not None:
            grid, data = _front(self.swept, front, progress)
        elif histogram is not None:
            grid, data = _histogram(self.swept, histogram, progress)
        else:
            grid, data = _whole(self.swept, progress)
        about = {"network": self.network.name, "rounding": self.network.rounding}
        about |= {"memory_rules": str(self.rules)} | device_record(self.swept.device)
        return Table(self.headline, grid, about | {"unknown": list(self.swept.unknown)} | data)


Shown = tuple[Grid, dict[str, Any]]


def _whole(swept: Sweep, progress: Advance) -> Shown:
    """Every configuration, or the ranges of the quantities where there are many."""
    records = _records(swept) if swept.size <= MOST_RECORDS else None
    data = {"configurations": records}
    if records is not None and len(records) <= MOST_ROWS:
        return _grid("", records), data
    rows = []
    for quantity in swept.factors:
        ends = extremes(swept, quantity, progress=progress)
        cells = (
            (_text(quantity, c.quantities[quantity]), f"{c.alpha:.13g}", str(c.resolution))
            for c in ends
        )
        rows.append((_title(quantity), *(text for cell in cells for text in cell)))
    return Grid("", ("", "least", "at α", "D", "most", "at α", "D"), tuple(rows)), data


def _records(swept: Sweep) -> list[dict[str, object]]:
    """Every configuration as plain data."""
    records = swept.frame().to_dict(orient="records")
    return [{str(name): value for name, value in row.items()} for row in records]


def _record(cell: Cell) -> dict[str, object]:
    return {"alpha": cell.alpha, "resolution": cell.resolution, **cell.quantities}


def _grid(title: str, records: Sequence[Mapping[str, object]]) -> Grid:
    names = [name for name in every_quantity() if name in records[0]]
    rows = (
        (f"{r['alpha']:.13g}", str(r["resolution"]), *(_text(name, r[name]) for name in names))
        for r in records
    )
    return Grid(title, ("α", "D", *map(_title, names)), tuple(rows), left=0)


def _text(quantity: str, amount: object) -> str:
    return every_quantity()[quantity].text(amount)


def _title(quantity: str) -> str:
    return every_quantity()[quantity].title


def _best(swept: Sweep, limits: Sequence[Limit], progress: Advance) -> Shown:
    most = {limit.quantity: limit.most for limit in limits}
    cell = reductions.best(swept, most, progress=progress)
    text = " · ".join(map(str, limits))
    data = {"limits": most, "best": cell and _record(cell)}
    if cell is None:
        return Grid(f"nothing fits {text}", (), ()), data
    return _grid(f"most MACs within {text}", [_record(cell)]), data


def _front(swept: Sweep, against: str, progress: Advance) -> Shown:
    """The front, or as many of it, evenly chosen, as a table should have."""
    cells = [_record(cell) for cell in reductions.front(swept, cost=against, progress=progress)]
    step = -(-len(cells) // MOST_ROWS)
    title = f"Pareto front, MACs against {_title(against)}: {len(cells):,} configurations"
    title += f", every {step}th of them" if step > 1 else ""
    return _grid(title, cells[::step]), {"against": against, "front": cells}


def _histogram(swept: Sweep, quantity: str, progress: Advance) -> Shown:
    counts, edges = reductions.histogram(swept, quantity, progress=progress)
    most = max(counts)
    rows = tuple(
        (f"{si(low)} – {si(high)}", "█" * round(30 * count / most), f"{count:,}")
        for count, low, high in zip(counts, edges[:-1], edges[1:], strict=True)
    )
    grid = Grid("", (_title(quantity), "", "configurations"), rows, left=2)
    return grid, {"quantity": quantity, "counts": counts.tolist(), "edges": edges.tolist()}


def check_output(path: str) -> None:
    """Fail before the work, where a sweep could not be written there; to a stream it is CSV.

    Raises CostModelError for another ending than .csv or .parquet, and where pyarrow is missing.
    """
    if not path.endswith(_ENDINGS) and not is_stream(path):
        raise CostModelError(f"a sweep is written as {' or '.join(_ENDINGS)}, got {path}")
    check_target(path)
    if path.endswith(".parquet"):
        _parquet()


def write(swept: Sweep, path: str | Path, *, progress: Advance = int) -> int:
    """Write every configuration in parts, so that the memory is that of one part; returns rows.

    Raises CostModelError for a place that cannot be written, and then the old file stays.
    """
    check_output(str(path))
    writer = _write_parquet if str(path).endswith(".parquet") else _write_csv
    with replacing(path) as temporary:
        return writer(swept, temporary, progress)


def _write_csv(swept: Sweep, path: Path, progress: Advance) -> int:
    rows = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        for part in swept.chunks(CHUNK):
            frame = part.frame()
            frame.to_csv(file, index=False, header=not rows, lineterminator="\n")
            rows += len(frame)
            progress(len(frame))
    return rows


def _write_parquet(swept: Sweep, path: Path, progress: Advance) -> int:
    table_type, open_writer = _parquet()
    rows, writer = 0, None
    try:
        for part in swept.chunks(CHUNK):
            table = table_type.from_pandas(_within_int64(part), preserve_index=False)
            writer = writer or open_writer(path, table.schema)
            writer.write_table(table)
            rows += table.num_rows
            progress(table.num_rows)
    finally:
        if writer is not None:
            writer.close()
    return rows


def _within_int64(part: Sweep) -> DataFrame:
    """The frame with every count as int64, which Python's integers may fit."""
    frame = part.frame()
    try:
        counts = [name for name in part.factors if not every_quantity()[name].estimate]
        return frame.astype(dict.fromkeys(counts, "int64"))
    except OverflowError:
        raise CostModelError(
            "a count is past 2⁶³, and Parquet's integers are not; write CSV"
        ) from None


def _parquet() -> tuple[Any, Any]:
    try:
        from pyarrow import Table
        from pyarrow.parquet import ParquetWriter
    except ImportError:
        remedy = "pip install 'costmodel[parquet]', or write CSV"
        raise CostModelError(f"Parquet needs pyarrow, which is not installed: {remedy}") from None
    return Table, ParquetWriter


@contextmanager
def progress_bar(total: float, what: str = "configurations") -> Iterator[Advance]:
    """A bar on standard error while that is a terminal; a function that moves it."""
    screen = console(sys.stderr)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    bar = Progress(*columns, TimeRemainingColumn(), console=screen, transient=True)
    shown: AbstractContextManager[object] = bar if screen.is_terminal else nullcontext()
    with shown:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.advance(task, done)
