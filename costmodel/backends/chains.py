"""Chains: random networks of the usual blocks, whose layers a device is timed on.

A layer in a hot loop of its own finds its weights and its maps in the cache; in a network it does
not. So layers are timed where they stand, in chains of the blocks that convolutional networks are
made of, of widths and sizes as theirs. A chain is mostly of one block, as they are: the code of
what occurs again and again is in the cache. None of them is a network that anybody uses: what a
device is judged by, its constants have not seen.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, NamedTuple

from costmodel.core.network import Network
from costmodel.core.relations import Fixed
from costmodel.layers import (
    Activation,
    AdaptivePool,
    Add,
    Affine,
    BatchNorm,
    Combine,
    Concat,
    Conv,
    Einsum,
    Flatten,
    Input,
    Linear,
    Pad,
    Permute,
    Pool,
    Reduce,
    Resample,
    Reshape,
    Split,
    TransposedConv,
    WithNumbers,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from costmodel.core.layer import Layer

#: The input's side: usual ones, and odd ones, whose rows do not fill a vector.
SIDES = (56, 64, 75, 96, 112, 128, 151, 160, 192, 199, 224, 224, 224, 256)
#: Channels at a side of 112: they double where the side is halved, more or less.
WIDTHS = (8, 16, 16, 24, 32, 32, 40, 48, 64, 64)
#: From so many channels on they are a multiple: what fills vectors, as in most networks.
ROUND = ((128, 32), (64, 16), (16, 8), (0, 4))
#: Channels times side of a map between 3×3 convolutions, and of a wide map, at most: as in ResNets.
_NARROW, _WIDE = 64 * 112, 4 * 64 * 112
_MOST_CHANNELS = 2048
#: Where a chain has so many layers, it ends.
_MOST_LAYERS = 120
_LAST_SIDE = 7
#: Weights of a classifier at most: 128 MB of float32, more than a cache holds.
_MOST_WEIGHTS = 2**25


class Function(NamedTuple):
    """An activation as layers one after another; `gated` has the input multiplied by what is made.

    `after` comes after that product.
    """

    steps: tuple[tuple[Callable[..., Layer], Any], ...]
    gated: bool = False
    after: tuple[tuple[Callable[..., Layer], Any], ...] = ()


def _plain(name: str) -> Function:
    return Function(((Activation, (name,)),))


def _numbers(name: str, *numbers: float) -> tuple[Callable[..., Layer], Any]:
    return WithNumbers, (name, numbers)


#: Chains take them in turn: relu is in most networks, and those written out have several layers.
ACTIVATIONS = (
    _plain("relu"),
    _plain("hardswish"),
    Function(((Activation, ("sigmoid",)),), gated=True),  # swish, written out
    _plain("relu6"),
    _plain("relu"),
    Function(
        (_numbers("add", 3), _numbers("hardtanh", 0, 6)), gated=True, after=(_numbers("div", 6),)
    ),
    _plain("gelu"),
    _plain("relu"),
    _plain("silu"),
    Function((_numbers("leaky_relu", 0.1),)),
    _plain("relu"),
    Function(((Affine, ("prelu", (1,))),)),
)


class Chain:
    """A chain that is being made: its layers so far, and the channels and the side of its map."""

    def __init__(self, seed: int, batch: int) -> None:
        """Begin with an image."""
        self.random = random.Random(seed)  # noqa: S311 - the same chain for the same seed
        self.side = self.random.choice(SIDES)
        self.channels = 3
        self.width = self.random.choice(WIDTHS)
        self.activation = ACTIVATIONS[seed % len(ACTIVATIONS)]
        self.layers: list[Layer] = [Input("image", (batch, 3, self.side, self.side))]

    @property
    def last(self) -> str:
        """The name of the layer that was added last."""
        return self.layers[-1].name

    def add(self, kind: Callable[..., Layer], *settings: Any, reads: Any = (), **named: Any) -> str:
        """A layer that reads the last one, or those that are named; its name."""
        reads = (reads,) if isinstance(reads, str) else reads
        name = f"{kind.__name__.lower()}{len(self.layers)}"
        self.layers.append(kind(name, *settings, inputs=reads or (self.last,), **named))
        return name

    def draw(self, *choices: Any) -> Any:
        """One of some, at random."""
        return self.random.choice(choices)

    def sometimes(self, share: float) -> bool:
        """In a share of all cases."""
        return self.random.random() < share

    def repeat(self, block: Callable[[Chain], None], times: int) -> None:
        """The same block again and again, as in a stage: its code is then in the cache."""
        drawn = self.random.getstate()
        for _ in range(times):
            if len(self.layers) < _MOST_LAYERS:
                self.random.setstate(drawn)
                block(self)

    def capped(self, channels: float, most: int = _NARROW) -> int:
        """So many channels, or what a map of this side has at most, as round as usual."""
        capped = max(8, min(int(channels), most // max(1, self.side), _MOST_CHANNELS))
        unit = next(unit for least, unit in ROUND if capped >= least)
        return max(8, capped // unit * unit)

    def activate(self, function: Function | None = None) -> str:
        """The chain's activation, or another."""
        steps, gated, after = function or self.activation
        source = self.last
        for kind, settings in steps:
            self.add(kind, *settings)
        if gated:
            self.add(Combine, "mul", reads=(source, self.last))
        for kind, settings in after:
            self.add(kind, *settings)
        return self.last

    def conv(  # noqa: PLR0913 - a convolution has so many settings
        self,
        channels: int,
        kernel: int | tuple[int, int] = 1,
        stride: int = 1,
        groups: int = 1,
        *,
        norm: bool = True,
        act: bool = True,
        reads: Any = (),
    ) -> str:
        """A convolution that keeps the side over its stride, with batch norm or else a bias."""
        sides = kernel if isinstance(kernel, tuple) else (kernel, kernel)
        padding = tuple((side - 1) // 2 for side in sides)
        settings = channels, kernel, stride, padding
        self.add(Conv, *settings, groups=groups, bias=not norm, reads=reads)
        if norm:
            self.add(BatchNorm)
        return self.activate() if act else self.last

    def depthwise(self, channels: int, kernel: int, stride: int = 1, *, act: bool = True) -> str:
        """A depthwise convolution."""
        return self.conv(channels, kernel, stride, channels, act=act)


def _excite(chain: Chain, channels: int) -> None:
    """Squeeze-excite: a map's mean, two layers, and the map times what they make."""
    source = chain.last
    if chain.sometimes(0.7):
        chain.add(AdaptivePool)
    else:
        chain.add(Reduce, (2, 3), keepdim=True)
    chain.conv(max(4, channels // chain.draw(4, 16)), norm=False, act=False)
    chain.activate(ACTIVATIONS[0])
    chain.conv(channels, norm=False, act=False)
    chain.add(Activation, chain.draw("sigmoid", "sigmoid", "hardsigmoid"))
    chain.add(Combine, "mul", reads=(source, chain.last))


def _sum(chain: Chain, source: str, *, act: bool) -> None:
    chain.add(Add, reads=(chain.last, source))
    if act:
        chain.activate()


def _plain_block(chain: Chain) -> None:
    """One convolution, as in VGG; some are of a row or a column, as in Inception."""
    channels = chain.capped(chain.channels * chain.draw(0.5, 1, 1, 1.5, 2))
    kernel = chain.draw(3, 3, 3, 3, 5, (1, 3), (3, 1), (1, 7))
    chain.conv(channels, kernel, norm=chain.sometimes(0.8))
    chain.channels = channels


def _basic(chain: Chain) -> None:
    """Two convolutions and a sum (ResNet-18)."""
    source, channels = chain.last, chain.channels
    if channels > chain.capped(channels):
        _bottleneck(chain)
        return
    chain.conv(channels, 3)
    chain.conv(channels, 3, act=False)
    if chain.sometimes(0.2):
        _excite(chain, channels)
    _sum(chain, source, act=True)


def _bottleneck(chain: Chain) -> None:
    """1×1, 3×3, 1×1 and a sum, its 3×3 in groups or not (ResNet-50, ResNeXt, RegNet)."""
    wide = chain.channels
    groups = chain.draw(1, 1, 1, 2, 8, 16, 32)
    channels = max(groups, chain.capped(wide // chain.draw(1, 2, 4, 4)) // groups * groups)
    source = chain.last
    chain.conv(channels)
    chain.conv(channels, 3, groups=groups)
    chain.conv(wide, act=False)
    if chain.sometimes(0.25):
        _excite(chain, wide)
    _sum(chain, source, act=True)


def _inverted(chain: Chain) -> None:
    """Wide, depthwise, narrow and a sum (MobileNetV2 and V3, EfficientNet)."""
    source = chain.last
    channels = chain.capped(chain.channels * chain.draw(3, 4, 6, 6), _WIDE)
    chain.conv(channels)
    chain.depthwise(channels, chain.draw(3, 3, 5, 5, 7))
    if chain.sometimes(0.3):
        _excite(chain, channels)
    chain.conv(chain.channels, act=False)
    _sum(chain, source, act=False)


def _separable(chain: Chain) -> None:
    """Depthwise and pointwise (MobileNet, Xception)."""
    channels = chain.capped(chain.channels * chain.draw(0.5, 1, 1, 2), _WIDE)
    chain.depthwise(chain.channels, chain.draw(3, 3, 3, 5), act=chain.sometimes(0.5))
    chain.conv(channels)
    chain.channels = channels


def _fire(chain: Chain) -> None:
    """A squeeze, and 1×1 beside 3×3 (SqueezeNet)."""
    squeezed = chain.conv(max(8, chain.channels // 32 * 8), norm=False)
    half = chain.capped(chain.channels / 2)
    parts = (chain.conv(half, kernel, norm=False, reads=squeezed) for kernel in (1, 3))
    chain.add(Concat, reads=tuple(parts))
    chain.channels = 2 * half


def _dense(chain: Chain) -> None:
    """A few more channels beside all that there are (DenseNet)."""
    source, growth = chain.last, chain.draw(16, 24, 32, 48)
    chain.add(BatchNorm)
    chain.activate()
    chain.conv(4 * growth)
    grown = chain.conv(growth, 3, norm=False, act=False)
    chain.add(Concat, reads=(source, grown))
    chain.channels += growth


def _mixed(chain: Chain, groups: int) -> None:
    """Channels of each group beside those of the others (ShuffleNet)."""
    one = (1, (-1,))
    chain.add(Reshape, (one, (1, (groups, -1)), one, one), "view")
    chain.add(Permute, (0, 2, 1, 3, 4))
    chain.add(Activation, "contiguous")
    chain.add(Reshape, (one, (2, (-1,)), one, one), "view")


def _shuffled(chain: Chain) -> None:
    """Grouped 1×1, a shuffle, depthwise, grouped 1×1 and a sum (ShuffleNet)."""
    source, groups = chain.last, chain.draw(2, 3, 4, 8)
    inner = max(1, chain.channels // (4 * groups)) * groups
    outer = groups if chain.channels % groups == 0 else 1
    chain.conv(inner, groups=outer)
    _mixed(chain, groups)
    chain.depthwise(inner, 3, act=False)
    chain.conv(chain.channels, groups=outer, act=False)
    _sum(chain, source, act=True)


def _split(chain: Chain) -> None:
    """Half of the channels as they are, half through three layers, shuffled (ShuffleNetV2)."""
    if chain.channels % 2:
        _separable(chain)
        return
    half, source = chain.channels // 2, chain.last
    kept, other = (chain.add(Split, 2, 1, "chunk", part, reads=source) for part in (0, 1))
    chain.conv(half, reads=other)
    chain.depthwise(half, 3, act=False)
    chain.add(Concat, reads=(kept, chain.conv(half)))
    _mixed(chain, 2)


def _mlp(chain: Chain, channels: int) -> None:
    """Two layers on the features of each token, four times as many between them."""
    chain.add(Linear, Fixed(min(4 * channels, _MOST_CHANNELS)))
    chain.add(Activation, "gelu")
    chain.add(Linear, Fixed(channels))


def _tokens(chain: Chain) -> None:
    """7×7 depthwise, and layers on the channels of each position (ConvNeXt)."""
    source, channels = chain.last, chain.channels
    chain.conv(channels, 7, groups=channels, norm=False, act=False)
    chain.add(Permute, (0, 2, 3, 1))
    chain.add(Affine, "layer_norm", (-1,), 2)
    _mlp(chain, channels)
    chain.add(Permute, (0, 3, 1, 2))
    chain.add(Activation, "contiguous")  # or all that follows would have its channels last
    _sum(chain, source, act=False)


#: Positions a side that attend to each other, at most.
_MOST_TOKENS = 32


def _attention(chain: Chain) -> None:
    """Attention between the positions, written out; where there are too many, a convolution."""
    channels, source, one = chain.channels, chain.last, (1, (-1,))
    if chain.side > _MOST_TOKENS or channels % 8:
        chain.conv(channels, 3)
        return
    features = next(size for size in (64, 32, 24, 16, 8) if channels % size == 0)
    heads = channels // features
    chain.add(Reshape, (one, one, (2, (-1,))), "flatten")
    tokens = chain.add(Permute, (0, 2, 1))
    normed = chain.add(Affine, "layer_norm", (-1,), 2)
    apart = (one, one, (1, (heads, -1)))

    def projected() -> str:
        chain.add(Linear, Fixed(channels), reads=normed)
        chain.add(Reshape, apart, "view")
        return chain.add(Permute, (0, 2, 1, 3))

    query, key, value = projected(), projected(), projected()
    chain.add(Einsum, "nhqd,nhkd->nhqk", reads=(query, key))
    chain.add(WithNumbers, "softmax", (-1,))
    chain.add(Einsum, "nhqk,nhkd->nhqd", reads=(chain.last, value))
    chain.add(Permute, (0, 2, 1, 3))
    chain.add(Activation, "contiguous")
    chain.add(Reshape, (one, one, (2, (-1,))), "view")
    chain.add(Add, reads=(chain.add(Linear, Fixed(channels)), tokens))
    chain.add(Permute, (0, 2, 1))
    chain.add(Activation, "contiguous")
    map_sides = (1, ((1, 2), (1, 3)))
    chain.add(Reshape, (one, one, map_sides), "view", reads=(chain.last, source))


def _normalised(chain: Chain) -> None:
    """A local response normalisation, and a convolution in two groups (AlexNet)."""
    channels = chain.capped(chain.channels) // 2 * 2
    chain.conv(channels, 3, norm=False)
    chain.add(Activation, "local_response_norm")
    chain.conv(channels, chain.draw(3, 5), groups=2, norm=False)
    chain.channels = channels


#: What a chain is made of between its halvings. Chains take them in turn, those listed twice twice
#: as often; there are 19, so that each meets every activation.
BLOCKS: tuple[Callable[[Chain], None], ...] = (
    *(_plain_block, _plain_block, _basic, _basic, _bottleneck, _bottleneck, _bottleneck),
    *(_inverted, _inverted, _inverted, _separable, _separable, _fire, _fire, _dense, _dense),
    *(_shuffled, _split, _tokens, _attention, _attention),
)


def _strided(chain: Chain, channels: int) -> int:
    """A convolution of stride 2, its padding apart or not."""
    if chain.sometimes(0.6):
        chain.add(Pad, ((0, 1), (0, 1)))
        chain.add(Conv, channels, 3, 2)
        chain.add(BatchNorm)
        chain.activate()
        return channels
    chain.conv(channels, 3, 2)
    return channels


def _residual(chain: Chain, channels: int) -> int:
    """A bottleneck of stride 2, with a 1×1 of stride 2 beside it."""
    source, inner = chain.last, chain.capped(channels / chain.draw(1, 2, 4))
    chain.conv(inner)
    chain.conv(inner, 3, 2)
    body = chain.conv(channels, act=False)
    chain.conv(channels, 1, 2, act=False, reads=source)
    _sum(chain, body, act=True)
    return channels


def _depthwise_down(chain: Chain, channels: int) -> int:
    """A depthwise convolution of stride 2 on a wide map, and a pointwise one."""
    wide = chain.capped(chain.channels * chain.draw(1, 4, 6), _WIDE)
    chain.conv(wide)
    chain.depthwise(wide, chain.draw(3, 3, 5), 2)
    chain.conv(channels, act=False)
    return channels


def _max_pool(chain: Chain, _channels: int) -> int:
    """3×3 or 2×2 of stride 2, behind a ReLU: zeros side by side are compared faster."""
    chain.activate(ACTIVATIONS[0])
    kernel, padding = chain.draw((3, 1), (3, 1), (2, 0))
    chain.add(Pool, "max", kernel, 2, padding)
    return chain.channels


def _average_pool(chain: Chain, _channels: int) -> int:
    """The same."""
    kernel, padding = chain.draw((2, 0), (3, 1))
    chain.add(Pool, "average", kernel, 2, padding)
    return chain.channels


#: What halves a map's side: each takes the channels that it should have then, and says what it has.
HALVINGS: tuple[Callable[[Chain, int], int], ...] = (
    *(_strided, _strided, _residual, _residual, _residual, _depthwise_down, _depthwise_down),
    *(_max_pool, _max_pool, _average_pool),
)


def _pooled(chain: Chain) -> None:
    """A pool of stride 1 and a 1×1 beside the map (Inception)."""
    source, channels = chain.last, chain.channels
    chain.add(Pool, chain.draw("max", "average"), 3, 1, 1)
    pooled = chain.conv(max(8, channels // 4))
    chain.add(Concat, reads=(source, pooled))
    chain.channels += max(8, channels // 4)


def _doubled(chain: Chain) -> None:
    """A map twice as large, by interpolation or a transposed convolution, and back again."""
    channels = max(8, chain.channels // 4)
    chain.conv(channels)
    if chain.sometimes(0.5):
        chain.add(Resample, 2)
    else:
        chain.add(TransposedConv, channels, 2, 2)
    chain.conv(channels, 3)
    chain.conv(chain.channels, 3, 2)


#: What stands in a chain now and then, by the share of its halvings before which it does.
_SOMETIMES = ((0.2, _pooled), (0.2, _doubled), (0.08, _normalised), (0.15, _attention))


def _stem(chain: Chain) -> None:
    """A convolution of the image, and a max pool behind most that are large."""
    stride = 2 if chain.side > SIDES[0] else 1
    channels = chain.capped(chain.width)
    kernel = chain.draw(3, 3, 3, 5, 7, 7)
    chain.conv(channels, kernel, stride)
    chain.channels, chain.side = channels, -(-chain.side // stride)
    if chain.side >= 96 and chain.sometimes(0.6):  # noqa: PLR2004 - as ResNet, DenseNet and others
        chain.add(Pool, "max", 3, 2, 1)
        chain.side = -(-chain.side // 2)


def _head(chain: Chain) -> None:
    """The classifier: of the map's mean, or of 7×7 positions with weights larger than a cache."""
    side = chain.draw(*(1,) * 7, _LAST_SIDE)
    classes = chain.draw(1000, 1000, 1000, 2048, 4096)
    features = chain.channels * side * side
    chain.add(AdaptivePool, "average", side)
    chain.add(Flatten)
    if features * classes > _MOST_WEIGHTS:
        classes = 1000 if features * 1000 <= _MOST_WEIGHTS else 256
    if classes != 1000 or chain.sometimes(0.2):  # noqa: PLR2004
        chain.add(Linear, Fixed(classes))
        chain.activate(ACTIVATIONS[0])
    chain.add(Linear, Fixed(1000))


def chain(seed: int, batch: int = 1) -> Network:
    """The chain of a seed: always the same.

    >>> chain(0)
    Network('chain 0', 58 layers, input 1×3×256×256)
    >>> chain(0) == chain(0)
    True
    """
    made = Chain(seed, batch)
    blocks = (BLOCKS[seed % len(BLOCKS)],) * 3 + (made.draw(*BLOCKS),)
    halvings = (made.draw(*HALVINGS),) * 2 + (made.draw(*HALVINGS),)
    _stem(made)
    stage = 0
    while made.side >= _LAST_SIDE:
        for _ in range(made.draw(1, 1, 2)):
            made.repeat(made.draw(*blocks), made.draw(1, 2, 3))
        for share, block in _SOMETIMES:
            if made.sometimes(share):
                block(made)
        if made.side <= _LAST_SIDE or len(made.layers) >= _MOST_LAYERS:
            break
        made.side, stage = -(-made.side // 2), stage + 1
        most = _WIDE if made.sometimes(0.5) else _NARROW
        channels = made.capped(made.width * 2**stage * made.draw(0.75, 1, 1, 1, 1.5, 4), most)
        made.channels = made.draw(*halvings)(made, channels)
    _head(made)
    return Network(f"chain {seed}", tuple(made.layers))
