from __future__ import annotations

from typing import TYPE_CHECKING

from rich import console as rich_console
from rich.text import Text

from costmodel import mobilenet_v1, plan
from costmodel.reports.variants import compare
from costmodel.show.compare import grid
from costmodel.show.grid import PIPE_WIDTH, plain
from costmodel.show.plan import to_text

if TYPE_CHECKING:
    import pytest


def test_text_is_text_in_jupyter_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Inside Jupyter rich displays what it prints, in colour; text comes back, and plain."""
    monkeypatch.setattr(rich_console, "_is_jupyter", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("COLUMNS", raising=False)
    assert plain(Text("569 M", style="bold")) == "569 M\n"
    assert plain(Text("0" * PIPE_WIDTH, style="bold")) == "0" * PIPE_WIDTH + "\n"


def test_jupyter_shows_a_comparison_as_a_table() -> None:
    """A grid has a Markdown representation, a row for every network."""
    shown = grid(compare(["mobilenet_v1", "alexnet"]), ["V1", "AlexNet"])._repr_markdown_()
    assert "| V1 | 568,740,352 | 1 |" in shown
    assert "| AlexNet | 724,406,816 |" in shown


def test_a_plan_as_text_says_what_the_terminal_does() -> None:
    """The choice, the limit that binds and the reason."""
    text = to_text(plan(mobilenet_v1(), max_macs="150M"))
    assert "149,497,088" in text
    assert "the most accurate that fits; a better one breaks --max-macs" in text
