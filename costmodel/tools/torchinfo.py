"""torchinfo: the parameters of the innermost modules, by the names of their classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costmodel.tools import convention as c, deviations as known
from costmodel.tools.convention import ELEMENT, Per, Tool, rules

if TYPE_CHECKING:
    from torch import nn

    from costmodel.algebra.arithmetic import Dim
    from costmodel.core.lower import Lowered
    from costmodel.frontends.origins import Origin


def _parameters(layer: Lowered) -> Dim:
    """The elements of a layer's parameters, also where it shares them."""
    return sum(parameter.count for parameter in layer.used)


_OTHER_VECTORS = Per(
    "MAC past each sample's first vector", lambda x, nest: nest.macs - x.output[0] * nest.weights
)
_CHANNEL = Per("sample and channel", lambda x, _: x.output[0] * x.output[1])
_FEATURE = Per("sample and feature", lambda x, _: x.output[0] * x.output[-1])
_WEIGHT = Per("sample and weight", lambda x, nest: x.output[0] * nest.weights)
_PARAMETER = Per("sample and parameter", lambda x, _: x.output[0] * _parameters(x))


def _called_conv(origin: Origin) -> bool:
    """A module without modules of its own whose class has Conv in its name."""
    return "Conv" in origin.module.rpartition(".")[2]


def _called_otherwise(origin: Origin) -> bool:
    """Any other module without modules of its own."""
    return bool(origin.module) and not _called_conv(origin)


def _run(module: nn.Module, images: c.Images) -> int:
    import torchinfo

    return int(torchinfo.summary(module, input_data=list(images), verbose=0).total_mult_adds)


#: It multiplies the parameters of a module without modules of its own by its positions where its
#: class has Conv in its name, and of any other by the batch: a linear layer counts one vector a
#: sample, normalisation and embeddings their parameters.
TORCHINFO = Tool(
    "torchinfo",
    "mult-adds",
    (
        *c.seen(
            _called_conv,
            *c.CONVS,
            *rules(c.TRANSPOSED, 1, c.TAP, "transposed conv"),
            *rules(f"{c.CONV_BIAS} {c.TRANSPOSED_BIAS}", 1, ELEMENT, "conv bias"),
        ),
        *c.seen(
            _called_otherwise,
            *rules("conv", 1, _WEIGHT, "conv by another name"),
            *rules("conv_bias", 1, _CHANNEL, "conv by another name"),
            *c.LINEAR,
            *rules("linear", -1, _OTHER_VECTORS, "linear, other vectors"),
            *rules("linear_bias linear_bias_apart", 1, _FEATURE, "linear bias"),
            *rules("batch_norm", 2, _CHANNEL, "batch norm"),
            *rules("layer_norm group_norm instance_norm rms_norm prelu", 1, _PARAMETER, "norm"),
            *rules("embedding", 1, _PARAMETER, "embedding"),
        ),
    ),
    "torchinfo",
    _run,
    (
        *(known.TRANSPOSED, known.GROUPED_TRANSPOSED, *known.HOOKS),
        *(known.NO_BATCH, known.OWN_PARAMETERS, known.RECURRENT),
    ),
)
