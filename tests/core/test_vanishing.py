"""Sizes below 1: one check, where shapes are made, for every layer and in every algebra."""

from __future__ import annotations

from contextlib import suppress
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import given, settings, strategies as st
from strategies import width_function
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from costmodel import (
    CostModelError,
    Layer,
    Network,
    cost,
    cost_function,
    from_json,
    layers as ir,
    lower,
    mobilenet_v1,
    resize,
    sweep,
    to_json,
)
from costmodel.algebra import emitted
from costmodel.algebra.symbols import H, K
from costmodel.core import infer
from costmodel.layers import Activation, Concat, Conv, Input, Pool

if TYPE_CHECKING:
    from collections.abc import Callable

    from costmodel import Cost

QUICK = settings(derandomize=True, deadline=None, database=None)


def net(*layers: Layer, side: Any = 16) -> Network:
    """Layers behind a square image of three channels."""
    return Network("net", (Input("image", (1, 3, side, side)), *layers))


def refusal(call: Callable[[], object]) -> str:
    """The message of the error that a call raises, of one line."""
    with pytest.raises(CostModelError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


CROP = ir.Pad("crop", ((-10, -10), (-10, -10)))
CONV = Conv("conv", 8, 1)


@pytest.mark.parametrize(
    ("layers", "side", "message"),
    [
        ((CROP, CONV), 16, "crop: would make 1×3×-4×-4; raise the resolution"),
        ((CROP, CONV), 20, "crop: would make 1×3×0×0; raise"),
        ((ir.Pad("crop", ((0, -16),)), CONV), 16, "crop: would make 1×3×16×0; raise"),
        ((ir.Pad("c", ((-3, 0), (0, 0), (0, 0))), CONV), 16, "c: would make 1×0×16×16"),
        ((ir.TransposedConv("up", 8, 3, 1, 6), CONV), 8, "up: would make 1×8×-2×-2"),
        ((ir.TransposedConv("up", 8, 3, 1, (0, 5)),), 8, "up: would make 1×8×10×0"),
        ((ir.Resample("down", 1, 2), CONV), 1, "down: would make 1×3×0×0"),
        ((ir.Slice("part", ((0, None, 1), (0, None, 1), (5, None, 1))),), 5, "part: would make"),
        ((Conv("c", 5, (1, 9), 2),), 8, "c: kernel 9 (dilation 1) is larger than its input of 8"),
        ((Pool("p", "max", 3, 1, 0, ceil_mode=True),), 2, "p: kernel 3 (dilation 1) is larger"),
    ],
)
def test_a_size_below_one_is_refused(layers: tuple[Layer, ...], side: int, message: str) -> None:
    """No layer makes a map, or channels, of no size: a line with its name, and the remedy."""
    whole = net(*layers)
    assert refusal(lambda: cost(net(*layers, side=side))).startswith(message)
    refusal(lambda: sweep(whole, [1.0], [side]))
    refusal(lambda: cost_function(whole)(1.0, side))
    refusal(lambda: width_function(whole)([1.0] * len(width_function(whole).layers), side))


def test_json_never_has_a_negative_cost() -> None:
    """A crop to -4 before a convolution of 8 once cost 3·8·-4·24 MACs."""
    wide = ir.Pad("crop", ((-10, -10), (4, 4)))
    refusal(lambda: cost(from_json(to_json(net(wide, CONV)))))


def naive(layer: Any, x: torch.Tensor) -> torch.Tensor:
    """What torch makes of a layer."""
    match layer:
        case Conv():
            weight = torch.empty(4, x.shape[1], layer.kernel, layer.kernel)
            return functional.conv2d(x, weight, None, layer.stride, layer.padding, layer.dilation)
        case ir.TransposedConv():
            weight = torch.empty(x.shape[1], 4, layer.kernel, layer.kernel)
            window = (layer.stride, layer.padding, layer.output_padding, 1, layer.dilation)
            return functional.conv_transpose2d(x, weight, None, *window)
        case Pool():
            window = (layer.kernel, layer.stride, layer.padding)
            return functional.avg_pool2d(x, *window, layer.ceil_mode)
        case ir.Pad():
            (above, below), (left, right) = layer.amounts
            return functional.pad(x, (left, right, above, below))
    return functional.interpolate(x, scale_factor=layer.numerator / layer.denominator)


_SMALL = st.integers(1, 4)
_PADS = st.tuples(st.integers(-4, 3), st.integers(-4, 3))
LAYERS = st.one_of(
    st.builds(
        lambda k, s, p, d: Conv("x", 4, k, s, p, d), _SMALL, _SMALL, st.integers(0, 2), _SMALL
    ),
    st.builds(
        lambda k, s, p, o, d: ir.TransposedConv("x", 4, k, s, p, o, d),
        *(_SMALL, _SMALL, st.integers(0, 5), st.integers(0, 3), _SMALL),
    ),
    st.builds(
        lambda k, s, half, c: Pool("x", "average", k, s, k // 2 if half else 0, c),
        *(_SMALL, _SMALL, st.booleans(), st.booleans()),
    ),
    st.builds(lambda a, b: ir.Pad("x", (a, b)), _PADS, _PADS),
    st.builds(lambda n, d: ir.Resample("x", n, d), st.integers(1, 2), st.sampled_from([1, 2, 4])),
)


CHAINS = st.lists(LAYERS, min_size=1, max_size=4)


@settings(QUICK, max_examples=40)
@given(CHAINS, st.integers(1, 20))
def test_every_algebra_refuses_where_torch_has_no_map(kinds: list[Layer], side: int) -> None:
    """Numbers, a grid and emitted code have a network where torch makes a map, and no others."""
    check(kinds, side)


@pytest.mark.slow
@settings(QUICK, max_examples=600)
@given(CHAINS, st.integers(1, 20))
def test_every_algebra_refuses_where_torch_has_no_map_at_length(
    kinds: list[Layer], side: int
) -> None:
    """The same on many more chains."""
    check(kinds, side)


def check(kinds: list[Layer], side: int) -> None:
    """Whether there is a network, and its cost, by torch and in every algebra."""
    layers = [layer.evolve(name=f"x{i}") for i, layer in enumerate(kinds)]
    x = torch.empty(1, 3, side, side)
    shapes: list[tuple[int, ...]] = []
    with suppress(RuntimeError), FlopCounterMode(display=False) as counter:
        for layer in layers:
            x = naive(layer, x)
            if not x.numel():
                break
            shapes.append(tuple(x.shape))
    exists = len(shapes) == len(layers)
    whole = net(*layers)

    def in_numbers() -> Cost:
        return cost(resize(whole, resolution=side))

    def in_a_grid() -> float:
        return float(sweep(whole, [1.0], [side]).macs[0, 0])

    def in_code() -> Cost:
        return cost_function(whole)(1.0, side)

    def of_widths() -> Cost:
        function = width_function(whole)
        return function([1.0] * len(function.layers), side)

    if exists:
        assert [x.output for x in infer(resize(whole, resolution=side))][1:] == shapes
        assert in_numbers() == in_code() == of_widths()
        assert 2 * in_numbers().macs == counter.get_total_flops()
        assert in_numbers().macs == in_a_grid()
    else:
        for call in (in_numbers, in_a_grid, in_code, of_widths):
            refusal(call)


def test_output_padding_is_torchs() -> None:
    """Output padding must be smaller than the stride or the dilation, on each axis."""
    for stride, dilation, after in product((1, 2, 3), (1, 2, 3), (0, 1, 2, 3)):
        layer = ir.TransposedConv("up", 4, 3, (3, stride), 0, (0, after), (1, dilation))
        weight = torch.empty(3, 4, 3, 3)
        x = torch.empty(1, 3, 8, 8)
        fields = (layer.stride, layer.padding, layer.output_padding, 1, layer.dilation)
        try:
            made = functional.conv_transpose2d(x, weight, None, *fields)
        except RuntimeError:
            assert "output_padding" in refusal(lambda made=layer: infer(net(made)))
        else:
            assert infer(net(layer, side=8))[-1].output == made.shape
    assert "output_padding" in refusal(lambda: ir.TransposedConv("up", 4, 3, output_padding=-1))


@pytest.mark.parametrize("stride", [1, 2])
def test_a_symbol_that_is_certain_to_vanish_is_refused(stride: int) -> None:
    """8 − (K + 9 − 1) = −K is below 1 for every K; H − 6 may be anything."""
    assert "larger" in refusal(lambda: infer(net(Conv("c", 4, K + 9, stride), side=8)))
    assert infer(net(Conv("c", 4, 7), side=H))[-1].output[2:] == (H - 6, H - 6)


def test_channels_that_vanish_at_some_alpha_are_refused() -> None:
    """Half of 20 channels without 10 are none, in numbers, over a grid and in emitted code."""
    cut = net(Conv("a", 20, 1), ir.Pad("cut", ((-10, 0), (0, 0), (0, 0))), Conv("b", 8, 1))
    assert sweep(cut, [1], [4]).macs.tolist() == [[16 * (3 * 20 + 10 * 8)]]
    assert "alpha" in refusal(lambda: sweep(cut, [0.5, 1], [4]))
    refusal(lambda: cost_function(cut)(0.5, 4))
    refusal(lambda: width_function(cut)([[20, 8], [10, 8]], 4))
    assert width_function(cut)([[20, 8], [11, 8]], 4).macs[1] == 16 * (3 * 11 + 1 * 8)


def test_a_slice_is_one_answer_in_every_algebra() -> None:
    """Five rows of three are refused by a grid and emitted code too; the last five are all."""
    first = net(ir.Slice("s", ((0, None, 1), (0, None, 1), (0, 5, 1))), CONV)
    last = net(ir.Slice("s", ((0, None, 1), (0, None, 1), (-5, None, 1))), CONV)
    for call in (
        lambda: cost(resize(first, resolution=3)),
        lambda: sweep(first, [1], [3, 8]),
        lambda: cost_function(first)(1, 3),
    ):
        refusal(call)
    assert cost(resize(last, resolution=3)).macs == 3 * 8 * 3 * 3
    assert cost_function(last)(1, 8).macs == 3 * 8 * 5 * 8


def test_an_empty_tensor_of_a_traced_model_is_none_that_vanished() -> None:
    """A part of no channels that is concatenated, and what is done to it alone, stay."""
    layers = (ir.Constant("none", (1, 0, 16, 16)), Activation("relu"))
    joined = Concat("both", inputs=("relu", "image"))
    assert infer(net(*layers, joined))[-1].output == (1, 3, 16, 16)
    assert "-2" in refusal(lambda: infer(net(*layers, ir.Pad("p", ((-9, -9), (0, 0))))))


@pytest.mark.parametrize(
    ("network", "checks"), [(mobilenet_v1(), 0), (net(Conv("a", 4, 3), Conv("b", 4, 2, 2)), 2)]
)
def test_emitted_code_checks_nothing_that_cannot_vanish(network: Network, checks: int) -> None:
    """Padded windows are at least 1 where D is: no line, and no time, for them."""
    tape = emitted.Tape()
    tape.know("D", 1)
    lower(resize(network, resolution=emitted.Traced(tape, "D")))
    assert sum("Refusal" in line for line in tape.lines) == checks
