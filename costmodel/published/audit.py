"""The audit: every printed cost held against the exact figure, with a verdict and a reason.

A figure is *reproduced* where the network as its paper describes it gives what is printed, at
the printed precision; *other_convention* where a named way of counting does; an *erratum* where
other evidence says it cannot be right; else *not_reproduced*, or *not_modelled*.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import floor
from typing import TYPE_CHECKING

from costmodel.published import SOURCES, Printed, printed
from costmodel.published.errata import ERRATA, NOTES, Erratum
from costmodel.published.readings import Reading, readings

if TYPE_CHECKING:
    from collections.abc import Sequence

VERDICTS = ("reproduced", "other_convention", "erratum", "not_reproduced", "not_modelled")
#: Carried beside the costs, and not judged: no formula gives an accuracy.
ACCURACIES = frozenset({"top1", "top5", "map", "mean_ap", "accuracy_1e-4", "accuracy_gain"})
_HALF = Fraction(1, 2)


@dataclass(frozen=True)
class Finding:
    """A printed figure and what became of it; `exact` is in units of one (or of a percent)."""

    figure: Printed
    verdict: str
    exact: tuple[Fraction, ...]
    convention: str
    should_be: str
    evidence: str

    def as_dict(self) -> dict[str, object]:
        """Plain data."""
        figure = self.figure
        return {
            "source": figure.source,
            "table": figure.table,
            "row": figure.row,
            "quantity": figure.quantity,
            "printed": figure.printed,
            "unit": figure.unit,
            "exact": _plain(self.exact),
            "verdict": self.verdict,
            "convention": self.convention or None,
            "should_be": self.should_be or None,
            "evidence": self.evidence,
        }


def _plain(exact: tuple[Fraction, ...]) -> float | list[float] | None:
    numbers = [int(x) if x.denominator == 1 else float(x) for x in exact]
    return (numbers[0] if len(numbers) == 1 else numbers) if numbers else None


def audit(source: str | None = None) -> tuple[Finding, ...]:
    """A finding for every printed cost of a source, of a CSV file, or of all that come along.

    >>> [f.verdict for f in audit("tf_slim_mobilenet_v1")].count("erratum")
    6

    Raises CostModelError for an unknown source and a file that is no such table.
    """
    sources = SOURCES if source is None else (source,)
    figures = (figure for name in sources for figure in printed(name))
    return tuple(judge(figure) for figure in figures if figure.quantity not in ACCURACIES)


def judge(figure: Printed) -> Finding:
    """The verdict on one figure.

    >>> judge(Printed("", "T6", "1.0 MobileNet-224", "mult_adds", "569", "M")).verdict
    'reproduced'
    """
    tried = readings(figure)
    cell = (figure.table, figure.row, figure.quantity)
    if not tried:
        why = "no honest source gives this network's exact construction"
        return Finding(figure, "not_modelled", (), "", "", why)
    erratum = ERRATA.get(cell)
    if erratum and not _corrected(erratum, tried[0], figure):
        should_be = erratum.should_be or _written(tried[0].values, figure)
        return Finding(figure, "erratum", tried[0].values, "", should_be, erratum.evidence)
    for reading in tried:
        if how := agreement(reading, figure):
            verdict = "reproduced" if reading is tried[0] else "other_convention"
            evidence = f"{_exactly(reading.values)} {how} to it"
            noted = "; ".join(filter(None, (evidence, NOTES.get(cell, ""))))
            return Finding(figure, verdict, reading.values, reading.convention, "", noted)
    return _not_reproduced(figure, tried)


def _corrected(erratum: Erratum, plain: Reading, figure: Printed) -> bool:
    """Whether somebody's copy of the table has the figure right."""
    if erratum.should_be:
        return f"{figure.printed} {figure.unit}" == erratum.should_be
    return bool(agreement(plain, figure))


def _not_reproduced(figure: Printed, tried: Sequence[Reading]) -> Finding:
    def distance(reading: Reading) -> Fraction:
        return max(abs(a - b) for a, b in zip(reading.values, figure.values, strict=True))

    nearest = min(tried, key=distance)
    evidence = (
        f"{len(tried)} ways of counting tried; nearest: {nearest.convention}, "
        f"{_exactly(nearest.values)}"
    )
    return Finding(figure, "not_reproduced", tried[0].values, "", "", evidence)


def agreement(reading: Reading, figure: Printed) -> str:
    """How the exact figure becomes the printed one: it `rounds` or `truncates`; "" if neither.

    A single digit is too coarse for truncation to mean anything.
    """
    pairs = list(zip(reading.values, figure.values, strict=True))
    step = figure.step
    if reading.digits is not None:
        size = len(str(int(max(reading.values))))
        step = max(step, Fraction(10) ** (size - reading.digits))
    if all(floor(x / step + _HALF) * step == p for x, p in pairs):
        return "rounds"
    coarse = any(p < 10 * step for _, p in pairs)
    return "truncates" if not coarse and all(floor(x / step) * step == p for x, p in pairs) else ""


def _written(exact: tuple[Fraction, ...], figure: Printed) -> str:
    """The exact figure at the printed precision and unit."""
    decimals = len(figure.printed.partition(".")[2])
    scaled = (floor(x / figure.step + _HALF) * figure.step / figure.scale for x in exact)
    return " to ".join(f"{float(x):.{decimals}f}" for x in scaled)


def _exactly(exact: tuple[Fraction, ...]) -> str:
    """The exact figure with more digits than were printed."""
    whole = all(x.denominator == 1 for x in exact)
    return " to ".join(f"{int(x):,}" if whole else f"{float(x):.6g}" for x in exact)
