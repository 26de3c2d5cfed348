"""`costmodel formulas`: the cost formulas of the convolutions, and their values."""

from typing import TYPE_CHECKING, Annotated

import typer

from costmodel.algebra.numbers import positive_integer, rational
from costmodel.cli import options
from costmodel.cli.output import answer, one_of
from costmodel.errors import CostModelError

if TYPE_CHECKING:
    from costmodel.show.sheet import Sheet


def run(  # noqa: PLR0913 - a parameter is an option
    *,
    kernel: Annotated[str | None, typer.Option(help="K, to evaluate the formulas.")] = None,
    c_in: Annotated[str | None, typer.Option("--in", help="Input channels.")] = None,
    c_out: Annotated[str | None, typer.Option("--out", help="Output channels.")] = None,
    size: Annotated[str | None, typer.Option(help="The output's side, or HxW.")] = None,
    alpha: Annotated[str, typer.Option(help="Width multiplier.")] = "1",
    rho: Annotated[str, typer.Option(help="Resolution multiplier.")] = "1",
    typical: Annotated[
        bool, typer.Option("--typical", help="A table over the field's typical values.")
    ] = False,
    as_latex: Annotated[bool, typer.Option("--latex", help="Print LaTeX.")] = False,
    as_markdown: options.AsMarkdown = False,
    as_json: options.AsJson = False,
) -> None:
    """Print the cost formulas of the convolutions, derived from the loop nest.

    Example: [bold]costmodel formulas --kernel 3 --in 512 --out 512 --size 14 --alpha 0.75[/bold]
    """
    form = one_of(latex=as_latex, markdown=as_markdown, json=as_json)
    sheet = _sheet(kernel, c_in, c_out, size, alpha, rho, typical=typical)
    answer(form, sheet.rich, latex=sheet.latex, markdown=sheet.markdown, json=sheet.json)


def _sheet(*texts: str | None, typical: bool) -> "Sheet":
    from costmodel.planners.limits import sides as parsed
    from costmodel.show.sheet import TYPICAL_SIZE, formula_sheet, typical_sheet, value_sheet

    kernel, c_in, c_out, size, alpha, rho = texts
    sides = None if size is None else parsed(size, "size")
    at_one = all(rational(text, name) == 1 for name, text in (("alpha", alpha), ("rho", rho)))
    if typical:
        if not at_one or any(text is not None for text in (kernel, c_in, c_out)):
            raise CostModelError("--typical has K, channels, α and ρ of its own; give --size alone")
        if isinstance(sides, tuple):
            raise CostModelError(f"--typical has square outputs, got --size {size}; give one side")
        return typical_sheet(sides or TYPICAL_SIZE)
    if all(text is None for text in (kernel, c_in, c_out, size)) and at_one:
        return formula_sheet()
    given = {"--kernel": kernel, "--in": c_in, "--out": c_out, "--size": size}
    missing = [name for name, text in given.items() if text is None]
    if missing:
        raise CostModelError(f"values need {', '.join(given)}; {' and '.join(missing)} missing")
    k, i, o = (positive_integer(text, name) for name, text in list(given.items())[:3])
    return value_sheet(kernel=k, c_in=i, c_out=o, size=sides or 1, alpha=alpha, rho=rho)
