"""Formulas: against naive loops, the exact network, and the paper."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import sympy
from hypothesis import given, settings, strategies as st

from costmodel import cost, mobilenet_v1, resize, widen
from costmodel.algebra.notation import latex, mathml, unicode
from costmodel.algebra.polynomial import ALPHA, RHO
from costmodel.algebra.symbols import C_in, C_out, H, K, W, alpha, rho
from costmodel.reference.naive import convolve
from costmodel.reports import closed_form, formulas
from costmodel.reports.formula import COLUMNS, ROWS, reduction, steps, typical

small = st.integers(1, 4)


def _naive(kernel: int, c_in: int, c_out: int, size: tuple[int, int]) -> dict[str, tuple[int, int]]:
    """(params, MACs) of each column, counted tap by tap on 'same' convolutions."""
    padding = (kernel // 2,) * 2
    image = np.ones((1, c_in, *size))
    weights = {
        "standard": (np.ones((c_out, c_in, kernel, kernel)), 1),
        "depthwise": (np.ones((c_in, 1, kernel, kernel)), c_in),
        "pointwise": (np.ones((c_out, c_in, 1, 1)), 1),
    }
    found = {}
    for column, (weight, groups) in weights.items():
        pad = padding if column != "pointwise" else (0, 0)
        found[column] = (weight.size, convolve(image, weight, padding=pad, groups=groups).macs)
    both = zip(found["depthwise"], found["pointwise"], strict=True)
    found["depthwise separable"] = tuple(map(sum, both))
    return found


@given(st.sampled_from([1, 3, 5]), small, small, st.tuples(small, small))
def test_every_formula_counts_what_loops_count(
    kernel: int, c_in: int, c_out: int, size: tuple[int, int]
) -> None:
    """Params and cost of each column equal those of convolutions done tap by tap."""
    values = {K: kernel, C_in: c_in, C_out: c_out, H: size[0], W: size[1]}
    table, naive = formulas().table, _naive(kernel, c_in, c_out, size)
    for column in COLUMNS:
        found = tuple(table[row][column].subs(values) for row in ROWS[:2])
        assert found == naive[column]


@settings(max_examples=30, deadline=None)
@given(st.sampled_from([3, 5]), small, small, st.tuples(small, small))
def test_multipliers_scale_channels_and_sizes(
    kernel: int, c_in: int, c_out: int, size: tuple[int, int]
) -> None:
    """At α = 2 and ρ = 3 the formulas count twice the channels and three times the sides."""
    values = {K: kernel, C_in: c_in, C_out: c_out, H: size[0], W: size[1], alpha: 2, rho: 3}
    wide = _naive(kernel, 2 * c_in, 2 * c_out, size)
    large = _naive(kernel, 2 * c_in, 2 * c_out, (3 * size[0], 3 * size[1]))
    for column in COLUMNS:
        assert formulas().table[ROWS[2]][column].subs(values) == wide[column][1]
        assert formulas().table[ROWS[3]][column].subs(values) == large[column][1]


def test_the_reduction() -> None:
    """1/C_out + 1/K², and 1/(α·C_out) + 1/K² (Howard et al. 2017, §3.1 and §3.3)."""
    made = formulas()
    assert made.reduction == 1 / C_out + 1 / K**2
    assert made.reduction_with_alpha == 1 / (alpha * C_out) + 1 / K**2
    assert unicode(made.reduction) == "1/C_out + 1/K²"
    assert latex(made.reduction_with_alpha) == (
        r"\frac{1}{\alpha C_{\text{out}}} + \frac{1}{K^{2}}"
    )


def test_a_mutated_formula_is_caught() -> None:
    """Had the pointwise part kept the kernel, the loops would disagree."""
    values = {K: 3, C_in: 2, C_out: 3, H: 2, W: 2}
    mutated = formulas().table[ROWS[1]]["pointwise"] * K**2
    assert mutated.subs(values) != _naive(3, 2, 3, (2, 2))["pointwise"][1]


@pytest.mark.parametrize(
    ("expression", "text", "tex"),
    [
        (3 * ALPHA * ALPHA + ALPHA, "3·α² + α", r"3 \alpha^{2} + \alpha"),
        (ALPHA * RHO * RHO - 2, "αρ² − 2", r"\alpha \rho^{2} - 2"),
        (ALPHA - ALPHA, "0", "0"),
        (sympy.Rational(2, 3) * K**2 * C_in * H * W, "2/3·K²C_in·H·W", None),
        (1 / (C_out * H), "1/(C_out·H)", None),
        (sympy.Integer(7), "7", "7"),
    ],
)
def test_writing(expression: object, text: str, tex: str | None) -> None:
    """Coefficients, exponents, signs and quotients are written as people write them."""
    assert unicode(expression) == text
    assert tex is None or latex(expression) == tex


@pytest.mark.parametrize("alpha_", [Fraction(n, 4) for n in (1, 2, 3, 4)])
@pytest.mark.parametrize("side", [224, 192, 160, 128])
def test_the_closed_form_is_exact_for_the_papers_models(alpha_: Fraction, side: int) -> None:
    """Where nothing rounds, the polynomial's value is the exact cost of the rounded network."""
    form = closed_form(mobilenet_v1())
    exact = cost(widen(resize(mobilenet_v1(), resolution=side), alpha_))
    values = {"alpha": alpha_, "rho": Fraction(side, 224)}

    def value(polynomial: object) -> Fraction:
        return sum(
            c * np.prod([values[s] ** e for s, e in powers] or [1])
            for powers, c in polynomial.terms.items()
        )

    assert (value(form.macs), value(form.params)) == (exact.macs, exact.params)


def test_steps_of_an_even_kernel_and_a_map_that_is_not_square() -> None:
    """K = 2 on 4×6: 'same' convolutions need no centre to be counted."""
    standard, separable, *_ = steps(kernel=2, c_in=3, c_out=5, size=(4, 6))
    assert standard.macs == 2 * 2 * 3 * 5 * 4 * 6
    assert separable.macs == (2 * 2 * 3 + 3 * 5) * 4 * 6


def test_typical_values_by_hand() -> None:
    """Every typical layer's two costs, multiplied out."""
    found = typical(14)
    assert len(found) == 5 * 5 * 4 * 4
    for t in found:
        i, o = int(t.c_in * t.alpha), int(t.c_out * t.alpha)  # multiples of 8: nothing rounds
        side = round(14 * t.rho)
        assert t.standard == 9 * i * o * side**2
        assert t.separable == (9 * i + i * o) * side**2
        assert t.reduction == Fraction(1, o) + Fraction(1, 9)
    assert {(t.alpha, t.rho) for t in found} == set(
        product(
            (1, Fraction(3, 4), Fraction(1, 2), Fraction(1, 4)),
            (1, *map(Fraction, ("6/7", "5/7", "4/7"))),
        )
    )


def test_notebooks_show_mathematics() -> None:
    """Formulas and closed forms have a LaTeX representation that sympy's symbols render too."""
    assert r"\alpha^{2} \rho^{2}" in closed_form(mobilenet_v1())._repr_latex_()
    shown = formulas()._repr_latex_()
    assert shown.startswith(r"$\begin{array}")
    head, *rows = shown.split(r" \\ ")
    assert r"\text{standard} & \text{depthwise} & \text{pointwise}" in head
    assert rows[0].startswith(r"\text{parameters} & K^{2} C_{\text{in}} C_{\text{out}} &")
    assert "1/C_out + 1/K²" in str(formulas())


def test_a_minus_stands_before_a_fraction() -> None:
    """The derivative of 1/C_out + 1/K² by K, and a difference, as people write them."""
    assert latex(-2 / K**3) == r"-\frac{2}{K^{3}}"
    assert latex(H - 3 * W / K) == r"H - \frac{3 W}{K}"


def test_the_reduction_needs_no_sympy() -> None:
    """Derived with polynomials it is what `formulas` derives with sympy's symbols."""
    assert unicode(reduction()) == unicode(formulas().reduction)
    assert mathml(reduction()) == mathml(formulas().reduction)


@pytest.mark.parametrize(
    ("formula", "shown"),
    [
        (1 / RHO - ALPHA, "−α+1/ρ"),
        (ALPHA - 1024 * RHO, "α−1,024ρ"),
        (Fraction(3, 2) * ALPHA * ALPHA, "3/2α2"),
        (ALPHA - ALPHA, "0"),
    ],
)
def test_mathml(formula: object, shown: str) -> None:
    """Well-formed elements, whose text is the formula."""
    root = ET.fromstring(f"<math>{mathml(formula)}</math>")  # noqa: S314 - our own
    for fraction in root.iter("mfrac"):
        fraction[0].tail = "/"
    assert "".join(root.itertext()) == shown
