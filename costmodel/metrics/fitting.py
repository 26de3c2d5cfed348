"""Fitting a device's constants to measured times: non-negative, by relative error."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from costmodel.metrics.devices import Constants

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from numpy.typing import NDArray

    Array = NDArray[Any]

#: Rounds of reweighting, and the relative error under which a row has full weight.
_ROUNDS, _FULL = 10, 0.02


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
    rows = np.array([(1, *row) for row in amounts], dtype=float)
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
