"""Formulas as people write them: an expression of any algebra in Unicode, LaTeX and MathML."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from costmodel.algebra.polynomial import Polynomial

if TYPE_CHECKING:
    from costmodel.algebra.arithmetic import Dim

#: How each symbol is written, in the order in which a product lists them.
_UNICODE = {"alpha": "α", "rho": "ρ", "max(1, alpha)": "max(1, α)"}
_LATEX = {
    "alpha": r"\alpha",
    "rho": r"\rho",
    "max(1, alpha)": r"\max(1, \alpha)",
    "C_in": r"C_{\text{in}}",
    "C_out": r"C_{\text{out}}",
}
_MATHML = {
    "alpha": "<mi>α</mi>",
    "rho": "<mi>ρ</mi>",
    "max(1, alpha)": "<mo>max</mo><mo>(</mo><mn>1</mn><mo>,</mo><mi>α</mi><mo>)</mo>",
    "C_in": "<msub><mi>C</mi><mtext>in</mtext></msub>",
    "C_out": "<msub><mi>C</mi><mtext>out</mtext></msub>",
}
_ORDER = ("alpha", "rho", "K", "C_in", "C_out", "H", "W", "max(1, alpha)", "N")
_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")

Factors = tuple[tuple[str, int], ...]


def _terms(expression: Dim) -> list[tuple[Fraction, Factors]]:
    """A sum of monomials as (coefficient, ((symbol, exponent), …)) pairs, highest degree first."""
    if isinstance(expression, Polynomial):
        terms = [(c, powers) for powers, c in expression.terms.items()]
    else:
        terms = [_monomial(term) for term in expression.expand().as_ordered_terms()]
    ordered = [(c, tuple(sorted(p, key=lambda s: _ORDER.index(s[0])))) for c, p in terms]
    return sorted(
        ordered, key=lambda t: (-sum(e for _, e in t[1]), [_ORDER.index(s) for s, _ in t[1]])
    )


def _monomial(term: Any) -> tuple[Fraction, Factors]:
    coefficient, rest = term.as_coeff_Mul()
    powers = tuple((str(base), int(e)) for base, e in rest.as_powers_dict().items() if base != 1)
    return Fraction(str(coefficient)), powers


def unicode(expression: Dim) -> str:
    """A formula as people write it.

    >>> from costmodel.algebra.polynomial import ALPHA, RHO
    >>> unicode(3 * ALPHA * ALPHA * RHO + ALPHA), unicode(2 / ALPHA)
    ('3·α²ρ + α', '2/α')
    """
    terms = " + ".join(_unicode_term(*term) for term in _terms(expression))
    return terms.replace("+ -", "− ") or "0"


def estimated(expression: Dim, digits: int = 3) -> str:
    """A formula with decimals of so many digits, as estimates have.

    >>> from costmodel.algebra.polynomial import ALPHA, RHO
    >>> estimated(ALPHA * RHO * 1.2345 + ALPHA / 3)
    '1.23·αρ + 0.333·α'
    """
    rounded = [(f"{float(f'{float(c):.{digits}g}'):g}", powers) for c, powers in _terms(expression)]
    terms = " + ".join(_unicode_term(*term) for term in rounded)
    return terms.replace("+ -", "− ") or "0"


def _unicode_term(coefficient: Fraction | str, factors: Factors) -> str:
    over = _unicode_product([(s, e) for s, e in factors if e > 0])
    under = [(s, -e) for s, e in factors if e < 0]
    if over and coefficient != 1:
        over = f"{coefficient}·{over}"
    over = over or str(coefficient)
    if not under:
        return over
    below = _unicode_product(under)
    return f"{over}/({below})" if len(under) > 1 else f"{over}/{below}"


def _unicode_product(factors: list[tuple[str, int]]) -> str:
    """α²ρ²K²C_in·C_out: a dot only where two names would run together."""
    text = ""
    for symbol, exponent in factors:
        name = _UNICODE.get(symbol, symbol)
        greek = text[-1:] in {"α", "ρ"} and name in {"α", "ρ"}
        apart = text[-1:] not in "²³⁴⁵⁶⁷⁸⁹" and not greek
        dot = "·" if text and (apart or name.startswith("max")) else ""
        text += dot + name + (str(exponent).translate(_SUPERSCRIPTS) if exponent > 1 else "")
    return text


def latex(expression: Dim) -> str:
    r"""A formula in LaTeX, symbols in the order of the papers.

    >>> from costmodel.algebra.polynomial import ALPHA
    >>> print(latex(3 * ALPHA * ALPHA + 1))
    3 \alpha^{2} + 1
    """
    terms = " + ".join(_latex_term(*term) for term in _terms(expression))
    return terms.replace("+ -", "- ") or "0"


def _latex_term(coefficient: Fraction, factors: Factors) -> str:
    over = _latex_product([(s, e) for s, e in factors if e > 0])
    under = _latex_product([(s, -e) for s, e in factors if e < 0])
    sign, size = "-" * (coefficient < 0), abs(coefficient)
    number = str(size) if size != 1 or not over else ""
    top = " ".join(filter(None, (number, over)))
    return sign + (rf"\frac{{{top}}}{{{under}}}" if under else top)


def _latex_product(factors: list[tuple[str, int]]) -> str:
    return " ".join(
        _LATEX.get(symbol, symbol) + (f"^{{{exponent}}}" if exponent > 1 else "")
        for symbol, exponent in factors
    )


def mathml(expression: Dim) -> str:
    """A formula in MathML: what stands between <math> and </math>.

    >>> from costmodel.algebra.polynomial import ALPHA
    >>> mathml(3 * ALPHA * ALPHA)
    '<mn>3</mn><msup><mrow><mi>α</mi></mrow><mn>2</mn></msup>'
    """
    terms = (
        ("<mo>−</mo>" if coefficient < 0 else "<mo>+</mo>")
        + _mathml_term(abs(coefficient), factors)
        for coefficient, factors in _terms(expression)
    )
    return "".join(terms).removeprefix("<mo>+</mo>") or "<mn>0</mn>"


def _mathml_term(coefficient: Fraction, factors: Factors) -> str:
    whole = coefficient.denominator == 1
    over = _mathml_product([(s, e) for s, e in factors if e > 0])
    under = _mathml_product([(s, -e) for s, e in factors if e < 0])
    digits = f"{coefficient.numerator:,}" + f"/{coefficient.denominator}" * (not whole)
    number = f"<mn>{digits}</mn>" if coefficient != 1 or not over else ""
    top = number + over
    return f"<mfrac><mrow>{top}</mrow><mrow>{under}</mrow></mfrac>" if under else top


def _mathml_product(factors: list[tuple[str, int]]) -> str:
    return "".join(
        f"<msup><mrow>{base}</mrow><mn>{exponent}</mn></msup>" if exponent > 1 else base
        for symbol, exponent in factors
        for base in (_MATHML.get(symbol, f"<mi>{symbol}</mi>"),)
    )


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
