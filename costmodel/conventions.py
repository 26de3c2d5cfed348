"""What a tool counts, as data, so that a cross-check is `==` and never a tolerance.

The figures of the tools differ because they count different things; each is a sum of parts
that the lowered network already holds. The rules are read off the tools' own sources, at the
versions that constraints.txt pins, and tested against the tools themselves.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, NamedTuple

from costmodel import network as ir
from costmodel.arithmetic import exact_div, is_symbolic
from costmodel.lower import lower

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from costmodel.arithmetic import Dim
    from costmodel.lower import Lowered
    from costmodel.nest import Body
    from costmodel.network import Network

#: What a rule multiplies, by its name in words: a function of a layer and the body that counts.
PER: dict[str, Callable[[Lowered, Body], Dim]] = {
    "MAC": lambda _, nest: nest.macs,  # type: ignore[union-attr]
    "MAC past each sample's first vector": lambda layer, nest: (
        nest.macs - layer.output[0] * nest.weights  # type: ignore[union-attr]
    ),
    "element": lambda layer, _: prod(layer.output),
    "input element": lambda layer, _: sum(map(prod, layer.inputs)),
    "position": lambda layer, _: layer.output[0] * prod(layer.output[2:]),
    "sample and channel": lambda layer, _: layer.output[0] * layer.output[1],
    "sample and feature": lambda layer, _: layer.output[0] * layer.output[-1],
    "addition": lambda layer, _: (len(layer.inputs) - 1) * prod(layer.output),
    "unit lost to floats": lambda layer, _: _lost_by_thop(layer),
}


def _lost_by_thop(layer: Lowered) -> int:
    """What thop's float product of window and outputs truncates to below the exact integer."""
    shape, output = layer.inputs[0], layer.output
    if any(map(is_symbolic, (*shape, *output))):
        return 0
    window = prod((i / o for i, o in zip(shape[2:], output[2:], strict=True)), start=1.0)
    return int((window + 1) * prod(output)) - prod(shape) - prod(output)


class Rule(NamedTuple):
    """An operation counts `factor` per something that `PER` names, as the tool's `part`.

    `averaged` figures are divided by the batch of the network's input.

    >>> Rule("batch_norm", 2, "element", "batch norm").why
    '2 per element'
    """

    operation: str
    factor: int
    per: str
    part: str
    averaged: bool = False

    @property
    def why(self) -> str:
        """The rule in words."""
        return f"{abs(self.factor)} per {self.per}"


@dataclass(frozen=True)
class Convention:
    """A tool's rules, and the unit it says it counts in; operations without a rule count nothing.

    `package` is what `pip install` takes, where the tool is not torch itself or the paper.

    >>> from costmodel import mobilenet_v1
    >>> [convention.count(mobilenet_v1()).total() for convention in (TORCH, THOP, TORCHINFO)]
    [1137480704, 588962304, 568763240]
    """

    name: str
    unit: str
    rules: tuple[Rule, ...]
    package: str = ""

    def count(self, network: Network) -> Counter[str]:
        """The tool's count by operator.

        >>> from costmodel import mobilenet_v1
        >>> FVCORE.count(mobilenet_v1()).total()
        578875904
        """
        return self.count_layers(lower(network))

    def count_layers(self, layers: Iterable[Lowered]) -> Counter[str]:
        """The same of layers lowered already."""
        counts: Counter[str] = Counter()
        for rule, count in self.parts(layers).items():
            counts[rule.part] += count
        return counts

    def parts(self, layers: Iterable[Lowered]) -> dict[Rule, Dim]:
        """The tool's count by rule, in the rules' order: only rules that something falls under.

        >>> from costmodel import mobilenet_v1
        >>> [(rule.part, count) for rule, count in THOP.parts(lower(mobilenet_v1())).items()][2:]
        [('batch norm', 20170752), ('adaptive pool', 50176), ('adaptive pool', 1024)]
        """
        layers = tuple(layers)
        batch = _batch(layers)
        counts: dict[Rule, Dim] = dict.fromkeys(self.rules, 0)
        for layer in layers:
            for operation, body in _operations(layer):
                for rule in self.rules:
                    if rule.operation == operation:
                        count = rule.factor * PER[rule.per](layer, body)
                        counts[rule] += _share(count, batch) if rule.averaged else count
        return {rule: count for rule, count in counts.items() if count != 0}


def _operations(layer: Lowered) -> Iterator[tuple[str, Body]]:
    """What a layer does, by the names that rules use: its MACs, its bias and all else."""
    for nest in layer.nests:
        kind = nest.kind if nest.kind in {"linear", "matmul"} else "conv"
        yield kind, nest
        if isinstance(layer.layer, (ir.Conv, ir.Linear)) and layer.layer.bias:
            yield f"{kind}_bias", nest
    for body in layer.elementwise:
        yield body.operation, body


def _batch(layers: Iterable[Lowered]) -> Dim:
    """The samples of a network's input; 1 of several inputs, which ptflops takes by keyword."""
    batches = [layer.output[0] for layer in layers if isinstance(layer.layer, ir.Input)]
    return batches[0] if len(batches) == 1 else 1


def _share(count: Dim, batch: Dim) -> Dim:
    share = exact_div(count, batch)
    return count // batch if share is None else share  # a remainder is a user's own layer's


def _rules(
    operations: str, factor: int, per: str, part: str, *, averaged: bool = False
) -> tuple[Rule, ...]:
    return tuple(Rule(name, factor, per, part, averaged) for name in operations.split())


_CONVS = _rules("conv", 1, "MAC", "conv")
_MACS = (*_CONVS, *_rules("linear", 1, "MAC", "linear"))
_MATMUL = _rules("matmul", 1, "MAC", "matmul")
_TWICE = tuple(rule._replace(factor=2) for rule in (*_MACS, *_MATMUL))
_FIXED_POOLS = "average_pool max_pool"
_ADAPTIVE_AVERAGE = "adaptive_average_pool1d adaptive_average_pool2d adaptive_average_pool3d"
_ADAPTIVE_MAX = "adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d"
_POOLS = f"{_FIXED_POOLS} {_ADAPTIVE_AVERAGE} {_ADAPTIVE_MAX}"
#: torch computes a local response as three products and an average over 5 channels of a map
#: that it pads by 2 channels on each side.
_RESPONSE = (
    *_rules("local_response_norm", 4, "element", "local response norm"),
    *_rules("local_response_norm", 4, "position", "local response norm"),
)

#: The paper's mult-adds (Howard et al. 2017, §3.1), and our own MACs.
PAPER = Convention("paper", "mult-adds", (*_MACS, *_MATMUL))
#: fvcore in eval mode: a MAC is one, batch norm two per element (one without scale and shift),
#: adaptive average pooling of images one per element it reads; pooling of other kinds and ranks,
#: activations and additions are ignored.
FVCORE = Convention(
    "fvcore",
    "FLOPs",
    (
        *_MACS,
        *_MATMUL,
        *_rules("batch_norm", 2, "element", "batch_norm"),
        *_rules("batch_norm_without_affine", 1, "element", "batch_norm"),
        *_rules("adaptive_average_pool2d", 1, "input element", "adaptive_avg_pool2d"),
    ),
    "fvcore",
)
#: torch.utils.flop_counter.FlopCounterMode: a MAC is two, and nothing else counts.
TORCH = Convention("FlopCounterMode", "FLOPs", _TWICE, "torch")
#: thop's forward hooks on modules: no biases and no activations; batch norm four per element (two
#: without scale and shift), average pooling one per output, and adaptive average pooling, in
#: float64, the window's mean size and one more per output.
THOP = Convention(
    "thop",
    "MACs",
    (
        *_MACS,
        *_rules("batch_norm", 4, "element", "batch norm"),
        *_rules("batch_norm_without_affine", 2, "element", "batch norm"),
        *_rules("average_pool", 1, "element", "average pool"),
        *_rules(_ADAPTIVE_AVERAGE, 1, "input element", "adaptive pool"),
        *_rules(_ADAPTIVE_AVERAGE, 1, "element", "adaptive pool"),
        *_rules(_ADAPTIVE_AVERAGE, 1, "unit lost to floats", "adaptive pool"),
    ),
    "thop",
)
#: ptflops' default backend hooks modules, whose sum it averages over the batch, and patches
#: functions and tensor methods, whose sum it does not; what a hooked module does by a patched
#: function (ReLU, all pools) is counted twice.
PTFLOPS = Convention(
    "ptflops",
    "MACs",
    (
        *(rule._replace(averaged=True) for rule in _MACS),
        *_MATMUL,
        *_rules("conv_bias linear_bias", 1, "element", "bias", averaged=True),
        *_rules("batch_norm", 2, "element", "batch norm", averaged=True),
        *_rules("batch_norm_without_affine", 1, "element", "batch norm", averaged=True),
        *_rules("relu relu6 elu leaky_relu gelu", 1, "element", "activation", averaged=True),
        *_rules("relu elu gelu silu swish", 1, "element", "activation function"),
        *_rules(_POOLS, 1, "input element", "pool", averaged=True),
        *_rules(_POOLS, 1, "input element", "pool function"),
        *_rules("add", 1, "addition", "add"),
        *_RESPONSE,
    ),
    "ptflops",
)
#: ptflops' aten backend: MACs and biases of the operators that it is shown.
PTFLOPS_ATEN = Convention(
    "ptflops aten",
    "MACs",
    (*_MACS, *_MATMUL, *_rules("conv_bias linear_bias", 1, "element", "bias")),
    "ptflops",
)
#: torchinfo multiplies the parameters of a convolution by its positions and those of any other
#: module by the batch: a linear layer counts one vector a sample, batch norm its parameters.
TORCHINFO = Convention(
    "torchinfo",
    "mult-adds",
    (
        *_MACS,
        *_rules("linear", -1, "MAC past each sample's first vector", "linear, other vectors"),
        *_rules("conv_bias", 1, "element", "conv bias"),
        *_rules("linear_bias", 1, "sample and feature", "linear bias"),
        *_rules("batch_norm", 2, "sample and channel", "batch norm"),
    ),
    "torchinfo",
)
#: torchprofile's handlers of traced operators: no biases; batch norm with scale and shift, average
#: pooling of any kind, leaky ReLU and products are one per output.
TORCHPROFILE = Convention(
    "torchprofile",
    "MACs",
    (
        *_MACS,
        *_MATMUL,
        *_rules("batch_norm", 1, "element", "batch norm"),
        *_rules(f"average_pool {_ADAPTIVE_AVERAGE}", 1, "element", "average pool"),
        *_rules("leaky_relu", 1, "element", "leaky relu"),
        *_rules("local_response_norm", 3, "element", "local response norm"),
    ),
    "torchprofile",
)
#: calflops' MACs, of the functions that it patches.
CALFLOPS = Convention("calflops", "MACs", (*_MACS, *_MATMUL), "calflops")
#: calflops' FLOPs: two per MAC, a convolution's bias but no linear layer's, batch norm in eval mode
#: two per element (one without scale and shift), pools and most activations one per element they
#: read.
CALFLOPS_FLOPS = Convention(
    "calflops FLOPs",
    "FLOPs",
    (
        *_TWICE,
        *_rules("conv_bias", 1, "element", "conv bias"),
        *_rules("batch_norm", 2, "element", "batch norm"),
        *_rules("batch_norm_without_affine", 1, "element", "batch norm"),
        *_rules("relu elu leaky_relu gelu silu swish", 1, "element", "activation"),
        *_rules(_POOLS, 1, "input element", "pool"),
        *_rules("add", 1, "addition", "add"),
        *_RESPONSE,
    ),
    "calflops",
)

#: Every convention there is, in the order in which they are shown.
CONVENTIONS = (
    PAPER,
    FVCORE,
    TORCH,
    THOP,
    PTFLOPS,
    PTFLOPS_ATEN,
    TORCHINFO,
    TORCHPROFILE,
    CALFLOPS,
    CALFLOPS_FLOPS,
)
