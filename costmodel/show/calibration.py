"""A calibration for people: where its constants come from, how good they are, and what they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text

from costmodel.algebra.notation import si
from costmodel.show.grid import Grid

if TYPE_CHECKING:
    from rich.console import RenderableType

    from costmodel.backends.calibrating import Calibration
    from costmodel.metrics.devices import Constants


def summary(made: Calibration) -> RenderableType:
    """Its sources, its errors, and a line for each kind of operator."""
    device = made.device
    threads = f"{device.threads} thread{'s' * (device.threads != 1)}"
    facts = f"{device.name}: {device.machine} · {device.runtime} · {threads} · {device.dtype}"
    apart = f"the halves of the rounds {100 * made.disagreement:.1f} % apart"
    good = f"median {100 * device.error:.1f} %, 90 % within {100 * device.spread:.1f} %"
    head = ("kind", "start", "work/s", "B/s read", "B/s written", "B/s of weights")
    rows = tuple((kind, *_cells(constants)) for kind, constants in sorted(device.kinds.items()))
    return Group(
        Text(facts),
        Text(f"fitted on {device.fitted_on}; {apart}"),
        Text(f"error on {device.judged_on}: {good}"),
        Text(),
        Grid("", head, rows),
    )


def _cells(constants: Constants) -> tuple[str, ...]:
    """Microseconds, and rates; a dash for what takes no time."""
    start, *rates = vars(constants).values()
    return f"{1e6 * start:.1f} µs", *(si(rate) if rate else "–" for rate in rates)
