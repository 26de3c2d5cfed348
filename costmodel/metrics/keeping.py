"""What the layers of traced models keep for the backward pass, as torch does on a CPU.

Attention is the fused kernel's, where (batch, heads, tokens, features) let torch use it; one that
is written out keeps what its layers keep.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from costmodel.errors import CostModelError
from costmodel.layers import operators as op
from costmodel.layers.named import plain
from costmodel.metrics.training import INPUTS, NOTHING, PRODUCT, Keeps, kept_rule

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from costmodel.algebra.arithmetic import Dim
    from costmodel.core import network as ir
    from costmodel.core.network import Shape
    from costmodel.core.shapes import Inputs

#: By function, of a layer with a learned tensor.
_LEARNED = {"add": NOTHING, "sub": NOTHING, "channel_shuffle": NOTHING}
_LEARNED |= dict.fromkeys(("mul", "div", "truediv", "prelu"), INPUTS)
#: By function, of several inputs: a product keeps each factor that another's gradient needs.
_COMBINED = {"add": NOTHING, "sub": NOTHING, "mul": PRODUCT}
_COMBINED |= {"subtract": NOTHING, "multiply": PRODUCT}
_QUOTIENTS = ("div", "divide", "truediv", "true_divide")
_COMBINED |= dict.fromkeys((*_QUOTIENTS, "maximum", "minimum"), INPUTS)
_COMBINED |= dict.fromkeys(("expand", "expand_as", "broadcast_to"), NOTHING)
#: By function, of a reduction.
_REDUCED = {"mean": NOTHING, "sum": NOTHING, "var": INPUTS}
_REDUCED |= dict.fromkeys(("std", "logsumexp", "amax", "amin"), Keeps(inputs=True, output=True))


def _refuse(layer: op.Affine | op.Combine | op.Reduce) -> NoReturn:
    raise CostModelError(
        f"{layer.name}: no rule for what {layer.function!r} keeps for the backward pass; "
        f"subclass {type(layer).__name__} and register one with kept_rule"
    )


#: Bytes of a float32, whatever the rest is.
_FLOAT = 4


@kept_rule(op.Filter)
@kept_rule(op.TransposedConv)
def _windowed(_layer: ir.Layer, _inputs: Inputs, _output: Shape) -> Keeps:
    return INPUTS


@kept_rule(op.Affine)
def _affine(layer: op.Affine, _inputs: Inputs, output: Shape) -> Keeps:
    if layer.function in _STATISTICS:
        return Keeps(inputs=True, own=((_STATISTICS[layer.function](layer, output), 0),))
    return _LEARNED[layer.function] if layer.function in _LEARNED else _refuse(layer)


def _rows(layer: op.Affine, output: Shape) -> Dim:
    """Over how many vectors a normalisation goes."""
    return prod(output) // prod(output[axis] for axis in layer.along)


#: By function, the elements beside its input that a normalisation keeps: a mean and a reciprocal
#: deviation of each vector; instance norm's scale for each image; and RMS norm is written out,
#: so that it keeps the reciprocal alone and what the scale multiplies.
_STATISTICS: dict[str, Callable[[op.Affine, Shape], Dim]] = {
    "batch_norm": lambda _, output: 2 * output[1],
    "group_norm": lambda layer, output: 2 * output[0] * layer.groups,
    "instance_norm": lambda layer, output: (2 + (layer.tensors > 0)) * output[0] * output[1],
    "layer_norm": lambda layer, output: 2 * _rows(layer, output),
    "rms_norm": lambda layer, output: _rows(layer, output) + prod(output) * (layer.tensors > 0),
}


@kept_rule(op.Embedding)
def _embedding(_layer: op.Embedding, inputs: Inputs, _output: Shape) -> Keeps:
    return Keeps(own=((prod(inputs[0]), 8),))  # the rows, as int64


@kept_rule(op.Einsum)
def _einsum(_layer: op.Einsum, _inputs: Inputs, _output: Shape) -> Keeps:
    return PRODUCT


@kept_rule(op.DotProductAttention)
def _attention(layer: op.DotProductAttention, _inputs: Inputs, output: Shape) -> Keeps:
    if layer.heads or len(output) == 4:  # noqa: PLR2004 - batch, heads, tokens, features
        sums = prod(output[:-1]) * (layer.heads or 1)  # of exponentials, a logarithm each
        return Keeps(inputs=True, output=True, own=((sums, _FLOAT),))
    raise CostModelError(
        f"{layer.name}: no rule for what attention over {len(output)} axes keeps for the backward "
        "pass; give it four: batch, heads, tokens and features"
    )


@kept_rule(op.Combine)
def _combine(layer: op.Combine, _inputs: Inputs, _output: Shape) -> Keeps:
    name = plain(layer.function)
    return _COMBINED[name] if name in _COMBINED else _refuse(layer)


@kept_rule(op.Reduce)
def _reduce(layer: op.Reduce, _inputs: Inputs, _output: Shape) -> Keeps:
    return _REDUCED[layer.function] if layer.function in _REDUCED else _refuse(layer)


@kept_rule(op.Resample)
def _resample(layer: op.Resample, _inputs: Inputs, _output: Shape) -> Keeps:
    return INPUTS if layer.function.startswith("adaptive_avg") else NOTHING


@kept_rule(op.Reshape)
@kept_rule(op.Permute)
@kept_rule(op.Split)
@kept_rule(op.Slice)
@kept_rule(op.Repeat)
@kept_rule(op.Join)
@kept_rule(op.Pad)
@kept_rule(op.PadSame)
@kept_rule(op.Constant)
def _nothing(_layer: ir.Layer, _inputs: Inputs, _output: Shape) -> Keeps:
    return NOTHING
