"""`costmodel reconcile`: what seven tools print for a network, and why."""

from functools import partial
from typing import Annotated

import typer

from costmodel.cli import options
from costmodel.cli.output import answer, one_of


def run(  # noqa: PLR0913 - a parameter is an option
    network: options.NetworkName = None,
    *,
    alpha: options.Alpha = "1",
    rho: options.Rho = None,
    rho_axes: options.RhoAxes = "-2,-1",
    resolution: options.Resolution = None,
    classes: options.Classes = None,
    rounding: options.Rounding = None,
    model: options.Model = None,
    input_size: options.InputSize = None,
    run: Annotated[
        bool, typer.Option("--run", help="Run the tools that are installed, and compare.")
    ] = False,
    as_json: options.AsJson = False,
    as_markdown: options.AsMarkdown = False,
) -> None:
    """What seven tools print for a network, nine figures, and why: the exact sum behind each.

    Example: [bold]costmodel reconcile mobilenet_v2 --run[/bold]

    Example: [bold]costmodel reconcile --model mynet:Net --run[/bold]
    """
    from costmodel.planners.limits import axes
    from costmodel.reports.loading import named_or_traced, running
    from costmodel.reports.reconciling import reconciled
    from costmodel.reports.report import Report
    from costmodel.show import reconcile as shown

    form = one_of(json=as_json, markdown=as_markdown)
    given, module = named_or_traced(network, model, input_size)
    base = Report.of(
        given,
        alpha=alpha,
        rho=rho,
        axes=axes(rho_axes, "--rho-axes"),
        resolution=resolution,
        classes=classes,
        rounding=rounding,
        module=module,
    )
    with running(model):
        reconciliation = reconciled(base, run=run)
    answer(
        form,
        partial(shown.rich, base, reconciliation),
        json=partial(shown.to_json, base, reconciliation),
        markdown=partial(shown.to_markdown, base, reconciliation),
    )
    if reconciliation.failed:
        raise typer.Exit(1)
