"""Inception-v3, block by block as its paper's figures."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from costmodel.core.layer import Input, Layer
from costmodel.core.network import Network
from costmodel.core.relations import Fixed
from costmodel.layers import (
    Activation,
    AdaptivePool,
    BatchNorm,
    Concat,
    Conv,
    Flatten,
    Linear,
    Pool,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from costmodel.algebra.arithmetic import Dim

    Branches = tuple[list[Layer], ...]

#: Kernels along one axis, (height, width), and the padding that keeps the size.
ROW_3, COLUMN_3 = (1, 3), (3, 1)
ROW_7, COLUMN_7 = (1, 7), (7, 1)


def inception_v3(
    *, classes: int = 1000, resolution: Dim = 299, in_channels: int = 3, batch: int = 1
) -> Network:
    """Inception-v3 (Szegedy et al. 2016, Table 1), without the auxiliary head of training.

    As its authors released it, and torchvision and Keras have it, which is not quite as printed:
    the stem ends in 1×1 to 80, 3×3 to 192 and a pool, the 35×35 blocks keep a 5×5, and the 17×17
    blocks are four, of growing width.

    >>> from costmodel import cost
    >>> cost(inception_v3())
    Cost(macs=5713216096, params=23834568, activations=8968488)
    """
    layers = [
        Input("image", (batch, in_channels, resolution, resolution)),
        *_conv("conv1", 32, 3, stride=2, padding=0),
        *_conv("conv2", 32, 3, padding=0),
        *_conv("conv3", 64, 3),
        Pool("pool1", "max", kernel=3, stride=2),
        *_conv("conv4", 80, 1),
        *_conv("conv5", 192, 3, padding=0),
        Pool("pool2", "max", kernel=3, stride=2),
    ]
    blocks = {
        "mixed5b": _figure_5(pooled=32),
        "mixed5c": _figure_5(pooled=64),
        "mixed5d": _figure_5(pooled=64),
        "mixed6a": _to_17x17(),
        "mixed6b": _figure_6(width=128),
        "mixed6c": _figure_6(width=160),
        "mixed6d": _figure_6(width=160),
        "mixed6e": _figure_6(width=192),
        "mixed7a": _to_8x8(),
        "mixed7b": _figure_7(),
        "mixed7c": _figure_7(),
    }
    for name, branches in blocks.items():
        layers += _block(name, layers[-1].name, branches)
    layers += [
        AdaptivePool("pool"),
        Flatten("flatten"),
        Activation("dropout", "dropout"),
        Linear("classifier", Fixed(classes)),
    ]
    return Network("inception_v3", tuple(layers))


def _figure_5(pooled: int) -> Branches:
    """35×35: 1×1, 5×5, twice 3×3, and an average pool."""
    return (
        _conv("branch1x1", 64, 1),
        [*_conv("branch5x5_1", 48, 1), *_conv("branch5x5_2", 64, 5)],
        [*_conv("branch3x3_1", 64, 1), *_conv("branch3x3_2", 96, 3), *_conv("branch3x3_3", 96, 3)],
        _averaged(pooled),
    )


def _to_17x17() -> Branches:
    """Figure 10 between 35×35 and 17×17: strided branches beside a pool."""
    return (
        _conv("branch3x3", 384, 3, stride=2, padding=0),
        [
            *_conv("branch3x3dbl_1", 64, 1),
            *_conv("branch3x3dbl_2", 96, 3),
            *_conv("branch3x3dbl_3", 96, 3, stride=2, padding=0),
        ],
        [Pool("pool", "max", kernel=3, stride=2)],
    )


def _figure_6(width: int) -> Branches:
    """17×17: each 7×7 as a row and a column."""
    return (
        _conv("branch1x1", 192, 1),
        [
            *_conv("branch7x7_1", width, 1),
            *_conv("branch7x7_2", width, ROW_7),
            *_conv("branch7x7_3", 192, COLUMN_7),
        ],
        [
            *_conv("branch7x7dbl_1", width, 1),
            *_conv("branch7x7dbl_2", width, COLUMN_7),
            *_conv("branch7x7dbl_3", width, ROW_7),
            *_conv("branch7x7dbl_4", width, COLUMN_7),
            *_conv("branch7x7dbl_5", 192, ROW_7),
        ],
        _averaged(192),
    )


def _to_8x8() -> Branches:
    """Figure 10 again, between 17×17 and 8×8."""
    return (
        [*_conv("branch3x3_1", 192, 1), *_conv("branch3x3_2", 320, 3, stride=2, padding=0)],
        [
            *_conv("branch7x7_1", 192, 1),
            *_conv("branch7x7_2", 192, ROW_7),
            *_conv("branch7x7_3", 192, COLUMN_7),
            *_conv("branch7x7_4", 192, 3, stride=2, padding=0),
        ],
        [Pool("pool", "max", kernel=3, stride=2)],
    )


def _figure_7() -> Branches:
    """8×8: a row and a column side by side on what stands before them."""
    return (
        _conv("branch1x1", 320, 1),
        [
            *_conv("branch3x3_1", 384, 1),
            *_conv("branch3x3_2a", 384, ROW_3, source="branch3x3_1.act"),
            *_conv("branch3x3_2b", 384, COLUMN_3, source="branch3x3_1.act"),
        ],
        [
            *_conv("branch3x3dbl_1", 448, 1),
            *_conv("branch3x3dbl_2", 384, 3),
            *_conv("branch3x3dbl_3a", 384, ROW_3, source="branch3x3dbl_2.act"),
            *_conv("branch3x3dbl_3b", 384, COLUMN_3, source="branch3x3dbl_2.act"),
        ],
        _averaged(192),
    )


def _averaged(channels: int) -> list[Layer]:
    pool = Pool("pool", "average", kernel=3, stride=1, padding=1)
    return [pool, *_conv("branch_pool", channels, 1)]


def _block(name: str, source: str, branches: Iterable[list[Layer]]) -> list[Layer]:
    """Branches side by side on one source, joined where they end; names are the block's own."""
    layers: list[Layer] = []
    for branch in branches:
        before = source
        for layer in branch:
            inputs = tuple(f"{name}.{part}" for part in layer.inputs) or (before,)
            layers.append(replace(layer, name=f"{name}.{layer.name}", inputs=inputs))
            before = layers[-1].name
    read = {part for layer in layers for part in layer.inputs}
    ends = tuple(layer.name for layer in layers if layer.name not in read)
    return [*layers, Concat(f"{name}.concat", inputs=ends)]


def _conv(  # noqa: PLR0913 - one for each of a convolution's own
    name: str,
    channels: int,
    kernel: int | tuple[int, int],
    *,
    stride: int = 1,
    padding: int | None = None,
    source: str = "",
) -> list[Layer]:
    """A convolution without bias that keeps the size unless told otherwise, batch norm and ReLU."""
    height, width = kernel if isinstance(kernel, tuple) else (kernel, kernel)
    same = (height // 2, width // 2)
    inputs = (source,) if source else ()
    return [
        Conv(name, channels, kernel, stride, same if padding is None else padding, inputs=inputs),
        BatchNorm(f"{name}.norm"),
        Activation(f"{name}.act"),
    ]
