"""The audit: every verdict's evidence, computed here and not believed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter, defaultdict
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest

from costmodel import CostModelError, Network, cost, drop, lower, mobilenet_v1, resize, widen
from costmodel.core import infer
from costmodel.published import Printed, printed
from costmodel.published.audit import ACCURACIES, VERDICTS, agreement, audit, judge
from costmodel.published.errata import ERRATA, NOTES
from costmodel.published.readings import Reading, readings
from costmodel.zoo import applications
from costmodel.zoo.googlenet import googlenet

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from costmodel.published.audit import Finding

FINDINGS = audit()
PAPER, SLIM = "mobilenet_v1_paper", "tf_slim_mobilenet_v1"


def finding(table: str, row: str, quantity: str = "mult_adds") -> Finding:
    """The finding about one cell."""
    (found,) = (
        f
        for f in FINDINGS
        if (f.figure.table, f.figure.row, f.figure.quantity) == (table, row, quantity)
    )
    return found


def test_every_cost_cell_has_one_verdict() -> None:
    """Every printed figure that is no accuracy is judged, once, with one of the five verdicts."""
    cells = [f for source in (PAPER, SLIM) for f in printed(source)]
    costs = [f for f in cells if f.quantity not in ACCURACIES]
    assert [f.figure for f in FINDINGS] == costs
    assert {f.verdict for f in FINDINGS} == set(VERDICTS)
    assert all(f.evidence for f in FINDINGS)


def test_verdicts_that_were_looked_for() -> None:
    """The cells that are known to be odd, each with what it is."""
    conventions = {
        ("T4", "Conv MobileNet", "mult_adds"): "body without the fully connected layers",
        ("T2", "Conv 1x1", "params_share"): "without batch norm and biases",
        ("T8", "VGG 16", "mult_adds"): "body without the fully connected layers",
        ("T9", "Squeezenet", "mult_adds"): "at 227 px, FLOPs printed as mult-adds",
        ("T10", "1.0 MobileNet-224 (Stanford Dogs)", "mult_adds"): "1000 classes, as built",
    }
    for cell, convention in conventions.items():
        found = finding(*cell)
        assert (found.verdict, found.convention) == ("other_convention", convention)
    should_be = {
        ("T1", "Conv dw / s2 (last depthwise; 7x7x1024 input)", "stride"): "1",
        ("T2", "Conv 3x3", "mult_adds_share"): "1.91",
        ("S4.4", "PlaNet MobileNet", "mult_adds"): "0.58 B",
        ("T12", "0.25 MobileNet-224 (face attributes)", "mult_adds"): "41",
        ("T12", "0.25 MobileNet-128 (face attributes)", "mult_adds"): "13",
        ("T14", "1.0 MobileNet-160 (FaceNet)", "mult_adds"): "290",
        ("README", "0.75 MobileNet-224", "mult_adds"): "325",
        ("README", "0.75 MobileNet-192", "mult_adds"): "239",
        ("README", "0.75 MobileNet-160", "mult_adds"): "166",
        ("README", "0.75 MobileNet-128", "mult_adds"): "107",
        ("README", "0.50 MobileNet-224", "mult_adds"): "149",
        ("README", "0.25 MobileNet-192", "mult_adds"): "30",
    }
    for cell, value in should_be.items():
        found = finding(*cell)
        assert (found.verdict, found.should_be) == ("erratum", value)


def test_errata_and_notes_are_about_cells_that_exist() -> None:
    """No erratum or note is left over, and no erratum's cell is what the network gives."""
    by_cell = {(f.figure.table, f.figure.row, f.figure.quantity): f for f in FINDINGS}
    assert set(ERRATA) | set(NOTES) <= set(by_cell)
    for cell in ERRATA:
        figure = by_cell[cell].figure
        if "row label" not in by_cell[cell].should_be:
            assert agreement(readings(figure)[0], figure) == ""


# The evidence --------------------------------------------------------------------------------


def cell(table: str, row: str, quantity: str = "mult_adds", source: str = PAPER) -> Fraction:
    """What is printed in a cell, in units of one."""
    (value,) = (
        f.values[0]
        for f in printed(source)
        if (f.table, f.row, f.quantity) == (table, row, quantity)
    )
    return value


def test_evidence_table_1s_stride() -> None:
    """With stride 2 the last depthwise layer would make 4×4 of 7×7, and the table has 7×7."""
    network = mobilenet_v1()
    strided = Network(
        "strided",
        tuple(x.evolve(stride=2) if x.name == "block13.dw" else x for x in network.layers),
    )
    sizes = [
        next(p.output[2:] for p in infer(net) if p.layer.name == "block13.dw")
        for net in (network, strided)
    ]
    assert sizes == [(7, 7), (4, 4)]


def test_evidence_table_2s_column() -> None:
    """The printed shares miss 100 % by 0.71; with 1.91 in place of 1.19 by rounding alone."""
    shares = [f.values[0] for f in printed(PAPER) if f.quantity == "mult_adds_share"]
    assert sum(shares) == Fraction("99.29")
    assert abs(sum(shares) - Fraction("1.19") + Fraction("1.91") - 100) <= 4 * Fraction("0.005")


def test_evidence_planets_unit() -> None:
    """A network takes at least as many mult-adds as it has weights: 0.58 M is below 13 M."""
    network = applications.planet()
    weights = sum(nest.weights for layer in lower(network) for nest in layer.nests)
    assert cost(network).macs >= weights
    assert cell("S4.4", "PlaNet MobileNet") < cell("S4.4", "PlaNet MobileNet", "params")


def test_evidence_table_12s_smallest() -> None:
    """45 M and 15 M exceed what other tables print for the same bodies with a classifier."""
    row = "0.25 MobileNet-{} (face attributes)"
    assert cell("T12", row.format(224)) > cell("T6", "0.25 MobileNet-224") == 41_000_000
    slim = cell("README", "0.25 MobileNet-128", source=SLIM)
    assert cell("T12", row.format(128)) > slim == 14_000_000


def test_evidence_table_14s_first_row() -> None:
    """286 M is less than the body alone takes."""
    body = drop(mobilenet_v1(resolution=160), "classifier")
    assert cost(body).macs == 289_651_200
    assert cell("T14", "1.0 MobileNet-160 (FaceNet)") < cost(body).macs


def test_evidence_table_14s_labels() -> None:
    """166 M is the body of 0.75 MobileNet-160; the label's 128 px makes 106 M."""
    bodies = {
        side: cost(widen(drop(mobilenet_v1(resolution=side), "classifier"), "0.75")).macs
        for side in (160, 128)
    }
    assert bodies == {160: 165_628_800, 128: 106_002_432}
    assert round(bodies[160] / 1e6) == 166


def test_evidence_googlenets_ratio() -> None:
    """Table 8's own cells give 2.7 and the exact counts 2.8, not 2.5."""
    ratio = cell("T8", "GoogleNet") / cell("T8", "1.0 MobileNet-224")
    assert f"{float(ratio):.2f}" == "2.72"
    exact = cost(googlenet()).macs / cost(mobilenet_v1()).macs
    found = finding("T8 text", "1.0 MobileNet-224 vs GoogleNet", "times_less_compute")
    assert f"the exact counts {exact:.2f}" in found.evidence


SIDES = (224, 192, 160, 128)


@pytest.mark.parametrize("side", SIDES)
def test_evidence_tf_slims_three_quarters(side: int) -> None:
    """TF-slim's α = 0.75 rows leave the first convolution out; no other width's row does."""
    for alpha in ("1.0", "0.75", "0.50", "0.25"):
        network = widen(resize(mobilenet_v1(), resolution=side), alpha)
        first = 9 * 3 * int(32 * Fraction(alpha)) * (side // 2) ** 2
        without = round((cost(network).macs - first) / 1e6)
        row = f"{alpha} MobileNet-{side}"
        assert (cell("README", row, source=SLIM) == without * 10**6) == (alpha == "0.75")


@pytest.mark.parametrize(
    ("table", "row", "value"),
    [
        ("T6", "0.75 MobileNet-224", 325),
        ("T10", "0.75 MobileNet-192 (Stanford Dogs)", 239),
        ("T14", "0.75 MobileNet-128 [first row] (FaceNet)", 166),
        ("T6", "0.5 MobileNet-224", 149),
    ],
)
def test_evidence_the_papers_cells(table: str, row: str, value: int) -> None:
    """What the errata say that the paper prints is what it prints."""
    assert cell(table, row) == value * 10**6


def test_evidence_tf_slims_neighbours() -> None:
    """34 M lies off the square law between the 41 and 21 M of its neighbours."""
    at = {side: cell("README", f"0.25 MobileNet-{side}", source=SLIM) / 10**6 for side in SIDES}
    assert round(at[224] * Fraction(192, 224) ** 2) == 30 != at[192]
    assert round(at[224] * Fraction(160, 224) ** 2) == at[160]


#: The same model printed twice with different mult-adds, and why.
DISAGREEMENTS = {
    ("0.5", "224"): {149, 150},  # TF-slim's is an erratum
    ("0.5", "160"): {76, 77},  # 76.52: the paper truncates, TF-slim rounds
    ("1.0", "160"): {290, 291},  # 290.68, likewise
    ("0.75", "224"): {325, 317},  # TF-slim leaves the first convolution out
}


def test_cells_that_contradict_each_other_are_all_known() -> None:
    """By machine: wherever two ImageNet cells name one model and differ, the audit says why."""
    seen = defaultdict(set)
    for source in (PAPER, SLIM):
        for f in printed(source):
            if f.quantity == "mult_adds" and f.table in {"T6", "T7", "T8", "T9", "README", "T5"}:
                alpha, _, side = f.row.partition(" MobileNet")
                key = (f"{float(alpha):.2g}" if side else "", side.lstrip("-") or "224")
                key = ("1.0" if key[0] == "1" else key[0], key[1])
                seen[key].add(int(f.values[0] / 10**6))
    differing = {key: values for key, values in seen.items() if len(values) > 1 and key[0]}
    assert differing == DISAGREEMENTS


# The judge -----------------------------------------------------------------------------------


def figure(text: str, unit: str = "M", row: str = "1.0 MobileNet-224") -> Printed:
    """A printed figure for trying the judge."""
    return Printed("", "T6", row, "mult_adds", text, unit)


@pytest.mark.parametrize(
    ("exact", "text", "unit", "how"),
    [
        ("568740352", "569", "M", "rounds"),
        ("568740352", "568", "M", "truncates"),
        ("568740352", "570", "M", ""),
        ("568740352", "0.57", "B", "rounds"),
        ("15346630656", "15300", "M", "rounds"),  # zeros that end 4 or more digits do not count
        ("15346630656", "15346", "M", "truncates"),
        ("290675200", "290", "M", "truncates"),  # a zero of three digits does
        ("1/3", "0.33", "x", "rounds"),
        ("5711413856", "5000", "M", ""),  # one digit is too coarse to truncate
        ("999999", "1", "M", "rounds"),
    ],
)
def test_agreement(exact: str, text: str, unit: str, how: str) -> None:
    """A figure agrees at its printed precision, by rounding or by truncation."""
    assert agreement(Reading("", (Fraction(exact),)), figure(text, unit)) == how


def test_a_range_agrees_at_both_ends() -> None:
    """Both ends of "8 to 9" have to agree."""
    printed_range = figure("8 to 9", "x")
    assert agreement(Reading("", (Fraction("7.9"), Fraction("8.9"))), printed_range) == "rounds"
    assert agreement(Reading("", (Fraction("7.9"), Fraction("9.6"))), printed_range) == ""


def test_a_mutated_network_loses_its_verdicts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Had the last depthwise layer the misprinted stride, Tables 4 to 9 would not come out."""
    from costmodel.published import readings as module

    network = mobilenet_v1()
    wrong = Network(
        "mobilenet_v1",
        tuple(x.evolve(stride=2) if x.name == "block13.dw" else x for x in network.layers),
    )
    module._mobilenet.cache_clear()
    monkeypatch.setattr(module, "_zoo", lambda *_: wrong)
    try:
        assert judge(figure("569")).verdict == "not_reproduced"
    finally:
        module._mobilenet.cache_clear()
    monkeypatch.undo()
    assert judge(figure("569")).verdict == "reproduced"


def test_what_is_not_reproduced_says_what_comes_nearest() -> None:
    """A figure that nothing gives is shown with the nearest explanation tried."""
    found = judge(figure("600"))
    assert found.verdict == "not_reproduced"
    assert "nearest: as built, 568,740,352" in found.evidence


# The command ---------------------------------------------------------------------------------


def test_json(run: Callable) -> None:
    """--json is a list with the promised keys and the verdicts' spellings."""
    data = json.loads(run("audit", "--json").out)
    keys = "source table row quantity printed unit exact verdict convention should_be evidence"
    assert all(set(entry) == set(keys.split()) for entry in data)
    assert {entry["verdict"] for entry in data} == set(VERDICTS)
    exact = {(e["table"], e["row"]): e["exact"] for e in data if e["quantity"] == "mult_adds"}
    assert exact["T6", "1.0 MobileNet-224"] == 568_740_352


def test_terminal_and_markdown(run: Callable) -> None:
    """Both group by verdict and count."""
    counts = Counter(f.verdict for f in FINDINGS)
    for flags in ((), ("--markdown",)):
        out = run("audit", *flags).out
        assert f"{len(FINDINGS)} printed costs: {counts['reproduced']} reproduced" in out
        assert f"Errata: other evidence says it cannot be right ({counts['erratum']})" in out
    table = [line for line in run("audit", "--markdown").out.splitlines() if line[:1] == "|"]
    assert {line.count("|") for line in table} == {6}


def test_one_source(run: Callable) -> None:
    """--source keeps one source's figures."""
    data = json.loads(run("audit", "--source", SLIM, "--json").out)
    assert {entry["source"] for entry in data} == {SLIM}
    assert len(data) == 2 * 16


HEAD = "table,row,quantity,printed,unit\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("table,row,quantity,printed\nT6,a,params,1\n", "line 1: column 'unit' is missing"),
        (HEAD + "T6,1.0 MobileNet-224,params,many,M\n", "line 2, printed: must be a number"),
        (HEAD + "T6,1.0 MobileNet-224,params,1/0,M\n", "line 2, printed: must be a number"),
        (HEAD + "T6,1.0 MobileNet-224,params,569e999999999,M\n", "must be a number such as 0.5"),
        (HEAD + "T6,1.0 MobileNet-224,params,1 to 2 to 3,M\n", "or a range such as 8 to 9"),
        (HEAD + f"T6,1.0 MobileNet-224,params,{'9' * 500},M\n", "must be a number such as 0.5"),
        (HEAD, "has a heading and no figures"),
        (HEAD + "T6,1.0 MobileNet-224,params,4.2,miles\n", "line 2, printed: unit must be one of"),
        (HEAD + "T6,1.0 MobileNet-224\n", "line 2: has fewer than 5 columns"),
        (
            "alpha,resolution,million_macs,million_params,top1,top5\n1.0,224,569,x,70,90\n",
            "line 2, million_params: must be a number",
        ),
    ],
)
def test_a_broken_table(run: Callable, tmp_path: Path, text: str, words: str) -> None:
    """A table with a hole is one line that names the file, the line and the column."""
    path = tmp_path / "printed.csv"
    path.write_text(text, encoding="utf-8")
    code, out, err = run("audit", "--source", path)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert str(path) in err
    assert words in err


@pytest.mark.parametrize("source", ["nobody", "nowhere.csv"])
def test_an_unknown_source(source: str) -> None:
    """A source that is none is an error that says which there are."""
    with pytest.raises(CostModelError):
        audit(source)


def test_a_table_of_ones_own(tmp_path: Path) -> None:
    """Another table with the same columns is judged too; rows about nothing known are not."""
    path = tmp_path / "mine.csv"
    path.write_text(
        HEAD + "T6,0.5 MobileNet-224,mult_adds,149,M\nT99,Mine,mult_adds,1,M\n", encoding="utf-8"
    )
    assert [f.verdict for f in audit(str(path))] == ["reproduced", "not_modelled"]


@pytest.mark.parametrize(
    "line",
    [
        "T6,1.0 MobileNet-224,foo,569,M",
        "T6,1.0 MobileNet-224,mult_adds,500 to 600,M",
        "T6,ResNet-50,mult_adds,569,M",
        "T2,Conv 7x7,params_share,1,%",
        "T2,Conv 3x3,params,1,%",
        "T8 text,1.0 MobileNet-224,times_smaller,2,x",
        "T8 text,1.0 MobileNet-224 vs ResNet-50,times_smaller,2,x",
        "S3.1 text,any,params,8 to 9,x",
        "T10,Inception V4,params,8,M",
    ],
)
def test_what_no_table_has_is_not_modelled(tmp_path: Path, line: str) -> None:
    """A row, a quantity or a range of a user's own is neither a traceback nor another network."""
    path = tmp_path / "mine.csv"
    path.write_text(HEAD + line + "\n", encoding="utf-8-sig")
    assert [f.verdict for f in audit(str(path))] == ["not_modelled"]


def test_a_corrected_copy_has_no_erratum(tmp_path: Path) -> None:
    """The paper's misprints, put right in a user's table, are reproduced or at least no errata."""
    path = tmp_path / "mine.csv"
    lines = (
        "T2,Conv 3x3,mult_adds_share,1.91,%",
        "T8 text,1.0 MobileNet-224 vs GoogleNet,times_less_compute,2.8,x",
        "S4.4,PlaNet MobileNet,mult_adds,0.58,B",
    )
    path.write_text(HEAD + "\n".join(lines) + "\n", encoding="utf-8")
    verdicts = [f.verdict for f in audit(str(path))]
    assert verdicts[:2] == ["reproduced", "reproduced"]
    assert verdicts[2] != "erratum"


def test_the_audit_needs_no_torch() -> None:
    """The command loads neither torch nor pandas nor sympy's dependents it does not need."""
    script = (
        "import sys; from costmodel.published.audit import audit; audit();"
        "assert not {'torch', 'pandas', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
