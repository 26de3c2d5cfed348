"""What the errors of others say: of a model, a tool, a factory."""

import re

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
