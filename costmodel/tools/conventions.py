"""What a tool counts, as data, so that a cross-check is `==` and never a tolerance.

The figures of the tools differ because they count different things; each is a sum of parts
that the lowered network already holds. The rules are read off the tools' own sources, at the
versions that constraints.txt pins, and tested against the tools themselves.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cached_property
from math import prod
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from costmodel import layers as ir
from costmodel.algebra.arithmetic import exact_div, is_symbolic
from costmodel.backends.rule import Rules
from costmodel.core.lower import lower
from costmodel.core.shapes import axes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from costmodel.algebra.arithmetic import Dim
    from costmodel.core.lower import Lowered
    from costmodel.core.nest import Body, Elementwise, LoopNest
    from costmodel.core.network import Network
    from costmodel.frontends.origins import Origin

    Origins = Mapping[str, Origin]

#: Rules (layer, nest, origin) → the operation that tools see in a layer's product, by the name that
#: a convention's rules have. A layer type without one is *unknown* to every tool: never a guess.
operation_rule = Rules()
#: The operation of a product that no tool is known to count.
UNKNOWN = "unknown"

#: No origins: every layer is the module that `build` makes of it.
_BUILT: Origins = MappingProxyType({})


def _seen_by_torchprofile(layer: Lowered, nest: LoopNest) -> Dim:
    """The channels that it takes for a transposed convolution's input's: an axis of the weight."""
    same = nest.g * nest.c == layer.output[1]
    return nest.k if same else nest.g * nest.c


def _as_convolution(layer: Lowered, nest: LoopNest) -> Dim:
    """A transposed convolution's outputs by the size of a convolution's, in one of its groups."""
    kind: Any = layer.layer
    rank = len(nest.positions)
    window = (kind.kernel, kind.stride, kind.padding, kind.dilation)
    windows = zip(nest.positions, *(axes(value, kind, rank) for value in window), strict=True)
    sides = ((d + 2 * p - q * (k - 1) - 1) // s + 1 for d, k, s, p, q in windows)
    return nest.n * nest.k * prod(sides)


def _printed_by_numpy(nest: LoopNest) -> Dim:
    """The estimate of an einsum's operations that numpy prints with four figures."""
    flops = 2 * nest.macs + 1
    return flops if is_symbolic(flops) else int(float(f"{flops:.3e}"))


def _known_to_fvcore(layer: Lowered) -> bool:
    """Whether it counts an einsum itself: batched products of three axes, in two orders."""
    equation: str = layer.layer.equation  # type: ignore[attr-defined]
    letters = dict.fromkeys(filter(str.isalpha, equation))
    plain = equation.translate({ord(x): "abcd"[i % 4] for i, x in enumerate(letters)})
    return plain in {"abc,abd->acd", "abc,adc->adb"}


def _parameters(layer: Lowered) -> Dim:
    """The elements of a layer's parameters, also where it shares them."""
    kind = layer.layer
    if isinstance(kind, ir.Embedding):
        return kind.rows * layer.output[-1]
    shape = layer.inputs[0]
    return kind.tensors * prod(shape[axis] for axis in kind.along)  # type: ignore[attr-defined]


def _additions(layer: Lowered) -> int:
    """One a call; the sum of several is as many calls."""
    return len(layer.inputs) - 1 if isinstance(layer.layer, ir.Add) else 1


def _lost_by_thop(layer: Lowered) -> int:
    """What thop's float product of window and outputs truncates to below the exact integer."""
    shape, output = layer.inputs[0], layer.output
    if any(map(is_symbolic, (*shape, *output))):
        return 0
    window = prod((i / o for i, o in zip(shape[2:], output[2:], strict=True)), start=1.0)
    return int((window + 1) * prod(output)) - prod(shape) - prod(output)


#: What a rule multiplies, by its name in words: a function of a layer and the body that counts.
PER: dict[str, Callable[[Lowered, Any], Dim]] = {
    "MAC": lambda _, nest: nest.macs,
    "MAC past each sample's first vector": lambda layer, nest: (
        nest.macs - layer.output[0] * nest.weights
    ),
    "tap of an output": lambda layer, nest: prod(layer.output) * nest.c * prod(nest.kernel),
    "tap of an output, its groups apart": lambda layer, nest: (
        prod(layer.output) * prod(nest.kernel) * _seen_by_torchprofile(layer, nest)
    ),
    "MAC, divided by the groups again": lambda _, nest: (
        nest.n * prod(nest.positions) * nest.g * nest.c * prod(nest.kernel) * (nest.k // nest.g)
    ),
    "FLOP, as numpy prints it": lambda _, nest: _printed_by_numpy(nest),
    "MAC, as numpy prints it": lambda layer, nest: (
        nest.macs if _known_to_fvcore(layer) else _printed_by_numpy(nest) // 2
    ),
    "element": lambda layer, _: prod(layer.output),
    "element of the convolution it is not": _as_convolution,
    "element of a sample": lambda layer, _: prod(layer.output[1:]),
    "element of the size alone": lambda layer, _: prod(layer.output[2:]),
    "input element": lambda layer, _: sum(map(prod, layer.inputs)),
    "position": lambda layer, _: layer.output[0] * prod(layer.output[2:]),
    "feature": lambda layer, _: layer.output[-1],
    "sample and channel": lambda layer, _: layer.output[0] * layer.output[1],
    "sample and feature": lambda layer, _: layer.output[0] * layer.output[-1],
    "sample and weight": lambda layer, nest: layer.output[0] * nest.weights,
    "sample and parameter": lambda layer, _: layer.output[0] * _parameters(layer),
    "addition": lambda layer, _: _additions(layer) * prod(layer.output),
    "vector": lambda layer, body: prod(layer.output) // body.taps,
    "unit lost to floats": lambda layer, _: _lost_by_thop(layer),
}


class Rule(NamedTuple):
    """An operation counts `factor` per something that `PER` names, as the tool's `part`.

    `averaged` figures are divided by the batch of the network's input. `by` says what the tool
    looks at, if not at all calls: modules of torch's own `class`, modules without modules of
    their own (a `leaf called Conv` and any `other leaf`), or calls of a function by its `name`.

    >>> Rule("batch_norm", 2, "element", "batch norm").why
    '2 per element'
    """

    operation: str
    factor: int
    per: str
    part: str
    averaged: bool = False
    by: str = ""

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
        >>> [(rule.part, count) for rule, count in THOP.parts(lower(mobilenet_v1())).items()][2:]
        [('batch norm', 20170752), ('adaptive pool', 50176), ('adaptive pool', 1024)]
        """
        layers = tuple(layers)
        batch = _batch(layers)
        counts: dict[Rule, Dim] = dict.fromkeys(self.rules, 0)
        for layer in layers:
            origin = origins.get(layer.layer.name)
            for operation, body in operations(layer, origin):
                for rule in self._rules_of.get(operation, ()):
                    if origin.is_seen_by(rule.by) if origin else _is_built_so(rule):
                        count = rule.factor * PER[rule.per](layer, body)
                        counts[rule] += _share(count, batch) if rule.averaged else count
        return {rule: count for rule, count in counts.items() if count != 0}

    def unknown(self, layers: Iterable[Lowered], origins: Origins = _BUILT) -> tuple[str, ...]:
        """The layers whose products the tool may count or not: with any, its count is a bound.

        >>> from costmodel import mobilenet_v1
        >>> THOP.unknown(lower(mobilenet_v1()))
        ()
        """
        found = (
            layer.layer.name
            for layer in layers
            for operation, _ in operations(layer, origins.get(layer.layer.name))
            if operation == UNKNOWN not in self._rules_of
        )
        return tuple(dict.fromkeys(found))

    @cached_property
    def _rules_of(self) -> dict[str, list[Rule]]:
        """The rules by operation."""
        found: dict[str, list[Rule]] = defaultdict(list)
        for rule in self.rules:
            found[rule.operation].append(rule)
        return found


def _is_built_so(rule: Rule) -> bool:
    """Whether a module that `build` makes shows a tool the operation: nn.ReLU6 calls hardtanh."""
    if "leaf" in rule.by:
        return rule.operation.startswith("conv") == (rule.by == "leaf called Conv")
    return (rule.operation, rule.by) != ("relu6", "name")


def operations(layer: Lowered, origin: Origin | None = None) -> Iterator[tuple[str, Body]]:
    """What a layer does, by the names that rules use: its MACs, its bias and all else.

    >>> from costmodel import mobilenet_v1
    >>> [operation for operation, _ in operations(lower(mobilenet_v1())[-1])]
    ['linear', 'linear_bias']
    """
    for nest in layer.nests:
        kind = _product(layer, nest, origin)
        yield kind, nest
        if getattr(layer.layer, "bias", False):
            yield _bias(kind, origin), nest
    for body in layer.elementwise:
        yield from _elementwise(layer, body, origin)


def _bias(kind: str, origin: Origin | None) -> str:
    apart = origin is not None and origin.detail == "apart"
    return f"{kind}_bias_apart" if apart else f"{kind}_bias"


def _product(layer: Lowered, nest: LoopNest, origin: Origin | None) -> str:
    """The operation that a tool sees in a product; of a layer without a rule nobody knows."""
    rule = operation_rule[type(layer.layer)]
    return str(rule(layer.layer, nest, origin)) if rule else UNKNOWN


@operation_rule(ir.Conv)
@operation_rule(ir.Filter)
def _conv(_layer: ir.Layer, _nest: LoopNest, origin: Origin | None) -> str:
    return "conv_mode" if origin and origin.detail == "mode" else "conv"


@operation_rule(ir.TransposedConv)
def _transposed(_layer: ir.Layer, nest: LoopNest, _origin: Origin | None) -> str:
    return "transposed_conv" if nest.g == 1 else "grouped_transposed_conv"


@operation_rule(ir.Linear)
def _linear(_layer: ir.Layer, _nest: LoopNest, origin: Origin | None) -> str:
    return _called(origin.function, origin) if origin else "linear"


@operation_rule(ir.DotProductAttention)
def _attention(_layer: ir.Layer, _nest: LoopNest, origin: Origin | None) -> str:
    return _called(origin.function, origin) if origin else "matmul"  # `build` writes it out


@operation_rule(ir.Einsum)
@operation_rule(ir.Recorded)
def _function(layer: ir.Einsum | ir.Recorded, nest: LoopNest, origin: Origin | None) -> str:
    called = _called(origin.function if origin else layer.function, origin)
    if called.startswith("conv"):
        return str(_conv(layer, nest, origin))
    if layer.function == "mv":
        return {"matmul": "matmul_vector", "addmv": "addmv"}.get(called, "mv")
    return called


def _called(name: str, origin: Origin | None) -> str:
    function = name.strip("_")
    function = "matmul" if function in {"rmatmul", "linalg_matmul"} else function
    return f"{function}_unfused" if origin and origin.detail == "unfused" else function


#: The functions of torch that add a bias, and their operations here.
_BIASED = {"linear": "linear", "addmm": "addmm"} | {
    f"conv{of}{rank}d": f"{'transposed_' * bool(of)}conv"
    for of in ("", "_transpose")
    for rank in (1, 2, 3)
}


def _elementwise(
    layer: Lowered, body: Elementwise, origin: Origin | None
) -> Iterator[tuple[str, Body]]:
    """What is done to each element, where torch's function says more than the layer."""
    function = body.operation.strip("_")
    if isinstance(layer.layer, ir.Resample) and origin is None and function == "interpolate":
        yield f"upsample_nearest{len(layer.output) - 2}d", body  # as `build` makes it
    elif origin is None:
        yield body.operation, body
    elif origin.module == "torch.nn.ReLU6":
        yield "relu6", body
    elif isinstance(layer.layer, ir.AdaptivePool) and not origin.function.startswith("adaptive"):
        yield f"{layer.layer.kind}_pool", body  # of a window as large as the map
    elif origin.function.startswith("upsample"):
        yield origin.function, body
        yield f"interpolate_{origin.detail}", body
    elif isinstance(origin.detail, int):
        yield function, body._replace(taps=layer.inputs[0][origin.detail])
    elif isinstance(layer.layer, ir.Recorded):
        yield f"{function}_recorded", body  # a further output, or what no rule is sure of
    elif isinstance(layer.layer, ir.Affine) and origin.function in _BIASED:
        yield _bias(_BIASED[origin.function], origin), body  # of a layer that shares its weight
    elif isinstance(layer.layer, ir.Affine) and not layer.layer.tensors:
        yield f"{function}_without_affine", body
    else:
        yield f"{function}_{origin.detail}".rstrip("_"), body


def _batch(layers: Iterable[Lowered]) -> Dim:
    """The samples of a network's input; 1 of several inputs, which ptflops takes by keyword."""
    batches = [layer.output[0] for layer in layers if isinstance(layer.layer, ir.Input)]
    return batches[0] if len(batches) == 1 else 1


def _share(count: Dim, batch: Dim) -> Dim:
    share = exact_div(count, batch)
    return count // batch if share is None else share  # a remainder is a user's own layer's


def _rules(  # noqa: PLR0913 - as a Rule
    operations: str, factor: int, per: str, part: str, *, averaged: bool = False, by: str = ""
) -> tuple[Rule, ...]:
    return tuple(Rule(name, factor, per, part, averaged, by) for name in operations.split())


def _seen(by: str, *rules: Rule, averaged: bool = False) -> tuple[Rule, ...]:
    return tuple(rule._replace(by=by, averaged=averaged) for rule in rules)


def _times(factor: int, *rules: Rule) -> tuple[Rule, ...]:
    return tuple(rule._replace(factor=factor) for rule in rules)


#: Convolutions, and those whose padding is a word: another operator when it is traced.
_CONVS = _rules("conv conv_mode", 1, "MAC", "conv")
_TRANSPOSED = _rules("transposed_conv grouped_transposed_conv", 1, "MAC", "transposed conv")
_LINEAR = _rules("linear", 1, "MAC", "linear")
_MACS = (*_CONVS, *_LINEAR)
_MATMUL = _rules("matmul", 1, "MAC", "matmul")
#: What tools that see matrix products below torch's own functions see.
_PRODUCTS = (*_MATMUL, *_rules("bmm mm addmm", 1, "MAC", "matmul"))
_POWERS = "inner chain_matmul linalg_multi_dot matrix_power linalg_matrix_power"
_BELOW = (*_PRODUCTS, *_rules(f"baddbmm einsum tensordot {_POWERS}", 1, "MAC", "matmul"))
#: Elementwise functions with learned values that torch has modules for.
_AFFINE = "layer_norm group_norm instance_norm rms_norm prelu"
_FUSED = "scaled_dot_product_attention"
_UNFUSED = f"{_FUSED}_unfused"
_NATIVE = "multi_head_attention_forward"
_RECURRENT = "lstm gru rnn_tanh rnn_relu lstm_cell gru_cell rnn_tanh_cell rnn_relu_cell"
_FIXED_POOLS = "average_pool max_pool"
_ADAPTIVE_AVERAGE = "adaptive_average_pool1d adaptive_average_pool2d adaptive_average_pool3d"
_ADAPTIVE_MAX = "adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d"
_POOLS = f"{_FIXED_POOLS} {_ADAPTIVE_AVERAGE} {_ADAPTIVE_MAX}"
_NEAREST = "upsample_nearest1d upsample_nearest2d upsample_nearest3d"
_RESIZED = (
    f"{_NEAREST} upsample_linear1d upsample_bilinear2d upsample_bicubic2d upsample_trilinear3d"
)
#: torch computes a local response as three products and an average over 5 channels of a map
#: that it pads by 2 channels on each side.
_RESPONSE = (
    *_rules("local_response_norm", 4, "element", "local response norm"),
    *_rules("local_response_norm", 4, "position", "local response norm"),
)
#: fvcore's and calflops' estimate of a normalisation that takes statistics.
_NORMS = (
    *_rules("layer_norm", 5, "element", "layer norm"),
    *_rules("layer_norm_without_affine", 4, "element", "layer norm"),
    *_rules("group_norm", 5, "element", "group norm"),
    *_rules("group_norm_without_affine", 4, "element", "group norm"),
    *_rules("instance_norm", 5, "element", "instance norm"),
    *_rules("instance_norm_without_affine", 4, "element", "instance norm"),
)

#: The paper's mult-adds (Howard et al. 2017, §3.1), and our own MACs.
PAPER = Convention(
    "paper",
    "mult-adds",
    (
        *_MACS,
        *_BELOW,
        *_TRANSPOSED,
        *_rules("mv matmul_vector addmv addbmm", 1, "MAC", "matmul"),
        *_rules(f"{_FUSED} {_UNFUSED} {_NATIVE}", 1, "MAC", "attention"),
        *_rules(_RECURRENT, 1, "MAC", "recurrent"),
        *_rules(UNKNOWN, 1, "MAC", "layers of one's own"),
    ),
)
#: fvcore in eval mode: a MAC is one, batch norm two per element (one without scale and shift),
#: other normalisation five (four), adaptive average pooling of images one per element it reads;
#: pooling of other kinds and ranks, activations and additions are ignored.
FVCORE = Convention(
    "fvcore",
    "FLOPs",
    (
        *_rules("conv", 1, "MAC", "conv"),
        *_LINEAR,
        *_PRODUCTS,
        *_rules("einsum", 1, "MAC, as numpy prints it", "einsum"),
        *(rule._replace(part="conv") for rule in _TRANSPOSED),
        *_rules("batch_norm", 2, "element", "batch_norm"),
        *_rules("batch_norm_without_affine", 1, "element", "batch_norm"),
        *(rule._replace(part=rule.part.replace(" ", "_")) for rule in _NORMS),
        *_rules("adaptive_average_pool2d", 1, "input element", "adaptive_avg_pool2d"),
        *_rules("upsample_nearest2d", 1, "element", "upsample_nearest2d"),
        *_rules("upsample_bilinear2d", 4, "element", "upsample_bilinear2d"),
    ),
    "fvcore",
)
#: torch.utils.flop_counter.FlopCounterMode: a MAC is two, and nothing else counts, nor does
#: attention that torch fuses on the CPU.
TORCH = Convention(
    "FlopCounterMode",
    "FLOPs",
    _times(2, *_MACS, *_BELOW, *_TRANSPOSED, *_rules(_UNFUSED, 1, "MAC", "attention")),
    "torch",
)
#: thop's forward hooks on torch's own classes of modules: no biases and no activations;
#: batch, layer and instance norm four per element (two without scale and shift), average pooling
#: one per output, and adaptive average pooling, in float64, the window's mean size and one more
#: per output; a transposed convolution as if each output read the whole window.
THOP = Convention(
    "thop",
    "MACs",
    _seen(
        "class",
        *_MACS,
        *_rules(
            "transposed_conv grouped_transposed_conv", 1, "tap of an output", "transposed conv"
        ),
        *_rules("batch_norm", 4, "element", "batch norm"),
        *_rules("batch_norm_without_affine", 2, "element", "batch norm"),
        *_rules("layer_norm", 4, "element", "layer norm"),
        *_rules("layer_norm_without_affine", 2, "element", "layer norm"),
        *_rules("instance_norm", 4, "element", "instance norm"),
        *_rules("instance_norm_without_affine", 2, "element", "instance norm"),
        *_rules("average_pool", 1, "element", "average pool"),
        *_rules(_ADAPTIVE_AVERAGE, 1, "input element", "adaptive pool"),
        *_rules(_ADAPTIVE_AVERAGE, 1, "element", "adaptive pool"),
        *_rules(_ADAPTIVE_AVERAGE, 1, "unit lost to floats", "adaptive pool"),
        *_rules("prelu", 1, "element", "prelu"),
        *_rules("softmax", 3, "element", "softmax"),
        *_rules("softmax", -1, "vector", "softmax"),
        *_rules(
            "upsample_nearest1d upsample_nearest2d upsample_nearest3d",
            1,
            "element",
            "interpolation",
        ),
        *_rules("upsample_linear1d", 5, "element", "interpolation"),
        *_rules("upsample_bilinear2d", 11, "element", "interpolation"),
        *_rules("upsample_bicubic2d", 224 + 35, "element", "interpolation"),
    ),
    "thop",
)
#: ptflops' default backend hooks torch's own classes of modules, whose sum it averages over the
#: batch, and replaces functions and tensor methods, whose sum it does not; what a hooked module
#: does by a replaced function (ReLU, all pools) is counted twice.
PTFLOPS = Convention(
    "ptflops",
    "MACs",
    (
        *_seen("class", *_MACS, *_TRANSPOSED, averaged=True),
        *_seen(
            "name",
            *_PRODUCTS,
            *_rules("baddbmm", 1, "MAC", "matmul"),
            *_rules("addmm_bias", 1, "feature", "matmul bias"),
        ),
        *_seen(
            "class",
            *_rules("conv_bias conv_mode_bias linear_bias linear_bias_apart", 1, "element", "bias"),
            *_rules("transposed_conv_bias grouped_transposed_conv_bias", 1, "element", "bias"),
            *_rules("batch_norm", 2, "element", "batch norm"),
            *_rules("batch_norm_without_affine", 1, "element", "batch norm"),
            *_rules("group_norm instance_norm", 2, "element", "norm"),
            *_rules("group_norm_without_affine", 1, "element", "norm"),
            *_rules("instance_norm_without_affine", 1, "element", "norm"),
            *_rules("layer_norm layer_norm_without_affine", 1, "element", "norm"),
            *_rules("relu relu6 elu leaky_relu gelu prelu", 1, "element", "activation"),
            *_rules("leaky_relu_in_place", 1, "element", "activation"),
            averaged=True,
        ),
        *_seen(
            "name",
            *_rules("relu relu6 elu gelu silu swish prelu", 1, "element", "activation function"),
            *_rules("softmax", 1, "element", "activation function"),
        ),
        *_seen(
            "class",
            *_rules(_POOLS, 1, "input element", "pool"),
            *_rules(_RESIZED, 1, "element of a sample", "interpolation"),
            averaged=True,
        ),
        *_seen(
            "name",
            *_rules(_POOLS, 1, "input element", "pool function"),
            *_rules(_RESIZED, 1, "element", "interpolation function"),
            *_rules("add", 1, "addition", "add"),
            *_rules("mul", 1, "element", "mul"),
        ),
        *_RESPONSE,
    ),
    "ptflops",
)
#: ptflops' aten backend: MACs and biases of the operators that it is shown.
PTFLOPS_ATEN = Convention(
    "ptflops aten",
    "MACs",
    (
        *_MACS,
        *_PRODUCTS,
        *_rules(f"einsum tensordot {_POWERS}", 1, "MAC", "matmul"),
        *_rules(_UNFUSED, 1, "MAC", "attention"),
        *_TRANSPOSED,
        *_rules("conv_bias conv_mode_bias linear_bias addmm_bias", 1, "element", "bias"),
        *_rules("transposed_conv_bias grouped_transposed_conv_bias", 1, "element", "bias"),
    ),
    "ptflops",
)
#: torchinfo multiplies the parameters of a module without modules of its own by its positions where
#: its class has Conv in its name, and of any other by the batch: a linear layer counts one vector
#: a sample, normalisation and embeddings their parameters.
TORCHINFO = Convention(
    "torchinfo",
    "mult-adds",
    (
        *_seen(
            "leaf called Conv",
            *_CONVS,
            *_rules(
                "transposed_conv grouped_transposed_conv", 1, "tap of an output", "transposed conv"
            ),
            *_rules("conv_bias conv_mode_bias", 1, "element", "conv bias"),
            *_rules("transposed_conv_bias grouped_transposed_conv_bias", 1, "element", "conv bias"),
        ),
        *_seen(
            "other leaf",
            *_rules("conv", 1, "sample and weight", "conv by another name"),
            *_rules("conv_bias", 1, "sample and channel", "conv by another name"),
            *_LINEAR,
            *_rules("linear", -1, "MAC past each sample's first vector", "linear, other vectors"),
            *_rules("linear_bias linear_bias_apart", 1, "sample and feature", "linear bias"),
            *_rules("batch_norm", 2, "sample and channel", "batch norm"),
            *_rules(_AFFINE, 1, "sample and parameter", "norm"),
            *_rules("embedding", 1, "sample and parameter", "embedding"),
        ),
    ),
    "torchinfo",
)
#: torchprofile's handlers of traced operators: no biases; normalisation with scale and shift,
#: average pooling of any kind, leaky ReLU and products are one per output.
TORCHPROFILE = Convention(
    "torchprofile",
    "MACs",
    (
        *_rules("conv", 1, "MAC", "conv"),
        *_LINEAR,
        *_MATMUL,
        *_rules("bmm addmm baddbmm einsum matmul_vector addmv", 1, "MAC", "matmul"),
        *_rules("einsum_of_no_sum", 1, "element", "matmul"),
        *_rules(f"{_FUSED} {_UNFUSED}", 1, "MAC", "attention"),
        *_rules("lstm", 1, "MAC", "recurrent"),
        *_rules(
            "transposed_conv grouped_transposed_conv",
            1,
            "tap of an output, its groups apart",
            "transposed conv",
        ),
        *_rules("batch_norm", 1, "element", "batch norm"),
        *_rules("layer_norm group_norm instance_norm", 1, "element", "norm"),
        *_rules(f"average_pool {_ADAPTIVE_AVERAGE}", 1, "element", "average pool"),
        *_rules("mean", 1, "element", "mean"),
        *_rules("mul", 1, "element", "mul"),
        *_rules("leaky_relu", 1, "element", "leaky relu"),
        *_rules("upsample_bilinear2d", 4, "element", "interpolation"),
        *_rules("local_response_norm", 3, "element", "local response norm"),
    ),
    "torchprofile",
)
#: calflops' MACs, of the functions that it replaces.
_CALFLOPS = (
    *_MACS,
    *_MATMUL,
    *_rules("addmm baddbmm", 1, "MAC", "matmul"),
    *_rules("transposed_conv", 1, "MAC", "transposed conv"),
    *_rules("grouped_transposed_conv", 1, "MAC, divided by the groups again", "transposed conv"),
)
CALFLOPS = Convention("calflops", "MACs", _seen("name", *_CALFLOPS), "calflops")
#: calflops' FLOPs: two per MAC, a convolution's bias but no linear layer's, batch norm in eval mode
#: two per element (one without scale and shift) and other normalisation five (four), pools and
#: most activations one per element they read.
CALFLOPS_FLOPS = Convention(
    "calflops FLOPs",
    "FLOPs",
    (
        *_seen(
            "name",
            *_times(2, *_CALFLOPS),
            *_rules("einsum", 1, "FLOP, as numpy prints it", "einsum"),
            *_rules("conv_bias conv_mode_bias", 1, "element", "conv bias"),
            *_rules(
                "transposed_conv_bias grouped_transposed_conv_bias",
                1,
                "element of the convolution it is not",
                "conv bias",
            ),
            *_rules("addmm_bias", 1, "feature", "matmul bias"),
            *_rules("batch_norm", 2, "element", "batch norm"),
            *_rules("batch_norm_without_affine", 1, "element", "batch norm"),
            *_NORMS,
            *_rules("relu relu6 elu gelu silu swish", 1, "element", "activation"),
            *_rules("leaky_relu prelu softmax", 1, "element", "activation"),
            *_rules("leaky_relu_in_place", 1, "element", "activation"),
            *_rules(_POOLS, 1, "input element", "pool"),
            *_rules("interpolate_by_factor", 1, "input element", "interpolation"),
            *_rules("interpolate_to_size", 1, "element of the size alone", "interpolation"),
            *_rules("add", 1, "addition", "add"),
            *_rules("mul", 1, "element", "mul"),
        ),
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
