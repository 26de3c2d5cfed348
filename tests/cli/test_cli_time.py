"""Time on the command line: what a user types, and what one line says of a mistake."""

from __future__ import annotations

import csv
import json
from io import StringIO
from typing import TYPE_CHECKING

import pytest

from costmodel import mobilenet_v1, resize, widen
from costmodel.metrics.devices import device
from costmodel.metrics.timing import time

if TYPE_CHECKING:
    from collections.abc import Callable

H7 = "stm32h747_int8"
SMALL = ("--resolution", "96", "--alpha", "1/4", "--no-check")


def expected() -> float:
    """Seconds of MobileNetV1 at 1/4 and 96 pixels."""
    return float(time(widen(resize(mobilenet_v1(), resolution=96), "1/4"), device(H7)))


def test_a_report_with_time(run: Callable) -> None:
    """The total with ≈, the device with its error, a time, a share and a bound for each layer."""
    code, out, err = run("report", *SMALL, "--device", H7)
    assert (code, err) == (0, "")
    assert f"≈{1000 * expected():#.3g} ms time" in out
    assert f"time on {H7}, median error" in out
    assert "time(α, ρ) ≈ " in out
    rows = [line for line in out.splitlines() if line.startswith("block")]
    assert len(rows) == 26
    assert all("≈" in line and "%" in line for line in rows)


@pytest.mark.parametrize("columns", [60, 80, 100, 140])
def test_the_table_fits(run: Callable, monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    """Time, its share and what bounds it stay where the terminal is narrow."""
    monkeypatch.setenv("COLUMNS", str(columns))
    _, out, _ = run("report", *SMALL, "--device", H7)
    table = out[out.index("layer") : out.index("by kind")]
    assert max(map(len, table.splitlines())) <= columns
    assert "≈" in table.splitlines()[2]
    assert "bound by" in table


def test_csv_and_json(run: Callable) -> None:
    """The layers' seconds add up to the network's, in both."""
    _, out, _ = run("report", *SMALL, "--device", H7, "--csv")
    layers = list(csv.DictReader(StringIO(out)))
    assert sum(float(x["time_s"]) for x in layers) == pytest.approx(expected(), rel=1e-12)
    _, out, _ = run("report", *SMALL, "--device", H7, "--json")
    assert json.loads(out)["totals"]["time_s"] == pytest.approx(expected(), rel=1e-12)


def test_a_batch(run: Callable) -> None:
    """`--batch 8` has eight times the MACs, and is said."""
    _, out, _ = run("report", *SMALL, "--batch", "8", "--json")
    _, one, _ = run("report", *SMALL, "--json")
    assert json.loads(out)["totals"]["macs"] == 8 * json.loads(one)["totals"]["macs"]
    assert json.loads(out)["batch"] == 8
    assert "batch 8" in run("report", *SMALL, "--batch", "8")[1]


def test_a_device_of_ones_own(run: Callable, tmp_path: object) -> None:
    """A file is a device as the shipped one that it holds."""
    path = f"{tmp_path}/mine.json"
    device(H7).save(path)
    assert run("report", *SMALL, "--device", path) == run("report", *SMALL, "--device", H7)


def test_sweeps_plans_and_comparisons(run: Callable) -> None:
    """Each has the time of the same network."""
    text = f"≈{1000 * expected():#.3g} ms"
    grid = ("--alphas", "1/4", "--resolutions", "96", "--device", H7)
    assert text in run("sweep", *grid)[1]
    assert text in run("plan", *grid, "--max-latency", "10s")[1]
    assert text in run("compare", "mobilenet_v1@1/4,96", "--device", H7)[1]
    shown = json.loads(run("plan", *grid, "--max-latency", "10s", "--json")[1])
    assert shown["limits"] == {"max_latency": 10.0}
    assert shown["choice"]["time_s"] == pytest.approx(expected(), rel=1e-12)
    assert shown["device"]["name"] == H7
    code, _, err = run("plan", *grid, "--max-latency", "1us")
    assert code == 1
    assert "--max-latency" in err


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        (("report", "--device", "nope"), "device must be one of"),
        (("report", "--device", "nope.json"), "cannot read nope.json"),
        (("report", "--batch", "0"), "batch must be an integer"),
        (("plan", "--max-latency", "20ms"), "--max-latency 20ms is of a device"),
        (("sweep", "--max-latency", "20ms"), "--max-latency 20ms is of a device"),
        (("plan", "--max-latency", "20", "--device", H7), "must be a positive amount in s, ms"),
        (("plan", "--max-latency", "-1ms", "--device", H7), "must be a positive amount in s, ms"),
    ],
)
def test_a_mistake_is_one_line(run: Callable, typed: tuple[str, ...], says: str) -> None:
    """What, the value, the rule and the remedy, and exit code 2."""
    code, out, err = run(*typed)
    assert (code, out) == (2, "")
    assert says in err
    assert err.count("\n") == 1
