"""Modules of one function, and what torch itself counts of a module."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

if TYPE_CHECKING:
    from collections.abc import Callable


class Apply(nn.Module):
    """A module of one function of itself and its inputs, with parameters and parts by name."""

    def __init__(self, function: Callable[..., Any], /, **parts: Any) -> None:
        """Make a parameter of every shape, and a buffer of every tensor."""
        super().__init__()
        self.function = function
        for name, part in parts.items():
            if isinstance(part, torch.Tensor):
                self.register_buffer(name, part)
            else:
                value = part if isinstance(part, nn.Module) else nn.Parameter(torch.zeros(part))
                setattr(self, name, value)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Apply it."""
        return self.function(self, *args, **kwargs)


def counted(module: nn.Module, *sizes: tuple[int, ...]) -> tuple[int, int]:
    """MACs by FlopCounterMode and parameters by torch, on the meta device."""
    module = module.to("meta")
    with FlopCounterMode(display=False) as counter:
        module(*(torch.empty(size, device="meta") for size in sizes))
    return counter.get_total_flops() // 2, sum(p.numel() for p in module.parameters())


class _Written(TorchDispatchMode):
    """Counts the elements that convolutions and products write, below torch's own functions."""

    def __init__(self) -> None:
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(
        self, func: Any, _types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if func.__name__.partition(".")[0] in _PRODUCTS:
            self.elements += result.numel()
        return result


_PRODUCTS = frozenset(
    ["mm", "bmm", "mv", "dot", "vdot", "addmm", "addmv", "addbmm", "baddbmm", "convolution"]
)


def written(module: nn.Module, *sizes: tuple[int, ...]) -> int:
    """The elements of all convolutions' and products' outputs, of a real pass over zeros."""
    with warnings.catch_warnings(), torch.no_grad(), _Written() as seen:
        warnings.simplefilter("ignore")  # of the flags that this one comes with
        with torch.backends.mkldnn.flags(enabled=False):
            module(*map(torch.zeros, sizes))
    return seen.elements
