"""The formula against a convolution done tap by tap, and against torch."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from math import prod
from random import Random
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, Phase, find, given, settings
from strategies import Case, PoolCase, convolutions, examples, pools
from torch.nn import functional

from costmodel import CostModelError, lower
from costmodel.layers import Conv, convolution, pooling
from costmodel.reference.naive import Convolved, convolve

if TYPE_CHECKING:
    from collections.abc import Callable

torch.set_num_threads(1)  # the tensors are tiny: threads only wait for one another
QUICK = settings(derandomize=True, deadline=None, database=None)


def naive(case: Case) -> Convolved:
    """The convolution done by hand on numbers that are all different."""
    image = np.arange(prod(case.image), dtype=np.float64).reshape(case.image)
    weight = np.arange(prod(case.weight), dtype=np.float64).reshape(case.weight) + 1
    return convolve(
        image,
        weight,
        stride=case.stride,
        padding=case.padding,
        dilation=case.dilation,
        groups=case.groups,
    )


def by_hand(case: Case) -> tuple[int, tuple[int, ...], int]:
    """MACs, output shape and parameters of the naive loop."""
    done = naive(case)
    return done.macs, done.output.shape, prod(case.weight)


def by_formula(case: Case) -> tuple[int, tuple[int, ...], int]:
    """MACs, output shape and parameters of the lowered network."""
    conv = lower(case.network)[-1]
    (nest,), (weight,) = conv.nests, conv.parameters
    assert weight.count == nest.weights
    return nest.macs, conv.output, weight.count


def features(case: Case) -> set[str]:
    """What makes a case harder than a 1×1 convolution."""
    height, width = case.image[2:]
    rows, columns = case.weight[2:]
    held = {
        "stride": max(case.stride) > 1,
        "padding": max(case.padding) > 0,
        "dilation": any(
            d > 1 and k > 1 for d, k in zip(case.dilation, (rows, columns), strict=True)
        ),
        "groups": case.groups > 1,
        "H != W": height != width,
        "K_h != K_w": rows != columns,
    }
    return {name for name, holds in held.items() if holds}


@pytest.mark.parametrize("examples", [500, pytest.param(4000, marks=pytest.mark.slow)])
def test_formula_equals_naive_loops(examples: int) -> None:
    """Thousands of random convolutions cost what the loops count; each feature is common."""
    tally: Counter[str] = Counter()

    @settings(QUICK, max_examples=examples, suppress_health_check=[HealthCheck.too_slow])
    @given(convolutions())
    def compare(case: Case) -> None:
        tally.update(features(case) | {"all"})
        assert by_formula(case) == by_hand(case)

    compare()
    assert tally["all"] >= 0.6 * examples
    for feature in ("stride", "padding", "dilation", "groups", "H != W", "K_h != K_w"):
        assert 10 * tally[feature] >= tally["all"], feature


#: Convolutions with one hyper-parameter misread, by the name of the mistake.
MISTAKES: dict[str, Callable[[Conv], dict[str, object]]] = {
    "stride is ignored": lambda _: {"stride": 1},
    "stride is the first axis's": lambda conv: {"stride": first(conv.stride)},
    "padding is forgotten": lambda _: {"padding": 0},
    "padding is on one side only": lambda conv: {"padding": half(conv.padding)},
    "dilation is ignored": lambda _: {"dilation": 1},
    "groups are ignored": lambda _: {"groups": 1},
    "the kernel is square": lambda conv: {"kernel": first(conv.kernel)},
    "the kernel is transposed": lambda conv: {"kernel": swapped(conv.kernel)},
}


def first(value: int | tuple[int, ...]) -> int:
    """The first axis's value."""
    return value[0] if isinstance(value, tuple) else value


def half(value: int | tuple[int, ...]) -> int | tuple[int, ...]:
    """Half of each axis's value."""
    return tuple(v // 2 for v in value) if isinstance(value, tuple) else value // 2


def swapped(value: int | tuple[int, ...]) -> int | tuple[int, ...]:
    """The axes' values the other way round."""
    return value[::-1] if isinstance(value, tuple) else value


def differs(case: Case) -> bool:
    """Whether the formula gives a number, and not the naive loop's."""
    try:
        return by_formula(case) != by_hand(case)
    except CostModelError:
        return False


def counterexample() -> Case:
    """A convolution whose formula is wrong; NoSuchExample where there is none."""
    search = settings(QUICK, max_examples=500, phases=[Phase.generate])
    return find(convolutions(), differs, settings=search, random=Random(0))  # noqa: S311


@pytest.mark.parametrize("mistake", MISTAKES)
def test_naive_loops_notice_that(mistake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule that misreads one hyper-parameter disagrees with the naive loops."""
    for method in ("output_shape", "lowered"):
        rule = getattr(Conv, method)
        monkeypatch.setattr(
            Conv,
            method,
            lambda layer, *shapes, rule=rule: rule(
                layer.evolve(**MISTAKES[mistake](layer)), *shapes
            ),
        )
    assert differs(counterexample())


def test_naive_loops_notice_that_sizes_round_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """An output size that loses its ceiling disagrees with the naive loops."""
    monkeypatch.setattr(convolution, "ceil_div", lambda size, stride: max(1, size // stride))
    assert differs(counterexample())


@settings(QUICK, max_examples=examples(200))
@given(convolutions())
def test_naive_loops_really_convolve(case: Case) -> None:
    """The naive output is torch's conv2d, so what is counted is a convolution."""
    image = torch.arange(prod(case.image), dtype=torch.float64).reshape(case.image)
    weight = torch.arange(prod(case.weight), dtype=torch.float64).reshape(case.weight) + 1
    expected = functional.conv2d(
        image, weight, None, case.stride, case.padding, case.dilation, case.groups
    )
    np.testing.assert_allclose(naive(case).output, expected.numpy(), rtol=1e-12)


@settings(QUICK, max_examples=examples(200))
@given(convolutions())
def test_taps_are_real_or_padding(case: Case) -> None:
    """Real taps are those an image of ones shows, the others are padding: none where p = 0."""
    done = naive(case)
    ones = functional.conv2d(
        torch.ones(case.image, dtype=torch.float64),
        torch.ones(case.weight, dtype=torch.float64),
        None,
        case.stride,
        case.padding,
        case.dilation,
        case.groups,
    )
    assert done.real_taps == int(ones.sum())
    assert done.real_taps + done.padding_taps == by_formula(case)[0]
    assert any(case.padding) or done.padding_taps == 0


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_convolutions_of_any_rank_equal_torch(rank: int) -> None:
    """Sizes, MACs and parameters in 1-D, 2-D and 3-D are those of torch's tensors."""
    convolve = (functional.conv1d, functional.conv2d, functional.conv3d)[rank - 1]

    @settings(QUICK, max_examples=examples(150))
    @given(convolutions(rank))
    def compare(case: Case) -> None:
        weight = torch.zeros(case.weight)
        image = torch.zeros(case.image)
        output = convolve(
            image, weight, None, case.stride, case.padding, case.dilation, case.groups
        )
        macs = output.numel() * weight[0].numel()  # each output sums one filter's products
        assert by_formula(case) == (macs, tuple(output.shape), weight.numel())

    compare()


def torch_pool(case: PoolCase) -> tuple[int, ...]:
    """The shape of torch's own pooling."""
    name = {"average": "avg", "max": "max"}[case.kind]
    pool = getattr(functional, f"{name}_pool{len(case.kernel)}d")
    window = (case.kernel, case.stride, case.padding)
    return tuple(pool(torch.zeros(case.image), *window, ceil_mode=case.ceil_mode).shape)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_pooling_sizes_equal_torch(rank: int) -> None:
    """Average and max pooling, in ceil_mode or not, have torch's sizes and no MACs."""

    @settings(QUICK, max_examples=examples(200))
    @given(pools(rank))
    def compare(case: PoolCase) -> None:
        pooled = lower(case.network)[-1]
        assert pooled.output == torch_pool(case)
        assert pooled.nests == ()

    compare()


def pooled(case: PoolCase) -> tuple[int, ...] | None:
    """Our output's shape; None where nothing is left."""
    with suppress(CostModelError):
        return lower(case.network)[-1].output
    return None


@pytest.mark.parametrize(
    ("name", "mutant"),
    [
        ("ceil_mode forgets the window", lambda span, _, stride: -(-span // stride)),
        ("a last window starts in padding", lambda span, _, stride: -(-span // stride) + 1),
        ("ceil_mode rounds down", lambda span, _, stride: span // stride + 1),
    ],
)
def test_torch_notices_that(
    name: str, mutant: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ceil_mode that loses one of its terms disagrees with torch's sizes."""
    monkeypatch.setattr(pooling, "ceil_mode_size", mutant)
    search = settings(QUICK, max_examples=500, phases=[Phase.generate])
    case = find(
        pools(),
        lambda case: pooled(case) != torch_pool(case),
        settings=search,
        random=Random(0),  # noqa: S311
    )
    assert case.ceil_mode, name
