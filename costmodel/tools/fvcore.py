"""fvcore: handlers of the operators that torch.jit traces."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from costmodel.tools import convention as c, deviations as known
from costmodel.tools.convention import ELEMENT, MAC, Per, Tool, rules

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

    from costmodel.algebra.arithmetic import Dim
    from costmodel.core.lower import Lowered
    from costmodel.core.nest import LoopNest


def _einsum(layer: Lowered, nest: LoopNest) -> Dim:
    """It counts batched products of three axes itself, in two orders; else it asks numpy."""
    equation: str = layer.layer.equation  # type: ignore[attr-defined]
    letters = dict.fromkeys(filter(str.isalpha, equation))
    plain = equation.translate({ord(x): "abcd"[i % 4] for i, x in enumerate(letters)})
    itself = plain in {"abc,abd->acd", "abc,adc->adb"}
    return nest.macs if itself else c.printed_by_numpy(nest) // 2


_EINSUM = Per("MAC, as numpy prints it", _einsum)


def _run(module: nn.Module, images: c.Images) -> int:
    from fvcore.nn import FlopCountAnalysis

    return int(FlopCountAnalysis(module, images).total())


#: In eval mode: a MAC is one, batch norm two per element (one without scale and shift), other
#: normalisation five (four), adaptive average pooling of images one per element it reads; pooling
#: of other kinds and ranks, activations and additions are ignored.
FVCORE = Tool(
    "fvcore",
    "FLOPs",
    (
        *rules("conv", 1, MAC, "conv"),
        *c.LINEAR,
        *c.PRODUCTS,
        *rules("einsum", 1, _EINSUM, "einsum"),
        *rules(c.TRANSPOSED, 1, MAC, "conv"),
        *(
            rule._replace(part=rule.part.replace(" ", "_"))
            for rule in (*c.norms("batch_norm", 2, 1), *c.STATISTICS)
        ),
        *rules("adaptive_average_pool2d", 1, c.INPUT_ELEMENT, "adaptive_avg_pool2d"),
        *rules("upsample_nearest2d", 1, ELEMENT, "upsample_nearest2d"),
        *rules("upsample_bilinear2d", 4, ELEMENT, "upsample_bilinear2d"),
    ),
    "fvcore",
    _run,
    (
        *(known.MATMUL_OF_VECTOR, known.VECTORS, known.EINSUM_OF_AXES, known.FUSED_ATTENTION),
        *(known.NATIVE_ATTENTION, known.PADDING_IN_WORDS, known.SAME_OF_EVEN),
        *(known.INTERPOLATION, known.UNTRACEABLE, known.UNUSED, known.CONSTANTS, known.RECURRENT),
    ),
    (known.MATMUL_OF_VECTOR, known.UNTRACEABLE),
)


class Counts(NamedTuple):
    """Its counts of a module: MACs by submodule, all by operator, and activations."""

    macs: Mapping[str, int]
    operators: Mapping[str, int]
    activations: int


def counts(module: nn.Module, images: c.Images) -> Counts:
    """What it counts of a forward pass.

    >>> import torch
    >>> counts(torch.nn.Conv2d(3, 8, 3), (torch.zeros(1, 3, 4, 4),))
    Counts(macs={'': 864}, operators={'conv': 864}, activations=32)
    """
    from fvcore.nn import ActivationCountAnalysis, FlopCountAnalysis

    flops, outputs = FlopCountAnalysis(module, images), ActivationCountAnalysis(module, images)
    for analysis in (flops, outputs):
        analysis.unsupported_ops_warnings(enabled=False)
        analysis.uncalled_modules_warnings(enabled=False)
    products = ("conv", "linear", "matmul")  # what it calls what multiplies and accumulates
    macs = {
        name: sum(by[kind] for kind in products)
        for name, by in flops.by_module_and_operator().items()
    }
    return Counts(macs, dict(flops.by_operator()), outputs.total())
