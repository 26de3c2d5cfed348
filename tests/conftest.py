"""What several test files share."""

from __future__ import annotations

import os
import sys
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import settings

from costmodel.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable

# torch's threads spin: two test runs side by side would take ten times as long.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# What is printed is as wide as a pipe's, whatever window pytest runs in. xdist's workers have these
# of readline, which pytest loads and which exports the window's size to every subprocess.
for _size in ("COLUMNS", "LINES"):
    os.environ.pop(_size, None)


def pytest_configure(config: pytest.Config) -> None:
    """A quarter of the examples in the quick tests, but where a test says a number."""
    if config.option.markexpr == "not slow":
        settings.register_profile("quick", max_examples=25)
        settings.load_profile("quick")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A line for each reason why tests were skipped; a reason ends in what brings them."""
    skipped = terminalreporter.stats.get("skipped", [])
    for reason, count in Counter(report.longrepr[2] for report in skipped).items():
        terminalreporter.write_line(f"{count} × {reason.removeprefix('Skipped: ')}", yellow=True)


class Ran(NamedTuple):
    """A finished command."""

    code: int
    out: str
    err: str


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ran]:
    """Run `costmodel` with these arguments, in this process."""

    def command(*arguments: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["costmodel", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        out, err = capsys.readouterr()
        return Ran(int(stop.value.code or 0), out, err)

    return command
