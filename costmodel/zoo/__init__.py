"""Architectures as data, a file a family; each a function that returns a Network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from costmodel.errors import CostModelError
from costmodel.zoo.alexnet import alexnet, alexnet_one_tower
from costmodel.zoo.applications import face_attributes, face_embedding, planet, stanford_dogs
from costmodel.zoo.detection import faster_rcnn_mobilenet, person_detector, ssd_mobilenet_v1
from costmodel.zoo.googlenet import googlenet
from costmodel.zoo.inception import inception_v3
from costmodel.zoo.mobilenet import conv_mobilenet, mobilenet_v1, mobilenet_v2, shallow_mobilenet
from costmodel.zoo.squeezenet import squeezenet_1_0, squeezenet_1_1
from costmodel.zoo.vgg import vgg_16

if TYPE_CHECKING:
    from collections.abc import Callable

    from costmodel.core.network import Network

__all__ = ["ZOO", "Architecture", "architecture", "conv_mobilenet", "mobilenet_v1", "mobilenet_v2"]


@dataclass(frozen=True)
class Architecture:
    """How to build a network."""

    build: Callable[..., Network]

    @property
    def classes(self) -> int | None:
        """How many classes it has unless told otherwise; None where it is no classifier."""
        from inspect import signature

        parameter = signature(self.build).parameters.get("classes")
        return parameter.default if parameter else None


ZOO = {
    "mobilenet_v1": Architecture(mobilenet_v1),
    "conv_mobilenet": Architecture(conv_mobilenet),
    "shallow_mobilenet": Architecture(shallow_mobilenet),
    "mobilenet_v2": Architecture(mobilenet_v2),
    "alexnet": Architecture(alexnet),
    "alexnet_one_tower": Architecture(alexnet_one_tower),
    "vgg_16": Architecture(vgg_16),
    "googlenet": Architecture(googlenet),
    "inception_v3": Architecture(inception_v3),
    "squeezenet_1_0": Architecture(squeezenet_1_0),
    "squeezenet_1_1": Architecture(squeezenet_1_1),
    "ssd_mobilenet_v1": Architecture(ssd_mobilenet_v1),
    "faster_rcnn_mobilenet": Architecture(faster_rcnn_mobilenet),
    "person_detector": Architecture(person_detector),
    "stanford_dogs": Architecture(stanford_dogs),
    "planet": Architecture(planet),
    "face_attributes": Architecture(face_attributes),
    "face_embedding": Architecture(face_embedding),
}


def architecture(name: str) -> Architecture:
    """The architecture of that name.

    Raises CostModelError, with the nearest names, where there is none.
    """
    if name in ZOO:
        return ZOO[name]
    from difflib import get_close_matches

    near = get_close_matches(name, ZOO, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"choose from {', '.join(ZOO)}"
    raise CostModelError(f"unknown network {name!r}; {hint} (a file's name ends in .json)")
