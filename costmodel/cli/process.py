"""A command as a process: its streams, its signals, and one line for what goes wrong."""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
from io import TextIOWrapper
from typing import TYPE_CHECKING, NoReturn

import typer

from costmodel.errors import CostModelError, printable

if TYPE_CHECKING:
    from collections.abc import Callable

#: Of a message: a name or a number may be as long as a file.
MOST_CHARACTERS = 1000


def run(app: typer.Typer) -> NoReturn:
    """Run the command; a user's mistake is one line and exit code 2, a failed check exit code 1."""
    atexit.register(gc.freeze)  # all goes with the process: no search for garbage before that
    _prepare_streams()
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        code = _answer(app)
    except (BrokenPipeError, SystemExit):  # the reader has seen enough; typer exits by itself
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except OSError as error:  # a disk that is full, say
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = complain(f"cannot write the output: {error.strerror}; free the place it goes to")
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    except _TerminatedError:
        code = 128 + signal.SIGTERM
    finally:
        signal.signal(signal.SIGTERM, before)
    sys.exit(code)


def _answer(app: typer.Typer) -> int | None:
    """The exit code of the command, its mistakes worded."""
    try:
        code: int | None = app(sys.argv[1:] or ["--help"], standalone_mode=False)
        sys.stdout.flush()
    except CostModelError as error:
        return complain(str(error))
    except (MemoryError, OverflowError, RecursionError) as error:
        why = str(error) or "there is not enough memory"
        return complain(f"too large to compute: {why}; give a smaller network or grid")
    except Exception as error:
        if "integer string conversion" in str(error):
            return complain("a count has more than 4,300 digits; give a smaller network")
        format_message: Callable[[], str] | None = getattr(error, "format_message", None)
        if format_message is None:
            raise
        return complain(f"{format_message()} See --help.")
    return code


class _TerminatedError(BaseException):
    """SIGTERM, as KeyboardInterrupt is SIGINT: what is open is closed and cleaned up."""


def _terminate(*_: object) -> NoReturn:
    raise _TerminatedError


def _prepare_streams() -> None:
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by the shell: as if it were /dev/null
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115 - for good
        elif isinstance(stream, TextIOWrapper):  # α and × whatever the locale
            stream.reconfigure(encoding="utf-8", errors="replace")


def complain(message: str, code: int = 2) -> int:
    """One line on standard error, its middle left out where it is very long."""
    line = printable(message)
    if len(line) > MOST_CHARACTERS:
        half = MOST_CHARACTERS // 2
        line = f"{line[:half]} … {line[-half:]}"
    try:
        sys.stderr.write(f"costmodel: {line}\n")
    except OSError:  # full or closed: the exit code says it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
    return code
