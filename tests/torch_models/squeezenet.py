"""Both SqueezeNets as torch models, from Iandola et al. 2016 and its authors' repository."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import relu


class Fire(nn.Module):
    """Figure 1; the expanding halves have four times the squeezed channels each."""

    def __init__(self, c_in: int, squeezed: int) -> None:
        """Build the three convolutions."""
        super().__init__()
        self.squeeze = nn.Conv2d(c_in, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, 4 * squeezed, 1)
        self.expand3x3 = nn.Conv2d(squeezed, 4 * squeezed, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Both expansions of the squeezed channels, side by side."""
        x = relu(self.squeeze(x))
        return torch.cat((relu(self.expand1x1(x)), relu(self.expand3x3(x))), dim=1)


class SqueezeNet(nn.Module):
    """What both versions share: eight fire modules and a convolution that classifies."""

    pooled_after: tuple[str, ...]

    def __init__(self, conv1: nn.Conv2d, classes: int, width: float) -> None:
        """Build the layers after the first; a module's output is eight times its squeeze."""
        super().__init__()
        s = int(16 * width)
        self.conv1 = conv1
        self.fire2 = Fire(conv1.out_channels, s)
        self.fire3 = Fire(8 * s, s)
        self.fire4 = Fire(8 * s, 2 * s)
        self.fire5 = Fire(16 * s, 2 * s)
        self.fire6 = Fire(16 * s, 3 * s)
        self.fire7 = Fire(24 * s, 3 * s)
        self.fire8 = Fire(24 * s, 4 * s)
        self.fire9 = Fire(32 * s, 4 * s)
        self.dropout = nn.Dropout(0.5)
        self.classifier = nn.Conv2d(32 * s, classes, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of a batch of images."""
        pool = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        for name, layer in self.named_children():
            x = layer(x)
            x = relu(x) if isinstance(layer, nn.Conv2d) else x
            x = pool(x) if name in self.pooled_after else x
        return nn.AdaptiveAvgPool2d(1)(x).flatten(1)


class SqueezeNet10(SqueezeNet):
    """Version 1.0: 7×7 first, and late pools."""

    pooled_after = ("conv1", "fire4", "fire8")

    def __init__(self, classes: int = 1000, width: float = 1) -> None:
        """Build the layers."""
        super().__init__(nn.Conv2d(3, int(96 * width), 7, stride=2), classes, width)


class SqueezeNet11(SqueezeNet):
    """Version 1.1: 3×3 first, and early pools."""

    pooled_after = ("conv1", "fire3", "fire5")

    def __init__(self, classes: int = 1000, width: float = 1) -> None:
        """Build the layers."""
        super().__init__(nn.Conv2d(3, int(64 * width), 3, stride=2), classes, width)
