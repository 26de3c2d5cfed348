"""`costmodel family`: the sixteen MobileNets."""

from typing import Annotated

import typer

from costmodel.cli import options
from costmodel.cli.output import answer, one_of, wrote


def run(
    *,
    plots: Annotated[
        str | None, typer.Option(metavar="DIR", help="Write two plots there, PNG and SVG.")
    ] = None,
    as_json: options.AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print the models as CSV.")] = False,
    as_markdown: options.AsMarkdown = False,
) -> None:
    """The sixteen MobileNets: what they cost, and their published accuracies.

    Example: [bold]costmodel family --plots figures[/bold]
    """
    from costmodel.show import family as shown

    form = one_of(json=as_json, csv=as_csv, markdown=as_markdown)
    answer(form, shown.rich, json=shown.to_json, csv=shown.to_csv, markdown=shown.to_markdown)
    if plots is not None:
        from costmodel.show.plots import family_figures, save_figures

        wrote(*save_figures(family_figures(), plots))
