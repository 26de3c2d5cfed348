"""What the explorer says of the device whose time it estimates: its constants, with units."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from costmodel.algebra.notation import si
from costmodel.reports.timing import of_device

if TYPE_CHECKING:
    from costmodel.metrics.devices import Constants, Device

_SECTION = """
  <section class="card wide" aria-labelledby="device-title">
    <h2 id="device-title">Time on {name}</h2>
    <p class="hint">{about}.</p>
    <p class="hint">A layer takes its start, and its work and bytes at these rates. \
{judged}.</p>
    <div class="scroll" tabindex="0" role="region" aria-labelledby="device-title">
      <table>
        <thead><tr>{headings}</tr></thead>
        <tbody>
{rows}
        </tbody>
      </table>
    </div>
  </section>"""
_HEADINGS = ("Kind", "Start", "Work", "Read", "Written", "Weights")


def sentence(device: Device) -> str:
    """A sentence after the page's first.

    >>> from costmodel.metrics.devices import device
    >>> sentence(device("stm32h747_int8"))[:45]
    ' Estimated (≈): time on stm32h747_int8, media'
    """
    return f" Estimated (≈): {escape(of_device(device))}."


def section(device: Device) -> str:
    """The device's facts, and a row of constants for each kind of operator.

    >>> from costmodel.metrics.devices import device
    >>> "stm32h747_int8" in section(device("stm32h747_int8"))
    True
    """
    threads = f"{device.threads} thread{'s' * (device.threads != 1)}"
    facts = (device.machine, device.runtime, threads, device.dtype, device.date)
    left = ' class="left"'
    headings = (f'<th scope="col"{left * (title == "Kind")}>{title}</th>' for title in _HEADINGS)
    return _SECTION.format(
        name=escape(device.name),
        about=escape(" · ".join(facts)),
        judged=escape(f"Fitted on {device.fitted_on}; judged on {device.judged_on}"),
        headings="".join(headings),
        rows="\n".join(f"          {_row(*kind)}" for kind in device.kinds.items()),
    )


def _row(kind: str, constants: Constants) -> str:
    rates = (constants.read_per_s, constants.written_per_s, constants.weights_per_s)
    cells = (
        f"{1e6 * constants.start_s:.3g} µs",
        _rate(constants.work_per_s, "/s"),
        *(_rate(rate, "B/s") for rate in rates),
    )
    name = escape(kind.replace("_", " "))
    text = "".join(f"<td>{cell}</td>" for cell in cells)
    return f'<tr><th scope="row" class="left">{name}</th>{text}</tr>'


def _rate(rate: float | None, unit: str) -> str:
    """A rate with its unit; a dash where it takes no time."""
    return "–" if rate is None else f"{si(rate)}{unit}"
