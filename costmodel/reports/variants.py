"""Networks at settings of their own, as in mobilenet_v1@0.5,160."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costmodel.errors import CostModelError
from costmodel.reports.report import Report

if TYPE_CHECKING:
    from collections.abc import Sequence

    from costmodel.metrics.devices import Device

FORM = "a variant is name[@alpha[,resolution[,classes]]], as mobilenet_v1@0.5,160"


def variant(text: str, device: Device | None = None) -> Report:
    """The report of a variant such as `mobilenet_v1@0.5,160,10`.

    >>> variant("mobilenet_v1@0.5,160").total.macs
    76524800

    Raises CostModelError for an unknown name and a malformed variant.
    """
    name, at, settings = (text, "", "") if text.endswith(".json") else text.partition("@")
    parts = settings.split(",") if at else []
    if len(parts) > 3 or "" in parts or not name:  # noqa: PLR2004 - α, resolution, classes
        raise CostModelError(f"malformed variant {text!r}; {FORM}")
    given: dict[str, str] = dict(zip(("alpha", "resolution", "classes"), parts, strict=False))
    return Report.of(
        name,
        alpha=given.get("alpha", 1),
        resolution=given.get("resolution"),
        classes=given.get("classes"),
        device=device,
    )


def compare(variants: Sequence[str], device: Device | None = None) -> tuple[Report, ...]:
    """The reports of some variants, in their order, with their time on a device if there is one.

    >>> [report.total.params for report in compare(["mobilenet_v1", "mobilenet_v2"])]
    [4231976, 3504872]
    """
    return tuple(variant(text, device) for text in variants)
