"""The MobileNets, as their papers' tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costmodel.core.layer import Input, Layer
from costmodel.core.network import Network
from costmodel.core.relations import SAME, AtLeast, Fixed, Times
from costmodel.core.rewrite import drop
from costmodel.layers import Activation, AdaptivePool, Add, BatchNorm, Conv, Flatten, Linear
from costmodel.layers.factorising import join

if TYPE_CHECKING:
    from costmodel.algebra.arithmetic import Dim
    from costmodel.core.fields import Width

# Howard et al. 2017, Table 1: stride and output channels of the thirteen depthwise separable
# blocks. The table prints stride 2 for the last; its input and output are both 7×7, so it is 1.
V1_BLOCKS = (
    (1, 64),
    (2, 128),
    (1, 128),
    (2, 256),
    (1, 256),
    (2, 512),
    (1, 512),
    (1, 512),
    (1, 512),
    (1, 512),
    (1, 512),
    (2, 1024),
    (1, 1024),
)

# Sandler et al. 2018, Table 2: expansion t, output channels c, repeats n, stride s of the first.
V2_BLOCKS = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def mobilenet_v1(
    *, classes: int = 1000, resolution: Dim = 224, in_channels: int = 3, batch: int = 1
) -> Network:
    """MobileNetV1 (Howard et al. 2017, Table 1), batch norm and ReLU after every convolution.

    MACs(α, ρ) = 539492352·α²ρ² + 28224000·αρ² + 1024000·α for 1000 classes, once relaxed.

    >>> from costmodel import cost
    >>> cost(mobilenet_v1())
    Cost(macs=568740352, params=4231976, activations=5043688)
    """
    layers = [_image(resolution, in_channels, batch), *_conv("conv1", 32, 3, 2)]
    for i, (stride, channels) in enumerate(V1_BLOCKS, start=1):
        layers += _conv(f"block{i}.dw", SAME, 3, stride)
        layers += _conv(f"block{i}.pw", channels)
    return Network("mobilenet_v1", (*layers, *_classifier(classes)))


def conv_mobilenet(
    *, classes: int = 1000, resolution: Dim = 224, in_channels: int = 3, batch: int = 1
) -> Network:
    """MobileNetV1 with full convolutions (Howard et al. 2017, §4.1: "Conv MobileNet").

    >>> from costmodel import cost
    >>> cost(conv_mobilenet()).params
    29294088
    """
    network = mobilenet_v1(
        classes=classes, resolution=resolution, in_channels=in_channels, batch=batch
    )
    return Network("conv_mobilenet", join(network).layers)


def shallow_mobilenet(
    *, classes: int = 1000, resolution: Dim = 224, in_channels: int = 3, batch: int = 1
) -> Network:
    """MobileNetV1 without its five layers of 14×14×512 (Howard et al. 2017, §4.1, Table 5).

    >>> from costmodel import cost
    >>> cost(shallow_mobilenet()).macs == 568740352 - 5 * (9 * 512 + 512 * 512) * 14 * 14
    True
    """
    network = mobilenet_v1(
        classes=classes, resolution=resolution, in_channels=in_channels, batch=batch
    )
    shallow = drop(network, [f"block{i}.*" for i in range(7, 12)])
    return Network("shallow_mobilenet", shallow.layers)


def mobilenet_v2(
    *, classes: int = 1000, resolution: Dim = 224, in_channels: int = 3, batch: int = 1
) -> Network:
    """MobileNetV2 (Sandler et al. 2018, Table 2), rounded by its authors' `divisible(8)`.

    Expansions are six times the block's rounded input; the last 1280 channels never shrink.

    >>> from costmodel import cost
    >>> cost(mobilenet_v2())
    Cost(macs=300774272, params=3504872, activations=6679112)
    """
    layers = [_image(resolution, in_channels, batch), *_conv("conv1", 32, 3, 2, function="relu6")]
    number = 0
    for expansion, channels, repeats, stride in V2_BLOCKS:
        for repeat in range(repeats):
            number += 1
            source = layers[-1].name
            layers += _bottleneck(f"block{number}", expansion, channels, 1 if repeat else stride)
            if repeat:
                layers.append(Add(f"block{number}.add", inputs=(layers[-1].name, source)))
    layers += _conv("conv2", AtLeast(1280), function="relu6")
    layers += _classifier(classes)
    return Network("mobilenet_v2", tuple(layers), rounding="divisible(8)")


def _image(resolution: Dim, in_channels: int, batch: int) -> Layer:
    return Input("image", (batch, in_channels, resolution, resolution))


def _conv(
    name: str, width: Width, kernel: int = 1, stride: int = 1, *, function: str = "relu"
) -> list[Layer]:
    """A convolution without bias, batch norm and an activation (unless it is linear)."""
    groups = SAME if width == SAME else 1
    return [
        Conv(name, width, kernel, stride, padding=kernel // 2, groups=groups),
        BatchNorm(f"{name}.norm"),
        *([Activation(f"{name}.act", function)] if function else []),
    ]


def _bottleneck(name: str, expansion: int, channels: int, stride: int) -> list[Layer]:
    """Sandler et al. 2018, Table 1: expand, filter depthwise, project without activation."""
    expand = _conv(f"{name}.expand", Times(expansion), function="relu6")
    return [
        *(expand if expansion > 1 else []),
        *_conv(f"{name}.dw", SAME, 3, stride, function="relu6"),
        *_conv(f"{name}.pw", channels, function=""),
    ]


def _classifier(classes: int) -> list[Layer]:
    return [AdaptivePool("pool"), Flatten("flatten"), Linear("classifier", Fixed(classes))]
