"""The layers that a traced model needs and the papers' tables do not.

Like every layer they hold only what is free; what a model fixes itself (a hard-coded reshape, a
table of positions) is recorded, and refuses any other size by name.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial
from itertools import chain
from math import isfinite, prod
from operator import index
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple, NoReturn, Self

from costmodel.algebra.arithmetic import MOST, Dim, below, ceil_div, exact_div, is_symbolic
from costmodel.core import network as ir
from costmodel.core.lower import Lowered, lower, lower_rule
from costmodel.core.nest import Elementwise, LoopNest, Parameter
from costmodel.core.network import (
    Flag,
    Groups,
    Kind,
    Layer,
    Network,
    Owner,
    Padding,
    PerAxis,
    Positive,
    Shape,
    Text,
    Width,
    each,
    number,
    text,
    valid,
)
from costmodel.core.shapes import agree, axes, count, ranked, same_shape, shape_rule
from costmodel.errors import CostModelError
from costmodel.metrics.layouts import (
    GAP,
    Order,
    as_elementwise,
    as_image,
    merge_rule,
    merged,
    order_rule,
    plain,
    written_rule,
)
from costmodel.metrics.memory import touch_rule

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from costmodel.core.lower import Rule
    from costmodel.core.shapes import Inputs, Widths


class Operator(NamedTuple):
    """A kind of operator: what it is called, its state and how many layers of it there are."""

    name: str
    state: str
    calls: int


def operators(network: Network) -> tuple[Operator, ...]:
    """Each kind of operator in the network: counted, free or unknown, and how often it is there.

    >>> from costmodel import mobilenet_v1
    >>> operators(mobilenet_v1())[0]
    Operator(name='Conv', state='counted', calls=27)
    """
    layers = (x for x in lower(network) if x.layer.arity != 0)
    calls = Counter((_operator_name(x), x.state) for x in layers)
    order = ("unknown", "counted", "free")
    kinds = sorted(calls, key=lambda kind: (order.index(kind[1]), -calls[kind], kind[0]))
    return tuple(Operator(*kind, calls[kind]) for kind in kinds)


def _operator_name(x: Lowered) -> str:
    """The function's own name where the layer has one, else the layer's type."""
    return getattr(x.layer, "function", "") or type(x.layer).__name__


def _refuse(layer: Layer, what: str, remedy: str = "trace again at that size") -> NoReturn:
    raise CostModelError(f"{layer.name}: {what}; {remedy}")


def _alike(layer: Layer, size: Dim, other: Dim) -> bool:
    """Whether two sizes are one, of which the layer may have fixed one."""
    return agree(size, other, f"{layer.name} fixes its input's size")


def _text(shape: Shape) -> str:
    return "×".join(map(str, shape)) or "a number"


def _on_axis(layer: Layer, axis: int, shape: Shape) -> int:
    """The axis, counted from the front; an error where the shape is too short."""
    if not -len(shape) <= axis < len(shape):
        _refuse(layer, f"needs an axis {axis}, and its input is {_text(shape)}", "change the axis")
    return axis % len(shape)


def _owned(layer: Any, role: str, size: Dim) -> tuple[Parameter, ...]:
    return (Parameter(layer.shares or layer.name, role, size),)


def _free(operation: str, output: Shape, taps: Dim = 1) -> Rule:
    return (Elementwise(operation, output, taps),), ()


# What a field of these layers may be --------------------------------------------------------------


def _integer(value: Any, least: int = 0) -> int:
    return index(number(value, least))


def _axis(value: Any) -> int:
    return _integer(value, -9)


def _equation(value: Any) -> Any:
    """Two operands' indices and some of them, each once, as the output's."""
    left, arrow, right = text(value).partition("->")
    letters = "".join((*left.split(","), right))
    known = set(right) <= set(left) and len(set(right)) == len(right)
    return text(valid(value, arrow and left.count(",") == 1 and letters.isalpha() and known))


def _finite(value: Any) -> Any:
    return valid(value, type(value) in {int, float} and isfinite(value))


def _order(value: Any) -> Any:
    order = each(_integer)(value)
    return valid(order, sorted(order) == [*range(len(order))])


def _pair(value: Any) -> tuple[int, int]:
    before, after = value
    return _integer(before, -MOST), _integer(after, -MOST)


def _run(value: Any) -> tuple[int, tuple[Any, ...]]:
    axes_read, sizes = value
    sizes = each(_size)(sizes)
    return _integer(axes_read), valid(sizes, sizes.count(-1) <= 1)


def _size(value: Any) -> Any:
    """A count, -1 for what is left, or an axis of an input."""
    if not isinstance(value, (tuple, list)):
        return _integer(value, -1)
    source, axis = value
    return _integer(source), _axis(axis)


def _item(value: Any) -> Any:
    if not isinstance(value, (tuple, list)):
        return _integer(value, -MOST)
    start, stop, step = value
    return (
        _integer(start, -MOST),
        stop if stop is None else _integer(stop, -MOST),
        _integer(step, 1),
    )


Axis = Annotated[int, Kind("an axis", _axis)]
Axes = Annotated[tuple[int, ...], Kind("axes", each(_axis))]
Count = Annotated[int, Kind("a count", _integer)]
Counts = Annotated[tuple[int, ...], Kind("counts", each(_integer))]
Positives = Annotated[tuple[int, ...], Kind("positive counts", each(partial(_integer, least=1)))]
SizesOrAny = Annotated[tuple[int, ...], Kind("sizes, or -1", each(partial(_integer, least=-1)))]
Shapes = Annotated[tuple[tuple[int, ...], ...], Kind("shapes", each(each(_integer)))]
Numbers = Annotated[tuple[float, ...], Kind("finite numbers", each(_finite))]
Equation = Annotated[str, Kind("two operands' indices and their output's", _equation)]
Permutation = Annotated[tuple[int, ...], Kind("a permutation of the axes", _order)]
Amounts = Annotated[tuple[tuple[int, int], ...], Kind("pairs of (before, after)", each(_pair))]
Runs = Annotated[
    tuple[tuple[int, tuple[int | tuple[int, int], ...]], ...],
    Kind("runs of (number of axes, sizes)", each(_run)),
]
Items = Annotated[
    tuple[int | tuple[int, int | None, int], ...],
    Kind("indices or (start, stop, step)", each(_item)),
]


@dataclass(frozen=True)
class TransposedConv(Layer):
    """A transposed convolution: each position of the *input* is spread over a window.

    MACs are K²·C_in/G·C_out times the input's positions.

    >>> from costmodel import Input, cost
    >>> up = TransposedConv("up", 16, kernel=2, stride=2)
    >>> cost(Network("n", (Input("map", (1, 32, 7, 7)), up)))
    Cost(params=2048, macs=100352, activations=3136)
    """

    out_channels: Width
    kernel: PerAxis
    stride: PerAxis = 1
    padding: Padding = 0
    output_padding: Padding = 0
    dilation: PerAxis = 1
    groups: Groups = 1
    bias: Flag = False
    shares: Owner = ""
    width: ClassVar[str] = "out_channels"


written_rule(TransposedConv)(as_image)


@shape_rule(TransposedConv)
def _transposed_shape(layer: TransposedConv, inputs: Inputs, widths: Widths) -> Shape:
    batch, channels, *sizes = ranked(layer, inputs[0], 3)
    window = (layer.kernel, layer.stride, layer.padding, layer.output_padding, layer.dilation)
    windows = zip(sizes, *(axes(value, layer, len(sizes)) for value in window), strict=True)
    sides = [_transposed_side(layer, *axis) for axis in windows]
    return batch, count(layer.out_channels, channels, widths), *sides


def _transposed_side(layer: TransposedConv, size: Dim, *window: int) -> Dim:
    kernel, stride, padding, after, dilation = window
    if after >= max(stride, dilation):
        rule = f"must be smaller than stride {stride} or dilation {dilation}"
        _refuse(layer, f"output_padding {after} {rule}", "lower it")
    span = (size - 1) * stride - 2 * padding + dilation * (kernel - 1) + after + 1
    return ceil_div(span, 1)


@lower_rule(TransposedConv)
def _transposed(layer: TransposedConv, inputs: Inputs, output: Shape) -> Rule:
    ((batch, channels, *sizes),) = inputs
    groups = count(layer.groups, channels, {})
    c, k = exact_div(channels, groups), exact_div(output[1], groups)
    if c is None or k is None:
        _refuse(layer, f"{groups} groups must divide {channels} and {output[1]}", "change one")
    kernel = axes(layer.kernel, layer, len(sizes))
    nest = LoopNest(batch, groups, k, c, tuple(sizes), kernel, written=output[2:])
    weight = _owned(layer, "weight", nest.weights)
    return (nest,), weight + (_owned(layer, "bias", output[1]) if layer.bias else ())


@dataclass(frozen=True)
class Filter(Layer):
    """A convolution whose kernel is no parameter: a buffer, or computed from parameters.

    It is no `Conv`: nothing that rewrites what a kernel learns applies to it.

    >>> from costmodel import SAME, Input, cost
    >>> blur = Filter("blur", SAME, kernel=3, padding=1, groups=SAME)
    >>> cost(Network("n", (Input("image", (1, 3, 8, 8)), blur)))
    Cost(params=0, macs=1728, activations=192)
    """

    out_channels: Width
    kernel: PerAxis
    stride: PerAxis = 1
    padding: Padding = 0
    dilation: PerAxis = 1
    groups: Groups = 1
    width: ClassVar[str] = "out_channels"
    bias: ClassVar[bool] = False
    shares: ClassVar[str] = ""


shape_rule(Filter)(shape_rule[ir.Conv])
touch_rule(Filter)(touch_rule[ir.Conv])
written_rule(Filter)(as_image)


@lower_rule(Filter)
def _filter(layer: Filter, inputs: Inputs, output: Shape) -> Rule:
    return lower_rule[ir.Conv](layer, inputs, output)[0], ()


@dataclass(frozen=True)
class Affine(Layer):
    """An elementwise operation with `tensors` learned values along `along`, as a layer norm has.

    Layer, group and RMS normalisation, layer scale, a bias on its own, PReLU. `groups` divides
    the channels.

    >>> from costmodel import Input, cost
    >>> norm = Affine("norm", "layer_norm", along=(-1,), tensors=2)
    >>> cost(Network("n", (Input("tokens", (1, 197, 768)), norm))).params
    1536
    """

    function: Text
    along: Axes = (1,)
    tensors: Count = 1
    groups: Positive = 1
    shares: Owner = ""


written_rule(Affine)(as_elementwise)


@shape_rule(Affine)
def _affine_shape(layer: Affine, inputs: Inputs, _widths: Widths) -> Shape:
    (shape,) = inputs
    if layer.groups != 1 and exact_div(ranked(layer, shape, 2)[1], layer.groups) is None:
        _refuse(layer, f"{layer.groups} groups must divide {shape[1]} channels", "change one")
    return shape


@lower_rule(Affine)
def _affine(layer: Affine, inputs: Inputs, output: Shape) -> Rule:
    size = prod(inputs[0][_on_axis(layer, axis, inputs[0])] for axis in layer.along)
    parameters = _owned(layer, "norm", layer.tensors * size) if layer.tensors else ()
    return (Elementwise(layer.function, output),), parameters


@dataclass(frozen=True)
class Embedding(Layer):
    """A table of `rows` vectors, looked up: parameters, and no multiply–accumulates.

    >>> from costmodel import Input, cost
    >>> cost(Network("n", (Input("tokens", (1, 16)), Embedding("words", 64, rows=1000))))
    Cost(params=64000, macs=0, activations=0)
    """

    out_features: Width
    rows: Positive
    shares: Owner = ""
    width: ClassVar[str] = "out_features"
    axis: ClassVar[int] = -1


@shape_rule(Embedding)
def _embedding_shape(layer: Embedding, inputs: Inputs, widths: Widths) -> Shape:
    return *inputs[0], count(layer.out_features, 1, widths)


@lower_rule(Embedding)
def _embedding(layer: Embedding, _inputs: Inputs, output: Shape) -> Rule:
    table = _owned(layer, "weight", layer.rows * output[-1])
    return (Elementwise("embedding", output),), table


@dataclass(frozen=True)
class Einsum(Layer):
    """The product of two activations, as torch.einsum writes it; an axis of 1 is broadcast.

    MACs are the product over every index.

    >>> from costmodel import Input, cost
    >>> scores = Einsum("scores", "bqc,bkc->bqk", inputs=("tokens", "tokens"))
    >>> cost(Network("n", (Input("tokens", (1, 197, 64)), scores))).macs == 197 * 197 * 64
    True
    """

    equation: Equation
    function: Text = "matmul"
    arity: ClassVar[int | None] = 2


def _indices(layer: Einsum, inputs: Inputs) -> dict[str, Dim]:
    """The extent of every index; an error where the operands disagree."""
    extents: dict[str, Dim] = {}
    for term, shape in zip(layer.equation.partition("->")[0].split(","), inputs, strict=True):
        if len(term) != len(shape):
            _refuse(layer, f"{term} indexes an input of {_text(shape)}", "change the equation")
        for letter, size in zip(term, shape, strict=True):
            has = extents.get(letter, 1)
            if has not in (1, size) and size != 1 and not _alike(layer, has, size):
                _refuse(layer, f"{layer.equation} multiplies {' and '.join(map(_text, inputs))}")
            extents[letter] = size if has == 1 else has
    return extents


@shape_rule(Einsum)
def _einsum_shape(layer: Einsum, inputs: Inputs, _widths: Widths) -> Shape:
    extents = _indices(layer, inputs)
    return tuple(extents[letter] for letter in layer.equation.partition("->")[2])


@lower_rule(Einsum)
def _einsum(layer: Einsum, inputs: Inputs, output: Shape) -> Rule:
    left, right = (set(term) for term in layer.equation.partition("->")[0].split(","))
    kept = set(layer.equation.partition("->")[2])
    extents = _indices(layer, inputs)

    def size(letters: set[str]) -> Dim:
        return prod(extent for letter, extent in extents.items() if letter in letters)

    # What is in one operand alone and not in the output is summed before they meet.
    rows, columns = size((left - right) & kept), size((right - left) & kept)
    contracted = size((left & right) - kept)
    nest = LoopNest(size(left & right & kept), 1, columns, contracted, (rows,), (), weighted=False)
    product = nest if (left & right) - kept else Elementwise("einsum_of_no_sum", output)
    return (product,), ()


@merge_rule(Einsum)
def _einsum_merges(_layer: Einsum, shape: Shape) -> int:
    return max(0, len(shape) - 2)


@dataclass(frozen=True)
class DotProductAttention(Layer):
    """Scaled dot-product attention of queries, keys, values and perhaps a mask: two products.

    Without `heads` all are (…, tokens, features), the heads among the leading axes; with it
    they are (tokens, batch, features), and it divides the features.

    >>> from costmodel import Input, cost
    >>> attend = DotProductAttention("attend", inputs=("x", "x", "x"))
    >>> cost(Network("n", (Input("x", (1, 12, 197, 64)), attend))).macs == 2 * 12 * 197*197 * 64
    True
    """

    heads: Count = 0
    function: Text = "scaled_dot_product_attention"
    arity: ClassVar[int | None] = None


def _attended(layer: DotProductAttention, inputs: Inputs) -> tuple[Dim, Dim, Dim, Dim, Dim]:
    """Batch, queries, keys, features of a key and features of a value, heads apart."""
    if len(inputs) < 3:  # noqa: PLR2004
        _refuse(layer, "needs queries, keys and values", "list its inputs")
    query, key, value = (ranked(layer, shape, 2 + bool(layer.heads)) for shape in inputs[:3])
    if layer.heads:
        features, values = exact_div(query[2], layer.heads), exact_div(value[2], layer.heads)
        if features is None or values is None or not _alike(layer, query[2], key[2]):
            _refuse(layer, f"{layer.heads} heads must divide {query[2]} features", "keep them")
        return query[1] * layer.heads, query[0], key[0], features, values
    if not (_alike(layer, query[-1], key[-1]) and _alike(layer, key[-2], value[-2])):
        _refuse(layer, f"attends from {_text(query)} to {_text(key)} and {_text(value)}")
    return prod(query[:-2]), query[-2], key[-2], query[-1], value[-1]


@shape_rule(DotProductAttention)
def _attention_shape(layer: DotProductAttention, inputs: Inputs, _widths: Widths) -> Shape:
    _, queries, keys, _, features = _attended(layer, inputs)
    for mask in (ranked(layer, shape, 2) for shape in inputs[3:]):
        pairs = ((mask[-1], keys), (mask[-2], queries))
        if not all(size == 1 or _alike(layer, size, wanted) for size, wanted in pairs):
            _refuse(layer, f"its mask is {_text(mask)} for {queries} queries and {keys} keys")
    return inputs[0] if layer.heads else (*inputs[0][:-1], features)


@written_rule(DotProductAttention)
def _attention_order(
    layer: DotProductAttention, _reads: list[Order], _inputs: Inputs, output: Shape
) -> Order:
    """The fused kernel writes the heads of each token side by side."""
    fused = len(output) == 4 and not layer.heads  # noqa: PLR2004 - batch, heads, tokens, features
    return tuple(axis for axis in (0, 2, 1, 3) if output[axis] != 1) if fused else plain(output)


@lower_rule(DotProductAttention)
def _attention(layer: DotProductAttention, inputs: Inputs, _output: Shape) -> Rule:
    batch, queries, keys, features, values = _attended(layer, inputs)
    scores = LoopNest(batch, 1, keys, features, (queries,), (), weighted=False)
    return (scores, LoopNest(batch, 1, values, keys, (queries,), (), weighted=False)), ()


@dataclass(frozen=True)
class WithNumbers(ir.Activation):
    """An elementwise function of one input and of numbers, in torch's order: x + 3, x mod 2.

    >>> from costmodel import Input, cost
    >>> halved = WithNumbers("halved", "div", (2.0,))
    >>> cost(Network("n", (Input("x", (1, 16)), halved))).macs
    0
    """

    numbers: Numbers = ()


@dataclass(frozen=True)
class Combine(Layer):
    """An elementwise function of several inputs, broadcast as torch does: squeeze-excite's product.

    >>> from costmodel import Input, infer
    >>> layers = (Input("map", (1, 24, 56, 56)), Input("gate", (1, 24, 1, 1)))
    >>> infer(Network("n", (*layers, Combine("scale", "mul", inputs=("map", "gate")))))[-1].output
    (1, 24, 56, 56)
    """

    function: Text
    arity: ClassVar[int | None] = None


written_rule(Combine)(as_elementwise)


@shape_rule(Combine)
def _combine_shape(layer: Combine, inputs: Inputs, _widths: Widths) -> Shape:
    rank = max(map(len, inputs))
    aligned = [(1,) * (rank - len(shape)) + tuple(shape) for shape in inputs]
    output = []
    for sizes in zip(*aligned, strict=True):
        size, *others = [size for size in sizes if size != 1] or [1]
        ones = [one for one in sizes if one == 1]
        fits = all(_alike(layer, size, other) for other in others)
        if not (fits and all(_alike(layer, one, 1) for one in ones)):
            given = " and ".join(map(_text, inputs))
            _refuse(layer, f"{layer.function} of {given}, one of which fixes the size")
        output.append(size)
    return tuple(output)


@order_rule(Combine)
def _combine_order(layer: Combine, order: Order, inputs: Inputs, output: Shape) -> Order | None:
    expands = layer.function in {"expand", "expand_as", "broadcast_to"}
    return _expanded(order, inputs[0], output) if expands else None


def _expanded(order: Order, shape: Shape, output: Shape) -> Order:
    """Axes whose every position is the same element are next to nothing."""
    new = len(output) - len(shape)
    grown = (axis for axis in plain(output) if axis < new or shape[axis - new] == 1)
    moved = (axis if axis == GAP else axis + new for axis in order)
    return (*moved, *(place for axis in grown for place in (GAP, axis)))


@lower_rule(Combine)
def _combine(layer: Combine, inputs: Inputs, output: Shape) -> Rule:
    return _free(layer.function, output, len(inputs))


@dataclass(frozen=True)
class Reshape(Layer):
    """Axes merged and split: for each run of input axes, how many and the output's sizes.

    A size is a count, -1 for whatever is left of the run, or (i, axis): that axis of input i. A
    run without a -1 fixes its input's size.

    >>> from costmodel import Input, infer
    >>> shuffle = Reshape("split", ((1, (-1,)), (1, (2, -1)), (1, (-1,)), (1, (-1,))))
    >>> infer(Network("n", (Input("map", (1, 24, 7, 7)), shuffle)))[-1].output
    (1, 2, 12, 7, 7)
    """

    runs: Runs
    function: Text = "reshape"
    arity: ClassVar[int | None] = None


def _read(layer: Reshape, inputs: Inputs, source: int, axis: int) -> Dim:
    if source >= len(inputs):
        _refuse(layer, f"takes a size of input {source}, and has {len(inputs)}", "list its inputs")
    return inputs[source][_on_axis(layer, axis, inputs[source])]


@shape_rule(Reshape)
def _reshape_shape(layer: Reshape, inputs: Inputs, _widths: Widths) -> Shape:
    shape, output, at = inputs[0], list[Dim](), 0
    for axes_read, sizes in layer.runs:
        whole = prod(shape[at : at + axes_read])
        at += axes_read
        known = [_read(layer, inputs, *x) if isinstance(x, tuple) else x for x in sizes]
        parts = prod(x for x in known if x != -1)
        rest = 1 if -1 not in known else None if parts == 0 else exact_div(whole, parts)
        if rest is None:
            _refuse(layer, f"{parts} parts must divide {whole}", "choose a multiple of them")
        squeezed = is_symbolic(whole) and parts == 1  # as it has to be
        if -1 not in known and not squeezed and not _alike(layer, whole, parts):
            fixed = "×".join(map(str, known)) or "1"
            _refuse(layer, f"{layer.function} fixes its input's size to {fixed}, got {whole}")
        output += [rest if x == -1 else x for x in known]
    if at != len(shape):
        _refuse(layer, f"reshapes {at} axes, and its input is {_text(shape)}", "change the runs")
    return tuple(output)


@order_rule(Reshape)
def _reshape_order(layer: Reshape, order: Order, _inputs: Inputs, output: Shape) -> Order | None:
    runs, read, made = [], 0, 0
    for axes_read, sizes in layer.runs:
        after = range(made, made + len(sizes))
        kept = tuple(axis for axis in after if output[axis] != 1)
        runs.append((tuple(range(read, read + axes_read)), kept))
        read, made = read + axes_read, made + len(sizes)
    copies = layer.function in {"reshape", "reshape_as", "flatten"}  # where torch cannot view
    view = merged(order, runs)
    return plain(output) if view is None and not copies else view


@dataclass(frozen=True)
class Permute(Layer):
    """Axes in another order.

    >>> from costmodel import Input, infer
    >>> last = Permute("channels_last", (0, 2, 3, 1))
    >>> infer(Network("n", (Input("map", (1, 96, 56, 56)), last)))[-1].output
    (1, 56, 56, 96)
    """

    order: Permutation
    function: Text = "permute"


@shape_rule(Permute)
def _permute_shape(layer: Permute, inputs: Inputs, _widths: Widths) -> Shape:
    (shape,) = inputs
    if len(shape) != len(layer.order):
        _refuse(layer, f"orders {len(layer.order)} axes of {_text(shape)}", "change the order")
    return tuple(shape[axis] for axis in layer.order)


@order_rule(Permute)
def _permute_order(layer: Permute, order: Order, _inputs: Inputs, _output: Shape) -> Order:
    return tuple(axis if axis == GAP else layer.order.index(axis) for axis in order)


@dataclass(frozen=True)
class Split(Layer):
    """One of the equal parts along an axis (`part`, from 0), as torch.chunk makes them.

    >>> from costmodel import Input, infer
    >>> infer(Network("n", (Input("map", (1, 116, 28, 28)), Split("half", parts=2))))[-1].output
    (1, 58, 28, 28)
    """

    parts: Positive
    along: Axis = 1
    function: Text = "chunk"
    part: Count = 0

    def __post_init__(self) -> None:
        """Check that the part is one of them too."""
        super().__post_init__()
        if self.part >= self.parts:
            rule = f"part must be one of {self.parts} parts, from 0"
            raise CostModelError(f"{self.name}: {rule}, got {self.part}")


@shape_rule(Split)
def _split_shape(layer: Split, inputs: Inputs, _widths: Widths) -> Shape:
    (shape,) = inputs
    axis = _on_axis(layer, layer.along, shape)
    part = exact_div(shape[axis], layer.parts)
    if part is None:
        what = f"{layer.parts} parts must divide {shape[axis]}"
        _refuse(layer, what, f"choose a multiple, as divisible({layer.parts}) does")
    return *shape[:axis], part, *shape[axis + 1 :]


@order_rule(Split)
def _split_order(layer: Split, order: Order, _inputs: Inputs, output: Shape) -> Order:
    return _parts(order, {layer.along % len(output)} if layer.parts > 1 else (), output)


def _parts(order: Order, cut: Collection[int], output: Shape) -> Order:
    """Around a part of an axis something is left out, and where an axis has one element left."""
    kept = (axis if axis == GAP or output[axis] != 1 else GAP for axis in order)
    return tuple(x for axis in kept for x in ((GAP, axis, GAP) if axis in cut else (axis,)))


@dataclass(frozen=True)
class Slice(Layer):
    """A part of the leading axes: for each an index, which drops it, or (start, stop, step).

    A stop of None is the end; negative ones count from there.

    >>> from costmodel import Input, infer
    >>> crop = Slice("crop", ((0, None, 1), 0))
    >>> infer(Network("n", (Input("tokens", (1, 197, 768)), crop)))[-1].output
    (1, 768)
    """

    items: Items
    function: Text = "getitem"


@shape_rule(Slice)
def _slice_shape(layer: Slice, inputs: Inputs, _widths: Widths) -> Shape:
    (shape,) = inputs
    if len(layer.items) > len(shape):
        _refuse(layer, f"indexes {len(layer.items)} axes of {_text(shape)}", "change the items")
    output = [
        _sliced(layer, size, item)
        for size, item in zip(shape, layer.items, strict=False)
        if isinstance(item, tuple)
    ]
    return *output, *shape[len(layer.items) :]


def _sliced(layer: Slice, size: Dim, item: tuple[int, int | None, int]) -> Dim:
    start, stop, step = item
    end = size if stop is None else stop if stop >= 0 else size + stop
    if stop is not None and stop > 0 and below(size, stop):
        _refuse(layer, f"takes {start}:{stop} of {size}")
    begin = start if start >= 0 else 0 if below(size, -start) else size + start
    return ceil_div(end - begin, step)


@order_rule(Slice)
def _slice_order(layer: Slice, order: Order, inputs: Inputs, output: Shape) -> Order:
    items = (*layer.items, *((0, None, 1),) * (len(inputs[0]) - len(layer.items)))
    left = [axis for axis, item in enumerate(items) if isinstance(item, tuple)]
    new = tuple(left.index(axis) if axis in left else GAP for axis in order)
    cut = {left.index(axis) for axis in left if items[axis] != (0, None, 1)}
    return _parts(new, cut, output)


@dataclass(frozen=True)
class Join(Layer):
    """Inputs one after the other along any axis; along the channels it is a `Concat`.

    >>> from costmodel import Input, infer
    >>> layers = (Input("cls", (1, 1, 768)), Input("patches", (1, 196, 768)))
    >>> infer(Network("n", (*layers, Join("tokens", 1, inputs=("cls", "patches")))))[-1].output
    (1, 197, 768)
    """

    along: Axis
    function: Text = "cat"
    arity: ClassVar[int | None] = None


@shape_rule(Join)
def _join_shape(layer: Join, inputs: Inputs, _widths: Widths) -> Shape:
    axis = _on_axis(layer, layer.along, inputs[0])
    first = inputs[0][:axis], inputs[0][axis + 1 :]
    for shape in inputs:
        rest = shape[:axis] + shape[axis + 1 :]
        if len(shape) != len(inputs[0]) or not same_shape(layer, rest, first[0] + first[1]):
            _refuse(layer, f"joins {_text(inputs[0])} and {_text(shape)}")
    return *first[0], sum(shape[axis] for shape in inputs), *first[1]


@dataclass(frozen=True)
class Reduce(Layer):
    """A mean, sum, … over some axes, which it drops or, with `keepdim`, leaves as 1.

    >>> from costmodel import Input, infer
    >>> infer(Network("n", (Input("map", (1, 96, 7, 7)), Reduce("mean", (2, 3)))))[-1].output
    (1, 96)
    """

    over: Axes
    keepdim: Flag = False
    function: Text = "mean"


@shape_rule(Reduce)
def _reduce_shape(layer: Reduce, inputs: Inputs, _widths: Widths) -> Shape:
    (shape,) = inputs
    over = {_on_axis(layer, axis, shape) for axis in layer.over}
    sizes = ((1 if axis in over else size, axis) for axis, size in enumerate(shape))
    return tuple(size for size, axis in sizes if layer.keepdim or axis not in over)


@lower_rule(Reduce)
def _reduce(layer: Reduce, inputs: Inputs, output: Shape) -> Rule:
    return _free(layer.function, output, prod(inputs[0][axis] for axis in layer.over))


@dataclass(frozen=True)
class Repeat(Layer):
    """Each axis repeated; missing ones are added in front, as torch does.

    >>> from costmodel import Input, infer
    >>> infer(Network("n", (Input("x", (1, 1, 64)), Repeat("r", (4, 2, 1)))))[-1].output
    (4, 2, 64)
    """

    times: Positives
    function: Text = "repeat"


@order_rule(Repeat)
def _repeat_order(layer: Repeat, order: Order, inputs: Inputs, output: Shape) -> Order | None:
    copies = layer.function in {"repeat", "tile"}
    return None if copies else _expanded(order, inputs[0], output)


@shape_rule(Repeat)
def _repeat_shape(layer: Repeat, inputs: Inputs, _widths: Widths) -> Shape:
    (shape,) = inputs
    if len(shape) > len(layer.times):
        _refuse(layer, f"repeats {len(layer.times)} axes of {_text(shape)}", "name every axis")
    padded = (1,) * (len(layer.times) - len(shape)) + tuple(shape)
    return tuple(size * times for size, times in zip(padded, layer.times, strict=True))


@dataclass(frozen=True)
class Resample(Layer):
    """Spatial axes scaled by numerator/denominator, rounded down; or to a second input's size.

    >>> from costmodel import Input, infer
    >>> infer(Network("n", (Input("map", (1, 64, 7, 7)), Resample("up", 2))))[-1].output
    (1, 64, 14, 14)
    """

    numerator: PerAxis = 1
    denominator: PerAxis = 1
    function: Text = "interpolate"
    arity: ClassVar[int | None] = None


written_rule(Resample)(as_image)


@shape_rule(Resample)
def _resample_shape(layer: Resample, inputs: Inputs, _widths: Widths) -> Shape:
    shape, *like = inputs
    if like:
        return *ranked(layer, shape, 2)[:2], *like[0][2:]
    rank = len(ranked(layer, shape, 3)) - 2
    scales = (axes(value, layer, rank) for value in (layer.numerator, layer.denominator))
    # floor(a/b) = ceil((a − b + 1) / b)
    windows = zip(shape[2:], *scales, strict=True)
    sides = (d * n if b == 1 else ceil_div(d * n - b + 1, b) for d, n, b in windows)
    return *shape[:2], *sides


@dataclass(frozen=True)
class Pad(Layer):
    """Elements added before and after, or with a negative number taken from, the last axes.

    >>> from costmodel import Input, infer
    >>> infer(Network("n", (Input("map", (1, 3, 8, 8)), Pad("pad", ((0, 1), (0, 1))))))[-1].output
    (1, 3, 9, 9)
    """

    amounts: Amounts
    function: Text = "pad"


@shape_rule(Pad)
def _pad_shape(layer: Pad, inputs: Inputs, _widths: Widths) -> Shape:
    (shape,) = inputs
    kept = len(shape) - len(layer.amounts)
    if kept < 0:
        _refuse(layer, f"pads {len(layer.amounts)} axes of {_text(shape)}", "change the amounts")
    sides = zip(shape[kept:], layer.amounts, strict=True)
    return *shape[:kept], *(_padded(layer, size, *amounts) for size, amounts in sides)


def _padded(layer: Pad, size: Dim, before: int, after: int) -> Dim:
    taken = -min(before, 0, after)
    if max(before, after) > 0 and below(size, taken):  # what is added does not make up for it
        _refuse(layer, f"takes {taken} of {size}", "raise the resolution")
    return size + before + after


@dataclass(frozen=True)
class PadSame(Layer):
    """Padding as TensorFlow's "same" has it: what a window needs to make ⌈D / stride⌉ positions.

    >>> from costmodel import Input, infer
    >>> pad = PadSame("pad", kernel=3, stride=2)
    >>> infer(Network("n", (Input("map", (1, 3, 224, 224)), pad)))[-1].output
    (1, 3, 225, 225)
    """

    kernel: PerAxis
    stride: PerAxis = 1
    dilation: PerAxis = 1
    function: Text = "pad"


@shape_rule(PadSame)
def _pad_same_shape(layer: PadSame, inputs: Inputs, _widths: Widths) -> Shape:
    return pad_same(layer, inputs[0])


def pad_same(layer: PadSame, shape: Shape) -> Shape:
    """The shape after the padding."""
    window = (layer.kernel, layer.stride, layer.dilation)
    windows = zip(
        *(axes(value, layer, len(ranked(layer, shape, 3)) - 2) for value in window), strict=True
    )
    sides = []
    for size, (kernel, stride, dilation) in zip(shape[2:], windows, strict=True):
        needed = (ceil_div(size, stride) - 1) * stride + dilation * (kernel - 1) + 1
        # With a symbol a window is taken to be no smaller than its stride, so padding is needed.
        sides.append(needed if is_symbolic(needed) else max(needed, size))
    return *shape[:2], *sides


@dataclass(frozen=True)
class FixedSize(ir.Activation):
    """A view that lets one size through: what reads it has parameters for each position.

    -1 lets every size through, and symbols are taken to be the size they have to be. With
    `modulo` a size need only leave the same remainder: the model branched on it.

    >>> from costmodel import Input, infer
    >>> fixed = FixedSize("fc.input", sizes=(-1, -1, 7, 7))
    >>> infer(Network("n", (Input("map", (1, 512, 8, 8)), fixed)))
    Traceback (most recent call last):
        ...
    costmodel.errors.CostModelError: fc.input: fixes its input's size to *×*×7×7, got 1×512×8×8; \
trace again at that size
    """

    function: Text = "identity"
    sizes: SizesOrAny = ()
    modulo: Positives = ()

    def __post_init__(self) -> None:
        """Check that there is a modulo for each size, or none, too."""
        super().__post_init__()
        if len(self.modulo) not in {0, len(self.sizes)}:
            rule = "modulo must be a positive count for each size"
            raise CostModelError(f"{self.name}: {rule}, got {self.modulo}")


@shape_rule(FixedSize)
def _fixed_shape(layer: FixedSize, inputs: Inputs, _widths: Widths) -> Shape:
    (shape,) = inputs
    if len(shape) != len(layer.sizes):
        _refuse(layer, f"has {len(layer.sizes)} sizes for {_text(shape)}", "change the sizes")
    modulo = layer.modulo or (0,) * len(shape)
    checked = list(zip(shape, layer.sizes, modulo, strict=True))
    if any(_differs(layer, had, size, by) for had, size, by in checked):
        fixed = "×".join("*" if x == -1 else f"{x} mod {m}" if m else str(x) for _, x, m in checked)
        _refuse(layer, f"fixes its input's size to {fixed}, got {_text(shape)}")
    return tuple(had if size == -1 or by else size for had, size, by in checked)


def _differs(layer: FixedSize, had: Dim, size: int, modulo: int) -> bool:
    if size == -1 or (is_symbolic(had) and not hasattr(had, "must_equal")):
        return False
    return (
        not _alike(layer, had % modulo, size % modulo) if modulo else not _alike(layer, had, size)
    )


@dataclass(frozen=True)
class Constant(Layer):
    """A tensor that comes from no input: learned (`parameters` of its own) or made.

    A parameter that no layer uses is one that nothing reads.

    >>> from costmodel import Input, cost
    >>> cost(Network("n", (Input("tokens", (1, 16)), Constant("cls", (1, 1, 768), 768)))).params
    768
    """

    sizes: Counts
    parameters: Count = 0
    arity: ClassVar[int | None] = 0
    may_be_empty: ClassVar[bool] = True

    @property
    def widths(self) -> dict[str, Width]:
        """The axes that may follow the width of what it is added to or joined with.

        Along others (of a parameter that is repeated) it has no parameters.
        """
        scale = {i for i, size in enumerate(self.sizes) if size > 1 and not self.parameters % size}
        return {f"{self.name}[{axis}]": self.sizes[axis] for axis in scale}

    def with_widths(self, widths: Mapping[str, Width]) -> Self:
        """The constant with others, and as many parameters for each position as before."""
        sizes = [widths.get(f"{self.name}[{i}]", size) for i, size in enumerate(self.sizes)]
        parameters: Dim = self.parameters
        for before, after in zip(self.sizes, sizes, strict=True):
            parameters = parameters if after is before else exact_div(parameters * after, before)
        return self.evolve(sizes=tuple(sizes), parameters=parameters)


@shape_rule(Constant)
def _constant_shape(layer: Constant, _inputs: Inputs, _widths: Widths) -> Shape:
    return layer.sizes


@lower_rule(Constant)
def _constant(layer: Constant, _inputs: Inputs, _output: Shape) -> Rule:
    own = (Parameter(layer.name, "weight", layer.parameters),) if layer.parameters else ()
    return (), own


@dataclass(frozen=True)
class Recorded(Layer):
    """An operator whose sizes are only known as they were traced; it refuses any others.

    What its products write are its `activations`: its own output, unless it says how many.

    >>> from costmodel import Input, infer
    >>> gather = Recorded("gather", "index", reads=((1, 16),), sizes=(1, 4))
    >>> infer(Network("n", (Input("tokens", (1, 17)), gather)))
    Traceback (most recent call last):
        ...
    costmodel.errors.CostModelError: gather: index fixes its input's size to 1×16, got 1×17; \
trace again at that size
    """

    function: Text
    reads: Shapes
    sizes: Counts
    macs: Count = 0
    activations: Count = 0
    arity: ClassVar[int | None] = None
    may_be_empty: ClassVar[bool] = True


@shape_rule(Recorded)
def _recorded_shape(layer: Recorded, inputs: Inputs, _widths: Widths) -> Shape:
    if inputs != layer.reads and not _recorded_so(layer, inputs):
        pairs = zip(layer.reads, inputs, strict=False)
        had, got = next(((a, b) for a, b in pairs if a != b), (layer.reads[0], inputs[0]))
        _refuse(layer, f"{layer.function} fixes its input's size to {_text(had)}, got {_text(got)}")
    return layer.sizes


def _recorded_so(layer: Recorded, inputs: Inputs) -> bool:
    if list(map(len, inputs)) != list(map(len, layer.reads)):
        return False
    pairs = zip(chain(*inputs), chain(*layer.reads), strict=True)
    return all(size == had or _alike(layer, size, had) for size, had in pairs)


@lower_rule(Recorded)
def _recorded(layer: Recorded, _inputs: Inputs, output: Shape) -> Rule:
    if layer.macs:
        written = (layer.activations,) if layer.activations else output
        return (LoopNest(1, 1, 1, layer.macs, (), (), weighted=False, written=written),), ()
    return _free(layer.function, output)


@dataclass(frozen=True)
class Unknown(Recorded):
    """An operator that no rule knows: its cost is missing, and every total is a lower bound.

    >>> from costmodel import Input, cost
    >>> fft = Unknown("fft", "fft_rfft", reads=((1, 16),), sizes=(1, 9))
    >>> cost(Network("n", (Input("signal", (1, 16)), fft)))
    Cost(params=≥0, macs=≥0, activations=≥0, unknown=('fft',))
    """


@lower_rule(Unknown)
def _unknown(_layer: Unknown, _inputs: Inputs, _output: Shape) -> tuple[None, tuple[()]]:
    return None, ()


@lower_rule(Join)
@lower_rule(Pad)
@lower_rule(PadSame)
@lower_rule(Permute)
@lower_rule(Repeat)
@lower_rule(Resample)
@lower_rule(Reshape)
@lower_rule(Slice)
@lower_rule(Split)
def _move(layer: Any, _inputs: Inputs, output: Shape) -> Rule:
    return _free(layer.function, output)
