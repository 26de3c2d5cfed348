"""Building: a network as a real torch module, one registered rule per layer type.

What the built module costs is counted by tools that know nothing of our rules; its sizes and
widths are the layer table's. torch is imported when a network is built, and not before.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from costmodel.algebra.arithmetic import is_symbolic
from costmodel.backends.rule import build_rule
from costmodel.core.lower import lower
from costmodel.errors import CostModelError, torch_or_error

if TYPE_CHECKING:
    from torch import nn

    from costmodel.backends.modules import Graph
    from costmodel.core.lower import Lowered
    from costmodel.core.network import Network


def build(network: Network) -> Graph:
    """The network as a torch module with torch's default initialisation, in training mode.

    It takes a tensor for each Input and returns what no layer reads. Layer `name` is the
    submodule `name` (`Graph.module_of` has the few exceptions), so weights are copied by name.
    Under `torch.device("meta")` nothing is allocated. A traced network's module costs what it
    says, and computes what the original does as far as `costmodel.backends.rules` says.

    >>> from costmodel import mobilenet_v1
    >>> module = build(mobilenet_v1())
    >>> sum(parameter.numel() for parameter in module.parameters())
    4231976
    >>> list(module.state_dict())[:2]
    ['conv1.weight', 'conv1.norm.weight']

    Raises CostModelError for a layer type without a rule, for symbols, for what torch does not
    have (convolutions over four axes), and where torch is missing.
    """
    torch_or_error("build")
    from costmodel.backends import rules  # noqa: F401 - it registers what it builds
    from costmodel.backends.modules import Graph

    modules: dict[str, nn.Module] = {}
    for lowered in lower(network):
        layer = lowered.layer
        if layer in network.inputs:
            continue
        modules[layer.name] = module = _module(lowered)
        if owner := layer.shares:
            _tie(layer.name, module, owner, modules[owner])
    return Graph(network, modules)


def _module(lowered: Lowered) -> nn.Module:
    layer, inputs, output, _, parameters = lowered
    rule = build_rule[type(layer)]
    if rule is None:
        kind = type(layer).__name__
        raise CostModelError(f"{layer.name}: no build rule for a {kind}; register one (build_rule)")
    if any(map(is_symbolic, (*chain(*inputs), *output, *(p.count for p in parameters)))):
        raise CostModelError(
            f"{layer.name}: has symbols in its sizes or widths, and a torch module needs numbers; "
            "resize or widen by numbers"
        )
    module: nn.Module = rule(layer, inputs, output)
    return module


def _tie(name: str, module: nn.Module, owner: str, owned: nn.Module) -> None:
    """Give a module another's parameters in place of its own."""
    for role, parameter in module.named_parameters():
        shared = owned.get_parameter(role)
        if shared.shape != parameter.shape:
            sizes = " and ".join("×".join(map(str, p.shape)) for p in (shared, parameter))
            raise CostModelError(f"{name}: shares the {role} of {owner}, got {sizes}; make it one")
        setattr(module, role, shared)
