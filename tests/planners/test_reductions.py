"""What is left of a sweep, against loops over every cell; sweeps come in parts, with ties."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import example, given, strategies as st

from costmodel import CostModelError
from costmodel.planners.reducing import best, extremes, front, histogram
from costmodel.planners.sweeping import Sweep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from costmodel.planners.reducing import Cell

Figures = list[tuple[int, int]]


class Parted(Sweep):
    """A sweep that comes in parts of three cells."""

    def chunks(self, cells: int = 3) -> Iterator[Sweep]:
        """However many are asked for."""
        yield from super().chunks(min(cells, 3))


def swept(figures: Figures) -> Sweep:
    """Pairs with these MACs and params: α is 1 in the first, 2 in the next, and D is 10·α."""
    kind = object if max(map(max, figures)) >= 2**53 else float
    count = np.arange(1, len(figures) + 1)
    columns = np.array(figures, dtype=kind)[:, :, None]
    ones = np.ones((1, len(figures)), dtype=kind)
    factors = {"macs": ((columns[:, 0], ones),), "params": ((columns[:, 1], ones),)}
    return Parted(count / 1, 10 * count, paired=True, unknown=(), factors=factors)


def place(cell: Cell, figures: Figures) -> int:
    """Which of the networks a cell is; everything else in it must be that network's too."""
    index = int(cell.alpha) - 1
    macs, params = figures[index]
    assert cell == (index + 1, 10 * (index + 1), {"macs": macs, "params": params})
    return index


# Few values, so that many are equal; and some past what a float64 holds.
NUMBERS = st.sampled_from([0, 1, 2, 3, 9, 10, 11, 1000, 2**53, 2**53 + 1])
FIGURES = st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=9)


@given(FIGURES, NUMBERS, NUMBERS)
@example([(0, 5), (0, 4)], 0, 9)
def test_the_best_is_the_first_of_most_macs_within_the_limits(
    figures: Figures, macs: int, params: int
) -> None:
    """Limits are inclusive, and a network without MACs is better than none."""
    fitting = [(-m, i) for i, (m, p) in enumerate(figures) if m <= macs and p <= params]
    found = best(swept(figures), {"macs": macs, "params": params})
    assert (found and place(found, figures)) == (min(fitting)[1] if fitting else None)


@given(FIGURES)
def test_the_extremes_are_the_first_of_least_and_of_most(figures: Figures) -> None:
    """Of any quantity."""
    for column, quantity in enumerate(("macs", "params")):
        values = [figure[column] for figure in figures]
        least, most = extremes(swept(figures), quantity)
        assert place(least, figures) == values.index(min(values))
        assert place(most, figures) == values.index(max(values))


@given(FIGURES)
def test_the_front_is_what_no_other_beats_by_rising_cost(figures: Figures) -> None:
    """No other has as much gain for less cost, or more gain for as much; of equals the first."""
    expected = [
        (cost, index)
        for index, (gain, cost) in enumerate(figures)
        if not any(g >= gain and c <= cost and (g, c) != (gain, cost) for g, c in figures)
        and figures.index((gain, cost)) == index
    ]
    found = [place(cell, figures) for cell in front(swept(figures))]
    assert found == [index for _, index in sorted(expected)]


def test_a_front_of_any_two_quantities() -> None:
    """Params for MACs: the front's axes are chosen by name."""
    figures = [(1, 1), (2, 5), (3, 4), (4, 5)]
    found = front(swept(figures), gain="params", cost="macs")
    assert [place(cell, figures) for cell in found] == [0, 1]


def test_a_histogram_has_two_bins_a_decade() -> None:
    """Zeros stand in a bin of their own, empty bins at both ends are cut and those between kept."""
    figures = [(n, 1) for n in (0, 0, 1, 3, 4, 9, 10, 1000, 1000)]
    counts, edges = histogram(swept(figures))
    assert counts.tolist() == [2, 2, 2, 1, 0, 0, 0, 2]
    # 0, then 10^0, 10^½, … to 10^3.5
    assert edges[0] == 0
    assert edges[1:] == pytest.approx([10 ** (n / 2) for n in range(8)])
    counts, edges = histogram(swept(figures), "params")
    assert (counts.tolist(), edges.tolist()) == ([9], [1, pytest.approx(10**0.5)])


def test_a_histogram_reaches_past_64_bits() -> None:
    """10³² is the last edge: 10³¹ has a bin."""
    counts, edges = histogram(swept([(10**31, 1)]))
    assert counts.tolist() == [1]
    assert edges.tolist() == pytest.approx([10**31, 10**31.5])
    assert histogram(swept([(9 * 10**31, 1)]))[1][-1] == pytest.approx(10**32)


@pytest.mark.parametrize(
    "reduce",
    [
        lambda swept, progress: best(swept, {"macs": 5}, progress=progress),
        lambda swept, progress: extremes(swept, "macs", progress=progress),
        lambda swept, progress: histogram(swept, "macs", progress=progress),
        lambda swept, progress: front(swept, progress=progress),
    ],
    ids=["best", "extremes", "histogram", "front"],
)
def test_progress_is_told_in_configurations(reduce: Callable[..., Any]) -> None:
    """Part by part, as each is done with."""
    done: list[int] = []
    reduce(swept([(n, n) for n in range(8)]), done.append)
    assert done == [3, 3, 2]


@pytest.mark.parametrize(
    "reduce",
    [
        lambda swept: best(swept, {"macs": 5, "miles": 5}),
        lambda swept: extremes(swept, "miles"),
        lambda swept: histogram(swept, "miles"),
        lambda swept: front(swept, "miles", "macs"),
        lambda swept: front(swept, "macs", "miles"),
    ],
    ids=["best", "extremes", "histogram", "gain", "cost"],
)
def test_an_unknown_quantity_is_one_line(reduce: Callable[..., Any]) -> None:
    """It names those that there are, before any part is evaluated."""
    with pytest.raises(
        CostModelError, match=r"^quantity must be one of macs, params, got 'miles'$"
    ):
        reduce(swept([(1, 1)]))


def test_cells_of_a_grid_are_found_by_row_and_column() -> None:
    """Of a grid of α × D, the same: the alpha of the row, the resolution of the column."""
    table = np.array([[1, 7, 3], [4, 9, 2]], dtype=float)
    grid = Sweep(
        np.array([0.5, 1.0]),
        np.array([96, 128, 160]),
        paired=False,
        unknown=(),
        factors={"macs": ((table, np.eye(3)),)},
    )
    least, most = extremes(grid, "macs")
    assert least == (0.5, 96, {"macs": 1})
    assert most == (1.0, 128, {"macs": 9})
    assert best(grid, {"macs": 8}) == (0.5, 128, {"macs": 7})
    assert best(grid, {"macs": 6}) == (1.0, 96, {"macs": 4})
