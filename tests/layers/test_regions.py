"""Regions cut out of a map: their shape, what they cost, and what they refuse."""

from __future__ import annotations

from typing import Any

import pytest

from costmodel import CostModelError, Network, cost, lower
from costmodel.core import Elementwise, infer
from costmodel.layers import Conv, CropAndResize, Input


def test_each_image_has_its_proposals() -> None:
    """Regions of 4 images stand along the batch, and a crop multiplies nothing itself."""
    layers = (Input("image", (4, 3, 20, 24)), CropAndResize("crop", 5, 7), Conv("conv", 6, 3))
    network = Network("n", layers)
    assert [place.output for place in infer(network)][1:] == [(20, 3, 7, 7), (20, 6, 5, 5)]
    (crop,) = (place for place in lower(network) if place.layer.name == "crop")
    assert crop.elementwise == (Elementwise("crop_and_resize", (20, 3, 7, 7)),)
    assert cost(network).macs == 9 * 3 * 6 * 20 * 5 * 5


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"proposals": 0, "output_size": 7}, "crop: proposals must be"),
        ({"proposals": 1.5, "output_size": 7}, "crop: proposals must be"),
        ({"proposals": 1, "output_size": 7, "inputs": 3}, "crop: inputs must be"),
    ],
)
def test_what_is_no_crop(settings: dict[str, Any], words: str) -> None:
    """What is wrong is named where it is written, the fields of every layer included."""
    with pytest.raises(CostModelError, match=f"^{words}"):
        CropAndResize("crop", **settings)
