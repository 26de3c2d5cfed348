"""Inception-v3 as a torch model, from Szegedy et al. 2016 and its authors' release."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import avg_pool2d, max_pool2d, relu


class ConvNorm(nn.Module):
    """A convolution without bias, batch norm and ReLU."""

    def __init__(
        self, c_in: int, c_out: int, kernel_size: int | tuple[int, int], **more: object
    ) -> None:
        """Build the two layers with weights."""
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, kernel_size, bias=False, **more)
        self.norm = nn.BatchNorm2d(c_out, eps=0.001)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The three, one after the other."""
        return relu(self.norm(self.conv(x)))


def row(c_in: int, c_out: int, length: int) -> ConvNorm:
    """1×n, padded to keep the size."""
    return ConvNorm(c_in, c_out, (1, length), padding=(0, (length - 1) // 2))


def column(c_in: int, c_out: int, length: int) -> ConvNorm:
    """n×1, padded to keep the size."""
    return ConvNorm(c_in, c_out, (length, 1), padding=((length - 1) // 2, 0))


def average(x: torch.Tensor) -> torch.Tensor:
    """The pool of a branch, which keeps the size."""
    return avg_pool2d(x, 3, stride=1, padding=1)


class Mixed35(nn.Module):
    """A 35×35 block."""

    def __init__(self, c_in: int, pooled: int) -> None:
        """Build the branches."""
        super().__init__()
        self.branch1x1 = ConvNorm(c_in, 64, 1)
        self.branch5x5_1 = ConvNorm(c_in, 48, 1)
        self.branch5x5_2 = ConvNorm(48, 64, 5, padding=2)
        self.branch3x3_1 = ConvNorm(c_in, 64, 1)
        self.branch3x3_2 = ConvNorm(64, 96, 3, padding=1)
        self.branch3x3_3 = ConvNorm(96, 96, 3, padding=1)
        self.branch_pool = ConvNorm(c_in, pooled, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """64 + 64 + 96 + pooled channels."""
        one = self.branch1x1(x)
        five = self.branch5x5_2(self.branch5x5_1(x))
        three = self.branch3x3_3(self.branch3x3_2(self.branch3x3_1(x)))
        return torch.cat((one, five, three, self.branch_pool(average(x))), dim=1)


class Reduce35(nn.Module):
    """From 35×35 to 17×17."""

    def __init__(self) -> None:
        """Build the branches."""
        super().__init__()
        self.branch3x3 = ConvNorm(288, 384, 3, stride=2)
        self.branch3x3dbl_1 = ConvNorm(288, 64, 1)
        self.branch3x3dbl_2 = ConvNorm(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = ConvNorm(96, 96, 3, stride=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """384 + 96 + 288 channels."""
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat((self.branch3x3(x), double, max_pool2d(x, 3, 2)), dim=1)


class Mixed17(nn.Module):
    """A 17×17 block with `w` channels between its factors."""

    def __init__(self, w: int) -> None:
        """Build the branches."""
        super().__init__()
        self.branch1x1 = ConvNorm(768, 192, 1)
        self.branch7x7_1 = ConvNorm(768, w, 1)
        self.branch7x7_2 = row(w, w, 7)
        self.branch7x7_3 = column(w, 192, 7)
        self.branch7x7dbl_1 = ConvNorm(768, w, 1)
        self.branch7x7dbl_2 = column(w, w, 7)
        self.branch7x7dbl_3 = row(w, w, 7)
        self.branch7x7dbl_4 = column(w, w, 7)
        self.branch7x7dbl_5 = row(w, 192, 7)
        self.branch_pool = ConvNorm(768, 192, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """4 · 192 channels."""
        single = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        double = self.branch7x7dbl_5(self.branch7x7dbl_4(double))
        return torch.cat((self.branch1x1(x), single, double, self.branch_pool(average(x))), dim=1)


class Reduce17(nn.Module):
    """From 17×17 to 8×8."""

    def __init__(self) -> None:
        """Build the branches."""
        super().__init__()
        self.branch3x3_1 = ConvNorm(768, 192, 1)
        self.branch3x3_2 = ConvNorm(192, 320, 3, stride=2)
        self.branch7x7_1 = ConvNorm(768, 192, 1)
        self.branch7x7_2 = row(192, 192, 7)
        self.branch7x7_3 = column(192, 192, 7)
        self.branch7x7_4 = ConvNorm(192, 192, 3, stride=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """320 + 192 + 768 channels."""
        three = self.branch3x3_2(self.branch3x3_1(x))
        seven = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        return torch.cat((three, self.branch7x7_4(seven), max_pool2d(x, 3, 2)), dim=1)


class Mixed8(nn.Module):
    """An 8×8 block, whose branches fork."""

    def __init__(self, c_in: int) -> None:
        """Build the branches."""
        super().__init__()
        self.branch1x1 = ConvNorm(c_in, 320, 1)
        self.branch3x3_1 = ConvNorm(c_in, 384, 1)
        self.branch3x3_2a = row(384, 384, 3)
        self.branch3x3_2b = column(384, 384, 3)
        self.branch3x3dbl_1 = ConvNorm(c_in, 448, 1)
        self.branch3x3dbl_2 = ConvNorm(448, 384, 3, padding=1)
        self.branch3x3dbl_3a = row(384, 384, 3)
        self.branch3x3dbl_3b = column(384, 384, 3)
        self.branch_pool = ConvNorm(c_in, 192, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """320 + 4 · 384 + 192 channels."""
        three = self.branch3x3_1(x)
        double = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        branches = (
            self.branch1x1(x),
            self.branch3x3_2a(three),
            self.branch3x3_2b(three),
            self.branch3x3dbl_3a(double),
            self.branch3x3dbl_3b(double),
            self.branch_pool(average(x)),
        )
        return torch.cat(branches, dim=1)


class InceptionV3(nn.Module):
    """The stem, eleven blocks and the classifier."""

    def __init__(self, classes: int = 1000) -> None:
        """Build the layers; the comments are the sizes they read at 299 px."""
        super().__init__()
        self.conv1 = ConvNorm(3, 32, 3, stride=2)  # 299×299
        self.conv2 = ConvNorm(32, 32, 3)  # 149×149
        self.conv3 = ConvNorm(32, 64, 3, padding=1)  # 147×147
        self.conv4 = ConvNorm(64, 80, 1)  # 73×73, after a pool
        self.conv5 = ConvNorm(80, 192, 3)  # 73×73
        self.mixed5b = Mixed35(192, 32)  # 35×35, after a pool
        self.mixed5c = Mixed35(256, 64)
        self.mixed5d = Mixed35(288, 64)
        self.mixed6a = Reduce35()
        self.mixed6b = Mixed17(128)  # 17×17
        self.mixed6c = Mixed17(160)
        self.mixed6d = Mixed17(160)
        self.mixed6e = Mixed17(192)
        self.mixed7a = Reduce17()
        self.mixed7b = Mixed8(1280)  # 8×8
        self.mixed7c = Mixed8(2048)
        self.average = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.dropout = nn.Dropout()
        self.classifier = nn.Linear(2048, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of a batch of images."""
        for name, layer in self.named_children():
            x = layer(x)
            if name in {"conv3", "conv5"}:
                x = max_pool2d(x, 3, stride=2)
        return x
