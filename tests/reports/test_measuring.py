"""A report against the clock: its figures are those of a clock that the test sets."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from io import StringIO
from typing import TYPE_CHECKING

import pytest

from costmodel import CostModelError, lower, mobilenet_v1, report
from costmodel.backends.measuring import Measured
from costmodel.metrics.devices import device
from costmodel.reports import measuring
from costmodel.reports.measuring import timed
from costmodel.show.record import to_json
from costmodel.show.report import to_csv, to_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from costmodel import Report

PIXEL = device("pixel_1_tflite")
NAMES = [x.layer.name for x in lower(mobilenet_v1()) if x.layer.arity != 0]
#: Milliseconds that no two layers share.
CLOCK = Measured(0.2, 0.015, {name: (i + 1) / 10**4 for i, name in enumerate(NAMES)})


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Report:
    """MobileNetV1 against a clock that is set."""
    monkeypatch.setattr(measuring, "measured", lambda *_, **__: CLOCK)
    return timed(report(device=PIXEL))


def test_a_row_has_the_time_of_its_layers(shown: Report) -> None:
    """A convolution's time is its own with those of its batch norm and activation.

    Mutation: the convolution's alone.
    """
    first = shown.rows[0]
    assert first.layers == tuple(NAMES[:3])
    assert shown.measured_s(first) == pytest.approx((1 + 2 + 3) / 10**4)
    rows = sum(shown.measured_s(row) for row in shown.rows)
    left = {name for row in shown.rows for name in row.layers}
    rest = sum(seconds for name, seconds in CLOCK.layers.items() if name not in left)
    assert rows + rest == pytest.approx(CLOCK.total)


def test_text_csv_and_json(shown: Report) -> None:
    """Predicted, measured and the difference, a layer and in all, and the sum of the layers."""
    text = to_text(shown)
    off = 100 * (shown.total.time_s / 0.2 - 1)
    assert f"measured here: 200 ms, of which ≈ is {off:+.0f} % off" in " ".join(text.split())
    assert "measured" in text.split("\n\n")[1]
    assert "1.5 % apart" in " ".join(text.split())
    layers = list(csv.DictReader(StringIO(to_csv(shown))))
    assert float(layers[0]["measured_s"]) == pytest.approx(6 / 10**4)
    plain = json.loads(to_json(shown))
    assert plain["measured"]["whole_s"] == 0.2
    assert plain["measured"]["sum_of_layers_s"] == pytest.approx(CLOCK.total)
    assert plain["layers"][0]["measured_s"] == pytest.approx(6 / 10**4)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (report, "--measure compares a device's times with the clock; give a --device"),
        (lambda: report(device=device("stm32h747_int8")), "computes in int8, and --measure runs"),
        (lambda: report(device=PIXEL, resolution=16_000), "--measure: a forward pass of"),
    ],
)
def test_what_cannot_be_timed(asked: Callable[[], Report], says: str) -> None:
    """One line says why."""
    with pytest.raises(CostModelError, match=says):
        timed(asked())


def test_without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where torch is missing, one line says how to install it."""
    monkeypatch.setattr("costmodel.errors.find_spec", lambda _: None)
    with pytest.raises(CostModelError, match="--measure needs torch"):
        timed(report(device=PIXEL))


@pytest.mark.slow
def test_a_real_clock() -> None:
    """Here, every layer takes some time, and the whole about what its layers do."""
    pytest.importorskip("torch", reason="no torch: pip install -e '.[dev]'")
    found = timed(report(resolution=64, device=replace(PIXEL, threads=1))).measured
    assert found is not None
    assert set(found.layers) == set(NAMES)
    assert min(found.layers.values()) > 0
    assert 0.2 < found.total / found.whole < 5
