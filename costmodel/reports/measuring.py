"""A report held against the clock: what this machine takes for what a device is said to."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from costmodel.backends.measuring import measured
from costmodel.errors import CostModelError, torch_or_error
from costmodel.reports.checking import too_large

if TYPE_CHECKING:
    from costmodel.reports.report import Report


def timed(report: Report) -> Report:
    """The report with its network timed here, in torch: layer by layer, and as a whole.

    What is timed as a whole is the traced model itself, and of a network the module built from it.

    Raises CostModelError without a device to compare, for one that computes in other numbers than
    float32, for a network too large to run, and where torch is missing.
    """
    if report.device is None:
        raise CostModelError("--measure compares a device's times with the clock; give a --device")
    torch_or_error("--measure")
    if report.device.dtype != "float32":
        what = f"{report.device.name} computes in {report.device.dtype}"
        raise CostModelError(f"{what}, and --measure runs float32 here; give a device of float32")
    if obstacle := too_large(report):
        raise CostModelError(f"--measure: {obstacle}")
    module = report.module if report.before is None else None
    return replace(report, measured=measured(report.network, module, threads=report.device.threads))
