"""The α of a number of MACs, put back into formulas and networks."""

from __future__ import annotations

from fractions import Fraction

import pytest
import sympy

from costmodel import (
    ZOO,
    CostModelError,
    Network,
    alpha,
    cost,
    mobilenet_v1,
    relax,
    resize,
    rho,
    widen,
)
from costmodel.layers import Conv, Fixed, Input
from costmodel.planners.inverting import solve_alpha
from costmodel.zoo import mobilenet_v2


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


def test_what_does_not_scale_is_no_part_of_the_solution() -> None:
    """A first convolution of fixed width is taken off, and MACs no more than its are refused."""
    layers = (
        Input("image", (1, 3, 8, 8)),
        Conv("fixed", Fixed(4), 1),
        Conv("linear", 6, 1),
        Conv("square", 5, 1),
    )
    net = Network("n", layers)
    # c = 3·4·8², b = 4·6·8², a = 6·5·8², here at α = 2 and ρ = 1, and without `square` likewise
    assert solve_alpha(net, macs=64 * (12 + 2 * 24 + 4 * 30)) == 2
    assert solve_alpha(Network("n", layers[:-1]), macs=64 * (12 + 2 * 24)) == 2
    assert solve_alpha(net, macs=64 * (12 + 2 * 24 + 4 * 30) / 4, rho="1/2") == 2
    with pytest.raises(CostModelError, match=r"^macs must be at rho more than 768 at any α for n,"):
        solve_alpha(net, macs=768)
    with pytest.raises(CostModelError, match=r"^macs must be more than 0 for mobilenet_v1, got 0$"):
        solve_alpha(mobilenet_v1(), macs=0)


def test_networks_whose_macs_are_no_quadratic() -> None:
    """Neither what does not depend on α nor a cubic has a solution of this form."""
    fixed = Network("stiff", (Input("image", (1, 3, 8, 8)), Conv("fixed", Fixed(4), 1)))
    with pytest.raises(CostModelError, match=r"^the MACs of stiff are no quadratic in α: 768$"):
        solve_alpha(fixed, macs=1000)


def test_symbols_beside_a_width_that_never_shrinks() -> None:
    """On which side of 1 the solution lies has to be known."""
    with pytest.raises(CostModelError, match="give numbers"):
        solve_alpha(mobilenet_v2(), macs=10**8, rho=rho)
