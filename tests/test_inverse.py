"""The α of a number of MACs, put back into formulas and networks."""

from __future__ import annotations

from fractions import Fraction

import pytest
import sympy

from costmodel import (
    ZOO,
    CostModelError,
    alpha,
    cost,
    mobilenet_v1,
    mobilenet_v2,
    relax,
    resize,
    rho,
    widen,
)
from costmodel.inverse import solve_alpha


@pytest.mark.parametrize("name", ["mobilenet_v1", "mobilenet_v2", "vgg_16", "squeezenet_1_1"])
@pytest.mark.parametrize("macs", [10**8, 10**9])
def test_the_solution_takes_those_macs(name: str, macs: int) -> None:
    """Put back into the relaxed formula, α gives the MACs, exactly."""
    network = ZOO[name].build()
    formula = relax(cost(widen(resize(network, rho=rho), alpha, "exact")).macs)
    found = solve_alpha(network, macs=macs, rho="3/4")
    again = formula.subs(rho, sympy.Rational(3, 4)).subs(alpha, found)
    assert sympy.simplify(again - macs) == 0


@pytest.mark.parametrize("width", [Fraction(1, 4), Fraction(1, 2), Fraction(1), Fraction(5, 4)])
def test_a_real_network_has_its_own_width(width: Fraction) -> None:
    """Where rounding changes nothing, the network's own MACs give its own α."""
    network = widen(mobilenet_v1(), width)
    assert solve_alpha(mobilenet_v1(), macs=cost(network).macs) == sympy.Rational(str(width))


def test_a_width_that_never_shrinks() -> None:
    """MobileNetV2's head stays 1280 below α = 1 and grows above: both pieces are found."""
    for width in (sympy.Rational(1, 2), sympy.Integer(1), sympy.Rational(3, 2)):
        formula = relax(cost(widen(mobilenet_v2(), alpha, "exact")).macs)
        assert solve_alpha(mobilenet_v2(), macs=Fraction(str(formula.subs(alpha, width)))) == width


def test_symbols_stay() -> None:
    """MACs and ρ may be symbols: the quadratic formula itself."""
    macs = sympy.Symbol("M", positive=True)
    formula = solve_alpha(mobilenet_v1(), macs=macs, rho=rho)
    assert formula.free_symbols == {macs, rho}
    assert sympy.simplify(formula.subs({macs: 568740352, rho: 1})) == 1


@pytest.mark.parametrize("macs", [0, -1, "many"])
def test_what_has_no_solution(macs: object) -> None:
    """No MACs, fewer, and what is no number are one clear line."""
    with pytest.raises(CostModelError, match=r"macs must be"):
        solve_alpha(mobilenet_v1(), macs=macs)


def test_symbols_beside_a_width_that_never_shrinks() -> None:
    """On which side of 1 the solution lies has to be known."""
    with pytest.raises(CostModelError, match="give numbers"):
        solve_alpha(mobilenet_v2(), macs=10**8, rho=rho)
