"""The command line: parse, call one library function, print.

A command is a module here whose `run` takes what a user types; `COMMANDS` lists them.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from costmodel.cli import (
    audit,
    calibrate,
    compare,
    devices,
    explore,
    family,
    fit_device,
    formulas,
    options,
    plan,
    process,
    reconcile,
    report,
    sweep,
)
from costmodel.version import __version__


def _version(*, asked: bool) -> None:
    if asked:
        sys.stdout.write(f"costmodel {__version__}\n")
        raise typer.Exit


def _options(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=lambda asked: _version(asked=asked), is_eager=True)
    ] = False,
) -> None:
    pass


#: In the order of --help.
COMMANDS = (
    *(report, formulas, family, compare, reconcile, audit, sweep, plan, explore),
    *(devices, calibrate, fit_device),
)


def app() -> typer.Typer:
    """The program, with an option for each quantity that may be limited."""
    program = typer.Typer(
        add_completion=False,
        suggest_commands=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
        help="Exact cost of convolutional networks: formulas, counts and a check against real "
        "torch models.",
        callback=_options,
    )
    for command in COMMANDS:
        name = command.__name__.rpartition(".")[2].replace("_", "-")
        program.command(name)(options.with_limits(command.run))
    return program


def main() -> None:
    """Run the command; a user's mistake is one line and exit code 2, a failed check exit code 1."""
    process.run(app())
