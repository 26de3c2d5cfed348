"""ptflops: hooks on modules and functions replaced, or, of its aten backend, operators watched."""

from __future__ import annotations

from functools import partial
from math import prod
from typing import TYPE_CHECKING

from costmodel.tools import convention as c, deviations as known
from costmodel.tools.convention import ELEMENT, INPUT_ELEMENT, MAC, Per, Tool, rules

if TYPE_CHECKING:
    import torch
    from torch import nn

_OF_A_SAMPLE = Per("element of a sample", lambda layer, _: prod(layer.output[1:]))
_RESIZED = (
    f"{c.NEAREST} upsample_linear1d upsample_bilinear2d upsample_bicubic2d upsample_trilinear3d"
)


def _run(module: nn.Module, images: c.Images, *, backend: str) -> int:
    from ptflops import get_model_complexity_info

    several = {f"image{i}": image for i, image in enumerate(images)}
    total: int | None = get_model_complexity_info(
        module if len(images) == 1 else _by_keyword(module),
        (1,),  # in place of the images that the constructor makes
        print_per_layer_stat=False,
        as_strings=False,
        input_constructor=lambda _: images[0] if len(images) == 1 else several,
        backend=backend,
    )[0]
    if total is None:  # it prints what went wrong
        raise ValueError("no figure")
    return total


def _by_keyword(module: nn.Module) -> nn.Module:
    """The module with keyword arguments, which is how ptflops passes several inputs."""
    from torch import nn

    class ByKeyword(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = module

        def forward(self, **images: torch.Tensor) -> object:
            return self.module(*images.values())

    return ByKeyword()


#: The default backend hooks torch's own classes of modules, whose sum it averages over the batch,
#: and replaces functions and tensor methods, whose sum it does not; what a hooked module does by a
#: replaced function (ReLU, all pools) is counted twice.
PTFLOPS = Tool(
    "ptflops",
    "MACs",
    (
        *c.seen(c.by_class, *c.MACS, *c.TRANSPOSED_MACS, averaged=True),
        *c.seen(
            c.by_name,
            *c.PRODUCTS,
            *rules("baddbmm", 1, MAC, "matmul"),
            *rules("addmm_bias", 1, c.FEATURE, "matmul bias"),
        ),
        *c.seen(
            c.by_class,
            *rules(f"{c.CONV_BIAS} linear_bias linear_bias_apart", 1, ELEMENT, "bias"),
            *rules(c.TRANSPOSED_BIAS, 1, ELEMENT, "bias"),
            *c.norms("batch_norm", 2, 1),
            *rules("group_norm instance_norm", 2, ELEMENT, "norm"),
            *rules("group_norm_without_affine instance_norm_without_affine", 1, ELEMENT, "norm"),
            *rules("layer_norm layer_norm_without_affine", 1, ELEMENT, "norm"),
            *rules(
                "relu relu6 elu leaky_relu gelu prelu leaky_relu_in_place", 1, ELEMENT, "activation"
            ),
            averaged=True,
        ),
        *c.seen(
            c.by_name,
            *rules("relu relu6 elu gelu silu swish prelu", 1, ELEMENT, "activation function"),
            *rules("softmax", 1, ELEMENT, "activation function"),
        ),
        *c.seen(
            c.by_class,
            *rules(c.POOLS, 1, INPUT_ELEMENT, "pool"),
            *rules(_RESIZED, 1, _OF_A_SAMPLE, "interpolation"),
            averaged=True,
        ),
        *c.seen(
            c.by_name,
            *rules(c.POOLS, 1, INPUT_ELEMENT, "pool function"),
            *rules(_RESIZED, 1, ELEMENT, "interpolation function"),
            *rules("add", 1, c.ADDITION, "add"),
            *rules("mul", 1, ELEMENT, "mul"),
        ),
        *c.RESPONSE,
    ),
    "ptflops",
    partial(_run, backend="pytorch"),
    (
        *(*known.HOOKS, known.INTERPOLATION, known.NO_BATCH, known.CONSTANTS),
        *(known.TWO_NAMES, known.RECURRENT),
    ),
)
#: The aten backend: MACs and biases of the operators that it is shown.
PTFLOPS_ATEN = Tool(
    "ptflops aten",
    "MACs",
    (
        *c.MACS,
        *c.PRODUCTS,
        *rules(f"einsum tensordot {c.POWERS}", 1, MAC, "matmul"),
        *rules(c.UNFUSED, 1, MAC, "attention"),
        *c.TRANSPOSED_MACS,
        *rules(f"{c.CONV_BIAS} linear_bias addmm_bias", 1, ELEMENT, "bias"),
        *rules(c.TRANSPOSED_BIAS, 1, ELEMENT, "bias"),
    ),
    "ptflops",
    partial(_run, backend="aten"),
    known.OPERATORS,
)
