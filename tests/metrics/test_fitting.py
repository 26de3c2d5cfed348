"""Fitting: constants that are known come back, and what is left out has no say."""

from __future__ import annotations

import numpy as np
import pytest

from costmodel.metrics import fitting
from costmodel.metrics.fitting import choice, chosen, fitted, foldings, left_out, weighted

ROWS = np.random.default_rng(1).lognormal(0, 1, (24, 4))
WIDTHS = {"width": [i % 6 for i in range(24)]}


def noisy(seed: int, *coefficients: float) -> np.ndarray:
    """Seconds by the first columns, each 3 % off."""
    noise = np.random.default_rng(seed).normal(0, 0.03, len(ROWS))
    return ROWS[:, : len(coefficients)] @ coefficients * np.exp(noise)


def test_coefficients_come_back() -> None:
    """Of seconds that are a sum, the coefficients are those of the sum; none is negative."""
    assert weighted(ROWS, ROWS @ [1, 0, 3, 0.5]) == pytest.approx([1, 0, 3, 0.5], abs=1e-9)
    assert min(weighted(ROWS, np.ones(24))) >= 0
    constants = fitted(ROWS, 1e-3 + ROWS @ [1e-9, 1e-10, 2e-10, 1e-9])
    assert constants.seconds(*ROWS[0]) == pytest.approx(1e-3 + ROWS[0] @ [1e-9, 1e-10, 2e-10, 1e-9])


def moved_by_an_outlier() -> float:
    """How far the worst coefficient moves where one of 24 times is three times too long."""
    worst = 0.0
    for row in range(24):
        seconds = ROWS @ [1, 1, 1, 1]
        seconds[row] *= 3
        worst = max(worst, *(abs(c - 1) for c in weighted(ROWS, seconds)))
    return worst


def test_an_outlier_counts_less(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever time is three times too long, no coefficient moves by more than a twentieth.

    The mutation: in one round, without reweighting, one moves by a quarter.
    """
    assert moved_by_an_outlier() < 0.05
    monkeypatch.setattr(fitting, "_ROUNDS", 1)
    assert moved_by_an_outlier() > 0.25


def test_what_is_left_out_has_no_say() -> None:
    """A prediction for a width is the same whatever that width's own times are.

    The mutation: fitted to all rows, it is not.
    """
    seconds = noisy(2, 1, 2)
    other = np.where(np.array(WIDTHS["width"]) == 3, 5, 1) * seconds
    out = np.array(WIDTHS["width"]) == 3
    before, after = (choice(ROWS, s, WIDTHS).judged["width"].anew for s in (seconds, other))
    assert np.array(before)[out] * seconds[out] == pytest.approx(np.array(after)[out] * other[out])
    fits = [ROWS[out] @ weighted(ROWS, s) for s in (seconds, other)]
    assert fits[0] != pytest.approx(fits[1])


def test_left_out_is_what_a_loop_gives() -> None:
    """Each group is predicted by the others: a loop over the groups, written out."""
    seconds = noisy(3, 2, 1)
    ratios = left_out(ROWS[:, :2], seconds, WIDTHS["width"])
    for i, width in enumerate(WIDTHS["width"]):
        kept = [j for j, other in enumerate(WIDTHS["width"]) if other != width]
        a, b = weighted(ROWS[kept, :2], seconds[kept])
        assert ratios[i] == pytest.approx((a * ROWS[i, 0] + b * ROWS[i, 1]) / seconds[i])


def test_as_few_as_will_do() -> None:
    """Columns that say nothing are left, and those that do are taken, in nine of ten tables.

    The mutation: the best, in place of the first within its standard error, takes more.
    """
    alone = [chosen(ROWS, noisy(seed, 1), WIDTHS) for seed in range(20)]
    assert sum(columns == (0,) for columns in alone) >= 18
    two = [chosen(ROWS, noisy(seed, 1, 1), WIDTHS) for seed in range(20)]
    assert sum(columns == (0, 1) for columns in two) >= 18


def test_few_rows_warrant_few_columns() -> None:
    """There are two rows more than columns: four rows have two, and three have one."""
    for rows, most in ((8, 4), (5, 3), (4, 2), (3, 1), (1, 1)):
        seconds = ROWS[:rows] @ [1, 1, 1, 1]
        labels = {"width": list(range(rows))}
        assert len(chosen(ROWS[:rows], seconds, labels)) <= most
    assert len(chosen(ROWS, ROWS @ [1, 1, 1, 1], WIDTHS)) == 4


def test_what_rows_have_in_common_is_left_out_together() -> None:
    """Every label that differs is a way to leave out; where none does, each row is."""
    both = {"network": ["a", "a", "b"], "width": [1, 2, 2]}
    assert foldings(both) == both
    assert foldings({"network": ["a"] * 3, "width": [1, 2, 2]}) == {"width": [1, 2, 2]}
    assert list(foldings({"network": ["a"] * 3})["row"]) == [0, 1, 2]


def test_many_groups_are_left_out_by_parts() -> None:
    """However many widths a table has, a choice leaves out at most ten parts of it."""
    assert len(set(fitting._parts(range(1000)))) == 10
    assert fitting._parts(["a", "b", "a"]) == [0, 1, 0]


def test_fixed_and_anew_are_of_every_row() -> None:
    """Both have a ratio for each row, and are the same where each choice is the same."""
    made = choice(ROWS, ROWS @ [1, 0, 0, 0], WIDTHS)
    judged = made.judged["width"]
    assert made.columns == (0,)
    assert judged.fixed == judged.anew == pytest.approx([1] * 24)
