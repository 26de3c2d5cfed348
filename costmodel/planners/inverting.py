"""The closed form turned around: the α of a number of MACs, as an exact expression."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import sympy

from costmodel.algebra.arithmetic import Dim, is_symbolic, multiplier
from costmodel.algebra.numbers import MAX_RHO, rational
from costmodel.algebra.symbols import alpha, relax, rho as symbolic_rho
from costmodel.core.cost import cost
from costmodel.core.rewrite import resize, widen
from costmodel.errors import CostModelError

if TYPE_CHECKING:
    from costmodel.core.network import Network
    from costmodel.planners.planning import Plan


def solve_alpha(network: Network, *, macs: Dim, rho: Dim = 1) -> Any:
    """The α at which the relaxed network takes `macs` multiply–accumulates at ρ.

    The relaxed MACs are a quadratic a·α² + b·α + c (Howard et al. 2017, eq. 7), so

        α = (−b + √(b² + 4a(macs − c))) / 2a.

    `macs` and `rho` may be symbols; a width that never shrinks (MobileNetV2's head) is taken as
    it is where the solution lies, at most 1 or above.

    >>> from costmodel import mobilenet_v1
    >>> solve_alpha(mobilenet_v1(), macs=568740352)
    1
    >>> round(float(solve_alpha(mobilenet_v1(), macs=150_000_000, rho="6/7")), 4)
    0.5883

    Raises CostModelError where no positive α takes so few MACs, where the MACs are no quadratic
    and where it depends on a symbol whether α is above 1.
    """
    target = _exact(macs, "macs") if not is_symbolic(macs) else macs
    ratio = multiplier(rho, "rho", MAX_RHO)
    relaxed = relax(cost(widen(resize(network, rho=symbolic_rho), alpha, "exact")).macs)
    formula = sympy.sympify(relaxed)  # a number where nothing scales
    formula = formula.subs(symbolic_rho, ratio if is_symbolic(ratio) else _exact(ratio, "rho"))
    grown = sympy.Max(1, alpha)
    if not formula.has(grown):
        return _root(network, formula, target)
    for kept in (sympy.Integer(1), alpha):
        found = _root(network, formula.subs(grown, kept), target)
        if found.free_symbols:
            raise CostModelError(f"{network.name} has widths that never shrink; give numbers")
        if (found <= 1) == (kept == 1):
            return found
    raise AssertionError("max(1, α) is continuous: one of the two is a solution")


class Exact(NamedTuple):
    """The α that takes exactly so many MACs at a resolution, without rounding."""

    alpha: float
    macs: int
    resolution: int


def exact_choice(made: Plan) -> Exact | None:
    """The α that takes all the MACs of a plan's limit at its choice's resolution.

    None where MACs have no limit, nothing fits, the inputs have no one side or α no formula.

    >>> from costmodel import mobilenet_v1, plan
    >>> exact_choice(plan(mobilenet_v1(), max_macs="150M"))
    Exact(alpha=0.5008835154227611, macs=150000000, resolution=224)
    """
    limits = [limit for limit in made.limits if limit.name == "max_macs"]
    sides = {side for layer in made.network.inputs for side in layer.shape[2:]}
    if not limits or made.choice is None or len(sides) != 1:
        return None
    most, side = int(limits[0].most), made.choice.resolution
    try:
        found = solve_alpha(made.network, macs=most, rho=f"{side}/{sides.pop()}")
    except CostModelError:
        return None
    return Exact(float(found), most, side)


def _exact(value: Any, name: str) -> Any:
    number = rational(value, name)
    return sympy.Rational(number.numerator, number.denominator)


def _root(network: Network, formula: Any, target: Any) -> Any:
    if not formula.is_polynomial(alpha) or sympy.degree(formula, alpha) not in {1, 2}:
        raise CostModelError(f"the MACs of {network.name} are no quadratic in α: {formula}")
    a, b, c = (formula.coeff(alpha, power) for power in (2, 1, 0))
    left = target - c
    found = left / b if a == 0 else (-b + sympy.sqrt(b**2 + 4 * a * left)) / (2 * a)
    if not found.free_symbols and not found.is_positive:
        least = f"at rho more than {c} at any α" if c else "more than 0"
        raise CostModelError(f"macs must be {least} for {network.name}, got {target}")
    return found
