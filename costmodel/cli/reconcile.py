"""`costmodel reconcile`: what seven tools print for a network, and why."""

from functools import partial
from typing import Annotated

import typer

from costmodel.cli.options import (
    Alpha,
    AsJson,
    AsMarkdown,
    Classes,
    InputSize,
    Model,
    NetworkName,
    Resolution,
    Rho,
    RhoAxes,
    Rounding,
)
from costmodel.cli.output import answer, one_of


def run(  # noqa: PLR0913 - a parameter is an option
    network: NetworkName = None,
    *,
    alpha: Alpha = "1",
    rho: Rho = None,
    rho_axes: RhoAxes = "-2,-1",
    resolution: Resolution = None,
    classes: Classes = None,
    rounding: Rounding = None,
    model: Model = None,
    input_size: InputSize = None,
    run: Annotated[
        bool, typer.Option("--run", help="Run the tools that are installed, and compare.")
    ] = False,
    as_json: AsJson = False,
    as_markdown: AsMarkdown = False,
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
        made = reconciled(base, run=run)
    answer(
        form,
        partial(shown.rich, base, made),
        json=partial(shown.to_json, base, made),
        markdown=partial(shown.to_markdown, base, made),
    )
    if made.failed:
        raise typer.Exit(1)
