"""Both AlexNets as torch models; `side` is that of the maps that the classifier flattens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn
from torch.nn import functional as f

if TYPE_CHECKING:
    import torch


class AlexNet(nn.Module):
    """Krizhevsky et al. 2012, Figure 2: two towers that meet in the third layer."""

    def __init__(self, classes: int = 1000, width: float = 1, side: int = 6) -> None:
        """Build the layers; each tower's half of a layer is one of its two groups."""
        super().__init__()

        def both(tower: int) -> int:
            return int(2 * tower * width)

        self.conv1 = nn.Conv2d(3, both(48), 11, stride=4)
        self.conv2 = nn.Conv2d(both(48), both(128), 5, padding=2, groups=2)
        self.conv3 = nn.Conv2d(both(128), both(192), 3, padding=1)
        self.conv4 = nn.Conv2d(both(192), both(192), 3, padding=1, groups=2)
        self.conv5 = nn.Conv2d(both(192), both(128), 3, padding=1, groups=2)
        self.fc6 = nn.Linear(both(128) * side * side, both(2048))
        self.fc7 = nn.Linear(both(2048), both(2048))
        self.classifier = nn.Linear(both(2048), classes)
        self.norm = nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=2)
        self.pool = nn.MaxPool2d(3, stride=2)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits: normalisation after the first two layers, a pool after those and the fifth."""
        x = self.pool(self.norm(f.relu(self.conv1(x))))
        x = self.pool(self.norm(f.relu(self.conv2(x))))
        x = f.relu(self.conv3(x))
        x = f.relu(self.conv4(x))
        x = self.pool(f.relu(self.conv5(x))).flatten(1)
        x = self.dropout(f.relu(self.fc6(x)))
        x = self.dropout(f.relu(self.fc7(x)))
        return self.classifier(x)


class AlexNetOneTower(nn.Module):
    """The column of Krizhevsky 2014, with torchvision's fourth layer and average pool."""

    def __init__(self, classes: int = 1000, width: float = 1) -> None:
        """Build the layers."""
        super().__init__()

        def wide(channels: int) -> int:
            return int(channels * width)

        self.conv1 = nn.Conv2d(3, wide(64), 11, stride=4, padding=2)
        self.conv2 = nn.Conv2d(wide(64), wide(192), 5, padding=2)
        self.conv3 = nn.Conv2d(wide(192), wide(384), 3, padding=1)
        self.conv4 = nn.Conv2d(wide(384), wide(256), 3, padding=1)
        self.conv5 = nn.Conv2d(wide(256), wide(256), 3, padding=1)
        self.average = nn.AdaptiveAvgPool2d((6, 6))
        self.fc6 = nn.Linear(wide(256) * 6 * 6, wide(4096))
        self.fc7 = nn.Linear(wide(4096), wide(4096))
        self.classifier = nn.Linear(wide(4096), classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of a batch of images."""
        x = f.max_pool2d(f.relu(self.conv1(x)), 3, 2)
        x = f.max_pool2d(f.relu(self.conv2(x)), 3, 2)
        x = f.relu(self.conv4(f.relu(self.conv3(x))))
        x = f.max_pool2d(f.relu(self.conv5(x)), 3, 2)
        x = f.dropout(self.average(x).flatten(1), training=self.training)
        x = f.dropout(f.relu(self.fc6(x)), training=self.training)
        return self.classifier(f.relu(self.fc7(x)))
