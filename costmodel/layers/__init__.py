"""The layers there are, a family in each module, imported when one of them is first asked for.

To make a class takes as long as to count a small network, and few networks have all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costmodel.core.layer import Input, Layer
from costmodel.core.relations import SAME, AtLeast, Fixed, Times
from costmodel.lazy import lazy

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
    from costmodel.layers.factorising import join, separable_pairs, separate
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

__getattr__ = lazy(__name__, _LAYERS | {"factorising": "join separable_pairs separate"})

__all__ = [
    "SAME",
    "Activation",
    "AdaptivePool",
    "Add",
    "Affine",
    "AtLeast",
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
    "Fixed",
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
    "Times",
    "TransposedConv",
    "Unknown",
    "WithNumbers",
    "join",
    "separable_pairs",
    "separate",
]
