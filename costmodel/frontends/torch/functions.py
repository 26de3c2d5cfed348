"""Every other function: normalisation, pooling, elementwise and unknown ones."""

from __future__ import annotations

from math import isfinite, prod
from typing import Any

from costmodel import layers as ir
from costmodel.errors import CostModelError
from costmodel.frontends.origins import Notice
from costmodel.frontends.torch import products, shaping  # noqa: F401 - they register their handlers
from costmodel.frontends.torch.calls import (
    COUNTED,
    HANDLERS,
    Call,
    Extent,
    Result,
    Value,
    handles,
    is_broadcast,
    others,
    per_axis,
    spread,
    values_in,
)
from costmodel.frontends.torch.free import SINGULAR, is_free
from costmodel.frontends.torch.shaping import resized


def interpret(call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Value]:
    """The values a call returns, its layers added to the graph.

    A call whose arguments are not those its handler knows is of an unknown function.
    """
    try:
        result = _interpreted(call, args, kwargs)
    except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError) as error:
        if isinstance(error, CostModelError):
            raise
        first = call.unknown(values_in((args, kwargs)))
        return [first, *others(call, first)]
    return result if isinstance(result, list) else [result]


def _interpreted(call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Value | list[Value]:
    reads = [*values_in(args), *values_in(kwargs)]
    name = call.function
    handler = HANDLERS.get(name)
    known = not reads or handler or is_free(name)
    if known and name not in COUNTED and all(value.is_constant for value in reads):
        if name.strip("_") in _NOTICED:
            call.graph.noticed.add(Notice.CONSTANTS)
        parameters = tuple(dict.fromkeys(p for value in reads for p in value.parameters))
        return [Value(shape, parameters=parameters) for shape in call.shapes]
    if 0 in call.shape:
        return free(call, reads)  # nothing is left to say what of
    if numbers := _numbers(name, args, kwargs):
        return call.emit(ir.WithNumbers, name, numbers, reads=args[:1])
    lost = call.graph.lost_size and name in SIZED and _has_number((args, kwargs))
    if handler and not lost:
        result: Result = handler(call, *args, **kwargs)
        if result is not None:
            return result
    elif not handler and not is_free(name):
        first = call.unknown(reads)
        return [first, *others(call, first)]
    return free(call, reads)


def _has_number(arguments: object) -> bool:
    """Whether there is a number among arguments that may have been computed from a lost size."""
    if isinstance(arguments, dict):
        arguments = list(arguments.values())
    if isinstance(arguments, slice):
        arguments = (arguments.start, arguments.stop, arguments.step)
    if isinstance(arguments, (tuple, list)):
        return any(map(_has_number, arguments))
    return type(arguments) in {int, float}


#: What some tool counts though it depends on no input.
_NOTICED = frozenset(["mul", "add", "mean", "softmax", "batch_norm", "layer_norm", "interpolate"])


def free(call: Call, reads: list[Value]) -> list[Value]:
    """An elementwise function where the shapes say so, else a layer of recorded sizes."""
    learned = [x for x in reads if x.layer or x.make or x.parameters or prod(x.shape) != 1]
    active = [x for x in learned if not x.is_constant]
    if len(learned) == 1 and learned == active and active[0].shape == call.shape:
        first = call.emit(ir.Activation, call.function, reads=learned)
    elif is_broadcast(learned, call.shape):
        first = _combined(call, learned, active)
    else:
        first = call.recorded(learned or reads)
    return [first, *others(call, first)]


#: How many numbers a function of one tensor takes that is not what it is without them.
_NUMBERS = {
    **dict.fromkeys(("add", "sub", "mul", "div", "truediv", "pow", "leaky_relu", "elu", "celu"), 1),
    **dict.fromkeys(("__rsub__", "rsub", "__rdiv__", "__rtruediv__", "__rpow__"), 1),
    **dict.fromkeys(("softmax", "log_softmax"), 1),
    **dict.fromkeys(("clamp", "hardtanh", "softplus", "threshold"), 2),
    "normalize": 3,
}


def _numbers(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[float, ...]:
    """What a function of one tensor takes beside it; nothing where that is not all numbers."""
    wanted = _NUMBERS.get(name) or _NUMBERS.get(_plain(name))
    if wanted is None or not args or not isinstance(args[0], Value):
        return ()
    given = [*args[1:], *(value for key, value in kwargs.items() if not key.startswith("_"))]
    numbers = tuple(x for x in given if x is not None and type(x) is not bool)
    plain = all(type(x) in {int, float} and isfinite(x) for x in numbers)
    return numbers if plain and len(numbers) == wanted else ()


def _combined(call: Call, reads: list[Value], active: list[Value]) -> Value:
    """A sum of equals, a layer scale or any other elementwise function of several inputs."""
    function = _plain(call.function)
    if len(active) == 1 and len(reads) == 2 and active[0].shape == call.shape:  # noqa: PLR2004
        constant = reads[1] if reads[0] is active[0] else reads[0]
        padded = (1,) * (len(call.shape) - len(constant.shape)) + constant.shape
        along = tuple(axis for axis, size in enumerate(padded) if size != 1)
        ordered = reads[0] is active[0] or function in {"add", "mul"}
        follows = ordered and along in {(), (1,), (len(padded) - 1,)}
        if follows and call.graph.parameter(constant):
            return call.affine(active[0], along, (constant,), function=function)
    if function == "add" and len(active) == len(reads) and len({x.shape for x in reads}) == 1:
        return call.emit(ir.Add, reads=reads)
    return call.emit(ir.Combine, function, reads=reads)


def _plain(function: str) -> str:
    """`__iadd__`, `add_` and `radd` are all add."""
    name = function.strip("_")
    if function.startswith("__") and name[:1] in {"i", "r"} and name[1:] in _BINARY:
        return name[1:]
    return name


_BINARY = frozenset(
    ["add", "sub", "mul", "truediv", "div", "floordiv", "mod", "pow", "and", "or", "xor"]
)


# Normalisation


@handles("batch_norm")
def _batch_norm(
    call: Call,
    x: Value,
    _mean: object,
    _var: object,
    weight: Value | None = None,
    bias: Value | None = None,
    *_: object,
    **__: object,
) -> Result:
    if (weight is None) != (bias is None):
        return call.affine(x, (1,), (weight or bias,))
    number, shares = call.norms((weight, bias))
    if weight is not None and not number:
        return call.affine(x, (1,), ())
    return call.emit(ir.BatchNorm, bool(number), shares, reads=(x,))


@handles("layer_norm", "rms_norm")
def _layer_norm(
    call: Call, x: Value, over: Any, weight: Any = None, bias: Any = None, *_: Any, **__: Any
) -> Result:
    tensors = [value for value in (weight, bias) if isinstance(value, Value)]
    return call.affine(x, tuple(range(-len(over), 0)), tensors)


@handles("group_norm")
def _group_norm(
    call: Call, x: Value, num_groups: int, weight: Any = None, bias: Any = None, *_: Any, **__: Any
) -> Result:
    return call.affine(x, (1,), (weight, bias), groups=int(num_groups))


@handles("instance_norm")
def _instance_norm(
    call: Call,
    x: Value,
    _mean: object = None,
    _var: object = None,
    weight: Value | None = None,
    bias: Value | None = None,
    *_: object,
    **__: object,
) -> Result:
    return call.affine(x, (1,), (weight, bias))


@handles("prelu")
def _prelu(call: Call, x: Value, weight: Value) -> Result:
    return call.affine(x, (1,) if prod(weight.shape) > 1 else (), (weight,))


@handles(*SINGULAR)
def _norm(call: Call, x: Value, p: Any = None, dim: Any = None, *_: Any, **named: Any) -> Result:
    order, over = named.get("ord", p), x.shape if dim is None else spread(dim, 1)
    matrix = call.function != "linalg_norm" or len(over) == 2  # noqa: PLR2004
    return call.unknown([x]) if matrix and order in SINGULAR[call.function] else None


# Pooling


#: Functions that take a size, a scale or a position, which may be one that was lost.
SIZED = frozenset(
    ["interpolate", "upsample", "repeat", "tile", "expand", "narrow", "select", "__getitem__"]
    + [f"{kind}_pool{rank}d" for kind in ("avg", "max", "adaptive_avg") for rank in (1, 2, 3)]
)


@handles(*(f"max_pool{rank}d{end}" for rank in (1, 2, 3) for end in ("", "_with_indices")))
def _max_pool(  # noqa: PLR0913, PLR0917 - as torch has it
    call: Call,
    x: Value,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,  # noqa: FBT001, FBT002
    **_: object,
) -> Result:
    if per_axis(dilation, 3) != 1:
        return None
    return _pool(call, "max", x, (kernel_size, stride or kernel_size, padding), ceil_mode)


@handles("avg_pool1d", "avg_pool2d", "avg_pool3d")
def _average_pool(  # noqa: PLR0913, PLR0917 - as torch has it
    call: Call,
    x: Value,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,  # noqa: FBT001, FBT002
    *_: object,
    **__: object,
) -> Result:
    return _pool(call, "average", x, (kernel_size, stride or kernel_size, padding), ceil_mode)


def _pool(call: Call, kind: str, x: Value, window: tuple[Any, ...], ceil_mode: bool) -> Result:  # noqa: FBT001
    rank = int(call.function.partition("pool")[2][0])
    if len(x.shape) != rank + 2:
        return None
    kernel, stride, padding = (spread(value, rank) for value in window)
    if any(isinstance(size, Extent) for size in (*kernel, *stride, *padding)):
        whole = kernel == x.shape[2:] and not any(padding)
        return call.emit(ir.AdaptivePool, kind, reads=(x,)) if whole else call.recorded((x,))
    sizes = [per_axis(value, rank) for value in window]
    pooled = call.emit(ir.Pool, kind, *sizes, bool(ceil_mode), reads=(x,))
    return [pooled, *others(call, pooled)]


@handles(*(f"adaptive_{kind}_pool{rank}d" for kind in ("avg", "max") for rank in (1, 2, 3)))
def _adaptive_pool(call: Call, x: Value, output_size: Any, *_: Any, **__: Any) -> Result:
    rank = int(call.function[-2])
    if len(x.shape) != rank + 2:
        return None
    kind = "max" if "max" in call.function else "average"
    asked = spread(output_size, rank)
    if any(size is None or isinstance(size, Extent) for size in asked):
        extents = [Extent.of(call.graph, x, 2 + i) if s is None else s for i, s in enumerate(asked)]
        return resized(call, x, extents)
    pooled = call.emit(ir.AdaptivePool, kind, call.shape[2:], reads=(x,))
    return [pooled, *others(call, pooled)]


@handles("embedding", counted=False)
def _embedding(call: Call, indices: Value, weight: Value, *_: object, **__: object) -> Result:
    weights = call.weights(weight, None)
    if weights is None:
        return call.recorded((indices, weight))
    rows, features = weight.shape
    return call.emit(ir.Embedding, features, rows, weights.shares, reads=(indices,))


@handles("__setitem__")
def _setitem(call: Call, x: Value, *rest: Any) -> Result:
    return call.recorded([x, *values_in(rest)])


@handles(*["new_zeros", "new_ones", "new_full", "new_empty", "new_tensor"])
def _new(call: Call, *_: object, **__: object) -> Result:
    return Value(call.shape)
