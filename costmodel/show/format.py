"""Numbers as a person reads them."""

from __future__ import annotations

_PREFIXES = ("", "k", "M", "G", "T", "P", "E", "Z", "Y", "R", "Q")


def si(value: float) -> str:
    """`value` to three significant digits with an SI prefix, as papers print MACs and params.

    Below 1000 there is no prefix and no padding; past 10³³ there is no prefix left.

    >>> si(568740352), si(4231976)
    ('569 M', '4.23 M')
    >>> si(0), si(999), si(1000), si(999950)
    ('0', '999', '1.00 k', '1.00 M')
    """
    # The prefix follows the rounded value: 999,950 is 1.00 M, not 1000 k.
    digits, exponent = f"{value:.2e}".split("e")
    steps, shift = divmod(int(exponent), 3)
    if not 0 < steps < len(_PREFIXES):
        return f"{value:.3g}"
    return f"{float(digits) * 10**shift:.{2 - shift}f} {_PREFIXES[steps]}"
