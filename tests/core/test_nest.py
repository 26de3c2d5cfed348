"""The loop nest: its counts are those of the loops, its kind is read off the extents."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import find, given, settings, strategies as st

from costmodel import Layer, Network, lower
from costmodel.algebra.symbols import C_in, alpha
from costmodel.core import Elementwise, LoopNest
from costmodel.layers import SAME, Conv, Input, Linear

QUICK = settings(derandomize=True, deadline=None, database=None)
extents = st.integers(1, 3)
nests = st.builds(
    LoopNest,
    n=extents,
    g=extents,
    k=extents,
    c=extents,
    positions=st.tuples(extents, extents),
    kernel=st.tuples(extents, extents),
    weighted=st.booleans(),
)


def looped(nest: LoopNest) -> tuple[int, int, int]:
    """MACs, weights and outputs of the equation, by running its loops."""
    macs, weights, outputs = 0, set(), set()
    ranges = (nest.n, nest.g, nest.k, nest.c, *nest.positions, *nest.kernel)
    for n, g, k, c, p, q, r, s in product(*map(range, ranges)):
        macs += 1
        weights.add((g, k, c, r, s))
        outputs.add((n, g, k, p, q))
    return macs, len(weights) if nest.weighted else 0, len(outputs)


def counted(nest: LoopNest) -> tuple[int, int, int]:
    """The same, by the nest's own products."""
    return nest.macs, nest.weights, nest.activations


@settings(QUICK, max_examples=300)
@given(nests)
def test_counts_are_those_of_the_loops(nest: LoopNest) -> None:
    """MACs count iterations, weights and activations the different indices of W and O."""
    assert counted(nest) == looped(nest)


@pytest.mark.parametrize(
    ("name", "mutant"),
    [
        ("macs", lambda nest: nest.n * nest.g * nest.k * nest.c * nest.positions[0]),
        ("weights", lambda nest: nest.k * nest.c * nest.kernel[0] * nest.kernel[1]),
        ("weights", lambda nest: nest.g * nest.k * nest.c * nest.kernel[0] * nest.kernel[1]),
        ("activations", lambda nest: nest.g * nest.k * nest.positions[0] * nest.positions[1]),
    ],
    ids=["an axis lost", "groups forgotten", "an activation weighed", "the batch forgotten"],
)
def test_loops_notice_a_wrong_product(
    name: str, mutant: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A product that loses an extent, or weighs an activation, disagrees with the loops."""
    monkeypatch.setattr(LoopNest, name, property(mutant))
    assert find(nests, lambda nest: counted(nest) != looped(nest), settings=QUICK)


IMAGE = Input("image", (1, 8, 6, 6))


@pytest.mark.parametrize(
    ("layer", "kind"),
    [
        (Conv("l", 16, 3), "standard"),
        (Conv("l", 16, (1, 3)), "standard"),
        (Conv("l", 16, 1), "pointwise"),
        (Conv("l", 16, 1, stride=2), "pointwise"),
        (Conv("l", 16, 3, groups=4), "grouped"),
        (Conv("l", 16, 1, groups=4), "grouped"),
        (Conv("l", SAME, 3, groups=SAME), "depthwise"),
        (Conv("l", 8, 3, groups=8), "depthwise"),
        (Conv("l", 24, 3, groups=8), "depthwise"),
        (Linear("l", 3), "linear"),
    ],
    ids=str,
)
def test_kinds_are_derived(layer: Layer, kind: str) -> None:
    """A layer's kind follows from its extents, however its hyper-parameters spell it."""
    (nest,) = lower(Network("net", (IMAGE, layer)))[1].nests
    assert nest.kind == kind


def test_a_product_of_activations_is_a_matmul() -> None:
    """QKᵀ of 4 heads, 9 tokens and 16 features multiplies and has no parameters."""
    scores = LoopNest(n=1, g=4, k=9, c=16, positions=(9,), kernel=(), weighted=False)
    assert scores.kind == "matmul"
    assert scores.weights == 0
    assert scores.macs == 4 * 9 * 9 * 16


def test_kinds_of_symbolic_nests() -> None:
    """A kind needs no numbers: C_in groups of one channel are depthwise."""
    nest = LoopNest(1, C_in * alpha, 1, 1, (7, 7), (3, 3))
    assert nest.kind == "depthwise"
    assert nest.macs == 9 * 49 * C_in * alpha


def test_elementwise_bodies_multiply_nothing() -> None:
    """An elementwise body has neither MACs nor activations: no such figure is there to add."""
    body = Elementwise("relu", (1, 10, 5, 2))
    assert body.taps == 1
    assert not {"macs", "activations"} & set(dir(body))
