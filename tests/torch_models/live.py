"""The bytes of live tensors while a real torch model runs, and the models to run.

The schedule is torch's own: `symbolic_trace` writes a forward that lets go of each tensor after
its last use. (As it is written, a model lets go later: a caller holds its arguments.)
"""

from __future__ import annotations

from collections import OrderedDict
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.fx import symbolic_trace
from torch.multiprocessing.reductions import StorageWeakRef
from torch.nn.utils import fuse_conv_bn_eval
from torch.utils._python_dispatch import TorchDispatchMode

if TYPE_CHECKING:
    from collections.abc import Callable

#: Operators that make no tensor of a layer: views, torch's empty statistics of an eval-mode
#: batch norm, and the first half of `InPlaceNorm`.
PARTS = {"aten::view", "aten::t", "aten::empty.memory_format", "aten::mul_.Tensor"}


class Live(TorchDispatchMode):
    """Samples, after each operator, the bytes of all storages that something still holds.

    Those that the caller holds, as parameters, don't count.
    """

    def __init__(self, *held: torch.Tensor) -> None:
        """Begin before the forward pass; the tensors held are the caller's and don't count."""
        super().__init__()
        self.held = held  # or their addresses would soon be those of others
        self.ignored = {tensor.untyped_storage()._cdata for tensor in held}
        self.storages: dict[int, tuple[StorageWeakRef, int]] = {}
        self.samples: list[tuple[str, int]] = []

    def add(self, tensor: torch.Tensor) -> None:
        """Count a tensor's storage until nothing holds it."""
        storage = tensor.untyped_storage()
        if storage._cdata not in self.ignored:
            self.storages[storage._cdata] = StorageWeakRef(storage), storage.nbytes()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run an operator, then look which storages are still there."""
        del types
        result = func(*args, **(kwargs or {}))
        for value in result if isinstance(result, (tuple, list)) else (result,):
            self.add(value)
        self.storages = {k: v for k, v in self.storages.items() if not v[0].expired()}
        self.samples.append((func.name(), sum(size for _, size in self.storages.values())))
        return result


def samples(
    module: nn.Module,
    image: torch.Tensor,
    *,
    count_input: bool = True,
    forward: Callable[[nn.Module], Callable[[torch.Tensor], object]] | None = None,
) -> list[tuple[str, int]]:
    """(operator, live bytes) for each operator; the image is let go of after its last use.

    `forward` makes a callable of the module: by default its forward as traced.
    """
    call = forward(module) if forward else symbolic_trace(module).forward
    images = [image.clone()]
    live = Live(*module.parameters(), *module.buffers(), *([] if count_input else images))
    live.add(images[0])
    with torch.no_grad(), live:
        call(images.pop())
    return live.samples


class InPlaceNorm(nn.Module):
    """An eval-mode batch norm that overwrites its input."""

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        """Merge the statistics into a scale and a shift."""
        super().__init__()
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        shift = norm.bias - norm.running_mean * scale
        self.register_buffer("scale", scale.detach().reshape(-1, 1, 1))
        self.register_buffer("shift", shift.detach().reshape(-1, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x · scale + shift, in x."""
        return x.mul_(self.scale).add_(self.shift)


class Sum(nn.Module):
    """x + y, in x or not."""

    inplace = False

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """The sum."""
        return x.add_(y) if self.inplace else x.add(y)


def under(module: nn.Module, *, in_place: bool, fold: bool) -> nn.Module:
    """An eval-mode copy whose elementwise modules and batch norms follow the rules."""
    module = deepcopy(module).eval()
    for part in list(module.modules()):
        if isinstance(part, (nn.ReLU, nn.ReLU6, Sum)):
            part.inplace = in_place
        norm = getattr(part, "norm", None)
        if norm is not None and fold:
            part.conv, part.norm = fuse_conv_bn_eval(part.conv, norm), nn.Identity()
        elif norm is not None and in_place:
            part.norm = InPlaceNorm(norm)
    return module


def unit(i: int, o: int, kernel: int = 1, stride: int = 1, *, relu: bool = True) -> nn.Module:
    """Convolution, batch norm and perhaps ReLU."""
    conv = nn.Conv2d(i, o, kernel, stride, kernel // 2, bias=False)
    layers = OrderedDict[str, nn.Module](conv=conv, norm=nn.BatchNorm2d(o))
    return nn.Sequential(layers | ({"relu": nn.ReLU()} if relu else {}))


class Branched(nn.Module):
    """A residual, branches of which one can't overwrite its input, views, and two outputs."""

    def __init__(self) -> None:
        """Build the layers for three channels."""
        super().__init__()
        self.stem = unit(3, 8, 3, 2)
        self.wide = unit(8, 24, relu=False)
        self.back = unit(24, 8, 3, relu=False)
        self.sum = Sum()
        self.left = unit(8, 5)
        self.right = unit(8, 7, 3)
        self.shrink = nn.AvgPool2d(3, 2, 1)
        self.dropout = nn.Dropout()
        self.twice = Sum()
        self.classifier = nn.Linear(12 * 4 * 4, 10)
        self.pool = nn.AdaptiveAvgPool2d(1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits of 16×16 images, and an embedding."""
        x = self.stem(x)
        x = self.sum(self.back(self.wide(x)), x)
        left = self.left(nn.functional.relu(x))  # never in place: the right branch reads x
        x = self.shrink(torch.cat((left, self.right(x)), 1))
        x = self.twice(x, self.dropout(x))
        return self.classifier(x.flatten(1)), self.pool(x)
