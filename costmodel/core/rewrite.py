"""Rewrites: α, ρ and the factorisation as functions from networks to networks.

Howard et al. 2017: `widen` is §3.3's width multiplier, `resize` §3.4's resolution multiplier,
`separate` and `join` §3.1's factorisation and its inverse, `drop` §4.1's shallow MobileNet.
"""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, TypeAlias

from costmodel.algebra import arithmetic, numbers
from costmodel.core.shapes import Placed, infer
from costmodel.core.widths import Widths
from costmodel.errors import CostModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from costmodel.algebra.arithmetic import Dim
    from costmodel.core.fields import Shape
    from costmodel.core.layer import Input, Layer
    from costmodel.core.network import Network

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

    >>> from costmodel import cost, mobilenet_v1
    >>> from costmodel.zoo import mobilenet_v2
    >>> cost(widen(mobilenet_v1(), 0.5)).macs
    149497088
    >>> cost(widen(mobilenet_v2(), 0.35)).macs
    59285808

    Raises CostModelError for α outside (0, 4], an unknown rounding, and where a layer keeps a
    width as it is (a size that the traced model says by number).
    """
    alpha = arithmetic.multiplier(alpha, "alpha", numbers.MAX_ALPHA)
    divisor = numbers.rounding_divisor(network.rounding if rounding is None else rounding)
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

    >>> from costmodel import Network, mobilenet_v1
    >>> from costmodel.layers import Conv, Input
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
    factor = None if rho is None else arithmetic.multiplier(rho, "rho", numbers.MAX_RHO)

    def resized(layer: Input) -> Layer:
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
    after: dict[str, Layer] = {layer.name: resized(layer) for layer in network.inputs}
    layers = (after.get(layer.name, layer) for layer in network.layers)
    return network.with_layers(layers, same_widths=known)


def _axes(axes: tuple[int, ...], rank: int) -> set[int]:
    """The axes from 0 on; the default leaves out what an input of one axis does not have."""
    if axes != IMAGE_AXES and not all(-rank <= axis < 0 for axis in axes):
        given = ", ".join(map(str, axes))
        raise CostModelError(f"rho's axes must be from -{rank} to -1 for this input, got {given}")
    return {rank + axis for axis in axes}


def _sides(resolution: Any, before: Shape, chosen: set[int]) -> Shape:
    if not isinstance(resolution, (tuple, list)):
        resolution = [resolution if i in chosen else side for i, side in enumerate(before)]
    if len(resolution) != len(before):
        raise CostModelError(f"resolution must have {len(before)} sides, got {len(resolution)}")
    return tuple(
        x if arithmetic.is_symbolic(x) else numbers.positive_integer(x, "resolution")
        for x in resolution
    )


def rebatch(network: Network, size: Dim) -> Network:
    """The network on a batch of another size: the first axis of every input, a number or a symbol.

    >>> from costmodel import cost, mobilenet_v1
    >>> cost(rebatch(mobilenet_v1(), 8)).macs == 8 * 568_740_352
    True

    Raises CostModelError for sizes below 1, and where a traced layer says its batch by number.
    """
    count = size if arithmetic.is_symbolic(size) else numbers.positive_integer(size, "batch")
    inputs = {x.name: x.evolve(shape=(count, *x.shape[1:])) for x in network.inputs}
    layers = (inputs.get(layer.name, layer) for layer in network.layers)
    return network.with_layers(layers, same_widths=True)


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
    chosen = chosen_layers(network, select, lambda placed: placed.layer.arity != 0)
    names: dict[str, str] = {}
    heirs: dict[str, str] = {}  # the first that shares a dropped layer's parameters owns them
    kept: list[Layer] = []
    for layer in network.layers:
        sources = {names.get(name, name) for name in layer.inputs}
        if layer.name not in chosen:
            kept.append(layer)
            if (shared := layer.shares) in chosen:
                heirs.setdefault(shared, layer.name)
            if (of := layer.width_of) in chosen:
                raise CostModelError(f"{layer.name}: its width is {of}'s, so it needs {of}")
        elif len(sources) == 1:
            names[layer.name] = sources.pop()
        else:
            what = f"merges {sorted(sources)}; drop it with what it reads"
            raise CostModelError(f"{layer.name}: {what}")
    return replace(network, layers=tuple(redirected(kept, names, heirs)))


def redirected(
    layers: Iterable[Layer], names: Mapping[str, str], owners: Mapping[str, str] | None = None
) -> Iterator[Layer]:
    """The layers with every reference to an old name turned into the new one."""
    for layer in layers:
        changes: dict[str, object] = {"inputs": tuple(names.get(n, n) for n in layer.inputs)}
        if shared := layer.shares:
            owner = (names if owners is None else owners).get(shared, shared)
            changes["shares"] = "" if owner == layer.name else owner
        if of := layer.width_of:
            relation = getattr(layer, layer.width)
            changes[layer.width] = replace(relation, of=names.get(of, of))
        yield replace(layer, **changes)  # type: ignore[arg-type]


def chosen_layers(
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
