"""The names that tools replace in torch: here they tell that a call has looked them up."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from functools import partial, wraps
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from costmodel.frontends.origins import Notice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: What ptflops or calflops replace, by where.
_REPLACED: dict[Any, str] = {
    functional: (
        "linear conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d "
        "relu prelu elu leaky_relu relu6 silu gelu softmax embedding "
        "batch_norm layer_norm instance_norm group_norm upsample interpolate "
        "avg_pool1d avg_pool2d avg_pool3d max_pool1d max_pool2d max_pool3d "
        "adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d "
        "adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d"
    ),
    torch: "matmul mm bmm addmm baddbmm mul add einsum",
    torch.Tensor: "matmul mm bmm addmm mul add",
}


@contextmanager
def told(watch: Any) -> Iterator[None]:
    """While a function runs that was called by its name in torch, `watch.named` is true."""
    with ExitStack() as stack:
        for owner, names in _REPLACED.items():
            for name in names.split():
                function = getattr(owner, name)
                defined = name in vars(owner)  # a tensor inherits its methods
                undo = (
                    partial(setattr, owner, name, function)
                    if defined
                    else partial(delattr, owner, name)
                )
                setattr(owner, name, _telling(function, watch))
                stack.callback(undo)
        yield


def _telling(function: Callable[..., Any], watch: Any) -> Callable[..., Any]:
    @wraps(function)
    def tell(*args: Any, **kwargs: Any) -> Any:
        watch.named = True
        if function.__name__ == "interpolate" and not args:
            watch.graph.noticed.add(Notice.KEYWORD)
        try:
            return function(*args, **kwargs)
        finally:
            watch.named = False

    return tell
