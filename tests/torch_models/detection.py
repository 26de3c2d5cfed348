"""The detectors as plain modules, from the TensorFlow Object Detection API's code."""

from __future__ import annotations

from collections import OrderedDict
from itertools import pairwise

import torch
from torch import Tensor, nn


class ConvNorm(nn.Module):
    """A convolution without bias, batch norm and ReLU6; "SAME" padding."""

    def __init__(self, i: int, o: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> None:
        """Build the three."""
        super().__init__()
        self.conv = nn.Conv2d(i, o, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(o)
        self.act = nn.ReLU6()

    def forward(self, x: Tensor) -> Tensor:
        """One after the other."""
        return self.act(self.norm(self.conv(x)))


def separable(i: int, o: int, stride: int = 1) -> nn.Sequential:
    """A block of MobileNetV1: depthwise, then pointwise, each with batch norm."""
    depthwise = ConvNorm(i, i, 3, stride, groups=i)
    return nn.Sequential(OrderedDict(dw=depthwise, pw=ConvNorm(i, o)))


def slim_separable(i: int, o: int, stride: int = 1) -> nn.Sequential:
    """`slim.separable_conv2d`: one batch norm, after the pointwise half."""
    depthwise = nn.Conv2d(i, i, 3, stride, 1, groups=i, bias=False)
    return nn.Sequential(OrderedDict(dw=depthwise, pw=ConvNorm(i, o)))


class Body(nn.Module):
    """MobileNetV1 up to block 11, whose map has stride 16."""

    def __init__(self) -> None:
        """Build conv1 and eleven blocks; those that begin a new width halve the map."""
        super().__init__()
        self.conv1 = ConvNorm(3, 32, 3, 2)
        self.block1 = separable(32, 64)
        self.block2 = separable(64, 128, 2)
        self.block3 = separable(128, 128)
        self.block4 = separable(128, 256, 2)
        self.block5 = separable(256, 256)
        self.block6 = separable(256, 512, 2)
        for i in range(7, 12):
            self.add_module(f"block{i}", separable(512, 512))

    def features(self, x: Tensor) -> Tensor:
        """The 512 channels of block 11."""
        x = self.conv1(x)
        for i in range(1, 12):
            x = self.get_submodule(f"block{i}")(x)
        return x


class Predictor(nn.Module):
    """Boxes and scores of one feature map."""

    def __init__(self, i: int, boxes: int, scores: int) -> None:
        """Build two 1×1 convolutions."""
        super().__init__()
        self.boxes = nn.Conv2d(i, boxes, 1)
        self.scores = nn.Conv2d(i, scores, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Both of the same map."""
        return self.boxes(x), self.scores(x)


class SSD(Body):
    """SSD-MobileNet: six maps, of 19, 10, 5, 3, 2 and 1 at 300 px."""

    def __init__(self, classes: int = 90) -> None:
        """Build the last blocks, the extra layers and a predictor for each map."""
        super().__init__()
        self.block12 = separable(512, 1024, 2)
        self.block13 = separable(1024, 1024)
        depths = [1024, 512, 256, 256, 128]
        for k, (i, o) in enumerate(pairwise(depths), start=1):
            extra = OrderedDict(reduce=ConvNorm(i, o // 2), down=ConvNorm(o // 2, o, 3, 2))
            self.add_module(f"extra{k}", nn.Sequential(extra))
        for k, i in enumerate([512, *depths], start=1):
            anchors = 3 if k == 1 else 6
            self.add_module(f"head{k}", Predictor(i, anchors * 4, anchors * (1 + classes)))

    def forward(self, x: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Boxes and scores, map by map."""
        maps = [self.features(x)]
        maps.append(self.block13(self.block12(maps[0])))
        maps += [maps[-1] for _ in range(4)]
        for k in range(1, 5):
            maps[k + 1] = self.get_submodule(f"extra{k}")(maps[k])
        return [self.get_submodule(f"head{k}")(x) for k, x in enumerate(maps, start=1)]


class RPN(Predictor):
    """The region proposal network: a 3×3 convolution, then twelve anchors at each position."""

    def __init__(self) -> None:
        """Build it: two scores an anchor, object or not."""
        super().__init__(512, 12 * 4, 12 * 2)
        self.conv = nn.Conv2d(512, 512, 3, padding=1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Boxes and scores of proposals."""
        return super().forward(torch.clamp(self.conv(x), 0, 6))


class FasterRCNN(Body):
    """Faster R-CNN; every proposal is the whole image, which costs what any other would."""

    def __init__(self, classes: int = 90, proposals: int = 300) -> None:
        """Build the proposals' network and the second stage."""
        super().__init__()
        self.proposals = proposals
        self.rpn = RPN()
        self.block12 = slim_separable(512, 1024, 2)
        self.block13 = slim_separable(1024, 1024)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.boxes = nn.Linear(1024, classes * 4)
        self.scores = nn.Linear(1024, classes + 1)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Proposals, then a box for each class and the scores of each crop."""
        x = self.features(x)
        crops = torch.cat([crop(image) for image in x for _ in range(self.proposals)])
        crops = self.pool(self.block13(self.block12(crops))).flatten(1)
        return *self.rpn(x), self.boxes(crops), self.scores(crops)


def crop(features: Tensor) -> Tensor:
    """A (channels, height, width) map resized to 14×14 by its nearest elements."""
    height, width = features.shape[1:]
    rows = torch.linspace(0, height - 1, 14).round().long()
    columns = torch.linspace(0, width - 1, 14).round().long()
    return features[:, rows][:, :, columns].unsqueeze(0)


class PersonDetector(nn.Module):
    """MLPerf Tiny's visual wake words: the widths as its `vww_model.py` writes them, 8 to 256."""

    def __init__(self) -> None:
        """Build the layers; thirteen blocks of ten strides 1 and four 2, conv1's included."""
        super().__init__()
        self.conv1 = ConvNorm(3, 8, 3, 2)
        widths = [8, 16, 32, 32, 64, 64, 128, 128, 128, 128, 128, 128, 256, 256]
        for k, (i, o) in enumerate(pairwise(widths), start=1):
            self.add_module(f"block{k}", separable(i, o, 2 if k in {2, 4, 6, 12} else 1))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.classifier = nn.Linear(256, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Person or not."""
        for layer in self.children():
            x = layer(x)
        return x
