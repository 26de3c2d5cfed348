"""Training: the multiply–accumulates of a backward pass, and the activations kept for it.

A nest O += W·I has two gradients, ∂W += ∂O·I and ∂I += W·∂O. Both run over the indices of the
nest itself, so each costs its MACs. What is kept is what torch saves, as rules that can be
compared with `==`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, NamedTuple

from costmodel.errors import CostModelError
from costmodel.metrics.layouts import is_copied, placed
from costmodel.metrics.memory import DEFAULT, MemoryRules, known_layers

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from costmodel.algebra.arithmetic import Dim
    from costmodel.core.fields import Shape
    from costmodel.core.layer import Inputs, Layer
    from costmodel.core.lower import Lowered
    from costmodel.core.nest import Keeps
    from costmodel.core.network import Network


@dataclass(frozen=True)
class TrainingCost:
    """MACs of a forward and a backward pass, of a layer or of a network; they add up.

    `input_gradient` is what the gradients of activations take, `weight_gradient` those of
    weights. Biases, normalisation and activations have no MACs, forwards or backwards.

    >>> TrainingCost(3, 2, 3) + TrainingCost(1, 1, 1)
    TrainingCost(forward=4, input_gradient=3, weight_gradient=4)
    """

    forward: Dim = 0
    input_gradient: Dim = 0
    weight_gradient: Dim = 0

    @property
    def backward(self) -> Dim:
        """Both gradients."""
        return self.input_gradient + self.weight_gradient

    @property
    def macs(self) -> Dim:
        """Forward and backward."""
        return self.forward + self.backward

    def __add__(self, other: TrainingCost) -> TrainingCost:
        if not isinstance(other, TrainingCost):
            return NotImplemented
        return TrainingCost(
            self.forward + other.forward,
            self.input_gradient + other.input_gradient,
            self.weight_gradient + other.weight_gradient,
        )


def training_cost(network: Network) -> TrainingCost:
    """The MACs of one step of training, without the optimiser's: the sum over the layers.

    About 3 times the forward pass's; less what the gradient with respect to the image would
    cost, which nobody asks for:

    >>> from costmodel import mobilenet_v1
    >>> step = training_cost(mobilenet_v1())
    >>> step.macs == 3 * 568_740_352 - 9*3*32 * 112*112
    True

    Raises CostModelError for a layer without a rule.
    """
    return sum(layer_training_costs(network).values(), TrainingCost())


def layer_training_costs(network: Network) -> dict[str, TrainingCost]:
    """The same by layer: M forward, M for the weight, M for an input that has a gradient.

    An input has one where a parameter stands before it. A product of two activations has no
    weight and a gradient for each of the two. In a layer of several nests each of them is taken
    to read what the layer reads.

    >>> from costmodel import mobilenet_v1
    >>> layer_training_costs(mobilenet_v1())["conv1"]
    TrainingCost(forward=10838016, input_gradient=0, weight_gradient=10838016)

    Raises CostModelError for a layer without a rule.
    """
    layers = known_layers(network)
    trained = _trained(layers)
    return {x.layer.name: _gradients(x, trained) for x in layers}


def _trained(layers: tuple[Lowered, ...]) -> set[str]:
    """The layers whose output depends on a parameter, and so has a gradient."""
    trained: set[str] = set()
    for x in layers:
        if x.used or not trained.isdisjoint(x.layer.inputs):
            trained.add(x.layer.name)
    return trained


def _gradients(x: Lowered, trained: AbstractSet[str]) -> TrainingCost:
    """A layer's cost; a fixed weight has no gradient."""
    with_gradient = [int(name in trained) for name in x.layer.inputs]
    any_input = max(with_gradient, default=0)
    # Of a product of two layers each is an operand; of a layer with itself it is both.
    operands = sum(with_gradient) if len(with_gradient) == 2 else 2 * any_input  # noqa: PLR2004
    forward = inputs = weights = 0
    for nest in x.nests:
        forward += nest.macs
        inputs += nest.macs * (any_input if nest.weighted else operands)
        weights += nest.macs if nest.weighted and x.used else 0
    return TrainingCost(forward, inputs, weights)


class Kept(NamedTuple):
    """A tensor kept for the backward pass: the layer that made it, and its bytes.

    `role` is "output", or "own" where it is no output: indices, a mask, statistics, or a copy that
    a product of matrices makes of what is not in one piece.
    """

    layer: str
    role: str
    bytes: Dim


def kept_activations(network: Network, rules: MemoryRules = DEFAULT) -> tuple[Kept, ...]:
    """The tensors that torch keeps from the forward pass for the backward pass, each once.

    - A convolution and a linear layer keep their input; so does a batch norm, with two values
      per channel; a max pool with an int64 index per output; an average pool, if not to one
      element; and an activation, but for ReLU, sigmoid and tanh, which keep their output.
    - Dropout keeps a mask; local response normalisation three tensors of its own.
    - Sums and concatenations keep nothing, and Flatten's output is its input.
    - Layers of traced models keep what `costmodel.metrics.keeping` says.
    - Layers before the first parameter have no gradient and keep nothing.

    Parameters and running statistics are not among them, and the network's inputs only with
    `count_input`. float16 is a module all of float16.

    >>> from costmodel import mobilenet_v1
    >>> kept_activations(mobilenet_v1())[:2]
    (Kept(layer='image', role='output', bytes=602112), Kept(layer='conv1', role='output', \
bytes=1605632))

    Raises CostModelError for a layer without a rule and for rules of inference.
    """
    if rules != MemoryRules(rules.dtype, rules.count_input) or rules.dtype == "int8":
        raise CostModelError(
            f"training keeps float32 or float16, not in place and not folded, got {rules}; "
            "leave dtype int8, in_place and fold_batch_norm to inference"
        )
    layers = known_layers(network)
    trained, places = _trained(layers), placed(layers)
    shapes = {x.layer.name: x.output for x in layers}
    home: dict[str, str] = {}
    kept: dict[object, Kept] = {}
    for layer, inputs, output, _, _ in layers:
        keeps = _keeps(layer, inputs, output)
        same = (
            places[layer.name].is_view and not keeps.own
        )  # a dropout is a view at inference alone
        home[layer.name] = home[layer.inputs[0]] if same else layer.name
        if layer.name not in trained:
            continue
        read = layer.inputs if keeps.inputs else _factors(layer.inputs, trained, keeps)
        for name in (*read, *([layer.name] if keeps.output else ())):
            made, shape = home[name], shapes[name]
            if name != layer.name and is_copied(layer, places[name].order, shape):
                kept[layer.name, name] = Kept(layer.name, "own", rules.width * prod(shape))
            else:
                kept.setdefault(made, Kept(made, "output", rules.width * prod(shapes[made])))
        for i, (elements, width) in enumerate(keeps.own):
            kept[layer.name, i] = Kept(layer.name, "own", (width or rules.width) * elements)
    given = {x.layer.name for x in layers if x.layer.arity == 0}  # and the module's own tensors
    given -= {layer.name for layer in network.inputs if rules.count_input}
    return tuple(tensor for tensor in kept.values() if tensor.layer not in given)


def _factors(inputs: tuple[str, ...], trained: AbstractSet[str], keeps: Keeps) -> tuple[str, ...]:
    """Of a product, the factors that another's gradient needs; one layer is both factors."""
    if not keeps.product:
        return ()
    factors = inputs if len(inputs) > 1 else inputs * 2
    return tuple(
        name
        for i, name in enumerate(factors)
        if not trained.isdisjoint(factors[:i] + factors[i + 1 :])
    )


def _keeps(layer: Layer, inputs: Inputs, output: Shape) -> Keeps:
    keeps = layer.keeps(inputs, output)
    if keeps is None:
        function = getattr(layer, "function", "")
        what = repr(function) if function else f"a {type(layer).__name__}"
        raise CostModelError(
            f"{layer.name}: no rule for what {what} keeps for the backward pass; "
            f"subclass {type(layer).__name__} and say what it `keeps`"
        )
    return keeps


def kept_bytes(network: Network, rules: MemoryRules = DEFAULT) -> Dim:
    """Bytes of `kept_activations`: what a batch adds to the memory of training.

    >>> from costmodel import mobilenet_v1
    >>> kept_bytes(mobilenet_v1())
    41035264

    Raises CostModelError as `kept_activations` does.
    """
    return sum(tensor.bytes for tensor in kept_activations(network, rules))
