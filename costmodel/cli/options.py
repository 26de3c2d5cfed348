"""The options that several commands have, each declared once."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Annotated, Any

import typer

from costmodel.planners.limits import limited

if TYPE_CHECKING:
    from collections.abc import Callable

    from costmodel.core.quantities import Quantity

Model = Annotated[
    str | None,
    typer.Option(
        metavar="SPEC",
        help="A torch model of your own: package.module:factory or package.module:factory(x=1). "
        "Imports that module and runs its code.",
    ),
]
InputSize = Annotated[
    str | None,
    typer.Option("--input", metavar="SIZES", help="Its input, batch apart; default, 3,224,224."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
AsMarkdown = Annotated[bool, typer.Option("--markdown", help="Print GitHub Markdown.")]
NetworkName = Annotated[
    str | None,
    typer.Argument(
        help="A network of the zoo, or a network in a file NAME.json.", show_default="mobilenet_v1"
    ),
]
Alpha = Annotated[str, typer.Option(help="Width multiplier: 0.75 or 3/4.")]
Rho = Annotated[str | None, typer.Option(help="Resolution multiplier: 0.857 or 192/224.")]
RhoAxes = Annotated[
    str,
    typer.Option(
        metavar="AXES",
        help="The axes ρ scales, from the last: -3,-2,-1; default, -2,-1 (H, W).",
        show_default=False,
    ),
]
Resolution = Annotated[
    str | None, typer.Option(help="The input's side D, or HxW, in place of --rho.")
]
Classes = Annotated[str | None, typer.Option(help="Classes of the classifier.")]
Rounding = Annotated[
    str | None,
    typer.Option(help="Channel rounding: floor, divisible(8) or exact; default, the authors'."),
]
DeviceName = Annotated[
    str | None,
    typer.Option(
        "--device",
        metavar="NAME|FILE.json",
        help="Estimate time on it too: one that `costmodel devices` lists, or a calibrated one.",
    ),
]
Dtype = Annotated[
    str | None,
    typer.Option(
        help="float32, float16 or int8 (with int32 biases); default, the device's or float32.",
        show_default=False,
    ),
]
FoldBatchNorm = Annotated[
    bool, typer.Option("--fold-batch-norm", help="Batch norm is folded into the convolutions.")
]
InPlace = Annotated[
    bool, typer.Option("--in-place", help="Elementwise operators overwrite their input.")
]
NoInput = Annotated[
    bool, typer.Option("--no-input", help="The input is in other memory than the activations.")
]


def with_limits(run: Callable[..., None]) -> Callable[..., None]:
    """A command that takes `most` with an option --max-… for each quantity that may be limited."""
    signature = inspect.signature(run, eval_str=True)
    if "most" not in signature.parameters:
        return run

    def command(**given: Any) -> None:
        most = {name: given.pop(name) for name in limited()}
        run(**given, most=most)

    kept = [p for name, p in signature.parameters.items() if name != "most"]
    limits = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[str | None, typer.Option(help=_limit_help(row))],
        )
        for name, row in limited().items()
    ]
    command.__signature__ = signature.replace(parameters=[*kept, *limits])  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in (*kept, *limits)}
    command.__doc__ = run.__doc__
    return command


def _limit_help(row: Quantity) -> str:
    amounts = {"bytes": "512KiB (2¹⁰), 512KB", "s": "20ms, on a --device"}.get(row.unit, "2M, 1.2G")
    unit = f" {row.unit}" if row.unit not in {"", "bytes", "s"} else ""
    return f"Most {row.title}{unit}: {amounts}."
