"""Memory: the bytes of weights, of live activations and of traffic.

MACs mislead for depthwise layers: a depthwise and a pointwise convolution move about as many
bytes, and the pointwise one does far more with them. The rules are data (`MemoryRules`), so
that a figure can be compared with `==`. Sizes are a tensor's own: no alignment, no
fragmentation, and none of the workspace that a kernel may want.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from math import gcd, prod
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from costmodel.algebra.arithmetic import ceil_mode_size, is_symbolic
from costmodel.core.layer import inputs_of
from costmodel.core.lower import Lowered, lower
from costmodel.core.nest import Parameter
from costmodel.core.quantities import Quantity
from costmodel.errors import CostModelError
from costmodel.metrics.layouts import is_view, views

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from costmodel.algebra.arithmetic import Dim
    from costmodel.core.network import Network

#: Bytes of a weight or an activation, and of a bias or a batch norm's scale and shift.
_WIDTHS = {"float32": (4, 4), "float16": (2, 2), "int8": (1, 4)}


@dataclass(frozen=True)
class MemoryRules:
    """What takes memory, and how wide it is.

    - `dtype`: float32 (4 bytes), float16 (2) or int8: weights and activations 1 byte, biases 4
      (int32, as in Jacob et al. 2018, §2.4), and so a batch norm's values (float32).
    - `count_input`: the network's inputs are in the same memory, from before the first layer
      until their last reader. Otherwise they are the caller's.
    - `in_place`: a BatchNorm, an Add, and an Activation and, of a traced model, a Combine and an
      Affine whose function is elementwise (`costmodel.layers.named`) overwrite their (first) input
      of the output's size that nothing reads later. An Input is never overwritten.
    - `fold_batch_norm`: a BatchNorm that alone reads a convolution or a linear layer disappears
      into its weights and one bias per output channel; not where either shares parameters,
      and not behind a Linear whose last axis isn't the channels (axis 1).

    >>> MemoryRules("int8", fold_batch_norm=True)
    MemoryRules(dtype='int8', count_input=True, in_place=False, fold_batch_norm=True)

    Raises CostModelError for another dtype.
    """

    dtype: str = "float32"
    count_input: bool = True
    in_place: bool = False
    fold_batch_norm: bool = False

    def __post_init__(self) -> None:
        """Check the dtype."""
        if not isinstance(self.dtype, str) or self.dtype not in _WIDTHS:
            raise CostModelError(f"dtype must be one of {', '.join(_WIDTHS)}, got {self.dtype!r}")

    def __str__(self) -> str:
        """The rules in words: what is not said is as by default."""
        words = [self.dtype]
        words += ["batch norm folded"] * self.fold_batch_norm
        words += ["elementwise in place"] * self.in_place
        words += ["input not counted"] * (not self.count_input)
        return ", ".join(words)

    @property
    def width(self) -> int:
        """Bytes of an activation's element."""
        return _WIDTHS[self.dtype][0]

    def parameter_bytes(self, parameters: tuple[Parameter, ...]) -> Dim:
        """Bytes of parameter tensors, each by its role."""
        width, other = _WIDTHS[self.dtype]
        return sum(p.count * (width if p.role == "weight" else other) for p in parameters)


DEFAULT = MemoryRules()
#: Of a layer that does not say what it costs.
REMEDY = "subclass Layer and say what it is `lowered` to"


def known_layers(network: Network) -> tuple[Lowered, ...]:
    """The lowered layers; an error where what one costs is not known."""
    layers = lower(network)
    if unknown := [x.layer.name for x in layers if x.state == "unknown"]:
        raise CostModelError(f"no rule for {', '.join(unknown)}; {REMEDY}")
    return layers


def _folded(layers: tuple[Lowered, ...], rules: MemoryRules) -> dict[str, str]:
    """The convolution or linear layer that each batch norm disappears into."""
    if not rules.fold_batch_norm:
        return {}
    readers = Counter(name for x in layers for name in x.layer.inputs)
    sharing = {x.layer.name: x.layer.shares for x in layers if x.layer.shares}
    tied = {*sharing, *sharing.values()}
    sources = {
        x.layer.name
        for x in layers
        if x.layer.takes_over and x.layer.axis % len(x.output) == 1  # the channels
    }
    alone = {name for name in sources - tied if readers[name] == 1}
    norms = (x.layer for x in layers if x.layer.folds)
    return {x.name: x.inputs[0] for x in norms if x.name not in tied and x.inputs[0] in alone}


def _after_folding(
    parameters: tuple[Parameter, ...], x: Lowered, folded: Mapping[str, str]
) -> tuple[Parameter, ...]:
    """A layer's parameters once every folded batch norm is a bias of the layer it followed."""
    if x.layer.name in folded:
        return ()
    if x.layer.name in folded.values() and not any(p.role == "bias" for p in parameters):
        return (*parameters, Parameter(x.layer.name, "bias", x.output[1]))
    return parameters


def weight_bytes(network: Network, rules: MemoryRules = DEFAULT) -> Dim:
    """Bytes of the parameters, shared ones once: a number, or a formula.

    float32: 4 per parameter; float16: 2; int8: 1 per weight and 4 per bias and per scale and
    shift of a batch norm. Folding removes a batch norm's two values per channel and leaves one
    bias per output channel. Running statistics are no parameters, and the scales and zero
    points of a quantised tensor aren't counted.

    >>> from costmodel import mobilenet_v1
    >>> weight_bytes(mobilenet_v1())
    16927904
    >>> weight_bytes(mobilenet_v1(), MemoryRules("int8", fold_batch_norm=True))
    4256864

    Raises CostModelError for a layer without a rule.
    """
    return sum(map(rules.parameter_bytes, held_parameters(network, rules)))


def held_parameters(
    network: Network, rules: MemoryRules = DEFAULT
) -> tuple[tuple[Parameter, ...], ...]:
    """Each layer's parameters as they are in memory: shared ones once, batch norm perhaps folded.

    >>> from costmodel import mobilenet_v1
    >>> held_parameters(mobilenet_v1(), MemoryRules(fold_batch_norm=True))[1][1]
    Parameter(owner='conv1', role='bias', count=32)

    Raises CostModelError for a layer without a rule.
    """
    layers = known_layers(network)
    folded = _folded(layers, rules)
    return tuple(_after_folding(x.parameters, x, folded) for x in layers)


def _memory(
    layers: tuple[Lowered, ...], rules: MemoryRules
) -> tuple[dict[str, str], dict[str, int]]:
    """By tensor, the layer that allocated its memory; by that, the last layer that needs it."""
    last_reader = {x.layer.name: len(layers) for x in layers}  # of an output: past the end
    last_reader |= {name: i for i, x in enumerate(layers) for name in x.layer.inputs}
    folded, viewed = _folded(layers, rules), views(layers)
    inputs = {x.layer.name for x in layers if x.layer.arity == 0}
    size = {x.layer.name: prod(x.output) for x in layers}
    home: dict[str, str] = {}
    until: dict[str, int] = {}
    for i, x in enumerate(layers):
        name, read = x.layer.name, [home[source] for source in x.layer.inputs]
        overwritten: list[str] = []
        if name in viewed or name in folded:
            overwritten = read
        elif rules.in_place and x.layer.may_overwrite():
            whole = [h for h in read if size[h] == prod(x.output)]  # no part, nothing expanded
            overwritten = [h for h in whole if until[h] == i and h not in inputs]
        home[name] = own = overwritten[0] if overwritten else name
        until[own] = max(until.get(own, 0), last_reader[name])
    return home, until


def _live(layers: tuple[Lowered, ...], rules: MemoryRules) -> Iterator[tuple[str, dict[str, Dim]]]:
    """Every layer, with the elements alive while it runs by the layer that allocated them."""
    home, until = _memory(layers, rules)
    given = inputs_of(x.layer for x in layers if rules.count_input)
    live = {layer.name: prod(layer.shape) for layer in given}
    for i, x in enumerate(layers):
        if home[x.layer.name] == x.layer.name and x.layer.arity != 0:
            live[x.layer.name] = prod(x.output)
        yield x.layer.name, live
        dead = {home[name] for name in x.layer.inputs if until[home[name]] == i}
        live = {name: size for name, size in live.items() if name not in dead}


def live_bytes(network: Network, rules: MemoryRules = DEFAULT) -> tuple[tuple[str, Dim], ...]:
    """Bytes alive while each layer runs, in the network's order: numbers, or formulas.

    Alive are the layer's inputs, its output and whatever a later layer reads; outputs, which
    nothing reads, stay to the end. A Flatten and, as at inference, a dropout take no memory:
    their output is their input. A Concat copies.

    Of a traced model, reshapes, permutations, parts and expansions take none either, but for a
    reshape or a Flatten that merges axes which are not next to each other in memory: it copies
    (`costmodel.metrics.layouts`). Constants, learned or made, are the model's own, as weights are.

    >>> from costmodel import mobilenet_v1
    >>> live_bytes(mobilenet_v1())[1] == ("conv1", 4 * (3*224*224 + 32*112*112))
    True

    Raises CostModelError for a layer without a rule.
    """
    return tuple(
        (name, rules.width * sum(live.values()))
        for name, live in _live(known_layers(network), rules)
    )


class Peak(NamedTuple):
    """The most bytes alive at once, the first layer where, and the layers that allocated them.

    `live` names what allocated: in place, a convolution's memory may hold its activation.
    """

    bytes: int
    layer: str
    live: tuple[str, ...]


def peak_activations(network: Network, rules: MemoryRules = DEFAULT) -> Peak:
    """The largest of `live_bytes`, and where it is; the network's own order is the schedule.

    >>> from costmodel import mobilenet_v1
    >>> peak_activations(mobilenet_v1()) == (
    ...     2 * 4 * 64*112*112, "block1.pw.norm", ("block1.pw", "block1.pw.norm"))
    True

    Raises CostModelError for a layer without a rule, and for symbols: a maximum of formulas
    needs an order.
    """
    peak = Peak(-1, "", ())
    for name, live in _live(known_layers(network), rules):
        total = rules.width * sum(live.values())
        if is_symbolic(total):
            raise CostModelError(
                f"the peak of {network.name} needs numbers, and {name}'s bytes are a formula; "
                "resize or widen by numbers, or take live_bytes"
            )
        if total > peak.bytes:
            peak = Peak(total, name, tuple(live))
    return peak


def _reads(x: Lowered) -> Dim:
    """Elements of its inputs that a layer reads, each once: what windows touch, or all of them.

    A window is a box, so what boxes touch is a box of positions.
    """
    windows = [body.window for body in x.bodies or () if body.window]
    shapes = dict(zip(x.layer.inputs, x.inputs, strict=True))  # one read twice moves once
    if not windows:
        return sum(map(prod, shapes.values()))
    shape = shapes.pop(x.layer.inputs[0])  # the window slides over the first; the rest is read
    sides = zip(shape[2:], x.output[2:], windows[0].axes(len(shape) - 2), strict=True)
    try:
        box = shape[0] * shape[1] * prod(touched(size, out, *axis) for size, out, axis in sides)
        return box + sum(map(prod, shapes.values()))
    except CostModelError as error:
        raise CostModelError(f"{x.layer.name}: {error}") from None


def touched(  # noqa: PLR0913, PLR0917 - torch's own parameters
    size: Dim, positions: Dim, kernel: Dim, stride: int = 1, padding: Dim = 0, dilation: int = 1
) -> Dim:
    """How many different elements of an axis a window's taps read, padding not counted.

    Tap r at position i reads i·s + r·d − p, and is the only one to, but for (i − jb, r + ja)
    with a = s / gcd(s, d), b = d / gcd(s, d). So with those counted where j can't be 1,

        Σ_r |{i : 0 ≤ i·s + r·d − p < D, i < P, and i < b unless r + a ≥ K}|

    in closed form, by the sums of ⌈(X − r·d) / s⌉: a kernel may have 10⁹ taps.

    >>> touched(112, 56, kernel=1, stride=2), touched(7, 7, kernel=3, padding=1)
    (56, 7)

    With symbols, the cases that have a closed form: all D (stride 1, dilation 1 or padded to
    the input's size; or dilation 1 and s ≤ min(K, p + 1)), P (1×1 without padding), and
    min(D, (P − 1)·s + K − p) (dilation 1 and s ≤ K). Raises CostModelError for others.
    """
    if any(map(is_symbolic, (size, positions, kernel, stride, padding, dilation))):
        return _touched_symbols(size, positions, kernel, stride, padding, dilation)
    if dilation == 1 and stride <= kernel:  # as below, for a kernel of any size
        return max(0, min(size, (positions - 1) * stride + kernel - padding))
    common = gcd(stride, dilation)
    alone = max(0, kernel - stride // common)  # later positions' elements are another tap's
    parts = (range(alone), min(positions, dilation // common)), (range(alone, kernel), positions)
    return sum(
        _read_before(size + padding, taps, most, stride, dilation)
        - _read_before(padding, taps, most, stride, dilation)
        for taps, most in parts
    )


def _read_before(end: int, taps: range, most: int, stride: int, dilation: int) -> int:
    """Σ over some taps r of the positions i < most with i·s + r·d < end: of ⌈(end − r·d) / s⌉."""
    full, none = (
        min(max(-(-rest // dilation), taps.start), taps.stop)  # the first tap that has fewer
        for rest in (end - (most - 1) * stride, end)
    )
    least = end - (none - 1) * dilation + stride - 1
    return most * (full - taps.start) + _floors(none - full, stride, dilation, least)


def _floors(n: int, m: int, a: int, b: int) -> int:
    """Σ ⌊(a·i + b) / m⌋ over i < n, for integers of at least 0, as Euclid divides."""
    total = 0
    while n > 0:
        total += n * (n - 1) // 2 * (a // m) + n * (b // m)
        a, b = a % m, b % m
        n, b = divmod(a * n + b, m)
        m, a = a, m
    return total


def _touched_symbols(  # noqa: PLR0913, PLR0917 - as `touched`
    size: Dim, positions: Dim, kernel: Dim, stride: Dim, padding: Dim, dilation: Dim
) -> Dim:
    if (stride, dilation) == (1, 1):
        return size
    if not any(map(is_symbolic, (kernel, stride, padding, dilation))):
        tap = min(kernel - 1, padding // dilation)  # the last that starts in time for element 0
        if stride == 1 and dilation * (kernel - 1 - tap) <= padding:
            return size  # that one tap passes over everything
        if (kernel, padding) == (1, 0):
            return positions
        if dilation == 1 and stride <= kernel:
            whole = padding >= stride - 1  # what the last window leaves over is padding
            end = (positions - 1) * stride + kernel - padding
            return size if whole else ceil_mode_size(size - 1, end, 1)  # min(size, end)
    window = f"kernel {kernel}, stride {stride}, padding {padding}, dilation {dilation}"
    raise CostModelError(
        f"what a window of {window} touches has no closed form for symbols; resize to a number"
    )


@dataclass(frozen=True)
class Traffic:
    """What a layer has to move: each operand once, and of an input only what it touches.

    `reads` and `writes` are elements, `weights` parameters; `bytes` is all of it.
    """

    layer: str
    macs: Dim
    reads: Dim
    weights: Dim
    writes: Dim
    bytes: Dim

    @property
    def intensity(self) -> Dim:
        """MACs per byte, exactly (a Fraction or a formula); 0 where there are no MACs."""
        if is_symbolic(self.macs) or is_symbolic(self.bytes):
            return self.macs / self.bytes
        return Fraction(self.macs, self.bytes or 1)


def traffic(network: Network, rules: MemoryRules = DEFAULT) -> tuple[Traffic, ...]:
    """The compulsory traffic of every layer: numbers, or formulas.

    Each layer alone, with a cache that holds everything (the most intensity that the roofline
    of Williams et al. 2009 allows): an element that is touched moves once, in place or not, and
    so does every weight, shared or not, whatever it meets. A view and a folded batch norm move
    nothing; a Concat moves all.

    >>> from costmodel import mobilenet_v1
    >>> depthwise, pointwise = (t for t in traffic(mobilenet_v1()) if t.layer in
    ...     {"block7.dw", "block7.pw"})
    >>> round(float(depthwise.intensity), 2), round(float(pointwise.intensity), 2)
    (1.1, 27.75)

    Raises CostModelError for a layer without a rule and as `touched` does.
    """
    layers = known_layers(network)
    folded, viewed = _folded(layers, rules), views(layers)
    return tuple(layer_traffic(x, rules, folded, viewed) for x in layers)


def layer_traffic(
    x: Lowered,
    rules: MemoryRules = DEFAULT,
    folded: Mapping[str, str] = MappingProxyType({}),
    viewed: Collection[str] | None = None,
) -> Traffic:
    """The compulsory traffic of one lowered layer; `folded` says where batch norms went.

    `viewed` are the network's views; without it a layer is one if it is where its input is in
    plain order.

    >>> from costmodel import lower, mobilenet_v1
    >>> layer_traffic(lower(mobilenet_v1())[1]).bytes == 4 * (3*224*224 + 9*3*32 + 32*112*112)
    True
    """
    name = x.layer.name
    same = is_view(x) if viewed is None else name in viewed
    if x.layer.arity == 0 or same or name in folded:
        return Traffic(name, 0, 0, 0, 0, 0)
    parameters = _after_folding(x.used, x, folded)
    reads, writes = _reads(x), prod(x.output)
    return Traffic(
        name,
        sum(nest.macs for nest in x.nests),
        reads,
        sum(p.count for p in parameters),
        writes,
        rules.width * (reads + writes) + rules.parameter_bytes(parameters),
    )


#: The rows that need rules of memory; the peak is the largest of what lives while a layer runs.
MEMORY = {
    row.name: row
    for row in (
        Quantity(
            "peak_bytes",
            "peak memory",
            "the most of live activations in the network's order",
            "bytes",
            "max_peak_memory",
            sums=lambda network, rules: [[live] for _, live in live_bytes(network, rules)],
        ),
        Quantity(
            "weight_bytes",
            "flash",
            "bytes of weights",
            "bytes",
            "max_flash",
            sums=lambda network, rules: [[weight_bytes(network, rules)]],
        ),
    )
}
