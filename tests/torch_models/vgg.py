"""VGG-16 as a torch model, layer by layer from Simonyan & Zisserman 2015, §2.1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn
from torch.nn.functional import dropout, max_pool2d, relu

if TYPE_CHECKING:
    import torch


def conv3(c_in: int, c_out: int) -> nn.Conv2d:
    """Stride 1, and padded so that it keeps the size."""
    return nn.Conv2d(c_in, c_out, kernel_size=3, stride=1, padding=1)


class VGG16(nn.Module):
    """Sixteen weight layers for images of 32·side pixels; `base` is the first layer's width."""

    def __init__(
        self, classes: int = 1000, base: int = 64, hidden: int = 4096, side: int = 7
    ) -> None:
        """Build the layers: the width doubles after each pool until it is eight times the first."""
        super().__init__()
        self.conv1_1 = conv3(3, base)
        self.conv1_2 = conv3(base, base)
        self.conv2_1 = conv3(base, 2 * base)
        self.conv2_2 = conv3(2 * base, 2 * base)
        self.conv3_1 = conv3(2 * base, 4 * base)
        self.conv3_2 = conv3(4 * base, 4 * base)
        self.conv3_3 = conv3(4 * base, 4 * base)
        self.conv4_1 = conv3(4 * base, 8 * base)
        self.conv4_2 = conv3(8 * base, 8 * base)
        self.conv4_3 = conv3(8 * base, 8 * base)
        self.conv5_1 = conv3(8 * base, 8 * base)
        self.conv5_2 = conv3(8 * base, 8 * base)
        self.conv5_3 = conv3(8 * base, 8 * base)
        self.fc6 = nn.Linear(8 * base * side * side, hidden)
        self.fc7 = nn.Linear(hidden, hidden)
        self.classifier = nn.Linear(hidden, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of a batch of images."""
        x = max_pool2d(relu(self.conv1_2(relu(self.conv1_1(x)))), 2)
        x = max_pool2d(relu(self.conv2_2(relu(self.conv2_1(x)))), 2)
        x = max_pool2d(relu(self.conv3_3(relu(self.conv3_2(relu(self.conv3_1(x)))))), 2)
        x = max_pool2d(relu(self.conv4_3(relu(self.conv4_2(relu(self.conv4_1(x)))))), 2)
        x = max_pool2d(relu(self.conv5_3(relu(self.conv5_2(relu(self.conv5_1(x)))))), 2)
        x = dropout(relu(self.fc6(x.flatten(1))), training=self.training)
        x = dropout(relu(self.fc7(x)), training=self.training)
        return self.classifier(x)
