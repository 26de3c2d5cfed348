"""The formulas, derived from the loop nest and never typed in, and their values."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import product
from typing import TYPE_CHECKING

from costmodel.algebra.arithmetic import Dim, multiplier, round_size
from costmodel.algebra.notation import latex, unicode
from costmodel.algebra.numbers import MAX_ALPHA, MAX_RHO
from costmodel.algebra.polynomial import ALPHA, RHO, Polynomial, symbol
from costmodel.core.cost import Cost, cost, layer_cost
from costmodel.core.layer import Input
from costmodel.core.lower import lower
from costmodel.core.network import Network
from costmodel.core.rewrite import IMAGE_AXES, resize, widen
from costmodel.errors import CostModelError
from costmodel.layers import Conv
from costmodel.layers.factorising import separate
from costmodel.reports.rows import reductions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sympy import Expr


@dataclass(frozen=True)
class ClosedForm:
    """A network's MACs and params in α and ρ, as the paper has them, without rounding.

    A width is α times and a map's side ρ times what it is in the network (Howard et al. 2017,
    §3.3, §3.4), so at α = ρ = 1 both are the network's exact cost. Lower bounds where `unknown`
    names layers that no rule knows.
    """

    macs: Polynomial
    params: Polynomial
    unknown: tuple[str, ...] = ()

    def __str__(self) -> str:
        sign = "≥" if self.unknown else "="
        given = "(α, ρ)" if "rho" in self.params.free_symbols else "(α)"
        return (
            f"MACs(α, ρ) {sign} {unicode(self.macs)}\nparams{given} {sign} {unicode(self.params)}"
        )

    def macs_at(self, alpha: Fraction, rho: Fraction) -> Fraction:
        """The polynomial's value: the MACs without any rounding."""
        values = {"alpha": alpha, "rho": rho, "max(1, alpha)": max(Fraction(1), alpha)}
        value: Fraction = self.macs.at(values)
        return value

    @property
    def latex(self) -> str:
        """The MACs as a LaTeX equation, or the bound on them."""
        sign = r"\ge" if self.unknown else "="
        return rf"\text{{MACs}}(\alpha, \rho) {sign} {latex(self.macs)}"

    def _repr_latex_(self) -> str:
        return f"${self.latex}$"


def closed_form(network: Network, axes: tuple[int, ...] = IMAGE_AXES) -> ClosedForm:
    """The paper's formula for a whole network: exact at α = ρ = 1, and where nothing is rounded.

    ρ scales `axes`.

    >>> from costmodel import mobilenet_v1
    >>> print(closed_form(mobilenet_v1()))
    MACs(α, ρ) = 539492352·α²ρ² + 28224000·αρ² + 1024000·α
    params(α) = 3139584·α² + 1091392·α + 1000

    Raises CostModelError where the relaxed cost is no polynomial.
    """
    total = cost(widen(resize(network, rho=RHO, axes=axes), ALPHA))
    return ClosedForm(total.macs + 0 * ALPHA, total.params + 0 * ALPHA, total.unknown)


ROWS = ("parameters", "computation cost", "+ width multiplier", "+ resolution multiplier")
COLUMNS = ("standard", "depthwise", "pointwise", "depthwise separable")


@cache
def _exact_costs() -> tuple[dict[str, Cost], ...]:
    """The exact symbolic cost of each column: plain, with α, with α and ρ."""
    from costmodel.algebra.symbols import C_in, C_out, H, K, W, alpha, rho

    standard = _middle_layer(K, (K - 1) / 2, C_in, C_out, (H, W))
    wide = widen(standard, alpha)
    return tuple(_columns(network) for network in (standard, wide, resize(wide, rho=rho)))


def _middle_layer(
    kernel: Dim, padding: Dim, c_in: Dim, c_out: Dim, size: tuple[Dim, Dim]
) -> Network:
    """One convolution in the middle of a network, so that α scales both its channel counts.

    Padding (K − 1)/2 keeps the size, as in every convolution of MobileNet at stride 1.
    """
    image = Input("image", (1, 1, *size))
    layer = Conv("layer", c_out, kernel, padding=padding)
    return Network("standard", (image, Conv("before", c_in, 1), layer))


def _columns(standard: Network) -> dict[str, Cost]:
    costs = {part.layer.name: layer_cost(part) for part in lower(standard)}
    separable = lower(separate(standard, "layer"))
    costs |= {part.layer.name: layer_cost(part) for part in separable}
    depthwise, pointwise = costs["layer.dw"], costs["layer.pw"]
    return dict(
        zip(COLUMNS, (costs["layer"], depthwise, pointwise, depthwise + pointwise), strict=True)
    )


@dataclass(frozen=True)
class Formulas:
    """The table of formulas: `table[row][column]` are sympy expressions, relaxed.

    `reduction` is what the depthwise separable pair costs over the standard convolution.
    """

    table: Mapping[str, Mapping[str, Expr]]
    reduction: Expr
    reduction_with_alpha: Expr

    def __str__(self) -> str:
        lines = [f"{row}: {', '.join(map(unicode, c.values()))}" for row, c in self.table.items()]
        plain, wide = unicode(self.reduction), unicode(self.reduction_with_alpha)
        return "\n".join([*lines, f"reduction: {plain}; with α: {wide}"])

    def _repr_latex_(self) -> str:
        head = ("", *(rf"\text{{{column}}}" for column in COLUMNS))
        rows = ((rf"\text{{{row}}}", *map(latex, c.values())) for row, c in self.table.items())
        lines = r" \\ ".join(" & ".join(line) for line in (head, *rows))
        return rf"$\begin{{array}}{{lllll}}{lines}\end{{array}}$"


def formulas() -> Formulas:
    """The table this project exists for (Howard et al. 2017, §3.1, eqs. 2–7).

    >>> unicode(formulas().table["+ resolution multiplier"]["standard"])
    'α²ρ²K²C_in·C_out·H·W'
    >>> unicode(formulas().reduction)
    '1/C_out + 1/K²'
    """
    from costmodel.algebra.symbols import relax

    plain, wide, small = _exact_costs()
    quantities = (
        {column: c.params for column, c in plain.items()},
        {column: c.macs for column, c in plain.items()},
        {column: c.macs for column, c in wide.items()},
        {column: c.macs for column, c in small.items()},
    )
    table = {
        row: {column: relax(cell) for column, cell in cells.items()}
        for row, cells in zip(ROWS, quantities, strict=True)
    }

    def reduction(row: str) -> Expr:
        return relax(table[row]["depthwise separable"] / table[row]["standard"])

    return Formulas(table, reduction(ROWS[1]), reduction(ROWS[2]))


def reduction() -> Polynomial:
    """1/C_out + 1/K², read off the nests of a separable pair, without loading sympy.

    >>> unicode(reduction())
    '1/C_out + 1/K²'
    """
    kernel, c_in, c_out, height, width = map(symbol, ("K", "C_in", "C_out", "H", "W"))
    layer = _middle_layer(kernel, (kernel - 1) / 2, c_in, c_out, (height, width))
    pair = separate(layer, "layer")
    (share,) = reductions(pair, lower(pair)).values()
    return share  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Step:
    """One line of Howard et al. 2017, Table 3: a layer and what it costs, exactly."""

    name: str
    macs: int
    params: int


def steps(  # noqa: PLR0913 - the six symbols of the formulas
    *, kernel: int, c_in: int, c_out: int, size: tuple[int, ...], alpha: Dim = 1, rho: Dim = 1
) -> tuple[Step, ...]:
    """The formulas at given values, one change after the other; `size` is the output's H, W.

    >>> [step.macs for step in steps(kernel=3, c_in=512, c_out=512, size=(14, 14))][:2]
    [462422016, 52283392]

    Raises CostModelError for values that are not positive.
    """
    from sympy import Rational

    from costmodel.algebra import symbols

    if len(size) != 2:  # noqa: PLR2004 - the H and W of the formulas
        raise CostModelError(f"size must be a side or HxW, got {'x'.join(map(str, size))}")
    width, resolution = multiplier(alpha, "alpha", MAX_ALPHA), multiplier(rho, "rho", MAX_RHO)
    if round_size(min(size), resolution) < 1:
        raise CostModelError(
            f"rho must leave a map of at least 1×1, got {rho} for size {min(size)}"
        )
    values = {
        symbols.K: kernel,
        symbols.C_in: c_in,
        symbols.C_out: c_out,
        symbols.H: size[0],
        symbols.W: size[1],
        symbols.alpha: Rational(width),
        symbols.rho: Rational(resolution),
    }
    plain, wide, small = _exact_costs()
    named = (
        ("standard convolution", plain["standard"]),
        ("depthwise separable", plain["depthwise separable"]),
        (f"+ α = {alpha}", wide["depthwise separable"]),
        (f"+ ρ = {rho}", small["depthwise separable"]),
    )
    return tuple(
        Step(name, int(total.macs.subs(values)), int(total.params.subs(values)))
        for name, total in named
    )


#: The field's usual values (Howard et al. 2017, Tables 1, 6 and 7).
TYPICAL_IN = (32, 64, 128, 256, 512)
TYPICAL_OUT = (64, 128, 256, 512, 1024)
TYPICAL_ALPHA = tuple(Fraction(n, 4) for n in (4, 3, 2, 1))
TYPICAL_RHO = tuple(Fraction(n, 224) for n in (224, 192, 160, 128))


@dataclass(frozen=True)
class Typical:
    """A 3×3 layer at typical values, and its cost as one convolution and as a pair."""

    c_in: int
    c_out: int
    alpha: Fraction
    rho: Fraction
    standard: int
    separable: int

    @property
    def reduction(self) -> Fraction:
        """separable / standard, at the same α and ρ."""
        return Fraction(self.separable, self.standard)


def typical(size: int = 14) -> tuple[Typical, ...]:
    """Exact MACs over every combination of typical values, for an output of size × size.

    >>> typical()[0].standard == 9*32*64 * 14*14
    True
    """
    rows = []
    for c_in, c_out in product(TYPICAL_IN, TYPICAL_OUT):
        layer = _middle_layer(3, 1, c_in, c_out, (size, size))
        for alpha, rho in product(TYPICAL_ALPHA, TYPICAL_RHO):
            costs = _columns(resize(widen(layer, alpha), rho=rho))
            standard, separable = costs["standard"].macs, costs["depthwise separable"].macs
            rows.append(Typical(c_in, c_out, alpha, rho, standard, separable))
    return tuple(rows)
