"""Tables of text, in a terminal, a pipe, Markdown and LaTeX."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from rich.console import ConsoleOptions, JustifyMethod, RenderableType, RenderResult

PIPE_WIDTH = 100


def console(file: IO[str] | None = None) -> Console:
    """A console that is PIPE_WIDTH wide where there is no terminal to ask; a file never is one.

    Jupyter is no terminal either, though its kernels say so (FORCE_COLOR).
    """
    terminal = None if file is None else False
    plain = Console(
        file=file,
        highlight=False,
        markup=False,  # a name may look like it
        emoji=False,
        force_jupyter=False,
        force_terminal=terminal,
    )
    if not plain.is_terminal and "COLUMNS" not in plain._environ:  # noqa: SLF001
        plain.width = PIPE_WIDTH
    return plain


def plain(renderable: RenderableType) -> str:
    """A renderable as text for a pipe or a file."""
    text = io.StringIO()
    console(text).print(renderable)
    return "".join(f"{line.rstrip()}\n" for line in text.getvalue().splitlines())


def plain_table(*, gap: int = 2, show_footer: bool = False) -> Table:
    """A table without lines but the one below its head."""
    return Table(
        box=box.SIMPLE_HEAD,
        padding=(0, gap - 1, 0, 0),
        pad_edge=False,
        show_edge=False,
        show_footer=show_footer,
    )


@dataclass(frozen=True)
class Grid:
    """A table of text, titled or not, `left` columns aligned left and the others right."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: int = 1
    gap: int = 2

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """A table where it fits, else a list."""
        if self.title:
            yield Text(self.title, style="bold")
        table = plain_table(gap=self.gap)
        for i, title in enumerate(self.head):
            justify: JustifyMethod = "left" if i < self.left else "right"
            table.add_column(Text(title), justify=justify, no_wrap=True)
        for row in self.rows:
            table.add_row(*map(Text, row))
        unbounded = options.update(max_width=10**6)
        fits = Measurement.get(console, unbounded, table).maximum <= options.max_width
        yield table if fits else self._list()
        yield Text()

    def _list(self) -> RenderableType:
        heads = [" ".join(title.split()) for title in self.head[1:]]
        listed = plain_table()
        listed.show_header = False
        for row in self.rows:
            listed.add_row(Text(f"{self.head[0]} {row[0]}".strip(), style="bold"), "")
            for title, cell in zip(heads, row[1:], strict=True):
                listed.add_row(f"  {title}", " ".join(cell.split()))
        return listed

    def markdown(self) -> str:
        """For GitHub."""
        rule = ("---" if i < self.left else "---:" for i in range(len(self.head)))
        lines = [self.head, tuple(rule), *self.rows]
        return f"{self.title}\n\n" + "\n".join(
            f"| {' | '.join(map(_markdown_text, line))} |" for line in lines
        )

    def _repr_markdown_(self) -> str:
        return self.markdown()

    def latex(self) -> str:
        """A tabular environment."""
        align = "l" * self.left + "r" * (len(self.head) - self.left)
        lines = (self.head, *self.rows)
        head, *body = (" & ".join(map(_latex_text, line)) + r" \\" for line in lines)
        parts = (rf"\begin{{tabular}}{{{align}}}", r"\hline", head, r"\hline", *body)
        return "\n".join((f"% {self.title}", *parts, r"\hline", r"\end{tabular}"))


def _markdown_text(cell: str) -> str:
    return cell.replace("\n", " ").replace("|", r"\|")


def _latex_text(cell: str) -> str:
    if cell.startswith("$"):
        return cell
    cell = cell.replace("\n", " ").replace("×", r"$\times$")
    return cell.replace("α", r"$\alpha$").replace("ρ", r"$\rho$")
