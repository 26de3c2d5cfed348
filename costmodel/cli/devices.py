"""`costmodel devices`: whose time can be told, and by which constants."""

from functools import partial
from typing import Annotated

import typer

from costmodel.cli import options
from costmodel.cli.output import answer


def run(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME|FILE.json]...",
            help="Show the constants of these; files are listed beside those that come along.",
            show_default=False,
        ),
    ] = None,
    *,
    as_json: options.AsJson = False,
) -> None:
    """The devices whose milliseconds can be told, how well, and their constants.

    Example: [bold]costmodel devices[/bold]

    Example: [bold]costmodel devices pixel_1_tflite mine.json[/bold]
    """
    from costmodel.metrics.devices import device, shipped
    from costmodel.show import devices as shown

    asked = names or []
    chosen = [device(name) for name in asked]
    files = [made for made, name in zip(chosen, asked, strict=True) if name.endswith(".json")]
    listed = [*shipped(), *files] if files or not asked else []
    answer(
        "json" if as_json else None,
        partial(shown.rich, listed, chosen),
        json=partial(shown.to_json, listed or chosen),
    )
