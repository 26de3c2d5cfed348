"""A calibration for people: where its constants come from, how good they are, and what they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text

from costmodel.show.devices import UNITS, constants, percent

if TYPE_CHECKING:
    from rich.console import RenderableType

    from costmodel.backends.calibrating import Calibration


def summary(made: Calibration) -> RenderableType:
    """Its sources, its errors, and a line for each kind of operator."""
    device = made.device
    threads = f"{device.threads} thread{'s' * (device.threads != 1)}"
    facts = f"{device.name}: {device.machine} · {device.runtime} · {threads} · {device.dtype}"
    apart = f"the halves of the rounds {percent(made.disagreement)} apart"
    good = f"median {percent(device.error)}, 90 % within {percent(device.spread)}"
    return Group(
        Text(facts),
        Text(f"fitted on {device.fitted_on}; {apart}"),
        Text(f"error on {device.judged_on}: {good}"),
        Text(),
        constants(device),
        Text(UNITS, style="dim"),
    )
