"""Each K×K convolution as a depthwise and a pointwise one, and back (Howard et al. 2017, §3.1)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from costmodel.core.relations import SAME, count
from costmodel.core.rewrite import Select, chosen_layers, redirected
from costmodel.core.shapes import Placed, infer
from costmodel.layers.convolution import Conv

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from costmodel.algebra.arithmetic import Dim
    from costmodel.core.layer import Layer
    from costmodel.core.network import Network


class Pair(NamedTuple):
    """A depthwise separable convolution: the names of its layers and of the one they replace."""

    depthwise: str
    between: tuple[str, ...]
    pointwise: str
    joined: str


def separable_pairs(network: Network) -> tuple[Pair, ...]:
    """Each depthwise convolution that only a 1×1 convolution reads, through normalisation.

    >>> from costmodel import mobilenet_v1
    >>> separable_pairs(mobilenet_v1())[0].joined
    'block1'
    """
    readers = _readers(network)
    pairs = []
    for layer, inputs, output in infer(network):
        if isinstance(layer, Conv) and _is_depthwise(layer, inputs[0][1], output[1]):
            between = tuple(follower.name for follower in _followers(layer, readers))
            heirs = readers[between[-1] if between else layer.name]
            if len(heirs) == 1 and _is_pointwise(heirs[0]):
                joined = _joined_name(layer.name, heirs[0].name)
                pairs.append(Pair(layer.name, between, heirs[0].name, joined))
    return tuple(pairs)


def _is_depthwise(x: Conv, c_in: Dim, c_out: Dim) -> bool:
    return bool(count(x.groups, c_in, {}) == c_in == c_out) and (c_in != 1 or x.groups == SAME)


def _readers(network: Network) -> dict[str, list[Layer]]:
    readers: dict[str, list[Layer]] = {layer.name: [] for layer in network.layers}
    for layer in network.layers:
        for name in layer.inputs:
            readers[name].append(layer)
    return readers


def _followers(layer: Layer, readers: Mapping[str, list[Layer]]) -> Iterator[Layer]:
    """The normalisation and activation that alone read a layer, one after the other."""
    while len(readers[layer.name]) == 1:
        (layer,) = readers[layer.name]
        if not layer.follows:
            return
        yield layer


def _is_pointwise(x: Layer) -> bool:
    return isinstance(x, Conv) and (x.kernel, x.stride, x.padding, x.groups) == (1, 1, 0, 1)


def _joined_name(depthwise: str, pointwise: str) -> str:
    name = depthwise.removesuffix(".dw")
    return name if (depthwise, pointwise) == (f"{name}.dw", f"{name}.pw") else pointwise


def _moved(name: str, old: str, new: str) -> str:
    """A follower's name after its convolution's: block1.norm becomes block1.dw.norm."""
    return new + name.removeprefix(old) if name.startswith(old + ".") else name


def separate(network: Network, select: Select | None = None) -> Network:
    """Each standard K×K convolution as a depthwise one and a pointwise one (§3.1).

    The depthwise part takes kernel, stride, padding and dilation, the pointwise part the
    width; both are followed by what followed the original (batch norm and ReLU, say).
    `select` restricts it to a name or glob, several, or a predicate on `Placed`.

    >>> from costmodel import cost, join, mobilenet_v1
    >>> cost(separate(join(mobilenet_v1()), "block*")) == cost(mobilenet_v1())
    True
    """
    chosen = chosen_layers(network, select, _is_standard)
    readers = _readers(network)
    layers: list[Layer] = []
    names: dict[str, str] = {}
    halves: dict[str, str] = {}  # what stands before the pointwise half, by what it copies

    def half(layer: Layer, name: str, **changes: object) -> None:
        halves[layer.name] = name
        if shared := layer.shares:
            changes["shares"] = halves.get(shared, shared)
        layers.append(replace(layer, name=name, **changes))  # type: ignore[arg-type]

    for layer in network.layers:
        if layer.name not in chosen or not isinstance(layer, Conv):
            layers.append(replace(layer, name=names.get(layer.name, layer.name)))
            continue
        depthwise, pointwise = f"{layer.name}.dw", f"{layer.name}.pw"
        half(layer, depthwise, out_channels=SAME, groups=SAME)
        for follower in _followers(layer, readers):
            moved = _moved(follower.name, layer.name, depthwise)
            name = f"{moved}.dw" if moved == follower.name else moved
            half(follower, name, inputs=(layers[-1].name,))
            names[follower.name] = _moved(follower.name, layer.name, pointwise)
        names[layer.name] = pointwise
        plain = Conv(pointwise, layer.out_channels, 1, bias=layer.bias, shares=layer.shares)
        layers.append(replace(plain, inputs=(layers[-1].name,)))
    return replace(network, layers=tuple(redirected(layers, names)))


def _is_standard(x: Placed) -> bool:
    return isinstance(x.layer, Conv) and x.layer.kernel != 1 and x.layer.groups == 1


def join(network: Network, select: Select | None = None) -> Network:
    """Each depthwise separable pair as the one K×K convolution it factorises: Conv MobileNet.

    >>> from costmodel import cost, mobilenet_v1
    >>> cost(join(mobilenet_v1())).macs
    4867293184
    """
    pairs = {pair.depthwise: pair for pair in separable_pairs(network)}
    chosen = chosen_layers(network, select, lambda placed: placed.layer.name in pairs)
    pairs = {pair.pointwise: pair for name, pair in pairs.items() if name in chosen}
    gone = {name for pair in pairs.values() for name in (pair.depthwise, *pair.between)}
    names = {name: pair.joined for name, pair in pairs.items()}
    readers = _readers(network)
    layers = []
    for layer in network.layers:
        if layer.name in pairs:
            joined = names[layer.name]
            for follower in _followers(layer, readers):
                names[follower.name] = _moved(follower.name, layer.name, joined)
            # The pointwise half's width and bias, and the depthwise half's window; a kernel is
            # shared only where both its factors are.
            depthwise = network[pairs[layer.name].depthwise]
            pair = pairs.get(layer.shares)
            window = {key: getattr(depthwise, key) for key in ("inputs", "shares", *_WINDOW)}
            window["shares"] = pair.pointwise if pair and pair.depthwise == window["shares"] else ""
            layers.append(replace(layer, name=joined, **window))
        elif layer.name not in gone:
            layers.append(replace(layer, name=names.get(layer.name, layer.name)))
    return replace(network, layers=tuple(redirected(layers, names)))


_WINDOW = ("kernel", "stride", "padding", "dilation")
