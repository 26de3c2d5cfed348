"""Amounts, ranges and sizes as people write them: 150M MACs, 512KiB, 96:224:32, 192x256."""

from __future__ import annotations

import re
import reprlib
from fractions import Fraction
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple

from costmodel.algebra.numbers import positive_integer, rational
from costmodel.errors import CostModelError
from costmodel.metrics.timing import every_quantity, quantities

if TYPE_CHECKING:
    from collections.abc import Mapping

    from costmodel.core.quantities import Quantity
    from costmodel.metrics.devices import Device

_COUNTS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_BYTES = {"B": 1}
_BYTES |= {f"{p}B": 10 ** (3 * (i + 1)) for i, p in enumerate("kMGT")} | {"KB": 1000}
_BYTES |= {f"{p}iB": 2 ** (10 * (i + 1)) for i, p in enumerate("KMGT")}
_SECONDS: dict[str, int | Fraction] = {"s": 1, "ms": Fraction(1, 10**3), "us": Fraction(1, 10**6)}
_SECONDS |= {"µs": _SECONDS["us"], "ns": Fraction(1, 10**9)}
_UNITS: dict[str, Mapping[str, int | Fraction]] = {"bytes": _BYTES, "s": _SECONDS}
_AMOUNT = re.compile(r"([0-9]{1,30}(?:\.[0-9]{1,30})?)\s*([A-Za-zµ]*)")
_MOST_VALUES = 10**6


class Limit(NamedTuple):
    """The most of a quantity: 150M or 1.2G of MACs and params, 512KB (10³) or 512KiB (2¹⁰), 20ms.

    >>> str(Limit.of("max_macs", "150M")), str(Limit.of("max_flash", "1MiB"))
    ('--max-macs 150M = 150,000,000', '--max-flash 1MiB = 1,048,576 bytes')
    >>> Limit.of("max_latency", "20ms").most
    0.02
    """

    name: str
    given: str
    most: float

    @classmethod
    def of(cls, name: str, value: Any) -> Limit:
        """The limit that a user wrote.

        Raises CostModelError for what is no positive amount, and for bytes and seconds without a
        unit.
        """
        row = limited()[name]
        units: Mapping[str, int | Fraction] = _UNITS.get(row.unit, _COUNTS)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return cls(name, f"{value}", value)
        if row.estimate and isinstance(value, float) and 0 < value < inf:
            return cls(name, f"{value}", value)
        found = _AMOUNT.fullmatch(str(value).strip())
        most = row.value(Fraction(found[1]) * units.get(found[2], 0)) if found else 0
        if most <= 0:
            known = ", ".join(filter(None, units))
            raise CostModelError(
                f"{name} must be a positive amount in {known}, got {reprlib.repr(value)}"
            )
        return cls(name, str(value).strip(), most)

    @property
    def quantity(self) -> str:
        """The quantity that is limited."""
        return limited()[self.name].name

    @property
    def option(self) -> str:
        """The name as it is typed: --max-macs."""
        return "--" + self.name.replace("_", "-")

    def __str__(self) -> str:
        """The amount as it was given and in full."""
        unit = "" if limited()[self.name].estimate else f" {limited()[self.name].unit}".rstrip()
        return f"{self.option} {self.given} = {self.amount}{unit}"

    @property
    def amount(self) -> str:
        """The most, for people."""
        return limited()[self.name].text(self.most).removeprefix("≈")


def limited() -> dict[str, Quantity]:
    """The quantities that may be limited, by what a limit on them is called.

    >>> list(limited())
    ['max_macs', 'max_params', 'max_latency', 'max_peak_memory', 'max_flash']
    """
    return {row.limit: row for row in every_quantity().values() if row.limit}


def limits(given: Mapping[str, Any], device: Device | None = None) -> tuple[Limit, ...]:
    """The limits that are given, each by its name in `limited`; None is none.

    >>> [limit.most for limit in limits({"max_macs": "1.5G", "max_params": None})]
    [1500000000]

    Raises CostModelError for another name, for time without a device, and as `Limit.of` does.
    """
    if wrong := given.keys() - limited().keys():
        known = ", ".join(limited())
        raise CostModelError(f"a limit must be one of {known}, got {min(wrong)}")
    found = tuple(Limit.of(name, value) for name, value in given.items() if value is not None)
    for limit in found:
        if limit.quantity not in quantities(device):
            what = f"{limit.option} {limit.given} is of a device"
            raise CostModelError(f"{what}; give one with --device (`costmodel devices` lists them)")
    return found


def fractions(text: str, name: str) -> tuple[Fraction, ...]:
    """Numbers as a list, 0.25,0.5,1, or as start:stop:step with the stop, 0.25:1:0.25.

    >>> [str(f) for f in fractions("0.25:1:0.25", "alphas")]
    ['1/4', '1/2', '3/4', '1']

    Raises CostModelError for an empty range, a step that is not positive, and what is no number.
    """
    if ":" not in text:
        return tuple(rational(part, name) for part in text.split(","))
    parts = [rational(part, name) for part in text.split(":")]
    if len(parts) not in {2, 3}:
        raise CostModelError(f"{name} must be START:STOP or START:STOP:STEP, got {text!r}")
    start, stop, step = (*parts, Fraction(1))[:3]
    if step <= 0 or stop < start or (stop - start) / step >= _MOST_VALUES:
        rule = f"must rise by a positive step, in at most {_MOST_VALUES:,} values"
        raise CostModelError(f"{name} {rule}, got {text!r}")
    steps = range(int((stop - start) / step) + 1)
    if start.denominator == step.denominator == 1:  # as resolutions are: no sum of fractions each
        return tuple(
            map(Fraction, range(int(start), int(start) + len(steps) * int(step), int(step)))
        )
    return tuple(start + i * step for i in steps)


def integers(text: str, name: str) -> tuple[int, ...]:
    """As `fractions`, of whole numbers.

    >>> integers("96:224:32", "resolutions")
    (96, 128, 160, 192, 224)
    """
    found = fractions(text, name)
    if wrong := [f for f in found if f.denominator != 1 or f.numerator < 1]:
        raise CostModelError(f"{name} must be integers of at least 1, got {wrong[0]}")
    return tuple(f.numerator for f in found)


def sides(size: Any, name: str = "resolution") -> int | tuple[int, ...]:
    """A side, or height x width: 192, "192", "192x256", (192, 256).

    >>> sides("192x256")
    (192, 256)
    """
    if isinstance(size, str):
        size = tuple(size.lower().replace("×", "x").split("x"))
    if isinstance(size, (tuple, list)):
        both = tuple(positive_integer(side, name) for side in size)
        return both[0] if len(both) == 1 else both
    return positive_integer(size, name)


def axes(text: str, name: str) -> tuple[int, ...]:
    """Axes from the last (-1) on, in order.

    >>> axes("-1,-3,-2", "--rho-axes")
    (-3, -2, -1)

    Raises CostModelError for what is no list of integers.
    """
    try:
        return tuple(sorted({int(axis) for axis in text.split(",")}))
    except ValueError:
        rule = "axes from the last, such as -3,-2,-1"
        raise CostModelError(f"{name} must be {rule}, got {text!r}") from None
