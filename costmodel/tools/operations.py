"""What a layer does, by the names that the tools' rules have for it.

A traced layer's origin says which of torch's functions was called, and how; a layer without one is
taken as the module that `build` makes of it. A layer that does not say its `operation` is *unknown*
to every tool: never a guess.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costmodel.core.layer import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from costmodel.core.lower import Lowered
    from costmodel.core.nest import Body, Elementwise, LoopNest
    from costmodel.frontends.origins import Origin

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
    """The operation that a tool sees in a product; of a layer that does not say nobody knows."""
    operation = layer.layer.operation
    if operation == UNKNOWN:
        return operation
    if operation == "transposed_conv":
        return operation if nest.g == 1 else f"grouped_{operation}"
    function = operation if operation == "conv" or origin is None else origin.function
    called = _called(function, origin)
    if called.startswith("conv"):
        return "conv_mode" if origin and origin.detail == "mode" else "conv"
    if operation == "mv":
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
    of = layer.layer
    if origin is None and function == "interpolate" and not of.recorded:
        yield f"upsample_nearest{len(layer.output) - 2}d", body  # as `build` makes it
    elif origin is None:
        yield body.operation, body
    elif origin.module == "torch.nn.ReLU6":
        yield "relu6", body
    elif function.startswith("adaptive") and not origin.function.startswith("adaptive"):
        yield function.removeprefix("adaptive_")[:-2], body  # of a window as large as the map
    elif origin.function.startswith("upsample"):
        yield origin.function, body
        yield f"interpolate_{origin.detail}", body
    elif isinstance(origin.detail, int):
        yield function, body._replace(taps=layer.inputs[0][origin.detail])
    elif of.recorded:
        yield f"{function}_recorded", body  # a further output, or what no rule is sure of
    elif of.learned_axes is not None and origin.function in _BIASED:
        yield _bias(_BIASED[origin.function], origin), body  # of a layer that shares its weight
    elif of.learned_axes == () and not layer.used:
        yield f"{function}_without_affine", body
    else:
        yield f"{function}_{origin.detail}".rstrip("_"), body
