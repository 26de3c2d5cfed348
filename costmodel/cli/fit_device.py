"""`costmodel fit-device`: a device from a table of printed milliseconds."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from costmodel.cli import options
from costmodel.cli.output import answer, wrote
from costmodel.files import check_target


def run(  # noqa: PLR0913 - a parameter is an option
    table: Annotated[
        str,
        typer.Argument(
            metavar="TABLE.csv",
            help="Columns network, alpha, resolution, ms; if there, classes and in_channels. Or "
            "tf_slim_mobilenet_v2 or stm32h7_mobilenets_int8, which come along.",
        ),
    ],
    *,
    output: Annotated[
        str | None, typer.Option(metavar="FILE.json", help="Write the device there.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Its name; default, the file's, or the table's.")
    ] = None,
    machine: Annotated[
        str | None, typer.Option(help="The machine; default, what a column device says.")
    ] = None,
    runtime: Annotated[str, typer.Option(help="What ran the networks.")] = "not said",
    threads: Annotated[str, typer.Option(help="Threads that worked on a layer.")] = "1",
    dtype: Annotated[str, typer.Option(help="float32, float16 or int8.")] = "float32",
    as_json: options.AsJson = False,
) -> None:
    """Fit a device to a table of measured networks, and say what it predicts of those left out.

    Example: [bold]costmodel fit-device times.csv --output mine.json --dtype int8[/bold]
    """
    from costmodel.errors import CostModelError
    from costmodel.reports.device_tables import fit_table
    from costmodel.show import device_tables as shown

    if output is not None:
        check_target(output)
        if not output.endswith(".json"):
            raise CostModelError(f"a device is a file NAME.json, got --output {output}")
    fit = fit_table(
        table,
        name or Path(output or table).stem,
        dtype=dtype,
        machine=machine,
        runtime=runtime,
        threads=threads,
    )
    answer("json" if as_json else None, partial(shown.rich, fit), json=partial(shown.to_json, fit))
    if output is not None:
        fit.device.save(output)
        wrote(output)
