"""The options that several commands have, each declared once."""

from __future__ import annotations

from typing import Annotated

import typer

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
MaxMacs = Annotated[str | None, typer.Option(help="Most MACs: 150M, 1.2G.")]
MaxParams = Annotated[str | None, typer.Option(help="Most parameters: 2M.")]
MaxPeak = Annotated[
    str | None,
    typer.Option("--max-peak-memory", help="Most bytes of live activations: 512KiB (2¹⁰), 512KB."),
]
MaxFlash = Annotated[str | None, typer.Option(help="Most bytes of weights: 1MiB, 4MB.")]
Dtype = Annotated[str, typer.Option(help="float32, float16 or int8 (with int32 biases).")]
FoldBatchNorm = Annotated[
    bool, typer.Option("--fold-batch-norm", help="Batch norm is folded into the convolutions.")
]
InPlace = Annotated[
    bool, typer.Option("--in-place", help="Elementwise operators overwrite their input.")
]
NoInput = Annotated[
    bool, typer.Option("--no-input", help="The input is in other memory than the activations.")
]
