"""Each call of one of torch's functions as layers, from its arguments and its output's shape."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

from costmodel import network as ir
from costmodel import operators as op
from costmodel.network import SAME, Layer, Times

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    Sizes = tuple[int, ...]


@dataclass(slots=True, eq=False)
class Value:
    """A tensor of the traced model: the layer that makes it, or a constant and its parameters."""

    shape: Sizes
    layer: str = ""
    parameters: tuple[str, ...] = ()
    #: Adds the layer once someone reads it: a part of a split that nobody reads is none.
    make: Callable[[], str] | None = None

    @property
    def is_constant(self) -> bool:
        """Whether it depends on no input."""
        return not self.layer and self.make is None


class Extent(int):
    """A size that knows which axis it is of (or that it was computed from some), as an int.

    It is how `x.view(n, groups, c // groups, h, w)` is told from a reshape by constants.
    """

    graph: Graph
    value: Value | None = None
    axis: int = 0
    factor: int = 1

    @classmethod
    def of(cls, graph: Graph, value: Value, axis: int) -> Extent:
        """The size of one axis of a value."""
        extent = cls(value.shape[axis])
        extent.graph, extent.value, extent.axis = graph, value, axis
        return extent

    def _derive(self, result: Any) -> Any:
        if type(result) is not int:
            return result
        extent = Extent(result)
        extent.graph = self.graph
        return extent

    def __add__(self, other: Any) -> Any:
        return self._derive(int.__add__(self, other))

    def __sub__(self, other: Any) -> Any:
        return self._derive(int.__sub__(self, other))

    def __rsub__(self, other: Any) -> Any:
        return self._derive(int.__rsub__(self, other))

    def __mul__(self, other: Any) -> Any:
        product = self._derive(int.__mul__(self, other))
        if type(other) is int and isinstance(product, Extent):
            product.value, product.axis, product.factor = self.value, self.axis, self.factor * other
        return product

    def __floordiv__(self, other: Any) -> Any:
        return self._derive(int.__floordiv__(self, other))

    def __mod__(self, other: Any) -> Any:
        return self._derive(int.__mod__(self, other))

    def __rmod__(self, other: Any) -> Any:
        return self._derive(int.__rmod__(self, other))

    def __truediv__(self, other: Any) -> Any:
        self.graph.lost_size = True
        return int.__truediv__(self, other)

    def __int__(self) -> int:
        """The number alone: whatever is computed from it may depend on the size."""
        self.graph.lost_size = True
        return int.__index__(self)

    __radd__ = __add__
    __rmul__ = __mul__
    __hash__ = int.__hash__


@dataclass
class Graph:
    """The layers so far, the shapes they had in torch, and which layer owns each parameter."""

    numel: dict[str, int]
    layers: list[Layer] = field(default_factory=list)
    shapes: dict[str, Sizes] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    #: Layers with a single weight of all of its parameter's elements, which others may share.
    shareable: set[str] = field(default_factory=set)
    #: Whether a number was computed from a size since the running module was entered.
    lost_size: bool = False
    _numbers: dict[str, int] = field(default_factory=dict)

    def unique(self, wanted: str) -> str:
        """The name, numbered from 2 on where it is taken."""
        name = wanted
        while name in self.shapes:
            self._numbers[wanted] = number = self._numbers.get(wanted, 1) + 1
            name = f"{wanted}_{number}"
        return name

    def add(self, layer: Layer, shape: Iterable[int]) -> Value:
        """A layer and the shape it had in torch."""
        self.layers.append(layer)
        self.shapes[layer.name] = sizes = tuple(shape)
        return Value(sizes, layer.name)

    def read(self, value: Value, path: str = "") -> str:
        """The name of the layer that makes a value; a constant becomes one when it is read."""
        if not value.layer:
            value.layer = value.make() if value.make else self._constant(value, path)
        return value.layer

    def _constant(self, value: Value, path: str) -> str:
        new = [name for name in value.parameters if name not in self.owners]
        name = self.unique(new[0] if new else f"{path}.constant".lstrip("."))
        self.owners |= dict.fromkeys(new, name)
        if len(new) == 1 and self.numel[new[0]] == prod(value.shape):
            self.shareable.add(name)
        layer = op.Constant(name, value.shape, sum(self.numel[each] for each in new))
        return self.add(layer, value.shape).layer

    def parameter(self, value: Value | None) -> str:
        """The parameter that a constant is, reordered perhaps or normalised; or nothing."""
        if value is None or not value.is_constant:
            return ""
        size = prod(value.shape)
        return next((name for name in value.parameters if self.numel[name] == size), "")

    def add_unused(self) -> None:
        """A constant for every parameter that no layer owns, so that each counts once."""
        for name, count in self.numel.items():
            if name not in self.owners:
                self.add(op.Constant(self.unique(name), (count,), count), (count,))


class Weights(NamedTuple):
    """How a layer comes by its parameters: what it shares, its bias, a bias that stands alone."""

    shares: str
    bias: bool
    alone: Value | None


@dataclass
class Call:
    """One call: in which module, of which function, and the shapes of what it returned."""

    graph: Graph
    path: str
    base: str
    function: str
    shapes: list[Sizes]

    @property
    def shape(self) -> Sizes:
        """The shape of the first output."""
        return self.shapes[0]

    def emit(  # noqa: PLR0913 - a layer's type, its fields and where it stands
        self,
        kind: Callable[..., Layer],
        *fields: Any,
        reads: Iterable[Value] = (),
        shape: Sizes | None = None,
        suffix: str = "",
        **named: Any,
    ) -> Value:
        """Add a layer that reads some values."""
        inputs = tuple([self.graph.read(value, self.path) for value in reads])
        name = self.graph.unique(f"{self.base}.{suffix}" if suffix else self.base)
        layer = kind(name, *fields, inputs=inputs, **named)
        return self.graph.add(layer, self.shape if shape is None else shape)

    def recorded(self, reads: Iterable[Value], macs: int = 0, index: int = 0) -> Value:
        """A layer with the sizes as they are."""
        return self._record(op.Recorded, reads, index, macs=macs)

    def unknown(self, reads: Iterable[Value], index: int = 0) -> Value:
        """A layer that no rule knows."""
        return self._record(op.Unknown, reads, index)

    def _record(
        self, kind: Callable[..., Layer], reads: Iterable[Value], index: int, **named: Any
    ) -> Value:
        values = list(dict.fromkeys(reads))
        before = tuple(value.shape for value in values)
        shape = self.shapes[index]
        if not values:
            return Value(shape)
        return self.emit(kind, self.function, before, shape, reads=values, shape=shape, **named)

    def later(self, make: Callable[[], Value], index: int) -> Value:
        """An output whose layer is added once someone reads it."""
        return Value(self.shapes[index], make=lambda: make().layer)

    def weights(self, weight: Value, bias: Value | None) -> Weights | None:
        """Claim a layer's parameters; None where its weight is no parameter of its own."""
        graph, name, extra = self.graph, self.graph.parameter(weight), self.graph.parameter(bias)
        owner = graph.owners.get(name, "")
        if not name or (owner and owner not in graph.shareable):
            return None
        has = graph.owners.get(extra, "")
        with_bias = bool(extra) and has == owner
        if not owner:
            owned = graph.unique(self.base)
            graph.owners |= {name: owned} | ({extra: owned} if with_bias else {})
            graph.shareable.add(owned)
        return Weights(owner, with_bias, bias if extra and not has and owner else None)

    def finish(self, value: Value, weights: Weights, axis: int) -> Value:
        """Add the bias that a layer with a shared weight has of its own."""
        if weights.alone is None:
            return value
        return self.affine(value, (axis,), (weights.alone,), function="add", suffix="bias")

    def affine(  # noqa: PLR0913 - as `emit`
        self,
        x: Value,
        along: Sizes,
        tensors: Iterable[Value | None],
        *,
        function: str = "",
        suffix: str = "",
        groups: int = 1,
    ) -> Value:
        """An elementwise layer with parameters along some axes."""
        graph = self.graph
        names = [graph.parameter(value) for value in tensors if value is not None]
        owners = {graph.owners.get(name, "") for name in names}
        mine = graph.unique(f"{self.base}.{suffix}" if suffix else self.base)
        shares, number = "", 0
        if len(owners) == 1 and all(names):
            (shares,), number = owners, len(names)
            graph.owners |= {} if shares else dict.fromkeys(names, mine)
        fields = (function or self.function, along, number, groups, shares)
        return self.emit(op.Affine, *fields, reads=(x,), shape=x.shape, suffix=suffix)


Result = Value | list[Value] | None
Handler = Any
#: What each function is, by its name in torch; a handler takes what the function takes.
HANDLERS: dict[str, Handler] = {}
#: Functions that multiply and accumulate, on constants too.
COUNTED: set[str] = set()


def _handles(*names: str, counted: bool = False) -> Callable[[Handler], Handler]:
    def register(handler: Handler) -> Handler:
        HANDLERS.update(dict.fromkeys(names, handler))
        COUNTED.update(names if counted else ())
        return handler

    return register


def values_in(arguments: Any) -> Iterator[Value]:
    """Every value among arguments, however deep."""
    if isinstance(arguments, Value):
        yield arguments
    elif isinstance(arguments, (tuple, list)):
        for part in arguments:
            yield from values_in(part)
    elif isinstance(arguments, dict):
        yield from values_in(list(arguments.values()))
    elif isinstance(arguments, slice):
        yield from values_in((arguments.start, arguments.stop, arguments.step))


def interpret(call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Result:
    """The values a call returns, its layers added to the graph."""
    reads = [*values_in(args), *values_in(kwargs)]
    name = call.function
    handler = HANDLERS.get(name)
    if all(value.is_constant for value in reads) and name not in COUNTED:
        if not reads or handler or name in FREE:
            made_of = tuple(dict.fromkeys(p for value in reads for p in value.parameters))
            return [Value(shape, parameters=made_of) for shape in call.shapes]
    if handler:
        result: Result = handler(call, *args, **kwargs)
        if result is not None:
            return result
    elif name not in FREE:
        first = call.unknown(reads)
        return [first] + _others(call, first)
    return free(call, reads)


def _others(call: Call, first: Value) -> list[Value]:
    """The outputs past the first, of a function with no rule for them."""

    def other(index: int) -> Value:
        return call.later(lambda: call.recorded((first,), index=index), index)

    return [other(index) for index in range(1, len(call.shapes))]


def free(call: Call, reads: list[Value]) -> Result:
    """An elementwise function where the shapes say so, else a layer of recorded sizes."""
    learned = [x for x in reads if x.layer or x.make or x.parameters or prod(x.shape) != 1]
    active = [x for x in learned if not x.is_constant]
    if len(learned) == 1 and learned == active and active[0].shape == call.shape:
        first = call.emit(ir.Activation, call.function, reads=learned)
    elif _is_broadcast(learned, call.shape):
        first = _combined(call, learned, active)
    else:
        first = call.recorded(learned or reads)
    return [first, *_others(call, first)]


def _is_broadcast(reads: list[Value], shape: Sizes) -> bool:
    if not reads or any(len(x.shape) > len(shape) for x in reads):
        return False
    rank = len(shape)
    aligned = [(1,) * (rank - len(x.shape)) + x.shape for x in reads]
    return all(
        set(sizes[1:]) <= {1, sizes[0]} and sizes[0] in sizes[1:]
        for sizes in zip(shape, *aligned, strict=True)
    )


def _combined(call: Call, reads: list[Value], active: list[Value]) -> Value:
    """A sum of equals, a layer scale or any other elementwise function of several inputs."""
    function = _plain(call.function)
    if len(active) == 1 and len(reads) == 2 and active[0].shape == call.shape:  # noqa: PLR2004
        constant = reads[1] if reads[0] is active[0] else reads[0]
        padded = (1,) * (len(call.shape) - len(constant.shape)) + constant.shape
        along = tuple(axis for axis, size in enumerate(padded) if size != 1)
        follows = along in {(), (1,), (len(padded) - 1,)}
        if follows and call.graph.parameter(constant) and call.shape[0] != padded[0]:
            return call.affine(active[0], along, (constant,), function=function)
        if follows and call.graph.parameter(constant) and padded[0] == 1:
            return call.affine(active[0], along, (constant,), function=function)
    if function == "add" and all(x.shape == call.shape for x in reads):
        return call.emit(ir.Add, reads=reads)
    return call.emit(op.Combine, function, reads=reads)


def _plain(function: str) -> str:
    """`__iadd__`, `add_` and `radd` are all add."""
    name = function.strip("_")
    if function.startswith("__") and name[:1] in {"i", "r"} and name[1:] in _BINARY:
        return name[1:]
    return name


_BINARY = frozenset("add sub mul truediv div floordiv mod pow and or xor matmul".split())
_INFINITE = (0, None, 1)


# Convolutions and matrix products


def _per_axis(value: Any, rank: int) -> Any:
    """A hyper-parameter as plain ints, one for all axes or one each."""
    numbers = tuple(map(int, value)) if isinstance(value, (tuple, list)) else (int(value),)
    return numbers[0] if len(set(numbers)) == 1 else numbers[:rank]


@_handles("conv1d", "conv2d", "conv3d", counted=True)
def _conv(  # noqa: PLR0913, PLR0917 - as torch has it
    call: Call,
    x: Value,
    weight: Value,
    bias: Value | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Result:
    outputs, own, *kernel = weight.shape
    rank = len(kernel)
    macs = prod(call.shape) * own * prod(kernel)
    same = _same_padding(padding, kernel, dilation, rank)
    if len(x.shape) != rank + 2 or same is None or not weight.is_constant:
        return call.recorded((x, weight), macs)
    width, divided = _channels(x.shape[1], outputs, groups)
    _pad_as_tensorflow(call, x, (kernel, stride, dilation, same), rank)
    window = [_per_axis(value, rank) for value in (kernel, stride, same, dilation)]
    weights = call.weights(weight, bias)
    if weights is None:
        return call.emit(op.Filter, width, *window, divided, reads=(x,))
    fields = (width, *window, divided, weights.bias, weights.shares)
    return call.finish(call.emit(ir.Conv, *fields, reads=(x,)), weights, 1)


def _channels(inputs: int, outputs: int, groups: int) -> tuple[Any, Any]:
    """Out-channels and groups: a depthwise convolution's follow its input."""
    if groups == inputs != 1:
        return Times(outputs // groups), SAME
    return outputs, groups


def _same_padding(padding: Any, kernel: list[int], dilation: Any, rank: int) -> Any:
    """The padding in numbers; None where "same" adds more behind than before."""
    if not isinstance(padding, str):
        return padding
    if padding == "valid":
        return 0
    spread = dilation if isinstance(dilation, (tuple, list)) else (dilation,) * rank
    totals = [d * (k - 1) for d, k in zip(spread, kernel, strict=False)]
    return None if any(total % 2 for total in totals) else [total // 2 for total in totals]


def _pad_as_tensorflow(call: Call, x: Value, window: tuple[Any, ...], rank: int) -> None:
    """See TensorFlow's "same" in a padding that was computed from the size just before."""
    graph = call.graph
    layer = graph.layers[-1] if graph.layers else None
    if not isinstance(layer, op.Recorded) or layer.name != x.layer or layer.function != "pad":
        return
    kernel, stride, dilation, padding = (_per_axis(value, rank) for value in window)
    same = op.PadSame(layer.name, kernel, stride, dilation, inputs=layer.inputs)
    if padding == 0 and op.pad_same(same, layer.reads[0]) == layer.sizes:
        graph.layers[-1] = same


@_handles("conv_transpose1d", "conv_transpose2d", "conv_transpose3d", counted=True)
def _transposed(  # noqa: PLR0913, PLR0917 - as torch has it
    call: Call,
    x: Value,
    weight: Value,
    bias: Value | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Result:
    _, own, *kernel = weight.shape
    rank = len(kernel)
    weights = call.weights(weight, bias) if len(x.shape) == rank + 2 else None
    if weights is None:
        return call.recorded((x, weight), prod(x.shape) * own * prod(kernel))
    width, divided = _channels(x.shape[1], own * groups, groups)
    window = (kernel, stride, padding, output_padding, dilation)
    fields = (width, *(_per_axis(v, rank) for v in window), divided, weights.bias, weights.shares)
    return call.finish(call.emit(op.TransposedConv, *fields, reads=(x,)), weights, 1)


@_handles("linear", counted=True)
def _linear(call: Call, x: Value, weight: Value, bias: Value | None = None) -> Result:
    return _product(call, x, weight, bias, transposed=True)


@_handles("matmul", "bmm", "mm", "__matmul__", "mv", "dot", counted=True)
def _matmul(call: Call, left: Value, right: Value) -> Result:
    return _product(call, left, right)


@_handles("__rmatmul__", counted=True)
def _rmatmul(call: Call, right: Value, left: Value) -> Result:
    return _product(call, left, right)


@_handles("addmm", "baddbmm", "addbmm", counted=True)
def _addmm(call: Call, bias: Value, *factors: Value, beta: Any = 1, **named: Any) -> Result:
    left, right = *factors, *(value for value in named.values() if isinstance(value, Value))
    if call.function == "addbmm":
        return call.recorded((bias, left, right), prod(left.shape) * right.shape[-1])
    return _product(call, left, right, None if beta == 0 else bias)


def _product(
    call: Call, left: Value, right: Value, bias: Value | None = None, *, transposed: bool = False
) -> Result:
    """A linear layer where the right operand is a parameter, else a product of activations."""
    outputs = right.shape[0 if transposed else -1]
    shape = (*left.shape[:-1], outputs)
    if len(right.shape) == 2 and len(left.shape) > 1:  # noqa: PLR2004
        alone = bias is None or not bias.is_constant or bias.shape != (outputs,)
        weights = call.weights(right, None if alone else bias)
        if weights is not None:
            fields = (outputs, weights.bias, weights.shares)
            made = call.emit(ir.Linear, *fields, reads=(left,), shape=shape)
            made = call.finish(made, weights, -1)
            return _added(call, made, bias) if alone and bias is not None else made
    equation = _matmul_equation(len(left.shape), len(right.shape), transposed=transposed)
    made = call.emit(op.Einsum, equation, reads=(left, right))
    return made if bias is None else _added(call, made, bias)


def _added(call: Call, made: Value, bias: Value) -> Value:
    if call.graph.parameter(bias) and len(bias.shape) == 1:
        return call.affine(made, (-1,), (bias,), function="add", suffix="bias")
    return call.emit(op.Combine, "add", reads=(made, bias), suffix="add")


def _matmul_equation(left: int, right: int, *, transposed: bool) -> str:
    """Of torch.matmul: batches are broadcast, vectors have one index."""
    batch = "ABCDEFGHIJ"[: max(left, right, 2) - 2]
    first = batch[len(batch) - max(left - 2, 0) :] + ("mk" if left > 1 else "k")
    columns = "nk" if transposed else "kn"
    second = batch[len(batch) - max(right - 2, 0) :] + (columns if right > 1 else "k")
    return f"{first},{second}->{batch}{'m' * (left > 1)}{'n' * (right > 1)}"


@_handles("einsum", counted=True)
def _einsum(call: Call, equation: str, *operands: Any) -> Result:
    reads = list(values_in(operands))
    written = _explicit(equation.replace(" ", ""), [len(x.shape) for x in reads])
    if written is None or len(reads) > 2:  # noqa: PLR2004
        return [call.unknown(reads)]
    if len(reads) == 1:
        return call.recorded(reads)
    return call.emit(op.Einsum, written, reads=reads)


def _explicit(equation: str, ranks: list[int]) -> str | None:
    """The equation with an output and without an ellipsis; None where a term repeats an index."""
    left, arrow, right = equation.partition("->")
    terms = left.split(",")
    spare = [letter for letter in "ZYXWVUTSRQPONMLKJIHGFEDCBA" if letter not in equation]
    if len(terms) != len(ranks) or any(len(set(t) - {"."}) != len(t.replace(".", "")) for t in terms):
        return None
    hidden = [rank - len(t.replace("...", "")) for t, rank in zip(terms, ranks, strict=True)]
    whole = "".join(spare[: max(hidden)])
    if not arrow:
        letters = left.replace(",", "").replace(".", "")
        right = "..." * ("." in left) + "".join(x for x in sorted(letters) if letters.count(x) == 1)
    full = [t.replace("...", whole[len(whole) - n :]) for t, n in zip(terms, hidden, strict=True)]
    return f"{','.join(full)}->{right.replace('...', whole)}"


@_handles("scaled_dot_product_attention", counted=True)
def _attention(
    call: Call, query: Value, key: Value, value: Value, attn_mask: Value | None = None, *_: Any, **__: Any
) -> Result:
    reads = [query, key, value]
    if attn_mask is not None and len(attn_mask.shape) > 1:
        reads.append(attn_mask)
    return call.emit(op.Attention, reads=reads)


@_handles("multi_head_attention_forward", counted=True)
def _multi_head(call: Call, *args: Any, **kwargs: Any) -> Result:
    given = dict(zip(_MULTI_HEAD, args, strict=False)) | kwargs
    query, heads = given["query"], given["num_heads"]
    if given["bias_k"] is not None or given["add_zero_attn"] or len(query.shape) != 3:  # noqa: PLR2004
        return [call.unknown(values_in(given))] * len(call.shapes)
    parts = _projected(call, given)
    attended = call.emit(op.Attention, heads, reads=parts, shape=query.shape, suffix="attention")
    weight, bias = given["out_proj_weight"], given["out_proj_bias"]
    made = _part(call, "out_proj", query.shape, attended, weight, bias)
    return [made, *_others(call, made)]


_MULTI_HEAD = (
    "query key value embed_dim_to_check num_heads in_proj_weight in_proj_bias bias_k bias_v "
    "add_zero_attn dropout_p out_proj_weight out_proj_bias"
).split()


def _part(call: Call, suffix: str, shape: Sizes, *arguments: Value | None) -> Any:
    """A linear layer inside a call."""
    inner = Call(call.graph, call.path, f"{call.base}.{suffix}", "linear", [shape])
    return _linear(inner, *arguments)  # type: ignore[arg-type]


def _projected(call: Call, given: dict[str, Any]) -> list[Value]:
    """Queries, keys and values: three weights, or parts of one."""
    reads = [given[name] for name in ("query", "key", "value")]
    features = reads[0].shape[-1]
    shapes = [(*x.shape[:-1], features) for x in reads]
    names = [f"{name}_proj" for name in "qkv"]
    if given.get("use_separate_proj_weight"):
        weights = [given[f"{name}_weight"] for name in names]
        parts = zip(names, shapes, reads, weights, strict=True)
        return [_part(call, *part, None) for part in parts]
    weight, bias = given["in_proj_weight"], given["in_proj_bias"]
    if reads[0] is reads[1] is reads[2]:
        packed = (*shapes[0][:-1], 3 * features)
        reads = [_part(call, "in_proj", packed, reads[0], weight, bias)] * 3
        split = {"shape": shapes[0], "parts": 3, "along": 2}
        return [call.emit(op.Split, reads=(x,), suffix="split", **split) for x in reads]
    square = {"shape": (features, features), "parts": 3, "along": 0}
    weights = [call.emit(op.Split, reads=(weight,), suffix="split", **square) for _ in reads]
    parts = zip(names, shapes, reads, weights, strict=True)
    return [_part(call, *part, None) for part in parts]


# Normalisation


@_handles("batch_norm")
def _batch_norm(
    call: Call, x: Value, _mean: Any, _var: Any, weight: Any = None, bias: Any = None, *_: Any, **__: Any
) -> Result:
    if (weight is None) != (bias is None):
        return call.affine(x, (1,), (weight or bias,))
    weights = call.weights(weight, bias) if weight is not None else Weights("", False, None)
    if weights is None or (weight is not None and not weights.bias):
        return call.affine(x, (1,), ())
    return call.emit(ir.BatchNorm, weight is not None, weights.shares, reads=(x,))


@_handles("layer_norm", "rms_norm")
def _layer_norm(
    call: Call, x: Value, over: Any, weight: Any = None, bias: Any = None, *_: Any, **__: Any
) -> Result:
    tensors = [value for value in (weight, bias) if isinstance(value, Value)]
    return call.affine(x, tuple(range(-len(over), 0)), tensors)


@_handles("group_norm")
def _group_norm(
    call: Call, x: Value, num_groups: int, weight: Any = None, bias: Any = None, *_: Any, **__: Any
) -> Result:
    return call.affine(x, (1,), (weight, bias), groups=int(num_groups))


@_handles("instance_norm")
def _instance_norm(
    call: Call, x: Value, _mean: Any = None, _var: Any = None, weight: Any = None, bias: Any = None, *_: Any, **__: Any
) -> Result:
    return call.affine(x, (1,), (weight, bias))


@_handles("prelu")
def _prelu(call: Call, x: Value, weight: Value) -> Result:
    return call.affine(x, (1,) if prod(weight.shape) > 1 else (), (weight,))


# Pooling


@_handles("max_pool1d", "max_pool2d", "max_pool3d")
def _max_pool(  # noqa: PLR0913, PLR0917 - as torch has it
    call: Call,
    x: Value,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,  # noqa: FBT001, FBT002
    **_: Any,
) -> Result:
    if _per_axis(dilation, 3) != 1:
        return None
    return _pool(call, "max", x, (kernel_size, stride or kernel_size, padding), ceil_mode)


@_handles("avg_pool1d", "avg_pool2d", "avg_pool3d")
def _average_pool(  # noqa: PLR0913, PLR0917 - as torch has it
    call: Call,
    x: Value,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,  # noqa: FBT001, FBT002
    *_: Any,
    **__: Any,
) -> Result:
    return _pool(call, "average", x, (kernel_size, stride or kernel_size, padding), ceil_mode)


def _pool(call: Call, kind: str, x: Value, window: tuple[Any, ...], ceil_mode: bool) -> Result:  # noqa: FBT001
    rank = int(call.function[-2])
    if len(x.shape) != rank + 2:
        return None
    kernel = window[0] if isinstance(window[0], (tuple, list)) else (window[0],) * rank
    if all(isinstance(size, Extent) for size in kernel):
        whole = tuple(kernel) == x.shape[2:] and not any(_spread(window[2], rank))
        return call.emit(ir.AdaptivePool, kind, reads=(x,)) if whole else call.recorded((x,))
    sizes = [_per_axis(value, rank) for value in window]
    made = call.emit(ir.Pool, kind, *sizes, bool(ceil_mode), reads=(x,))
    return [made, *_others(call, made)]


def _spread(value: Any, rank: int) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,) * rank


@_handles(*(f"adaptive_{kind}_pool{rank}d" for kind in ("avg", "max") for rank in (1, 2, 3)))
def _adaptive_pool(call: Call, x: Value, output_size: Any, *_: Any, **__: Any) -> Result:
    rank = int(call.function[-2])
    if len(x.shape) != rank + 2:
        return None
    kind = "max" if "max" in call.function else "average"
    asked = _spread(output_size, rank)
    if any(size is None or isinstance(size, Extent) for size in asked):
        extents = [Extent.of(call.graph, x, 2 + i) if s is None else s for i, s in enumerate(asked)]
        return _resized(call, x, extents)
    made = call.emit(ir.AdaptivePool, kind, call.shape[2:], reads=(x,))
    return [made, *_others(call, made)]


# Sizes


@_handles("interpolate", "upsample", "upsample_nearest2d", "upsample_bilinear2d")
def _interpolate(
    call: Call, x: Value, size: Any = None, scale_factor: Any = None, *_: Any, **__: Any
) -> Result:
    rank = len(x.shape) - 2
    if size is not None:
        return _resized(call, x, list(_spread(size, rank)))
    scales = [Fraction(str(scale)) for scale in _spread(scale_factor, rank)]
    ratio = [_per_axis([getattr(s, part) for s in scales], rank) for part in ("numerator", "denominator")]
    return call.emit(op.Resample, *ratio, call.function, reads=(x,))


def _resized(call: Call, x: Value, sizes: list[Any]) -> Result:
    """Spatial axes of sizes that belong to some layer, or else are as they are."""
    values = {size.value for size in sizes if isinstance(size, Extent)}
    placed = all(isinstance(s, Extent) and s.axis == 2 + i for i, s in enumerate(sizes))
    like = values.pop() if len(values) == 1 else None
    if like is None or not placed:
        return call.recorded((x,))
    factors = [size.factor for size in sizes]
    if like is x:
        return call.emit(op.Resample, _per_axis(factors, len(sizes)), 1, call.function, reads=(x,))
    if factors.count(1) != len(factors):
        return call.recorded((x,))
    return call.emit(op.Resample, 1, 1, call.function, reads=(x, like))


@_handles("pad")
def _pad(call: Call, x: Value, pad: Any, *_: Any, **__: Any) -> Result:
    if any(isinstance(amount, Extent) for amount in pad) or call.graph.lost_size:
        call.graph.lost_size = False
        return call.recorded((x,)) if any(pad) else x
    amounts = tuple((int(pad[i]), int(pad[i + 1])) for i in range(len(pad) - 2, -1, -2))
    return call.emit(op.Pad, amounts, reads=(x,))


@_handles("view", "reshape", "_unsafe_view")
def _view(call: Call, x: Value, *sizes: Any, shape: Any = None) -> Result:
    asked = shape if shape is not None else sizes[0] if isinstance(sizes[0], (tuple, list)) else sizes
    if not all(isinstance(size, int) for size in asked):
        return None  # another dtype
    if len(asked) == 2 and asked[1] == -1 and _is(asked[0], x, 0) and len(x.shape) > 2:  # noqa: PLR2004
        return call.emit(ir.Flatten, reads=(x,))
    return _reshaped(call, x, list(asked), call.shape)


def _is(size: Any, value: Value, axis: int) -> bool:
    """Whether a size is that of an axis."""
    return isinstance(size, Extent) and (size.value, size.axis, size.factor) == (value, axis, 1)


def _reshaped(call: Call, x: Value, asked: list[Any], shape: Sizes) -> Result:
    """Which axes were merged and which were split, and by what."""
    if 0 in x.shape:
        return call.recorded((x,))
    reads, runs = [x], []
    for read, made in _runs(x.shape, shape):
        wanted = [asked[axis] for axis in made]
        if len(read) == len(made) == 1 and isinstance(wanted[0], Extent):
            sizes: list[Any] = [-1]
        else:
            sizes = [_size(*pair, reads) for pair in zip(wanted, shape[made.start :], strict=False)]
        # One size may be what is left: the one asked for, or else the last computed one.
        rest = -1 if -1 in sizes else None
        last = max((i for i, size in enumerate(sizes) if size is rest), default=-1)
        sizes = [-1 if i == last else shape[made[i]] if s is None else s for i, s in enumerate(sizes)]
        runs.append((len(read), tuple(sizes)))
    return call.emit(op.Reshape, tuple(runs), call.function, reads=reads, shape=shape)


def _runs(before: Sizes, after: Sizes) -> Iterator[tuple[range, range]]:
    """The shortest runs of axes before and after with equal products."""
    i = j = 0
    while i < len(before) or j < len(after):
        a, b = i + (i < len(before)), j + (j < len(after))
        while (left := prod(before[i:a])) != (right := prod(after[j:b])):
            a, b = a + (left < right), b + (left > right)
        yield range(i, a), range(j, b)
        i, j = a, b


def _size(asked: Any, size: int, reads: list[Value]) -> Any:
    """A size as a layer has it: a count, -1, an axis of a value, or None if it was computed."""
    if asked == -1 or size == 1:
        return asked if asked == -1 else 1
    if not isinstance(asked, Extent):
        return size
    if asked.value is None or asked.factor != 1:
        return None
    if asked.value not in reads:
        reads.append(asked.value)
    return (reads.index(asked.value), asked.axis)


@_handles("view_as", "reshape_as")
def _view_as(call: Call, x: Value, other: Value) -> Result:
    asked = [Extent.of(call.graph, other, axis) for axis in range(len(other.shape))]
    return _reshaped(call, x, list(asked), call.shape)


@_handles("flatten")
def _flatten(call: Call, x: Value, start_dim: int = 0, end_dim: int = -1) -> Result:
    rank = len(x.shape)
    start, end = start_dim % rank, end_dim % rank
    if (start, end) == (1, rank - 1):
        return call.emit(ir.Flatten, reads=(x,))
    kept = (1, (-1,))
    runs = (kept,) * start + ((end - start + 1, (-1,)),) + (kept,) * (rank - 1 - end)
    return call.emit(op.Reshape, runs, call.function, reads=(x,))


@_handles("unflatten")
def _unflatten(call: Call, x: Value, dim: int, sizes: Any) -> Result:
    axis = dim % len(x.shape)
    asked = [-1 if i == axis else s for i, s in enumerate(x.shape)]
    split = [sizes] if isinstance(sizes, int) else list(sizes)
    if -1 not in split and not any(isinstance(size, Extent) for size in split):
        split = [int(size) for size in split]
    kept = [Extent.of(call.graph, x, i) for i in range(len(asked))]
    return _reshaped(call, x, [*kept[:axis], *split, *kept[axis + 1 :]], call.shape)


@_handles("unsqueeze")
def _unsqueeze(call: Call, x: Value, dim: int) -> Result:
    return _inserted(call, x, dim % (len(x.shape) + 1))


def _inserted(call: Call, x: Value, axis: int) -> Value:
    kept = (1, (-1,))
    runs = (kept,) * axis + ((0, (1,)),) + (kept,) * (len(x.shape) - axis)
    shape = (*x.shape[:axis], 1, *x.shape[axis:])
    return call.emit(op.Reshape, runs, "unsqueeze", reads=(x,), shape=shape)


@_handles("squeeze")
def _squeeze(call: Call, x: Value, dim: Any = None) -> Result:
    rank = len(x.shape)
    chosen = range(rank) if dim is None else _spread(dim, 1)
    gone = {axis % rank for axis in chosen if x.shape[axis] == 1}
    runs = tuple((1, () if axis in gone else (-1,)) for axis in range(rank))
    return call.emit(op.Reshape, runs, call.function, reads=(x,)) if gone else x


@_handles("permute")
def _permute(call: Call, x: Value, *dims: Any) -> Result:
    order = dims[0] if isinstance(dims[0], (tuple, list)) else dims
    return _ordered(call, x, [axis % len(x.shape) for axis in order])


@_handles("transpose", "transpose_", "swapaxes", "swapdims")
def _transpose(call: Call, x: Value, dim0: int, dim1: int) -> Result:
    order = list(range(len(x.shape)))
    order[dim0], order[dim1] = order[dim1], order[dim0]
    return _ordered(call, x, order)


@_handles("t", "T")
def _reversed(call: Call, x: Value) -> Result:
    return _ordered(call, x, list(range(len(x.shape)))[::-1])


@_handles("mT", "mH", "adjoint")
def _matrix_transpose(call: Call, x: Value) -> Result:
    return _transpose(call, x, -1, -2)


@_handles("movedim", "moveaxis")
def _movedim(call: Call, x: Value, source: Any, destination: Any) -> Result:
    rank = len(x.shape)
    moved = {d % rank: s % rank for s, d in zip(_spread(source, 1), _spread(destination, 1), strict=True)}
    others = (axis for axis in range(rank) if axis not in moved.values())
    return _ordered(call, x, [moved[i] if i in moved else next(others) for i in range(rank)])


def _ordered(call: Call, x: Value, order: list[int]) -> Value:
    return call.emit(op.Permute, tuple(order), call.function, reads=(x,))


@_handles("pixel_shuffle")
def _pixel_shuffle(call: Call, x: Value, upscale_factor: int) -> Result:
    n, c, h, w = x.shape
    r, kept = upscale_factor, (1, (-1,))
    runs = (kept, (1, (-1, r, r)), kept, kept)
    apart = call.emit(
        op.Reshape, runs, reads=(x,), shape=(n, c // r**2, r, r, h, w), suffix="split"
    )
    return _merged(call, apart, (0, 1, 4, 2, 5, 3), (kept, kept, (2, (-1,)), (2, (-1,))))


@_handles("pixel_unshuffle")
def _pixel_unshuffle(call: Call, x: Value, downscale_factor: int) -> Result:
    n, c, h, w = x.shape
    r, kept = downscale_factor, (1, (-1,))
    runs = (kept, kept, (1, (-1, r)), (1, (-1, r)))
    apart = call.emit(
        op.Reshape, runs, reads=(x,), shape=(n, c, h // r, r, w // r, r), suffix="split"
    )
    return _merged(call, apart, (0, 1, 3, 5, 2, 4), (kept, (3, (-1,)), kept, kept))


def _merged(call: Call, x: Value, order: Sizes, runs: tuple[Any, ...]) -> Value:
    shape = tuple(x.shape[axis] for axis in order)
    moved = call.emit(op.Permute, order, reads=(x,), shape=shape, suffix="permute")
    return call.emit(op.Reshape, runs, call.function, reads=(moved,))


@_handles("channel_shuffle")
def _channel_shuffle(call: Call, x: Value, groups: int) -> Result:
    return call.emit(op.Affine, call.function, (), 0, groups, reads=(x,))


# Parts, and parts joined


@_handles("chunk", "split", "tensor_split", "split_with_sizes", "unsafe_chunk", "unsafe_split")
def _split(call: Call, x: Value, _sizes: Any = None, dim: int = 0, **_: Any) -> Result:
    axis, parts = dim % len(x.shape), len(call.shapes)
    starts = [sum(shape[axis] for shape in call.shapes[:i]) for i in range(parts)]

    def part(index: int) -> Value:
        shape = call.shapes[index]
        if len(set(call.shapes)) == 1:
            return call.emit(op.Split, parts, axis, call.function, reads=(x,), shape=shape)
        return call.recorded((x,), index=index)

    del starts
    return [call.later(lambda i=i: part(i), i) for i in range(parts)]


@_handles("unbind")
def _unbind(call: Call, x: Value, dim: int = 0) -> Result:
    def part(index: int) -> Value:
        return _sliced(call, x, [_ALL] * (dim % len(x.shape)) + [index])

    return [call.later(lambda i=i: part(i), i) for i in range(len(call.shapes))]


_ALL = (0, None, 1)


def _sliced(call: Call, x: Value, items: list[Any]) -> Value:
    return call.emit(op.Slice, tuple(items), call.function, reads=(x,))


@_handles("select")
def _select(call: Call, x: Value, dim: int, index: int) -> Result:
    return _sliced(call, x, [_ALL] * (dim % len(x.shape)) + [int(index)])


@_handles("narrow")
def _narrow(call: Call, x: Value, dim: int, start: int, length: int) -> Result:
    axis = dim % len(x.shape)
    item = _item(slice(start, start + length), x.shape[axis])
    return call.recorded((x,)) if item is None else _sliced(call, x, [_ALL] * axis + [item])


@_handles("__getitem__")
def _getitem(call: Call, x: Value, index: Any) -> Result:
    index = index if isinstance(index, tuple) else (index,)
    if any(not isinstance(i, (int, slice, type(None), type(...))) for i in index):
        return call.recorded([x, *values_in(index)])
    spare = len(x.shape) - sum(i is not None and i is not ... for i in index)
    at = index.index(...) if ... in index else len(index)
    index = (*index[:at], *(slice(None),) * spare, *index[at + 1 :])
    sizes = iter(x.shape)
    items = [_item(i, next(sizes)) for i in index if i is not None]
    if None in items or any(isinstance(i, bool) for i in index):
        return call.recorded((x,))
    whole = items == [_ALL] * len(items)
    new = [axis for axis, i in enumerate(i for i in index if type(i) is not int) if i is None]
    if not whole:
        kept = tuple(size for axis, size in enumerate(call.shape) if axis not in new)
        x = call.emit(op.Slice, tuple(items), reads=(x,), shape=kept)
    for axis in new:
        x = _inserted(call, x, axis)
    return x


def _item(index: Any, size: int) -> Any:
    """An index or slice as a layer has it; None where its bounds were computed from a size."""
    if not isinstance(index, slice):
        return int(index)
    start, stop, step = index.start or 0, index.stop, index.step or 1
    stop = None if stop is None or stop >= size else stop
    if isinstance(start, Extent) or isinstance(stop, Extent) or abs(start) > size:
        return None
    return (start, stop, step)


@_handles("cat", "concat", "concatenate")
def _cat(call: Call, tensors: Any, dim: int = 0, **named: Any) -> Result:
    axis = named.get("axis", dim) % len(call.shape)
    reads = [x for x in values_in(tensors) if x.shape != (0,)]
    if axis == 1:
        return call.emit(ir.Concat, reads=reads)
    return call.emit(op.Join, axis, call.function, reads=reads)


@_handles("stack")
def _stack(call: Call, tensors: Any, dim: int = 0) -> Result:
    axis = dim % len(call.shape)
    reads = [_inserted(call, x, axis) for x in values_in(tensors)]
    return call.emit(op.Join, axis, call.function, reads=reads)


@_handles("expand", "broadcast_to")
def _expand(call: Call, x: Value, *sizes: Any, **named: Any) -> Result:
    asked = named.get("size") or (sizes[0] if isinstance(sizes[0], (tuple, list)) else sizes)
    before = (1,) * (len(asked) - len(x.shape)) + x.shape
    grown = [(i, s) for i, (s, had) in enumerate(zip(asked, before, strict=True)) if s not in (-1, had)]
    values = {size.value for _, size in grown if isinstance(size, Extent)}
    if any(isinstance(size, Extent) for _, size in grown):
        like = values.pop() if len(values) == 1 else None
        placed = like is not None and len(like.shape) == len(asked) and all(_is(s, like, i) for i, s in grown)
        return call.emit(op.Combine, call.function, reads=(x, like)) if placed and like and _is_broadcast([x, like], call.shape) else call.recorded((x,))
    times = tuple(after // size for after, size in zip(call.shape, before, strict=True))
    return x if not grown and len(before) == len(x.shape) else call.emit(op.Repeat, times, call.function, reads=(x,))


@_handles("expand_as")
def _expand_as(call: Call, x: Value, other: Value) -> Result:
    return call.emit(op.Combine, call.function, reads=(x, other))


@_handles("repeat", "tile")
def _repeat(call: Call, x: Value, *times: Any) -> Result:
    asked = times[0] if isinstance(times[0], (tuple, list)) else times
    if any(isinstance(n, Extent) and n != 1 for n in asked):
        return None
    padded = (1,) * (len(call.shape) - len(asked)) + tuple(map(int, asked))
    return call.emit(op.Repeat, padded, call.function, reads=(x,))


@_handles(*"mean sum amax amin max min prod var std norm nansum median argmax argmin logsumexp all any".split())
def _reduce(call: Call, x: Value, dim: Any = None, keepdim: Any = False, *_: Any, **named: Any) -> Result:  # noqa: FBT002
    if isinstance(dim, Value) or call.function == "norm":
        return None
    dim = named.get("axis", dim)
    over = range(len(x.shape)) if dim is None or dim == () else _spread(dim, 1)
    axes = tuple(sorted(axis % len(x.shape) for axis in over))
    fields = (axes, bool(keepdim) or len(call.shape) == len(x.shape), call.function)
    made = call.emit(op.Reduce, *fields, reads=(x,))

    def other(index: int) -> Value:
        return call.later(lambda: call.emit(op.Reduce, *fields, reads=(x,)), index)

    return [made, *(other(index) for index in range(1, len(call.shapes)))]


@_handles("embedding", counted=False)
def _embedding(call: Call, indices: Value, weight: Value, *_: Any, **__: Any) -> Result:
    weights = call.weights(weight, None)
    if weights is None:
        return call.recorded((indices, weight))
    rows, features = weight.shape
    return call.emit(op.Embedding, features, rows, weights.shares, reads=(indices,))


@_handles("__setitem__")
def _setitem(call: Call, x: Value, *rest: Any) -> Result:
    return call.recorded([x, *values_in(rest)])


@_handles(*"new_zeros new_ones new_full new_empty new_tensor".split())
def _made(call: Call, *_: Any, **__: Any) -> Result:
    return Value(call.shape)


#: Functions without multiply–accumulates of which the shapes say all there is to say.
FREE = frozenset(
    """
    relu relu_ relu6 leaky_relu leaky_relu_ elu elu_ selu celu gelu silu silu_ swish mish hardswish
    hardsigmoid hardtanh hardtanh_ threshold softplus softsign logsigmoid sigmoid sigmoid_ tanh
    tanh_ softmax log_softmax softmin gumbel_softmax glu dropout dropout_ dropout1d dropout2d
    dropout3d alpha_dropout feature_alpha_dropout feature_dropout tanhshrink hardshrink softshrink
    rrelu normalize local_response_norm lp_pool2d unfold fold cosine_similarity pairwise_distance
    one_hot embedding_bag im2col col2im grid_sample affine_grid
    add add_ sub sub_ mul mul_ div div_ true_divide floor_divide remainder fmod pow pow_ neg
    __add__ __radd__ __iadd__ __sub__ __rsub__ __isub__ __mul__ __rmul__ __imul__ __truediv__
    __rtruediv__ __itruediv__ __floordiv__ __rfloordiv__ __mod__ __rmod__ __pow__ __rpow__ __ipow__
    __neg__ __invert__ __and__ __or__ __xor__ __iand__ __ior__ __rand__ __ror__ __lshift__
    __rshift__ __eq__ __ne__ __lt__ __le__ __gt__ __ge__ eq ne lt le gt ge isnan isinf isfinite
    subtract multiply divide rsub addcmul addcdiv lerp hypot atan2 maximum minimum fmax fmin clamp
    clamp_ clamp_min clamp_max clip abs absolute sign sqrt rsqrt exp expm1 log log2 log10 log1p sin
    cos tan asin acos atan sinh cosh erf erfc erfinv round floor ceil trunc frac square reciprocal
    logical_and logical_or logical_not logical_xor bitwise_and bitwise_or bitwise_not where
    masked_fill masked_fill_ nan_to_num logit sigmoid_ exp_ logaddexp xlogy
    contiguous to type type_as float half double bfloat16 int long bool cpu cuda clone detach
    detach_ data real imag requires_grad_ alias positive
    roll flip fliplr flipud rot90 cumsum cumprod sort argsort topk tril triu diagonal diag
    diag_embed gather scatter scatter_ scatter_add scatter_add_ index_select index_add index_add_
    index_copy index_copy_ index_put index_put_ take take_along_dim masked_select masked_scatter
    unique_consecutive searchsorted bucketize repeat_interleave meshgrid broadcast_tensors
    cartesian_prod copy_ fill_ zero_ zeros_like ones_like full_like empty_like rand_like randn_like
    bernoulli bernoulli_ uniform_ normal_ random_ histc bincount
    cross unsqueeze_ squeeze_ resize_ set_ as_strided view_as_real view_as_complex polar complex
    std_mean var_mean aminmax count_nonzero cdist_ dist lift kthvalue mode quantile
    atleast_1d atleast_2d atleast_3d ravel hsplit vsplit dsplit hstack vstack dstack block_diag
    batch_norm_ constant_pad_nd cummax cummin swapaxes_ allclose equal isin softmax_ bitwise_xor
    norm linalg_vector_norm linalg_norm
    """.split()
)
