"""Time: what a device takes for each layer, from the same nests as every other figure.

It is an estimate, with the device's error, and a formula: sizes may be numbers, symbols or grids.
What a view hands on takes no time, nor does what a runtime leaves out at inference.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from math import prod
from typing import TYPE_CHECKING, NamedTuple

from costmodel.core.quantities import QUANTITIES, Quantity
from costmodel.metrics import memory
from costmodel.metrics.layouts import views

if TYPE_CHECKING:
    from collections.abc import Sequence

    from costmodel.algebra.arithmetic import Dim
    from costmodel.core.lower import Lowered
    from costmodel.core.network import Network
    from costmodel.metrics.devices import Device
    from costmodel.metrics.memory import MemoryRules


class Amounts(NamedTuple):
    """What a layer's time is made of: MACs, or else elements read for its output; and bytes."""

    work: Dim
    read: Dim
    written: Dim
    weights: Dim


def kind(x: Lowered) -> str:
    """The kind whose constants a layer takes: its product's, or the name of its function.

    It is read off the extents: where few channels are left of a grouped convolution, one a group,
    it is depthwise in numbers, and grouped still in a formula or a sweep.

    >>> from costmodel import lower, mobilenet_v1
    >>> [kind(x) for x in lower(mobilenet_v1())[1:5]]
    ['standard', 'batch_norm', 'relu', 'depthwise']
    """
    if nests := x.nests:
        return "transposed" if nests[0].weighted and nests[0].written else nests[0].kind
    return x.elementwise[0].operation


def amounts(x: Lowered, rules: MemoryRules) -> Amounts:
    """What a layer does and moves: of its inputs all, as kernels copy them in their own order."""
    work = sum(nest.macs for nest in x.nests)
    if not x.nests:
        work = sum(prod(body.output) * body.taps for body in x.elementwise)
    return Amounts(
        work,
        rules.width * sum(map(prod, x.inputs)),
        rules.width * prod(x.output),
        rules.parameter_bytes(x.used if x.layer.shares else x.parameters),
    )


class Parts(NamedTuple):
    """Seconds of a layer by what takes them."""

    overhead: Dim
    compute: Dim
    memory: Dim

    def __add__(self, other: object) -> Parts:
        """Those of two layers together."""
        if not isinstance(other, Parts):
            return NotImplemented
        return Parts(*(a + b for a, b in zip(self, other, strict=True)))

    @property
    def bound(self) -> str:
        """The largest of them.

        >>> Parts(1e-5, 3e-5, 2e-5).bound
        'compute'
        """
        return max(self._fields, key=self._asdict().__getitem__)


_NOTHING = Parts(0, 0, 0)


def parts(x: Lowered, device: Device) -> Parts:
    """What takes a layer's time: starting it, its work, or the bytes it moves.

    >>> from costmodel import lower, mobilenet_v1
    >>> from costmodel.metrics.devices import device
    >>> _, _, _, _, depthwise, _, _, pointwise, *_ = lower(mobilenet_v1())
    >>> [parts(x, device("stm32h747_int8")).bound for x in (depthwise, pointwise)]
    ['memory', 'compute']
    """
    constants = device.constants(kind(x), product=bool(x.nests))
    of = amounts(x, device.rules)
    work, *moved = (a * s if s else 0 for a, s in zip(of, constants.slopes, strict=True))
    return Parts(constants.start_s, work, sum(moved))


def layer_parts(layers: Sequence[Lowered], device: Device) -> list[Parts]:
    """Those of every layer: an input and a view take no time, and nobody knows an unknown one's.

    >>> from costmodel import lower, mobilenet_v1
    >>> from costmodel.metrics.devices import device
    >>> layer_parts(lower(mobilenet_v1()), device("stm32h747_int8"))[0].bound
    'overhead'
    """
    timed = takes_time(layers)
    return [parts(x, device) if busy else _NOTHING for x, busy in zip(layers, timed, strict=True)]


def takes_time(layers: Sequence[Lowered]) -> list[bool]:
    """Whether each layer does something while a network runs.

    >>> from costmodel import lower, mobilenet_v1
    >>> layers = lower(mobilenet_v1())
    >>> [x.layer.name for x, busy in zip(layers, takes_time(layers)) if not busy]
    ['image', 'flatten']
    """
    viewed = views(layers)
    return [x.layer.arity != 0 and bool(x.bodies) and x.layer.name not in viewed for x in layers]


def seconds(layers: Sequence[Lowered], device: Device) -> list[Dim]:
    """What each layer takes."""
    return [sum(each) for each in layer_parts(layers, device)]


#: The row of what a device takes; without one nobody knows.
TIME = Quantity(
    "time_s",
    "time",
    "seconds on the device, an estimate: for each layer to start it, to do its work and to move "
    "its bytes",
    unit="s",
    limit="max_latency",
    estimate=True,
)


def every_quantity() -> dict[str, Quantity]:
    """Every row that there is: those that add up, a user's own too, and those of memory.

    >>> list(every_quantity())
    ['macs', 'params', 'activations', 'time_s', 'peak_bytes', 'weight_bytes']
    """
    return QUANTITIES | {TIME.name: TIME} | memory.MEMORY


def additive(device: Device | None = None) -> dict[str, Quantity]:
    """Those that add up over layers, time only where there is a device."""
    if device is None:
        return QUANTITIES
    return QUANTITIES | {TIME.name: replace(TIME, of_layers=partial(seconds, device=device))}


def quantities(device: Device | None = None) -> dict[str, Quantity]:
    """Those that can be told, with a device or without."""
    return additive(device) | memory.MEMORY


def time(network: Network, device: Device) -> Dim:
    """The network's seconds on a device: a number, or a formula where sizes are symbols.

    >>> from costmodel import mobilenet_v1
    >>> from costmodel.metrics.devices import device
    >>> round(1000 * time(mobilenet_v1(), device("pixel_1_tflite")))
    118

    Raises CostModelError for a layer without a rule.
    """
    return sum(seconds(memory.known_layers(network), device))
