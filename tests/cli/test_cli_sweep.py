"""`costmodel sweep` and `costmodel plan`, as typed."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from costmodel import Network, cost, mobilenet_v1, resize, sweep, to_json, widen
from costmodel.metrics.memory import MemoryRules, peak_activations, weight_bytes
from costmodel.show import sweep as shown

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files written in several parts although the grids are small."""
    monkeypatch.setattr(shown, "CHUNK", 40)


def test_a_small_grid_is_printed(run: Callable) -> None:
    """Every configuration is a row with its exact figures."""
    ran = run("sweep", "--alphas", "0.5,0.75", "--resolutions", "192:224:32")
    assert ran.code == 0
    rows = [line.split() for line in ran.out.splitlines() if line.startswith((" 0.5", "0.75"))]
    assert rows[2][:4] == ["0.75", "192", "239,273,472", "2,585,560"]
    assert len(rows) == 4


def test_a_large_grid_is_printed_as_ranges(run: Callable) -> None:
    """The least and the most of each quantity, and where."""
    out = run("sweep", "--alphas", "0.25:1:0.01", "--resolutions", "128:224:32").out
    macs = next(line.split() for line in out.splitlines() if line.startswith("MACs"))
    assert macs == ["MACs", "13,570,048", "0.25", "128", "568,740,352", "1", "224"]


def test_pairs(run: Callable) -> None:
    """The n-th α with the n-th resolution."""
    args = ("--alphas", "0.5,1", "--resolutions", "160,224", "--pairs", "--json")
    found = json.loads(run("sweep", *args).out)["configurations"]
    assert [(c["alpha"], c["resolution"], c["macs"]) for c in found] == [
        (0.5, 160, 76524800),
        (1.0, 224, 568740352),
    ]


def test_memory_options_are_the_rules(run: Callable) -> None:
    """--dtype, --fold-batch-norm, --in-place and --no-input reach the figures."""
    args = ("--dtype", "int8", "--fold-batch-norm", "--in-place", "--no-input", "--json")
    made = json.loads(run("sweep", "--alphas", "0.5", "--resolutions", "96", *args).out)
    rules = MemoryRules("int8", False, True, True)  # noqa: FBT003 - in the order of its fields
    network = widen(resize(mobilenet_v1(), resolution=96), 0.5)
    (found,) = made["configurations"]
    assert found["weight_bytes"] == weight_bytes(network, rules)
    assert found["peak_bytes"] == peak_activations(network, rules).bytes
    assert made["memory_rules"] == (
        "int8, batch norm folded, elementwise in place, input not counted"
    )


GRID = ("--alphas", "0.1:1:0.05", "--resolutions", "96:224:16")


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_files_hold_every_configuration(run: Callable, tmp_path: Path, kind: str) -> None:
    """What is read back is the sweep, row for row, as integers."""
    path = tmp_path / f"grid.{kind}"
    ran = run("sweep", *GRID, "--output", path)
    assert (ran.code, ran.out, ran.err) == (0, "", f"wrote {path}: 171 configurations\n")
    frame = pd.read_csv(path) if kind == "csv" else pd.read_parquet(path)
    swept = sweep(mobilenet_v1(), np.arange(2, 21) / 20, range(96, 225, 16))
    pd.testing.assert_frame_equal(frame, swept.frame())
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_counts_past_int64(run: Callable, tmp_path: Path) -> None:
    """CSV holds them whole; Parquet refuses, and the old file stays."""
    grid = ("--alphas", "1", "--resolutions", str(10**9))
    assert run("sweep", *grid, "--output", tmp_path / "a.csv").code == 0
    macs = cost(resize(mobilenet_v1(), resolution=10**9)).macs
    assert macs > 2**63
    assert str(macs) in (tmp_path / "a.csv").read_text("utf-8")
    old = tmp_path / "a.parquet"
    old.write_text("old", "utf-8")
    ran = run("sweep", *grid, "--output", old)
    assert ran.code == 2
    assert "write CSV" in ran.err
    assert old.read_text("utf-8") == "old"


def test_a_full_disk_leaves_the_old_file(
    run: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the system says is one line with the file's name, and nothing is half written."""
    path = tmp_path / "grid.csv"
    path.write_text("old", "utf-8")

    def full(*_args: object, **_options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_csv", full)
    ran = run("sweep", *GRID, "--output", path)
    assert ran.code == 2
    assert ran.err == (
        f"costmodel: cannot write {path}: No space left on device; the old file, if any, is as it "
        "was\n"
    )
    assert path.read_text("utf-8") == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_parquet_without_pyarrow(
    run: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The extra that is missing is named, before anything is computed."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    ran = run("sweep", "--output", tmp_path / "a.parquet")
    assert ran.code == 2
    assert "pip install 'costmodel[parquet]'" in ran.err


def test_the_best_within_limits(run: Callable) -> None:
    """The configuration of most MACs, by brute force over the same grid."""
    limits = ("--max-macs", "150M", "--max-peak-memory", "2MiB")
    found = json.loads(run("sweep", *GRID, *limits, "--json").out)["best"]
    frame = sweep(mobilenet_v1(), np.arange(2, 21) / 20, range(96, 225, 16)).frame()
    fitting = frame[(frame.macs <= 150_000_000) & (frame.peak_bytes <= 2**21)]
    assert found == fitting.loc[fitting.macs.idxmax()].to_dict()
    assert "nothing fits" in run("sweep", *GRID, "--max-macs", "1k").out


def test_front_and_histogram(run: Callable) -> None:
    """The front is undominated, and the histogram counts everything."""
    front = json.loads(run("sweep", *GRID, "--front", "peak_bytes", "--json").out)["front"]
    pairs = [(c["macs"], c["peak_bytes"]) for c in front]
    assert pairs == sorted(set(pairs))
    assert len({peak for _, peak in pairs}) == len(pairs)
    made = json.loads(run("sweep", *GRID, "--histogram", "macs", "--json").out)
    assert sum(made["counts"]) == 171
    assert "171 configurations" not in run("sweep", *GRID, "--histogram", "macs").out
    assert "Pareto front" in run("sweep", *GRID, "--front", "params").out


def test_plan_prints_the_choice_and_why(run: Callable) -> None:
    """The paper's 0.5 MobileNet-224 under 150 M MACs, with what binds and what is next."""
    out = run("plan", "--max-macs", "150M", "--max-params", "2M").out
    choice = next(line.split() for line in out.splitlines() if line.startswith("choice"))
    assert choice[1:6] == ["0.5", "224", "63.7", "149,497,088", "1,331,592"]
    assert "--max-macs 150M = 150,000,000 · --max-params 2M = 2,000,000" in out
    assert "a better one breaks --max-macs" in out
    assert "α = 0.500884 takes 150,000,000 MACs at 224 px" in out


def test_plan_as_data(run: Callable) -> None:
    """--json has the choice, its neighbours, the front and the reason."""
    args = ("--max-flash", "1MiB", "--dtype", "int8", "--fold-batch-norm", "--json")
    made = json.loads(run("plan", *args).out)
    resized = resize(mobilenet_v1(), resolution=made["choice"]["resolution"])
    network = widen(resized, made["choice"]["alpha"])
    assert made["choice"]["weight_bytes"] == weight_bytes(
        network, MemoryRules("int8", fold_batch_norm=True)
    )
    assert made["limits"] == {"max_flash": 2**20}
    assert made["binding"] == ["max_flash"]
    assert made["front"][0] == made["choice"]
    assert made["larger"]["weight_bytes"] > 2**20


def test_an_infeasible_budget_is_an_answer(run: Callable) -> None:
    """Exit code 1 and a line, for a script; the limit that binds; the smallest there is."""
    ran = run("plan", "--max-flash", "1KiB")
    line = "nothing fits: the smallest network there is breaks --max-flash"
    assert (ran.code, ran.err) == (1, f"costmodel: {line}\n")
    assert "nothing fits: the smallest network there is breaks --max-flash" in ran.out
    assert "45,664" in ran.out


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_plan_draws(run: Callable, tmp_path: Path, kind: str) -> None:
    """--plot writes the kind of image that the name says."""
    path = tmp_path / f"plan.{kind}"
    assert run("plan", "--max-macs", "150M", "--plot", path).code == 0
    start = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[kind]
    assert path.read_bytes().startswith(start)


def test_plan_of_a_file(run: Callable, tmp_path: Path) -> None:
    """A network of a user's own is planned by its MACs."""
    path = tmp_path / "mine.json"
    path.write_text(to_json(Network("mine", mobilenet_v1().layers)), "utf-8")
    out = run("plan", path, "--max-macs", "150M").out
    assert "the largest that fits" in out
    assert "top-1" not in out


INCEPTION = ("plan", "inception_v3", "--max-macs", "1G")
LARGE = ("sweep", "--alphas", "0.001:4:0.001", "--resolutions", "1:99")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("plan",), "a plan needs a limit; give one of max_macs"),
        (("plan", "--max-macs", "-1"), "max_macs must be a positive amount in k, M, G, T"),
        (("plan", "--max-flash", "512"), "max_flash must be a positive amount in B, kB"),
        (("plan", "--max-macs", "1M", "--dtype", "int4"), "dtype must be one of float32"),
        (("plan", "--max-macs", "1M", "--plot", "plan.gif"), "an image is a file named .png"),
        (("plan", "--max-macs", "1M", "--alphas", "0:1:0.1"), "alpha must be in (0, 4], got 0"),
        (("plan", "--max-macs", "1M", "--rounding", "exact"), "exact has no steps to list"),
        (("plan", "--max-macs", "1M", "--resolutions", "9:3"), "resolutions must rise"),
        (
            ("plan", "inception_v3", "--max-macs", "1G", "--resolutions", "32"),
            "inception_v3 has is 75",
        ),
        (("sweep", "--alphas", "nan"), "alphas must be a number"),
        (("sweep", "--alphas", "5"), "alpha must be in (0, 4], got 5"),
        (("sweep", "--pairs", "--alphas", "1"), "pairs need as many α as resolutions"),
        (("sweep", "--front", "area"), "quantity must be one of macs, params"),
        (("sweep", "--output", "grid.txt"), "a sweep is written as .csv or .parquet"),
        (("sweep", "--output", "no/such/a.csv"), "there is no directory"),
        (("sweep", "--front", "params", "--histogram", "macs"), "choose one"),
        (("sweep", "--front", "params", "--max-macs", "1M"), "give one"),
        (
            ("sweep", "--alphas", "0.001:4:0.001", "--resolutions", "1:99", "--json"),
            "at most 100,000 configurations",
        ),
    ],
)
def test_mistakes_are_one_line(run: Callable, arguments: tuple[str, ...], message: str) -> None:
    """What, the value, the rule and the remedy; exit code 2."""
    ran = run(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err
    assert ran.err.count("\n") == 1
