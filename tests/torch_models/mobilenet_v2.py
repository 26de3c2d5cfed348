"""MobileNetV2 as a plain torch model, after Sandler et al. 2018, Tables 1 and 2."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn


def divisible_by_8(channels: float) -> int:
    """The nearest multiple of 8, at least 8, and not below nine tenths of what was asked."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


def conv(i: int, o: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> nn.Module:
    """Convolution and batch norm; ReLU6 comes apart, since projections have none."""
    layer = nn.Conv2d(i, o, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(OrderedDict(conv=layer, norm=nn.BatchNorm2d(o)))


class Bottleneck(nn.Module):
    """Expand, filter depthwise, project; a residual where nothing changes size (Table 1)."""

    def __init__(self, i: int, o: int, stride: int, expansion: int, *, residual: bool) -> None:
        """Build the three convolutions, or two where nothing expands."""
        super().__init__()
        wide = expansion * i
        if expansion > 1:
            self.expand = conv(i, wide)
        self.dw = conv(wide, wide, 3, stride, groups=wide)
        self.pw = conv(wide, o)
        self.residual = residual

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """ReLU6 after all but the projection."""
        y = nn.functional.relu6(self.expand(x)) if hasattr(self, "expand") else x
        y = self.pw(nn.functional.relu6(self.dw(y)))
        return x + y if self.residual else y


class MobileNetV2(nn.Module):
    """Table 2 at any width, the last layer never narrower than 1280."""

    def __init__(self, alpha: float = 1.0, classes: int = 1000) -> None:
        """Build stem, seventeen bottlenecks, head and classifier."""
        super().__init__()
        width = divisible_by_8(32 * alpha)
        self.conv1 = conv(3, width, 3, 2)
        number = 0
        for t, c, n, s in (
            [1, 16, 1, 1],
            [6, 24, 2, 2],
            [6, 32, 3, 2],
            [6, 64, 4, 2],
            [6, 96, 3, 1],
            [6, 160, 3, 2],
            [6, 320, 1, 1],
        ):
            for i in range(n):
                number += 1
                out = divisible_by_8(c * alpha)
                block = Bottleneck(width, out, s if i == 0 else 1, t, residual=i > 0)
                self.add_module(f"block{number}", block)
                width = out
        last = divisible_by_8(1280 * max(1.0, alpha))
        self.conv2 = conv(width, last)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(last, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits."""
        x = nn.functional.relu6(self.conv1(x))
        for i in range(1, 18):
            x = self.get_submodule(f"block{i}")(x)
        x = self.pool(nn.functional.relu6(self.conv2(x)))
        return self.classifier(x.flatten(1))
