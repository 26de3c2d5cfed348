"""GoogLeNet as a torch model, module by module from Szegedy et al. 2015, Figure 3."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import dropout, max_pool2d, relu


class Inception(nn.Module):
    """Figure 2(b), each branch by its (reduced and) final width."""

    def __init__(
        self, c_in: int, *, ones: int, threes: tuple[int, int], fives: tuple[int, int], pooled: int
    ) -> None:
        """Build the six convolutions of the four branches."""
        super().__init__()
        self.conv1x1 = nn.Conv2d(c_in, ones, 1)
        self.reduce3x3 = nn.Conv2d(c_in, threes[0], 1)
        self.conv3x3 = nn.Conv2d(threes[0], threes[1], 3, padding=1)
        self.reduce5x5 = nn.Conv2d(c_in, fives[0], 1)
        self.conv5x5 = nn.Conv2d(fives[0], fives[1], 5, padding=2)
        self.proj = nn.Conv2d(c_in, pooled, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The branches' outputs, side by side."""
        branches = (
            self.conv1x1(x),
            self.conv3x3(relu(self.reduce3x3(x))),
            self.conv5x5(relu(self.reduce5x5(x))),
            self.proj(max_pool2d(x, 3, stride=1, padding=1)),
        )
        return relu(torch.cat(branches, dim=1))


class GoogLeNet(nn.Module):
    """Twenty-two layers with weights; a width is what goes on to the next module."""

    def __init__(self, classes: int = 1000) -> None:
        """Build the layers."""
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3)
        self.conv2_reduce = nn.Conv2d(64, 64, 1)
        self.conv2 = nn.Conv2d(64, 192, 3, padding=1)
        self.inception3a = Inception(192, ones=64, threes=(96, 128), fives=(16, 32), pooled=32)
        self.inception3b = Inception(256, ones=128, threes=(128, 192), fives=(32, 96), pooled=64)
        self.inception4a = Inception(480, ones=192, threes=(96, 208), fives=(16, 48), pooled=64)
        self.inception4b = Inception(512, ones=160, threes=(112, 224), fives=(24, 64), pooled=64)
        self.inception4c = Inception(512, ones=128, threes=(128, 256), fives=(24, 64), pooled=64)
        self.inception4d = Inception(512, ones=112, threes=(144, 288), fives=(32, 64), pooled=64)
        self.inception4e = Inception(528, ones=256, threes=(160, 320), fives=(32, 128), pooled=128)
        self.inception5a = Inception(832, ones=256, threes=(160, 320), fives=(32, 128), pooled=128)
        self.inception5b = Inception(832, ones=384, threes=(192, 384), fives=(48, 128), pooled=128)
        self.classifier = nn.Linear(1024, classes)
        self.norm = nn.LocalResponseNorm(5)
        self.pool = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.average = nn.AdaptiveAvgPool2d(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of a batch of images; Figure 3 from the bottom to the top."""
        x = self.norm(self.pool(relu(self.conv1(x))))
        x = self.pool(self.norm(relu(self.conv2(relu(self.conv2_reduce(x))))))
        x = self.pool(self.inception3b(self.inception3a(x)))
        x = self.inception4c(self.inception4b(self.inception4a(x)))
        x = self.pool(self.inception4e(self.inception4d(x)))
        x = self.inception5b(self.inception5a(x))
        x = dropout(self.average(x).flatten(1), 0.4, training=self.training)
        return self.classifier(x)
