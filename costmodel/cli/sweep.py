"""`costmodel sweep`: exact costs over a grid of α and resolutions."""

import sys
from typing import Annotated

import typer

from costmodel.cli import options
from costmodel.cli.output import one_of, show
from costmodel.errors import CostModelError


def run(  # noqa: PLR0913 - a parameter is an option
    network: options.NetworkName = None,
    *,
    model: options.Model = None,
    input_size: options.InputSize = None,
    alphas: Annotated[
        str, typer.Option(help="START:STOP:STEP with the stop, or a list 0.25,0.5,1.")
    ] = "0.25:1:0.25",
    resolutions: Annotated[
        str | None, typer.Option(help="As --alphas.", show_default="128:224:32")
    ] = None,
    pairs: Annotated[
        bool, typer.Option("--pairs", help="The n-th α with the n-th resolution only.")
    ] = False,
    classes: options.Classes = None,
    rounding: options.Rounding = None,
    dtype: options.Dtype = None,
    fold_batch_norm: options.FoldBatchNorm = False,
    in_place: options.InPlace = False,
    no_input: options.NoInput = False,
    device: options.DeviceName = None,
    front: Annotated[
        str | None, typer.Option(metavar="QUANTITY", help="The Pareto front of MACs against it.")
    ] = None,
    histogram: Annotated[
        str | None, typer.Option(metavar="QUANTITY", help="How many configurations take how much.")
    ] = None,
    output: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write all to FILE.csv or FILE.parquet.")
    ] = None,
    as_json: options.AsJson = False,
    most: dict[str, str | None],
) -> None:
    """Exact costs over a grid of α and resolutions, as large as you like.

    Small grids are printed, large ones as ranges. With --max-… the configuration of most MACs
    within those limits is; --front and --histogram reduce 10⁹ configurations in the memory of a
    few million, and --output writes them in parts.

    Example: [bold]costmodel sweep --alphas 0.1:1.5:0.01 --resolutions 32:512 --max-macs 150M[/bold]
    """
    from costmodel.metrics.devices import device as load_device
    from costmodel.metrics.memory import MemoryRules
    from costmodel.planners.limits import fractions, limits
    from costmodel.planners.sweeping import sweep
    from costmodel.reports.loading import base_network, named_or_traced, resolutions_of
    from costmodel.show import sweep as shown

    on = None if device is None else load_device(device)
    within = limits(most, on)
    chosen = one_of(front=front, histogram=histogram, output=output)
    if within and chosen:
        raise CostModelError(f"--max-… picks one configuration, --{chosen} takes all; give one")
    if output is not None:
        shown.check_output(output)
    base, _ = base_network(named_or_traced(network, model, input_size)[0], classes, rounding)
    rules = MemoryRules(
        dtype or (on.dtype if on else "float32"), not no_input, in_place, fold_batch_norm
    )
    grid = fractions(alphas, "alphas"), resolutions_of(base, resolutions, "128:224:32")
    swept = sweep(base, *grid, paired=pairs, rules=rules, device=on)
    view = shown.View(swept, base, rules)
    with shown.progress_bar(swept.size) as advance:
        if output is not None:
            rows = shown.write(swept, output, progress=advance)
        else:
            table = view.table(within, front, histogram, progress=advance)
    if output is not None:
        sys.stderr.write(f"wrote {output}: {rows:,} configurations\n")
    elif as_json:
        sys.stdout.write(table.json())
    else:
        show(table)
