"""AlexNet in two towers, as its paper has it, and in one, as torchvision ships it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costmodel.core.layer import Input, Layer
from costmodel.core.network import Network
from costmodel.core.relations import Fixed
from costmodel.layers import Activation, AdaptivePool, Conv, Flatten, Linear, Pool

if TYPE_CHECKING:
    from costmodel.algebra.arithmetic import Dim


def alexnet(
    *, classes: int = 1000, resolution: Dim = 227, in_channels: int = 3, batch: int = 1
) -> Network:
    """AlexNet (Krizhevsky et al. 2012, §3.5): the second, fourth and fifth layers in two towers.

    The paper prints 224 px; the 55×55 maps of its Figure 2 need 227.

    >>> from costmodel import cost
    >>> cost(alexnet())
    Cost(macs=724406816, params=60965224, activations=659272)
    """
    layers = (
        Input("image", (batch, in_channels, resolution, resolution)),
        *_conv("conv1", 96, 11, stride=4, padding=0),
        Activation("norm1", "local_response_norm"),
        _pool("pool1"),
        *_conv("conv2", 256, 5, groups=2),
        Activation("norm2", "local_response_norm"),
        _pool("pool2"),
        *_conv("conv3", 384, 3),
        *_conv("conv4", 384, 3, groups=2),
        *_conv("conv5", 256, 3, groups=2),
        _pool("pool5"),
    )
    return Network("alexnet", (*layers, *fully_connected(classes)))


def alexnet_one_tower(
    *, classes: int = 1000, resolution: Dim = 224, in_channels: int = 3, batch: int = 1
) -> Network:
    """AlexNet in one tower, without normalisation, as torchvision has it.

    Krizhevsky 2014, "One weird trick for parallelizing convolutional neural networks", prints
    384 filters for the fourth layer (§5, footnote); its published configuration has 256, and so
    has torchvision. The average pool makes the classifier independent of the resolution.

    >>> from costmodel import cost
    >>> cost(alexnet_one_tower())
    Cost(macs=714188480, params=61100840, activations=494184)
    """
    layers = (
        Input("image", (batch, in_channels, resolution, resolution)),
        *_conv("conv1", 64, 11, stride=4, padding=2),
        _pool("pool1"),
        *_conv("conv2", 192, 5),
        _pool("pool2"),
        *_conv("conv3", 384, 3),
        *_conv("conv4", 256, 3),
        *_conv("conv5", 256, 3),
        _pool("pool5"),
        AdaptivePool("average", output_size=6),
    )
    return Network("alexnet_one_tower", (*layers, *fully_connected(classes)))


def fully_connected(classes: int) -> list[Layer]:
    """The last three layers of AlexNet, and of VGG: 4096, 4096 and the classes, with dropout."""
    return [
        Flatten("flatten"),
        Linear("fc6", 4096),
        Activation("fc6.act"),
        Activation("fc6.dropout", "dropout"),
        Linear("fc7", 4096),
        Activation("fc7.act"),
        Activation("fc7.dropout", "dropout"),
        Linear("classifier", Fixed(classes)),
    ]


def _conv(  # noqa: PLR0913 - one for each of a convolution's own
    name: str,
    channels: int,
    kernel: int,
    *,
    stride: int = 1,
    padding: int | None = None,
    groups: int = 1,
) -> list[Layer]:
    """A convolution with bias, padded to keep the size unless told otherwise, and ReLU."""
    padding = kernel // 2 if padding is None else padding
    conv = Conv(name, channels, kernel, stride, padding, groups=groups, bias=True)
    return [conv, Activation(f"{name}.act")]


def _pool(name: str) -> Layer:
    """Krizhevsky et al. 2012, §3.4: windows of 3 that move by 2, and so overlap."""
    return Pool(name, "max", kernel=3, stride=2)
