"""`costmodel compare`: networks and variants side by side."""

from typing import Annotated

import typer

from costmodel.cli import options
from costmodel.cli.output import answer, one_of


def run(
    variants: Annotated[
        list[str], typer.Argument(help="NAME[@ALPHA[,RESOLUTION[,CLASSES]]], one or more.")
    ],
    *,
    device: options.DeviceName = None,
    as_json: options.AsJson = False,
    as_markdown: options.AsMarkdown = False,
) -> None:
    """Networks and variants side by side, with ratios to the first.

    Example: [bold]costmodel compare mobilenet_v1@0.5,160 alexnet squeezenet_1_0[/bold]
    """
    from costmodel.metrics.devices import device as load_device
    from costmodel.reports.variants import compare
    from costmodel.show import compare as shown

    form = one_of(json=as_json, markdown=as_markdown)
    reports = compare(variants, None if device is None else load_device(device))
    grid = shown.grid(reports, variants)
    answer(
        form,
        lambda: grid,
        json=lambda: shown.to_json(reports),
        markdown=lambda: grid.markdown() + "\n",
    )
