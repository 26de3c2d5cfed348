"""Devices for someone who chooses one: whose times, how good, and of what they are made."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text

from costmodel.show.grid import Grid, plain_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from costmodel.metrics.devices import Constants, Device

NOTE = "≈: the median error of times that were left out; 90 %: what most are within"
UNITS = "what has no rate (–) takes no time of its own"


def rich(listed: Sequence[Device], chosen: Sequence[Device]) -> RenderableType:
    """For a terminal: a row for each that is listed, and the constants of the chosen ones."""
    table = [_table(listed), Text(), Text(NOTE, style="dim"), Text()] if listed else []
    return Group(*table, *map(_details, chosen))


def _table(devices: Sequence[Device]) -> RenderableType:
    """A row each; words fold, and figures stay whole."""
    table = plain_table()
    table.add_column("device", no_wrap=True)
    table.add_column("machine, runtime", overflow="fold", ratio=1)
    table.add_column("fitted on", overflow="fold", ratio=1)
    for title in ("threads", "dtype", "≈", "90 %"):
        table.add_column(title, justify="right", no_wrap=True)
    for device in devices:
        words = (device.name, f"{device.machine}; {device.runtime}", device.fitted_on)
        figures = (str(device.threads), device.dtype, percent(device.error), percent(device.spread))
        table.add_row(*map(Text, (*words, *figures)))
    return table


def percent(share: float) -> str:
    """A share of one in percent, with two or three digits.

    >>> percent(0.0366), percent(0.124)
    ('3.7 %', '12.4 %')
    """
    return f"{100 * share:.1f} %"


def _details(device: Device) -> RenderableType:
    """What it says of itself, and its constants."""
    right = f"≈ {percent(device.error)} off in the median, 90 % within {percent(device.spread)}"
    lines = (
        f"{device.machine}; {device.runtime}; threads: {device.threads}; {device.dtype}",
        f"fitted on {device.fitted_on}, {device.date}",
        f"{right}: {device.judged_on}",
    )
    name = Text(device.name, style="bold")
    return Group(name, *map(Text, lines), Text(), constants(device), Text(UNITS, style="dim"))


def constants(device: Device) -> Grid:
    """The constants of each kind of operator, in units to read."""
    head = ("kind", "start µs", "GMAC/s", "read GB/s", "written GB/s", "weights GB/s")
    rows = tuple((kind, *_cells(each)) for kind, each in device.kinds.items())
    return Grid("", head, rows)


def _cells(constants: Constants) -> tuple[str, ...]:
    rates = (
        constants.work_per_s,
        constants.read_per_s,
        constants.written_per_s,
        constants.weights_per_s,
    )
    start = f"{1e6 * constants.start_s:.3g}"
    return (start, *("–" if rate is None else f"{rate / 1e9:.3g}" for rate in rates))


def to_json(devices: Sequence[Device]) -> str:
    """For a program: a list of what their files hold."""
    return json.dumps([asdict(device) for device in devices], indent=2, ensure_ascii=False) + "\n"
