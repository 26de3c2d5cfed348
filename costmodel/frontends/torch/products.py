"""Convolutions, matrix products and attention: what multiplies and accumulates."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from costmodel import layers as ir
from costmodel.core.relations import SAME, Times
from costmodel.frontends.origins import Notice
from costmodel.frontends.torch.calls import (
    Call,
    Result,
    Value,
    handles,
    others,
    per_axis,
    spread,
    values_in,
)
from costmodel.frontends.torch.shaping import inserted

if TYPE_CHECKING:
    from costmodel.frontends.torch.calls import Sizes


@handles("conv1d", "conv2d", "conv3d", counted=True)
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
    outputs, inputs, *kernel = weight.shape
    rank = len(kernel)
    macs = prod(call.shape) * inputs * prod(kernel)
    same = _same_padding(padding, kernel, dilation, rank)
    if same is None:
        call.graph.noticed.add(Notice.SAME_OF_EVEN)
    if len(x.shape) != rank + 2:
        call.graph.noticed.add(Notice.NO_BATCH)
    if len(x.shape) != rank + 2 or same is None or not weight.is_constant:
        return call.recorded((x, weight), macs)
    width, divided = _channels(x.shape[1], outputs, groups)
    _pad_as_tensorflow(call, x, (kernel, stride, dilation, same), rank)
    window = [per_axis(value, rank) for value in (kernel, stride, same, dilation)]
    weights = call.weights(weight, bias)
    if weights is None:
        return call.emit(ir.Filter, width, *window, divided, reads=(x,))
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
    if layer is None or (layer.name, getattr(layer, "function", "")) != (x.layer, "pad"):
        return
    shapes = tuple(graph.shapes[name] for name in layer.inputs)
    kernel, stride, dilation, padding = (per_axis(value, rank) for value in window)
    same = ir.PadSame(layer.name, kernel, stride, dilation, inputs=layer.inputs)
    if layer.recorded and padding == 0 and same.output_shape(shapes, {}) == x.shape:
        graph.layers[-1] = same
        # Whatever the remainder is, the padding makes up for it.
        graph.remainders = [r for r in graph.remainders if r[0].layer not in layer.inputs]


@handles("conv_transpose1d", "conv_transpose2d", "conv_transpose3d", counted=True)
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
    _, outputs, *kernel = weight.shape
    rank = len(kernel)
    weights = call.weights(weight, bias) if len(x.shape) == rank + 2 else None
    if weights is None:
        return call.recorded((x, weight), prod(x.shape) * outputs * prod(kernel))
    width, divided = _channels(x.shape[1], outputs * groups, groups)
    window = (kernel, stride, padding, output_padding, dilation)
    fields = (width, *(per_axis(v, rank) for v in window), divided, weights.bias, weights.shares)
    return call.finish(call.emit(ir.TransposedConv, *fields, reads=(x,)), weights, 1)


@handles("linear", counted=True)
def _linear(call: Call, x: Value, weight: Value, bias: Value | None = None) -> Result:
    return _product(call, x, weight, bias, transposed=True)


@handles("convolution", counted=True)
def _convolution(  # noqa: PLR0913, PLR0917 - as torch has it
    call: Call,
    x: Value,
    weight: Value,
    bias: Value | None,
    stride: Any,
    padding: Any,
    dilation: Any,
    transposed: bool,  # noqa: FBT001
    output_padding: Any,
    groups: int,
) -> Result:
    if transposed:
        window = (stride, padding, output_padding, groups, dilation)
        return _transposed(call, x, weight, bias, *window)
    return _conv(call, x, weight, bias, stride, padding, dilation, groups)


@handles("matmul", "linalg_matmul", "bmm", "mm", "__matmul__", "mv", "dot", "vdot", counted=True)
def _matmul(call: Call, left: Value, *right: Value, **named: Value) -> Result:
    return _product(call, left, *_operands(right, named))


def _operands(given: tuple[Value, ...], named: dict[str, Any]) -> list[Value]:
    """Factors in their order, which is that of the names torch gives them: mat1 and mat2."""
    names = sorted(named.keys() - {"out", "alpha"})
    return [*given, *(named[name] for name in names)]


@handles("__rmatmul__", counted=True)
def _rmatmul(call: Call, right: Value, left: Value) -> Result:
    return _product(call, left, right)


@handles("addmm", "baddbmm", "addmv", "addbmm", counted=True)
def _addmm(call: Call, bias: Value, *factors: Value, beta: Any = 1, **named: Any) -> Result:
    left, right = _operands(factors, named)
    added = None if beta == 0 else bias
    if call.function != "addbmm":
        return _product(call, left, right, added)
    result = call.emit(ir.Einsum, "bmk,bkn->mn", call.function, reads=(left, right))
    return result if added is None else _added(call, result, added)


@handles("inner", counted=True)
def _inner(call: Call, left: Value, *right: Value, **named: Value) -> Result:
    (right_,) = _operands(right, named)
    ranks = len(left.shape), len(right_.shape)
    if 0 in ranks:
        return None  # times a number
    if ranks == (1, 1) or ranks[1] == 2:  # noqa: PLR2004
        return _product(call, left, right_, transposed=True)
    return _tensordot(call, left, right_, ([-1], [-1]))


@handles("chain_matmul", "linalg_multi_dot", counted=True)
def _chain(call: Call, *matrices: Any) -> Result:
    """Products in the order of the fewest MACs, as torch does: it depends on all of the sizes."""
    chain = list(values_in(matrices))
    if len(chain) == 1:
        return None  # a copy
    if len(chain) > 2:  # noqa: PLR2004
        chain = [x if x.is_constant else _pinned(call, x) for x in chain]
    row, column = len(chain[0].shape) == 1, len(chain[-1].shape) == 1
    if row:
        chain[0] = inserted(call, chain[0], 0)
    if column:
        chain[-1] = inserted(call, chain[-1], 1)
    result = _multiplied(call, chain, _splits([x.shape[0] for x in chain] + [chain[-1].shape[1]]))
    runs = ((1, () if row else (-1,)), (1, () if column else (-1,)))
    return call.emit(ir.Reshape, runs, "view", reads=(result,)) if row or column else result


def _pinned(call: Call, x: Value) -> Value:
    return call.emit(ir.FixedSize, sizes=x.shape, reads=(x,), shape=x.shape, suffix="sizes")


def _splits(sizes: list[int]) -> dict[tuple[int, int], int]:
    """By a run's first and last factor, the one before which it is best split."""
    count = len(sizes) - 1
    least = {(i, i): 0 for i in range(count)}
    splits: dict[tuple[int, int], int] = {}
    for i, j in ((i, i + length) for length in range(1, count) for i in range(count - length)):
        macs = {
            k: least[i, k - 1] + least[k, j] + sizes[i] * sizes[k] * sizes[j + 1]
            for k in (range(j, i, -1) if count == 3 else range(i + 1, j + 1))  # noqa: PLR2004 - torch's ties
        }
        splits[i, j] = min(macs, key=macs.__getitem__)
        least[i, j] = macs[splits[i, j]]
    return splits


def _multiplied(call: Call, chain: list[Value], splits: dict[tuple[int, int], int]) -> Value:
    def run(i: int, j: int) -> Value:
        if i == j:
            return chain[i]
        left, right = run(i, splits[i, j] - 1), run(splits[i, j], j)
        shape = (left.shape[0], right.shape[1])
        return call.emit(ir.Einsum, "mk,kn->mn", reads=(left, right), shape=shape)

    return run(0, len(chain) - 1)


@handles("matrix_power", "linalg_matrix_power", counted=True)
def _matrix_power(call: Call, x: Value, n: int) -> Result:
    """By repeated squaring, as torch does."""
    if n < 0:
        return call.unknown([x])  # of an inverse
    equation = _matmul_equation(len(x.shape), len(x.shape), transposed=False)
    if n < 2:  # noqa: PLR2004
        return None  # ones on a diagonal, or a copy
    square, power = x, x if n % 2 else None
    while n := n // 2:
        square = call.emit(ir.Einsum, equation, reads=(square, square))
        if n % 2:
            power = (
                square if power is None else call.emit(ir.Einsum, equation, reads=(power, square))
            )
    return power


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
            result = call.emit(ir.Linear, *fields, reads=(left,), shape=shape)
            result = call.finish(result, weights, -1)
            return _added(call, result, bias) if alone and bias is not None else result
    equation = _matmul_equation(len(left.shape), len(right.shape), transposed=transposed)
    kernel = call.origin.detail if not transposed else ""
    is_vector = kernel == "mv" if kernel else len(right.shape) == 1
    function = "mv" if is_vector else "matmul"
    result = call.emit(ir.Einsum, equation, function, reads=(left, right))
    return result if bias is None else _added(call, result, bias)


def _added(call: Call, result: Value, bias: Value) -> Value:
    if call.graph.parameter(bias) and len(bias.shape) == 1:
        return call.affine(result, (-1,), (bias,), function="add", suffix="bias")
    return call.emit(ir.Combine, "add", reads=(result, bias), suffix="add")


def _matmul_equation(left: int, right: int, *, transposed: bool) -> str:
    """Of torch.matmul: batches are broadcast, vectors have one index."""
    batch = "ABCDEFGHIJ"[: max(left, right, 2) - 2]
    first = batch[len(batch) - max(left - 2, 0) :] + ("mk" if left > 1 else "k")
    columns = "nk" if transposed else "kn"
    second = batch[len(batch) - max(right - 2, 0) :] + (columns if right > 1 else "k")
    return f"{first},{second}->{batch}{'m' * (left > 1)}{'n' * (right > 1)}"


@handles("einsum", counted=True)
def _einsum(call: Call, equation: str, *operands: Any) -> Result:
    reads = list(values_in(operands))
    if any(isinstance(operand, list) for operand in operands):
        call.graph.noticed.add(Notice.EINSUM_OF_A_LIST)
    if len(reads) == 1:
        return call.recorded(reads)  # summed, its axes in another order
    written = _explicit(equation.replace(" ", ""), [len(x.shape) for x in reads])
    if written is None:
        return [call.unknown(reads)]
    return _contracted(call, written, reads)


def _contracted(call: Call, equation: str, reads: list[Value]) -> Value:
    """Operands multiplied from left to right, each index kept while someone needs it."""
    terms, _, output = equation.partition("->")
    first, *others_ = terms.split(",")
    result = reads[0]
    for i, (term, value) in enumerate(zip(others_, reads[1:], strict=True)):
        needed = set(output).union(*others_[i + 1 :])
        last = i + 2 == len(reads)
        kept = output if last else "".join(x for x in dict.fromkeys(first + term) if x in needed)
        sizes = dict(zip(first + term, result.shape + value.shape, strict=True))
        shape = call.shape if last else tuple(sizes[letter] for letter in kept)
        fields = (f"{first},{term}->{kept}", "einsum")
        result, first = call.emit(ir.Einsum, *fields, reads=(result, value), shape=shape), kept
    return result


@handles("tensordot", counted=True)
def _tensordot(call: Call, left: Value, right: Value, dims: Any = 2, **_: object) -> Result:
    rank, other = len(left.shape), len(right.shape)
    pairs = ([*range(rank - dims, rank)], [*range(dims)]) if isinstance(dims, int) else dims
    first, second = _LETTERS[:rank], list(_LETTERS[rank : rank + other])
    for a, b in zip(*(spread(axes, 1) for axes in pairs), strict=True):
        second[b] = first[a]
    shared = set(first) & set(second)
    if not shared:  # to torch a product of matrices over one element
        return call.recorded((left, right), prod(call.shape))
    output = "".join(x for x in [*first, *second] if x not in shared)
    equation = f"{first},{''.join(second)}->{output}"
    function = call.function if output else "mv"
    return call.emit(ir.Einsum, equation, function, reads=(left, right))


_LETTERS = "abcdefghijklmnopqrstuvwxyz"


_RECURRENT = ("lstm", "gru", "rnn_tanh", "rnn_relu")


@handles(*_RECURRENT, *(f"{name}_cell" for name in _RECURRENT), counted=True)
def _recurrent(call: Call, x: Value, *others_: Any, **named: Any) -> Result:
    """Every step multiplies by each matrix once: of every layer, in every direction.

    Each product is a linear layer's, so its outputs are activations, as those of `linear` are.
    """
    lists = [given for given in others_ if isinstance(given, (tuple, list))]
    weights = others_[1:3] if call.function.endswith("_cell") else lists[-1]
    matrices = [value.shape for value in weights if len(value.shape) > 1]
    steps = prod(x.shape[:-1])  # of a packed sequence the first axis is all of its steps
    result = call.recorded(
        [x, *values_in((others_, named))],
        steps * sum(map(prod, matrices)),
        activations=steps * sum(rows for rows, _ in matrices),
    )
    return [result, *others(call, result)]


def _explicit(equation: str, ranks: list[int]) -> str | None:
    """The equation with an output and without an ellipsis; None where a term repeats an index."""
    left, arrow, right = equation.partition("->")
    terms = left.split(",")
    spare = [letter for letter in "ZYXWVUTSRQPONMLKJIHGFEDCBA" if letter not in equation]
    if len(terms) != len(ranks) or any(
        len(set(t) - {"."}) != len(t.replace(".", "")) for t in terms
    ):
        return None
    hidden = [rank - len(t.replace("...", "")) for t, rank in zip(terms, ranks, strict=True)]
    whole = "".join(spare[: max(hidden)])
    if not arrow:
        letters = left.replace(",", "").replace(".", "")
        right = "..." * ("." in left) + "".join(x for x in sorted(letters) if letters.count(x) == 1)
    full = [t.replace("...", whole[len(whole) - n :]) for t, n in zip(terms, hidden, strict=True)]
    return f"{','.join(full)}->{right.replace('...', whole)}"


@handles("scaled_dot_product_attention", counted=True)
def _attention(
    call: Call,
    query: Value,
    key: Value,
    value: Value,
    attn_mask: Value | None = None,
    *_: object,
    **__: object,
) -> Result:
    reads = [query, key, value]
    if attn_mask is not None and len(attn_mask.shape) > 1:
        reads.append(attn_mask)
    return call.emit(ir.DotProductAttention, reads=reads)


@handles("multi_head_attention_forward", counted=True)
def _multi_head(call: Call, *args: Any, **kwargs: Any) -> Result:
    given = dict(zip(_MULTI_HEAD, args, strict=False)) | kwargs
    alone = len(given["query"].shape) == 2  # noqa: PLR2004 - tokens and features, without a batch
    if alone:
        batched = {x: inserted(call, x, 1) for x in [given[name] for name in _MULTI_HEAD[:3]]}
        given |= {name: batched[given[name]] for name in _MULTI_HEAD[:3]}
    query, keys, values = _projected(call, given)
    keys = _extended(call, keys, given["bias_k"], given["add_zero_attn"])
    values = _extended(call, values, given["bias_v"], given["add_zero_attn"])
    attended = call.emit(
        ir.DotProductAttention,
        given["num_heads"],
        reads=(query, keys, values),
        shape=query.shape,
        suffix="attention",
    )
    weight, bias = given["out_proj_weight"], given["out_proj_bias"]
    output = _part(call, "out_proj", query.shape, attended, weight, bias)
    if alone:
        output = call.emit(
            ir.Reshape, ((1, (-1,)), (1, ()), (1, (-1,))), "squeeze", reads=(output,)
        )
    return [output, *others(call, output)]


def _extended(call: Call, tokens: Value, bias: Value | None, zero: bool) -> Value:  # noqa: FBT001
    """Keys or values with a learned one behind them, and one of zeros."""
    count, batch, features = tokens.shape
    if bias is not None:
        times, shape = (1, batch, 1), (1, batch, features)
        row = call.emit(ir.Repeat, times, reads=(bias,), shape=shape, suffix="repeat")
        count += 1
        shape = (count, batch, features)
        tokens = call.emit(ir.Join, 0, "cat", reads=(tokens, row), shape=shape, suffix="cat")
    if zero:
        amounts, shape = ((0, 1), (0, 0), (0, 0)), (count + 1, batch, features)
        tokens = call.emit(ir.Pad, amounts, reads=(tokens,), shape=shape, suffix="pad")
    return tokens


_MULTI_HEAD = (
    *("query", "key", "value", "embed_dim_to_check", "num_heads", "in_proj_weight"),
    *("in_proj_bias", "bias_k", "bias_v", "add_zero_attn", "dropout_p"),
    *("out_proj_weight", "out_proj_bias"),
)


def _part(call: Call, suffix: str, shape: Sizes, *arguments: Value | None) -> Any:
    """A linear layer inside a call."""
    inner = Call(call.graph, call.path, f"{call.base}.{suffix}", "linear", [shape], call.origin)
    return _linear(inner, *arguments)


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
        return [
            call.emit(ir.Split, 3, 2, part=i, reads=(x,), suffix="split", shape=shapes[0])
            for i, x in enumerate(reads)
        ]
    square = (features, weight.shape[1])
    weights = [
        call.emit(ir.Split, 3, 0, part=i, reads=(weight,), suffix="split", shape=square)
        for i in range(3)
    ]
    parts = zip(names, shapes, reads, weights, strict=True)
    return [_part(call, *part, None) for part in parts]
