"""`costmodel audit`: every printed cost against the exact figure."""

from functools import partial
from typing import Annotated

import typer

from costmodel.cli import options
from costmodel.cli.output import answer, one_of


def run(
    *,
    source: Annotated[
        str | None, typer.Option(help="mobilenet_v1_paper, tf_slim_mobilenet_v1 or a file.csv.")
    ] = None,
    as_json: options.AsJson = False,
    as_markdown: options.AsMarkdown = False,
) -> None:
    """Hold every printed cost against the exact figure: reproduced, misprinted, or why not.

    Example: [bold]costmodel audit --source tf_slim_mobilenet_v1[/bold]
    """
    from costmodel.published.audit import audit
    from costmodel.show import audit as shown

    form = one_of(json=as_json, markdown=as_markdown)
    findings = audit(source)
    answer(
        form,
        partial(shown.rich, findings),
        json=partial(shown.to_json, findings),
        markdown=partial(shown.to_markdown, findings),
    )
