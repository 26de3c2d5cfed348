"""Where an answer goes: the terminal, a pipe or a file, in the form that was asked for."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from costmodel.errors import CostModelError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import RenderableType


def one_of(**flags: bool | str | None) -> str | None:
    """The one of some alternatives that was given, if any."""
    chosen = [name for name, flag in flags.items() if flag not in {None, False}]
    if len(chosen) > 1:
        raise CostModelError(f"--{' and --'.join(chosen)} are alternatives; choose one")
    return chosen[0] if chosen else None


def answer(
    form: str | None, rich: Callable[[], RenderableType], **writers: Callable[[], str]
) -> None:
    """Print in a form, or for a person where none was asked for."""
    if form is None:
        show(rich())
    else:
        sys.stdout.write(writers[form]())


def show(renderable: RenderableType) -> None:
    """Print for a person, in colour where that is a terminal."""
    from costmodel.show.grid import console, plain

    if sys.stdout.isatty():
        console().print(renderable)
    else:
        sys.stdout.write(plain(renderable))


def wrote(*paths: object) -> None:
    """Say which files were written."""
    for path in paths:
        sys.stderr.write(f"wrote {path}\n")
