"""Fitting a device's constants to measured times: non-negative, by relative error.

Where there are few times, which constants they warrant is chosen by leaving groups of them out.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from costmodel.metrics.devices import Constants

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence
    from typing import Any

    from numpy.typing import NDArray

    Array = NDArray[Any]

#: Rounds of reweighting, and the relative error under which a row has full weight.
_ROUNDS, _FULL = 10, 0.02
#: Constants that a choice has at most, rows that it has more than constants, and parts that the
#: rows are left out in.
_MOST, _SPARE, _PARTS = 4, 2, 10
#: A difference of errors that is none: seconds that are a sum leave nothing but rounding.
_EQUAL = 1e-6


def fitted(amounts: Sequence[Sequence[float]], seconds: Sequence[float]) -> Constants:
    """The constants that give the seconds of some layers, by their work and bytes.

    Least squares of relative errors, with non-negative constants (Lawson and Hanson 1974), each row
    weighted anew by its error, so that an outlier (a page fault, another process) counts less.

    >>> work = [(1e6, 4e3, 4e3, 0), (2e6, 4e4, 4e3, 0), (4e6, 8e3, 4e5, 0), (1e7, 1e4, 1e4, 0)]
    >>> times = [1e-5 + w / 5e10 + (r + o) / 1e10 for w, r, o, _ in work]
    >>> constants = fitted(work, times)
    >>> round(constants.work_per_s / 5e10, 6), constants.weights_per_s
    (1.0, None)
    """
    given = np.array(amounts, dtype=float)
    given[:, _told_by_others(given)] = 0
    rows = np.insert(given, 0, 1, axis=1)
    start, *slopes = weighted(rows, np.array(seconds, dtype=float))
    return Constants(start, *(1 / slope if slope else None for slope in slopes))


def weighted(rows: Array, seconds: Array) -> list[float]:
    """A non-negative coefficient for each column of rows, by relative error."""
    from scipy.optimize import nnls

    scale = np.maximum(rows.max(axis=0), 1e-30)
    weights = np.ones(len(seconds))
    coefficients = np.zeros(rows.shape[1])
    for _ in range(_ROUNDS):
        by = (weights / seconds)[:, None]
        coefficients = nnls(rows / scale * by, weights)[0] / scale
        off = np.abs(rows @ coefficients / seconds - 1)
        weights = 1 / np.sqrt(np.maximum(off, _FULL))
    return [float(c) for c in coefficients]


def _told_by_others(rows: Array) -> Array:
    """The columns that are a multiple of a later one, and say nothing that it does not.

    So the work of what reads as many elements as it writes is in its bytes.

    >>> _told_by_others(np.array([[1.0, 2.0, 8.0], [1.0, 3.0, 12.0]])).tolist()
    [False, True, False]
    """
    told = np.zeros(rows.shape[1], dtype=bool)
    for i, j in combinations(range(rows.shape[1]), 2):
        both = rows[:, [i, j]]
        crossed = both[:, 0] * both[0, 1], both[:, 1] * both[0, 0]
        told[i] |= bool(both.all()) and np.allclose(*crossed, rtol=1e-9, atol=0)
    return told


class Judged(NamedTuple):
    """Predicted over measured for every row, fitted to the rows with another label than its own.

    `fixed` are by the columns that all rows chose; for `anew` only the others chose, too.
    """

    labels: tuple[Hashable, ...]
    fixed: tuple[float, ...]
    anew: tuple[float, ...]


class Choice(NamedTuple):
    """The columns that some seconds warrant, their coefficients, and what they predict unseen."""

    columns: tuple[int, ...]
    coefficients: tuple[float, ...]
    judged: dict[str, Judged]


def choice(
    amounts: Sequence[Sequence[float]],
    seconds: Sequence[float],
    labels: Mapping[str, Sequence[Hashable]],
) -> Choice:
    """Fit the columns of some rows of amounts that their seconds warrant, and judge them.

    Each kind of label says which rows are left out together; one that all rows share says nothing.

    >>> amounts = [(1, 9), (2, 1), (3, 5), (4, 3), (5, 8), (6, 2)]
    >>> made = choice(amounts, [w + 2 * m for w, m in amounts], {"size": list("abcabc")})
    >>> made.columns, [round(c, 6) for c in made.coefficients], list(made.judged)
    ((0, 1), [1.0, 2.0], ['size'])
    """
    rows, measured = np.array(amounts, dtype=float), np.array(seconds, dtype=float)
    columns = chosen(rows, measured, labels)

    def anew(kept: Array) -> tuple[int, ...]:
        return chosen(rows[kept], measured[kept], _of(labels, kept))

    judged = {
        name: Judged(
            tuple(folding),
            _plain(left_out(rows[:, columns], measured, folding)),
            _plain(left_out(rows, measured, folding, anew)),
        )
        for name, folding in foldings(labels).items()
    }
    return Choice(columns, tuple(weighted(rows[:, columns], measured)), judged)


def _of(labels: Mapping[str, Sequence[Hashable]], kept: Array) -> dict[str, list[Hashable]]:
    """The labels of some rows."""
    return {
        name: [label for label, keep in zip(column, kept, strict=True) if keep]
        for name, column in labels.items()
    }


def _plain(ratios: Array) -> tuple[float, ...]:
    return tuple(map(float, ratios))


def foldings(labels: Mapping[str, Sequence[Hashable]]) -> dict[str, Sequence[Hashable]]:
    """By what rows are left out together: each label that differs; else each row alone.

    >>> foldings({"network": ["v1", "v1", "v1"], "width": [0.5, 1, 1]})
    {'width': [0.5, 1, 1]}
    >>> foldings({"network": ["v1", "v1"]})
    {'row': range(0, 2)}
    """
    differing = {name: column for name, column in labels.items() if len(set(column)) > 1}
    return differing or {"row": range(max(map(len, labels.values())))}


def chosen(
    rows: Array, seconds: Array, labels: Mapping[str, Sequence[Hashable]]
) -> tuple[int, ...]:
    """The columns of rows that the seconds warrant: the first always, and as few as will do.

    Every choice of up to four is fitted with each group left out in turn, and judged by the mean of
    |predicted / measured - 1| there. Taken is the first, from few columns to many and in their
    order, that comes within one standard error of the best (Breiman et al. 1984, §3.4.3).

    >>> work, maps, other = [1, 2, 3, 4, 5, 6], [9, 1, 5, 3, 8, 2], [3, 1, 4, 1, 5, 9]
    >>> seconds = np.array([w + 2 * m for w, m in zip(work, maps)], float)
    >>> chosen(np.array([work, maps, other], float).T, seconds, {"size": range(6)})
    (0, 1)
    """
    candidates = [
        (0, *others)
        for count in range(min(_MOST, max(len(seconds) - _SPARE, 1)))
        for others in combinations(range(1, rows.shape[1]), count)
    ]
    if len(candidates) == 1:
        return candidates[0]
    parts = [_parts(column) for column in foldings(labels).values()]
    errors = [
        np.abs(np.concatenate([left_out(rows[:, c], seconds, part) for part in parts]) - 1)
        for c in candidates
    ]
    means = [float(error.mean()) for error in errors]
    best = errors[int(np.argmin(means))]
    enough = best.mean() + best.std() / len(seconds) ** 0.5 + _EQUAL
    return next(c for c, mean in zip(candidates, means, strict=True) if mean <= enough)


def _parts(labels: Sequence[Hashable]) -> list[int]:
    """A number for each label, of so few that a choice takes seconds whatever the table."""
    order = list(dict.fromkeys(labels))
    return [order.index(label) % _PARTS for label in labels]


def left_out(
    rows: Array,
    seconds: Array,
    folding: Sequence[Hashable],
    columns: Callable[[Array], tuple[int, ...]] | None = None,
) -> Array:
    """Predicted over measured, each group by what is fitted to the others: a number for each row.

    `columns` says which to fit, given which rows are kept; by default all.

    >>> rows = np.array([[1, 1], [2, 1], [3, 1], [4, 1]], float)
    >>> left_out(rows, rows @ [2, 1], range(4)).round(6)
    array([1., 1., 1., 1.])
    """
    ratios = np.zeros(len(seconds))
    for label in dict.fromkeys(folding):
        out = np.array([other == label for other in folding])
        own = rows if columns is None else rows[:, columns(~out)]
        ratios[out] = own[out] @ weighted(own[~out], seconds[~out]) / seconds[out]
    return ratios
