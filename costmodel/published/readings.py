"""Which network a printed row is about, and the ways of counting that its figure may follow."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from typing import TYPE_CHECKING

from costmodel import layers as ir
from costmodel.core.cost import Cost, cost, layer_cost
from costmodel.core.lower import lower
from costmodel.core.network import Network
from costmodel.core.rewrite import resize, widen
from costmodel.layers.factorising import join, separable_pairs, separate
from costmodel.zoo import applications, architecture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from costmodel.published import Printed


#: A MobileNet as the paper names it: α, the resolution, and in brackets what it is for.
_MODEL = re.compile(r"(?:(\d\.\d+) )?MobileNet(?:-(\d+))?(?: [\[(].*)?")


@dataclass(frozen=True)
class Reading:
    """A named way of counting, and the exact figure (or the ends of a range) it gives."""

    convention: str
    values: tuple[Fraction, ...]
    #: Significant digits to round to, where a figure was copied more coarsely than it is printed.
    digits: int | None = None


def readings(figure: Printed) -> tuple[Reading, ...]:
    """The ways of counting to try on a figure, the plain one first; none where no network is it.

    Nor where its table has no such row or quantity, or no range.
    """
    for (pattern, quantities), read in _TABLES.items():
        if re.fullmatch(pattern, figure.table) and re.fullmatch(quantities, figure.quantity):
            ends = len(figure.values)
            return tuple(reading for reading in read(figure) if len(reading.values) == ends)
    return ()


# What a network costs under each convention --------------------------------------------------


@cache
def _parts(network: Network) -> Mapping[str, int]:
    """What conventions leave out or add, in MACs (m_) and parameters (p_)."""
    total = cost(network)
    parts = {"macs": total.macs, "params": total.params, "m_linear": 0, "p_linear": 0}
    parts |= {"m_first": 0, "p_norm": 0, "p_bias": 0}
    for layer in lower(network):
        params = sum(parameter.count for parameter in layer.parameters)
        macs = sum(nest.macs for nest in layer.nests)
        if layer.nests and layer.nests[0].kind == "linear":
            parts["m_linear"] += macs
            parts["p_linear"] += params
        parts["m_first"] = parts["m_first"] or macs
        for parameter in layer.parameters:
            if parameter.role in {"norm", "bias"}:
                parts[f"p_{parameter.role}"] += parameter.count
    return parts


#: Ways to count mult-adds, the plain one first.
MAC_CONVENTIONS: dict[str, Callable[[Mapping[str, int]], int]] = {
    "as built": lambda p: p["macs"],
    "body without the fully connected layers": lambda p: p["macs"] - p["m_linear"],
    "FLOPs printed as mult-adds": lambda p: 2 * p["macs"],
    "without the first convolution": lambda p: p["macs"] - p["m_first"],
}
#: Ways to count parameters, the plain one first.
PARAM_CONVENTIONS: dict[str, Callable[[Mapping[str, int]], int]] = {
    "as built": lambda p: p["params"],
    "without batch norm": lambda p: p["params"] - p["p_norm"],
    "without batch norm and biases": lambda p: p["params"] - p["p_norm"] - p["p_bias"],
    "body without the fully connected layers": lambda p: p["params"] - p["p_linear"],
    "batch norm at three values a channel": lambda p: p["params"] + p["p_norm"] // 2,
}
_CONVENTIONS = {"mult_adds": MAC_CONVENTIONS, "params": PARAM_CONVENTIONS}


def _counts(figure: Printed, networks: Mapping[str, Network | None]) -> Iterator[Reading]:
    """Each network under each convention; a network's name ("" for the row's own) goes along."""
    for name, network in networks.items():
        if network is None:
            continue
        for convention, count in _CONVENTIONS[figure.quantity].items():
            words = ", ".join(filter(None, (name, convention)))
            yield Reading(words, (Fraction(count(_parts(network))),))


# Which network a row is about ----------------------------------------------------------------


@cache
def _zoo(name: str, resolution: int = 0, classes: int = 0) -> Network:
    build = architecture(name).build
    network = build(classes=classes) if classes else build()
    return resize(network, resolution=resolution) if resolution else network


@cache
def _mobilenet(name: str, build: Callable[[], Network] | None = None) -> Network | None:
    """The MobileNet that a row's name gives, "0.75 MobileNet-192", on some base network."""
    named = _MODEL.fullmatch(name)
    if not named:
        return None
    network = build() if build else _zoo("mobilenet_v1")
    resized = resize(network, resolution=int(named[2])) if named[2] else network
    return widen(resized, named[1]) if named[1] else resized


#: Rows that are no plain MobileNet; a second network is another reading of the same row.
_RIVALS: dict[str, Callable[[], Mapping[str, Network]]] = {
    "Conv MobileNet": lambda: {"": _zoo("conv_mobilenet")},
    "Shallow MobileNet": lambda: {"": _zoo("shallow_mobilenet")},
    "GoogleNet": lambda: {"": _zoo("googlenet")},
    "VGG 16": lambda: {"": _zoo("vgg_16")},
    "Squeezenet": lambda: {
        "": _zoo("squeezenet_1_0"),
        "at 227 px": _zoo("squeezenet_1_0", 227),
        "version 1.1": _zoo("squeezenet_1_1"),
    },
    "AlexNet": lambda: {"": _zoo("alexnet"), "one tower": _zoo("alexnet_one_tower")},
}


def _classifiers(figure: Printed) -> Iterator[Reading]:
    """Tables 4 to 9 and TF-slim's: networks for ImageNet."""
    rival = _RIVALS.get(figure.row)
    tried = list(_counts(figure, rival() if rival else {"": _mobilenet(figure.row)}))
    yield from tried
    if rival:
        for reading in tried:
            words = f"{reading.convention}, to two significant digits"
            yield replace(reading, convention=words, digits=2)


def _dogs(figure: Printed) -> Iterator[Reading]:
    """Table 10: Stanford Dogs' 120 classes, or still ImageNet's 1000."""
    dogs: Network | None
    plain: Network | None
    if figure.row.startswith("Inception V3"):
        dogs, plain = _zoo("inception_v3", classes=120), _zoo("inception_v3")
    else:
        dogs, plain = _mobilenet(figure.row, applications.stanford_dogs), _mobilenet(figure.row)
    yield from _counts(figure, {"": dogs, "1000 classes": plain})


def _planet(figure: Printed) -> Iterator[Reading]:
    """§4.4: geolocation; the Inception's head is not described."""
    if figure.row == "PlaNet MobileNet":
        yield from _counts(figure, {"": applications.planet()})


def _faces(figure: Printed) -> Iterator[Reading]:
    """Table 12: face attributes."""
    yield from _counts(figure, {"": _mobilenet(figure.row, applications.face_attributes)})


def _facenet(figure: Printed) -> Iterator[Reading]:
    """Table 14: embeddings; the two rows of one label are two models, by their mult-adds."""
    row = figure.row.replace("-128 [first row]", "-160")
    faces = _mobilenet(row, applications.face_embedding)
    body = _mobilenet(row, applications.face_attributes)
    yield from _counts(figure, {"": faces, "no embedding": body})


_DETECTORS = {
    "SSD 300 MobileNet": ("ssd_mobilenet_v1", 300),
    "Faster-RCNN 300 MobileNet": ("faster_rcnn_mobilenet", 300),
    "Faster-RCNN 600 MobileNet": ("faster_rcnn_mobilenet", 600),
}


def _detectors(figure: Printed) -> Iterator[Reading]:
    """Table 13."""
    if detector := _DETECTORS.get(figure.row):
        yield from _counts(figure, {"": _zoo(*detector)})


# Other quantities ----------------------------------------------------------------------------

_KINDS = {
    "Conv 1x1": "pointwise",
    "Conv DW 3x3": "depthwise",
    "Conv 3x3": "standard",
    "Fully Connected": "linear",
}


def _shares(figure: Printed) -> Iterator[Reading]:
    """Table 2: shares by kind in percent, of all parameters or of the weights alone."""
    kind, total = _KINDS.get(figure.row), _parts(_zoo("mobilenet_v1"))
    if kind is None:
        return
    nests = [nest for layer in lower(_zoo("mobilenet_v1")) for nest in layer.nests]
    of_kind = [nest for nest in nests if nest.kind == kind]
    if figure.quantity == "mult_adds_share":
        yield Reading("as built", (Fraction(100 * sum(x.macs for x in of_kind), total["macs"]),))
        return
    weights, every = (sum(nest.weights for nest in some) for some in (of_kind, nests))
    norm = 2 * sum(nest.g * nest.k for nest in of_kind)  # a scale and a shift per channel
    params = weights + (total["p_bias"] if kind == "linear" else norm)
    yield Reading("as built", (Fraction(100 * params, total["params"]),))
    yield Reading("without batch norm and biases", (Fraction(100 * weights, every),))


@cache
def _table_3() -> Mapping[str, Cost]:
    """One 3×3 layer of 512 channels on 14×14, and what each change makes of it."""
    layers = (ir.Conv("before", 512, 1), ir.Conv("layer", 512, 3, padding=1))
    standard = Network("standard", (ir.Input("image", (1, 1, 14, 14)), *layers))
    separable = separate(standard, "layer")
    thin = widen(separable, "0.75")
    changed = {
        "Convolution": standard,
        "Depthwise": separable,
        "alpha": thin,
        "rho": resize(thin, rho="0.714"),
    }
    return {
        name: sum(
            (layer_cost(x) for x in lower(network) if x.layer.name.startswith("layer")), Cost()
        )
        for name, network in changed.items()
    }


def _step(figure: Printed) -> Iterator[Reading]:
    """Table 3: one layer, the changes made one after the other."""
    if total := _table_3().get(figure.row.split()[0]):
        count = total.macs if figure.quantity == "mult_adds" else total.params
        yield Reading("as built", (Fraction(count),))


def _stride(figure: Printed) -> Iterator[Reading]:  # noqa: ARG001 - there is one such row
    """Table 1: the stride that takes the last depthwise layer's 7×7 to the 7×7 printed below."""
    stride = _zoo("mobilenet_v1")["block13.dw"].stride  # type: ignore[attr-defined]
    yield Reading("as built", (Fraction(stride),))


def _layer_count(figure: Printed) -> Iterator[Reading]:  # noqa: ARG001 - there is one such row
    counted = [layer for layer in lower(_zoo("mobilenet_v1")) if layer.nests]
    yield Reading("as built", (Fraction(len(counted)),))


def _reduction(figure: Printed) -> Iterator[Reading]:  # noqa: ARG001 - there is one such row
    """§3.1: how many times less a separable block costs, least and most of the thirteen."""
    network = _zoo("mobilenet_v1")
    both = (*lower(network), *lower(join(network)))
    macs = {part.layer.name: layer_cost(part).macs for part in both}
    reductions = [
        Fraction(macs[pair.joined], macs[pair.depthwise] + macs[pair.pointwise])
        for pair in separable_pairs(network)
    ]
    yield Reading("as built", (min(reductions), max(reductions)))


def _ratio(figure: Printed) -> Iterator[Reading]:
    """The text beside Tables 8 and 9: a rival's cost over a MobileNet's."""
    ours, _, rival = figure.row.partition(" vs ")
    small = _mobilenet(ours)
    if small is None or rival not in _RIVALS:
        return
    quantity = "params" if figure.quantity == "times_smaller" else "macs"
    amount = _parts(small)[quantity]
    for name, network in _RIVALS[rival]().items():
        parts = _parts(network)
        plain = Fraction(parts[quantity], amount)
        yield Reading(", ".join(filter(None, (name, "as built"))), (plain,))
        if quantity == "macs":
            words = ", ".join(filter(None, (name, "FLOPs printed as mult-adds")))
            yield Reading(words, (2 * plain,))


_COSTS = "mult_adds|params"
#: The reader of each table (a pattern) and each quantity in it (another).
_TABLES: dict[tuple[str, str], Callable[[Printed], Iterator[Reading]]] = {
    ("T1", "stride"): _stride,
    ("T2", "mult_adds_share|params_share"): _shares,
    ("T3", _COSTS): _step,
    ("T[4-9]|README", _COSTS): _classifiers,
    ("T10", _COSTS): _dogs,
    (r"S4\.4", _COSTS): _planet,
    ("T12", _COSTS): _faces,
    ("T13", _COSTS): _detectors,
    ("T14", _COSTS): _facenet,
    ("T[89] text", "times_less_compute|times_smaller"): _ratio,
    (r"S3\.1 text", "times_less_compute"): _reduction,
    (r"S3\.2 text", "layers"): _layer_count,
}
