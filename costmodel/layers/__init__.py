"""The layers there are, a family in each module, imported when one of them is first asked for.

To make a class takes as long as to count a small network, and few networks have all of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from costmodel.core.layer import Input, Layer

if TYPE_CHECKING:
    from costmodel.layers.arranging import (
        Concat,
        Flatten,
        Join,
        Pad,
        PadSame,
        Permute,
        Repeat,
        Reshape,
        Slice,
        Split,
    )
    from costmodel.layers.convolution import Conv, Filter, TransposedConv
    from costmodel.layers.elementwise import Activation, Add, Combine, FixedSize, WithNumbers
    from costmodel.layers.linear import Embedding, Linear
    from costmodel.layers.normalisation import Affine, BatchNorm
    from costmodel.layers.pooling import AdaptivePool, CropAndResize, Pool, Reduce, Resample
    from costmodel.layers.products import DotProductAttention, Einsum
    from costmodel.layers.recorded import Recorded, Unknown
    from costmodel.layers.sources import Constant

#: Each family's layers.
_LAYERS = {
    "arranging": "Concat Flatten Join Pad PadSame Permute Repeat Reshape Slice Split",
    "convolution": "Conv Filter TransposedConv",
    "elementwise": "Activation Add Combine FixedSize WithNumbers",
    "linear": "Embedding Linear",
    "normalisation": "Affine BatchNorm",
    "pooling": "AdaptivePool CropAndResize Pool Reduce Resample",
    "products": "DotProductAttention Einsum",
    "recorded": "Recorded Unknown",
    "sources": "Constant",
}
#: Each layer's family.
FAMILIES = {name: family for family, names in _LAYERS.items() for name in names.split()}

__all__ = [
    "Activation",
    "AdaptivePool",
    "Add",
    "Affine",
    "BatchNorm",
    "Combine",
    "Concat",
    "Constant",
    "Conv",
    "CropAndResize",
    "DotProductAttention",
    "Einsum",
    "Embedding",
    "Filter",
    "FixedSize",
    "Flatten",
    "Input",
    "Join",
    "Layer",
    "Linear",
    "Pad",
    "PadSame",
    "Permute",
    "Pool",
    "Recorded",
    "Reduce",
    "Repeat",
    "Resample",
    "Reshape",
    "Slice",
    "Split",
    "TransposedConv",
    "Unknown",
    "WithNumbers",
]


def __getattr__(name: str) -> type[Layer]:
    """A layer, imported when it is asked for."""
    if name not in FAMILIES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f"{__name__}.{FAMILIES[name]}")
    globals()[name] = layer = getattr(module, name)
    return layer  # type: ignore[no-any-return]
