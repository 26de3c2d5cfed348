"""The family, its accuracies and the law between; and networks side by side."""

from __future__ import annotations

import csv
import json
from io import StringIO
from typing import TYPE_CHECKING

import numpy as np
import pytest

from costmodel import CostModelError
from costmodel.published.family import alternatives, family, law
from costmodel.reports.variants import variant
from costmodel.show.plots import family_figures

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# Howard et al. 2017, Tables 6, 7 and 9: (α, D) → million mult-adds, top-1. Typed in from the
# paper; the program has them from its CSV.
PRINTED = {
    (1.0, 224): (569, 70.6),
    (0.75, 224): (325, 68.4),
    (0.5, 224): (149, 63.7),
    (0.25, 224): (41, 50.6),
    (1.0, 192): (418, 69.1),
    (1.0, 160): (290, 67.2),
    (1.0, 128): (186, 64.4),
    (0.5, 160): (76, 60.2),
}


def test_printed_accuracies_are_the_papers() -> None:
    """Where the paper prints an accuracy the family has it, and elsewhere an estimate."""
    for member in family():
        key = (float(member.alpha), member.resolution)
        assert member.top1.estimated == (key not in PRINTED)
        if key in PRINTED:
            assert member.top1.percent == PRINTED[key][1]
            assert member.top1.source.startswith("mobilenet_v1_paper, T")
        else:
            assert str(member.top1).startswith("≈")


def test_the_family_is_sixteen_models() -> None:
    """4 widths × 4 resolutions; MACs as printed, params by width alone."""
    members = family()
    assert len({(m.alpha, m.resolution) for m in members}) == 16
    for member in members:
        key = (float(member.alpha), member.resolution)
        if key in PRINTED:
            assert abs(member.cost.macs / 1e6 - PRINTED[key][0]) < 1
    by_width = {m.alpha: {n.cost.params for n in members if n.alpha == m.alpha} for m in members}
    assert all(len(params) == 1 for params in by_width.values())


def test_the_law_is_a_least_squares_line() -> None:
    """numpy's fit to the paper's printed pairs gives the same line, up to the printed rounding."""
    macs, top1 = zip(*PRINTED.values(), strict=True)
    logs = np.log2(np.array(macs) * 1e6)
    slope, intercept = np.polyfit(logs, top1, 1)
    fitted = law()
    assert fitted.points == len(PRINTED)
    assert fitted.slope == pytest.approx(slope, rel=5e-3)
    misses = np.array(top1) - (intercept + slope * logs)
    assert fitted.residual == pytest.approx(float(np.sqrt(np.mean(misses**2))), rel=2e-2)


def test_alternatives() -> None:
    """Tables 4 and 5 as one-line rewrites, with the accuracies printed beside them."""
    found = {
        a.name: (a.cost.macs, a.top1.percent) for rows in alternatives().values() for a in rows
    }
    # The five layers of 14×14×512 that the shallow network lacks.
    shallow = 568_740_352 - 5 * (9 * 512 + 512 * 512) * 14 * 14
    assert found["Shallow MobileNet"] == (shallow, 65.3)
    assert found["0.75 MobileNet"] == (325_400_448, 68.4)
    assert found["MobileNet"] == (568_740_352, 70.6)
    assert found["Conv MobileNet"] == (4_867_293_184, 71.7)


def test_the_command(run: Callable, tmp_path: Path) -> None:
    """Table, JSON, CSV and Markdown hold the same sixteen models; --plots draws two figures."""
    assert "239,273,472" in run("family").out
    models = json.loads(run("family", "--json").out)["models"]
    rows = list(csv.DictReader(StringIO(run("family", "--csv").out)))
    assert [m["macs"] for m in models] == [int(row["macs"]) for row in rows]
    assert len(models) == 16
    assert run("family", "--markdown").out.count("\n| ") >= 16
    assert run("family", "--plots", tmp_path / "p").err.count("wrote") == 4
    assert len(list((tmp_path / "p").iterdir())) == 4


def test_figures_hold_the_family() -> None:
    """The markers are the models: x their MACs or params, y their top-1; hollow is estimated."""
    for name, figure in family_figures().items():
        quantity = name.removeprefix("accuracy_")
        (axes,) = figure.axes
        drawn = {}
        for line in axes.lines:
            hollow = line.get_markerfacecolor() == "white"
            if line.get_marker() not in {"None", ""}:
                drawn |= dict.fromkeys(zip(*line.get_data(), strict=True), hollow)
        expected = {(getattr(m.cost, quantity), m.top1.percent): m.top1.estimated for m in family()}
        assert drawn == expected
        assert axes.get_ylabel() == "top-1 accuracy (%)"


# compare -------------------------------------------------------------------------------------


def test_compare(run: Callable) -> None:
    """The seed statement: AlexNet against 0.5 MobileNet-160, with exact ratios to the first."""
    names = ("mobilenet_v1@0.5,160", "alexnet", "alexnet_one_tower")
    out = run("compare", *names).out
    for cell in ("76,524,800", "9.466", "9.333", "45.78", "45.89"):
        assert cell in out
    data = json.loads(run("compare", *names, "--json").out)
    keys = {"name", "alpha", "resolution", "classes", "macs", "params", "activations"}
    assert all(set(entry) == keys for entry in data)
    assert data[0] == {
        "name": "mobilenet_v1",
        "alpha": 0.5,
        "resolution": 160,
        "classes": 1000,
        "macs": 76_524_800,
        "params": 1_331_592,
        "activations": data[0]["activations"],
    }
    assert run("compare", *names, "--markdown").out.count("\n| ") == 2 + 3


def test_variants() -> None:
    """name[@alpha[,resolution[,classes]]], as much of it as is given."""
    made = variant("mobilenet_v1@3/4,96x128,10")
    assert (float(made.alpha), made.resolution, made.classes) == (0.75, (96, 128), 10)
    assert variant("mobilenet_v2").network.rounding == "divisible(8)"


@pytest.mark.parametrize(
    "text", ["", "@0.5", "mobilenet_v1@", "mobilenet_v1@1,2,3,4", "mobilenet_v1@,160"]
)
def test_malformed_variants(text: str) -> None:
    """A variant that is none is an error that shows the form."""
    with pytest.raises(CostModelError, match=r"malformed variant .*name\[@alpha"):
        variant(text)


def test_a_variant_of_nothing(run: Callable) -> None:
    """An unknown name suggests the nearest; bad values say which."""
    code, _, err = run("compare", "mobilenet_v1", "alexnett")
    assert code == 2
    assert "did you mean alexnet" in err
    assert "alpha must be" in run("compare", "mobilenet_v1@9").err
