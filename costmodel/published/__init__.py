"""What was printed: figures of papers and tables as data, each with its source."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from fractions import Fraction
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from costmodel.errors import CostModelError

if TYPE_CHECKING:
    from collections.abc import Collection

#: Sources that come with the package, by name, and what they are.
SOURCES = {
    "mobilenet_v1_paper": "Howard et al. 2017, arXiv:1704.04861v1",
    "tf_slim_mobilenet_v1": "TensorFlow-slim, research/slim/nets/mobilenet_v1.md",
}
#: Tables of measured milliseconds that come with the package, by name, and what they are.
TIMES = {
    "tf_slim_mobilenet_v2": "TensorFlow-slim, research/slim/nets/mobilenet/README.md",
    "stm32h7_mobilenets_int8": "stm32ai-modelzoo, image_classification, STM32Cube.AI 10.0.0",
}
_UNITS = {"": 1, "%": 1, "x": 1, "k": 10**3, "M": 10**6, "B": 10**9}
#: Digits as they are printed, or two of them, which are the ends of a range.
_FIGURE = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?( to [0-9]{1,18}(\.[0-9]{1,18})?)?")
#: The columns of TF-slim's table: quantity, unit.
_WIDE = {
    "million_macs": ("mult_adds", "M"),
    "million_params": ("params", "M"),
    "top1": ("top1", "%"),
    "top5": ("top5", "%"),
}


@dataclass(frozen=True)
class Printed:
    """One printed figure: where it stands and its text, "8 to 9" being a range.

    >>> Printed("paper", "T4", "MobileNet", "mult_adds", "569", "M").values
    (Fraction(569000000, 1),)
    """

    source: str
    table: str
    row: str
    quantity: str
    printed: str
    unit: str

    @property
    def scale(self) -> int:
        """What the unit is worth."""
        return _UNITS[self.unit]

    @property
    def values(self) -> tuple[Fraction, ...]:
        """The figure, or the ends of the range, in units of one."""
        return tuple(Fraction(part) * self.scale for part in self.printed.split(" to "))

    @property
    def step(self) -> Fraction:
        """The last printed digit's worth; zeros that end four or more digits are not counted.

        >>> Printed("paper", "T8", "VGG 16", "mult_adds", "15300", "M").step
        Fraction(100000000, 1)
        """
        digits = self.printed.split(" to ")[0]
        decimals = len(digits.partition(".")[2])
        zeros = len(digits) - len(digits.rstrip("0")) if not decimals else 0
        return Fraction(self.scale) * Fraction(10) ** (
            zeros if zeros and len(digits) > 3 else -decimals  # noqa: PLR2004 - as 290 is exact
        )


def printed(source: str) -> tuple[Printed, ...]:
    """The figures of a source, or of a CSV file with the columns of `mobilenet_v1_paper`.

    >>> len(printed("tf_slim_mobilenet_v1")) == 16 * 4
    True

    Raises CostModelError for an unknown source, a missing column, a file without figures, and
    what is no number.
    """
    text = table(source, SOURCES)
    if not (figures := _rows(source, text)):
        raise CostModelError(f"{source}: has a heading and no figures; add a line for each")
    return tuple(figures)


def table(source: str, known: Collection[str]) -> str:
    """The text of a table that comes along, or of a CSV file.

    >>> table("tf_slim_mobilenet_v2", TIMES).splitlines()[0].split(",")[:4]
    ['source', 'network', 'alpha', 'resolution']

    Raises CostModelError for an unknown name and for what is no text.
    """
    if source in known:
        return (files(__name__) / f"{source}.csv").read_text(encoding="utf-8")
    if not source.endswith(".csv"):
        raise CostModelError(
            f"unknown source {source!r}; choose {', '.join(known)} or name a file.csv"
        )
    try:
        return Path(source).read_text(encoding="utf-8-sig")  # as spreadsheets save it
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "not UTF-8 text"
        raise CostModelError(f"cannot read {source}: {why}; name a CSV file") from None


def _rows(source: str, text: str) -> list[Printed]:
    reader = csv.DictReader(io.StringIO(text))
    wide = "million_macs" in (reader.fieldnames or ())
    columns = ("alpha", "resolution", *_WIDE) if wide else Printed.__match_args__[1:]
    for column in columns:
        if column not in (reader.fieldnames or ()):
            raise CostModelError(f"{source}, line 1: column {column!r} is missing; add it")
    figures = []
    for row in reader:
        where = f"{source}, line {reader.line_num}"
        if None in row.values():
            raise CostModelError(f"{where}: has fewer than {len(columns)} columns; complete it")
        if wide:
            name = f"{row['alpha']} MobileNet-{row['resolution']}"
            for column, (quantity, unit) in _WIDE.items():
                figure = Printed(source, "README", name, quantity, row[column], unit)
                figures.append(_checked(f"{where}, {column}", figure))
        else:
            figure = Printed(source, *(row[column] for column in columns))
            figures.append(_checked(f"{where}, printed", figure))
    return figures


def _checked(where: str, figure: Printed) -> Printed:
    if figure.unit not in _UNITS:
        known = ", ".join(filter(None, _UNITS))
        raise CostModelError(f"{where}: unit must be one of {known}, got {figure.unit!r}")
    if not _FIGURE.fullmatch(figure.printed):
        what = "must be a number such as 0.5, or a range such as 8 to 9"
        raise CostModelError(f"{where}: {what}, got {figure.printed!r}")
    return figure
