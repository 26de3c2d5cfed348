"""What a tool counts, as data, so that a cross-check is `==` and never a tolerance.

The figures of the tools differ because they count different things; each is a sum of parts
that the lowered network already holds. The rules are read off the tools' own sources, at the
versions that constraints.txt pins, and tested against the tools themselves. Here is what a rule
is, how the rules count, and the rules that several tools share.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cache, cached_property
from math import prod
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from costmodel.algebra.arithmetic import exact_div, is_symbolic
from costmodel.core.layer import UNKNOWN, inputs_of
from costmodel.core.lower import lower
from costmodel.frontends.origins import Origin
from costmodel.tools.operations import operations

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import torch
    from torch import nn

    from costmodel.algebra.arithmetic import Dim
    from costmodel.core.lower import Lowered
    from costmodel.core.nest import LoopNest
    from costmodel.core.network import Network
    from costmodel.tools.deviations import Deviation

    Origins = Mapping[str, Origin]
    Images = tuple[torch.Tensor, ...]

#: No origins: every layer is the module that `build` makes of it.
_BUILT: Origins = MappingProxyType({})


@dataclass(frozen=True, eq=False)
class Per:
    """What a rule multiplies: in words, and as a function of a layer and the body that counts.

    >>> from costmodel import mobilenet_v1
    >>> conv1 = lower(mobilenet_v1())[1]
    >>> f"{MAC.of(conv1, conv1.nests[0]):,} {MAC.words}s"
    '10,838,016 MACs'
    """

    words: str
    of: Callable[[Lowered, Any], Dim]


MAC = Per("MAC", lambda _, nest: nest.macs)
ELEMENT = Per("element", lambda layer, _: prod(layer.output))
INPUT_ELEMENT = Per("input element", lambda layer, _: sum(map(prod, layer.inputs)))
FEATURE = Per("feature", lambda layer, _: layer.output[-1])
#: As if each output of a transposed convolution read the whole window.
TAP = Per("tap of an output", lambda x, nest: prod(x.output) * nest.c * prod(nest.kernel))
#: One a call; the sum of any number of inputs is as many calls, but one.
ADDITION = Per(
    "addition", lambda x, _: (1 if x.layer.arity else len(x.inputs) - 1) * prod(x.output)
)
_POSITION = Per("position", lambda x, _: x.output[0] * prod(x.output[2:]))


def printed_by_numpy(nest: LoopNest) -> Dim:
    """The estimate of an einsum's operations that numpy prints with four figures."""
    flops = 2 * nest.macs + 1
    return flops if is_symbolic(flops) else int(float(f"{flops:.3e}"))


def every_call(_: Origin) -> bool:
    """What a tool sees that watches torch's operators."""
    return True


def by_class(origin: Origin) -> bool:
    """What a tool sees that hooks modules of torch's own classes."""
    return origin.module.startswith("torch.nn.")


def by_name(origin: Origin) -> bool:
    """What a tool sees that replaces functions in torch."""
    return origin.named


class Rule(NamedTuple):
    """An operation counts `factor` per something, as the tool's `part`, in the calls that it sees.

    `averaged` figures are divided by the batch of the network's input.

    >>> Rule("batch_norm", 2, ELEMENT, "batch norm").why
    '2 per element'
    """

    operation: str
    factor: int
    per: Per
    part: str
    averaged: bool = False
    sees: Callable[[Origin], bool] = every_call

    @property
    def why(self) -> str:
        """The rule in words."""
        return f"{abs(self.factor)} per {self.per.words}"


@dataclass(frozen=True)
class Tool:
    """A tool's convention, how it is run, and where its count is not the right one.

    The convention is its rules, and the unit it says it counts in; operations without a rule count
    nothing. `package` is what `pip install` takes, and `run` imports it and counts a module in
    evaluation mode on some images; the paper has neither. `deviations` are what the tool miscounts,
    those of them that it `raises` by an error.

    >>> from costmodel import mobilenet_v1
    >>> from costmodel.tools import TOOLS
    >>> {tool.name: tool.count(mobilenet_v1()).total() for tool in TOOLS[2:4]}
    {'FlopCounterMode': 1137480704, 'thop': 588962304}
    """

    name: str
    unit: str
    rules: tuple[Rule, ...]
    package: str = ""
    run: Callable[[nn.Module, Images], float] | None = None
    deviations: tuple[Deviation, ...] = ()
    raises: tuple[Deviation, ...] = ()

    def count(self, network: Network) -> Counter[str]:
        """The tool's count by operator.

        >>> from costmodel import mobilenet_v1
        >>> from costmodel.tools.fvcore import FVCORE
        >>> FVCORE.count(mobilenet_v1()).total()
        578875904
        """
        return self.count_layers(lower(network))

    def count_layers(self, layers: Iterable[Lowered], origins: Origins = _BUILT) -> Counter[str]:
        """The same of layers lowered already."""
        counts: Counter[str] = Counter()
        for rule, count in self.parts(layers, origins).items():
            counts[rule.part] += count
        return counts

    def parts(self, layers: Iterable[Lowered], origins: Origins = _BUILT) -> dict[Rule, Dim]:
        """The tool's count by rule, in the rules' order: only rules that something falls under.

        `origins` say how torch is called for a layer; for one that is not there, as in the module
        that `build` makes of it.

        >>> from costmodel import mobilenet_v1
        >>> from costmodel.tools.thop import THOP
        >>> [(rule.part, count) for rule, count in THOP.parts(lower(mobilenet_v1())).items()][2:]
        [('batch norm', 20170752), ('adaptive pool', 50176), ('adaptive pool', 1024)]
        """
        layers = tuple(layers)
        batch = _batch(layers)
        counts: dict[Rule, Dim] = dict.fromkeys(self.rules, 0)
        for layer in layers:
            origin = origins.get(layer.layer.name)
            for operation, body in operations(layer, origin):
                call = origin or _built(operation)
                for rule in self._rules_of.get(operation, ()):
                    if rule.sees(call):
                        count = rule.factor * rule.per.of(layer, body)
                        counts[rule] += _share(count, batch) if rule.averaged else count
        return {rule: count for rule, count in counts.items() if count != 0}

    def unknown(self, layers: Iterable[Lowered], origins: Origins = _BUILT) -> tuple[str, ...]:
        """The layers whose products the tool may count or not: with any, its count is a bound.

        >>> from costmodel import mobilenet_v1
        >>> from costmodel.tools.thop import THOP
        >>> THOP.unknown(lower(mobilenet_v1()))
        ()
        """
        names = (
            layer.layer.name
            for layer in layers
            for operation, _ in operations(layer, origins.get(layer.layer.name))
            if operation == UNKNOWN not in self._rules_of
        )
        return tuple(dict.fromkeys(names))

    @cached_property
    def _rules_of(self) -> dict[str, list[Rule]]:
        """The rules by operation."""
        by_operation: dict[str, list[Rule]] = defaultdict(list)
        for rule in self.rules:
            by_operation[rule.operation].append(rule)
        return by_operation


@cache
def _built(operation: str) -> Origin:
    """The call of a module that `build` makes, as far as tools look at it."""
    module = "torch.nn.Conv" if operation.startswith("conv") else "torch.nn.Module"
    return Origin(operation, module, named=operation != "relu6")  # nn.ReLU6 calls hardtanh


def _batch(layers: Iterable[Lowered]) -> Dim:
    """The samples of a network's input; 1 of several inputs, which ptflops takes by keyword."""
    images = inputs_of(layer.layer for layer in layers)
    return images[0].shape[0] if len(images) == 1 else 1


def _share(count: Dim, batch: Dim) -> Dim:
    share = exact_div(count, batch)
    return count // batch if share is None else share  # a remainder is a user's own layer's


def rules(operations: str, factor: int, per: Per, part: str) -> tuple[Rule, ...]:
    """A rule for each of these operations."""
    return tuple(Rule(name, factor, per, part) for name in operations.split())


def seen(sees: Callable[[Origin], bool], *rules: Rule, averaged: bool = False) -> tuple[Rule, ...]:
    """The rules, of no other calls than these."""
    return tuple(rule._replace(sees=sees, averaged=averaged) for rule in rules)


def times(factor: int, *rules: Rule) -> tuple[Rule, ...]:
    """The rules with another factor."""
    return tuple(rule._replace(factor=factor) for rule in rules)


#: Convolutions, and those whose padding is a word: another operator when it is traced.
CONVS = rules("conv conv_mode", 1, MAC, "conv")
TRANSPOSED = "transposed_conv grouped_transposed_conv"
TRANSPOSED_MACS = rules(TRANSPOSED, 1, MAC, "transposed conv")
LINEAR = rules("linear", 1, MAC, "linear")
MACS = (*CONVS, *LINEAR)
MATMUL = rules("matmul", 1, MAC, "matmul")
#: What tools that see matrix products below torch's own functions see.
PRODUCTS = (*MATMUL, *rules("bmm mm addmm", 1, MAC, "matmul"))
POWERS = "inner chain_matmul linalg_multi_dot matrix_power linalg_matrix_power"
BELOW = (*PRODUCTS, *rules(f"baddbmm einsum tensordot {POWERS}", 1, MAC, "matmul"))
FUSED = "scaled_dot_product_attention"
UNFUSED = f"{FUSED}_unfused"
ADAPTIVE_AVERAGE = "adaptive_average_pool1d adaptive_average_pool2d adaptive_average_pool3d"
POOLS = (
    f"average_pool max_pool {ADAPTIVE_AVERAGE} "
    "adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d"
)
NEAREST = "upsample_nearest1d upsample_nearest2d upsample_nearest3d"
CONV_BIAS = "conv_bias conv_mode_bias"
TRANSPOSED_BIAS = "transposed_conv_bias grouped_transposed_conv_bias"
#: torch computes a local response as three products and an average over 5 channels of a map
#: that it pads by 2 channels on each side.
RESPONSE = (
    *rules("local_response_norm", 4, ELEMENT, "local response norm"),
    *rules("local_response_norm", 4, _POSITION, "local response norm"),
)


def norms(kinds: str, affine: int, without: int) -> tuple[Rule, ...]:
    """Per element of each kind of norm: with scale and shift, and without."""
    return tuple(
        Rule(kind + ending, factor, ELEMENT, kind.replace("_", " "))
        for kind in kinds.split()
        for ending, factor in (("", affine), ("_without_affine", without))
    )


#: fvcore's and calflops' estimate of a normalisation that takes statistics.
STATISTICS = norms("layer_norm group_norm instance_norm", 5, 4)
