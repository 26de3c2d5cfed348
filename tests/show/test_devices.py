"""What `costmodel devices` shows."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from costmodel.metrics import device
from costmodel.metrics.devices import shipped

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NAMES = [made.name for made in shipped()]


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A device of a user's own."""
    path = tmp_path / "mine.json"
    replace(device(NAMES[0]), name="mine").save(path)
    return path


@pytest.mark.parametrize("columns", [80, 100, 140])
def test_all_that_are_shipped(run: Callable, monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    """Without a name, a row for each: name, dtype and errors whole, at any width."""
    monkeypatch.setenv("COLUMNS", str(columns))
    code, out, err = run("devices")
    assert (code, err) == (0, "")
    assert max(map(len, out.splitlines())) <= columns
    for made in shipped():
        line = next(line for line in out.splitlines() if line.startswith(made.name))
        right = f"{100 * made.error:.1f} %", f"{100 * made.spread:.1f} %"
        assert line.split()[-5:] == [made.dtype, *" ".join(right).split()]
    assert "GMAC/s" not in out


def test_constants_in_readable_units(run: Callable) -> None:
    """One by name: its constants by kind, in µs, GMAC/s and GB/s, and what they are from."""
    made = device("stm32h747_int8")
    out = run("devices", made.name).out
    assert out.startswith("stm32h747_int8\nSTM32H747I-DISCO, 400 MHz; STM32Cube.AI 10.0.0; ")
    assert f"fitted on 13 rows of stm32h7_mobilenets_int8, {made.date}" in out
    rate = made.kinds["linear"].work_per_s
    assert rate is not None
    linear = next(line for line in out.splitlines() if line.startswith("linear"))
    assert linear.split() == ["linear", "0", f"{rate / 1e9:.3g}", "–", "0.0194", "0.0657"]
    assert max(map(len, out.splitlines())) <= 100
    assert "pixel_1_tflite" not in out


def test_a_file_beside_the_shipped(run: Callable, mine: Path) -> None:
    """A file of one's own has a row beside them, and its constants below."""
    out = run("devices", mine).out
    starts = [line.split()[0] for line in out.splitlines() if line]
    assert [name for name in starts if name in {*NAMES, "mine"}] == [*NAMES, "mine", "mine"]
    assert out.count("GMAC/s") == 1


def test_json(run: Callable, mine: Path) -> None:
    """A program gets the files' contents in a list: all, or those that are named."""
    assert [each["name"] for each in json.loads(run("devices", "--json").out)] == NAMES
    named = json.loads(run("devices", NAMES[1], "--json").out)
    assert named == [json.loads(device(NAMES[1]).to_json())]
    with_file = json.loads(run("devices", mine, "--json").out)
    assert [each["name"] for each in with_file] == [*NAMES, "mine"]


def test_no_such_device(run: Callable, tmp_path: Path) -> None:
    """One line and exit code 2 for a name nobody has, and for a file that is no device."""
    code, out, err = run("devices", "pixel")
    assert (code, out) == (2, "")
    assert err == (
        f"costmodel: device must be one of {', '.join(NAMES)} or a file NAME.json, got 'pixel'\n"
    )
    (tmp_path / "x.json").write_text("{}")
    code, out, err = run("devices", tmp_path / "x.json")
    assert (code, out) == (2, "")
    assert err == f"costmodel: {tmp_path / 'x.json'}: name is missing; add it\n"
