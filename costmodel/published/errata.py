"""Cells that cannot be right, with the evidence, and notes on cells that need one.

An erratum needs more than a difference: another cell, a sum, an impossibility or a second source.
Each is tested (`tests/published/test_audit.py`): the evidence is computed there, not believed.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Erratum:
    """Why a cell is wrong; what it should be where that is not the exact figure in its place."""

    evidence: str
    should_be: str = ""


Cell = tuple[str, str, str]

_SLIM = (
    "the figure printed leaves out the first convolution ({without:,}), which the same table's "
    "other widths include; {paper}"
)

ERRATA: dict[Cell, Erratum] = {
    ("T1", "Conv dw / s2 (last depthwise; 7x7x1024 input)", "stride"): Erratum(
        "its input and the next row's are both printed as 7×7×1024; stride 2 would leave 4×4"
    ),
    ("T2", "Conv 3x3", "mult_adds_share"): Erratum(
        "the printed column adds up to 99.29 %; with 1.91 it is 100.01 %, which is rounding"
    ),
    ("S4.4", "PlaNet MobileNet", "mult_adds"): Erratum(
        "13 M parameters that are each used at least once need 13 M mult-adds or more; the unit "
        "is billions, as in the 5.74 B beside it",
        should_be="0.58 B",
    ),
    ("T12", "0.25 MobileNet-224 (face attributes)", "mult_adds"): Erratum(
        "Table 6 prints 41 M for the same body with 1000 classes on top, and Table 12's other "
        "widths are the bodies' figures"
    ),
    ("T12", "0.25 MobileNet-128 (face attributes)", "mult_adds"): Erratum(
        "TF-slim prints 14 M for the same body with 1000 classes on top, and Table 12's other "
        "widths are the bodies' figures"
    ),
    ("T14", "1.0 MobileNet-160 (FaceNet)", "mult_adds"): Erratum(
        "the body alone has 289,651,200, which no head makes less; Table 7 prints 290 M for it"
    ),
    ("T14", "0.75 MobileNet-128 [first row] (FaceNet)", "mult_adds"): Erratum(
        "two rows carry one label; 166 M is 0.75 MobileNet-160's figure (165,628,800 for the body) "
        "and 0.75 MobileNet-128 has 106 M",
        should_be="row label 0.75 MobileNet-160",
    ),
    ("T8 text", "1.0 MobileNet-224 vs GoogleNet", "times_less_compute"): Erratum(
        "Table 8's own 1550 and 569 give 2.72, and the exact counts 2.78"
    ),
    ("README", "0.75 MobileNet-224", "mult_adds"): Erratum(
        _SLIM.format(without=317271936, paper="the paper prints 325 M")
    ),
    ("README", "0.75 MobileNet-192", "mult_adds"): Erratum(
        _SLIM.format(without=233301504, paper="the paper's Table 10 prints 239 M")
    ),
    ("README", "0.75 MobileNet-160", "mult_adds"): Erratum(
        _SLIM.format(without=162249600, paper="the paper's Table 14 prints 166 M")
    ),
    ("README", "0.75 MobileNet-128", "mult_adds"): Erratum(
        _SLIM.format(without=104116224, paper="so do the paper's Tables 6 and 7")
    ),
    ("README", "0.50 MobileNet-224", "mult_adds"): Erratum(
        "the paper's Table 6 prints 149 M; 149.497 became 149.5 and then 150"
    ),
    ("README", "0.25 MobileNet-192", "mult_adds"): Erratum(
        "between the 41 and 21 M printed for 224 and 160 px, (192/224)² of 41 is 30"
    ),
}

NOTES: dict[Cell, str] = {
    ("T4", "Conv MobileNet", "mult_adds"): "the 569 beside it and both rows' params include it",
    ("T7", "1.0 MobileNet-160", "mult_adds"): "TF-slim prints 291, and the table's 569 is rounded",
    ("T9", "0.50 MobileNet-160", "mult_adds"): "TF-slim prints 77",
    ("T9 text", "0.50 MobileNet-160 vs AlexNet", "times_smaller"): (
        "with the one-tower AlexNet it is 45.9; the printed cells give 60/1.32 = 45.5"
    ),
    ("T9 text", "0.50 MobileNet-160 vs AlexNet", "times_less_compute"): (
        "with the one-tower AlexNet it is 9.33; the printed cells give 720/76 = 9.47"
    ),
    ("T9", "AlexNet", "mult_adds"): "the one-tower form has 714,188,480",
    ("T9", "AlexNet", "params"): "the one-tower form has 61,100,840",
}
