"""Rewrites: α, ρ and the factorisation as functions from networks to networks.

Howard et al. 2017: `widen` is §3.3's width multiplier, `resize` §3.4's resolution multiplier,
`separate` and `join` §3.1's factorisation and its inverse, `drop` §4.1's shallow MobileNet.
"""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from costmodel.algebra import arithmetic
from costmodel.core import network as ir
from costmodel.core.network import SAME, Network
from costmodel.core.shapes import Placed, count, infer
from costmodel.core.widths import Widths
from costmodel.errors import CostModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from costmodel.algebra.arithmetic import Dim

#: Which layers: a name or glob, several, or a predicate on a layer in its place.
Select: TypeAlias = "str | Iterable[str] | Callable[[Placed], bool]"


#: What ρ scales: an image's height and width.
IMAGE_AXES = (-2, -1)


def widen(network: Network, alpha: Dim, rounding: str | None = None) -> Network:
    """The network with every plain channel count C turned into α·C, rounded.

    α is a number in (0, 4], a ratio such as "3/4", or a symbol. `rounding` is `floor`
    (max(⌊αC⌋, min(8, C))), `divisible(8)` or `exact`, and by default the network's own, its
    authors'. Relations (`Times`, `AtLeast`, `Fixed`) hold as they are. What the layers' rules want
    equal (a sum, a gate, a shared weight) or divided (by groups, heads or parts) stays so:
    `costmodel.core.widths` reads it off them, and a constant that is added follows.

    >>> from costmodel import cost, mobilenet_v1, mobilenet_v2
    >>> cost(widen(mobilenet_v1(), 0.5)).macs
    149497088
    >>> cost(widen(mobilenet_v2(), 0.35)).macs
    59285808

    Raises CostModelError for α outside (0, 4], an unknown rounding, and where a layer keeps a
    width as it is (a size that the traced model says by number).
    """
    alpha = arithmetic.multiplier(alpha, "alpha", arithmetic.MAX_ALPHA)
    divisor = arithmetic.rounding_divisor(network.rounding if rounding is None else rounding)
    widths = Widths.of(network)

    def scaled(name: str, multiple: int) -> Dim:
        grows = name in widths.grows
        factor = arithmetic.at_least_one(alpha) if grows else alpha
        count = widths.counts[name]
        try:
            width = arithmetic.scale_channels(count, factor, divisor, multiple)
        except CostModelError as error:  # `exact` rounding of a count that does not divide
            raise CostModelError(f"{name}: {error}") from None
        if name in widths.kept and not arithmetic.is_symbolic(width) and width != count:
            what = f"{name}: its width of {count} cannot become {width}, since {widths.kept[name]}"
            raise CostModelError(f"{what}; {_REMEDY}")
        return width

    return widths.sized(network, {name: scaled(name, by) for name, by in widths.columns.items()})


_REMEDY = "write that size in the model as one of its input's, or trace the model at that width"


def resize(
    network: Network,
    *,
    rho: Dim | None = None,
    resolution: Dim | tuple[Dim, ...] | None = None,
    axes: tuple[int, ...] = IMAGE_AXES,
) -> Network:
    """The network with inputs of another size: each side D becomes round(D·ρ), or `resolution`.

    ρ is a number in (0, 16], a ratio such as "6/7", or a symbol; `resolution` a side in pixels,
    or a side for each axis. ρ and a single side are those of `axes`, counted from the last (-1) as
    in torch: by default an image's height and width, so that the frames of a video stay.

    >>> from costmodel import Conv, Input, mobilenet_v1
    >>> resize(mobilenet_v1(), rho=0.857)
    Network('mobilenet_v1', 85 layers, input 1×3×192×192)
    >>> video = Network("video", (Input("frames", (1, 3, 16, 112, 112)), Conv("conv", 8, 3)))
    >>> resize(video, rho="1/2"), resize(video, rho="1/2", axes=(-3, -2, -1)).inputs[0].shape
    (Network('video', 2 layers, input 1×3×16×56×56), (1, 3, 8, 56, 56))

    Raises CostModelError where both or neither are given, for ρ outside (0, 16] and for sizes
    below 1.
    """
    if (rho is None) == (resolution is None):
        got = "neither" if rho is None else "both"
        raise CostModelError(f"resize takes either rho or resolution, got {got}")
    factor = None if rho is None else arithmetic.multiplier(rho, "rho", arithmetic.MAX_RHO)

    def resized(layer: ir.Input) -> ir.Layer:
        before = layer.shape[2:]
        chosen = _axes(axes, len(before))
        if factor is None:
            return layer.evolve(shape=layer.shape[:2] + _sides(resolution, before, chosen))
        after = tuple(
            arithmetic.round_size(side, factor) if i in chosen else side
            for i, side in enumerate(before)
        )
        if 0 in after:
            raise CostModelError(f"resolution must be at least 1, got 0 from rho {rho}; raise rho")
        return layer.evolve(shape=layer.shape[:2] + after)

    known = all(type(side) is int for x in network.inputs for side in x.shape)
    layers = (resized(x) if isinstance(x, ir.Input) else x for x in network.layers)
    return network.with_layers(layers, same_widths=known)


def _axes(axes: tuple[int, ...], rank: int) -> set[int]:
    """The axes from 0 on; the default leaves out what an input of one axis does not have."""
    if axes != IMAGE_AXES and not all(-rank <= axis < 0 for axis in axes):
        given = ", ".join(map(str, axes))
        raise CostModelError(f"rho's axes must be from -{rank} to -1 for this input, got {given}")
    return {rank + axis for axis in axes}


def _sides(resolution: Any, before: ir.Shape, chosen: set[int]) -> ir.Shape:
    if not isinstance(resolution, (tuple, list)):
        resolution = [resolution if i in chosen else side for i, side in enumerate(before)]
    if len(resolution) != len(before):
        raise CostModelError(f"resolution must have {len(before)} sides, got {len(resolution)}")
    return tuple(
        x if arithmetic.is_symbolic(x) else arithmetic.positive_integer(x, "resolution")
        for x in resolution
    )


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
        if isinstance(layer, ir.Conv) and _is_depthwise(layer, inputs[0][1], output[1]):
            between = tuple(follower.name for follower in _followers(layer, readers))
            heirs = readers[between[-1] if between else layer.name]
            if len(heirs) == 1 and _is_pointwise(heirs[0]):
                joined = _joined_name(layer.name, heirs[0].name)
                pairs.append(Pair(layer.name, between, heirs[0].name, joined))
    return tuple(pairs)


def _is_depthwise(x: ir.Conv, c_in: Dim, c_out: Dim) -> bool:
    return bool(count(x.groups, c_in, {}) == c_in == c_out) and (c_in != 1 or x.groups == SAME)


def _readers(network: Network) -> dict[str, list[ir.Layer]]:
    readers: dict[str, list[ir.Layer]] = {layer.name: [] for layer in network.layers}
    for layer in network.layers:
        for name in layer.inputs:
            readers[name].append(layer)
    return readers


def _followers(layer: ir.Layer, readers: Mapping[str, list[ir.Layer]]) -> Iterator[ir.Layer]:
    """The normalisation and activation that alone read a layer, one after the other."""
    while len(readers[layer.name]) == 1:
        (layer,) = readers[layer.name]
        if not isinstance(layer, (ir.BatchNorm, ir.Activation)):
            return
        yield layer


def _is_pointwise(x: ir.Layer) -> bool:
    return isinstance(x, ir.Conv) and (x.kernel, x.stride, x.padding, x.groups) == (1, 1, 0, 1)


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
    layers: list[ir.Layer] = []
    names: dict[str, str] = {}
    halves: dict[str, str] = {}  # what stands before the pointwise half, by what it copies

    def half(layer: ir.Layer, name: str, **changes: object) -> None:
        halves[layer.name] = name
        if shared := getattr(layer, "shares", ""):
            changes["shares"] = halves.get(shared, shared)
        layers.append(replace(layer, name=name, **changes))  # type: ignore[arg-type]

    for layer in network.layers:
        if layer.name not in chosen or not isinstance(layer, ir.Conv):
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
        plain = ir.Conv(pointwise, layer.out_channels, 1, bias=layer.bias, shares=layer.shares)
        layers.append(replace(plain, inputs=(layers[-1].name,)))
    return replace(network, layers=tuple(_redirected(layers, names)))


def _is_standard(x: Placed) -> bool:
    return isinstance(x.layer, ir.Conv) and x.layer.kernel != 1 and x.layer.groups == 1


def join(network: Network, select: Select | None = None) -> Network:
    """Each depthwise separable pair as the one K×K convolution it factorises: Conv MobileNet.

    >>> from costmodel import cost, mobilenet_v1
    >>> cost(join(mobilenet_v1())).macs
    4867293184
    """
    pairs = {pair.depthwise: pair for pair in separable_pairs(network)}
    chosen = _chosen(network, select, lambda placed: placed.layer.name in pairs)
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
            pair = pairs.get(layer.shares)  # type: ignore[attr-defined]
            window = {key: getattr(depthwise, key) for key in ("inputs", "shares", *_WINDOW)}
            window["shares"] = pair.pointwise if pair and pair.depthwise == window["shares"] else ""
            layers.append(replace(layer, name=joined, **window))
        elif layer.name not in gone:
            layers.append(replace(layer, name=names.get(layer.name, layer.name)))
    return replace(network, layers=tuple(_redirected(layers, names)))


_WINDOW = ("kernel", "stride", "padding", "dilation")


def drop(network: Network, select: Select) -> Network:
    """The network without the selected layers; what read them reads what they read.

    The shallow MobileNet (§4.1) drops the five layers of 14×14×512:

    >>> from costmodel import cost, mobilenet_v1
    >>> shallow = drop(mobilenet_v1(), [f"block{i}.*" for i in range(7, 12)])
    >>> cost(shallow).macs
    307323392

    Raises CostModelError where nothing is selected, and for a layer that merges inputs which
    stay different.
    """
    chosen = _chosen(network, select, lambda placed: placed.layer.arity != 0)
    names: dict[str, str] = {}
    heirs: dict[str, str] = {}  # the first that shares a dropped layer's parameters owns them
    kept: list[ir.Layer] = []
    for layer in network.layers:
        sources = {names.get(name, name) for name in layer.inputs}
        if layer.name not in chosen:
            kept.append(layer)
            if (shared := getattr(layer, "shares", "")) in chosen:
                heirs.setdefault(shared, layer.name)
            if (of := layer.width_of) in chosen:
                raise CostModelError(f"{layer.name}: its width is {of}'s, so it needs {of}")
        elif len(sources) == 1:
            names[layer.name] = sources.pop()
        else:
            what = f"merges {sorted(sources)}; drop it with what it reads"
            raise CostModelError(f"{layer.name}: {what}")
    return replace(network, layers=tuple(_redirected(kept, names, heirs)))


def _redirected(
    layers: Iterable[ir.Layer], names: Mapping[str, str], owners: Mapping[str, str] | None = None
) -> Iterator[ir.Layer]:
    """The layers with every reference to an old name turned into the new one."""
    for layer in layers:
        changes: dict[str, object] = {"inputs": tuple(names.get(n, n) for n in layer.inputs)}
        if shared := getattr(layer, "shares", ""):
            owner = (names if owners is None else owners).get(shared, shared)
            changes["shares"] = "" if owner == layer.name else owner
        if of := layer.width_of:
            relation = getattr(layer, layer.width)
            changes[layer.width] = replace(relation, of=names.get(of, of))
        yield replace(layer, **changes)  # type: ignore[arg-type]


def _chosen(
    network: Network, select: Select | None, eligible: Callable[[Placed], bool]
) -> set[str]:
    """The names of the eligible layers a selector picks; an error where it picks none."""
    candidates = [placed for placed in infer(network) if eligible(placed)]
    if select is None:
        return {placed.layer.name for placed in candidates}
    globs = [select] if isinstance(select, str) else select

    def picked(placed: Placed) -> bool:
        if callable(globs):
            return globs(placed)
        return any(fnmatchcase(placed.layer.name, glob) for glob in globs)

    if chosen := {placed.layer.name for placed in candidates if picked(placed)}:
        return chosen
    raise CostModelError(f"{select!r} selects no layer of {network.name} that this applies to")
