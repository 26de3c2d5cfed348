"""The command line: parse, call one library function, print."""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
from contextlib import nullcontext
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from costmodel.algebra.arithmetic import positive_integer, rational
from costmodel.core.rewrite import IMAGE_AXES
from costmodel.errors import CostModelError, printable
from costmodel.files import check_target, image_format, make_directory, write_atomically
from costmodel.show import table as show
from costmodel.show.explorer.sheet import TYPICAL_SIZE, formula_sheet, typical_sheet, value_sheet
from costmodel.show.grid import console, plain
from costmodel.show.report import Report, base_network, parse_size
from costmodel.show.report import report as make_report
from costmodel.version import __version__

#: Of a message: a name or a number may be as long as a file.
MOST_CHARACTERS = 1000

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractContextManager

    from rich.console import RenderableType
    from torch import nn

    from costmodel.core.network import Network
    from costmodel.planners.limits import Limit
    from costmodel.show.explorer.sheet import Sheet

app = typer.Typer(
    add_completion=False,
    suggest_commands=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    help="Exact cost of convolutional networks: formulas, counts and a check against real torch "
    "models.",
)


def main() -> None:
    """Run the command; a user's mistake is one line and exit code 2, a failed check exit code 1."""
    atexit.register(gc.freeze)  # all goes with the process: no search for garbage before that
    _prepare_streams()
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        code = _answer()
    except (BrokenPipeError, SystemExit):  # the reader has seen enough; typer exits by itself
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except OSError as error:  # a disk that is full, say
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = _complain(f"cannot write the output: {error.strerror}; free the place it goes to")
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    except _TerminatedError:
        code = 128 + signal.SIGTERM
    finally:
        signal.signal(signal.SIGTERM, before)
    sys.exit(code)


def _answer() -> int | None:
    """The exit code of the command, its mistakes worded."""
    try:
        code: int | None = app(sys.argv[1:] or ["--help"], standalone_mode=False)
        sys.stdout.flush()
    except CostModelError as error:
        return _complain(str(error))
    except (MemoryError, OverflowError, RecursionError) as error:
        why = str(error) or "there is not enough memory"
        return _complain(f"too large to compute: {why}; give a smaller network or grid")
    except Exception as error:
        if "integer string conversion" in str(error):
            return _complain("a count has more than 4,300 digits; give a smaller network")
        format_message: Callable[[], str] | None = getattr(error, "format_message", None)
        if format_message is None:
            raise
        return _complain(f"{format_message()} See --help.")
    return code


class _TerminatedError(BaseException):
    """SIGTERM, as KeyboardInterrupt is SIGINT: what is open is closed and cleaned up."""


def _terminate(*_: object) -> NoReturn:
    raise _TerminatedError


def _prepare_streams() -> None:
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by the shell: as if it were /dev/null
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115 - for good
        elif isinstance(stream, TextIOWrapper):  # α and × whatever the locale
            stream.reconfigure(encoding="utf-8", errors="replace")


def _complain(message: str, code: int = 2) -> int:
    """One line on standard error, its middle left out where it is very long."""
    line = printable(message)
    if len(line) > MOST_CHARACTERS:
        half = MOST_CHARACTERS // 2
        line = f"{line[:half]} … {line[-half:]}"
    try:
        sys.stderr.write(f"costmodel: {line}\n")
    except OSError:  # full or closed: the exit code says it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
    return code


def _version(*, asked: bool) -> None:
    if asked:
        sys.stdout.write(f"costmodel {__version__}\n")
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=lambda asked: _version(asked=asked), is_eager=True)
    ] = False,
) -> None:
    pass


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
    str | None,
    typer.Option(
        metavar="AXES", help="The axes ρ scales, from the last: -3,-2,-1; default, -2,-1 (H, W)."
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


@app.command()
def report(  # noqa: PLR0913 - a parameter is an option
    network: NetworkName = None,
    *,
    alpha: Alpha = "1",
    rho: Rho = None,
    rho_axes: RhoAxes = None,
    resolution: Resolution = None,
    classes: Classes = None,
    rounding: Rounding = None,
    model: Model = None,
    input_size: InputSize = None,
    separate: Annotated[
        bool, typer.Option("--separate", help="Factorise its K×K convolutions first, and compare.")
    ] = False,
    no_check: Annotated[
        bool, typer.Option("--no-check", help="Leave the cross-check with torch out.")
    ] = False,
    plots: Annotated[
        str | None, typer.Option(metavar="DIR", help="Write four plots there, PNG and SVG.")
    ] = None,
    as_json: AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print the layers as CSV.")] = False,
    as_markdown: AsMarkdown = False,
    output: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write to a file instead of the terminal.")
    ] = None,
) -> None:
    """Cost a network layer by layer and check every figure against a real torch model.

    Example: [bold]costmodel report --alpha 0.75 --rho 0.857[/bold]

    Example: [bold]costmodel report --model mynet:Net --alpha 0.5 --separate[/bold]
    """
    form = _one_of(json=as_json, csv=as_csv, markdown=as_markdown)
    if output is not None:
        check_target(output)
    if plots is not None:
        make_directory(plots)
    base, module = _traced(network, model, input_size)
    made = make_report(
        base,
        alpha=alpha,
        rho=rho,
        axes=_axes(rho_axes),
        resolution=resolution,
        classes=classes,
        rounding=rounding,
        separated=separate,
        module=module,
    )
    live = form is None and output is None and sys.stdout.isatty() and not no_check
    live = live and module is None  # whose prints would get between
    with _running(model):
        made = show.check_live(made) if live else made if no_check else made.checked()
    if not live:
        _write(made, form, output)
    if plots is not None:
        from costmodel.show.plots import report_figures, save_figures

        _wrote(save_figures(report_figures(made), plots))
    if made.failed:
        raise typer.Exit(1)


def _running(model: str | None) -> AbstractContextManager[None]:
    """While the user's model, if it is one, may run."""
    if model is None:
        return nullcontext()
    from costmodel.frontends.torch.models import running

    return running(model)


def _axes(written: str | None) -> tuple[int, ...]:
    """The axes that ρ scales."""
    if written is None:
        return IMAGE_AXES
    try:
        return tuple(sorted({int(axis) for axis in written.split(",")}))
    except ValueError:
        rule = "axes from the last, such as -3,-2,-1"
        raise CostModelError(f"--rho-axes must be {rule}, got {written!r}") from None


def _traced(
    network: str | None, model: str | None, input_size: str | None
) -> tuple[str | Network, nn.Module | None]:
    """The network by name, or that of the torch model, and its module, in evaluation mode."""
    if model is None:
        if input_size is not None:
            raise CostModelError("--input is the input of a --model; give --resolution")
        return "mobilenet_v1" if network is None else network, None
    if network is not None:
        raise CostModelError(f"{network} and --model {model} are two networks; give one")
    from costmodel.frontends.torch.forward import trace
    from costmodel.frontends.torch.models import load_model

    sizes = ("3,224,224" if input_size is None else input_size).split(",")
    shape = tuple(positive_integer(size, "input") for size in sizes)
    with _running(model):
        module = load_model(model)
        return trace(module, shape), module


def _one_of(**flags: bool | str | None) -> str | None:
    chosen = [name for name, flag in flags.items() if flag not in {None, False}]
    if len(chosen) > 1:
        raise CostModelError(f"--{' and --'.join(chosen)} are alternatives; choose one")
    return chosen[0] if chosen else None


_FORMS: dict[str, Callable[[Report], str]] = {
    "json": Report.to_json,
    "csv": show.to_csv,
    "markdown": show.to_markdown,
}


def _write(made: Report, form: str | None, output: str | None) -> None:
    if output is not None:
        write_atomically(output, _FORMS[form](made) if form else show.to_text(made))
        sys.stderr.write(f"wrote {output}\n")
    elif form:
        sys.stdout.write(_FORMS[form](made))
    else:
        _print(show.render(made))


def _wrote(paths: Iterable[Path]) -> None:
    for path in paths:
        sys.stderr.write(f"wrote {path}\n")


def _print(renderable: RenderableType) -> None:
    if sys.stdout.isatty():
        console().print(renderable)
    else:
        sys.stdout.write(plain(renderable))


@app.command()
def formulas(  # noqa: PLR0913 - a parameter is an option
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
    as_markdown: AsMarkdown = False,
    as_json: AsJson = False,
) -> None:
    """Print the cost formulas of the convolutions, derived from the loop nest.

    Example: [bold]costmodel formulas --kernel 3 --in 512 --out 512 --size 14 --alpha 0.75[/bold]
    """
    form = _one_of(latex=as_latex, markdown=as_markdown, json=as_json)
    sheet = _sheet(kernel, c_in, c_out, size, alpha, rho, typical=typical)
    if form is None:
        _print(sheet.rich())
    else:
        writers = {"latex": sheet.latex, "markdown": sheet.markdown, "json": sheet.json}
        sys.stdout.write(writers[form]())


def _sheet(*texts: str | None, typical: bool) -> Sheet:
    kernel, c_in, c_out, size, alpha, rho = texts
    sides = None if size is None else parse_size(size, "size")
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


@app.command("family")
def family_command(
    *,
    plots: Annotated[
        str | None, typer.Option(metavar="DIR", help="Write two plots there, PNG and SVG.")
    ] = None,
    as_json: AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print the models as CSV.")] = False,
    as_markdown: AsMarkdown = False,
) -> None:
    """The sixteen MobileNets: what they cost, and their published accuracies.

    Example: [bold]costmodel family --plots figures[/bold]
    """
    from costmodel.show import family as shown

    form = _one_of(json=as_json, csv=as_csv, markdown=as_markdown)
    if form is None:
        _print(shown.rich())
    else:
        writers = {"json": shown.to_json, "csv": shown.to_csv, "markdown": shown.to_markdown}
        sys.stdout.write(writers[form]())
    if plots is not None:
        from costmodel.show.plots import family_figures, save_figures

        _wrote(save_figures(family_figures(), plots))


@app.command("compare")
def compare_command(
    variants: Annotated[
        list[str], typer.Argument(help="NAME[@ALPHA[,RESOLUTION[,CLASSES]]], one or more.")
    ],
    *,
    as_json: AsJson = False,
    as_markdown: AsMarkdown = False,
) -> None:
    """Networks and variants side by side, with ratios to the first.

    Example: [bold]costmodel compare mobilenet_v1@0.5,160 alexnet squeezenet_1_0[/bold]
    """
    from costmodel.show import compare as shown

    form = _one_of(json=as_json, markdown=as_markdown)
    reports = shown.compare(variants)
    if form == "json":
        sys.stdout.write(shown.to_json(reports))
    elif form == "markdown":
        sys.stdout.write(shown.grid(reports, variants).markdown() + "\n")
    else:
        _print(shown.grid(reports, variants))


@app.command("reconcile")
def reconcile_command(  # noqa: PLR0913 - a parameter is an option
    network: NetworkName = None,
    *,
    alpha: Alpha = "1",
    rho: Rho = None,
    rho_axes: RhoAxes = None,
    resolution: Resolution = None,
    classes: Classes = None,
    rounding: Rounding = None,
    model: Model = None,
    input_size: InputSize = None,
    run: Annotated[
        bool, typer.Option("--run", help="Run the tools that are installed, and compare.")
    ] = False,
    as_json: AsJson = False,
    as_markdown: AsMarkdown = False,
) -> None:
    """What seven tools print for a network, nine figures, and why: the exact sum behind each.

    Example: [bold]costmodel reconcile mobilenet_v2 --run[/bold]

    Example: [bold]costmodel reconcile --model mynet:Net --run[/bold]
    """
    from costmodel.show import reconcile as shown

    form = _one_of(json=as_json, markdown=as_markdown)
    given, module = _traced(network, model, input_size)
    base = make_report(
        given,
        alpha=alpha,
        rho=rho,
        axes=_axes(rho_axes),
        resolution=resolution,
        classes=classes,
        rounding=rounding,
        module=module,
    )
    with _running(model):
        made = shown.reconciled(base, run=run)
    if form is None:
        _print(shown.rich(base, made))
    else:
        writers = {"json": shown.to_json, "markdown": shown.to_markdown}
        sys.stdout.write(writers[form](base, made))
    if made.failed:
        raise typer.Exit(1)


@app.command("audit")
def audit_command(
    *,
    source: Annotated[
        str | None, typer.Option(help="mobilenet_v1_paper, tf_slim_mobilenet_v1 or a file.csv.")
    ] = None,
    as_json: AsJson = False,
    as_markdown: AsMarkdown = False,
) -> None:
    """Hold every printed cost against the exact figure: reproduced, misprinted, or why not.

    Example: [bold]costmodel audit --source tf_slim_mobilenet_v1[/bold]
    """
    from costmodel.published.audit import audit
    from costmodel.show import audit as shown

    form = _one_of(json=as_json, markdown=as_markdown)
    findings = audit(source)
    if form is None:
        _print(shown.rich(findings))
    else:
        writers = {"json": shown.to_json, "markdown": shown.to_markdown}
        sys.stdout.write(writers[form](findings))


@app.command("sweep")
def sweep_command(  # noqa: PLR0913 - a parameter is an option
    network: NetworkName = None,
    *,
    model: Model = None,
    input_size: InputSize = None,
    alphas: Annotated[
        str, typer.Option(help="START:STOP:STEP with the stop, or a list 0.25,0.5,1.")
    ] = "0.25:1:0.25",
    resolutions: Annotated[
        str | None, typer.Option(help="As --alphas.", show_default="128:224:32")
    ] = None,
    pairs: Annotated[
        bool, typer.Option("--pairs", help="The n-th α with the n-th resolution only.")
    ] = False,
    classes: Classes = None,
    rounding: Rounding = None,
    dtype: Dtype = "float32",
    fold_batch_norm: FoldBatchNorm = False,
    in_place: InPlace = False,
    no_input: NoInput = False,
    max_macs: MaxMacs = None,
    max_params: MaxParams = None,
    max_peak_memory: MaxPeak = None,
    max_flash: MaxFlash = None,
    front: Annotated[
        str | None, typer.Option(metavar="QUANTITY", help="The Pareto front of MACs against it.")
    ] = None,
    histogram: Annotated[
        str | None, typer.Option(metavar="QUANTITY", help="How many configurations take how much.")
    ] = None,
    output: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write all to FILE.csv or FILE.parquet.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Exact costs over a grid of α and resolutions, as large as you like.

    Small grids are printed, large ones as ranges. With --max-… the configuration of most MACs
    within those limits is; --front and --histogram reduce 10⁹ configurations in the memory of a
    few million, and --output writes them in parts.

    Example: [bold]costmodel sweep --alphas 0.1:1.5:0.01 --resolutions 32:512 --max-macs 150M[/bold]
    """
    from costmodel.metrics.memory import MemoryRules
    from costmodel.planners.limits import fractions
    from costmodel.planners.sweeping import sweep
    from costmodel.show import sweep as shown

    limits = _limits(max_macs, max_params, max_peak_memory, max_flash)
    chosen = _one_of(front=front, histogram=histogram, output=output)
    if limits and chosen:
        raise CostModelError(f"--max-… picks one configuration, --{chosen} takes all; give one")
    if output is not None:
        shown.check_output(output)
    base, _ = base_network(_traced(network, model, input_size)[0], classes, rounding)
    rules = MemoryRules(dtype, not no_input, in_place, fold_batch_norm)
    grid = fractions(alphas, "alphas"), _sides(base, resolutions, "128:224:32")
    swept = sweep(base, *grid, paired=pairs, rules=rules)
    view = shown.View(swept, base, rules)
    with shown.progress_bar(swept.size) as advance:
        if output is not None:
            rows = shown.write(swept, output, progress=advance)
        else:
            table = view.table(limits, front, histogram, progress=advance)
    if output is not None:
        sys.stderr.write(f"wrote {output}: {rows:,} configurations\n")
    elif as_json:
        sys.stdout.write(table.json())
    else:
        _print(table)


@app.command("plan")
def plan_command(  # noqa: PLR0913 - a parameter is an option
    network: NetworkName = None,
    *,
    model: Model = None,
    input_size: InputSize = None,
    max_macs: MaxMacs = None,
    max_params: MaxParams = None,
    max_peak_memory: MaxPeak = None,
    max_flash: MaxFlash = None,
    resolutions: Annotated[
        str | None,
        typer.Option(
            help="START:STOP:STEP with the stop, or a list 128,160.", show_default="96:224:32"
        ),
    ] = None,
    alphas: Annotated[
        str | None, typer.Option(help="As --resolutions; default, every distinct width to 1.5.")
    ] = None,
    classes: Classes = None,
    rounding: Rounding = None,
    dtype: Dtype = "float32",
    fold_batch_norm: FoldBatchNorm = False,
    in_place: InPlace = False,
    no_input: NoInput = False,
    plot: Annotated[
        str | None, typer.Option(metavar="FILE", help="Draw it: FILE.png, FILE.svg or FILE.pdf.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Which α and resolution fit a budget: the best network, what binds, and what is next to it.

    Every distinct network is considered. Accuracy decides where the paper prints it or its law
    gives an estimate (MobileNetV1, 1000 classes), else the most MACs do.

    Example: [bold]costmodel plan --max-macs 150M --max-flash 1MiB --dtype int8[/bold]
    """
    from costmodel.metrics.memory import MemoryRules
    from costmodel.planners.limits import fractions
    from costmodel.planners.planning import plan
    from costmodel.show import plan as shown

    base, _ = base_network(_traced(network, model, input_size)[0], classes, rounding)
    if plot is not None:
        image_format(plot)
        check_target(plot)
    made = plan(
        base,
        max_macs=max_macs,
        max_params=max_params,
        max_peak_memory=max_peak_memory,
        max_flash=max_flash,
        resolutions=_sides(base, resolutions, "96:224:32"),
        alphas=None if alphas is None else fractions(alphas, "alphas"),
        rules=MemoryRules(dtype, not no_input, in_place, fold_batch_norm),
    )
    if as_json:
        sys.stdout.write(shown.to_json(made))
    else:
        _print(shown.rich(made))
    if plot is not None:
        from costmodel.show.plots import plan_figure, save_figure

        save_figure(plan_figure(made), plot)
        _wrote([Path(plot)])
    if made.choice is None:
        raise typer.Exit(_complain(shown.reason(made), 1))


@app.command("explore")
def explore_command(
    networks: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NETWORK]...",
            help="Networks of the zoo or files NAME.json; default, the MobileNets.",
        ),
    ] = None,
    *,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="The file to write.")
    ] = "explorer.html",
) -> None:
    """Write a page that computes: drag α and the resolution, and every exact figure follows.

    One file that opens from disk, without a network: totals, layers, contour, budget, closed form.

    Example: [bold]costmodel explore -o explorer.html mobilenet_v1 squeezenet_1_1[/bold]
    """
    from costmodel.show.explorer.page import FAMILY, page

    check_target(output)
    write_atomically(output, page(networks or FAMILY))
    _wrote([Path(output)])


def _sides(network: Network, given: str | None, default: str) -> tuple[int, ...]:
    """The resolutions; one that changes nothing for a network without an image."""
    from costmodel.planners.limits import integers

    if any(layer.shape[2:] for layer in network.inputs):
        return integers(default if given is None else given, "resolutions")
    if given is not None:
        raise CostModelError(
            f"{network.name} has no image whose resolution could be set; leave --resolutions out"
        )
    return (1,)


def _limits(*given: str | None) -> tuple[Limit, ...]:
    from costmodel.planners.limits import LIMITS, Limit

    pairs = zip(LIMITS, given, strict=True)
    return tuple(Limit.of(name, text) for name, text in pairs if text is not None)
