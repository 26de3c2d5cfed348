"""Amounts and ranges as people write them."""

from __future__ import annotations

from fractions import Fraction

import pytest

from costmodel import CostModelError
from costmodel.planners.limits import Limit, fractions, integers


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


def test_every_unit() -> None:
    """k, M, G and T are powers of 1000; memory has them as kB to TB (or KB), and KiB to TiB."""
    for power, prefix in enumerate("kMGT", 1):
        assert Limit.of("max_macs", f"3{prefix}").most == 3 * 1000**power
        assert Limit.of("max_flash", f"3{prefix}B").most == 3 * 1000**power
        assert Limit.of("max_flash", f"3{prefix.upper()}iB").most == 3 * 1024**power
    assert Limit.of("max_flash", "3KB").most == 3 * 1000
    assert Limit.of("max_flash", "1B").most == Limit.of("max_macs", "1").most == 1
    with pytest.raises(CostModelError) as caught:
        Limit.of("max_macs", "1K")
    assert str(caught.value) == "max_macs must be a positive amount in k, M, G, T, got '1K'"
    with pytest.raises(CostModelError) as caught:
        Limit.of("max_flash", "1b")
    units = "B, kB, MB, GB, TB, KB, KiB, MiB, GiB, TiB"
    assert str(caught.value) == f"max_flash must be a positive amount in {units}, got '1b'"


@pytest.mark.parametrize(
    ("name", "given", "quantity", "words"),
    [
        ("max_macs", " 1.5k ", "macs", "--max-macs 1.5k = 1,500"),
        ("max_params", 1, "params", "--max-params 1 = 1"),
        ("max_peak_memory", "2KiB", "peak_bytes", "--max-peak-memory 2KiB = 2,048 bytes"),
        ("max_flash", "2B", "weight_bytes", "--max-flash 2B = 2 bytes"),
    ],
)
def test_a_limit_says_what_it_limits(name: str, given: object, quantity: str, words: str) -> None:
    """As it was typed and in full, and the quantity that it is of."""
    limit = Limit.of(name, given)
    assert (limit.quantity, str(limit)) == (quantity, words)


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
    assert integers("1:1:5", "resolutions") == integers("1", "resolutions") == (1,)
    assert fractions("1:2:0.75", "alphas") == (1, Fraction(7, 4))


@pytest.mark.parametrize(
    "text", ["", "2:1", "1:2:0", "1:2:-1", "1:2:3:4", "a", "1,,2", "0:1e9:1e-9", "nan:1", ":"]
)
def test_bad_ranges(text: str) -> None:
    """An empty range, a step that does not rise and what is no number are one clear line."""
    with pytest.raises(CostModelError, match=r"^alphas must") as caught:
        fractions(text, "alphas")
    assert "\n" not in str(caught.value)


def test_a_range_is_not_endless() -> None:
    """One more than a million values is refused."""
    with pytest.raises(CostModelError, match="1,000,000"):
        integers("1:1000001", "resolutions")


@pytest.mark.parametrize("text", ["0.5", "0:2", "-3"])
def test_resolutions_are_whole(text: str) -> None:
    """Halves, nothing and less are no resolutions."""
    with pytest.raises(CostModelError, match="resolutions must be integers of at least 1"):
        integers(text, "resolutions")
