"""`costmodel calibrate`: the constants of the machine at hand."""

from pathlib import Path
from typing import Annotated

import typer

from costmodel.cli.output import show, wrote
from costmodel.cli.process import complain
from costmodel.files import check_target


def run(  # noqa: PLR0913 - a parameter is an option
    *,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE.json", help="The file to write.")
    ],
    threads: Annotated[int, typer.Option(help="Threads of the processor.")] = 1,
    backend: Annotated[str, typer.Option(help="cpu, cuda or mps.")] = "cpu",
    dtype: Annotated[str, typer.Option(help="float32 or float16.")] = "float32",
    batch: Annotated[int, typer.Option(help="Images at a time.")] = 1,
    name: Annotated[str | None, typer.Option(help="What to call it; default, as the file.")] = None,
    seconds: Annotated[
        float, typer.Option(help="How long to measure; at least 20 chains are.")
    ] = 120,
) -> None:
    """Measure this machine in about two minutes: what each kind of layer takes, for --device.

    Layers are timed where they stand, in random chains of the usual blocks, in rounds. Leave the
    machine alone meanwhile: it says how far the rounds are apart. An interrupt writes nothing.

    Example: [bold]costmodel calibrate --output laptop.json[/bold]
    """
    from costmodel.backends.calibrating import calibrate
    from costmodel.show.calibration import summary
    from costmodel.show.sweep import progress_bar

    check_target(output)
    called = name or Path(output).stem
    with progress_bar(1, "chains timed") as advance:
        made = calibrate(threads, backend, dtype, batch, seconds, name=called, progress=advance)
    if made.warning:
        complain(made.warning)
    made.device.save(output)
    show(summary(made))
    wrote(output)
