"""A network as rows: a layer that counts a row, with its normalisation folded in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

from costmodel.algebra.arithmetic import Dim, is_symbolic
from costmodel.core.cost import Cost, layer_costs
from costmodel.core.lower import Lowered, lower
from costmodel.core.quantities import QUANTITIES, Quantity, columns
from costmodel.errors import CostModelError
from costmodel.layers.factorising import join, separable_pairs
from costmodel.metrics.memory import DEFAULT, layer_traffic
from costmodel.metrics.timing import Parts, additive, layer_parts

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    import pandas as pd

    from costmodel.core.network import Network
    from costmodel.layers.factorising import Pair
    from costmodel.metrics.devices import Device
    from costmodel.metrics.memory import MemoryRules

Axes = tuple[Dim, ...]
#: The kind of a layer that no rule knows.
UNKNOWN = "unknown"
#: That of a transposed convolution, in groups or not.
TRANSPOSED = "transposed"


@dataclass(frozen=True)
class Row:
    """A layer's hyper-parameters and cost, which includes the batch norm that follows it.

    `reduction` is, for both layers of a depthwise separable pair, what the pair costs over what
    the standard convolution it replaces would: 1/C_out + 1/K² (Howard et al. 2017, §3.1).
    `bytes` is the compulsory traffic with normalisation and activation fused: what is touched of
    the input, all params and the output, once each, in float32 unless rules of memory say another
    format; None where symbols leave it without a closed form. With a device, `time_s` is its time
    with that of what follows, and `parts` what takes it. A layer that no rule knows adds nothing to
    a sum, and is shown as not counted.
    """

    name: str
    kind: str
    kernel: Axes
    stride: Axes
    in_channels: Dim
    out_channels: Dim
    out_size: Axes
    cost: Cost
    bytes: Dim | None = None
    reduction: Dim | None = None
    parts: Parts | None = None
    #: The layers that it is of: its own, and what normalises or activates it.
    layers: tuple[str, ...] = ()

    @property
    def bound(self) -> str | None:
        """What its time is bound by, where there is a device: overhead, compute or memory."""
        return None if self.parts is None else self.parts.bound

    @property
    def macs(self) -> Dim:
        """Multiply–accumulates."""
        return self.cost.macs

    @property
    def params(self) -> Dim:
        """Parameters, with those of what follows."""
        return self.cost.params

    @property
    def intensity(self) -> Dim | None:
        """MACs per byte of compulsory traffic."""
        if self.bytes is None:
            return None
        if is_symbolic(self.macs) or is_symbolic(self.bytes):
            return self.macs / self.bytes
        return Fraction(self.macs, self.bytes or 1)

    @property
    def unknown(self) -> bool:
        """Whether no rule knows the layer."""
        return self.kind == UNKNOWN


def rows(
    network: Network, device: Device | None = None, rules: MemoryRules = DEFAULT
) -> tuple[Row, ...]:
    """A row for every layer that costs something of its own (with a device: time), or is unknown.

    >>> from costmodel import mobilenet_v1
    >>> rows(mobilenet_v1())[2].reduction == Fraction(1, 64) + Fraction(1, 9)
    True
    """
    lowered = lower(network)
    shares = {
        name: share
        for pair, share in reductions(network, lowered).items()
        for name in (pair.depthwise, pair.pointwise)
    }
    shown: dict[str, Row] = {}
    owner: dict[str, str] = {}  # the row whose output, normalised and activated, a layer holds
    costs = layer_costs(lowered, additive(device))
    times = layer_parts(lowered, device) if device else [None] * len(lowered)
    for part, counted, taken in zip(lowered, costs, times, strict=True):
        layer, held = part.layer, rules.parameter_bytes(part.parameters)
        if layer.follows and layer.inputs[0] in owner:
            owner[layer.name] = home = owner[layer.inputs[0]]
            shown[home] = _with_following(shown[home], counted, part, taken, held)
        elif part.bodies is None or any(value != 0 for value in counted.quantities.values()):
            owner[layer.name] = layer.name
            row = _row(part, counted, _bytes(part, rules), shares.get(layer.name))
            shown[layer.name] = replace(row, parts=taken, layers=(layer.name,))
    return tuple(shown.values())


def _with_following(row: Row, counted: Cost, part: Lowered, taken: Parts | None, held: Dim) -> Row:
    traffic = None if row.bytes is None else row.bytes + held
    parts = row.parts + taken if row.parts and taken else row.parts
    layers = (*row.layers, part.layer.name)
    return replace(row, cost=row.cost + counted, bytes=traffic, parts=parts, layers=layers)


def _bytes(part: Lowered, rules: MemoryRules) -> Dim | None:
    """The layer's own traffic; None where it is unknown or has no formula."""
    if part.bodies is None:
        return None
    try:
        return layer_traffic(part, rules).bytes
    except CostModelError:  # symbols in a window that touches only some of its input
        return None


def _operation(part: Lowered) -> str:
    """What a layer without a nest does; a table of parameters does nothing."""
    return part.elementwise[0].operation if part.elementwise else type(part.layer).__name__.lower()


def _row(part: Lowered, counted: Cost, moved: Dim | None, reduction: Dim | None) -> Row:
    layer, size = part.layer, part.output[2:]
    channels = [shape[1] if len(shape) > 1 else 1 for shape in (*part.inputs[:1], part.output)]
    if not part.nests:
        kind = UNKNOWN if part.bodies is None else _operation(part)
        return Row(layer.name, kind, (), (), channels[0], channels[-1], size, counted, moved)
    nest = part.nests[0]
    transposed = nest.weighted and bool(nest.written)  # it loops over its input's positions
    stride = getattr(layer, "stride", 1)
    rank = len(nest.positions)
    return Row(
        layer.name,
        TRANSPOSED if transposed else nest.kind,
        nest.kernel,
        stride if isinstance(stride, tuple) else (stride,) * rank,
        nest.g * nest.c,
        nest.g * nest.k,
        nest.written if transposed else nest.positions,
        counted,
        moved,
        reduction,
    )


def reductions(network: Network, lowered: Iterable[Lowered]) -> dict[Pair, Dim]:
    """What each depthwise separable pair costs over the convolution that it replaces.

    >>> from costmodel import mobilenet_v1
    >>> list(reductions(mobilenet_v1(), lower(mobilenet_v1())).values())[0]
    Fraction(73, 576)
    """
    macs = {part.layer.name: sum(nest.macs for nest in part.nests) for part in lowered}
    pairs = separable_pairs(network)
    standard = {part.layer.name: part for part in lower(join(network))} if pairs else {}
    shares = {}
    for pair in pairs:
        whole = standard[pair.joined].nests[0].macs
        part = macs[pair.depthwise] + macs[pair.pointwise]
        shares[pair] = part / whole if is_symbolic(whole) else Fraction(part, whole)
    return shares


def record(row: Row, of: Mapping[str, Quantity] = QUANTITIES) -> dict[str, object]:
    """A row as plain values: square kernels as one number, the reduction as a float.

    It has the quantities in `of`. The counts of a layer that no rule knows are None.

    >>> from costmodel import mobilenet_v1
    >>> record(rows(mobilenet_v1())[0])["out_height"]
    112
    """
    height, width = (1, 1, *row.out_size)[-2:]
    return {
        "name": row.name,
        "kind": row.kind,
        "kernel": _plain(row.kernel),
        "stride": _plain(row.stride),
        "in_channels": row.in_channels,
        "out_channels": row.out_channels,
        "out_height": height,
        "out_width": width,
        **{name: None if row.unknown else row.cost.quantities[name] for name in columns(of)},
        **({} if row.parts is None else {"bound": row.bound}),
        "bytes": row.bytes,
        "intensity": _float(row.intensity),
        "reduction": _float(row.reduction),
    }


def _float(value: Dim | None) -> Dim | float | None:
    return float(value) if isinstance(value, Fraction) else value


def _plain(axes: Axes) -> Dim | list[Dim]:
    if not axes:
        return 1
    return axes[0] if axes.count(axes[0]) == len(axes) else list(axes)


def by_kind(
    table: tuple[Row, ...], of: Mapping[str, Quantity] = QUANTITIES
) -> dict[str, dict[str, Dim | None]]:
    """What has a column summed by kind, most MACs first (Howard et al. 2017, Table 2).

    Those of layers that no rule knows are None.

    >>> from costmodel import mobilenet_v1
    >>> by_kind(rows(mobilenet_v1()))["linear"]
    {'macs': 1024000, 'params': 1025000}
    """
    totals: dict[str, Cost] = {}
    for row in table:
        totals[row.kind] = totals.get(row.kind, Cost()) + row.cost
    kinds = sorted(totals, key=lambda kind: -totals[kind].macs)
    sums: dict[str, dict[str, Dim | None]] = {
        kind: {name: totals[kind].quantities[name] for name in columns(of)} for kind in kinds
    }
    return sums | ({UNKNOWN: dict.fromkeys(columns(of))} if UNKNOWN in sums else {})


#: The parts that parameters may be of, in the order in which they are shown.
PARTS = ("convolutions", "linear", "tables", "other weights", "batch norm", "norms", "elementwise")
CLASSIFIER = "classifier"


def params_by_part(network: Network) -> Mapping[str, Dim]:
    """Parameters by what holds them: the parts add up to the network's, and none is empty.

    `tables` are embeddings and other learned constants, `other weights` those of products that
    are no layer's own (a recurrent network's), `norms` all but batch norm, `elementwise` scales,
    shifts and PReLU. The `classifier` is a linear layer of which a vector an image is the
    network's output.

    >>> from costmodel import mobilenet_v1
    >>> params_by_part(mobilenet_v1())
    {'convolutions': 3185088, 'batch norm': 21888, 'classifier': 1025000}
    """
    layers = lower(network)
    read = {name for x in layers if x.nests for name in x.layer.inputs}
    last = _classifier(layers)
    parts: dict[str, Dim] = dict.fromkeys((*PARTS, CLASSIFIER), 0)
    for x in layers:
        part = CLASSIFIER if x.layer.name == last else _part(x, read)
        parts[part] += sum(parameter.count for parameter in x.parameters)
    return {part: count for part, count in parts.items() if count != 0}


def _part(x: Lowered, read: Collection[str]) -> str:
    """What a layer's parameters are: by its products, and else by its function."""
    if x.nests:
        return "linear" if x.nests[0].kind == "linear" else "convolutions"
    function = _operation(x)
    if function.endswith("_norm"):
        return "batch norm" if function == "batch_norm" else "norms"
    if x.layer.arity == 0:
        return "other weights" if x.layer.name in read else "tables"
    return "tables" if function == "embedding" else "elementwise"


def _classifier(layers: Iterable[Lowered]) -> str:
    """The last linear layer, if all that reads it is a softmax on the way out; or nothing."""
    last = ""
    for x in layers:
        if x.nests and x.nests[0].kind == "linear" and len(x.output) == 2:  # noqa: PLR2004
            last = x.layer.name
        elif not (x.layer.arity == 0 or (last in x.layer.inputs and "softmax" in _operation(x))):
            last = ""
    return last


def table(network: Network, device: Device | None = None) -> pd.DataFrame:
    """The network as a DataFrame, a row per layer; counts past 2⁶³ are Python's integers.

    With a device it has each row's `time_s` and what it is `bound` by.

    A layer that no rule knows has None for its counts, which a sum skips.

    >>> from costmodel import mobilenet_v1
    >>> int(table(mobilenet_v1()).macs.sum())
    568740352
    """
    import pandas as pd

    table, of = rows(network, device), additive(device)
    whole = object if any(row.unknown for row in table) else None  # None beside exact integers
    return pd.DataFrame([record(row, of) for row in table], dtype=whole).set_index("name")
