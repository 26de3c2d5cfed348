"""What a traced model has fixed itself: sizes that are recorded, and refuse any others by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from costmodel.algebra.arithmetic import must_equal
from costmodel.core.shapes import refuse

if TYPE_CHECKING:
    from costmodel.algebra.arithmetic import Dim
    from costmodel.core.layer import Layer

TRACE_AGAIN = "trace again at that size"


def agree_fixed(layer: Layer, size: Dim, other: Dim) -> bool:
    """Whether two sizes are one, of which the layer may have fixed one."""
    return must_equal(size, other, f"{layer.name} fixes its input's size")


def refuse_size(layer: Layer, who: str, fixed: object, got: object) -> NoReturn:
    """Refuse another size than the one that was traced."""
    refuse(layer, f"{who}fixes its input's size to {fixed}, got {got}", TRACE_AGAIN)
