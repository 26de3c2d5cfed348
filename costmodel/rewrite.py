"""Rewrites: α, ρ and the factorisation as functions from networks to networks.

Howard et al. 2017: `widen` is §3.3's width multiplier, `resize` §3.4's resolution multiplier,
`separate` and `join` §3.1's factorisation and its inverse, `drop` §4.1's shallow MobileNet.
"""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatchcase
from math import lcm
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from costmodel.arithmetic import (
    Dim,
    at_least_one,
    is_symbolic,
    resolution_multiplier,
    round_size,
    rounding_divisor,
    scale_channels,
    width_multiplier,
)
from costmodel.errors import CostModelError
from costmodel.network import (
    SAME,
    Activation,
    AtLeast,
    BatchNorm,
    Conv,
    Fixed,
    Input,
    Layer,
    Network,
    Shape,
    Times,
)
from costmodel.shapes import Placed, infer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

#: Which layers: a name or glob, several, or a predicate on a layer in its place.
Select: TypeAlias = "str | Iterable[str] | Callable[[Placed], bool]"


def widen(network: Network, alpha: Dim, rounding: str = "floor") -> Network:
    """The network with every plain channel count C turned into α·C, rounded.

    α is a number in (0, 4], a ratio such as "3/4", or a symbol. `rounding` is `floor`
    (max(⌊αC⌋, min(8, C)), the default), `divisible(8)` or `exact`. Relations (`Times`,
    `AtLeast`, `Fixed`) hold as they are; a count that groups must divide stays a multiple.

    >>> from costmodel import cost, mobilenet_v1
    >>> cost(widen(mobilenet_v1(), 0.5)).macs
    149497088

    Raises CostModelError for α outside (0, 4] and an unknown rounding.
    """
    alpha = width_multiplier(alpha)
    divisor = rounding_divisor(rounding)
    multiples = _multiples(network)

    def widened(layer: Layer) -> Layer:
        width = getattr(layer, layer.width)
        if isinstance(width, (Times, Fixed)):
            return layer
        if isinstance(width, AtLeast):
            grown = scale_channels(width.count, at_least_one(alpha), divisor)
            return layer.evolve(**{layer.width: AtLeast(grown)})
        scaled = scale_channels(width, alpha, divisor, multiples.get(layer.name, 1))
        return layer.evolve(**{layer.width: scaled})

    layers = []
    for layer in network.layers:
        try:
            layers.append(widened(layer) if layer.width else layer)
        except CostModelError as error:  # `exact` rounding of a count that does not divide
            message = f"{layer.name}: {error}"
            raise CostModelError(message) from None
    return network.with_layers(tuple(layers))


def _multiples(network: Network) -> dict[str, int]:
    """What each layer's channel count must be a multiple of, for the groups that read it."""
    multiples: dict[str, int] = {}
    for layer in network.layers:
        groups = getattr(layer, "groups", 1)
        if type(groups) is int and groups > 1:
            for name in (layer.name, *_sources(network, layer)):
                multiples[name] = lcm(multiples.get(name, 1), groups)
    return multiples


def _sources(network: Network, layer: Layer) -> Iterator[str]:
    """The layers whose width a layer's input channels come from."""
    for name in layer.inputs:
        source = network[name]
        if not source.width or isinstance(getattr(source, source.width), Times):
            yield from _sources(network, source)
        else:
            yield name


def resize(
    network: Network, rho: Dim | None = None, *, resolution: Dim | tuple[Dim, ...] | None = None
) -> Network:
    """The network with inputs of another size: each side D becomes round(D·ρ), or `resolution`.

    ρ is a positive number, a ratio such as "6/7", or a symbol; `resolution` a side or a side
    for each axis.

    >>> from costmodel import mobilenet_v1
    >>> resize(mobilenet_v1(), rho=0.857)
    Network('mobilenet_v1', 86 layers, input 1×3×192×192)

    Raises CostModelError where both or neither are given and for sizes below 1.
    """
    if (rho is None) == (resolution is None):
        message = "resize takes either rho or resolution, got " + ("both" if rho else "neither")
        raise CostModelError(message)
    factor = None if rho is None else resolution_multiplier(rho)

    def resized(layer: Input) -> Layer:
        sides = layer.shape[2:]
        if factor is not None:
            sides = tuple(round_size(side, factor) for side in sides)
        elif isinstance(resolution, tuple):
            sides = resolution
        else:
            sides = (resolution,) * len(sides)
        return _with_sides(layer, sides, rho)

    return network.with_layers(
        tuple([resized(x) if isinstance(x, Input) else x for x in network.layers])
    )


def _with_sides(layer: Input, sides: Shape, rho: Dim | None) -> Layer:
    if len(sides) != len(layer.shape) - 2:
        message = f"resolution must have {len(layer.shape) - 2} sides, got {len(sides)}"
        raise CostModelError(message)
    for side in sides:
        if not is_symbolic(side) and (type(side) is not int or side < 1):
            why = "" if rho is None else f" from rho {rho}; raise rho"
            message = f"resolution must be an integer of at least 1, got {side!r}{why}"
            raise CostModelError(message)
    return layer.evolve(shape=layer.shape[:2] + sides)


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
    for layer in network.layers:
        if isinstance(layer, Conv) and layer.groups == layer.out_channels == SAME:
            between = tuple(_followers(layer, readers))
            last = between[-1] if between else layer
            heirs = readers[last.name]
            if len(heirs) == 1 and _is_pointwise(heirs[0]):
                names = tuple(follower.name for follower in between)
                joined = _joined_name(layer.name, heirs[0].name)
                pairs.append(Pair(layer.name, names, heirs[0].name, joined))
    return tuple(pairs)


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
        if not isinstance(layer, (BatchNorm, Activation)):
            return
        yield layer


def _is_pointwise(layer: Layer) -> bool:
    return isinstance(layer, Conv) and (
        layer.kernel,
        layer.stride,
        layer.padding,
        layer.groups,
    ) == (
        1,
        1,
        0,
        1,
    )


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
    chosen = _chosen(network, select, _is_standard)
    readers = _readers(network)
    layers: list[Layer] = []
    names: dict[str, str] = {}
    for layer in network.layers:
        if layer.name not in chosen:
            layers.append(replace(layer, name=names.get(layer.name, layer.name)))
            continue
        assert isinstance(layer, Conv)  # noqa: S101 - for the type checker; _is_standard says so
        name = layer.name
        layers.append(replace(layer, name=f"{name}.dw", out_channels=SAME, groups=SAME))
        names[name] = f"{name}.pw"
        for follower in _followers(layer, readers):
            copy = _moved(follower.name, name, f"{name}.dw")
            copy = copy if copy != follower.name else f"{copy}.dw"
            layers.append(replace(follower, name=copy, inputs=(layers[-1].name,)))
            names[follower.name] = _moved(follower.name, name, f"{name}.pw")
        pointwise = Conv(
            f"{name}.pw", layer.out_channels, 1, bias=layer.bias, inputs=(layers[-1].name,)
        )
        layers.append(pointwise)
    return Network(network.name, tuple(_redirected(layers, names)))


def _is_standard(placed: Placed) -> bool:
    layer = placed.layer
    return isinstance(layer, Conv) and layer.kernel != 1 and layer.groups == 1


def join(network: Network, select: Select | None = None) -> Network:
    """Each depthwise separable pair as the one K×K convolution it factorises: Conv MobileNet.

    >>> from costmodel import cost, mobilenet_v1
    >>> cost(join(mobilenet_v1())).macs
    4867026944
    """
    depthwise = {pair.depthwise: pair for pair in separable_pairs(network)}
    chosen = _chosen(network, select, lambda placed: placed.layer.name in depthwise)
    pairs = [pair for name, pair in depthwise.items() if name in chosen]
    pointwise = {pair.pointwise: pair for pair in pairs}
    gone = {name for pair in pairs for name in (pair.depthwise, *pair.between)}
    readers = _readers(network)
    layers: list[Layer] = []
    names: dict[str, str] = {}
    for layer in network.layers:
        if layer.name in gone:
            continue
        if layer.name in pointwise:
            pair = pointwise[layer.name]
            names[layer.name] = pair.joined
            for follower in _followers(layer, readers):
                names[follower.name] = _moved(follower.name, layer.name, pair.joined)
            layers.append(_joined(network[pair.depthwise], layer, pair.joined))
        else:
            layers.append(replace(layer, name=names.get(layer.name, layer.name)))
    return Network(network.name, tuple(_redirected(layers, names)))


def _joined(depthwise: Layer, pointwise: Layer, name: str) -> Layer:
    assert isinstance(depthwise, Conv)  # noqa: S101 - for the type checker; a Pair is of two
    assert isinstance(pointwise, Conv)  # noqa: S101
    width = pointwise.out_channels
    return replace(depthwise, name=name, out_channels=width, groups=1, bias=pointwise.bias)


def drop(network: Network, select: Select) -> Network:
    """The network without the selected layers; what read them reads what they read.

    The shallow MobileNet (§4.1) drops the five layers of 14×14×512:

    >>> from costmodel import cost, mobilenet_v1
    >>> shallow = drop(mobilenet_v1(), [f"block{i}.*" for i in range(7, 12)])
    >>> cost(shallow).macs
    306859008

    Raises CostModelError where nothing is selected, and for a layer that merges inputs which
    stay different.
    """
    chosen = _chosen(network, select, lambda placed: placed.layer.arity != 0)
    names: dict[str, str] = {}
    for layer in network.layers:
        if layer.name in chosen:
            sources = {names.get(name, name) for name in layer.inputs}
            if len(sources) != 1:
                message = f"{layer.name}: merges {sorted(sources)} and cannot be dropped alone"
                raise CostModelError(message)
            names[layer.name] = sources.pop()
    kept = [layer for layer in network.layers if layer.name not in chosen]
    return Network(network.name, tuple(_redirected(kept, names)))


def _redirected(layers: Iterable[Layer], names: Mapping[str, str]) -> Iterator[Layer]:
    """The layers with every reference to an old name turned into the new one."""
    for layer in layers:
        changes: dict[str, object] = {"inputs": tuple(names.get(n, n) for n in layer.inputs)}
        if getattr(layer, "shares", ""):
            changes["shares"] = names.get(layer.shares, layer.shares)  # type: ignore[attr-defined]
        relation = getattr(layer, layer.width) if layer.width else None
        if isinstance(relation, Times) and relation.of:
            changes[layer.width] = replace(relation, of=names.get(relation.of, relation.of))
        yield replace(layer, **changes)  # type: ignore[arg-type]


def _chosen(
    network: Network, select: Select | None, eligible: Callable[[Placed], bool]
) -> set[str]:
    """The names of the eligible layers a selector picks; an error where it picks none."""
    candidates = [placed for placed in infer(network) if eligible(placed)]
    if select is None:
        return {placed.layer.name for placed in candidates}
    globs = [select] if isinstance(select, str) else select
    chosen = {
        placed.layer.name
        for placed in candidates
        if (globs(placed) if callable(globs) else _matches(placed.layer.name, globs))
    }
    if not chosen:
        message = f"{select!r} selects no layer of {network.name} that this rewrite applies to"
        raise CostModelError(message)
    return chosen


def _matches(name: str, globs: Iterable[str]) -> bool:
    return any(fnmatchcase(name, glob) for glob in globs)
