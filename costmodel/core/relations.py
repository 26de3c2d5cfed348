"""Widths: counts, and what they relate to where an architecture has relations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from costmodel.algebra.arithmetic import Dim


@dataclass(frozen=True)
class Times:
    """A width that is a multiple of the input's (or of layer `of`'s) channels, as rounded.

    Depthwise convolutions have `Times(1)`, MobileNetV2's expansions `Times(6)`.

    >>> from costmodel import Network
    >>> from costmodel.core import infer
    >>> from costmodel.layers import Conv, Input
    >>> expand = Conv("expand", Times(6), kernel=1)
    >>> infer(Network("block", (Input("image", (1, 24, 56, 56)), expand)))[-1].output
    (1, 144, 56, 56)
    """

    factor: int = 1
    of: str = ""


@dataclass(frozen=True)
class AtLeast:
    """A width that grows with α and never shrinks, as MobileNetV2's last 1280.

    >>> from costmodel import widen
    >>> from costmodel.zoo import mobilenet_v2
    >>> [widen(mobilenet_v2(), a)["conv2"].out_channels.count for a in (0.5, 1.4)]
    [1280, 1792]
    """

    count: Dim


@dataclass(frozen=True)
class Fixed:
    """A width that α leaves alone: the classes.

    >>> from costmodel import mobilenet_v1, widen
    >>> widen(mobilenet_v1(), 0.5)["classifier"].out_features
    Fixed(count=1000)
    """

    count: Dim


SAME = Times(1)


def count(width: Dim | Times | AtLeast | Fixed, own: Dim, widths: Mapping[str, Dim]) -> Dim:
    """The channels a width stands for, given those of its own input and of other layers."""
    if type(width) is int:  # as most are: this is a planner's inner loop
        return width
    if isinstance(width, Times):
        return (widths[width.of] if width.of else own) * width.factor
    return width.count if isinstance(width, (AtLeast, Fixed)) else width
