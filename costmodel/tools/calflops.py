"""calflops: functions replaced in torch, as MACs and as FLOPs."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from costmodel.core.shapes import axes
from costmodel.tools import convention as c, deviations as known
from costmodel.tools.convention import ELEMENT, INPUT_ELEMENT, MAC, Per, Tool, rules

if TYPE_CHECKING:
    from torch import nn

    from costmodel.algebra.arithmetic import Dim
    from costmodel.core.lower import Lowered
    from costmodel.core.nest import LoopNest


def _as_convolution(layer: Lowered, nest: LoopNest) -> Dim:
    """A transposed convolution's outputs by the size of a convolution's, in one of its groups."""
    kind: Any = layer.layer
    rank = len(nest.positions)
    window = (kind.kernel, kind.stride, kind.padding, kind.dilation)
    windows = zip(nest.positions, *(axes(value, kind, rank) for value in window), strict=True)
    sides = ((d + 2 * p - q * (k - 1) - 1) // s + 1 for d, k, s, p, q in windows)
    return nest.n * nest.k * prod(sides)


_DIVIDED_AGAIN = Per(
    "MAC, divided by the groups again",
    lambda _, nest: (
        nest.n * prod(nest.positions) * nest.g * nest.c * prod(nest.kernel) * (nest.k // nest.g)
    ),
)
_AS_CONVOLUTION = Per("element of the convolution it is not", _as_convolution)
_SIZE = Per("element of the size alone", lambda layer, _: prod(layer.output[2:]))
_PRINTED = Per("FLOP, as numpy prints it", lambda _, nest: c.printed_by_numpy(nest))


def _figures(module: nn.Module, images: c.Images) -> tuple[int, int, int]:
    """FLOPs, MACs and parameters."""
    import calflops

    totals: tuple[int, int, int] = calflops.calculate_flops(
        module, args=list(images), print_results=False, output_as_string=False
    )
    return totals


_MACS = (
    *c.MACS,
    *c.MATMUL,
    *rules("addmm baddbmm", 1, MAC, "matmul"),
    *rules("transposed_conv", 1, MAC, "transposed conv"),
    *rules("grouped_transposed_conv", 1, _DIVIDED_AGAIN, "transposed conv"),
)
_RAISES = (known.EINSUM_OF_A_LIST, known.KEYWORD, known.NO_BATCH, known.NO_PARAMETERS)

CALFLOPS = Tool(
    "calflops",
    "MACs",
    c.seen(c.by_name, *_MACS),
    "calflops",
    lambda module, images: _figures(module, images)[1],
    (
        *(known.GROUPED_TRANSPOSED, known.IMPORTED, *known.UNPATCHED, known.SAME_OF_EVEN),
        *(known.KEYWORD, known.NO_BATCH, known.NO_PARAMETERS, known.TWO_NAMES, known.RECURRENT),
    ),
    _RAISES,
)
#: Two per MAC, a convolution's bias but no linear layer's, batch norm in eval mode two per element
#: (one without scale and shift) and other normalisation five (four), pools and most activations
#: one per element they read.
CALFLOPS_FLOPS = Tool(
    "calflops FLOPs",
    "FLOPs",
    (
        *c.seen(
            c.by_name,
            *c.times(2, *_MACS),
            *rules("einsum", 1, _PRINTED, "einsum"),
            *rules(c.CONV_BIAS, 1, ELEMENT, "conv bias"),
            *rules(c.TRANSPOSED_BIAS, 1, _AS_CONVOLUTION, "conv bias"),
            *rules("addmm_bias", 1, c.FEATURE, "matmul bias"),
            *c.norms("batch_norm", 2, 1),
            *c.STATISTICS,
            *rules("relu relu6 elu gelu silu swish", 1, ELEMENT, "activation"),
            *rules("leaky_relu prelu softmax leaky_relu_in_place", 1, ELEMENT, "activation"),
            *rules(c.POOLS, 1, INPUT_ELEMENT, "pool"),
            *rules("interpolate_by_factor", 1, INPUT_ELEMENT, "interpolation"),
            *rules("interpolate_to_size", 1, _SIZE, "interpolation"),
            *rules("add", 1, c.ADDITION, "add"),
            *rules("mul", 1, ELEMENT, "mul"),
        ),
        *c.RESPONSE,
    ),
    "calflops",
    lambda module, images: _figures(module, images)[0],
    (
        *(known.GROUPED_TRANSPOSED, known.IMPORTED, *known.UNPATCHED, known.SAME_OF_EVEN),
        *(known.INTERPOLATION, known.KEYWORD, known.NO_BATCH, known.NO_PARAMETERS),
        *(known.CONSTANTS, known.TWO_NAMES, known.RECURRENT),
    ),
    _RAISES,
)
