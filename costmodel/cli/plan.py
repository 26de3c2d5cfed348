"""`costmodel plan`: which α and resolution fit a budget."""

from functools import partial
from typing import Annotated

import typer

from costmodel.cli import options
from costmodel.cli.output import answer, wrote
from costmodel.cli.process import complain
from costmodel.files import check_target, image_format


def run(  # noqa: PLR0913 - a parameter is an option
    network: options.NetworkName = None,
    *,
    model: options.Model = None,
    input_size: options.InputSize = None,
    resolutions: Annotated[
        str | None,
        typer.Option(
            help="START:STOP:STEP with the stop, or a list 128,160.", show_default="96:224:32"
        ),
    ] = None,
    alphas: Annotated[
        str | None, typer.Option(help="As --resolutions; default, every distinct width to 1.5.")
    ] = None,
    classes: options.Classes = None,
    rounding: options.Rounding = None,
    dtype: options.Dtype = None,
    fold_batch_norm: options.FoldBatchNorm = False,
    in_place: options.InPlace = False,
    no_input: options.NoInput = False,
    device: options.DeviceName = None,
    plot: Annotated[
        str | None, typer.Option(metavar="FILE", help="Draw it: FILE.png, FILE.svg or FILE.pdf.")
    ] = None,
    as_json: options.AsJson = False,
    most: dict[str, str | None],
) -> None:
    """Which α and resolution fit a budget: the best network, what binds, and what is next to it.

    Every distinct network is considered. Accuracy decides where the paper prints it or its law
    gives an estimate (MobileNetV1, 1000 classes), else the most MACs do.

    Example: [bold]costmodel plan --max-macs 150M --max-flash 1MiB --dtype int8[/bold]

    Example: [bold]costmodel plan --max-latency 100ms --device stm32h747_int8[/bold]
    """
    from costmodel.metrics.devices import device as load_device
    from costmodel.metrics.memory import MemoryRules
    from costmodel.planners.limits import fractions
    from costmodel.planners.planning import plan
    from costmodel.reports.loading import base_network, named_or_traced, resolutions_of
    from costmodel.show import plan as shown

    base, _ = base_network(named_or_traced(network, model, input_size)[0], classes, rounding)
    if plot is not None:
        image_format(plot)
        check_target(plot)
    on = None if device is None else load_device(device)
    planned = plan(
        base,
        resolutions=resolutions_of(base, resolutions, "96:224:32"),
        alphas=None if alphas is None else fractions(alphas, "alphas"),
        rules=MemoryRules(
            dtype or (on.dtype if on else "float32"), not no_input, in_place, fold_batch_norm
        ),
        device=on,
        **most,
    )
    answer(
        "json" if as_json else None,
        partial(shown.rich, planned),
        json=partial(shown.to_json, planned),
    )
    if plot is not None:
        from costmodel.show.plots import plan_figure, save_figure

        save_figure(plan_figure(planned), plot)
        wrote(plot)
    if planned.choice is None:
        raise typer.Exit(complain(shown.reason(planned), 1))
