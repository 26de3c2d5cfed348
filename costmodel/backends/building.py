"""Building: a network as a real torch module, one registered rule per layer type.

What the built module costs is counted by tools that know nothing of our rules; its sizes and
widths are the layer table's. torch is imported when a network is built, and not before.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from itertools import chain
from typing import TYPE_CHECKING, Any

from costmodel.algebra.arithmetic import is_symbolic
from costmodel.core import network as ir
from costmodel.core.lower import lower
from costmodel.core.shapes import axes, count
from costmodel.errors import CostModelError
from costmodel.layers.regions import CropAndResize

if TYPE_CHECKING:
    from torch import nn

    from costmodel.backends.modules import Graph
    from costmodel.core.lower import Lowered
    from costmodel.core.shapes import Inputs

INSTALL = "pip install 'costmodel[torch]'"

#: Rules (layer, input shapes, output shape) → a torch module, called on what the layer reads.
build_rule = ir.Rules()

#: torch's module of each function that an Activation may name, and its arguments.
FUNCTIONS: dict[str, tuple[str, tuple[float, ...]]] = {
    "relu": ("ReLU", ()),
    "relu6": ("ReLU6", ()),
    "leaky_relu": ("LeakyReLU", ()),
    "elu": ("ELU", ()),
    "gelu": ("GELU", ()),
    "silu": ("SiLU", ()),
    "swish": ("SiLU", ()),
    "mish": ("Mish", ()),
    "sigmoid": ("Sigmoid", ()),
    "hsigmoid": ("Hardsigmoid", ()),
    "hardsigmoid": ("Hardsigmoid", ()),
    "hswish": ("Hardswish", ()),
    "hardswish": ("Hardswish", ()),
    "tanh": ("Tanh", ()),
    "identity": ("Identity", ()),
    "dropout": ("Dropout", ()),
    "local_response_norm": ("LocalResponseNorm", (5, 1e-4, 0.75, 2)),  # Krizhevsky 2012, §3.3
}


def build(network: ir.Network) -> Graph:
    """The network as a torch module with torch's default initialisation, in training mode.

    It takes a tensor for each Input and returns what no layer reads. Layer `name` is the
    submodule `name` (`Graph.module_of` has the few exceptions), so weights are copied by name.
    Under `torch.device("meta")` nothing is allocated. A traced network's module costs what it
    says, and computes what the original does as far as `costmodel.backends.rebuilding` says.

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
    from costmodel.backends.modules import Graph

    if "costmodel.layers.operators" in sys.modules:  # or no layer is of its types
        import_module("costmodel.backends.rebuilding")

    modules: dict[str, nn.Module] = {}
    for lowered in lower(network):
        layer = lowered.layer
        if isinstance(layer, ir.Input):
            continue
        modules[layer.name] = module = _module(lowered)
        if owner := getattr(layer, "shares", ""):
            _tie(layer.name, module, owner, modules[owner])
    return Graph(network, modules)


def torch_or_error(what: str) -> None:
    """Raise CostModelError where torch is not installed."""
    if find_spec("torch") is None:
        raise CostModelError(f"{what} needs torch, which is not installed; {INSTALL}")


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
    for role, own in module.named_parameters():
        shared = owned.get_parameter(role)
        if shared.shape != own.shape:
            sizes = " and ".join("×".join(map(str, p.shape)) for p in (shared, own))
            raise CostModelError(f"{name}: shares the {role} of {owner}, got {sizes}; make it one")
        setattr(module, role, shared)


def of_rank(layer: ir.Layer, kind: str, rank: int) -> Any:
    """torch's class for as many spatial axes: Conv2d, say.

    >>> of_rank(ir.Activation("act"), "Conv", 2).__name__
    'Conv2d'

    Raises CostModelError where torch has none.
    """
    from torch import nn

    if rank not in {1, 2, 3}:
        raise CostModelError(
            f"{layer.name}: torch has a {kind} over 1, 2 or 3 spatial axes, got {rank}; merge some"
        )
    return getattr(nn, f"{kind}{rank}d")


@build_rule(ir.Conv)
def _conv(layer: ir.Conv, inputs: Inputs, output: ir.Shape) -> nn.Module:
    (shape,) = inputs
    rank = len(output) - 2
    window = (layer.kernel, layer.stride, layer.padding, layer.dilation)
    module: nn.Module = of_rank(layer, "Conv", rank)(
        shape[1],
        output[1],
        *(axes(value, layer, rank) for value in window),
        groups=count(layer.groups, shape[1], {}),
        bias=layer.bias,
    )
    return module


@build_rule(ir.Linear)
def _linear(layer: ir.Linear, inputs: Inputs, output: ir.Shape) -> nn.Module:
    from torch import nn

    return nn.Linear(inputs[0][-1], output[-1], bias=layer.bias)


@build_rule(ir.BatchNorm)
def _batch_norm(layer: ir.BatchNorm, _inputs: Inputs, output: ir.Shape) -> nn.Module:
    kind = of_rank(layer, "BatchNorm", max(1, len(output) - 2))  # BatchNorm1d takes vectors too
    module: nn.Module = kind(output[1], affine=layer.affine)
    return module


@build_rule(ir.Activation)
def _activation(layer: ir.Activation, _inputs: Inputs, _output: ir.Shape) -> nn.Module:
    from torch import nn

    if layer.function not in FUNCTIONS:
        from costmodel.backends.rebuilding import elementwise  # of which few networks have any

        return elementwise(layer)
    kind, arguments = FUNCTIONS[layer.function]
    module: nn.Module = getattr(nn, kind)(*arguments)
    return module


@build_rule(ir.Pool)
def _pool(layer: ir.Pool, _inputs: Inputs, output: ir.Shape) -> nn.Module:
    rank = len(output) - 2
    window = (axes(x, layer, rank) for x in (layer.kernel, layer.stride, layer.padding))
    kind = of_rank(layer, {"average": "AvgPool", "max": "MaxPool"}[layer.kind], rank)
    module: nn.Module = kind(*window, ceil_mode=layer.ceil_mode)
    return module


@build_rule(ir.AdaptivePool)
def _adaptive(layer: ir.AdaptivePool, _inputs: Inputs, output: ir.Shape) -> nn.Module:
    kind = {"average": "AdaptiveAvgPool", "max": "AdaptiveMaxPool"}[layer.kind]
    module: nn.Module = of_rank(layer, kind, len(output) - 2)(output[2:])
    return module


@build_rule(ir.Add)
def _add(_layer: ir.Layer, _inputs: Inputs, _output: ir.Shape) -> nn.Module:
    from costmodel.backends.modules import Add

    return Add()


@build_rule(ir.Concat)
def _concat(_layer: ir.Layer, _inputs: Inputs, _output: ir.Shape) -> nn.Module:
    from costmodel.backends.modules import Concat

    return Concat()


@build_rule(ir.Flatten)
def _flatten(_layer: ir.Layer, _inputs: Inputs, _output: ir.Shape) -> nn.Module:
    from torch import nn

    return nn.Flatten()


@build_rule(CropAndResize)
def _crop(layer: CropAndResize, _inputs: Inputs, _output: ir.Shape) -> nn.Module:
    from costmodel.backends.modules import Crop

    return Crop(layer.proposals, layer.output_size)
