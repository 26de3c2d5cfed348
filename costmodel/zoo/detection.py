"""Detectors on MobileNetV1, as the authors' own code builds them: Howard et al. 2017, Table 13."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costmodel.core.network import Network
from costmodel.core.relations import SAME, Fixed
from costmodel.core.rewrite import drop, widen
from costmodel.layers import (
    Activation,
    AdaptivePool,
    BatchNorm,
    Conv,
    CropAndResize,
    Flatten,
    Linear,
)
from costmodel.zoo.mobilenet import mobilenet_v1

if TYPE_CHECKING:
    from costmodel.algebra.arithmetic import Dim
    from costmodel.core.fields import Width
    from costmodel.core.layer import Layer

CLASSIFIER = ("pool", "flatten", "classifier")

# TensorFlow Object Detection API, ssd_mobilenet_v1_feature_extractor.py: what follows the body,
# the channels of each 1×1 convolution and of the 3×3 of stride 2 after it.
SSD_EXTRAS = ((256, 512), (128, 256), (128, 256), (64, 128))

# Its feature maps, with the anchors that ssd_mobilenet_v1_coco.config puts at each position.
SSD_MAPS = (
    ("block11.pw.act", 3),
    ("block13.pw.act", 6),
    ("extra1.down.act", 6),
    ("extra2.down.act", 6),
    ("extra3.down.act", 6),
    ("extra4.down.act", 6),
)

# faster_rcnn_inception_v2_coco.config, the same pipeline: 4 scales × 3 aspect ratios.
RPN_ANCHORS = 4 * 3


def ssd_mobilenet_v1(
    *, classes: int = 90, resolution: Dim = 300, in_channels: int = 3, batch: int = 1
) -> Network:
    """SSD-MobileNet 300 (`ssd_mobilenet_v1_coco` of the TensorFlow Object Detection API).

    Boxes and scores are predicted by 1×1 convolutions on six maps of 19, 10, 5, 3, 2 and 1
    positions a side; the scores are of the classes and of the background. The paper prints
    1.2 B mult-adds and 6.8 M parameters.

    >>> from costmodel import cost
    >>> cost(ssd_mobilenet_v1())
    Cost(macs=1237129408, params=6819839, activations=9406371)
    """
    body = mobilenet_v1(resolution=resolution, in_channels=in_channels, batch=batch)
    layers = [*drop(body, CLASSIFIER).layers]
    for i, (reduced, channels) in enumerate(SSD_EXTRAS, start=1):
        layers += _conv(f"extra{i}.reduce", reduced)
        layers += _conv(f"extra{i}.down", channels, 3, 2)
    for i, (source, anchors) in enumerate(SSD_MAPS, start=1):
        layers += _box_predictor(f"head{i}", source, anchors, classes)
    return Network("ssd_mobilenet_v1", tuple(layers))


def faster_rcnn_mobilenet(
    *,
    classes: int = 90,
    resolution: Dim = 600,
    proposals: int = 300,
    in_channels: int = 3,
    batch: int = 1,
) -> Network:
    """Faster R-CNN with MobileNetV1 (Huang et al. 2017, §3.6.1), of 300 or 600 px.

    The body up to block 11 (stride 16) serves a region proposal network; 14×14 crops of its
    features, 300 an image, go through blocks 12 and 13, and a box for each class and a score
    for each and the background follow. Layers are those of the authors' Object Detection API
    (`faster_rcnn_mobilenet_v1_feature_extractor.py`), whose second stage has no batch norm
    between depthwise and pointwise. The MobileNet paper doesn't describe it, and prints
    25.2 B mult-adds at 300 px, 30.5 B at 600 and 6.1 M parameters: just these.

    >>> from costmodel import cost
    >>> [cost(faster_rcnn_mobilenet(resolution=side)).macs for side in (300, 600)]
    [25224412096, 30493700224]
    >>> cost(faster_rcnn_mobilenet()).params
    6062923
    """
    body = mobilenet_v1(resolution=resolution, in_channels=in_channels, batch=batch)
    first_stage = drop(body, ("block12.*", "block13.*", *CLASSIFIER)).layers
    layers = [
        *first_stage,
        Conv("rpn", Fixed(512), 3, padding=1, bias=True),
        Activation("rpn.act", "relu6"),
        *_predictor("rpn", "rpn.act", 4 * RPN_ANCHORS, 2 * RPN_ANCHORS),
        CropAndResize("crop", proposals, 14, inputs=(first_stage[-1].name,)),
        *_separable("block12", 1024, 2),
        *_separable("block13", 1024, 1),
        AdaptivePool("pool"),
        Flatten("flatten"),
        Linear("boxes", Fixed(4 * classes)),
        Linear("scores", Fixed(classes + 1), inputs=("flatten",)),
    ]
    return Network("faster_rcnn_mobilenet", tuple(layers))


def person_detector(
    *, classes: int = 2, resolution: Dim = 96, in_channels: int = 3, batch: int = 1
) -> Network:
    """MLPerf Tiny's visual wake words (Banbury et al. 2021): MobileNetV1 with α = 0.25 at 96 px.

    The benchmark's Keras model has 221,794 parameters. It gives each convolution a bias, which
    batch norm makes redundant, and counts two running statistics a channel besides: 3 · 2,736
    more than these.

    >>> from costmodel import cost
    >>> cost(person_detector())
    Cost(macs=7489664, params=213586, activations=231554)
    """
    network = mobilenet_v1(
        classes=classes, resolution=resolution, in_channels=in_channels, batch=batch
    )
    return Network("person_detector", widen(network, "1/4").layers)


def _conv(name: str, width: Width, kernel: int = 1, stride: int = 1) -> list[Layer]:
    """A convolution without bias, batch norm and ReLU6."""
    return [
        Conv(name, width, kernel, stride, padding=kernel // 2),
        BatchNorm(f"{name}.norm"),
        Activation(f"{name}.act", "relu6"),
    ]


def _separable(name: str, width: Width, stride: int) -> list[Layer]:
    """TF-slim's `separable_conv2d`: batch norm and ReLU6 after the pair only."""
    depthwise = Conv(f"{name}.dw", SAME, 3, stride, padding=1, groups=SAME)
    return [depthwise, *_conv(f"{name}.pw", width)]


def _box_predictor(name: str, source: str, anchors: int, classes: int) -> list[Layer]:
    """At each position and for each anchor a box and the scores, background included."""
    return _predictor(name, source, 4 * anchors, (classes + 1) * anchors)


def _predictor(name: str, source: str, boxes: int, scores: int) -> list[Layer]:
    """Two 1×1 convolutions with bias, side by side on one feature map."""
    return [
        Conv(f"{name}.boxes", Fixed(boxes), 1, bias=True, inputs=(source,)),
        Conv(f"{name}.scores", Fixed(scores), 1, bias=True, inputs=(source,)),
    ]
