"""What is left of a sweep too large to hold: the best under limits, a histogram, a front.

Each goes through the sweep in chunks, so that a grid of 10⁹ configurations takes the memory of
one chunk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

    from costmodel.planners.sweeping import Sweep


class Cell(NamedTuple):
    """One configuration of a sweep and its quantities: exact integers, and estimates."""

    alpha: float
    resolution: int
    quantities: Mapping[str, Any]


def _cell(part: Sweep, index: int) -> Cell:
    row, column = (index, index) if part.paired else divmod(index, len(part.resolution))
    one = part.at(row, column)
    quantities = {name: one.value(name, one.evaluate(name)[0]) for name in one.factors}
    return Cell(float(part.alpha[row]), int(part.resolution[column]), quantities)


def best(
    swept: Sweep, limits: Mapping[str, float], *, progress: Callable[[int], object] = int
) -> Cell | None:
    """The configuration of most MACs within limits on quantities; None where nothing fits.

    >>> from costmodel import mobilenet_v1
    >>> from costmodel.planners.sweeping import sweep
    >>> swept = sweep(mobilenet_v1(), [0.25, 0.5, 0.75, 1.0], [128, 160, 192, 224])
    >>> best(swept, {"macs": 200_000_000, "params": 2_000_000}).quantities["macs"]
    149497088
    """
    found: Cell | None = None
    for part in swept.chunks():
        macs = part.evaluate("macs")
        fits = np.logical_and.reduce([part.evaluate(n) <= most for n, most in limits.items()])
        inside = np.where(fits, macs, -1).reshape(-1)
        index = int(np.argmax(inside))
        if inside[index] > (found.quantities["macs"] if found else -1):
            found = _cell(part, index)
        progress(macs.size)
    return found


def extremes(
    swept: Sweep, quantity: str, *, progress: Callable[[int], object] = int
) -> tuple[Cell, Cell]:
    """The configurations with least and with most of a quantity, the first of equal ones.

    >>> from costmodel import mobilenet_v1
    >>> from costmodel.planners.sweeping import sweep
    >>> least, most = extremes(sweep(mobilenet_v1(), [0.5, 1.0], [128, 224]), "macs")
    >>> least.quantities["macs"], most.quantities["macs"]
    (49160192, 568740352)
    """
    cells = []
    for part in swept.chunks():
        values = part.evaluate(quantity).reshape(-1)
        cells += [_cell(part, int(np.argmin(values))), _cell(part, int(np.argmax(values)))]
        progress(values.size)
    ordered = sorted(cells, key=lambda cell: cell.quantities[quantity])
    most = ordered[-1].quantities[quantity]
    return ordered[0], next(cell for cell in ordered if cell.quantities[quantity] == most)


def histogram(
    swept: Sweep, quantity: str = "macs", *, progress: Callable[[int], object] = int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """How many configurations lie between one power of √10 and the next: counts, and edges.

    The first bin begins at 0 where there are zeros.

    >>> from costmodel import mobilenet_v1
    >>> from costmodel.planners.sweeping import sweep
    >>> counts, _ = histogram(sweep(mobilenet_v1(), [0.5, 1.0], [128, 224]))
    >>> int(counts.sum())
    4
    """
    edges = np.concatenate(([0], 10.0 ** (np.arange(0, 65) / 2)))
    counts: NDArray[Any] = np.zeros(len(edges) - 1, dtype=np.int64)
    for part in swept.chunks():
        values = part.evaluate(quantity).astype(float)
        counts += np.histogram(values, edges)[0]
        progress(values.size)
    (used,) = counts.nonzero()
    first, last = int(used[0]), int(used[-1])
    return counts[first : last + 1], edges[first : last + 2]


def front(
    swept: Sweep,
    gain: str = "macs",
    cost: str = "params",
    *,
    progress: Callable[[int], object] = int,
) -> tuple[Cell, ...]:
    """The Pareto front: no other configuration has as much of `gain` for less of `cost`.

    >>> from costmodel import mobilenet_v1
    >>> from costmodel.planners.sweeping import sweep
    >>> swept = sweep(mobilenet_v1(), [0.25, 0.5, 1.0], [128, 224])
    >>> [(cell.alpha, cell.resolution) for cell in front(swept)]
    [(0.25, 224), (0.5, 224), (1.0, 224)]
    """
    kept: list[Cell] = []
    for part in swept.chunks():
        gains, costs = (part.evaluate(name).reshape(-1) for name in (gain, cost))
        kept += [_cell(part, index) for index in _undominated(gains, costs)]
        pairs = [(cell.quantities[gain], cell.quantities[cost]) for cell in kept]
        both: NDArray[Any] = np.array(pairs, dtype=object)
        kept = [kept[index] for index in _undominated(both[:, 0], both[:, 1])]
        progress(gains.size)
    return tuple(kept)


def _undominated(gains: NDArray[Any], costs: NDArray[Any]) -> Iterator[int]:
    """By rising cost, each that gains more than all before it."""
    order = np.lexsort((-gains, costs)) if gains.dtype != object else _sorted(gains, costs)
    most = np.maximum.accumulate(gains[order])
    fresh = np.concatenate(([True], most[1:] > most[:-1]))
    return (int(index) for index in np.asarray(order)[fresh.astype(bool)])


def _sorted(gains: NDArray[Any], costs: NDArray[Any]) -> NDArray[Any]:
    keys = [(cost, -gain) for gain, cost in zip(gains, costs, strict=True)]
    return np.array(sorted(range(len(keys)), key=keys.__getitem__))
