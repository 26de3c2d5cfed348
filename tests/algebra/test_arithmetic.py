"""The few operations that choose between numbers and symbols, on numbers."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from strategies import alphas, rhos

from costmodel import CostModelError
from costmodel.algebra import numbers
from costmodel.algebra.arithmetic import (
    at_least_one,
    ceil_div,
    ceil_mode_size,
    exact_div,
    is_symbolic,
    multiplier,
    round_size,
    scale_channels,
)
from costmodel.algebra.numbers import MAX_ALPHA, MAX_RHO, rational, rounding_divisor

if TYPE_CHECKING:
    from collections.abc import Callable

QUICK = settings(derandomize=True, deadline=None, database=None)
COUNTS = st.integers(1, 5000)


def tf_slim_depth(count: int, alpha: Fraction) -> int:
    """max(int(αC), min_depth), min_depth 8 or C where that is less, by counting up."""
    depth = 0
    while depth + 1 <= count * alpha:
        depth += 1
    return depth if depth >= 8 or depth >= count else min(8, count)


def make_divisible(count: int, alpha: Fraction, divisor: int) -> int:
    """The multiple nearest to αC (the larger of two), the next one if that is under 90 %."""
    wanted = alpha * count
    multiples = range(divisor, int(wanted) + 2 * divisor + 1, divisor)
    nearest = min(multiples, key=lambda multiple: (abs(multiple - wanted), -multiple))
    return nearest if nearest >= wanted * Fraction(9, 10) else nearest + divisor


@QUICK
@given(st.integers(1, 500), st.integers(1, 20))
def test_ceil_div_counts_windows(size: int, stride: int) -> None:
    """⌈size / stride⌉ is the number of starts 0, stride, 2·stride, … below size."""
    assert ceil_div(size, stride) == len(range(0, size, stride))


@QUICK
@given(st.integers(-8, 60), st.integers(0, 4), st.integers(1, 9), st.integers(1, 9))
def test_ceil_mode_counts_windows(extra: int, padding: int, kernel: int, stride: int) -> None:
    """ceil_mode has a window while the last started before the end and within the image."""
    padding = min(padding, kernel // 2)
    size = max(1, kernel - 2 * padding + max(extra, 1 - stride))
    starts = [-padding]
    while starts[-1] + kernel < size + padding and starts[-1] + stride < size:
        starts.append(starts[-1] + stride)
    assert ceil_mode_size(size + 2 * padding - kernel, size + padding, stride) == len(starts)


@QUICK
@given(COUNTS, alphas)
def test_floor_is_tf_slims_depth(count: int, alpha: Fraction) -> None:
    """`floor` is TF-slim's depth(), its minimum of 8 included."""
    assert scale_channels(count, alpha, 1) == tf_slim_depth(count, alpha)


@QUICK
@given(COUNTS, alphas, st.sampled_from([2, 3, 8, 16]))
def test_divisible_is_make_divisible(count: int, alpha: Fraction, divisor: int) -> None:
    """`divisible(n)` is the nearest multiple that is not under 90 %."""
    assert scale_channels(count, alpha, divisor) == make_divisible(count, alpha, divisor)


def _floor_without_minimum(count: int, alpha: Fraction, _groups: int) -> int:
    return int(count * alpha)


def _divisible_without_90_percent(scaled: Fraction, divisor: int) -> int:
    return max(divisor, int(scaled / divisor + Fraction(1, 2)) * divisor)


def _divisible_rounding_down(scaled: Fraction, divisor: int) -> int:
    return max(divisor, int(scaled / divisor) * divisor)


@pytest.mark.parametrize(
    ("rule", "mutant", "divisor"),
    [
        ("_floor", _floor_without_minimum, 1),
        ("_divisible", _divisible_without_90_percent, 8),
        ("_divisible", _divisible_rounding_down, 8),
    ],
)
def test_rounding_rules_are_noticed_when_lost(
    rule: str, mutant: Callable[..., int], divisor: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the minimum of 8, the 90 % rule or the nearest multiple, the counts differ."""
    monkeypatch.setattr(numbers, rule, mutant)

    def expected(count: int, alpha: Fraction) -> int:
        if divisor == 1:
            return tf_slim_depth(count, alpha)
        return make_divisible(count, alpha, divisor)

    cases = [(count, Fraction(n, 8)) for count in range(1, 40) for n in range(1, 17)]
    assert any(scale_channels(*case, divisor) != expected(*case) for case in cases)


@QUICK
@given(COUNTS, alphas, st.sampled_from([1, 8, 3]), st.integers(1, 12))
def test_scaled_channels_divide_by_groups(
    count: int, alpha: Fraction, divisor: int, groups: int
) -> None:
    """A count that groups must divide is a multiple of them, whatever α is."""
    assert scale_channels(count, alpha, divisor, groups) % groups == 0


@QUICK
@given(COUNTS, st.integers(1, 12))
def test_floor_leaves_multiples_alone_at_one(count: int, groups: int) -> None:
    """α = 1 changes no channel count that the groups divide."""
    assert scale_channels(count * groups, Fraction(1), 1, groups) == count * groups


def test_exact_rounding_refuses_a_fraction_of_a_channel() -> None:
    """`exact` is αC where that is whole, and an error that names the remedy elsewhere."""
    assert scale_channels(32, Fraction(3, 4), None) == 24
    with pytest.raises(CostModelError, match=r"gives 21/2 channels.*choose floor"):
        scale_channels(14, Fraction(3, 4), None)
    with pytest.raises(CostModelError, match=r"24 channels.* 5"):
        scale_channels(32, Fraction(3, 4), None, 5)


@QUICK
@given(st.integers(1, 4000), rhos)
def test_resolution_is_the_nearest_integer(size: int, rho: Fraction) -> None:
    """round(D·ρ) is within a half of D·ρ."""
    assert abs(round_size(size, rho) - size * rho) <= Fraction(1, 2)


PRINTED_RESOLUTIONS = [("0.857", 192), ("0.714", 160), ("0.571", 128), ("6/7", 192), ("1", 224)]


@pytest.mark.parametrize(("rho", "side"), PRINTED_RESOLUTIONS)
def test_printed_rho_gives_printed_resolution(rho: str, side: int) -> None:
    """Howard et al. print ρ with three digits beside the resolutions 192, 160 and 128."""
    assert round_size(224, multiplier(rho, "rho", MAX_RHO)) == side


def test_printed_resolutions_notice_truncation(monkeypatch: pytest.MonkeyPatch) -> None:
    """A ρ that truncates instead of rounding misses a printed resolution."""
    monkeypatch.setattr(numbers, "round", math.floor, raising=False)
    sides = [round_size(224, Fraction(rho)) for rho, _ in PRINTED_RESOLUTIONS]
    assert sides != [side for _, side in PRINTED_RESOLUTIONS]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.1, Fraction(1, 10)),
        (0.29, Fraction(29, 100)),
        (np.float64(0.29), Fraction(29, 100)),
        (np.float32(0.35), Fraction(35, 100)),
        (np.int64(2), Fraction(2)),
        (Decimal("0.857"), Fraction(857, 1000)),
        (Fraction(6, 7), Fraction(6, 7)),
        ("192/224", Fraction(6, 7)),
        (" 1e-3 ", Fraction(1, 1000)),
    ],
)
def test_a_number_is_what_its_text_says(value: Any, expected: Fraction) -> None:
    """A number is the rational a user typed, not the nearest binary fraction."""
    assert rational(value, "alpha") == expected


def test_a_float_is_not_its_binary_fraction() -> None:
    """29 of 100 channels at α = 0.29, where float multiplication has int(28.999…) = 28."""
    assert int(0.29 * 100) == 28
    assert scale_channels(100, multiplier(0.29, "alpha", MAX_ALPHA), 1) == 29


NO_NUMBERS = ["nan", "inf", "abc", "", "6/0", "1e999999999", "1e-999999999", "1/2/3", "9" * 5000]
NOT_TEXT = [math.nan, math.inf, True, False, None, [], {}, 1j, np.bool_(1), b"1"]


@pytest.mark.parametrize("name", ["alpha", "rho"])
@pytest.mark.parametrize("value", [*NO_NUMBERS, *NOT_TEXT], ids=lambda value: str(value)[:12])
def test_what_is_no_number_is_refused(name: str, value: Any) -> None:
    """Anything but a number or a ratio is an error of one line that shows it."""
    with pytest.raises(CostModelError, match=r"must be a number or a ratio") as caught:
        multiplier(value, name, MAX_ALPHA)
    assert len(str(caught.value).splitlines()) == 1
    assert repr(value) in str(caught.value)


@pytest.mark.parametrize("value", [0, -1, "-1/2", 1e9, "4.000001", "1e300", "-0"])
def test_alpha_has_a_range(value: Any) -> None:
    """α is in (0, 4]; the message says so and what it got."""
    with pytest.raises(CostModelError) as caught:
        multiplier(value, "alpha", MAX_ALPHA)
    assert str(caught.value) == f"alpha must be in (0, 4], got {value}"


@pytest.mark.parametrize("value", [0, -1, "-1/2", "-1e300", 160, "16.001"])
def test_rho_has_a_range(value: Any) -> None:
    """ρ is in (0, 16], so a side in pixels is none; the message says so and what it got."""
    with pytest.raises(CostModelError) as caught:
        multiplier(value, "rho", MAX_RHO)
    assert str(caught.value) == f"rho must be in (0, 16], got {value}"


def test_a_message_is_one_line_whatever_was_typed() -> None:
    """White space around a number that is out of range doesn't break the message."""
    with pytest.raises(CostModelError) as caught:
        multiplier(" 5\n", "alpha", MAX_ALPHA)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("rounding", "divisor"),
    [("floor", 1), ("exact", None), ("divisible(8)", 8), ("divisible(16)", 16)],
)
def test_rounding_policies(rounding: str, divisor: int | None) -> None:
    """A policy's name says its divisor."""
    assert rounding_divisor(rounding) == divisor


@pytest.mark.parametrize(
    "rounding",
    [
        "",
        "round",
        "divisible(0)",
        "divisible(-8)",
        "divisible(8",
        "divisible()",
        "divisible(1000000)",
    ],
)
def test_unknown_rounding_is_refused(rounding: str) -> None:
    """Another policy is an error that lists the three."""
    with pytest.raises(CostModelError, match=r"must be floor, exact or divisible\(N<10⁶\)"):
        rounding_divisor(rounding)


@QUICK
@given(st.integers(1, 9999), st.integers(1, 99))
def test_exact_div_has_no_remainder(whole: int, parts: int) -> None:
    """whole / parts times parts is whole again; None where no integer does that."""
    quotient = exact_div(whole, parts)
    wanted = next((n for n in range(whole + 1) if n * parts == whole), None)
    assert quotient == wanted


@QUICK
@given(alphas)
def test_at_least_one_never_shrinks(alpha: Fraction) -> None:
    """max(1, α) is one of the two, and below neither."""
    assert at_least_one(alpha) in {1, alpha}
    assert at_least_one(alpha) >= 1
    assert at_least_one(alpha) >= alpha


@pytest.mark.parametrize("value", [1, Fraction(1, 2), 2**70, np.int64(3)])
def test_numbers_are_not_symbols(value: Any) -> None:
    """A number of any size takes the path of numbers."""
    assert not is_symbolic(value)


def test_numbers_never_wrap() -> None:
    """Beyond 2⁶³ the integers stay exact."""
    assert ceil_div(2**70 + 1, 2) == 2**69 + 1
    assert scale_channels(2**70, Fraction(3, 4), 1) == 3 * 2**68
    assert round_size(2**70, Fraction(1, 2)) == 2**69
