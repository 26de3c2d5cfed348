"""Lowering: each layer as loop nests with known extents."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from costmodel.algebra.arithmetic import must_equal
from costmodel.core.nest import Elementwise
from costmodel.core.shapes import walk
from costmodel.errors import CostModelError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from costmodel.core.fields import Shape
    from costmodel.core.layer import Inputs, Layer
    from costmodel.core.nest import Body, LoopNest, Parameter
    from costmodel.core.network import Network

    Parts = tuple[Layer, Inputs, Shape, tuple[Body, ...] | None, tuple[Parameter, ...]]


class Lowered(NamedTuple):
    """A layer's shapes, bodies and parameters; `bodies` is None where no rule knows it.

    >>> from costmodel import mobilenet_v1
    >>> [layer.state for layer in lower(mobilenet_v1())[:3]]
    ['free', 'counted', 'free']
    """

    layer: Layer
    inputs: tuple[Shape, ...]
    output: Shape
    bodies: tuple[Body, ...] | None
    parameters: tuple[Parameter, ...]

    @property
    def used(self) -> tuple[Parameter, ...]:
        """The parameters that it uses, those that it shares too."""
        return self.layer.lowered(self.inputs, self.output)[1]

    @property
    def nests(self) -> tuple[LoopNest, ...]:
        """The bodies that multiply and accumulate."""
        return tuple(body for body in self.bodies or () if not isinstance(body, Elementwise))

    @property
    def elementwise(self) -> tuple[Elementwise, ...]:
        """The bodies that do not."""
        return tuple(body for body in self.bodies or () if isinstance(body, Elementwise))

    @property
    def state(self) -> str:
        """Counted, free or unknown."""
        return "unknown" if self.bodies is None else "counted" if self.nests else "free"


def lower(network: Network) -> tuple[Lowered, ...]:
    """Every layer of the network, lowered; a shared parameter appears at its owner only.

    >>> from costmodel import mobilenet_v1
    >>> lower(mobilenet_v1())[1].nests[0].macs == 3*3 * 3*32 * 112*112
    True
    """
    return tuple(Lowered(*parts) for parts in each_lowered(network))


def each_lowered(network: Network) -> Iterator[Parts]:
    """What `lower` returns as plain tuples, one at a time: a cost needs to hold no more."""
    owned: list[Parameter] = []
    for layer, inputs, output in walk(network):
        bodies, parameters = layer.lowered(inputs, output)
        if parameters and parameters[0].owner != layer.name:
            _check_shared(layer.name, parameters, owned)
            parameters = ()
        owned += parameters
        yield layer, inputs, output, bodies, parameters


def _check_shared(name: str, parameters: Iterable[Parameter], owned: Iterable[Parameter]) -> None:
    counts = {(p.owner, p.role): p.count for p in owned}
    for owner, role, size in parameters:
        has = counts.get((owner, role), 0)
        if has != size and not must_equal(has, size, f"{name} shares the {role} of {owner}"):
            shared = f"shares the {role} of {owner}, which has {has} elements"
            raise CostModelError(f"{name}: {shared}, and needs {size}")
