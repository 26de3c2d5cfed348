"""VGG, as its paper's table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costmodel.core.layer import Input, Layer
from costmodel.core.network import Network
from costmodel.layers import Activation, Conv, Pool
from costmodel.zoo.alexnet import fully_connected

if TYPE_CHECKING:
    from costmodel.algebra.arithmetic import Dim

# Simonyan & Zisserman 2015, Table 1, column D: the widths of the 3×3 convolutions that stand
# before each max pool.
D = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


def vgg_16(
    *, classes: int = 1000, resolution: Dim = 224, in_channels: int = 3, batch: int = 1
) -> Network:
    """VGG-16 (Simonyan & Zisserman 2015, Table 1, column D), without batch norm.

    The first fully-connected layer reads what the last pool leaves, so its parameters depend on
    the resolution; torchvision averages to 7×7 first, which changes nothing at 224.

    >>> from costmodel import cost
    >>> cost(vgg_16())
    Cost(macs=15470264320, params=138357544, activations=13556712)
    """
    layers: list[Layer] = [Input("image", (batch, in_channels, resolution, resolution))]
    for i, block in enumerate(D, start=1):
        for j, channels in enumerate(block, start=1):
            layers.append(Conv(f"conv{i}_{j}", channels, kernel=3, padding=1, bias=True))
            layers.append(Activation(f"conv{i}_{j}.act"))
        layers.append(Pool(f"pool{i}", "max", kernel=2, stride=2))
    return Network("vgg_16", (*layers, *fully_connected(classes)))
