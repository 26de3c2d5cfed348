"""What a layer does, by the names that the tools' rules have for it.

A traced layer's origin says which of torch's functions was called, and how; a layer without one is
taken as the module that `build` makes of it. A layer type without a rule is *unknown* to every
tool: never a guess.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costmodel import layers as ir
from costmodel.backends.rule import Rules

if TYPE_CHECKING:
    from collections.abc import Iterator

    from costmodel.core.lower import Lowered
    from costmodel.core.nest import Body, Elementwise, LoopNest
    from costmodel.frontends.origins import Origin

#: Rules (layer, nest, origin) → the operation that tools see in a layer's product.
operation_rule = Rules()
#: The operation of a product that no tool is known to count.
UNKNOWN = "unknown"

#: Recurrent layers and cells, as torch's functions.
RECURRENT = "lstm gru rnn_tanh rnn_relu lstm_cell gru_cell rnn_tanh_cell rnn_relu_cell"


def operations(layer: Lowered, origin: Origin | None = None) -> Iterator[tuple[str, Body]]:
    """What a layer does, by the names that rules use: its MACs, its bias and all else.

    >>> from costmodel import lower, mobilenet_v1
    >>> [operation for operation, _ in operations(lower(mobilenet_v1())[-1])]
    ['linear', 'linear_bias']
    """
    for nest in layer.nests:
        kind = _product(layer, nest, origin)
        yield kind, nest
        if getattr(layer.layer, "bias", False):
            yield _bias(kind, origin), nest
    for body in layer.elementwise:
        yield from _elementwise(layer, body, origin)


def _bias(kind: str, origin: Origin | None) -> str:
    apart = origin is not None and origin.detail == "apart"
    return f"{kind}_bias_apart" if apart else f"{kind}_bias"


def _product(layer: Lowered, nest: LoopNest, origin: Origin | None) -> str:
    """The operation that a tool sees in a product; of a layer without a rule nobody knows."""
    rule = operation_rule[type(layer.layer)]
    return str(rule(layer.layer, nest, origin)) if rule else UNKNOWN


@operation_rule(ir.Conv)
@operation_rule(ir.Filter)
def _conv(_layer: ir.Layer, _nest: LoopNest, origin: Origin | None) -> str:
    return "conv_mode" if origin and origin.detail == "mode" else "conv"


@operation_rule(ir.TransposedConv)
def _transposed(_layer: ir.Layer, nest: LoopNest, _origin: Origin | None) -> str:
    return "transposed_conv" if nest.g == 1 else "grouped_transposed_conv"


@operation_rule(ir.Linear)
def _linear(_layer: ir.Layer, _nest: LoopNest, origin: Origin | None) -> str:
    return _called(origin.function, origin) if origin else "linear"


@operation_rule(ir.DotProductAttention)
def _attention(_layer: ir.Layer, _nest: LoopNest, origin: Origin | None) -> str:
    return _called(origin.function, origin) if origin else "matmul"  # `build` writes it out


@operation_rule(ir.Einsum)
@operation_rule(ir.Recorded)
def _function(layer: ir.Einsum | ir.Recorded, nest: LoopNest, origin: Origin | None) -> str:
    called = _called(origin.function if origin else layer.function, origin)
    if called.startswith("conv"):
        return str(_conv(layer, nest, origin))
    if layer.function == "mv":
        return {"matmul": "matmul_vector", "addmv": "addmv"}.get(called, "mv")
    return called


def _called(name: str, origin: Origin | None) -> str:
    function = name.strip("_")
    function = "matmul" if function in {"rmatmul", "linalg_matmul"} else function
    return f"{function}_unfused" if origin and origin.detail == "unfused" else function


#: The functions of torch that add a bias, and their operations here.
_BIASED = {"linear": "linear", "addmm": "addmm"} | {
    f"conv{of}{rank}d": f"{'transposed_' * bool(of)}conv"
    for of in ("", "_transpose")
    for rank in (1, 2, 3)
}


def _elementwise(
    layer: Lowered, body: Elementwise, origin: Origin | None
) -> Iterator[tuple[str, Body]]:
    """What is done to each element, where torch's function says more than the layer."""
    function = body.operation.strip("_")
    if isinstance(layer.layer, ir.Resample) and origin is None and function == "interpolate":
        yield f"upsample_nearest{len(layer.output) - 2}d", body  # as `build` makes it
    elif origin is None:
        yield body.operation, body
    elif origin.module == "torch.nn.ReLU6":
        yield "relu6", body
    elif isinstance(layer.layer, ir.AdaptivePool) and not origin.function.startswith("adaptive"):
        yield f"{layer.layer.kind}_pool", body  # of a window as large as the map
    elif origin.function.startswith("upsample"):
        yield origin.function, body
        yield f"interpolate_{origin.detail}", body
    elif isinstance(origin.detail, int):
        yield function, body._replace(taps=layer.inputs[0][origin.detail])
    elif isinstance(layer.layer, ir.Recorded):
        yield f"{function}_recorded", body  # a further output, or what no rule is sure of
    elif isinstance(layer.layer, ir.Affine) and origin.function in _BIASED:
        yield _bias(_BIASED[origin.function], origin), body  # of a layer that shares its weight
    elif isinstance(layer.layer, ir.Affine) and not layer.layer.tensors:
        yield f"{function}_without_affine", body
    else:
        yield f"{function}_{origin.detail}".rstrip("_"), body
