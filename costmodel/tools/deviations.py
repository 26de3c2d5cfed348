"""What tools miscount in torch models: named once, each in the list of the tools that do.

A convention is what a tool counts of layers, miscounts included where a traced network shows them.
What it does not show explains a figure that is not the predicted one. A test runs every tool on a
module of each kind named here, and asserts which print another figure than the right one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from costmodel.frontends.origins import Notice
from costmodel.tools import operations

if TYPE_CHECKING:
    from collections.abc import Iterable, Set as AbstractSet

    from costmodel.core.lower import Lowered
    from costmodel.frontends.origins import Traced


class Deviation(NamedTuple):
    """Where a tool's count is not the right one, and what it does.

    `shown_by` are the operations that may have it; one that no layer shows is named as a `Notice`.

    >>> UNUSED.effect
    'what nothing reads is no part of the traced graph'
    """

    name: str
    effect: str
    shown_by: str = ""

    def is_in(self, signs: AbstractSet[str]) -> bool:
        """Whether what a model shows, or what was noticed of it, may have the deviation."""
        return self.name in signs or not signs.isdisjoint(self.shown_by.split())


def shown(layers: Iterable[Lowered], traced: Traced) -> frozenset[str]:
    """The operations of a traced network, and what was noticed when it was traced.

    >>> from costmodel import lower
    >>> from costmodel.frontends.torch.forward import trace_origins
    >>> from torch import nn
    >>> traced = trace_origins(nn.LSTM(4, 5), (3, 4))
    >>> RECURRENT.is_in(shown(lower(traced.network), traced))
    True
    """
    done = (
        operation
        for layer in layers
        for operation, _ in operations.operations(layer, traced.origins.get(layer.layer.name))
    )
    return frozenset(traced.noticed).union(done)


TRANSPOSED = Deviation(
    "transposed convolution",
    "counted at every position of the output: 4 times too much at stride 2",
)
GROUPED_TRANSPOSED = Deviation(
    "grouped transposed convolution",
    "as above; torchprofile does not divide by the groups, and calflops does so twice",
)
FUNCTIONAL_CONV = Deviation(
    "functional convolution", "F.conv2d with a parameter of one's own is not seen"
)
FUNCTIONAL_LINEAR = Deviation(
    "functional linear layer", "F.linear with a parameter of one's own is not seen"
)
IMPORTED = Deviation(
    "function imported by name",
    "`from torch.nn.functional import linear` escapes what is patched into that module",
)
SUBCLASS = Deviation(
    "subclass of a convolution",
    "classes are matched exactly, and by torchinfo by name: counted 0, or a weight once",
)
AT = Deviation("operator @", "not seen, even where torch.matmul is")
MATMUL_OF_VECTOR = Deviation(
    "@ or matmul of a vector",
    "torch calls mv or dot, which is not seen; in place of the vector's length ptflops and "
    "calflops multiply by its square, and fvcore raises an error",
    "matmul_vector",
)
VECTORS = Deviation(
    "mv, dot and addbmm",
    "products with a vector, and one that sums a batch of products, are not seen",
    "mv addmv addbmm",
)
_EINSUM = "einsum einsum_of_no_sum"
EINSUM = Deviation(
    "einsum", "not seen; calflops' FLOPs are numpy's estimate, rounded to four figures", _EINSUM
)
EINSUM_OF_AXES = Deviation(
    "einsum over other axes",
    "as above, and fvcore's half of it is, but for two equations of three axes",
    _EINSUM,
)
EINSUM_OF_A_LIST = Deviation(
    Notice.EINSUM_OF_A_LIST, "calflops raises an error where the operands are in a list"
)
FUSED_ATTENTION = Deviation(
    "fused attention", "scaled_dot_product_attention on the CPU is not seen, where torch fuses it"
)
NATIVE_ATTENTION = Deviation(
    "attention in evaluation mode",
    "without gradients nn.MultiheadAttention is one native operator that is not seen; ptflops "
    "adds scaling, softmax and biases by a formula of its own",
    "multi_head_attention_forward",
)
INSIDE = Deviation(
    "layer inside a layer",
    "thop and ptflops stop at a module that they know, torchinfo counts the innermost only",
)
PADDING_IN_WORDS = Deviation(
    "padding in words",
    "padding='same' and 'valid' are another operator when traced, which is not seen",
)
SAME_OF_EVEN = Deviation(Notice.SAME_OF_EVEN, "as above; calflops infers a smaller output")
INTERPOLATION = Deviation(
    "interpolation",
    "bilinear is 4 per output to fvcore and torchprofile, 1 to ptflops whatever its mode, and "
    "to calflops 1 per position of one channel",
    "interpolate_to_size interpolate_by_factor grid_sample grid_sample_recorded",
)
KEYWORD = Deviation(Notice.KEYWORD, "F.interpolate(input=x) raises an error")
NO_BATCH = Deviation(Notice.NO_BATCH, "axes are taken for others; calflops raises an error")
NO_PARAMETERS = Deviation(Notice.NO_PARAMETERS, "raises an error")
UNTRACEABLE = Deviation(
    "model that torch.jit cannot trace", "raises an error, though the model runs"
)
UNUSED = Deviation(Notice.UNUSED, "what nothing reads is no part of the traced graph")
SIZES = Deviation(
    Notice.SIZES, "a product of two sizes, as of a reshape, is traced and counts as one"
)
CONSTANTS = Deviation(
    Notice.CONSTANTS,
    "what is computed from parameters or buffers alone counts, though it is the same each time",
)
OWN_PARAMETERS = Deviation(
    Notice.OWN_PARAMETERS,
    "called weight or bias they count once a sample, whatever is done with them, and at each "
    "position of the output where the class has Conv in its name",
)
TWO_NAMES = Deviation(Notice.TWO_NAMES, "all of its calls count at each of its names")
RECURRENT = Deviation(
    "recurrent layer", "each has a formula of its own, or none", operations.RECURRENT
)

#: What tools miss that look at matrix products by torch's functions of that name.
UNPATCHED = (
    *(AT, MATMUL_OF_VECTOR, VECTORS, EINSUM, EINSUM_OF_AXES, EINSUM_OF_A_LIST),
    *(FUSED_ATTENTION, NATIVE_ATTENTION),
)
#: What tools miss that hook modules, and perhaps replace functions.
HOOKS = (FUNCTIONAL_CONV, FUNCTIONAL_LINEAR, IMPORTED, SUBCLASS, *UNPATCHED, INSIDE)
#: What tools miss that watch torch's operators run.
OPERATORS = (MATMUL_OF_VECTOR, VECTORS, FUSED_ATTENTION, NATIVE_ATTENTION, RECURRENT)
