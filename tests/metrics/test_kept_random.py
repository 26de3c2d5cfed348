"""What random models keep for the backward pass, shuffles included, against torch's own hooks."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn
from torch.nn import functional as f
from torch_models.live import samples

from costmodel.frontends.torch.forward import trace
from costmodel.metrics.memory import peak_activations
from costmodel.metrics.training import kept_bytes
from tests.metrics.test_training import measured_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

    Step = Callable[[torch.Tensor], torch.Tensor]


def shuffled(x: torch.Tensor, groups: int) -> torch.Tensor:
    """ShuffleNet's, by a reshape that copies."""
    b, c, h, w = x.shape
    return x.view(b, groups, c // groups, h, w).transpose(1, 2).reshape(b, c, h, w)


class Model(nn.Module):
    """A convolution and as many random steps of modules and functions, of 4 axes or of 3."""

    def __init__(self, seed: int, steps: int = 6) -> None:
        """Draw them; what holds parameters is a submodule."""
        super().__init__()
        self.random = Random(seed)  # noqa: S311 - a model, no secret
        batch, channels = self.random.choice([1, 2]), self.random.choice([4, 8])
        self.size = (batch, 3, *self.random.choices([4, 5, 6], k=2))
        self.stem = nn.Conv2d(3, channels, 1)
        self.parts = nn.ModuleList()
        self.steps: list[Step] = []
        x = self.stem(torch.ones(self.size))
        while len(self.steps) < steps:
            step = self.random.choice([self.function, self.module, self.order])(x)
            self.steps.append(step)
            x = step(x)

    def held(self, module: nn.Module) -> Step:
        """A module of this model's."""
        self.parts.append(module)
        return module

    def function(self, _: torch.Tensor) -> Step:
        """An elementwise function."""
        functions: list[Step] = [
            *(f.relu, f.silu, f.gelu, torch.sigmoid, f.relu6, f.hardswish, torch.exp, torch.square),
            *(lambda x: x * x.sigmoid(), lambda x: x + f.relu(x), lambda x: 2 * x - 1),
        ]
        return self.random.choice(functions)

    def module(self, x: torch.Tensor) -> Step:
        """A module that fits."""
        channels = x.shape[1]
        if x.dim() == 3:
            features = x.shape[-1]
            kinds = [nn.Linear(features, 8), nn.LayerNorm(features), nn.Softmax(-1)]
            return self.held(self.random.choice(kinds))
        return self.held(
            self.random.choice(
                [
                    nn.Conv2d(channels, 8, 3, padding=1),
                    nn.Conv2d(channels, channels, 3, padding=1, groups=channels),
                    nn.BatchNorm2d(channels),
                    nn.MaxPool2d(3, 1, 1),
                    nn.AvgPool2d(3, 1, 1),
                    nn.LayerNorm(x.shape[-1]),
                ]
            )
        )

    def order(self, x: torch.Tensor) -> Step:
        """A shuffle, a transposition, a part or a reshape."""
        if x.dim() == 3:
            b, t, c = x.shape
            side = next(s for s in (5, 4, 3, 2, 1) if t % s == 0)
            steps: list[Step] = [
                lambda x: x.transpose(1, 2),
                lambda x: x.transpose(1, 2).reshape(b, c, side, t // side),
                lambda x: x.reshape(b, side, t // side, c).permute(0, 3, 1, 2),
                lambda x: x.transpose(1, 2).contiguous(),
                lambda x: x[:, : (t + 1) // 2],
            ]
            return self.random.choice(steps)
        b, c, h, w = x.shape
        groups = 2 if c % 2 == 0 else 1
        steps = [
            lambda x: shuffled(x, groups),
            lambda x: f.channel_shuffle(x, groups),
            lambda x: x.flatten(2).transpose(1, 2),
            lambda x: x.permute(0, 2, 3, 1).reshape(b, h * w, c),
            lambda x: x.permute(0, 3, 2, 1).reshape(b, w * h, c),
            lambda x: x.transpose(2, 3),
            lambda x: x.transpose(2, 3).reshape(b, c, h * w),
            lambda x: x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2),
            lambda x: torch.cat(x.chunk(groups, 1)[::-1], 1),
            lambda x: torch.cat([x, f.relu(x)], 1),
            lambda x: x.chunk(groups, 1)[0].flatten(2),
            lambda x: x.mean((2, 3), keepdim=True).expand(b, c, h, w) * x,
        ]
        return self.random.choice(steps)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """One step after the other."""
        x = self.stem(x)
        for step in self.steps:
            x = step(x)
        return x


def check(seed: int) -> None:
    """Ours and torch's bytes for one model."""
    model = Model(seed)
    network = trace(model, example_inputs=(model.size,))
    assert kept_bytes(network) == measured_bytes(network, model), [x.name for x in network.layers]


@pytest.mark.parametrize("seed", range(12))
def test_a_random_model_keeps_what_torch_saves(seed: int) -> None:
    """Convolutions, norms, functions and shuffles in any order: the same bytes."""
    check(seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12, 212))
def test_a_random_model_keeps_what_torch_saves_at_length(seed: int) -> None:
    """The same on 200 more."""
    check(seed)


#: What torch makes inside an operator: indices, statistics, a product before its bias is added.
_INSIDE = {"aten::max_pool2d_with_indices", "aten::native_layer_norm", "aten::mm"}


def check_peak(seed: int) -> None:
    """Ours and torch's peak for one model, of which no operator makes more than its output."""
    model = Model(seed).eval()
    measured = samples(model, torch.ones(model.size))
    if not _INSIDE & {operator for operator, _ in measured}:
        network = trace(model, example_inputs=(model.size,))
        assert peak_activations(network).bytes == max(size for _, size in measured)


@pytest.mark.parametrize("seed", range(8))
def test_the_peak_of_a_random_model_is_torchs(seed: int) -> None:
    """What is a view there is one here, and what is copied takes memory of its own."""
    check_peak(seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8, 208))
def test_the_peak_of_a_random_model_is_torchs_at_length(seed: int) -> None:
    """The same on 200 more."""
    check_peak(seed)


def test_a_channel_shuffle_copies() -> None:
    """A ReLU keeps its map and SiLU the shuffled one: two of 2·8·6·6 beside the image."""

    class Shuffle(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 8, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return f.silu(shuffled(f.relu(self.conv(x)), 2))

    network = trace(Shuffle(), example_inputs=((2, 3, 6, 6),))
    assert kept_bytes(network) == 4 * 2 * 36 * (3 + 8 + 8)
    assert kept_bytes(network) == measured_bytes(network, Shuffle())
