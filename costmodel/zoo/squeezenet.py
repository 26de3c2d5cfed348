"""The SqueezeNets, as their authors' tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costmodel.core.layer import Input, Layer
from costmodel.core.network import Network
from costmodel.core.relations import Fixed
from costmodel.layers import Activation, AdaptivePool, Concat, Conv, Flatten, Pool

if TYPE_CHECKING:
    from costmodel.algebra.arithmetic import Dim


def squeezenet_1_0(
    *, classes: int = 1000, resolution: Dim = 224, in_channels: int = 3, batch: int = 1
) -> Network:
    """SqueezeNet 1.0 (Iandola et al. 2016, Table 1), with pools that may hang over the edge.

    The table prints 224 px and a first layer of 111×111, which needs 227; at 224 it is 109×109,
    as in torchvision.

    >>> from costmodel import cost
    >>> cost(squeezenet_1_0())
    Cost(macs=818924576, params=1248424, activations=4346248)
    """
    layers = (
        Input("image", (batch, in_channels, resolution, resolution)),
        *_relu(Conv("conv1", 96, kernel=7, stride=2, bias=True)),
        _pool("pool1"),
        *_fire("fire2", 16, 64),
        *_fire("fire3", 16, 64),
        *_fire("fire4", 32, 128),
        _pool("pool4"),
        *_fire("fire5", 32, 128),
        *_fire("fire6", 48, 192),
        *_fire("fire7", 48, 192),
        *_fire("fire8", 64, 256),
        _pool("pool8"),
        *_fire("fire9", 64, 256),
    )
    return Network("squeezenet_1_0", (*layers, *_classifier(classes)))


def squeezenet_1_1(
    *, classes: int = 1000, resolution: Dim = 224, in_channels: int = 3, batch: int = 1
) -> Network:
    """SqueezeNet 1.1 (its authors' repository): a smaller first layer, and earlier pools.

    >>> from costmodel import cost
    >>> cost(squeezenet_1_1())
    Cost(macs=349151936, params=1235496, activations=2589352)
    """
    layers = (
        Input("image", (batch, in_channels, resolution, resolution)),
        *_relu(Conv("conv1", 64, kernel=3, stride=2, bias=True)),
        _pool("pool1"),
        *_fire("fire2", 16, 64),
        *_fire("fire3", 16, 64),
        _pool("pool3"),
        *_fire("fire4", 32, 128),
        *_fire("fire5", 32, 128),
        _pool("pool5"),
        *_fire("fire6", 48, 192),
        *_fire("fire7", 48, 192),
        *_fire("fire8", 64, 256),
        *_fire("fire9", 64, 256),
    )
    return Network("squeezenet_1_1", (*layers, *_classifier(classes)))


def _fire(name: str, squeeze: int, expand: int) -> list[Layer]:
    """Iandola et al. 2016, Figure 1: squeeze to few channels, expand by 1×1 beside 3×3."""
    squeezed = _relu(Conv(f"{name}.squeeze", squeeze, kernel=1, bias=True))
    source = (squeezed[-1].name,)
    one, three = f"{name}.expand1x1", f"{name}.expand3x3"
    return [
        *squeezed,
        *_relu(Conv(one, expand, kernel=1, bias=True, inputs=source)),
        *_relu(Conv(three, expand, kernel=3, padding=1, bias=True, inputs=source)),
        Concat(f"{name}.concat", inputs=(f"{one}.act", f"{three}.act")),
    ]


def _classifier(classes: int) -> list[Layer]:
    """The table's conv10, and an average over what it makes of each position."""
    return [
        Activation("dropout", "dropout"),
        *_relu(Conv("classifier", Fixed(classes), kernel=1, bias=True)),
        AdaptivePool("pool10"),
        Flatten("flatten"),
    ]


def _relu(conv: Conv) -> list[Layer]:
    return [conv, Activation(f"{conv.name}.act")]


def _pool(name: str) -> Layer:
    return Pool(name, "max", kernel=3, stride=2, ceil_mode=True)
