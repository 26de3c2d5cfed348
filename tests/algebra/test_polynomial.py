"""The polynomial algebra: a ring, and the closed forms sympy finds."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
import sympy
from hypothesis import given, settings, strategies as st
from strategies import alphas, networks, rhos, width_function

from costmodel import ZOO, Cost, CostModelError, Network, cost, cost_function, resize, widen
from costmodel.algebra import polynomial
from costmodel.algebra.polynomial import ALPHA, RHO, Polynomial
from costmodel.algebra.symbols import alpha, relax, rho
from costmodel.layers import Conv, Input, Pool
from costmodel.planners import solve_alpha
from costmodel.reports import closed_form

QUICK = settings(derandomize=True, deadline=None, database=None)
#: What the names in a polynomial stand for in sympy.
SYMPY = {"alpha": alpha, "rho": rho, "max(1, alpha)": sympy.Max(1, alpha)}


def in_sympy(value: Any) -> Any:
    """A polynomial as sympy's sum of products."""
    if not isinstance(value, Polynomial):
        return sympy.Integer(value)
    return sympy.Add(
        *(
            sympy.Mul(sympy.Rational(str(c)), *(SYMPY[symbol] ** e for symbol, e in powers))
            for powers, c in value.terms.items()
        )
    )


def closed_forms_agree(network: Network, rounding: str = "floor") -> bool:
    """Whether both algebras make the same polynomials of a network's costs."""
    ours = cost(widen(resize(network, rho=RHO), ALPHA, rounding))
    theirs = cost(widen(resize(network, rho=rho), alpha, rounding)).map(relax)
    pairs = zip(ours.quantities.values(), theirs.quantities.values(), strict=True)
    return all(sympy.expand(in_sympy(our) - their) == 0 for our, their in pairs)


@pytest.mark.parametrize("name", ZOO)
def test_closed_form_is_sympys(name: str) -> None:
    """Every network of the zoo has the closed form that relaxing sympy's has."""
    assert closed_forms_agree(ZOO[name].build())


@settings(QUICK, max_examples=60)
@given(networks())
def test_closed_form_of_random_networks_is_sympys(network: Network) -> None:
    """The same with branches, groups, shared weights and pools."""
    assert closed_forms_agree(network)


@pytest.mark.parametrize(
    ("rule", "mutant"),
    [
        ("ceil_div", lambda size, _: size),
        ("scale_channels", lambda count, *_: count),
        ("round_size", lambda size, factor: size * factor * factor),
        ("at_least_one", lambda factor: factor),
    ],
)
def test_sympy_notices_that_the_algebra_changed(
    rule: str, mutant: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stride, a width or a resolution misread gives another closed form than sympy's."""
    monkeypatch.setattr(polynomial, rule, mutant)
    assert not closed_forms_agree(ZOO["mobilenet_v2"].build(), "divisible(8)")


def at_one(network: Network) -> list[Cost]:
    """The cost at α = ρ = 1 that each relaxed form of a network gives."""
    form = closed_form(network)
    formula = cost(widen(resize(network, rho=rho), alpha, "exact")).map(relax)
    widths = [column.channels for column in width_function(network).columns]
    return [
        Cost(macs=form.macs_at(Fraction(1), Fraction(1)), params=in_sympy(form.params).subs(ONE)),
        formula.map(lambda x: sympy.sympify(x).subs(ONE)),
        cost_function(network, relaxed=True)(1, 1),
        cost_function(network, over="widths", relaxed=True)(widths, 1),
    ]


ONE = {alpha: 1, rho: 1}


@pytest.mark.parametrize("name", ZOO)
def test_at_one_the_closed_form_is_the_cost(name: str) -> None:
    """At α = ρ = 1 every formula is the exact cost, whatever the strides, pools and odd sizes."""
    network = ZOO[name].build()
    total = cost(network)
    for form in at_one(network):
        assert (form.params, form.macs) == (total.params, total.macs)
    assert solve_alpha(network, macs=total.macs) == 1


@QUICK
@given(networks())
def test_at_one_the_closed_form_of_random_networks_is_the_cost(network: Network) -> None:
    """The same with branches, groups, shared weights, odd sizes and pools in ceil_mode."""
    total = cost(network)
    assert all((f.params, f.macs) == (total.params, total.macs) for f in at_one(network))


def test_a_formula_that_drops_the_ceilings_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A 2×2 pool of 15 has 7 positions; (15 − 1)/2 + ½ of them would be 15 % more MACs."""
    layers = Input("image", (1, 3, 15, 15)), Pool("pool", "max", 2, 2), Conv("conv", 8, 1)
    network = Network("odd", layers)
    macs = closed_form(network).macs
    assert str(macs) == f"{3 * 8 * 7 * 7}*alpha*rho**2"
    monkeypatch.setattr(polynomial, "ceil_div", lambda size, stride: size / stride)
    assert closed_form(network).macs != macs


def test_a_formula_names_what_it_depends_on() -> None:
    """VGG-16's params contain ρ: its classifier reads every position. MobileNet's do not."""
    assert "params(α, ρ) = " in str(closed_form(ZOO["vgg_16"].build()))
    assert "params(α) = " in str(closed_form(ZOO["mobilenet_v1"].build()))


def test_mobilenets_closed_form() -> None:
    """The paper's polynomial is written highest powers first."""
    macs = cost(widen(resize(ZOO["mobilenet_v1"].build(), rho=RHO), ALPHA)).macs
    assert str(macs) == "539492352*alpha**2*rho**2 + 28224000*alpha*rho**2 + 1024000*alpha"
    assert repr(macs) == f"Polynomial({macs})"


coefficients = st.fractions(-20, 20, max_denominator=6)
monomials = st.sampled_from([1, ALPHA, RHO, ALPHA * RHO, ALPHA * ALPHA, RHO / ALPHA])


@st.composite
def polynomials(draw: Any) -> Polynomial:
    """A sum of a few monomials."""
    total = Polynomial({})
    for _ in range(draw(st.integers(0, 4))):
        total += draw(coefficients) * draw(monomials)
    return total


def value(p: Polynomial, a: Fraction, r: Fraction) -> Fraction:
    """The polynomial at a point."""
    at = {"alpha": a, "rho": r}
    total = Fraction(0)
    for powers, coefficient in p.terms.items():
        for symbol, exponent in powers:
            coefficient *= at[symbol] ** exponent  # noqa: PLW2901 - the product so far
        total += coefficient
    return total


@QUICK
@given(polynomials(), polynomials(), alphas, rhos)
def test_operations_are_those_of_the_values(
    p: Polynomial, q: Polynomial, a: Fraction, r: Fraction
) -> None:
    """+, − and · of polynomials are those of their values at any point."""
    at_p, at_q = value(p, a, r), value(q, a, r)
    assert value(p + q, a, r) == at_p + at_q
    assert value(p - q, a, r) == at_p - at_q
    assert value(p * q, a, r) == at_p * at_q


@QUICK
@given(polynomials(), polynomials(), polynomials())
def test_ring_laws(p: Polynomial, q: Polynomial, s: Polynomial) -> None:
    """+ and · commute and associate, · distributes, 0 and 1 are neutral, p − p is 0."""
    assert p + q == q + p
    assert p * q == q * p
    assert (p + q) + s == p + (q + s)
    assert (p * q) * s == p * (q * s)
    assert p * (q + s) == p * q + p * s
    assert p + 0 == p * 1 == 0 + p == 1 * p == p
    assert p - p == p * 0 == 0


@QUICK
@given(polynomials(), coefficients.filter(bool), monomials)
def test_division_undoes_multiplication(p: Polynomial, c: Fraction, monomial: Any) -> None:
    """p · m / m is p for a monomial m, and p / p is 1."""
    m = c * monomial
    assert p * m / m == p
    assert p == 0 or p / p == 1
    assert 1 / (m * ALPHA) * m * ALPHA == 1


def test_a_number_less_a_polynomial() -> None:
    """3 − (2α − ρ) is 3 − 2α + ρ."""
    assert in_sympy(3 - (2 * ALPHA - RHO)) == 3 - 2 * alpha + rho


def test_other_divisions_are_refused() -> None:
    """What would be no polynomial is an error with a way out."""
    with pytest.raises(CostModelError, match="use sympy"):
        1 / (ALPHA + 1)


@pytest.mark.parametrize("divisor", [0, ALPHA - ALPHA])
@pytest.mark.parametrize("dividend", [ALPHA, ALPHA - ALPHA])
def test_division_by_zero_is_refused(dividend: Polynomial, divisor: Any) -> None:
    """Nothing divides by zero, not even zero."""
    with pytest.raises((CostModelError, ZeroDivisionError)):
        dividend / divisor


@QUICK
@given(polynomials())
def test_equal_polynomials_hash_alike(p: Polynomial) -> None:
    """Equal values are one key of a dict."""
    assert hash(p) == hash(p + ALPHA - ALPHA)


def test_equal_constants_hash_alike() -> None:
    """A constant equals its number, so it must hash as the number does."""
    three = ALPHA - ALPHA + 3
    assert three == 3
    assert hash(three) == hash(3)


def test_text_and_symbols() -> None:
    """Zero is "0", and only symbols that remain are free."""
    assert str(ALPHA - ALPHA) == "0"
    assert str(ALPHA * ALPHA / 2 + 1) == "1/2*alpha**2 + 1"
    assert (ALPHA * RHO / ALPHA).free_symbols == {"rho"}
    assert ALPHA != "alpha"
