"""MobileNetV1 in the applications of Howard et al. 2017, §4.3–4.7; α and ρ by `widen` and `resize`.

Tables 10, 12 and 14 print no head. Where a head is known or follows from the printed figures it
is here, and each docstring says which cells it gives and which it doesn't.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costmodel.core.network import Network
from costmodel.core.relations import Fixed
from costmodel.core.rewrite import drop
from costmodel.layers import Linear
from costmodel.zoo.mobilenet import mobilenet_v1

if TYPE_CHECKING:
    from costmodel.algebra.arithmetic import Dim


def stanford_dogs(
    *, classes: int = 120, resolution: Dim = 224, in_channels: int = 3, batch: int = 1
) -> Network:
    """Fine-grained recognition (§4.3, Table 10): Stanford Dogs has 120 breeds.

    All four parameter counts are the printed ones. The printed mult-adds are ImageNet's, with
    1000 classes: 569 M and 418 M where 120 classes make 567.8 M and 417.2 M.

    >>> from costmodel import cost
    >>> cost(stanford_dogs())
    Cost(macs=567839232, params=3329976, activations=5042808)
    """
    network = mobilenet_v1(
        classes=classes, resolution=resolution, in_channels=in_channels, batch=batch
    )
    return Network("stanford_dogs", network.layers)


def planet(
    *, classes: int = 10_000, resolution: Dim = 224, in_channels: int = 3, batch: int = 1
) -> Network:
    """Geolocation (§4.4, PlaNet): "3 million for the body and 10 million for the final layer".

    The classes are cells of the Earth's surface, of a number that the paper doesn't give. From
    9,269 to 10,041 agree with every printed figure (13 M parameters in all, and 0.58 M mult-adds,
    which are billions); the 26,263 cells of the PlaNet paper do not.

    >>> from costmodel import cost
    >>> cost(planet())
    Cost(macs=577956352, params=13456976, activations=5052688)
    """
    network = mobilenet_v1(
        classes=classes, resolution=resolution, in_channels=in_channels, batch=batch
    )
    return Network("planet", network.layers)


def face_attributes(*, resolution: Dim = 224, in_channels: int = 3, batch: int = 1) -> Network:
    """Face attributes (§4.5, Table 12): the body and its pooled features, without a head.

    The attributes are not public. Up to 41 of them leave every cell as it is; nine of the twelve
    are the printed ones. Of the others 0.5 MobileNet-128 prints 48 M for 48.6 M, and the two with
    α = 0.25 print 45 M and 15 M for 40.8 M and 13.3 M (Table 6 has 41 M for the same body).

    >>> from costmodel import cost
    >>> cost(face_attributes())
    Cost(macs=567716352, params=3206976, activations=5042688)
    """
    network = mobilenet_v1(resolution=resolution, in_channels=in_channels, batch=batch)
    return Network("face_attributes", drop(network, "classifier").layers)


def face_embedding(
    *, embedding: int = 128, resolution: Dim = 160, in_channels: int = 3, batch: int = 1
) -> Network:
    """Face embeddings (§4.7, Table 14): FaceNet's 128 numbers (Schroff et al. 2015), linearly.

    An assumption: the paper describes no head, and no simple one on this body fits the figures.
    They have more parameters at 128 px than at 160, 5.5 M and 4.9 M where this has 3.3 M, and at
    160 px fewer mult-adds (286 M) than the body alone (289.7 M). What agrees is the 166 M of the
    first "0.75 MobileNet-128", if it is one of 160 px.

    >>> from costmodel import cost
    >>> cost(face_embedding())
    Cost(macs=289782272, params=3338176, activations=2572928)
    """
    network = mobilenet_v1(resolution=resolution, in_channels=in_channels, batch=batch)
    body = drop(network, "classifier").layers
    return Network("face_embedding", (*body, Linear("embedding", Fixed(embedding))))
