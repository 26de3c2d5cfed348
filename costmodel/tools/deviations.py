"""What the tools miscount in torch models: named, and each demonstrated.

A convention is what a tool counts of layers, miscounts included where a traced network shows them.
What it does not show explains a figure that is not the predicted one. A test runs every tool on a
module of each kind named here, and asserts which print another figure than the right one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from costmodel.tools.conventions import operations

if TYPE_CHECKING:
    from collections.abc import Iterable

    from costmodel.core.lower import Lowered
    from costmodel.frontends.origins import Traced


class Deviation(NamedTuple):
    """Where a tool's count is not the right one, which tools' counts, and what they do.

    `shown_by` are the operations, as a convention names them, that may have it; what no layer
    shows is noticed by its name in tracing. `raised_by` are the tools that raise an error.

    >>> DEVIATIONS[0].tools
    ('thop', 'torchinfo', 'torchprofile')
    """

    name: str
    tools: tuple[str, ...]
    effect: str
    shown_by: str = ""
    raised_by: tuple[str, ...] = ()


def noticed(layers: Iterable[Lowered], traced: Traced) -> tuple[Deviation, ...]:
    """The deviations that a traced network shows, or that were noticed when it was traced.

    >>> from costmodel import lower
    >>> from costmodel.frontends.torch.forward import trace_origins
    >>> from torch import nn
    >>> traced = trace_origins(nn.LSTM(4, 5), (3, 4))
    >>> [deviation.name for deviation in noticed(lower(traced.network), traced)]
    ['recurrent layer']
    """
    done = {
        operation
        for layer in layers
        for operation, _ in operations(layer, traced.origins.get(layer.layer.name))
    }
    return tuple(
        deviation
        for deviation in DEVIATIONS
        if deviation.name in traced.noticed or done & set(deviation.shown_by.split())
    )


_BY_MODULE = ("thop", "ptflops", "torchinfo")
_CALFLOPS = ("calflops", "calflops FLOPs")
_TRACED = ("fvcore", "torchprofile")

#: What FlopCounterMode leaves out on the meta device too, where `crosscheck_traced` runs it.
VECTORS = Deviation(
    "mv, dot and addbmm",
    ("fvcore", "FlopCounterMode", *_BY_MODULE, "ptflops aten", "torchprofile", *_CALFLOPS),
    "products with a vector, and one that sums a batch of products, are not seen",
    "mv addmv addbmm",
)

DEVIATIONS = (
    Deviation(
        "transposed convolution",
        ("thop", "torchinfo", "torchprofile"),
        "counted at every position of the output: 4 times too much at stride 2",
    ),
    Deviation(
        "grouped transposed convolution",
        ("thop", "torchinfo", "torchprofile", *_CALFLOPS),
        "as above; torchprofile does not divide by the groups, and calflops does so twice",
    ),
    Deviation(
        "functional convolution", _BY_MODULE, "F.conv2d with a parameter of one's own is not seen"
    ),
    Deviation(
        "functional linear layer", _BY_MODULE, "F.linear with a parameter of one's own is not seen"
    ),
    Deviation(
        "function imported by name",
        (*_BY_MODULE, *_CALFLOPS),
        "`from torch.nn.functional import linear` escapes what is patched into that module",
    ),
    Deviation(
        "subclass of a convolution",
        _BY_MODULE,
        "classes are matched exactly, and by torchinfo by name: counted 0, or a weight once",
    ),
    Deviation("operator @", (*_BY_MODULE, *_CALFLOPS), "not seen, even where torch.matmul is"),
    Deviation(
        "@ or matmul of a vector",
        ("fvcore", "FlopCounterMode", *_BY_MODULE, "ptflops aten", *_CALFLOPS),
        "torch calls mv or dot, which is not seen; in place of the vector's length ptflops and "
        "calflops multiply by its square, and fvcore raises an error",
        "matmul_vector",
        raised_by=("fvcore",),
    ),
    VECTORS,
    Deviation(
        "einsum",
        (*_BY_MODULE, *_CALFLOPS),
        "not seen; calflops' FLOPs are numpy's estimate, rounded to four figures",
        "einsum einsum_of_no_sum",
    ),
    Deviation(
        "einsum over other axes",
        ("fvcore", *_BY_MODULE, *_CALFLOPS),
        "as above, and fvcore's half of it is, but for two equations of three axes",
        "einsum einsum_of_no_sum",
    ),
    Deviation(
        "einsum of a list",
        (*_BY_MODULE, *_CALFLOPS),
        "calflops raises an error where the operands are in a list",
        raised_by=_CALFLOPS,
    ),
    Deviation(
        "fused attention",
        ("fvcore", "FlopCounterMode", *_BY_MODULE, "ptflops aten", *_CALFLOPS),
        "scaled_dot_product_attention on the CPU is not seen, where torch fuses it",
    ),
    Deviation(
        "attention in evaluation mode",
        ("fvcore", "FlopCounterMode", *_BY_MODULE, "ptflops aten", "torchprofile", *_CALFLOPS),
        "without gradients nn.MultiheadAttention is one native operator that is not seen; ptflops "
        "adds scaling, softmax and biases by a formula of its own",
        "multi_head_attention_forward",
    ),
    Deviation(
        "layer inside a layer",
        _BY_MODULE,
        "thop and ptflops stop at a module that they know, torchinfo counts the innermost only",
    ),
    Deviation(
        "padding in words",
        ("fvcore", "torchprofile"),
        "padding='same' and 'valid' are another operator when traced, which is not seen",
    ),
    Deviation(
        "padding='same', even kernel",
        ("fvcore", "torchprofile", *_CALFLOPS),
        "as above; calflops infers a smaller output",
    ),
    Deviation(
        "interpolation",
        ("fvcore", "torchprofile", "ptflops", "calflops FLOPs"),
        "bilinear is 4 per output to fvcore and torchprofile, 1 to ptflops whatever its mode, and "
        "to calflops 1 per position of one channel",
        "interpolate_to_size interpolate_by_factor grid_sample grid_sample_recorded",
    ),
    Deviation(
        "interpolation of a keyword",
        _CALFLOPS,
        "F.interpolate(input=x) raises an error",
        raised_by=_CALFLOPS,
    ),
    Deviation(
        "image without a batch",
        (*_BY_MODULE, *_CALFLOPS),
        "axes are taken for others; calflops raises an error",
        raised_by=_CALFLOPS,
    ),
    Deviation("module without parameters", _CALFLOPS, "raises an error", raised_by=_CALFLOPS),
    Deviation(
        "model that torch.jit cannot trace",
        _TRACED,
        "raises an error, though the model runs",
        raised_by=_TRACED,
    ),
    Deviation("unused result", _TRACED, "what nothing reads is no part of the traced graph"),
    Deviation(
        "product of sizes",
        ("torchprofile",),
        "a product of two sizes, as of a reshape, is traced and counts as one",
    ),
    Deviation(
        "work on constants",
        ("fvcore", "ptflops", "torchprofile", "calflops FLOPs"),
        "what is computed from parameters or buffers alone counts, though it is the same each time",
    ),
    Deviation(
        "parameters of a module of one's own",
        ("torchinfo",),
        "called weight or bias they count once a sample, whatever is done with them, and at each "
        "position of the output where the class has Conv in its name",
    ),
    Deviation(
        "module under two names",
        ("thop", "ptflops", *_CALFLOPS),
        "all of its calls count at each of its names",
    ),
    Deviation(
        "recurrent layer",
        ("fvcore", "FlopCounterMode", *_BY_MODULE, "ptflops aten", *_CALFLOPS),
        "each has a formula of its own, or none",
        "lstm gru rnn_tanh rnn_relu lstm_cell gru_cell rnn_tanh_cell rnn_relu_cell",
    ),
)
