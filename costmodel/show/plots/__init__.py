"""Pictures for a paper's column, one a file; here is the list of them.

Each function returns a matplotlib `Figure` that no backend and no pyplot state knows of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costmodel.show.plots.accuracy import accuracy_figure
from costmodel.show.plots.filters import filters_figure
from costmodel.show.plots.layers import layers_figure
from costmodel.show.plots.multipliers import multipliers_figure
from costmodel.show.plots.plan import plan_figure
from costmodel.show.plots.reduction import reduction_figure
from costmodel.show.plots.reduction_map import reduction_map_figure
from costmodel.show.plots.roofline import roofline_figure
from costmodel.show.plots.saving import save_figure, save_figures
from costmodel.tools.crosscheck import CrossCheck

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from costmodel.reports.report import Report

__all__ = [
    "accuracy_figure",
    "family_figures",
    "filters_figure",
    "layers_figure",
    "multipliers_figure",
    "plan_figure",
    "reduction_figure",
    "reduction_map_figure",
    "report_figures",
    "roofline_figure",
    "save_figure",
    "save_figures",
]


def report_figures(report: Report) -> dict[str, Figure]:
    """The four figures of a report, the blocks as fvcore measured them where it did.

    With a device there is a fifth, its roofline.
    """
    measured = report.check.reductions if isinstance(report.check, CrossCheck) else None
    sides = set(report.resolution)
    chosen = (report.alpha, sides.pop()) if len(sides) == 1 else None
    return {
        "reduction": reduction_figure(report.network, measured),
        "reduction_map": reduction_map_figure(),
        "layers": layers_figure(report.network),
        "multipliers": multipliers_figure(report.base, chosen),
        **({} if report.device is None else {"roofline": roofline_figure(report)}),
    }


def family_figures() -> dict[str, Figure]:
    """The paper's Figures 4 and 5."""
    return {f"accuracy_{quantity}": accuracy_figure(quantity) for quantity in ("macs", "params")}
