"""A report held against a real torch model, or the reason why it cannot be."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING

from costmodel.core.shapes import infer
from costmodel.errors import INSTALL, CostModelError
from costmodel.reports.report import Unchecked
from costmodel.tools.crosscheck import CrossCheck, crosscheck, crosscheck_traced, torch_is_installed

if TYPE_CHECKING:
    from torch import nn

    from costmodel.reports.report import Report

#: A real forward pass of more than this would take minutes, or more memory than there is.
MAX_CHECKED = {"MACs": 10**12, "parameters": 10**9, "elements in one layer": 3 * 10**8}

#: The torch models written from the papers, and the twins of those that are separable.
REFERENCES = {
    "mobilenet_v1": ("MobileNetV1", "conv_mobilenet"),
    "conv_mobilenet": ("conv_mobilenet",),
}


def checked(report: Report) -> Report:
    """The report with the check made, or the reason why it cannot be made here."""
    return replace(report, check=_check(report))


def _check(report: Report) -> CrossCheck | Unchecked:
    """The network counted by torch: its own module, the paper's, or one built from it."""
    if not torch_is_installed():
        return Unchecked("unavailable", f"torch and fvcore are not installed: {INSTALL}")
    if report.module is not None and report.before is None:
        return _traced(report, report.module)
    if obstacle := too_large(report):
        return Unchecked("unavailable", obstacle)
    if written := written_modules(report):
        return crosscheck(report.network, *written)
    try:
        return crosscheck(report.network)
    except CostModelError as error:  # torch has no such layer
        return Unchecked("unavailable", str(error))


def _traced(report: Report, module: nn.Module) -> CrossCheck | Unchecked:
    try:
        return crosscheck_traced(report.network, module)
    except CostModelError as error:
        return Unchecked("unavailable", str(error))


def too_large(report: Report) -> str:
    """Why a forward pass of the network is out of reach; empty where it is not."""
    heaviest = (_is_written(report) and report.standard) or report.total
    largest = max(prod(output) for _, _, output in infer(report.network))
    sizes = zip(MAX_CHECKED.items(), (heaviest.macs, heaviest.params, largest), strict=True)
    for (what, most), size in sizes:
        if size > most:
            why = f"a forward pass of {size:.2e} {what} is more than {most:.0e}"
            return f"{why}; lower the resolution or the width"
    return ""


def _is_written(report: Report) -> bool:
    known = report.classes is not None and report.network.name in REFERENCES
    return known and report.before is None


def written_modules(report: Report) -> tuple[nn.Module, ...]:
    """The torch models written from the paper, the network's own first; none of most networks."""
    if not _is_written(report):
        return ()
    from costmodel.reference import mobilenet

    in_channels = report.network.inputs[0].shape[1]
    return tuple(
        getattr(mobilenet, model)(
            report.alpha, report.classes, in_channels, rounding=report.network.rounding
        )
        for model in REFERENCES[report.network.name]
    )
