"""The random convolutions, networks and multipliers of every property test."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import settings, strategies as st

from costmodel import Cost, Layer, Network, cost_function
from costmodel.layers import (
    SAME,
    Activation,
    AdaptivePool,
    Add,
    BatchNorm,
    Concat,
    Conv,
    Fixed,
    Flatten,
    Input,
    Linear,
    Pool,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    Draw = Callable[[st.SearchStrategy[int]], int]
    Axis = tuple[int, int, int, int, int]


@dataclass(frozen=True)
class Case:
    """A convolution as torch takes it: an image's shape, a weight's shape and settings."""

    image: tuple[int, ...]
    weight: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int

    @property
    def network(self) -> Network:
        """The same convolution as a network of one layer."""
        kernel, outputs = self.weight[2:], self.weight[0]
        settings = (kernel, self.stride, self.padding, self.dilation, self.groups)
        return Network("one", (Input("image", self.image), Conv("conv", outputs, *settings)))


@dataclass(frozen=True)
class PoolCase:
    """A pooling layer: an image's shape and torch's settings."""

    image: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    kind: str
    ceil_mode: bool

    @property
    def network(self) -> Network:
        """The same pooling as a network of one layer."""
        settings = (self.kind, self.kernel, self.stride, self.padding, self.ceil_mode)
        return Network("one", (Input("image", self.image), Pool("pool", *settings)))


def _axis(numbers: tuple[int, ...]) -> Axis:
    """Size, kernel, stride, padding and dilation of an axis on which the window fits."""
    kernel, stride, padding, dilation, slack = numbers
    size = max(1, dilation * (kernel - 1) + 1 - 2 * padding) + slack
    return size, kernel, stride, padding, dilation


#: One integer per hyper-parameter, all of them drawn at once, since speed is examples here.
_AXIS = st.tuples(*(st.integers(*bounds) for bounds in ((1, 3), (1, 3), (0, 2), (1, 2), (0, 3))))
_CHANNELS = st.tuples(*(st.integers(1, most) for most in (2, 3, 2, 2)))


@st.composite
def convolutions(draw: Callable[..., tuple[int, ...]], rank: int = 2) -> Case:
    """A small convolution over `rank` axes, each with settings of its own."""
    batch, groups, inputs, outputs = draw(_CHANNELS)
    size, kernel, stride, padding, dilation = zip(
        *(_axis(draw(_AXIS)) for _ in range(rank)), strict=True
    )
    image = (batch, groups * inputs, *size)
    weight = (groups * outputs, inputs, *kernel)
    return Case(image, weight, stride, padding, dilation, groups)


@st.composite
def pools(draw: Callable[..., Any], rank: int = 2) -> PoolCase:
    """A pooling layer over `rank` axes, in ceil_mode or not."""
    axes, ceil_mode = [], draw(st.booleans())
    for _ in range(rank):
        kernel, stride = draw(st.integers(1, 4)), draw(st.integers(1, 4))
        padding = draw(st.integers(0, kernel // 2))
        fits = kernel if rank == 3 else kernel - 2 * padding  # torch's avg_pool3d wants the former
        # A window in ceil_mode may be larger than its map, by less than a stride.
        least = fits - stride + 1 if ceil_mode and rank < 3 else fits
        size = max(1, least) + draw(st.integers(0, 6))
        axes.append((size, kernel, stride, padding))
    size, kernel, stride, padding = zip(*axes, strict=True)
    kind = draw(st.sampled_from(["average", "max"]))
    return PoolCase((1, 2, *size), kernel, stride, padding, kind, ceil_mode)


#: α in (0, 4] and ρ in (0, 2], as exact ratios.
alphas = st.fractions(Fraction(1, 40), 4, max_denominator=100)
rhos = st.fractions(Fraction(1, 10), 2, max_denominator=100)
roundings = st.sampled_from(["floor", "divisible(8)", "divisible(3)"])

_WIDTHS = st.integers(1, 24)
_KERNELS = st.sampled_from([1, 3, (3, 1), (1, 3), 5])


def _same_padding(kernel: int | tuple[int, int]) -> int | tuple[int, ...]:
    return tuple(k // 2 for k in kernel) if isinstance(kernel, tuple) else kernel // 2


def examples(most: int) -> int:
    """As many in the whole suite, and a quarter of them in the quick tests, as everywhere."""
    return most * settings().max_examples // 100


def mostly_slow(names: Iterable[str], *quick: str) -> list[Any]:
    """Parameters of which all but a few are left to the slow tests."""
    return [name if name in quick else pytest.param(name, marks=pytest.mark.slow) for name in names]


class _Builder:
    """Grows a network block by block; every block fits whatever came before it."""

    def __init__(self, draw: Draw) -> None:
        self.draw = draw
        self.numbers: Iterator[int] = count(1)
        self.layers: list[Layer] = []

    def conv(self, width: object, source: str = "", **settings: object) -> str:
        """A convolution that keeps the size, but for its stride, and perhaps followers."""
        kernel = settings.setdefault("kernel", self.draw(_KERNELS))
        name = f"conv{next(self.numbers)}"
        inputs = (source,) if source else ()
        padding = _same_padding(kernel)
        self.layers.append(Conv(name, width, padding=padding, inputs=inputs, **settings))
        followers = self.draw(st.sampled_from([(), (BatchNorm,), (BatchNorm, Activation)]))
        self.layers += [kind(f"{name}.{kind.__name__.lower()}") for kind in followers]
        return self.layers[-1].name

    def plain(self) -> None:
        """A standard convolution, now and then with a stride or a bias."""
        settings = {"stride": self.draw(st.integers(1, 2)), "bias": self.draw(st.booleans())}
        self.conv(self.draw(_WIDTHS), **settings)

    def grouped(self) -> None:
        """A grouped convolution behind one with channels to divide."""
        groups = self.draw(st.integers(2, 4))
        self.conv(groups * self.draw(st.integers(1, 6)))
        self.conv(groups * self.draw(st.integers(1, 6)), groups=groups)

    def residual(self) -> None:
        """A convolution and a second one of its width around which the first is added."""
        width = self.draw(_WIDTHS)
        first = self.conv(width)
        self.add(Add, first, self.conv(width))

    def branches(self) -> None:
        """Two convolutions of one source, side by side."""
        source = self.layers[-1].name
        self.add(Concat, *(self.conv(self.draw(_WIDTHS), source) for _ in range(2)))

    def shared(self) -> None:
        """Two convolutions with the same weights."""
        width = self.draw(_WIDTHS)
        self.conv(width)
        owner = next(self.numbers)
        self.layers.append(Conv(f"conv{owner}", width, 3, padding=1))
        self.layers.append(Conv(f"again{owner}", width, 3, padding=1, shares=f"conv{owner}"))

    def pool(self) -> None:
        """A pooling layer that fits any size from 1 on."""
        kind, ceil = self.draw(st.sampled_from(["average", "max"])), self.draw(st.booleans())
        self.layers.append(Pool(f"pool{next(self.numbers)}", kind, 3, 2, 1, ceil))

    def depthwise(self) -> None:
        """A depthwise convolution alone."""
        self.conv(SAME, groups=SAME, kernel=3)

    def separable(self) -> None:
        """A depthwise and a pointwise convolution, named and followed as the zoo's."""
        block, width = f"block{next(self.numbers)}", self.draw(_WIDTHS)
        stride = self.draw(st.integers(1, 2))
        followers = self.draw(st.sampled_from([(), ("norm",), ("norm", "act")]))
        kinds = {"norm": BatchNorm, "act": Activation}
        for conv in (
            Conv(f"{block}.dw", SAME, 3, stride, 1, groups=SAME),
            Conv(f"{block}.pw", width, 1),
        ):
            self.layers += [conv, *(kinds[end](f"{conv.name}.{end}") for end in followers)]

    def add(self, merge: type[Layer], *inputs: str) -> None:
        """A layer that merges others."""
        self.layers.append(merge(f"merge{next(self.numbers)}", inputs=inputs))


BLOCKS = ("plain", "grouped", "residual", "branches", "shared", "pool", "depthwise", "separable")
#: Those without a depthwise convolution, and those whose only ones are in separable pairs.
WITHOUT_PAIRS = BLOCKS[:-2]
WITH_PAIRS = ("separable", "residual", "branches", "pool")


@st.composite
def networks(draw: Draw, blocks: tuple[str, ...] = BLOCKS, least: int = 1) -> Network:
    """A small valid network with branches, groups, concatenations, additions and pools."""
    builder = _Builder(draw)
    sides = draw(st.tuples(st.integers(8, 40), st.integers(8, 40)))
    builder.layers.append(
        Input("image", (draw(st.integers(1, 2)), draw(st.integers(1, 4)), *sides))
    )
    for block in draw(st.lists(st.sampled_from(blocks), min_size=least, max_size=4)):
        getattr(builder, block)()
    if draw(st.booleans()):
        head = AdaptivePool("pool"), Flatten("flatten"), Linear("classifier", Fixed(10))
        builder.layers += head
    return Network("random", tuple(builder.layers))


def width_function(network: Network, rounding: str | None = None) -> Callable[..., Cost]:
    """f(widths, D) of integers as counts, and of other numbers as multipliers."""
    function = cost_function(network, over="widths", rounding=rounding)

    def call(widths: Any, resolution: Any) -> Cost:
        values = np.asarray(widths) if hasattr(widths, "dtype") else np.array(widths, dtype=object)
        whole = all(isinstance(x, (int, np.integer)) for x in values.ravel()[:1])
        key = "counts" if whole else "multipliers"
        return function(**{key: widths}, resolution=resolution)

    call.layers, call.columns = function.layers, function.columns  # type: ignore[attr-defined]
    return call
