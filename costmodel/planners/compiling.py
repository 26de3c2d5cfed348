"""Cost functions for planners: a network's cost as straight-line Python, made once, called often.

A network is rewritten and lowered once with quantities that leave behind the operations done on
them (`costmodel.algebra.emitted`).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, overload

from costmodel.algebra.arithmetic import is_symbolic
from costmodel.algebra.emitted import RefusalError, Tape, Traced, integer, number, operand, some
from costmodel.algebra.numbers import (
    MAX_ALPHA,
    multiplier,
    positive_integer,
    rational,
    rounding_divisor,
)
from costmodel.algebra.polynomial import ALPHA, RHO
from costmodel.core.cost import Cost, cost
from costmodel.core.lower import lower
from costmodel.core.quantities import Parts
from costmodel.core.rewrite import resize, widen
from costmodel.core.widths import Widths
from costmodel.errors import CostModelError
from costmodel.metrics.timing import additive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from costmodel.algebra.arithmetic import Dim
    from costmodel.core.lower import Lowered
    from costmodel.core.network import Network
    from costmodel.core.quantities import Quantity
    from costmodel.metrics.devices import Device

    Rows = Mapping[str, Quantity]


def _written(tape: Tape, parameters: str, lowered: Iterable[Lowered], rows: Rows) -> Any:
    """The function of the parameters that returns the quantities."""
    parts = Parts.of(lowered)
    results = ", ".join(_sum(tape, row.terms(parts)) for row in rows.values())
    return tape.function(parameters, results)


_ADDENDS = 256  # of one line: Python's parser goes as deep as a sum is long


def _sum(tape: Tape, terms: Iterable[Dim]) -> str:
    """A sum with equal terms counted once, and the integers added up."""
    times: defaultdict[str, int] = defaultdict(int)
    constant: int | float = 0
    for term in terms:
        if not is_symbolic(term):
            constant += number(term)
        elif isinstance(term, Traced):
            times[term.name] += 1
            constant += term.offset
        else:
            times[operand(term)] += 1
    products = [name if count == 1 else f"{count} * {name}" for name, count in times.items()]
    while len(products) > _ADDENDS:
        parts = [products[i : i + _ADDENDS] for i in range(0, len(products), _ADDENDS)]
        products = [tape.emit(" + ".join(part)) for part in parts]
    return " + ".join([*products, str(constant)])


@overload
def cost_function(
    network: Network,
    over: Literal["alpha"] = "alpha",
    *,
    relaxed: Literal[False] = False,
    rounding: str | None = None,
    device: Device | None = None,
) -> Callable[[Any, int], Cost]: ...
@overload
def cost_function(
    network: Network,
    over: Literal["alpha"] = "alpha",
    *,
    relaxed: Literal[True],
    device: Device | None = None,
) -> Callable[[Any, Any], Cost]: ...
@overload
def cost_function(
    network: Network,
    over: Literal["widths"],
    *,
    relaxed: Literal[False] = False,
    rounding: str | None = None,
    device: Device | None = None,
) -> WidthFunction: ...
@overload
def cost_function(
    network: Network,
    over: Literal["widths"],
    *,
    relaxed: Literal[True],
    device: Device | None = None,
) -> Callable[[Sequence[Any], Any], Cost]: ...
def cost_function(
    network: Network,
    over: str = "alpha",
    *,
    relaxed: bool = False,
    rounding: str | None = None,
    device: Device | None = None,
) -> Any:
    """The cost of a network as a function, made once and called often.

    - f(α, D), exact, of a width multiplier and a square resolution;
    - with `over="widths"`, f(counts=…, resolution=D) or f(multipliers=…, resolution=D), exact, of a
      width for each layer (`WidthFunction`), as NAS and pruning planners have them;
    - with `relaxed`, g(α, ρ) or g(widths, ρ) in plain arithmetic, for arrays and for tensors with
      gradients, as the papers' formulas are; the widths are channels, in `WidthFunction`'s order.

    >>> from costmodel import mobilenet_v1
    >>> f = cost_function(mobilenet_v1())
    >>> f(0.75, 192)
    Cost(macs=239273472, params=2585560, activations=2779624)

    With a device, its seconds are `time_s` of the cost (`costmodel.metrics.timing`).

    The gradient of a relaxed one is what a channel of each layer costs, as a MorphNet-like planner
    regularises by (Gordon et al. 2018, eq. 7):

    >>> import torch
    >>> g = cost_function(mobilenet_v1(), over="widths", relaxed=True)
    >>> counts = [32, 64, 128, 128, 256, 256, *[512] * 6, 1024, 1024]
    >>> widths = torch.tensor(counts, dtype=torch.float64, requires_grad=True)
    >>> g(widths, 1.0).macs.backward()
    >>> int(widths.grad[9]) == (512 + 9 + 512) * 14*14
    True

    Raises CostModelError for another `over` and for a rounding of what is relaxed; and, when
    called, for α outside (0, 4], D below 1, another number of widths and a map that vanishes.
    """
    if over not in {"alpha", "widths"}:
        raise CostModelError(f"over must be alpha or widths, got {over!r}")
    if relaxed and rounding is not None:
        raise CostModelError(f"what is relaxed rounds nothing, got rounding {rounding}; leave it")
    rows = additive(device)
    if relaxed:
        make = _relaxed_over_alpha if over == "alpha" else _relaxed_over_widths
        return make(network, rows)
    if over == "alpha":
        return _over_alpha(network, rounding, rows)
    return _over_widths(network, rounding, rows)


def _over_alpha(network: Network, rounding: str | None, rows: Rows) -> Callable[[Any, int], Cost]:
    tape = Tape()
    alpha, side = Traced(tape, "alpha"), Traced(tape, "D")
    tape.know("D", 1)
    lowered = lower(widen(resize(network, resolution=side), alpha, rounding))
    unknown = tuple(layer.layer.name for layer in lowered if layer.bodies is None)
    function = _written(tape, "alpha, D", lowered, rows)

    def cost_at(alpha: Any, resolution: int) -> Cost:
        if type(alpha) is not float or not 0 < alpha < MAX_ALPHA:
            alpha = multiplier(rational(alpha, "alpha"), "alpha", MAX_ALPHA)
        if type(resolution) is not int or resolution < 1:
            resolution = positive_integer(resolution, "resolution")
        try:
            return Cost.of(function(alpha, resolution), unknown, rows)
        except RefusalError as error:
            raise CostModelError(error.at(f"alpha {float(alpha):g} and", resolution)) from None

    return cost_at


def _relaxed_over_alpha(network: Network, rows: Rows) -> Callable[[Any, Any], Cost]:
    total = cost(widen(resize(network, rho=RHO), ALPHA, "exact"), rows=rows)
    # max(1, α), in arithmetic that arrays and tensors have.
    source = ", ".join(map(str, total.quantities.values()))
    source = source.replace("max(1, alpha)", "((1 + alpha + abs(alpha - 1)) / 2)")
    function = eval(f"lambda alpha, rho: ({source})")  # noqa: S307 - of the polynomials above alone
    return lambda alpha, rho: Cost.of(function(alpha, rho), total.unknown, rows)


class Column(NamedTuple):
    """A width of its own: the layer it is first found in, its count, and how it is rounded."""

    layer: str
    channels: int
    grows: bool
    groups: int


@dataclass(frozen=True)
class WidthFunction:
    """f(counts=…, resolution=D) for widths that differ from layer to layer.

    A column for each layer whose width is a plain count or `AtLeast`, one for those that are
    added together; depthwise convolutions, expansions and classes follow or stay as in `widen`.
    `layers` names the columns.

    An AMC-like planner has a ratio for each layer, a NetAdapt-like one takes channels from one
    layer at a time, and a NAS asks for a whole population at once:

    >>> from costmodel import mobilenet_v1
    >>> from costmodel.planners import cost_function
    >>> f = cost_function(mobilenet_v1(), over="widths")
    >>> f(multipliers=[0.5] * len(f.layers), resolution=224).macs
    149497088
    >>> counts = [32, 64, 128, 128, 256, 256, *[512] * 6, 1024, 1024]
    >>> f(counts=[*counts[:9], 400, *counts[10:]], resolution=224).macs
    546063936
    >>> import numpy as np
    >>> population = np.array([counts, [c // 2 for c in counts]])
    >>> f(counts=population, resolution=224).macs.astype(int).tolist()
    [568740352, 149497088]
    """

    columns: tuple[Column, ...]
    rounding: str
    function: Callable[..., tuple[Any, ...]]
    unknown: tuple[str, ...]
    rows: Rows

    @property
    def layers(self) -> tuple[str, ...]:
        """The layer that each column is the width of."""
        return tuple(column.layer for column in self.columns)

    def __call__(self, *, resolution: int, counts: Any = None, multipliers: Any = None) -> Cost:
        """The costs of N networks at once, for an array of shape (N, layers), or of one.

        `counts` are whole channels; `multipliers` are of the network's own counts, rounded as
        `widen` rounds. The results are float64 arrays of exact integers, or Python's integers
        where they could pass 2⁵³.

        Raises CostModelError for neither or both, another shape, and for counts that are not whole
        or below 1.
        """
        resolution = positive_integer(resolution, "resolution")
        if (counts is None) == (multipliers is None):
            got = "neither" if counts is None else "both"
            raise CostModelError(f"widths are counts or multipliers, got {got}; give one")
        if counts is None:
            factors = self._shaped(multipliers, "multipliers")
            whole = self._rounded(factors)
        else:
            whole = self._shaped(counts, "counts")
            self._check(whole)
        try:
            return self._evaluated(whole, resolution)
        except RefusalError as error:
            raise CostModelError(error.at("these widths and", resolution)) from None

    def _shaped(self, given: Any, name: str) -> NDArray[Any]:
        values = _rectangular(given, name)
        if values.ndim not in (1, 2) or values.shape[-1] != len(self.columns):
            names = ", ".join(self.layers[:3])
            wanted = f"(N, {len(self.columns)}), a column for each of {names}, …"
            raise CostModelError(f"{name} must have shape {wanted}, got {values.shape}")
        return values

    def _check(self, counts: NDArray[Any]) -> None:
        if counts.size and not all(type(x) is int for x in _ends(counts)):
            raise CostModelError(f"counts must be integers, got {counts.dtype}; or multipliers")
        if counts.size and counts.min() < 1:
            raise CostModelError(f"counts must be at least 1, got {counts.min()}")
        for column, each in zip(self.columns, counts.T, strict=True):
            if column.groups > 1 and some(each % column.groups):
                raise CostModelError(f"{column.layer}: counts must be multiples of {column.groups}")

    def _rounded(self, multipliers: NDArray[Any]) -> NDArray[Any]:
        import numpy as np

        from costmodel.algebra.grids import Multipliers

        divisor = rounding_divisor(self.rounding)
        rounded = []
        for column, given in zip(self.columns, np.atleast_2d(multipliers).T, strict=True):
            factors = Multipliers(given).at_least_one() if column.grows else Multipliers(given)
            rounded.append(factors.channels(column.channels, divisor, column.groups))
        return np.stack(rounded, axis=-1).reshape(multipliers.shape) if rounded else multipliers

    def _evaluated(self, counts: NDArray[Any], resolution: int) -> Cost:
        import numpy as np

        rows = np.atleast_2d(counts)
        most = self.function(*(int(c) for c in rows.max(axis=0, initial=1)), resolution)
        exact = max(most) < 2**53
        totals = np.empty((len(self.rows), len(rows)), dtype=float if exact else object)
        step = 1 << 13  # what stays in a core's cache
        for start in range(0, len(rows), step):
            part = rows[start : start + step].T.astype(totals.dtype)
            for total, value in zip(totals, self.function(*part, resolution), strict=True):
                total[start : start + step] = value
        if counts.ndim == 1:
            both = zip(self.rows.values(), totals, strict=True)
            values = [row.value(total[0]) for row, total in both]
            return Cost.of(values, self.unknown, self.rows)
        return Cost.of(totals, self.unknown, self.rows)


def _rectangular(widths: Any, name: str) -> NDArray[Any]:
    """The widths as an array: of integers, of floats, or of numbers of any kind."""
    import numpy as np

    if hasattr(widths, "dtype"):
        return np.asarray(widths)
    try:
        values = np.array(widths, dtype=object)
    except ValueError:
        raise CostModelError(f"{name} must have one length") from None
    if {type(number) for number in values.flat} <= {int}:
        return np.array(widths, dtype=None if values.size else int)
    return values


def _ends(counts: NDArray[Any]) -> list[Any]:
    """What tells whether an array is of integers: all of Python's objects, one of numpy's."""
    return counts.ravel().tolist() if counts.dtype == object else counts.ravel()[:1].tolist()


def _over_widths(network: Network, rounding: str | None, rows: Rows) -> WidthFunction:
    rounding = network.rounding if rounding is None else rounding
    widths = Widths.of(network)
    function, unknown = _of_columns(network, widths, Tape(), "D", rows)
    columns = tuple(
        Column(name, integer(widths.counts[name]), name in widths.grows, multiple)
        for name, multiple in widths.columns.items()
    )
    return WidthFunction(columns, rounding, function, unknown, rows)


def _relaxed_over_widths(network: Network, rows: Rows) -> Callable[[Sequence[Any], Any], Cost]:
    widths = Widths.of(network)
    names = list(widths.columns)
    function, unknown = _of_columns(network, widths, Tape(relaxed=True), "rho", rows)

    def cost_of(widths: Sequence[Any], rho: Any) -> Cost:
        if len(widths) != len(names):
            wanted = f"{len(names)}, one for each of {', '.join(names[:3])}, …"
            raise CostModelError(f"widths must be {wanted}, got {len(widths)}")
        return Cost.of(function(*widths, rho), unknown, rows)

    return cost_of


def _of_columns(
    network: Network, widths: Widths, tape: Tape, size: str, rows: Rows
) -> tuple[Callable[..., Any], tuple[str, ...]]:
    """The function of a width for each column and of D, or of ρ where it is relaxed."""
    names = [f"w{i}" for i in range(len(widths.columns))]
    for name in (*names, size):
        tape.know(name, 1)
    traced = {name: Traced(tape, w) for name, w in zip(widths.columns, names, strict=True)}
    made = widths.sized(network, traced)
    if tape.relaxed:
        lowered = lower(resize(made, rho=RHO))
    else:
        lowered = lower(resize(made, resolution=Traced(tape, size)))
    unknown = tuple(layer.layer.name for layer in lowered if layer.bodies is None)
    return _written(tape, ", ".join([*names, size]), lowered, rows), unknown
