"""The formula sheet: formulas, values and typical ranges as text, Markdown, LaTeX and JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from fractions import Fraction
from itertools import product
from typing import TYPE_CHECKING

from rich.console import Group

from costmodel.algebra.notation import latex, si, unicode
from costmodel.algebra.numbers import rational
from costmodel.reports.formula import (
    COLUMNS,
    TYPICAL_ALPHA,
    TYPICAL_RHO,
    Formulas,
    Step,
    Typical,
    formulas,
    steps,
    typical,
)
from costmodel.show.grid import Grid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from rich.console import RenderableType
    from sympy import Expr

    from costmodel.algebra.arithmetic import Dim


@dataclass(frozen=True)
class Sheet:
    """Grids, a line below them, and the same as data."""

    grids: tuple[Grid, ...]
    latex_grids: tuple[Grid, ...]
    data: Mapping[str, object]

    def rich(self) -> RenderableType:
        """For a terminal."""
        return Group(*self.grids)

    def markdown(self) -> str:
        """For GitHub."""
        return "\n\n".join(grid.markdown() for grid in self.grids) + "\n"

    def latex(self) -> str:
        """For a paper."""
        return "\n\n".join(grid.latex() for grid in self.latex_grids) + "\n"

    def json(self) -> str:
        """For a program."""
        return json.dumps(self.data, indent=2, ensure_ascii=False) + "\n"


def formula_sheet() -> Sheet:
    """The formulas and the reduction, derived from the loop nest.

    >>> formula_sheet().grids[1].rows
    (('1/C_out + 1/K²', '1/(α·C_out) + 1/K²'),)
    """
    expressions = formulas()
    data = {
        "formulas": {
            row: {column: _spellings(cell) for column, cell in cells.items()}
            for row, cells in expressions.table.items()
        },
        "reduction": _spellings(expressions.reduction),
        "reduction_with_alpha": _spellings(expressions.reduction_with_alpha),
    }
    return Sheet(
        _formula_grids(expressions, lambda cell: unicode(cell).replace(" + ", "\n+ ")),
        _formula_grids(expressions, lambda cell: f"${latex(cell)}$"),
        data,
    )


def _formula_grids(expressions: Formulas, write: Callable[[Expr], str]) -> tuple[Grid, ...]:
    cells = tuple((row, *map(write, c.values())) for row, c in expressions.table.items())
    plain, wide = (
        write(cell).replace("\n", " ")
        for cell in (expressions.reduction, expressions.reduction_with_alpha)
    )
    return (
        Grid("Cost of a convolution with output H×W", ("", *COLUMNS), cells, left=5, gap=1),
        Grid("Depthwise separable over standard", ("reduction", "at width α"), ((plain, wide),), 2),
    )


def _spellings(expression: Expr) -> dict[str, str]:
    spellings = {"expression": str(expression), "unicode": unicode(expression)}
    return spellings | {"latex": latex(expression)}


def value_sheet(  # noqa: PLR0913 - the six symbols of the formulas
    *, kernel: int, c_in: int, c_out: int, size: int | tuple[int, ...], alpha: Dim, rho: Dim
) -> Sheet:
    """The formulas, and below them their values (Howard et al. 2017, Table 3).

    `size` is the output's side, or (height, width); α·C is rounded as MobileNetV1's authors do.
    """
    sides = size if isinstance(size, tuple) else (size, size)
    table = steps(kernel=kernel, c_in=c_in, c_out=c_out, size=sides, alpha=alpha, rho=rho)
    title = f"K = {kernel}, C_in = {c_in}, C_out = {c_out}, output {sides[0]}×{sides[1]}"
    title += ", rounding floor" if rational(alpha, "alpha") != 1 else ""
    grid, sheet = _step_grid(table, title), formula_sheet()
    return Sheet(
        (*sheet.grids, grid),
        (*sheet.latex_grids, grid),
        {**sheet.data, "values": [asdict(step) for step in table]},
    )


def _step_grid(table: tuple[Step, ...], title: str) -> Grid:
    first = table[0].macs
    rows = tuple(
        (s.name, f"{s.macs:,}", si(s.macs), f"{s.params:,}", si(s.params), f"{first / s.macs:.2f}×")
        for s in table
    )
    return Grid(title, ("", "MACs", "", "params", "", "fewer MACs"), rows)


TYPICAL_SIZE = 14


def typical_sheet(size: int = TYPICAL_SIZE) -> Sheet:
    """MACs of 3×3 layers over the field's typical channels, α and ρ, for a size×size output."""
    table = typical(size)
    records = [
        {
            "kernel": 3,
            "in_channels": t.c_in,
            "out_channels": t.c_out,
            "size": size,
            "alpha": str(t.alpha),
            "rho": str(t.rho),
            "standard_macs": t.standard,
            "separable_macs": t.separable,
            "reduction": float(t.reduction),
        }
        for t in table
    ]
    grid = _typical_grid(table, size)
    return Sheet((grid,), (grid,), {"typical": records})


def _typical_grid(table: Iterable[Typical], size: int) -> Grid:
    at = {(t.c_in, t.c_out, t.alpha, t.rho): t for t in table}
    scaled = list(product(TYPICAL_ALPHA[1:], TYPICAL_RHO[1:]))
    at_scale = (f"α {float(a):g}\nρ {r}" for a, r in scaled)
    head = ("C_in", "C_out", "standard", "separable", "ratio", *at_scale)
    rows = []
    for c_in, c_out in dict.fromkeys((t[0], t[1]) for t in at):
        full = at[c_in, c_out, Fraction(1), Fraction(1)]
        row = (str(c_in), str(c_out), si(full.standard), si(full.separable))
        cells = (si(at[c_in, c_out, a, r].separable) for a, r in scaled)
        rows.append((*row, f"{float(full.reduction):.4f}", *cells))
    title = f"MACs of a 3×3 layer, output {size}×{size}; at α and ρ: depthwise separable"
    return Grid(title, head, tuple(rows), left=0, gap=1)
