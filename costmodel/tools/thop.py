"""thop: forward hooks on torch's own classes of modules."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from costmodel.algebra.arithmetic import is_symbolic
from costmodel.tools import convention as c, deviations as known
from costmodel.tools.convention import ELEMENT, Per, Tool, rules

if TYPE_CHECKING:
    from torch import nn

    from costmodel.core.lower import Lowered


def _lost(layer: Lowered, _: object) -> int:
    """What thop's float product of window and outputs truncates to below the exact integer."""
    shape, output = layer.inputs[0], layer.output
    if any(map(is_symbolic, (*shape, *output))):
        return 0
    window = prod((i / o for i, o in zip(shape[2:], output[2:], strict=True)), start=1.0)
    return int((window + 1) * prod(output)) - prod(shape) - prod(output)


LOST = Per("unit lost to floats", _lost)
_VECTOR = Per("vector", lambda layer, body: prod(layer.output) // body.taps)


def _run(module: nn.Module, images: c.Images) -> float:
    import thop

    return float(thop.profile(module, inputs=images, verbose=False)[0])


#: No biases and no activations; batch, layer and instance norm four per element (two without scale
#: and shift), average pooling one per output, and adaptive average pooling, in float64, the
#: window's mean size and one more per output; a transposed convolution as if each output read the
#: whole window.
THOP = Tool(
    "thop",
    "MACs",
    c.seen(
        c.by_class,
        *c.MACS,
        *rules(c.TRANSPOSED, 1, c.TAP, "transposed conv"),
        *c.norms("batch_norm layer_norm instance_norm", 4, 2),
        *rules("average_pool", 1, ELEMENT, "average pool"),
        *rules(c.ADAPTIVE_AVERAGE, 1, c.INPUT_ELEMENT, "adaptive pool"),
        *rules(c.ADAPTIVE_AVERAGE, 1, ELEMENT, "adaptive pool"),
        *rules(c.ADAPTIVE_AVERAGE, 1, LOST, "adaptive pool"),
        *rules("prelu", 1, ELEMENT, "prelu"),
        *rules("softmax", 3, ELEMENT, "softmax"),
        *rules("softmax", -1, _VECTOR, "softmax"),
        *rules(c.NEAREST, 1, ELEMENT, "interpolation"),
        *rules("upsample_linear1d", 5, ELEMENT, "interpolation"),
        *rules("upsample_bilinear2d", 11, ELEMENT, "interpolation"),
        *rules("upsample_bicubic2d", 224 + 35, ELEMENT, "interpolation"),
    ),
    "thop",
    _run,
    (
        *(known.TRANSPOSED, known.GROUPED_TRANSPOSED, *known.HOOKS),
        *(known.NO_BATCH, known.TWO_NAMES, known.RECURRENT),
    ),
)
