"""Devices from tables: the two that are shipped, and what a table may have wrong."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from functools import cache
from statistics import median
from typing import TYPE_CHECKING

import pytest

from costmodel import CostModelError, cost, resize, widen
from costmodel.metrics import device, time
from costmodel.metrics.devices import Constants, Device
from costmodel.published import TIMES, table
from costmodel.reports.device_tables import TERMS, TableFit, fit_table, off, within
from costmodel.reports.loading import base_network

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

PIXEL, H7 = "tf_slim_mobilenet_v2", "stm32h7_mobilenets_int8"


@cache
def fit(source: str) -> TableFit:
    """The fit that a shipped device is from, as the command makes it."""
    if source == PIXEL:
        return fit_table(
            PIXEL, "pixel_1_tflite", machine="Pixel 1, one large core", runtime="TensorFlow Lite"
        )
    words = {"machine": "STM32H747I-DISCO, 400 MHz", "runtime": "STM32Cube.AI 10.0.0"}
    return fit_table(H7, "stm32h747_int8", dtype="int8", **words)


def far(source: str, left_out: str, group: object = None) -> tuple[float, float]:
    """The median and the largest error, in percent, of a group or all, fitted without it."""
    judged = fit(source).judged[left_out]
    pairs = zip(off(judged.fixed), judged.labels, strict=True)
    errors = [100 * error for error, label in pairs if group in {None, label}]
    return median(errors), max(errors)


@pytest.mark.parametrize("source", [PIXEL, H7])
def test_what_is_shipped_is_what_the_table_gives(source: str) -> None:
    """The command, run again on the table that comes along, writes the shipped device."""
    made = fit(source).device
    assert replace(device(made.name), date=made.date) == made


def test_better_than_two_constants() -> None:
    """Left out in turn, with MACs and activations alone: 5.3 % (23), 3.8 % (16) and 4.8 %."""
    for (middle, most), (median_before, most_before) in (
        (far(PIXEL, "width"), (5.3, 23)),
        (far(H7, "network", "mobilenet_v2"), (3.8, 16)),
        (far(H7, "network", "mobilenet_v1"), (4.8, 16)),
    ):
        assert middle < median_before
        assert most < most_before


@pytest.mark.parametrize("source", [PIXEL, H7])
def test_the_error_counts_the_choice(source: str) -> None:
    """A device's error is of rows that its choice of constants had not seen either: no smaller."""
    made = fit(source)
    judged = made.judged[made.hardest]
    assert made.device.error == round(median(off(judged.anew)), 4)
    assert made.device.error >= median(off(judged.fixed))
    assert made.device.spread == round(within(off(judged.anew)), 4)
    assert made.hardest == ("width" if source == PIXEL else "network")


@pytest.mark.parametrize("source", [PIXEL, H7])
def test_the_device_gives_what_was_fitted(source: str) -> None:
    """A row's time by the device is the table's to 13 %: its kinds hold the fitted constants."""
    made = fit(source)
    for row in made.rows:
        assert abs(time(row.network, made.device) / row.seconds - 1) < 0.13


def test_networks_are_the_tables_own() -> None:
    """Each row's MACs are those the table prints, to a million: V2's head never shrinks.

    The mutation: with plain widths, α = 0.35 would have a tenth less.
    """
    printed = csv.DictReader(io.StringIO(table(PIXEL, TIMES)))
    for row, record in zip(fit(PIXEL).rows, printed, strict=True):
        assert abs(cost(row.network).macs / 1e6 - float(record["macs_millions"])) <= 2
        assert row.line == 2 + fit(PIXEL).rows.index(row)
    assert cost(fit(PIXEL).rows[-5].network).macs == 59_285_808


def test_classes_and_channels_are_the_tables_own() -> None:
    """Five classes and grey images where the table says so: its flash tells the weights apart."""
    rows = {tuple(row.said.values()): row.network for row in fit(H7).rows}
    grey = rows["mobilenet_v1", "0.25", "96", "5", "1"]
    assert grey.inputs[0].shape == (1, 1, 96, 96)
    colour = rows["mobilenet_v1", "0.25", "96", "5", "3"]
    assert cost(colour).params - cost(grey).params == 9 * 2 * 8
    many = rows["mobilenet_v1", "0.25", "224", "1000", "3"]
    assert cost(many).params - cost(colour).params == 995 * (256 + 1)


def written(path: Path, rows: str, heading: str = "network,alpha,resolution,ms") -> str:
    """A table's file."""
    path.write_text(f"{heading}\n{rows}", "utf-8")
    return str(path)


NONE = Constants(0)


def known(kinds: Mapping[str, Constants]) -> Device:
    """A device that is known, to be found again."""
    return replace(device("pixel_1_tflite"), kinds={"elementwise": NONE} | kinds)


@pytest.mark.parametrize(
    ("kinds", "terms"),
    [
        ({"product": Constants(0, 5e9)}, ["MACs"]),
        ({"product": Constants(0, 5e9, None, 1e9)}, ["MACs", "activations written"]),
        (
            {"product": Constants(0, 5e9, None, 1e9), "linear": Constants(0, 5e9, None, 1e9, 1e8)},
            ["MACs", "activations written", "weights of linear layers"],
        ),
        ({"product": Constants(1e-4, 5e9)}, ["MACs", "starting an operator"]),
        (
            {"product": Constants(0, 5e9), "elementwise": Constants(0, None, None, 1e9)},
            ["MACs", "elementwise operators"],
        ),
    ],
)
def test_a_known_device_is_found(
    kinds: Mapping[str, Constants], terms: list[str], tmp_path: Path
) -> None:
    """Of times that a device gives, its constants are fitted, and no others."""
    given, lines = known(kinds), []
    for network in ("mobilenet_v1", "mobilenet_v2", "squeezenet_1_0"):
        for alpha in ("0.35", "0.5", "1.0"):
            for side in (96, 224):
                sized = widen(resize(base_network(network)[0], resolution=side), alpha)
                lines.append(f"{network},{alpha},{side},{1000 * time(sized, given):.9f}\n")
    made = fit_table(written(tmp_path / "t.csv", "".join(lines)), "found")
    assert [term.name for term in made.terms] == terms
    for kind, constants in made.device.kinds.items():
        expected = given.constants(kind, product=kind != "elementwise")
        assert constants.slopes == pytest.approx(expected.slopes, rel=1e-3)
        assert constants.start_s == pytest.approx(expected.start_s, rel=1e-3)
    assert max(max(off(judged.fixed)) for judged in made.judged.values()) < 1e-3


def test_the_hardest_is_the_devices(tmp_path: Path) -> None:
    """Of leaving a width and a network out, the one with the larger median says how good it is."""
    made = fit(H7)
    medians = {name: median(off(judged.anew)) for name, judged in made.judged.items()}
    assert medians["network"] > medians["width"]
    assert "each network" in made.device.judged_on
    one = "mobilenet_v2,1,224,70\nmobilenet_v2,1,192,55\nmobilenet_v2,1,160,40\n"
    alone = fit_table(written(tmp_path / "t.csv", f"{one}mobilenet_v2,1,128,27\n"), "x")
    assert "each row left out in turn" in alone.device.judged_on
    assert alone.device.fitted_on == "4 rows of t.csv"


def test_the_machine_is_the_columns(tmp_path: Path) -> None:
    """A column `device` with one value names the machine; with two, or none, the name does."""
    rows = fit_table(PIXEL, "x")
    assert rows.device.machine == "Pixel 1 large core float32"
    two = "".join(f"mobilenet_v2,1,{96 + 32 * i},{20 + 10 * i},{i}\n" for i in range(4))
    heading = "network,alpha,resolution,ms,device"
    assert fit_table(written(tmp_path / "t.csv", two, heading), "mine").device.machine == "mine"


GOOD = (
    "mobilenet_v2,1.0,224,73.8\nmobilenet_v2,0.75,224,55.8\nmobilenet_v2,0.5,224,28.7\n"
    "mobilenet_v2,0.35,224,19.7\n"
)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("mobilenet_v9,1,224,50", "line 6: unknown network 'mobilenet_v9'; did you mean"),
        ("mobilenet_v2,9,224,50", "line 6: alpha must be in (0, 4], got 9"),
        ("mobilenet_v2,wide,224,50", "line 6: alpha must be a number or a ratio such as 6/7, got"),
        ("mobilenet_v2,1,0,50", "line 6: resolution must be an integer from 1 to 10**18, got '0'"),
        ("mobilenet_v2,1,224,20ms", "line 6: ms must be a number of milliseconds above 0 and"),
        ("mobilenet_v2,1,224,-3", "line 6: ms must be a number"),
        ("mobilenet_v2,1,224,0", "line 6: ms must be a number"),
        ("mobilenet_v2,1,224,", "line 6: ms must be a number"),
        ("mobilenet_v2,1,224,nan", "line 6: ms must be a number"),
        ("mobilenet_v2,1,224,inf", "line 6: ms must be a number"),
        ("mobilenet_v2,1,224,1e400", "line 6: ms must be a number"),
        ("mobilenet_v2,1,224", "line 6: has fewer cells than the heading"),
        ("mobilenet_v2,1,224,73,8", "line 6: has more cells than the heading; a comma is no"),
        ("mobilenet_v2,1,192,0.0551", "line 6: its ms are 986 times off what other rows take"),
        ("mobilenet_v2,1,192,55100", "line 6: its ms are 749 times off what other rows take"),
        ("alexnet,1,16,3", "line 6: pool1: kernel 3 (dilation 1) is larger than its input"),
    ],
)
def test_a_wrong_row(row: str, said: str, tmp_path: Path) -> None:
    """A row that is none is named by its line, in one line."""
    source = written(tmp_path / "t.csv", GOOD + row + "\n")
    with pytest.raises(CostModelError) as error:
        fit_table(source, "x")
    assert str(error.value).startswith(f"{source}, {said}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", " is empty; give network, alpha, resolution, ms and a row for each"),
        ("network,alpha,resolution,ms\n", ": a device takes at least 4 rows, got 0; add more"),
        (
            "network,alpha,resolution,ms\nmobilenet_v2,1,224,73.8\n",
            ": a device takes at least 4 rows, got 1; add more",
        ),
        (
            f"network,alpha,resolution,seconds\n{GOOD}",
            ": column 'ms' is missing; add it, in milliseconds (it has network, alpha, resolution,",
        ),
        (f"network,alpha,resolution,us\n{GOOD}", ": column 'ms' is missing; add it, in milli"),
        (f"network;alpha;resolution;ms\n{GOOD}", ": column 'network' is missing; add it (it has"),
        ("network,alpha,resolution,ms,ms\n", ": column 'ms' is there twice; keep one"),
    ],
)
def test_no_table(text: str, said: str, tmp_path: Path) -> None:
    """What is no table of milliseconds is refused before a network is made."""
    path = tmp_path / "t.csv"
    path.write_text(text, "utf-8")
    with pytest.raises(CostModelError) as error:
        fit_table(str(path), "x")
    assert str(error.value).startswith(f"{path}{said}")


def test_no_text(tmp_path: Path) -> None:
    """A binary file, a cell of a megabyte, a folder and a file that isn't there."""
    (tmp_path / "binary.csv").write_bytes(bytes(range(256)))
    (tmp_path / "folder.csv").mkdir()
    written(tmp_path / "long.csv", '"' + "a" * 1_000_000)
    for name, why in {
        "binary.csv": "not UTF-8 text",
        "folder.csv": "Is a directory",
        "long.csv": "field larger than field limit (131072)",
        "none.csv": "No such file or directory",
    }.items():
        with pytest.raises(CostModelError) as error:
            fit_table(str(tmp_path / name), "x")
        assert str(error.value) == f"cannot read {tmp_path / name}: {why}; name a CSV file"
    with pytest.raises(CostModelError, match="unknown source 'pixel'; choose tf_slim_mobilenet_v2"):
        fit_table("pixel", "x")


def test_the_terms_are_all_of_a_device() -> None:
    """Every constant that a kind may have is a term, and the first is MACs."""
    names = {term.constant for term in TERMS}
    assert names == Constants.__dataclass_fields__.keys()
    assert TERMS[0].name == "MACs"


def test_the_command(run: Callable, tmp_path: Path) -> None:
    """What a user types: a table of rows, how far off, the constants, and the file."""
    target = tmp_path / "mine.json"
    code, out, err = run("fit-device", H7, "--dtype", "int8", "--output", target)
    assert (code, err) == (0, f"wrote {target}\n")
    assert "mobilenet_v2  0.35  224        5   3        290.8    ≈ 285.7      -1.7 %" in out
    assert "each network      13    2.7 / 5.0 / 5.2   3.9 / 7.7 / 16.9" in out
    assert "3 constants for 13 rows: MACs, activations written, weights of linear layers" in out
    assert max(map(len, out.splitlines())) <= 80
    assert device(str(target)).kinds == device("stm32h747_int8").kinds
    assert device(str(target)).name == "mine"


def test_the_command_in_json(run: Callable) -> None:
    """A program gets the device, each row and its prediction, and the errors."""
    data = json.loads(run("fit-device", PIXEL, "--name", "p", "--json").out)
    assert data["device"]["name"] == "p"
    anew = data["left_out"]["width"]["anew"]
    assert Device.from_json(json.dumps(data["device"])).error == round(anew["median"], 4)
    assert len(data["rows"]) == 22
    assert data["rows"][0]["time_s"] == 0.138
    assert data["constants"] == ["MACs", "activations written", "weights of convolutions"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--output", "/"), "cannot write /: it is a directory; name a file"),
        (("--output", "/nowhere/x.json"), "cannot write /nowhere/x.json: there is no directory"),
        (("--output", "mine.txt"), "a device is a file NAME.json, got --output mine.txt"),
        (("--dtype", "int4"), "dtype must be one of float32, float16, int8, got 'int4'"),
        (("--threads", "0"), "threads must be an integer from 1 to 10**18, got '0'"),
    ],
)
def test_a_wrong_option(run: Callable, arguments: tuple[str, ...], said: str) -> None:
    """One line and exit code 2, before the table is fitted."""
    code, out, err = run("fit-device", PIXEL, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"costmodel: {said}")
    assert len(err.splitlines()) == 1
