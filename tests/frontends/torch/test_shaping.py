"""Functions of shape alone: at another size a network is what torch does there, or is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from applied import Apply
from torch import nn
from torch.nn import functional as f

from costmodel import CostModelError, resize, trace
from costmodel.core import infer

if TYPE_CHECKING:
    from collections.abc import Callable

    from costmodel import Network

    Function = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def traced(function: Function, *sides: int) -> Network:
    """A function of an image of three channels and of a convolution's smaller map of it."""
    module = Apply(lambda m, x: function(x, m.c(x)), c=nn.Conv2d(3, 3, 3, 2))
    return trace(module, (3, *sides))


FOLLOWS: dict[str, Function] = {
    "a row": lambda x, _: x.select(2, 1),
    "the last column": lambda x, _: x.select(-1, -1),
    "some columns": lambda x, _: x.narrow(3, 1, 2),
    "some rows, from the end": lambda x, _: x.narrow(-2, 2, 3),
    "all channels": lambda x, _: x.narrow(1, 0, x.shape[1]),
    "every other one": lambda x, _: x[..., ::2],
    "without an edge": lambda x, _: x[:, :, 1:-1],
    "a new axis": lambda x, _: x[..., None, 1:],
    "channels apart": lambda x, _: x.unbind(1)[1] + x.unbind(-3)[0],
    "a part of the channels": lambda x, _: x.tensor_split(2, 1)[1],
    "viewed as a map": lambda _, y: y.flatten(2).view_as(y),
    "reshaped as a map": lambda _, y: y.transpose(2, 3).flatten(2).reshape_as(y),
    "viewed as a vector": lambda x, _: x.view(x.shape[0], -1),
    "all but the channels": lambda x, _: x.view(x.shape[0], x.shape[1], -1),
    "of another dtype": lambda x, _: x.view(torch.int32),
    "twice its size": lambda x, _: f.interpolate(x, size=(2 * x.shape[2], 3 * x.shape[3])),
    "another's size": lambda x, y: f.interpolate(y, size=x.shape[2:]),
    "expanded to itself": lambda x, _: x.expand(x.shape) + x.expand(-1, -1, -1, -1),
    "expanded to another": lambda x, _: x.mean((2, 3), keepdim=True).expand(x.shape),
    "expanded along one axis": lambda x, _: x[:, :, :1].expand(-1, -1, x.shape[2], -1),
    "the larger of two": lambda x, _: torch.max(x, x + 1),
    "the largest": lambda x, _: x.max(1)[0] + x.max(dim=1)[0],
    "moved": lambda x, _: x.movedim(1, -1),
    "joined": lambda x, _: torch.cat([x, x], -1),
    "joined by name": lambda x, _: torch.cat([x, x], axis=1),
    "stacked": lambda x, _: torch.stack([x, x], -1),
}


@pytest.mark.parametrize("name", FOLLOWS)
def test_what_follows_the_size(name: str) -> None:
    """Resized, every layer has the shape that tracing at that size gives."""
    network, again = traced(FOLLOWS[name], 8, 12), traced(FOLLOWS[name], 17, 20)
    followed = [place.output for place in infer(resize(network, resolution=(17, 20)))]
    assert followed == [place.output for place in infer(again)]
    assert followed != [place.output for place in infer(network)]


FIXED: dict[str, Function] = {
    "as many rows as another has": lambda x, y: x.narrow(2, 0, y.shape[2]),
    "up to as many": lambda x, y: x[:, :, : y.shape[2]],
    "from as many on": lambda x, y: x[:, :, y.shape[2] :],
    "more than there are": lambda x, _: x[:, :, -200:],
    "nothing": lambda x, _: x[:, :0].reshape(2, 0, 7),
    "twice another's size": lambda x, y: f.interpolate(y, size=(2 * x.shape[2], 2 * x.shape[3])),
    "repeated as often as it has rows": lambda x, _: x.repeat(1, 1, x.shape[2], 1),
    "padded by its own width": lambda x, _: f.pad(x, (0, x.shape[3])),
    "by a truth": lambda x, _: x[True],
    "by a list": lambda x, _: x[:, [0, 2]],
}


@pytest.mark.parametrize("name", FIXED)
def test_what_is_fixed_to_the_traced_size(name: str) -> None:
    """It is as it was traced, and refuses another size in one line that names the function."""
    network = traced(FIXED[name], 8, 12)
    assert infer(resize(network, resolution=(8, 12))) == infer(network)
    with pytest.raises(CostModelError, match=r"fixes its input's size to \S+, got") as caught:
        infer(resize(network, resolution=(16, 20)))
    assert "\n" not in str(caught.value)
