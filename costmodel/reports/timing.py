"""How an estimate of time is said: with ≈, the device it is of, and how far off it may be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from costmodel.errors import printable

if TYPE_CHECKING:
    from costmodel.metrics.devices import Device


def on_device(device: Device | None) -> str:
    """What a headline says of the device, if there is one.

    >>> from costmodel.metrics.devices import device
    >>> on_device(device("stm32h747_int8")).startswith(" · time on stm32h747_int8, median error")
    True
    """
    return "" if device is None else f" · {of_device(device)}"


def of_device(device: Device) -> str:
    """The device and its measured error."""
    within = f"90 % within {100 * device.spread:.1f} %"
    return f"time on {printable(device.name)}, {median(device)}, {within}"


def median(device: Device) -> str:
    """How far off half of its estimates are.

    >>> from costmodel.metrics.devices import device
    >>> median(device("stm32h747_int8")).startswith("median error ")
    True
    """
    return f"median error {100 * device.error:.1f} %"


def device_record(device: Device | None) -> dict[str, Any]:
    """The device as plain data, if there is one."""
    if device is None:
        return {}
    about = ("name", "machine", "runtime", "threads", "dtype", "error", "spread")
    return {"device": {name: getattr(device, name) for name in about}}
