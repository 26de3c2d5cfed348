"""MobileNetV1 as a real torch model, written row by row from Howard et al. 2017, Table 1."""

from __future__ import annotations

from collections import OrderedDict
from fractions import Fraction
from math import floor

import torch
from torch import nn


def _round(channels: int, alpha: Fraction, rounding: str) -> int:
    """TF-slim's `depth()`, and the `_make_divisible` of MobileNetV2's authors."""
    wanted = channels * alpha
    if rounding == "floor":
        return max(floor(wanted), min(channels, 8))
    step = int(rounding.removeprefix("divisible(").removesuffix(")"))
    rounded = max(step * floor(wanted / step + Fraction(1, 2)), step)
    return rounded + step if rounded < Fraction(9, 10) * wanted else rounded


def _conv_norm_relu(i: int, o: int, kernel: int, stride: int, groups: int = 1) -> nn.Module:
    """A convolution without bias, then batch norm and ReLU (Howard et al. 2017, Figure 3)."""
    padding = kernel // 2
    conv = nn.Conv2d(i, o, kernel, stride, padding, groups=groups, bias=False)
    return nn.Sequential(OrderedDict(conv=conv, norm=nn.BatchNorm2d(o), relu=nn.ReLU(inplace=True)))


class MobileNetV1(nn.Module):
    """The 28 layers of Table 1 at width `alpha`, for images of any size.

    The last depthwise layer has stride 1: the table prints 2, but its input and output are
    both 7×7. With `separable=False` every block is the one standard 3×3 convolution it
    factorises ("Conv MobileNet", §4.1).

    >>> MobileNetV1(alpha=0.25).eval()(torch.zeros(1, 3, 32, 32)).shape
    torch.Size([1, 1000])
    """

    def __init__(
        self,
        alpha: float | Fraction = 1,
        classes: int = 1000,
        in_channels: int = 3,
        *,
        rounding: str = "floor",
        separable: bool = True,
    ) -> None:
        """Build the layers, with torch's default initialisation."""
        super().__init__()

        def width(channels: int) -> int:
            return _round(channels, Fraction(str(alpha)), rounding)

        def block(i: int, o: int, stride: int) -> nn.Module:
            i, o = width(i), width(o)
            if not separable:
                return _conv_norm_relu(i, o, 3, stride)
            depthwise = _conv_norm_relu(i, i, 3, stride, groups=i)
            return nn.Sequential(OrderedDict(dw=depthwise, pw=_conv_norm_relu(i, o, 1, 1)))

        self.conv1 = _conv_norm_relu(in_channels, width(32), 3, 2)  # 224×224×3
        self.block1 = block(32, 64, 1)  # 112×112×32
        self.block2 = block(64, 128, 2)  # 112×112×64
        self.block3 = block(128, 128, 1)  # 56×56×128
        self.block4 = block(128, 256, 2)  # 56×56×128
        self.block5 = block(256, 256, 1)  # 28×28×256
        self.block6 = block(256, 512, 2)  # 28×28×256
        self.block7 = block(512, 512, 1)  # 5 × 14×14×512
        self.block8 = block(512, 512, 1)
        self.block9 = block(512, 512, 1)
        self.block10 = block(512, 512, 1)
        self.block11 = block(512, 512, 1)
        self.block12 = block(512, 1024, 2)  # 14×14×512
        self.block13 = block(1024, 1024, 1)  # 7×7×1024
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.classifier = nn.Linear(width(1024), classes)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Logits of a batch of images."""
        for layer in self.children():
            image = layer(image)
        return image


def conv_mobilenet(
    alpha: float | Fraction = 1,
    classes: int = 1000,
    in_channels: int = 3,
    *,
    rounding: str = "floor",
) -> MobileNetV1:
    """The twin with full convolutions.

    >>> sum(p.numel() for p in conv_mobilenet().parameters())
    29294088
    """
    return MobileNetV1(alpha, classes, in_channels, rounding=rounding, separable=False)
