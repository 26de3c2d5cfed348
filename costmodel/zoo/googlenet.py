"""GoogLeNet, as its paper's table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costmodel.core.layer import Input, Layer
from costmodel.core.network import Network
from costmodel.core.relations import Fixed
from costmodel.layers import Activation, AdaptivePool, Concat, Conv, Flatten, Linear, Pool

if TYPE_CHECKING:
    from costmodel.algebra.arithmetic import Dim

# Szegedy et al. 2015, Table 1: the modules with the columns #1×1, #3×3 reduce, #3×3,
# #5×5 reduce, #5×5 and pool proj, a stage for each size; a max pool stands before each stage.
STAGES = {
    "pool2": {"inception3a": (64, 96, 128, 16, 32, 32), "inception3b": (128, 128, 192, 32, 96, 64)},
    "pool3": {
        "inception4a": (192, 96, 208, 16, 48, 64),
        "inception4b": (160, 112, 224, 24, 64, 64),
        "inception4c": (128, 128, 256, 24, 64, 64),
        "inception4d": (112, 144, 288, 32, 64, 64),
        "inception4e": (256, 160, 320, 32, 128, 128),
    },
    "pool4": {
        "inception5a": (256, 160, 320, 32, 128, 128),
        "inception5b": (384, 192, 384, 48, 128, 128),
    },
}


def googlenet(
    *, classes: int = 1000, resolution: Dim = 224, in_channels: int = 3, batch: int = 1
) -> Network:
    """GoogLeNet (Szegedy et al. 2015, Table 1), without the auxiliary heads of training.

    The original: biases and no batch norm, and 5×5 convolutions where torchvision has 3×3.

    >>> from costmodel import cost
    >>> cost(googlenet())
    Cost(macs=1582671872, params=6998552, activations=3227160)
    """
    layers = [
        Input("image", (batch, in_channels, resolution, resolution)),
        *_conv("conv1", 64, 7, 2),
        _pool("pool1"),
        Activation("norm1", "local_response_norm"),
        *_conv("conv2_reduce", 64),
        *_conv("conv2", 192, 3),
        Activation("norm2", "local_response_norm"),
    ]
    for pool, modules in STAGES.items():
        layers.append(_pool(pool))
        for name, widths in modules.items():
            layers += _inception(name, layers[-1].name, widths)
    layers += [
        AdaptivePool("pool5"),
        Flatten("flatten"),
        Activation("dropout", "dropout"),
        Linear("classifier", Fixed(classes)),
    ]
    return Network("googlenet", tuple(layers))


def _inception(name: str, source: str, widths: tuple[int, ...]) -> list[Layer]:
    """Szegedy et al. 2015, Figure 2(b): four branches side by side on one source."""
    one, reduce3, three, reduce5, five, proj = widths
    ends = ("conv1x1", "conv3x3", "conv5x5", "proj")
    return [
        *_conv(f"{name}.conv1x1", one, source=source),
        *_conv(f"{name}.reduce3x3", reduce3, source=source),
        *_conv(f"{name}.conv3x3", three, 3),
        *_conv(f"{name}.reduce5x5", reduce5, source=source),
        *_conv(f"{name}.conv5x5", five, 5),
        Pool(f"{name}.pool", "max", kernel=3, stride=1, padding=1, inputs=(source,)),
        *_conv(f"{name}.proj", proj),
        Concat(f"{name}.concat", inputs=tuple(f"{name}.{end}.act" for end in ends)),
    ]


def _conv(
    name: str, channels: int, kernel: int = 1, stride: int = 1, *, source: str = ""
) -> list[Layer]:
    """A convolution with bias, and ReLU."""
    inputs = (source,) if source else ()
    conv = Conv(name, channels, kernel, stride, kernel // 2, bias=True, inputs=inputs)
    return [conv, Activation(f"{name}.act")]


def _pool(name: str) -> Layer:
    """3×3 with stride 2, and a window over the edge: 112 → 56 → 28 → 14 → 7."""
    return Pool(name, "max", kernel=3, stride=2, ceil_mode=True)
