"""The explorer: a slider's answer within a frame, a page within a second, a file within three."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Page

pytestmark = pytest.mark.slow

FRAME = 16  # ms
LOADED = 1000  # ms
UPDATES = 120

DRAG = """
async ([id, values]) => {
  performance.clearMeasures();
  const slider = document.getElementById(id);
  for (const value of values) {
    slider.value = value;
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    await new Promise(requestAnimationFrame);
  }
  return performance.getEntriesByName("update").map((entry) => entry.duration);
}
"""


def _explore(*arguments: str) -> float:
    start = time.perf_counter()
    command = [sys.executable, "-m", "costmodel", *arguments]
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


@pytest.fixture
def visited(tmp_path: Path) -> Iterator[Page]:
    """The default page with a budget, in Chromium."""
    api = pytest.importorskip(
        "playwright.sync_api", reason="no playwright: pip install -e '.[dev]'"
    )
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no Chromium is installed: apt-get install chromium")
    path = tmp_path / "explorer.html"
    _explore("explore", "-o", str(path))
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(f"{path.as_uri()}#max_macs=150M&max_peak_memory=1MiB")
        yield page
        browser.close()


@pytest.mark.parametrize(
    ("slider", "values"),
    [
        ("alpha-range", [str((20 + i) / 100) for i in range(UPDATES)]),
        ("side-range", [str(100 + i) for i in range(UPDATES)]),
    ],
    ids=["alpha", "resolution"],
)
def test_an_update(record: Callable, visited: Page, slider: str, values: list[str]) -> None:
    """From a slider's event until every figure and chart is new: the median of 120, in a frame."""
    times = visited.evaluate(DRAG, [slider, values])
    assert len(times) == UPDATES
    median = statistics.median(times)
    what = f"explorer: script for one step of {slider.removesuffix('-range')} : a frame"
    record(what, f"{median:.1f} ms", f"{FRAME} ms", median / FRAME, 1)


def test_loading(record: Callable, visited: Page) -> None:
    """From opening the file until it is loaded, in at most a second."""
    loaded = visited.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd")
    record("explorer: loading from disk", f"{loaded:.0f} ms", "1 s", loaded / LOADED, 1)


def test_writing(versus: Callable, tmp_path: Path) -> None:
    """`costmodel explore` takes at most three times as long as `report --no-check`."""
    versus(
        "`costmodel explore` : `costmodel report --no-check`",
        lambda _: _explore("explore", "-o", str(tmp_path / "explorer.html")),
        lambda _: _explore("report", "--no-check"),
        bound=3,
    )
