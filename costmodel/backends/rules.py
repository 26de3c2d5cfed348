"""Each layer as a torch module: torch's own, or its operator in one.

What a layer costs is exact. What it computes is the original's, but for what no layer says: the
epsilon of a normalisation, the mode of an interpolation or a padding other than zeros, a scale
or a causal mask inside fused attention, and the values of a constant that is no parameter.
"""

from __future__ import annotations

import operator
from functools import partial, reduce
from math import prod
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from costmodel import layers as ir
from costmodel.backends.modules import Add, Attention, Concat, Constant, Crop, Function, Learned
from costmodel.backends.rule import build_rule, of_rank
from costmodel.core.relations import count
from costmodel.core.shapes import axes
from costmodel.errors import CostModelError
from costmodel.layers.named import ELEMENTWISE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from costmodel.core.fields import Shape
    from costmodel.core.layer import Inputs

_OF_ONE = """
abs acos asin atan ceil celu clone cos cosh elu erf erfc exp expm1 floor frac hardtanh leaky_relu
log log10 log1p log2 logsigmoid neg normalize ones_like reciprocal relu relu6 round rsqrt selu
sigmoid sign sin sinh softplus softsign sqrt square tan tanh tanhshrink trunc zeros_like
"""
_OF_MORE = """
add atan2 clamp clamp_max clamp_min div divide eq floor_divide fmax fmin ge gt hypot le logaddexp lt
maximum minimum mul multiply ne pow remainder rsub sub subtract threshold true_divide where
"""
_TYPES = """
alias bfloat16 bool cpu data detach double float half int long positive to type type_as
alpha_dropout dropout1d dropout2d dropout3d feature_alpha_dropout
"""
#: Elementwise functions that are torch's by the same name: of a tensor, and of more or of numbers.
_UNARY, _BINARY = frozenset(_OF_ONE.split()), frozenset(_OF_MORE.split())
#: Those that leave the numbers as they are: what differs is their type.
_IDENTITIES = frozenset(_TYPES.split())


def _over_last(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A softmax, over the last axis where no number says which."""
    return lambda x, axis=-1: function(x, int(axis))


def _reversed(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The function of the operands in the other order."""
    return lambda left, right: function(right, left)


#: torch's module of each function that an Activation may name, and its arguments.
FUNCTIONS: dict[str, tuple[str, tuple[float, ...]]] = {
    **{name: (row.module, ()) for name, row in ELEMENTWISE.items() if row.module},
    "local_response_norm": ("LocalResponseNorm", (5, 1e-4, 0.75, 2)),  # Krizhevsky 2012, §3.3
}


def _named(name: str) -> Callable[..., Tensor]:
    """torch's function of that name, wherever it is."""
    function: Callable[..., Tensor] = getattr(torch, name, None) or getattr(functional, name)
    return function


#: Functions of one tensor, whose numbers torch has by default.
_ALONE: dict[str, Callable[..., Tensor]] = {
    **{name: _named(name) for name in _UNARY},
    **dict.fromkeys(_IDENTITIES, lambda x: x),
    "contiguous": Tensor.contiguous,
    "log_softmax": _over_last(torch.log_softmax),
    "softmax": _over_last(torch.softmax),
}
#: Functions of several tensors, or of one and of numbers.
_TOGETHER: dict[str, Callable[..., Tensor]] = {
    **{name: _named(name) for name in _BINARY},
    "and": operator.and_,
    "broadcast_to": Tensor.expand_as,
    "expand": Tensor.expand_as,
    "expand_as": Tensor.expand_as,
    "floordiv": operator.floordiv,
    "mod": operator.mod,
    "or": operator.or_,
    "rdiv": _reversed(operator.truediv),
    "rpow": _reversed(operator.pow),
    "rtruediv": _reversed(operator.truediv),
    "truediv": operator.truediv,
    "xor": operator.xor,
}


def _function(layer: Any, known: Mapping[str, Callable[..., Tensor]]) -> Callable[..., Tensor]:
    """What a layer's function is in torch, in place or not."""
    name: str = layer.function.strip("_")
    if layer.function.startswith("__") and name[:1] in {"i", "r"} and name not in known:
        name = name[1:]  # `__iadd__` and `__radd__` are add
    if name in known:
        return known[name]
    if name in _TOGETHER:
        what = f"{layer.function} of a number that is not known cannot be built"
        raise CostModelError(f"{layer.name}: {what}; make it a WithNumbers")
    raise CostModelError(
        f"{layer.name}: function must be one of {', '.join(dict.fromkeys((*FUNCTIONS, *known)))} "
        f"to be built, got {layer.function!r}"
    )


def elementwise(layer: ir.Activation) -> nn.Module:
    """The module of an elementwise function of one input, by its name in torch.

    >>> import torch
    >>> elementwise(ir.Activation("act", "abs"))(torch.tensor([-2.0]))
    tensor([2.])

    Raises CostModelError for a function that is not known.
    """
    name = layer.function.rstrip("_")
    if name in FUNCTIONS and name != layer.function:
        module: nn.Module = build_rule[ir.Activation](layer.evolve(function=name), (), ())
        return module
    return Function(_function(layer, _ALONE))


@build_rule(ir.Conv)
def _conv(layer: ir.Conv, inputs: Inputs, output: Shape) -> nn.Module:
    (shape,) = inputs
    rank = len(output) - 2
    window = (layer.kernel, layer.stride, layer.padding, layer.dilation)
    module: nn.Module = of_rank(layer, "Conv", rank)(
        shape[1],
        output[1],
        *(axes(value, layer, rank) for value in window),
        groups=count(layer.groups, shape[1], {}),
        bias=layer.bias,
    )
    return module


@build_rule(ir.Linear)
def _linear(layer: ir.Linear, inputs: Inputs, output: Shape) -> nn.Module:
    return nn.Linear(inputs[0][-1], output[-1], bias=layer.bias)


@build_rule(ir.BatchNorm)
def _batch_norm(layer: ir.BatchNorm, _inputs: Inputs, output: Shape) -> nn.Module:
    kind = of_rank(layer, "BatchNorm", max(1, len(output) - 2))  # BatchNorm1d takes vectors too
    module: nn.Module = kind(output[1], affine=layer.affine)
    return module


@build_rule(ir.Activation)
@build_rule(ir.FixedSize)
def _activation(layer: ir.Activation, _inputs: Inputs, _output: Shape) -> nn.Module:
    if layer.function not in FUNCTIONS:
        return elementwise(layer)
    kind, arguments = FUNCTIONS[layer.function]
    module: nn.Module = getattr(nn, kind)(*arguments)
    return module


@build_rule(ir.Pool)
def _pool(layer: ir.Pool, _inputs: Inputs, output: Shape) -> nn.Module:
    rank = len(output) - 2
    window = (axes(x, layer, rank) for x in (layer.kernel, layer.stride, layer.padding))
    kind = of_rank(layer, {"average": "AvgPool", "max": "MaxPool"}[layer.kind], rank)
    module: nn.Module = kind(*window, ceil_mode=layer.ceil_mode)
    return module


@build_rule(ir.AdaptivePool)
def _adaptive(layer: ir.AdaptivePool, _inputs: Inputs, output: Shape) -> nn.Module:
    kind = {"average": "AdaptiveAvgPool", "max": "AdaptiveMaxPool"}[layer.kind]
    module: nn.Module = of_rank(layer, kind, len(output) - 2)(output[2:])
    return module


@build_rule(ir.Add)
def _add(_layer: ir.Layer, _inputs: Inputs, _output: Shape) -> nn.Module:
    return Add()


@build_rule(ir.Concat)
def _concat(_layer: ir.Layer, _inputs: Inputs, _output: Shape) -> nn.Module:
    return Concat()


@build_rule(ir.Flatten)
def _flatten(_layer: ir.Layer, _inputs: Inputs, _output: Shape) -> nn.Module:
    return nn.Flatten()


@build_rule(ir.CropAndResize)
def _crop(layer: ir.CropAndResize, _inputs: Inputs, _output: Shape) -> nn.Module:
    return Crop(layer.proposals, layer.output_size)


@build_rule(ir.WithNumbers)
def _with_numbers(layer: ir.WithNumbers, _inputs: Inputs, _output: Shape) -> nn.Module:
    function = _function(layer, _ALONE | _TOGETHER)
    return Function(lambda x: function(x, *layer.numbers))


@build_rule(ir.Combine)
def _combine(layer: ir.Combine, inputs: Inputs, _output: Shape) -> nn.Module:
    function = _function(layer, _TOGETHER)
    if layer.function == "where" or len(inputs) == 1:
        return Function(function)
    return Function(lambda *tensors: reduce(function, tensors))


@build_rule(ir.TransposedConv)
def _transposed(layer: ir.TransposedConv, inputs: Inputs, output: Shape) -> nn.Module:
    ((_, channels, *sizes),) = inputs
    window = (layer.kernel, layer.stride, layer.padding, layer.output_padding)
    module: nn.Module = of_rank(layer, "ConvTranspose", len(sizes))(
        channels,
        output[1],
        *(axes(value, layer, len(sizes)) for value in window),
        groups=count(layer.groups, channels, {}),
        bias=layer.bias,
        dilation=axes(layer.dilation, layer, len(sizes)),
    )
    return module


@build_rule(ir.Filter)
def _filter(layer: ir.Filter, inputs: Inputs, output: Shape) -> nn.Module:
    module: nn.Module = build_rule[ir.Conv](layer, inputs, output)
    weight = module.get_parameter("weight").detach()
    del module.weight
    module.register_buffer("weight", weight)
    return module


@build_rule(ir.Affine)
def _affine(layer: ir.Affine, inputs: Inputs, _output: Shape) -> nn.Module:
    (shape,) = inputs
    if layer.function in _NORMS:
        return _without_bias(_NORMS[layer.function](layer, shape), layer)
    if layer.function == "channel_shuffle":
        return nn.ChannelShuffle(layer.groups)
    if layer.function == "prelu":
        return nn.PReLU(prod(shape[axis] for axis in layer.along))
    if layer.tensors != 1:
        raise CostModelError(
            f"{layer.name}: {layer.function} with {layer.tensors} learned tensors has no module; "
            "use one elementwise function for each"
        )
    along = {axis % len(shape) for axis in layer.along}
    sizes = [size if axis in along else 1 for axis, size in enumerate(shape)]
    return Learned(_function(layer, _TOGETHER), sizes[min(along, default=len(shape)) :])


def _normalised(layer: ir.Affine, shape: Shape) -> list[int]:
    return [shape[axis] for axis in layer.along]


#: Normalisations, with torch's own epsilon. Batch norm has running statistics.
_NORMS: dict[str, Callable[[ir.Affine, Shape], nn.Module]] = {
    "batch_norm": lambda layer, shape: of_rank(layer, "BatchNorm", max(1, len(shape) - 2))(
        shape[1], affine=layer.tensors > 0
    ),
    "group_norm": lambda layer, shape: nn.GroupNorm(
        layer.groups, shape[1], affine=layer.tensors > 0
    ),
    "instance_norm": lambda layer, shape: of_rank(layer, "InstanceNorm", len(shape) - 2)(
        shape[1], affine=layer.tensors > 0
    ),
    "layer_norm": lambda layer, shape: nn.LayerNorm(
        _normalised(layer, shape), elementwise_affine=layer.tensors > 0
    ),
    "rms_norm": lambda layer, shape: nn.RMSNorm(
        _normalised(layer, shape), elementwise_affine=layer.tensors > 0
    ),
}


def _without_bias(module: nn.Module, layer: ir.Affine) -> nn.Module:
    """With one learned tensor a normalisation has a scale and no shift."""
    if layer.tensors == 1:
        module.register_parameter("bias", None)
    return module


@build_rule(ir.Embedding)
def _embedding(layer: ir.Embedding, _inputs: Inputs, output: Shape) -> nn.Module:
    return _Lookup(layer.rows, output[-1])


class _Lookup(nn.Embedding):
    """A table that takes rows of any dtype, as the images of a cross-check are."""

    def forward(self, rows: Tensor) -> Tensor:
        return super().forward(rows.long())


@build_rule(ir.Einsum)
def _einsum(layer: ir.Einsum, _inputs: Inputs, _output: Shape) -> nn.Module:
    left, _, right = layer.equation.partition("->")[0].partition(",")
    if layer.function == "matmul" and layer.equation == _product(left, right):
        return Function(torch.matmul)
    return Function(partial(torch.einsum, layer.equation))


def _product(left: str, right: str) -> str:
    """The equation of torch.matmul for operands so indexed; nothing where it has none."""
    short, batch = sorted((left[:-2], right[:-2]), key=len)
    if not batch.endswith(short) or left[-1:] != right[-2:-1]:
        return ""
    return f"{left},{right}->{batch}{left[-2:-1]}{right[-1:]}"


@build_rule(ir.DotProductAttention)
def _attention(layer: ir.DotProductAttention, _inputs: Inputs, _output: Shape) -> nn.Module:
    return Attention(layer.heads)


@build_rule(ir.Reshape)
def _reshape(_layer: ir.Reshape, _inputs: Inputs, output: Shape) -> nn.Module:
    sizes = (-1, *output[1:]) if output else ()  # for any batch
    return Function(lambda x, *_: x.reshape(sizes))


@build_rule(ir.Permute)
def _permute(layer: ir.Permute, _inputs: Inputs, _output: Shape) -> nn.Module:
    return Function(lambda x: x.permute(layer.order))


@build_rule(ir.Split)
def _split(layer: ir.Split, _inputs: Inputs, _output: Shape) -> nn.Module:
    return Function(lambda x: x.chunk(layer.parts, layer.along)[layer.part])


@build_rule(ir.Slice)
def _slice(layer: ir.Slice, _inputs: Inputs, _output: Shape) -> nn.Module:
    items = tuple(slice(*item) if isinstance(item, tuple) else item for item in layer.items)
    return Function(lambda x: x[items])


@build_rule(ir.Join)
def _join(layer: ir.Join, _inputs: Inputs, _output: Shape) -> nn.Module:
    return Function(lambda *tensors: torch.cat(tensors, layer.along))


#: Reductions that take several axes and whether to keep them, by the name of torch's.
_REDUCTIONS: dict[str, str] = {
    **{name: name for name in ("mean", "sum", "nansum", "amax", "amin", "var", "std", "logsumexp")},
    "max": "amax",
    "min": "amin",
}


@build_rule(ir.Reduce)
def _reduce(layer: ir.Reduce, _inputs: Inputs, _output: Shape) -> nn.Module:
    if layer.function not in _REDUCTIONS:
        known = ", ".join(_REDUCTIONS)
        raise CostModelError(
            f"{layer.name}: function must be one of {known} to be built, got {layer.function!r}"
        )
    function = getattr(torch, _REDUCTIONS[layer.function])
    return Function(lambda x: function(x, dim=layer.over, keepdim=layer.keepdim))


@build_rule(ir.Repeat)
def _repeat(layer: ir.Repeat, inputs: Inputs, _output: Shape) -> nn.Module:
    if layer.function in {"repeat", "tile"}:
        return Function(lambda x: x.repeat(layer.times))
    new = len(layer.times) - len(inputs[0])
    sizes = [-1] * new + list(inputs[0])
    kept = [
        -1 if times == 1 and axis >= new else times * max(size, 1)
        for axis, (times, size) in enumerate(zip(layer.times, sizes, strict=True))
    ]
    return Function(lambda x: x.expand(kept))


@build_rule(ir.Resample)
def _resample(layer: ir.Resample, _inputs: Inputs, output: Shape) -> nn.Module:
    pools = layer.function.startswith("adaptive")
    function = getattr(functional, layer.function) if pools else functional.interpolate
    return Function(lambda x, *_: function(x, output[2:]))


@build_rule(ir.Pad)
def _pad(layer: ir.Pad, _inputs: Inputs, _output: Shape) -> nn.Module:
    return _padding(layer.amounts)


@build_rule(ir.PadSame)
def _pad_same(_layer: ir.PadSame, inputs: Inputs, output: Shape) -> nn.Module:
    added = [after - size for size, after in zip(inputs[0][2:], output[2:], strict=True)]
    return _padding([(both // 2, both - both // 2) for both in added])


def _padding(amounts: Sequence[tuple[int, int]]) -> nn.Module:
    """Zeros before and after; torch has the last axis first."""
    flat = [amount for pair in reversed(amounts) for amount in pair]
    return Function(lambda x: functional.pad(x, flat))


@build_rule(ir.Constant)
def _constant(layer: ir.Constant, _inputs: Inputs, output: Shape) -> nn.Module:
    return Constant(output, layer.parameters)


@build_rule(ir.Recorded)
@build_rule(ir.Unknown)
def _recorded(layer: ir.Recorded, _inputs: Inputs, _output: Shape) -> nn.Module:
    kind = (
        "an unknown function"
        if layer.lowered(layer.reads, layer.sizes)[0] is None
        else "known by its sizes alone"
    )
    raise CostModelError(
        f"{layer.name}: {layer.function} is {kind} and cannot be built; drop it or register a "
        "build_rule for a layer of your own"
    )
