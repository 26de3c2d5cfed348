"""What the tools miscount in torch models and no Network can say: named, and each demonstrated.

A convention is what a tool counts of the layers that a Network has, as torch modules. A test runs
every tool on a module of each kind named here, and asserts which print another figure.
"""

from __future__ import annotations

from typing import NamedTuple


class Deviation(NamedTuple):
    """Where a tool's count is not its convention's, which tools' counts, and what they do.

    >>> DEVIATIONS[0].tools
    ('thop', 'torchinfo', 'torchprofile')
    """

    name: str
    tools: tuple[str, ...]
    effect: str


_BY_MODULE = ("thop", "ptflops", "torchinfo")
_CALFLOPS = ("calflops", "calflops FLOPs")

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
        "einsum",
        (*_BY_MODULE, *_CALFLOPS),
        "not seen; calflops' FLOPs are numpy's estimate, rounded to four figures",
    ),
    Deviation(
        "fused attention",
        ("fvcore", "FlopCounterMode", *_BY_MODULE, "ptflops aten", *_CALFLOPS),
        "scaled_dot_product_attention on the CPU is not seen",
    ),
    Deviation(
        "attention in evaluation mode",
        ("fvcore", "FlopCounterMode", *_BY_MODULE, "ptflops aten", "torchprofile", *_CALFLOPS),
        "without gradients nn.MultiheadAttention is one native operator that is not seen; ptflops "
        "adds scaling, softmax and biases by a formula of its own",
    ),
    Deviation(
        "layer inside a layer",
        _BY_MODULE,
        "thop and ptflops stop at a module that they know, torchinfo counts the innermost only",
    ),
    Deviation(
        "padding='same', even kernel",
        ("fvcore", "torchprofile", *_CALFLOPS),
        "another operator when traced, which is not seen; calflops infers a smaller output",
    ),
    Deviation(
        "interpolation",
        ("fvcore", "torchprofile", "ptflops", "calflops FLOPs"),
        "bilinear is 4 per output to fvcore and torchprofile, 1 to ptflops whatever its mode, and "
        "to calflops 1 per position of one channel",
    ),
    Deviation(
        "image without a batch",
        (*_BY_MODULE, *_CALFLOPS),
        "axes are taken for others; calflops raises an error",
    ),
    Deviation("module without parameters", _CALFLOPS, "raises an error"),
)
