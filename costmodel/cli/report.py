"""`costmodel report`: a network layer by layer, checked against torch."""

import sys
from functools import partial
from typing import Annotated

import typer

from costmodel.cli import options
from costmodel.cli.output import answer, one_of, wrote
from costmodel.files import check_target, make_directory, write_atomically


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
    batch: Annotated[str, typer.Option(help="Images at once.")] = "1",
    device: options.DeviceName = None,
    measure: Annotated[
        bool,
        typer.Option("--measure", help="Run the torch model here, and compare it with the device."),
    ] = False,
    separate: Annotated[
        bool, typer.Option("--separate", help="Factorise its K×K convolutions first, and compare.")
    ] = False,
    no_check: Annotated[
        bool, typer.Option("--no-check", help="Leave the cross-check with torch out.")
    ] = False,
    plots: Annotated[
        str | None,
        typer.Option(
            metavar="DIR", help="Write four plots there, PNG and SVG; with a device, its roofline."
        ),
    ] = None,
    as_json: options.AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print the layers as CSV.")] = False,
    as_markdown: options.AsMarkdown = False,
    output: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write to a file instead of the terminal.")
    ] = None,
) -> None:
    """Cost a network layer by layer and check every figure against a real torch model.

    Example: [bold]costmodel report --alpha 0.75 --rho 0.857[/bold]

    Example: [bold]costmodel report --model mynet:Net --alpha 0.5 --separate[/bold]

    Example: [bold]costmodel report mobilenet_v2 --device stm32h747_int8[/bold]
    """
    from costmodel.algebra.numbers import positive_integer
    from costmodel.metrics.devices import device as load_device
    from costmodel.planners.limits import axes
    from costmodel.reports.checking import checked
    from costmodel.reports.loading import named_or_traced, running
    from costmodel.reports.report import Report
    from costmodel.show import report as shown
    from costmodel.show.record import to_json

    form = one_of(json=as_json, csv=as_csv, markdown=as_markdown)
    if output is not None:
        check_target(output)
    if plots is not None:
        make_directory(plots)

    base, module = named_or_traced(network, model, input_size)
    report = Report.of(
        base,
        alpha=alpha,
        rho=rho,
        axes=axes(rho_axes, "--rho-axes"),
        resolution=resolution,
        classes=classes,
        rounding=rounding,
        separated=separate,
        module=module,
        device=None if device is None else load_device(device),
        batch=positive_integer(batch, "batch"),
    )
    if measure:
        from costmodel.reports.measuring import timed

        with running(model):
            report = timed(report)
    live = form is None and output is None and sys.stdout.isatty() and not no_check
    live = live and module is None  # whose prints would get between
    with running(model):
        report = shown.check_live(report) if live else report if no_check else checked(report)
    writers = {
        "json": partial(to_json, report),
        "csv": partial(shown.to_csv, report),
        "markdown": partial(shown.to_markdown, report),
    }
    if output is not None:
        write_atomically(output, writers[form]() if form else shown.to_text(report))
        wrote(output)
    elif not live:
        answer(form, partial(shown.render, report), **writers)
    if plots is not None:
        from costmodel.show.plots import report_figures, save_figures

        wrote(*save_figures(report_figures(report), plots))
    if report.failed:
        raise typer.Exit(1)
