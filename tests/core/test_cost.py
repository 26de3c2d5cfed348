"""Costs are a monoid, and a network's is the sum of its layers'."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import pytest
import torch
from hypothesis import given, settings, strategies as st
from strategies import examples, networks

from costmodel import Cost, CostModelError, Layer, Network, cost, lower, mobilenet_v1, widen
from costmodel.algebra.symbols import alpha
from costmodel.core import LoopNest, layer_cost
from costmodel.layers import Conv, Input, Linear

QUICK = settings(derandomize=True, deadline=None, database=None)
numbers = st.integers(0, 2**80)
costs = st.builds(
    Cost,
    macs=numbers,
    params=numbers,
    activations=numbers,
    unknown=st.lists(st.text(max_size=3), max_size=2).map(tuple),
)


@dataclass(frozen=True)
class Unheard(Layer):
    """A layer type no rule knows."""


@QUICK
@given(costs, costs, costs)
def test_monoid_laws(a: Cost, b: Cost, c: Cost) -> None:
    """Adding costs associates, and nothing is neutral on both sides."""
    assert (a + b) + c == a + (b + c)
    assert a + Cost() == a == Cost() + a


@QUICK
@given(costs, costs)
def test_quantities_add(a: Cost, b: Cost) -> None:
    """Each quantity of a sum is the sum of the quantities; what is unknown stays so."""
    total = a + b
    assert (total.params, total.macs) == (a.params + b.params, a.macs + b.macs)
    assert total.activations == a.activations + b.activations
    assert total.unknown == (*a.unknown, *b.unknown)
    assert total.flops == total.macs + total.macs


@settings(QUICK, max_examples=examples(100))
@given(networks())
def test_a_networks_cost_is_the_sum_of_its_layers(network: Network) -> None:
    """cost(net) = Σ layer_cost, in any grouping."""
    parts = [layer_cost(lowered) for lowered in lower(network)]
    assert cost(network) == reduce(Cost.__add__, parts, Cost())
    assert cost(network) == sum(reversed(parts), Cost())


@settings(QUICK, max_examples=60)
@given(networks())
def test_activations_are_conv_and_linear_outputs(network: Network) -> None:
    """Activations are the elements that convolutions and linear layers write, and no others'."""
    written = 0
    for lowered in lower(network):
        if isinstance(lowered.layer, (Conv, Linear)):
            written += torch.empty(lowered.output, device="meta").numel()
    assert cost(network).activations == written


@pytest.mark.parametrize(
    ("name", "mutant"),
    [("macs", lambda nest: nest.weights), ("activations", lambda nest: nest.weights)],
)
def test_naive_sums_notice_a_wrong_nest(
    name: str, mutant: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A nest that counts one quantity for another changes MobileNetV1's known cost."""
    monkeypatch.setattr(LoopNest, name, property(mutant))
    first, last = 9 * 3 * 32 * 112 * 112, 1024 * 1000
    lowered = lower(mobilenet_v1())
    macs = [layer_cost(lowered[1]).macs, layer_cost(lowered[-1]).macs]
    outputs = [layer_cost(lowered[1]).activations, layer_cost(lowered[-1]).activations]
    assert (macs, outputs) != ([first, last], [32 * 112 * 112, 1000])


def test_shared_parameters_are_their_owners() -> None:
    """The layer that shares a weight costs MACs and no parameters."""
    layers = (Conv("a", 3, 3, padding=1), Conv("b", 3, 3, padding=1, shares="a"))
    _, owner, other = map(layer_cost, lower(Network("n", (Input("i", (1, 3, 5, 5)), *layers))))
    assert (owner.params, other.params) == (9 * 3 * 3, 0)
    assert owner.macs == other.macs == 9 * 3 * 3 * 5 * 5


@pytest.mark.parametrize("power", [32, 40, 64, 100])
def test_extents_beyond_machine_words_are_exact(power: int) -> None:
    """Nothing wraps at 2³¹, 2⁵³ or 2⁶³: sizes multiply as integers do."""
    side = 2**power
    network = Network("n", (Input("i", (1, side, side, side)), Conv("c", side, 1)))
    total = cost(network)
    assert total.macs == 2 ** (4 * power)
    assert total.params == 2 ** (2 * power)
    assert total.activations == 2 ** (3 * power)
    assert total.flops == 2 ** (4 * power + 1)


UNKNOWN = Network("n", (Input("i", (1, 3, 4, 4)), Conv("c", 2, 1), Unheard("<b>what</b>")))


def test_a_lower_bound_is_shown_as_one() -> None:
    """≥ stands before every figure of a cost with an unknown layer, and before no other."""
    text = repr(cost(UNKNOWN))
    assert f"macs=≥{3 * 2 * 4 * 4}, params=≥{3 * 2}, activations=≥{2 * 4 * 4}" in text
    assert "<b>what</b>" in text
    assert "≥" not in repr(Cost(macs=1, params=2, activations=3))
    assert repr(Cost(macs=1, params=2, activations=3)) == "Cost(macs=1, params=2, activations=3)"
    wide = widen(UNKNOWN, alpha)
    assert r"\text{macs} &\ge" in (cost(wide)._repr_latex_() or "")
    assert r"\ge" not in (cost(widen(mobilenet_v1(), alpha))._repr_latex_() or r"\ge")


def test_strict_costs_refuse_the_unknown() -> None:
    """strict turns a lower bound into an error that names the layer."""
    with pytest.raises(CostModelError, match="no rule for <b>what</b>"):
        cost(UNKNOWN, strict=True)
    assert cost(mobilenet_v1(), strict=True) == cost(mobilenet_v1())


def test_a_body_of_another_type_is_no_silent_zero() -> None:
    """A layer of what is neither nest nor elementwise is an error, not nothing."""

    @dataclass(frozen=True)
    class Wrong(Layer):
        """It forgets to make a body."""

        def lowered(self, _inputs: object, output: object) -> tuple:
            return (output,), ()

    network = Network("n", (Input("i", (1, 3, 4, 4)), Wrong("wrong")))
    with pytest.raises(AttributeError, match="macs"):
        cost(network)


def test_a_lower_bound_stays_one_in_a_sum() -> None:
    """A sum of something unknown is a lower bound too."""
    assert (cost(mobilenet_v1()) + cost(UNKNOWN)).unknown == ("<b>what</b>",)


def test_latex_in_a_notebook() -> None:
    """A cost is formulas in a notebook where it has symbols, and its repr where it has none."""
    assert cost(mobilenet_v1())._repr_latex_() is None
    assert r"\text{macs} &= " in cost(widen(mobilenet_v1(), alpha))._repr_latex_()


def test_sum_adds_costs_up() -> None:
    """`sum` needs no start, and a number is no cost."""
    assert sum([Cost(macs=1, params=2)] * 2) == Cost(macs=2, params=4)
    with pytest.raises(TypeError):
        Cost() + 1


def test_map_reaches_every_quantity() -> None:
    """map applies a function to the three quantities and keeps what is unknown."""
    assert Cost(macs=1, params=2, activations=3, unknown=("x",)).map(lambda n: 10 * n) == Cost(
        macs=10, params=20, activations=30, unknown=("x",)
    )


def test_costs_are_values() -> None:
    """Equal costs are one key of a dict."""
    assert (
        len(
            {
                Cost(macs=1, params=2, activations=3),
                Cost(macs=1, params=2, activations=3),
                Cost(macs=1, params=2, activations=4),
            }
        )
        == 2
    )
