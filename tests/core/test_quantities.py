"""A quantity is a row: one of a user's own is seen wherever those of the library are."""

from __future__ import annotations

import csv
import json
from io import StringIO
from typing import TYPE_CHECKING

import pytest

from costmodel import (
    CostModelError,
    Network,
    cost,
    cost_function,
    mobilenet_v1,
    plan,
    resize,
    sweep,
    widen,
)
from costmodel.core.quantities import QUANTITIES, Quantity, register
from costmodel.show.explorer.page import page
from costmodel.show.plots import layers_figure, plan_figure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Picojoules a MAC and a byte, in whole numbers.
MAC, BYTE = 4, 160


@pytest.fixture
def energy() -> Iterator[None]:
    """The row, for one test: all that a user writes for a quantity of their own."""
    register(
        Quantity(
            "energy",
            "energy",
            "picojoules of the MACs, and of the float32 bytes of outputs and parameters",
            unit="pJ",
            limit="max_energy",
            of_nest=lambda nest: MAC * nest.macs + 4 * BYTE * nest.activations,
            of_parameter=lambda parameter: 4 * BYTE * parameter.count,
        )
    )
    yield
    del QUANTITIES["energy"]


def joules(network: Network) -> int:
    """The same, of the three quantities there are."""
    total = cost(network)
    return MAC * total.macs + 4 * BYTE * (total.activations + total.params)


HALF = widen(resize(mobilenet_v1(), resolution=160), "1/2")


@pytest.mark.usefixtures("energy")
def test_costs_and_functions_have_it() -> None:
    """A cost, a sweep and both compiled functions evaluate the row's terms."""
    assert cost(HALF).energy == joules(HALF)
    assert f"energy={joules(HALF)}" in repr(cost(HALF) + cost(HALF).map(lambda _: 0))
    assert sweep(mobilenet_v1(), [0.5], [160]).energy[0, 0] == joules(HALF)
    assert cost_function(mobilenet_v1())(0.5, 160).energy == joules(HALF)
    widths = cost_function(mobilenet_v1(), over="widths")
    factors = [0.5] * len(widths.layers)
    assert widths(multipliers=factors, resolution=160).energy == joules(HALF)


@pytest.mark.usefixtures("energy")
def test_reports_have_it(run: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    """The headline, the table of layers, those by kind, JSON and CSV show it."""
    monkeypatch.setenv("COLUMNS", "160")
    command = ("report", "--no-check", "--alpha", "0.5", "--resolution", "160")
    text = run(*command).out
    assert f"{joules(HALF):,} energy" in text
    (head,) = (line for line in text.splitlines() if line.startswith("layer"))
    assert head.count("energy") == 1
    data = json.loads(run(*command, "--json").out)
    assert data["totals"]["energy"] == joules(HALF)
    assert sum(kind["energy"] for kind in data["by_kind"].values()) == joules(HALF)
    rows = list(csv.DictReader(StringIO(run(*command, "--csv").out)))
    assert sum(int(row["energy"]) for row in rows) == joules(HALF)


@pytest.mark.usefixtures("energy")
def test_sweeps_and_plans_have_it(run: Callable) -> None:
    """It is swept, limited by an option of its own, what binds, and a front's other axis."""
    swept = run("sweep", "--alphas", "0.5", "--resolutions", "160").out
    assert f"{joules(HALF):,}" in swept
    grid = ("--alphas", "0.25,0.5,1", "--resolutions", "128,160")
    limit = ("--max-energy", joules(HALF))
    planned = json.loads(run("plan", *grid, *limit, "--json").out)
    assert planned["choice"]["energy"] == joules(HALF)
    assert planned["binding"] == ["max_energy"]
    assert planned["front_against"] == "energy"
    assert "--max-energy" in run("plan", "--help").out
    best = json.loads(run("sweep", *grid, *limit, "--json").out)["best"]
    assert (best["alpha"], best["resolution"]) == (0.5, 160)
    said = run("plan", "--max-energy", "much")
    assert (said.code, said.err.count("\n")) == (2, 1)


@pytest.mark.usefixtures("energy")
def test_plots_and_comparisons_have_it(run: Callable) -> None:
    """Its limit is a line of a plan's picture, its bars a panel, its ratio a column."""
    limited = plan(mobilenet_v1(), max_energy=joules(HALF), alphas=["1/4", "1/2"])
    legend = plan_figure(limited).axes[0].get_legend_handles_labels()[1]
    assert any(label.startswith("energy ≤ ") for label in legend)
    assert "energy without batch norm" in {axes.get_xlabel() for axes in layers_figure(HALF).axes}
    assert run("compare", "mobilenet_v1", "mobilenet_v1@0.5").out.count("energy") == 1


@pytest.mark.usefixtures("energy")
def test_the_page_has_it() -> None:
    """The explorer computes it, and has a field for its limit."""
    text = page(["mobilenet_v1"])
    assert '"name": "energy", "title": "energy", "unit": "pJ", "limit": "max_energy"' in text
    assert 'id="max_energy"' in text
    assert "\nenergy: (D, N" in text


def test_a_name_is_taken_once() -> None:
    """A second row of one name, and one that is no name, are refused."""
    for name in ("macs", "my energy"):
        with pytest.raises(CostModelError, match=f"a quantity needs a new name, got '{name}'"):
            register(Quantity(name, name))
    with pytest.raises(CostModelError, match="a cost has macs, params, activations, got energy"):
        type(cost(HALF))(energy=1)
