"""torchprofile: handlers of the operators that torch.jit traces."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from costmodel.tools import convention as c, deviations as known
from costmodel.tools.convention import ELEMENT, MAC, Per, Tool, rules

if TYPE_CHECKING:
    from torch import nn

    from costmodel.algebra.arithmetic import Dim
    from costmodel.core.lower import Lowered
    from costmodel.core.nest import LoopNest


def _taps(layer: Lowered, nest: LoopNest) -> Dim:
    """It takes an axis of a transposed convolution's weight for the input's channels."""
    same = nest.g * nest.c == layer.output[1]
    return prod(layer.output) * prod(nest.kernel) * (nest.k if same else nest.g * nest.c)


_TAP = Per("tap of an output, its groups apart", _taps)


def _run(module: nn.Module, images: c.Images) -> int:
    import torchprofile

    macs: Any = torchprofile.profile_macs(module, images)  # by operator, were it asked to
    return int(macs)


#: No biases; normalisation with scale and shift, average pooling of any kind, leaky ReLU and
#: products are one per output.
TORCHPROFILE = Tool(
    "torchprofile",
    "MACs",
    (
        *rules("conv", 1, MAC, "conv"),
        *c.LINEAR,
        *c.MATMUL,
        *rules("bmm addmm baddbmm einsum matmul_vector addmv", 1, MAC, "matmul"),
        *rules("einsum_of_no_sum", 1, ELEMENT, "matmul"),
        *rules(f"{c.FUSED} {c.UNFUSED}", 1, MAC, "attention"),
        *rules("lstm", 1, MAC, "recurrent"),
        *rules(c.TRANSPOSED, 1, _TAP, "transposed conv"),
        *rules("batch_norm", 1, ELEMENT, "batch norm"),
        *rules("layer_norm group_norm instance_norm", 1, ELEMENT, "norm"),
        *rules(f"average_pool {c.ADAPTIVE_AVERAGE}", 1, ELEMENT, "average pool"),
        *rules("mean", 1, ELEMENT, "mean"),
        *rules("mul", 1, ELEMENT, "mul"),
        *rules("leaky_relu", 1, ELEMENT, "leaky relu"),
        *rules("upsample_bilinear2d", 4, ELEMENT, "interpolation"),
        *rules("local_response_norm", 3, ELEMENT, "local response norm"),
    ),
    "torchprofile",
    _run,
    (
        *(known.TRANSPOSED, known.GROUPED_TRANSPOSED, known.VECTORS, known.NATIVE_ATTENTION),
        *(known.PADDING_IN_WORDS, known.SAME_OF_EVEN, known.INTERPOLATION, known.UNTRACEABLE),
        *(known.UNUSED, known.SIZES, known.CONSTANTS),
    ),
    (known.UNTRACEABLE,),
)
