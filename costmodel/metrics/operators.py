"""Which kinds of operator a network has, and which of them are counted."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from costmodel.core.lower import Lowered, lower

if TYPE_CHECKING:
    from costmodel.core.network import Network


class Operator(NamedTuple):
    """A kind of operator: what it is called, its state and how many layers of it there are."""

    name: str
    state: str
    calls: int


def operators(network: Network) -> tuple[Operator, ...]:
    """Each kind of operator in the network: counted, free or unknown, and how often it is there.

    >>> from costmodel import mobilenet_v1
    >>> operators(mobilenet_v1())[0]
    Operator(name='Conv', state='counted', calls=27)
    """
    layers = (x for x in lower(network) if x.layer.arity != 0)
    calls = Counter((_name(x), x.state) for x in layers)
    order = ("unknown", "counted", "free")
    kinds = sorted(calls, key=lambda kind: (order.index(kind[1]), -calls[kind], kind[0]))
    return tuple(Operator(*kind, calls[kind]) for kind in kinds)


def _name(x: Lowered) -> str:
    """The function's own name where a layer of a traced model has one, else the layer's type."""
    return getattr(x.layer, "function", "") or type(x.layer).__name__
