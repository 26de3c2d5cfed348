"""The zoo's MobileNets, and what is built on them, against real torch models."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from torch import nn
from torch_models.mobilenet_v2 import MobileNetV2

from costmodel import ZOO, Network, crosscheck, resize, widen
from costmodel.layers import Conv, Times
from costmodel.reference.mobilenet import MobileNetV1
from costmodel.zoo import mobilenet_v2

if TYPE_CHECKING:
    from collections.abc import Callable


def shallow() -> MobileNetV1:
    """The reference without its five layers of 14×14×512."""
    module = MobileNetV1()
    for i in range(7, 12):
        delattr(module, f"block{i}")
    return module


def with_head(head: nn.Module | None = None, **settings: int) -> MobileNetV1:
    """The reference with another head in place of its classifier, or none."""
    module = MobileNetV1(**settings)
    del module.classifier
    if head is not None:
        module.embedding = head
    return module


#: What each of the paper's variants is as a torch model: the last layer is typed in here.
VARIANTS: dict[str, Callable[[], nn.Module]] = {
    "shallow_mobilenet": shallow,
    "stanford_dogs": lambda: MobileNetV1(classes=120),
    "planet": lambda: MobileNetV1(classes=10_000),
    "face_attributes": with_head,
    "face_embedding": lambda: with_head(nn.Linear(1024, 128)),
}


SIDES = [64, pytest.param(97, marks=pytest.mark.slow)]


@pytest.mark.parametrize("resolution", SIDES)
@pytest.mark.parametrize("name", VARIANTS)
def test_variants_of_mobilenet_v1(name: str, resolution: int) -> None:
    """Each application's network is the reference with that head, figure by figure."""
    network = resize(ZOO[name].build(), resolution=resolution)
    assert crosscheck(network, VARIANTS[name]()).mismatches == ()


@pytest.mark.parametrize("resolution", SIDES)
@pytest.mark.parametrize("alpha", [0.35, 1.0, 1.4])
def test_mobilenet_v2(alpha: float, resolution: int) -> None:
    """With relations and divisible(8) it is, figure by figure, the real MobileNetV2."""
    network = widen(mobilenet_v2(resolution=resolution), alpha, "divisible(8)")
    assert crosscheck(network, MobileNetV2(alpha)).mismatches == ()


def test_a_mutated_mobilenet_v2_is_caught() -> None:
    """Expansions of a plain count, and not six times the rounded input, are found."""
    network = mobilenet_v2(resolution=64)
    plain = tuple(
        replace(x, out_channels=192) if x.name == "block5.expand" else x for x in network.layers
    )
    assert isinstance(network["block5.expand"], Conv)
    assert network["block5.expand"].out_channels == Times(6)
    wide = widen(Network("plain", plain), 0.35, "divisible(8)")
    found = crosscheck(wide, MobileNetV2(0.35)).mismatches
    assert "block5.expand" in {mismatch.layer for mismatch in found}
