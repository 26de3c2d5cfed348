"""The reference MobileNets are real models."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch
from torch import nn

from costmodel.reference.mobilenet import MobileNetV1, conv_mobilenet


@pytest.mark.parametrize("model", [MobileNetV1, conv_mobilenet])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("size", "classes"), [((64, 64), 10), ((97, 33), 1000)])
def test_a_forward_pass_on_images(
    model: type[nn.Module],
    training: bool,  # noqa: FBT001
    size: tuple[int, int],
    classes: int,
) -> None:
    """A batch of images of any size becomes finite logits, in train and in eval mode."""
    module = model(0.25, classes).train(training)
    logits = module(torch.rand(2, 3, *size))
    assert logits.shape == (2, classes)
    assert torch.isfinite(logits).all()


def test_gradients_reach_every_parameter() -> None:
    """The model can be trained: each parameter takes part in the output."""
    module = MobileNetV1(0.25, 10)
    module(torch.rand(2, 3, 64, 64)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in module.parameters())


def test_batch_norm_and_relu_follow_every_convolution() -> None:
    """As in the paper's Figure 3; 27 convolutions, one classifier."""
    parts = [m for m in MobileNetV1().modules() if not list(m.children())]
    for i, part in enumerate(parts):
        if isinstance(part, nn.Conv2d):
            assert isinstance(parts[i + 1], nn.BatchNorm2d)
            assert isinstance(parts[i + 2], nn.ReLU)
    kinds = [type(part) for part in parts]
    assert kinds.count(nn.Conv2d) == 1 + 2 * 13
    assert kinds.count(nn.Linear) == 1


# Howard et al. 2017, Table 1, "Input Size", from the first convolution to the last pair.
INPUT_SIZES = [
    (224, 3),
    (112, 32),
    (112, 64),
    (56, 128),
    (56, 128),
    (28, 256),
    (28, 256),
    (14, 512),
    (14, 512),
    (14, 512),
    (14, 512),
    (14, 512),
    (14, 512),
    (7, 1024),
]


def test_table_1s_input_sizes() -> None:
    """Each block reads the size and channels that the paper's Table 1 prints beside it."""
    seen = []
    module = MobileNetV1().eval()
    for name, child in module.named_children():
        if name.startswith(("conv", "block")):
            child.register_forward_pre_hook(
                lambda _, args: seen.append((args[0].shape[2], args[0].shape[1]))
            )
    module(torch.zeros(1, 3, 224, 224))
    assert seen == INPUT_SIZES


@pytest.mark.parametrize(
    ("alpha", "rounding", "channels"),
    [
        (1, "floor", [32, 64, 1024]),
        (0.75, "floor", [24, 48, 768]),
        (Fraction(1, 10), "floor", [8, 8, 102]),  # never under 8; ⌊102.4⌋
        (0.35, "divisible(8)", [16, 24, 360]),  # 11.2 → 8 is under 90 %; 22.4 → 24; 358.4 → 360
    ],
)
def test_widths(alpha: float, rounding: str, channels: list[int]) -> None:
    """Channels are rounded as TF-slim's and MobileNetV2's authors round them."""
    module = MobileNetV1(alpha, rounding=rounding)
    built = [module.conv1.conv, module.block1.pw.conv, module.block13.pw.conv]
    assert [conv.out_channels for conv in built] == channels
