"""Two sides, side by side: interleaved, one thread each, medians, and the table that results."""

from __future__ import annotations

import os
import platform
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 9
RESULTS = Path(__file__).with_name("RESULTS.md")


class Result(NamedTuple):
    """A line of the table: ours over theirs, and the bound the project sets itself."""

    what: str
    ours: str
    theirs: str
    ratio: float
    bound: float


_results: list[Result] = []


@pytest.fixture
def versus(benchmark) -> Callable[..., None]:  # noqa: ANN001 - pytest-benchmark's fixture
    """Time `ours(i)` against `theirs(i)`, round by round, with a different input i each time.

    A round of ours does `batch` inputs. Where benchmarks are off, each side runs once.
    """

    def compare(  # noqa: PLR0913 - a comparison has that many parts
        what: str,
        ours: Callable[[int], object],
        theirs: Callable[[int], object],
        *,
        bound: float,
        batch: int = 1,
        seconds: Callable[[], float] | None = None,
    ) -> None:
        if benchmark.disabled:
            ours(0)
            theirs(0)
            benchmark(ours, 1)
            return
        overhead = seconds() if seconds else 0.0
        theirs_seconds, calls = [], iter(range(10**6))

        def setup() -> tuple[tuple[int], dict]:
            start = time.perf_counter()
            theirs(len(theirs_seconds))
            theirs_seconds.append(time.perf_counter() - start - overhead)
            return (next(calls),), {}

        def batch_of_ours(i: int) -> None:
            for j in range(batch):
                ours(i * batch + j)

        theirs(-1)  # the first call of either side warms it up
        ours(-1)
        benchmark.pedantic(batch_of_ours, setup=setup, rounds=ROUNDS)
        mine = benchmark.stats.stats.median / batch - overhead
        other = statistics.median(theirs_seconds)
        _record(what, _time(mine), _time(other), mine / other, bound)
        benchmark.extra_info.update(theirs=other, ratio=mine / other, bound=bound)

    return compare


def _record(what: str, ours: str, theirs: str, ratio: float, bound: float) -> None:
    _results.append(Result(what, ours, theirs, ratio, bound))
    assert ratio <= bound, f"{what}: {ratio:.4f} of theirs, the bound is {bound:.4f}"


@pytest.fixture
def record(benchmark) -> Callable[[str, str, str, float, float], None]:  # noqa: ANN001
    """Add a line that is not a time to the table, where benchmarks are on."""
    benchmark(lambda: None)
    return (lambda *_: None) if benchmark.disabled else _record


def _time(seconds: float) -> str:
    for unit, size in (("s", 1), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def pytest_sessionfinish() -> None:
    """Write the table where benchmarks ran."""
    if not _results:
        return
    lines = [
        "# Benchmarks",
        "",
        "Written by `pytest tests/benchmarks --benchmark-enable -n 0`: both sides interleaved in",
        f"one run, one thread each, medians of {ROUNDS}, inputs varied. Machines differ and are",
        "noisy: read the ratios.",
        "",
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}.",
        "",
        "| what | ours | theirs | ratio | bound |",
        "|---|---:|---:|---:|---:|",
        *(
            f"| {r.what} | {r.ours} | {r.theirs} | {_ratio(r.ratio)} | {_ratio(r.bound)} |"
            for r in _results
        ),
    ]
    RESULTS.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _ratio(value: float) -> str:
    return f"1/{1 / value:.3g}" if value < 0.5 else f"{value:.2f}"
