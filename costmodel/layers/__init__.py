"""The layers there are, a family in each module, imported when one of them is first asked for.

To make a class takes as long as to count a small network, and few networks have all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costmodel.core.layer import Input as Input, Layer as Layer
from costmodel.core.relations import (
    SAME as SAME,
    AtLeast as AtLeast,
    Fixed as Fixed,
    Times as Times,
)
from costmodel.lazy import lazy

if TYPE_CHECKING:
    from costmodel.layers.arranging import (
        Join as Join,
        Pad as Pad,
        PadSame as PadSame,
        Permute as Permute,
        Repeat as Repeat,
        Reshape as Reshape,
        Slice as Slice,
        Split as Split,
    )
    from costmodel.layers.convolution import (
        Conv as Conv,
        Filter as Filter,
        TransposedConv as TransposedConv,
    )
    from costmodel.layers.elementwise import (
        Activation as Activation,
        Add as Add,
        Combine as Combine,
        WithNumbers as WithNumbers,
    )
    from costmodel.layers.factorising import (
        join as join,
        separable_pairs as separable_pairs,
        separate as separate,
    )
    from costmodel.layers.joining import Concat as Concat, Flatten as Flatten
    from costmodel.layers.linear import Embedding as Embedding, Linear as Linear
    from costmodel.layers.normalisation import Affine as Affine, BatchNorm as BatchNorm
    from costmodel.layers.pooling import AdaptivePool as AdaptivePool, Pool as Pool
    from costmodel.layers.products import (
        DotProductAttention as DotProductAttention,
        Einsum as Einsum,
    )
    from costmodel.layers.recorded import (
        FixedSize as FixedSize,
        Recorded as Recorded,
        Unknown as Unknown,
    )
    from costmodel.layers.resampling import (
        CropAndResize as CropAndResize,
        Reduce as Reduce,
        Resample as Resample,
    )
    from costmodel.layers.sources import Constant as Constant

#: Each family's layers.
_LAYERS = {
    "arranging": "Join Pad PadSame Permute Repeat Reshape Slice Split",
    "convolution": "Conv Filter TransposedConv",
    "elementwise": "Activation Add Combine WithNumbers",
    "joining": "Concat Flatten",
    "linear": "Embedding Linear",
    "normalisation": "Affine BatchNorm",
    "pooling": "AdaptivePool Pool",
    "products": "DotProductAttention Einsum",
    "recorded": "FixedSize Recorded Unknown",
    "resampling": "CropAndResize Reduce Resample",
    "sources": "Constant",
}
#: Each layer's family.
FAMILIES = {name: family for family, names in _LAYERS.items() for name in names.split()}

__getattr__ = lazy(__name__, _LAYERS | {"factorising": "join separable_pairs separate"})
