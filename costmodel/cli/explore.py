"""`costmodel explore`: a page that computes."""

from typing import Annotated

import typer

from costmodel.cli import options
from costmodel.cli.output import wrote
from costmodel.files import check_target, write_atomically


def run(
    networks: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NETWORK]...",
            help="Networks of the zoo or files NAME.json; default, the MobileNets.",
        ),
    ] = None,
    *,
    device: options.DeviceName = None,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="The file to write.")
    ] = "explorer.html",
) -> None:
    """Write a page that computes: drag α and the resolution, and every exact figure follows.

    One file that opens from disk, without a network: totals, layers, contour, budget, closed form.

    Example: [bold]costmodel explore -o explorer.html mobilenet_v1 squeezenet_1_1[/bold]

    Example: [bold]costmodel explore mobilenet_v2 --device stm32h747_int8[/bold]
    """
    from costmodel.metrics.devices import device as load_device
    from costmodel.show.explorer.page import FAMILY, page

    check_target(output)
    write_atomically(
        output, page(networks or FAMILY, None if device is None else load_device(device))
    )
    wrote(output)
