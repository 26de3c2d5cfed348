"""The detectors and the paper's applications: printed figures, and real models layer by layer."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from torch_models.detection import SSD, FasterRCNN, PersonDetector

from costmodel import (
    CostModelError,
    Network,
    cost,
    crosscheck,
    drop,
    from_json,
    lower,
    mobilenet_v1,
    resize,
    to_json,
    widen,
)
from costmodel.core import infer
from costmodel.layers import CropAndResize
from costmodel.zoo.applications import face_attributes, face_embedding, planet, stanford_dogs
from costmodel.zoo.detection import faster_rcnn_mobilenet, person_detector, ssd_mobilenet_v1

if TYPE_CHECKING:
    from collections.abc import Callable

#: MACs of MobileNetV1's conv1 and eleven blocks at 300 px; a block of stride 2 filters at the
#: size it makes.
FEATURES_300 = (
    (9 * 3 * 32 + 9 * 32 + 32 * 64) * 150**2
    + (9 * 64 + 64 * 128 + 9 * 128 + 128 * 128) * 75**2
    + (9 * 128 + 128 * 256 + 9 * 256 + 256 * 256) * 38**2
    + (9 * 256 + 256 * 512 + 5 * (9 * 512 + 512 * 512)) * 19**2
)


def _with_layer(network: Network, name: str, **changes: object) -> Network:
    layers = (
        replace(layer, **changes) if layer.name == name else layer for layer in network.layers
    )
    return Network(network.name, tuple(layers))


def test_ssds_maps_are_19_10_5_3_2_1() -> None:
    """Each head of SSD-300 sees the map that the Object Detection API gives it."""
    sides = [
        p.output[2]
        for p in infer(ssd_mobilenet_v1())
        if p.layer.name.startswith("head") and p.layer.name.endswith(".boxes")
    ]
    assert sides == [19, 10, 5, 3, 2, 1]


def test_ssds_macs_map_by_map() -> None:
    """SSD-300's MACs are those of the body, the extra layers and the heads: 1.2 B as printed."""
    last_blocks = (9 * 512 + 512 * 1024 + 9 * 1024 + 1024 * 1024) * 10**2
    extras = (1024 * 256) * 10**2 + (9 * 256 * 512 + 512 * 128) * 5**2
    extras += (9 * 128 * 256 + 256 * 128) * 3**2 + (9 * 128 * 256 + 256 * 64) * 2**2
    extras += 9 * 64 * 128
    anchor = 4 + 91  # a box and the scores of 90 classes and the background
    heads = 3 * 512 * 19**2
    heads += 6 * (1024 * 10**2 + 512 * 5**2 + 256 * 3**2 + 256 * 2**2 + 128)
    total = cost(ssd_mobilenet_v1()).macs
    assert total == FEATURES_300 + last_blocks + extras + anchor * heads == 1_237_129_408


#: Howard et al. 2017, Table 13: mult-adds in billions.
PRINTED = [
    (ssd_mobilenet_v1, 300, 1.2, 6.8),
    (faster_rcnn_mobilenet, 300, 25.2, 6.1),
    (faster_rcnn_mobilenet, 600, 30.5, 6.1),
]


@pytest.mark.parametrize(("build", "side", "billions", "millions"), PRINTED)
def test_table_13(
    build: Callable[..., Network], side: int, billions: float, millions: float
) -> None:
    """Table 13's MobileNet rows are the figures of these constructions, rounded."""
    total = cost(build(resolution=side))
    assert (round(total.macs / 1e9, 1), round(total.params / 1e6, 1)) == (billions, millions)


def test_faster_rcnns_stages() -> None:
    """Faster R-CNN's MACs are features, proposals and 300 times the second stage."""
    proposals = (9 * 512 * 512 + 512 * 12 * (4 + 2)) * 19**2
    # Crops of 14×14 become 7×7 in block 12: a box for each class, a score also for none.
    second = (9 * 512 + 512 * 1024 + 9 * 1024 + 1024 * 1024) * 7**2 + 1024 * (90 * 4 + 91)
    total = cost(faster_rcnn_mobilenet(resolution=300)).macs
    assert total == FEATURES_300 + proposals + 300 * second == 25_224_412_096


def test_max_pooled_crops_would_not_fit_the_print() -> None:
    """7×7 crops, as of the API's sample configurations, make 9.5 B where 25.2 B is printed."""
    pooled = _with_layer(faster_rcnn_mobilenet(resolution=300), "crop", output_size=7)
    assert cost(pooled).macs == 9_516_200_896


def test_the_authors_own_mobilenet() -> None:
    """Huang et al. 2017, Table 2: 3,191,072 parameters are weights and one shift a block."""
    body = drop(mobilenet_v1(), "classifier")
    weights = sum(p.count for x in lower(body) for p in x.parameters if p.role == "weight")
    shifts = 32 + 64 + 2 * 128 + 2 * 256 + 6 * 512 + 2 * 1024  # conv1's and the pointwise halves'
    assert weights + shifts == 3_191_072


def test_crops_keep_their_size_and_follow_the_channels() -> None:
    """`resize` leaves the crops at 14×14, `widen` narrows them, and a batch multiplies them."""
    network = widen(resize(faster_rcnn_mobilenet(proposals=5, batch=2), resolution=97), 0.5)
    (crops,) = [p.output for p in infer(network) if isinstance(p.layer, CropAndResize)]
    assert crops == (2 * 5, 256, 14, 14)


def test_crops_in_json() -> None:
    """A Faster R-CNN reads back from JSON equal."""
    network = faster_rcnn_mobilenet(resolution=300)
    assert from_json(to_json(network)) == network


def test_no_proposals_is_an_error() -> None:
    """Zero proposals are refused, and the layer is named."""
    with pytest.raises(CostModelError, match="crop: proposals"):
        faster_rcnn_mobilenet(proposals=0)


@pytest.mark.parametrize("side", [64, 97, pytest.param(300, marks=pytest.mark.slow)])
def test_ssd_against_torch(side: int) -> None:
    """Every layer of SSD-MobileNet has the tools' count."""
    assert crosscheck(ssd_mobilenet_v1(resolution=side), SSD()).mismatches == ()


@pytest.mark.parametrize("side", [64, 97])
def test_faster_rcnn_against_torch(side: int) -> None:
    """Every layer of Faster R-CNN has the tools' count, with three proposals for each image."""
    network = faster_rcnn_mobilenet(resolution=side, proposals=3, batch=2, classes=7)
    assert crosscheck(network, FasterRCNN(classes=7, proposals=3)).mismatches == ()


@pytest.mark.slow
@pytest.mark.parametrize("side", [300, 600])
def test_the_papers_faster_rcnns_against_torch(side: int) -> None:
    """So have the paper's two, with 300 proposals."""
    assert crosscheck(faster_rcnn_mobilenet(resolution=side), FasterRCNN()).mismatches == ()


@pytest.mark.parametrize("side", [96, 97])
def test_person_detector_against_torch(side: int) -> None:
    """Every layer of the person detector has the tools' count."""
    assert crosscheck(person_detector(resolution=side), PersonDetector()).mismatches == ()


def test_person_detectors_published_parameters() -> None:
    """Keras's 221,794: these, and for each of 2,736 channels a bias, a mean and a variance."""
    channels = 8 + 8 + 2 * 16 + 4 * 32 + 4 * 64 + 12 * 128 + 3 * 256
    assert channels == 2736
    assert cost(person_detector()).params + 3 * channels == 221_794
    assert cost(person_detector()).macs == 7_489_664


MUTATIONS = {
    "six anchors on SSD's first map": (
        ssd_mobilenet_v1(resolution=64),
        SSD,
        "head1.scores",
        {"out_channels": 6 * 91},
    ),
    "a second stage without its stride": (
        faster_rcnn_mobilenet(resolution=64, proposals=2),
        lambda: FasterRCNN(proposals=2),
        "block12.dw",
        {"stride": 1},
    ),
    "Table 1's stride 2 in the person detector's last block": (
        person_detector(),
        PersonDetector,
        "block13.dw",
        {"stride": 2},
    ),
}


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_mutated_detector_is_caught(mutation: str) -> None:
    """Each mutation of one layer makes the check fail, and the layer is named."""
    network, module, name, changes = MUTATIONS[mutation]
    made = crosscheck(_with_layer(network, name, **changes), module())
    assert name in {c.layer for c in made.mismatches}


#: Howard et al. 2017, Tables 10, 12 and 14: α, resolution, the printed mult-adds and parameters
#: in millions, and which of the two this head gives.
CELLS = [
    (stanford_dogs(), 1, 224, (569, 3.3), (False, True)),  # mult-adds of 1000 classes
    (stanford_dogs(), 0.75, 224, (325, 1.9), (True, True)),
    (stanford_dogs(), 1, 192, (418, 3.3), (False, True)),  # mult-adds of 1000 classes
    (stanford_dogs(), 0.75, 192, (239, 1.9), (True, True)),
    (face_attributes(), 1, 224, (568, 3.2), (True, True)),
    (face_attributes(), 0.5, 224, (149, 0.8), (True, True)),
    (face_attributes(), 0.25, 224, (45, 0.2), (False, True)),  # 40.8
    (face_attributes(), 1, 128, (185, 3.2), (True, True)),
    (face_attributes(), 0.5, 128, (48, 0.8), (False, True)),  # 48.6
    (face_attributes(), 0.25, 128, (15, 0.2), (False, True)),  # 13.3
    (face_embedding(), 1, 160, (286, 4.9), (False, False)),  # 289.8 and 3.3
    (face_embedding(), 1, 128, (185, 5.5), (False, False)),  # 185.5 and 3.3
    (face_embedding(), 0.75, 160, (166, 3.4), (True, False)),  # 1.9; printed as of 128 px
    (face_embedding(), 0.75, 128, (108, 3.8), (False, False)),  # 106.1 and 1.9
]


@pytest.mark.parametrize(("network", "alpha", "side", "printed", "fits"), CELLS)
def test_tables_10_12_and_14(
    network: Network, alpha: float, side: int, printed: tuple[int, float], fits: tuple[bool, bool]
) -> None:
    """The applications' heads give these printed cells, and not the others."""
    total = cost(widen(resize(network, resolution=side), alpha))
    rounded = (round(total.macs / 1e6), round(total.params / 1e6, 1))
    assert (rounded[0] == printed[0], rounded[1] == printed[1]) == fits


def test_table_10s_mult_adds_are_imagenets() -> None:
    """Stanford Dogs' printed 569 M and 418 M are those of 1000 classes, not of 120."""
    for side, printed in ((224, 569), (192, 418)):
        assert round(cost(mobilenet_v1(resolution=side)).macs / 1e6) == printed
        assert round(cost(stanford_dogs(resolution=side)).macs / 1e6) == printed - 1


def test_planets_cells() -> None:
    """PlaNet's printed figures hold for 9,269 to 10,041 cells, and 3 M + 10 M at the default."""

    def figures(classes: int) -> tuple[float, int, int]:
        total = cost(planet(classes=classes))
        last = 1024 * classes + classes
        return round(total.macs / 1e9, 2), round(total.params / 1e6), round(last / 1e6)

    printed = (0.58, 13, 10)
    assert figures(9269) == figures(10_000) == figures(10_041) == printed
    assert printed not in {figures(9268), figures(10_042), figures(26_263)}
