"""torch's FlopCounterMode: every product that an operator makes, forwards and backwards."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from costmodel.metrics.memory import known_layers
from costmodel.metrics.training import layer_training_costs
from costmodel.tools import convention as c, deviations as known
from costmodel.tools.convention import MAC, Tool, rules

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from costmodel.algebra.arithmetic import Dim
    from costmodel.core.network import Network


_Result = TypeVar("_Result")


def counted(module: nn.Module, call: Callable[[], _Result]) -> tuple[_Result, dict[str, int]]:
    """What a call returns, and its counts of it by the module's submodules, "" being all of it.

    >>> import torch
    >>> linear = torch.nn.Linear(8, 4)
    >>> counted(linear, lambda: linear(torch.zeros(1, 8)))[1]
    {'': 64}
    """
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        result = call()
    root = f"{type(module).__name__}."
    counts = {
        path.removeprefix(root): sum(by.values())
        for path, by in counter.get_flop_counts().items()
        if path.startswith(root)
    }
    return result, counts | {"": counter.get_total_flops()}


#: A MAC is two, and nothing else counts, nor does attention that torch fuses on the CPU.
FLOP_COUNTER = Tool(
    "FlopCounterMode",
    "FLOPs",
    c.times(2, *c.MACS, *c.BELOW, *c.TRANSPOSED_MACS, *rules(c.UNFUSED, 1, MAC, "attention")),
    "torch",
    lambda module, images: counted(module, lambda: module(*images))[1][""],
    known.OPERATORS,
)
#: What it does not see on the meta device either, where `crosscheck_traced` runs it.
UNSEEN = known.VECTORS

#: torch.utils.flop_counter.conv_backward_flop gives the shapes of a convolution without groups,
#: C_in × C_out, to the weight's gradient; with G groups there are C_in × C_out / G.
GROUPED_WEIGHT_GRADIENT = known.Deviation(
    "grouped weight gradient", "counts the weight's gradient of a convolution with G groups G times"
)


def flop_counter_flops(network: Network) -> Dim:
    """What it counts of a forward and a backward pass: 2 per MAC.

    A depthwise convolution's weight has G = C_in groups, and its gradient counts as much as a
    standard one's (GROUPED_WEIGHT_GRADIENT): for MobileNetV1 3.5 times what there is in all.

    >>> from costmodel import mobilenet_v1
    >>> from costmodel.metrics.training import training_cost
    >>> flop_counter_flops(mobilenet_v1()), 2 * training_cost(mobilenet_v1()).macs
    (11910801408, 3390766080)

    Raises CostModelError for a layer without a rule.
    """
    costs = layer_training_costs(network)
    again = sum(
        (nest.g - 1) * nest.macs
        for layer in known_layers(network)
        if costs[layer.layer.name].weight_gradient != 0
        for nest in layer.nests
        if nest.weighted
    )
    return 2 * (sum(cost.macs for cost in costs.values()) + again)
