"""The layer of detectors that cuts regions out of a feature map.

It is no part of the zoo, which is only loaded when asked for: a network that holds it must be
readable from JSON without.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from costmodel.core.lower import lower_rule
from costmodel.core.nest import Elementwise
from costmodel.core.network import Layer, Positive
from costmodel.core.shapes import ranked, shape_rule

if TYPE_CHECKING:
    from costmodel.core.lower import Rule
    from costmodel.core.network import Shape
    from costmodel.core.shapes import Inputs, Widths


@dataclass(frozen=True)
class CropAndResize(Layer):
    """The regions of a feature map that `proposals` name, each resized to `output_size`.

    They stand along the batch: the second stage of a Faster R-CNN runs once for each. Choosing
    and interpolating them is no multiply–accumulate.

    >>> from costmodel import Input, Network, infer
    >>> image = Input("image", (1, 512, 38, 38))
    >>> infer(Network("crops", (image, CropAndResize("crop", 300, 14))))[-1].output
    (300, 512, 14, 14)

    Raises CostModelError for proposals or a size below 1.
    """

    proposals: Positive
    output_size: Positive


@shape_rule(CropAndResize)
def _crop_shape(layer: CropAndResize, inputs: Inputs, _widths: Widths) -> Shape:
    batch, channels, *sides = ranked(layer, inputs[0], 3)
    return batch * layer.proposals, channels, *[layer.output_size] * len(sides)


@lower_rule(CropAndResize)
def _crop(_layer: CropAndResize, _inputs: Inputs, output: Shape) -> Rule:
    return (Elementwise("crop_and_resize", output),), ()
