"""A network against the clock: each layer where it stands, their sum, and the model as a whole."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from costmodel.backends.building import build
from costmodel.errors import CostModelError, torch_or_error

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import nn

    from costmodel.core.network import Network

#: Rounds are apart in time, and the first half of them is held against the second.
_ROUNDS = 4


@dataclass(frozen=True)
class Measured:
    """Seconds of a network's layers, of the model as a whole, and how repeatable that is.

    `layers` are those of the module built from the network, in one of its fastest passes; `whole`
    is the fastest pass of the model itself; `apart` is how far the fastest passes of the two halves
    of the rounds are from each other, relative.
    """

    whole: float
    apart: float
    layers: Mapping[str, float] = field(repr=False, hash=False)

    @property
    def total(self) -> float:
        """The sum of the layers.

        >>> Measured(0.010, 0.01, {"conv": 0.5, "relu": 0.25}).total
        0.75
        """
        return sum(self.layers.values())


def measured(  # noqa: PLR0913 - each is a setting of its own
    network: Network,
    module: nn.Module | None = None,
    *,
    passes: int = 20,
    threads: int = 1,
    device: str = "cpu",
    dtype: str = "float32",
) -> Measured:
    """The times of a network: its layers in a module built from it, and the model as a whole.

    That is the module that is given, or else the one that is built. It is run in evaluation mode
    at the network's own input, so many times in all.

    >>> from costmodel import mobilenet_v1
    >>> times = measured(mobilenet_v1(resolution=32), passes=4)
    >>> len(times.layers), times.total > 0
    (84, True)

    Raises CostModelError for fewer passes than 4, for a module without weights (on the meta
    device), for what cannot be built, and where torch is missing.
    """
    torch_or_error("measure")
    import torch

    from costmodel.backends.clock import Passes, clock_of, in_place, inference, inputs_for, passed

    if type(passes) is not int or passes < _ROUNDS:
        raise CostModelError(f"passes must be an integer, at least {_ROUNDS}; got {passes!r}")
    clock = clock_of(device)
    with torch.random.fork_rng(), inference(threads):
        twin = in_place(build(network).eval()).to(device, getattr(torch, dtype))
        images = inputs_for([layer.shape for layer in network.inputs], device, dtype)
        with evaluated(twin if module is None else module) as model:
            rounds = [passed(twin, model, images, clock, passes // _ROUNDS) for _ in range(_ROUNDS)]
    first, second = (min(x.fastest for x in part) for part in (rounds[:2], rounds[2:]))
    layers = Passes([x for each in rounds for x in each.layers], []).of_layers()
    return Measured(min(first, second), abs(first / second - 1), layers)


@contextmanager
def evaluated(module: nn.Module) -> Iterator[nn.Module]:
    """A module in evaluation mode; afterwards its parts are in the modes that they were in.

    Raises CostModelError for one whose weights are on the meta device.
    """
    if any(tensor.is_meta for tensor in (*module.parameters(), *module.buffers())):
        raise CostModelError("a model on the meta device cannot be timed; make it on the cpu")
    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        yield module
    finally:
        for part, training in modes.items():
            part.training = training
