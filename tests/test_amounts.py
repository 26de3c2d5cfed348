"""Amounts and ranges as people write them."""

from __future__ import annotations

from fractions import Fraction

import pytest

from costmodel import CostModelError
from costmodel.amounts import Limit, fractions, integers


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("150M", "max_macs", 150 * 10**6),
        ("1.2G", "max_macs", 12 * 10**8),
        ("2000", "max_params", 2000),
        (7, "max_params", 7),
        ("512KB", "max_flash", 512 * 10**3),
        ("512KiB", "max_flash", 512 * 2**10),
        ("1 MiB", "max_peak_memory", 2**20),
    ],
)
def test_amounts(text: object, name: str, value: int) -> None:
    """Counts have SI prefixes, memory decimal or binary units."""
    assert Limit.of(name, text).most == value


@pytest.mark.parametrize(
    ("text", "name"),
    [
        *((text, "max_macs") for text in ("-1", "0", 0, "", "1MiB", "nan", "1e9", "0.3")),
        ("512", "max_flash"),
        ("0.3B", "max_flash"),
        (True, "max_params"),
    ],
)
def test_bad_amounts(text: object, name: str) -> None:
    """Nothing, less than nothing, and bytes without a unit are refused by name."""
    with pytest.raises(CostModelError, match=f"{name} must be a positive amount"):
        Limit.of(name, text)


def test_ranges_have_their_stop_and_are_exact() -> None:
    """start:stop:step holds the stop where a step ends there; 0.1 is 1/10; lists are lists."""
    assert fractions("0.1:0.3:0.1", "alphas") == (Fraction(1, 10), Fraction(2, 10), Fraction(3, 10))
    assert fractions("1/3,0.5", "alphas") == (Fraction(1, 3), Fraction(1, 2))
    assert integers("96:230:32", "resolutions") == (96, 128, 160, 192, 224)
    assert integers("5:7", "resolutions") == (5, 6, 7)


@pytest.mark.parametrize(
    "text", ["", "2:1", "1:2:0", "1:2:-1", "1:2:3:4", "a", "1,,2", "0:1e9:1e-9", "nan:1", ":"]
)
def test_bad_ranges(text: str) -> None:
    """An empty range, a step that does not rise and what is no number are one clear line."""
    with pytest.raises(CostModelError, match=r"^alphas must") as caught:
        fractions(text, "alphas")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["0.5", "0:2", "-3"])
def test_resolutions_are_whole(text: str) -> None:
    """Halves, nothing and less are no resolutions."""
    with pytest.raises(CostModelError, match="resolutions must be integers of at least 1"):
        integers(text, "resolutions")
