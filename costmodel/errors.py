"""The one error a user of this library meets, and what the errors of others say."""

import re
from importlib.util import find_spec


def printable(text: str) -> str:
    r"""Text on one line, its control characters visible and inert.

    >>> printable("a" + chr(27) + "[31m" + chr(10))
    'a\\x1b[31m\\n'
    """
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


class CostModelError(ValueError):
    """A wrong input: one line that names the thing, its value, the rule and the remedy.

    >>> from costmodel import mobilenet_v1, widen
    >>> widen(mobilenet_v1(), -1)
    Traceback (most recent call last):
        ...
    costmodel.errors.CostModelError: alpha must be in (0, 4], got -1
    """

    def __init__(self, message: str) -> None:
        """Keep the message on one line, whatever a layer is called."""
        super().__init__(printable(message))


#: Characters of another's message that one of ours repeats.
_LONGEST = 300


def said(error: BaseException) -> str:
    r"""The first line of an error, with its type: no values of a tensor, and not all of it.

    >>> said(TypeError("got tensor([0.5, 0.25]) of\n two")), said(KeyError())
    ('TypeError: got tensor(…', 'KeyError')
    """
    try:
        line = next(iter(str(error).strip().splitlines()), "")
    except Exception:  # noqa: BLE001 - another's text may fail too
        line = ""
    line = re.sub(r"\b(tensor|array)\(.*", r"\1(…", line)
    line = line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"
    return f"{type(error).__name__}: {line}".removesuffix(": ")


INSTALL = "pip install 'costmodel[torch]'"


def torch_or_error(what: str) -> None:
    """Raise CostModelError where torch is not installed."""
    if find_spec("torch") is None:
        raise CostModelError(f"{what} needs torch, which is not installed; {INSTALL}")
