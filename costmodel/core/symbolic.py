"""Where numbers are needed: a network that has symbols of its own is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from costmodel.algebra.arithmetic import is_symbolic
from costmodel.errors import CostModelError

if TYPE_CHECKING:
    from costmodel.core.network import Network


def require_numbers(network: Network, what: str) -> None:
    """Refuse a network with a symbol in any field of a layer, whether it costs anything or not.

    >>> from costmodel.layers import Conv, Input
    >>> from costmodel.core.network import Network
    >>> from costmodel.algebra.symbols import H
    >>> require_numbers(Network("n", (Input("image", (1, 3, H, H)), Conv("c", 8, 3))), "a sweep")
    Traceback (most recent call last):
        ...
    costmodel.errors.CostModelError: n has symbols (image: shape 1, 3, H, H), and a sweep needs \
numbers; set the resolution, or build it with numbers
    """
    for layer in network.layers:
        for field, value in vars(layer).items():
            if _has_symbols(value):
                written = ", ".join(map(str, value)) if isinstance(value, tuple) else value
                raise CostModelError(
                    f"{network.name} has symbols ({layer.name}: {field} {written}), and {what} "
                    "needs numbers; set the resolution, or build it with numbers"
                )


def _has_symbols(value: Any) -> bool:
    if isinstance(value, tuple):
        return any(map(_has_symbols, value))
    return is_symbolic(value) or is_symbolic(getattr(value, "count", 0))  # of Fixed and AtLeast
