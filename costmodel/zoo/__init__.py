"""Architectures as data, a file a family; each a function that returns a Network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from costmodel.errors import CostModelError
from costmodel.zoo.mobilenet import conv_mobilenet, mobilenet_v1, mobilenet_v2

if TYPE_CHECKING:
    from collections.abc import Callable

    from costmodel.network import Network


@dataclass(frozen=True)
class Architecture:
    """How to build a network, and the channel rounding its authors use."""

    build: Callable[..., Network]
    rounding: str = "floor"


__all__ = ["ZOO", "Architecture", "architecture", "conv_mobilenet", "mobilenet_v1", "mobilenet_v2"]

ZOO = {
    "mobilenet_v1": Architecture(mobilenet_v1),
    "conv_mobilenet": Architecture(conv_mobilenet),
    "mobilenet_v2": Architecture(mobilenet_v2, rounding="divisible(8)"),
}


def architecture(name: str) -> Architecture:
    """The architecture of that name.

    Raises CostModelError, with the nearest names, where there is none.
    """
    if name in ZOO:
        return ZOO[name]
    from difflib import get_close_matches

    near = get_close_matches(name, ZOO, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"choose from {', '.join(ZOO)}"
    raise CostModelError(f"unknown network {name!r}; {hint} (a file's name ends in .json)")
