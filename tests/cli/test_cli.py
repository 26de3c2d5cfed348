"""The command line: what a user types and gets."""

from __future__ import annotations

import csv
import json
import os
import pty
import subprocess
import sys
import time
from functools import cache
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from costmodel import Network, cli, mobilenet_v1, resize, to_json, widen
from costmodel.layers import Input, Linear
from costmodel.metrics import kept_bytes
from costmodel.reference import mobilenet as reference
from costmodel.reports import checking

if TYPE_CHECKING:
    from collections.abc import Callable

MAIN_EXAMPLE = ("report", "--alpha", "0.75", "--rho", "0.857")


#: What the commands have in common.
SHARED = {"__init__", "options", "output", "process"}


def test_every_command_is_a_file() -> None:
    """A file of the command line is a command of its name, but those that all commands share."""
    files = {path.stem for path in Path(cli.__file__).parent.glob("*.py")}
    commands = {command.name for command in cli.app().registered_commands}
    assert files - {name.replace("-", "_") for name in commands} == SHARED
    assert len(commands) == len(cli.COMMANDS) == 12


def test_the_main_example(run: Callable) -> None:
    """The README's command prints the headline figures, checked, and exits 0."""
    code, out, err = run(*MAIN_EXAMPLE)
    assert (code, err) == (0, "")
    assert "239,273,472 MACs" in out
    assert "2,585,560 params" in out
    assert "192×192" in out
    assert "✓ all" in out
    assert "MACs(α, ρ) = 539492352·α²ρ² + 28224000·αρ² + 1024000·α" in out


#: What the forms and widths of one checked report share: torch is asked once.
CHECKED = cache(checking.checked)


@pytest.mark.parametrize("columns", [60, 80, 100, 140])
def test_the_table_fits_the_width(
    run: Callable, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    """No line is wider than the terminal, no figure is cut, and names stay whole."""
    monkeypatch.setattr(checking, "checked", CHECKED)
    monkeypatch.setenv("COLUMNS", str(columns))
    _, out, _ = run(*MAIN_EXAMPLE)
    assert max(map(len, out.splitlines())) <= columns
    assert "…" not in out
    assert "block13.pw" in out
    assert "21,233,664 ✓" in out


def test_a_pipe_gets_plain_text_100_columns_wide(
    run: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a terminal there are no escapes, no trailing blanks, and at most 100 columns."""
    monkeypatch.setattr(checking, "checked", CHECKED)
    _, out, _ = run(*MAIN_EXAMPLE)
    assert "\x1b" not in out
    assert all(line == line.rstrip() for line in out.splitlines())
    assert max(map(len, out.splitlines())) <= 100


JSON_KEYS = {
    "schema",
    "network",
    "alpha",
    "rho",
    "resolution",
    "classes",
    "rounding",
    "totals",
    "by_kind",
    "layers",
    "closed_form",
    "check",
}
LAYER_KEYS = {
    "name",
    "kind",
    "kernel",
    "stride",
    "in_channels",
    "out_channels",
    "out_height",
    "out_width",
    "params",
    "macs",
    "bytes",
    "intensity",
    "reference_macs",
    "reduction",
}


def test_json(run: Callable) -> None:
    """The JSON has the promised keys, and its layers add up to its totals."""
    code, out, _ = run(*MAIN_EXAMPLE, "--json")
    data = json.loads(out)
    assert code == 0
    assert data.keys() >= JSON_KEYS
    assert data["totals"].keys() >= {"params", "macs", "flops", "activations"}
    assert all(layer.keys() == LAYER_KEYS for layer in data["layers"])
    for quantity in ("params", "macs"):
        assert sum(layer[quantity] for layer in data["layers"]) == data["totals"][quantity]
        kinds = data["by_kind"].values()
        assert sum(kind[quantity] for kind in kinds) == data["totals"][quantity]
    assert all(layer["reference_macs"] == layer["macs"] for layer in data["layers"])
    assert (data["alpha"], data["rho"], data["resolution"]) == (0.75, 0.857, 192)
    assert data["totals"]["flops"] == 2 * 239_273_472
    assert data["check"]["status"] == "passed"
    assert data["check"]["mismatches"] == []
    assert data["check"]["tools"].keys() == {"torch", "fvcore"}
    assert data["closed_form"]["macs"] == (
        "539492352*alpha**2*rho**2 + 28224000*alpha*rho**2 + 1024000*alpha"
    )
    assert "batch norm" in data["schema"]["params"]
    first_pair = data["layers"][2]
    assert first_pair["reduction"] == float(1 / 48 + 1 / 9)
    moved = 4 * (24 * 96 * 96 + 24 * 48 + 2 * 48 + 48 * 96 * 96)  # read, weights and norm, written
    assert first_pair["bytes"] == moved
    assert first_pair["intensity"] == 24 * 48 * 96 * 96 / moved


def test_training_in_a_report(run: Callable) -> None:
    """Thrice the forward pass, less the image's gradient; the bytes of `kept_bytes`."""
    data = json.loads(run(*MAIN_EXAMPLE, "--no-check", "--json").out)["training"]
    assert data["forward_macs"] == 239_273_472
    assert data["backward_macs"] == 2 * 239_273_472 - 9 * 3 * 24 * 96 * 96
    network = widen(resize(mobilenet_v1(), resolution=192), "3/4")
    assert data["kept_bytes"] == kept_bytes(network)


def test_memory_of_a_report(run: Callable) -> None:
    """Weights in each type, and the peak: two maps of block 1 at a time."""
    found = json.loads(run(*MAIN_EXAMPLE, "--no-check", "--json").out)["memory"]
    maps = 2 * 48 * 96 * 96
    params = {"weights": 1_800_144 + 768 * 1000, "norm": 16_416, "biases": 1000}
    folded = params["weights"] + 4 * (params["norm"] // 2 + params["biases"])  # int32 biases
    assert [(f["rules"], f["weight_bytes"], f["peak_bytes"]) for f in found] == [
        ("float32", 4 * sum(params.values()), 4 * maps),
        ("float16", 2 * sum(params.values()), 2 * maps),
        ("int8, batch norm folded", folded, maps),
    ]
    assert found[2]["peak_layer"] == "block1.pw.act"


def test_json_of_images_that_are_not_square(run: Callable) -> None:
    """HxW gives both sides, and no one ρ."""
    data = json.loads(run("report", "--resolution", "192x256", "--no-check", "--json").out)
    assert (data["resolution"], data["rho"]) == ([192, 256], None)
    assert (data["layers"][0]["out_height"], data["layers"][0]["out_width"]) == (96, 128)
    assert data["check"]["status"] == "skipped"
    assert data["layers"][0]["reference_macs"] is None


def test_csv(run: Callable) -> None:
    """The CSV has a line per layer, under a header, and the MACs add up."""
    rows = list(csv.DictReader(StringIO(run("report", "--csv", "--no-check").out)))
    assert len(rows) == 28
    assert set(rows[0]) == LAYER_KEYS
    assert sum(int(row["macs"]) for row in rows) == 568_740_352


def test_markdown(run: Callable) -> None:
    """The Markdown is one table with as many cells in each row."""
    lines = run("report", "--markdown", "--no-check").out.splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == 2 + 28 + 1
    assert len({line.count("|") for line in table}) == 1
    assert "568,740,352" in table[-1]


def test_rho_and_resolution_say_the_same(run: Callable) -> None:
    """ρ = 192/224 is 192 px, whichever way it is given."""
    by_rho = json.loads(run("report", "--rho", "192/224", "--no-check", "--json").out)
    by_size = json.loads(run("report", "--resolution", "192", "--no-check", "--json").out)
    assert by_rho == by_size


@pytest.mark.parametrize("form", [(), ("--json",), ("--csv",), ("--markdown",)])
def test_output_writes_what_would_be_printed(run: Callable, tmp_path: Path, form: tuple) -> None:
    """--output holds what the pipe would have got; only the file's name goes to stderr."""
    target = tmp_path / "report.txt"
    printed = run("report", "--no-check", *form).out
    code, out, err = run("report", "--no-check", *form, "--output", target)
    assert (code, out, err) == (0, "", f"wrote {target}\n")
    assert target.read_text(encoding="utf-8") == printed
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(
    ("flags", "label"),
    [
        pytest.param((), "measured by fvcore", marks=pytest.mark.slow),
        (("--no-check",), "from the formula, not measured"),
    ],
)
def test_plots(run: Callable, tmp_path: Path, flags: tuple, label: str) -> None:
    """--plots writes four figures, each as PNG and SVG, and says what the points are."""
    code, _, err = run("report", "--resolution", "64", "--plots", tmp_path / "plots", *flags)
    names = ("reduction", "reduction_map", "layers", "multipliers")
    written = {path.name for path in (tmp_path / "plots").iterdir()}
    assert code == 0
    assert written == {f"{name}.{kind}" for name in names for kind in ("png", "svg")}
    assert err.count("wrote ") == 8
    assert label in (tmp_path / "plots" / "reduction.svg").read_text(encoding="utf-8")


def test_plots_need_a_directory(run: Callable, tmp_path: Path) -> None:
    """A file where the plots should go is refused before anything is computed."""
    (tmp_path / "file").touch()
    code, out, err = run("report", "--plots", tmp_path / "file")
    assert (code, out, err.count("\n")) == (2, "", 1)


def test_a_mismatch_exits_1_and_shows_where(run: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the torch model had another stride, the report would say in which layer, and fail."""
    real = reference.MobileNetV1.__init__

    def mutated(self: reference.MobileNetV1, *args: object, **kwargs: object) -> None:
        real(self, *args, **kwargs)
        if kwargs.get("separable", True):
            self.block13.dw.conv.stride = (2, 2)  # what Table 1 prints

    monkeypatch.setattr(reference.MobileNetV1, "__init__", mutated)
    code, out, _ = run("report", "--resolution", "64")
    assert code == 1
    assert "✗" in out
    assert "block13.dw: macs" in out
    data = json.loads(run("report", "--resolution", "64", "--json").out)
    assert data["check"]["status"] == "failed"
    assert {"block13.dw", "block13.pw"} <= {m["layer"] for m in data["check"]["mismatches"]}


def test_without_torch_the_report_still_works(
    run: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where torch is missing the figures are there, with the command that brings the check."""
    monkeypatch.setattr("costmodel.reports.checking.torch_is_installed", lambda: False)
    code, out, _ = run("report")
    assert code == 0
    assert "568,740,352 MACs" in out
    assert "pip install 'costmodel[torch]'" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        *(
            (("--alpha", a), "alpha must be")
            for a in (0, -1, "nan", "inf", "abc", "1e9", "", "1/0")
        ),
        (("--alpha", "1e999999999"), "alpha must be"),
        *((("--rho", r), "rho must be") for r in (0, -1, 160, "nan", "inf", "abc")),
        (("--rho", "0.001"), "resolution must be at least 1, got 0"),
        (("--rho", "0.5", "--resolution", "112"), "give one"),
        *((("--resolution", d), "resolution must be") for d in (0, -3, "12.5", "axb", "x")),
        *((("--classes", c), "classes must be") for c in (0, -1, "1.5", "ten")),
        (("--rounding", "up"), "rounding must be floor, exact or divisible(N<10⁶), got 'up'"),
        (("--rounding", "exact", "--alpha", "0.35"), "conv1: exact rounding gives 56/5 channels"),
        (("--json", "--csv"), "choose one"),
        (("mobilenet_v9",), "did you mean mobilenet_v"),
        (("nowhere.json",), "cannot read nowhere.json"),
        (("--bogus",), "No such option"),
        (("a", "b"), "unexpected extra argument"),
        (("--output", "/"), "it is a directory"),
        (("--output", "/nowhere/file"), "there is no directory /nowhere"),
    ],
)
def test_a_users_mistake_is_one_line_and_exit_2(
    run: Callable, arguments: tuple, words: str
) -> None:
    """Bad input gets one clear line on stderr, nothing on stdout, and exit code 2."""
    code, out, err = run("report", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("costmodel: ")
    assert err.count("\n") == 1
    assert words in err


INPUT = {"type": "Input", "name": "image", "shape": [1, 3, 8, 8]}
CONV = {"type": "Conv", "name": "conv", "out_channels": 4, "kernel": 3}


def _network_file(folder: Path, *layers: dict) -> Path:
    path = folder / "net.json"
    path.write_text(json.dumps({"name": "net", "layers": [INPUT, *layers]}), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"colour": 1}, "conv: got an unexpected keyword argument 'colour'; a Conv has name"),
        ({"kernel": "3.5"}, "conv: kernel must be a positive integer"),
        ({"kernel": 3.5}, "conv: kernel must be a positive integer"),
        ({"kernel": 9}, "conv: kernel 9 (dilation 1) is larger than its input of 8"),
        ({"groups": 2}, "conv: in_channels must be divisible by groups, got 3 and 2"),
        ({"inputs": ["conv"]}, "conv: reads 'conv'"),
        ({"inputs": ["ghost"]}, "conv: reads 'ghost', and there is no such layer"),
    ],
)
def test_a_broken_network_file(run: Callable, tmp_path: Path, changes: dict, words: str) -> None:
    """A wrong JSON network is refused with the layer, the field and the value."""
    code, out, err = run("report", _network_file(tmp_path, CONV | changes))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert words in err


def test_a_network_file(run: Callable, tmp_path: Path) -> None:
    """A network in JSON is reported as those of the zoo are, and checked against itself, built."""
    data = json.loads(run("report", _network_file(tmp_path, CONV), "--alpha", "3", "--json").out)
    assert data["totals"]["macs"] == 9 * 3 * 12 * 6 * 6
    assert data["check"]["status"] == "passed"
    assert data["check"]["model"] == "a torch model built from the network"
    assert data["classes"] is None


def test_counts_past_64_bits_are_exact(run: Callable) -> None:
    """Ten billion pixels a side: integers, no wrap, and no attempt to run torch on it."""
    side = 10**10
    data = json.loads(run("report", "--resolution", side, "--json").out)
    assert data["layers"][0]["macs"] == 27 * 32 * (side // 2) ** 2
    assert data["check"]["status"] == "unavailable"
    assert "lower the resolution" in data["check"]["reason"]


def test_hostile_names_are_inert(run: Callable, tmp_path: Path) -> None:
    """Names from a file cannot break out of the table, the CSV or the Markdown."""
    name = "=HYPERLINK(1)|<script>\n\x1b[31m"
    path = _network_file(tmp_path, CONV | {"name": name})
    plain, markdown, rows = (
        run("report", path, *form).out for form in ((), ("--markdown",), ("--csv",))
    )
    assert "\x1b" not in plain
    assert "<script>" not in markdown
    assert (
        len(
            {
                line.count("|") - line.count("\\|")
                for line in markdown.splitlines()
                if line[:1] == "|"
            }
        )
        == 1
    )
    (row,) = csv.DictReader(StringIO(rows))
    assert row["name"].startswith("'=")


def test_a_symbolic_network_file(run: Callable, tmp_path: Path) -> None:
    """Symbols in a file are one line and exit 2, until --resolution sets them."""
    path = tmp_path / "net.json"
    image = INPUT | {"shape": [1, 3, "H", "W"]}
    path.write_text(json.dumps({"name": "net", "layers": [image, CONV]}), encoding="utf-8")
    code, out, err = run("report", path)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "has symbols" in err
    data = json.loads(run("report", path, "--resolution", "32", "--json").out)
    assert data["totals"]["macs"] == 9 * 3 * 4 * 30 * 30


def test_rounding_that_departs_from_the_closed_form_is_said(run: Callable) -> None:
    """At α = 1/8 the least of 8 channels holds, and the formula's own value is shown beside."""
    out = run("report", "--alpha", "1/8", "--no-check").out
    assert "without rounding; here that is 12,085,568 MACs" in out
    assert "without rounding" not in run("report", "--no-check").out


def test_a_full_disk_is_one_line() -> None:
    """Output that cannot be written is one line and exit 2, which no failed check has."""
    command = f"{sys.executable} -m costmodel audit > /dev/full"
    ran = subprocess.run(command, shell=True, capture_output=True, check=False, text=True)  # noqa: S602
    assert (ran.returncode, ran.stderr.count("\n")) == (2, 1)
    assert "No space left on device" in ran.stderr


def test_a_closed_output_is_no_traceback(tmp_path: Path) -> None:
    """With standard output closed the file asked for is still written, and a mistake still 2."""
    file = tmp_path / "report.txt"
    for options, code in ((f"--output {file}", 0), ("--alpha 9", 2)):
        line = f"{sys.executable} -m costmodel report --no-check {options} >&- 2>&-"
        assert subprocess.run(line, shell=True, check=False).returncode == code  # noqa: S602
    assert "568,740,352" in file.read_text("utf-8")


def test_a_file_that_begins_with_a_byte_order_mark(run: Callable, tmp_path: Path) -> None:
    """What Windows' editors put first is no part of a network; a bar in a name breaks no table."""
    file = tmp_path / "a@b|c.json"
    file.write_text(to_json(mobilenet_v1()), encoding="utf-8-sig")
    assert "568,740,352" in run("report", file, "--no-check").out
    line = run("compare", file, "--markdown").out.splitlines()[-1]
    assert "568,740,352" in line
    assert "b\\|c.json" in line


def test_a_network_without_an_image_has_no_pixels(run: Callable, tmp_path: Path) -> None:
    """A network of vectors is headed by its width and rounding alone."""
    file = tmp_path / "mlp.json"
    layers = (Input("x", (1, 64)), Linear("fc", 10))
    file.write_text(to_json(Network("mlp", layers)), encoding="utf-8")
    assert run("report", file).out.startswith("mlp  α = 1 · rounding floor\n")


def test_another_locale_still_gets_the_signs() -> None:
    """α and × are written in a locale that lacks them."""
    environment = os.environ | {"PYTHONIOENCODING": "cp1252"}
    command = [sys.executable, "-m", "costmodel", "report", "--no-check"]
    ran = subprocess.run(command, capture_output=True, check=True, env=environment)
    assert "α = 1" in ran.stdout.decode("utf-8")


def test_formulas(run: Callable) -> None:
    """The table this project exists for."""
    code, out, _ = run("formulas")
    assert code == 0
    for formula in (
        "K²C_in·C_out·H·W",
        "K²C_in·H·W",
        "C_in·C_out·H·W",
        "α²ρ²K²C_in·C_out·H·W",
        "αρ²K²C_in·H·W",
        "1/C_out + 1/K²",
        "1/(α·C_out) + 1/K²",
    ):
        assert formula in out


TABLE_3 = ("--kernel", 3, "--in", 512, "--out", 512, "--size", 14, "--alpha", 0.75, "--rho", 0.714)


def test_formulas_with_values_are_table_3(run: Callable) -> None:
    """Howard et al. 2017, Table 3: 462, 52.3, 29.6 and 15.1 million mult-adds."""
    data = json.loads(run("formulas", *TABLE_3, "--json").out)
    macs = [f"{step['macs'] / 1e6:.3g}" for step in data["values"]]
    params = [f"{step['params'] / 1e6:.2f}" for step in data["values"]]
    assert macs == ["462", "52.3", "29.6", "15.1"]
    assert params == ["2.36", "0.27", "0.15", "0.15"]
    assert "15,091,200" in run("formulas", *TABLE_3).out


@pytest.mark.parametrize("form", ["--latex", "--markdown", "--json"])
@pytest.mark.parametrize("what", [(), ("--typical",), TABLE_3])
def test_every_form_of_every_sheet(run: Callable, form: str, what: tuple) -> None:
    """Formulas, values and typical ranges can be had in each form."""
    code, out, err = run("formulas", *what, form)
    assert (code, err) == (0, "")
    assert out.strip()


def test_typical_values(run: Callable) -> None:
    """The typical table holds every combination, exact."""
    records = json.loads(run("formulas", "--typical", "--json").out)["typical"]
    assert len(records) == 5 * 5 * 4 * 4
    chosen = next(
        r
        for r in records
        if (r["in_channels"], r["out_channels"], r["alpha"], r["rho"]) == (512, 512, "3/4", "5/7")
    )
    assert chosen["separable_macs"] == (9 * 384 + 384 * 384) * 10 * 10


@pytest.mark.parametrize(
    "arguments",
    [
        ("--kernel", 3),
        ("--kernel", 0, "--in", 1, "--out", 1, "--size", 1),
        ("--typical", "--size", "7x8"),
        ("--typical", "--alpha", "0.5"),
        ("--kernel", "1e300", "--in", 1, "--out", 1, "--size", 1),
        ("--latex", "--json"),
        (*TABLE_3[:-1], "0.01"),
        (*TABLE_3[:7], "1x2x3"),
    ],
)
def test_bad_values_for_formulas(run: Callable, arguments: tuple) -> None:
    """A missing, vanishing or wrong value is one line and exit 2."""
    code, out, err = run("formulas", *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)


def test_help_and_version(run: Callable) -> None:
    """Help has an example per command; the bare command is the help."""
    assert "costmodel report --alpha 0.75" in run("report", "--help").out
    assert "costmodel formulas --kernel 3" in run("formulas", "--help").out
    assert run().out == run("--help").out
    assert run("--version").out.startswith("costmodel ")


def test_a_reader_that_stops_early() -> None:
    """`costmodel report | head -1` ends quietly."""
    command = f"{sys.executable} -m costmodel report --no-check | head -1"
    ran = subprocess.run(command, shell=True, capture_output=True, check=True, text=True)  # noqa: S602
    assert ran.stdout.startswith("mobilenet_v1")
    assert ran.stderr == ""


def _on_a_terminal(*arguments: str, **environment: str) -> tuple[str, int]:
    """Run the command on a pseudo-terminal; what it showed and its exit status."""
    pid, master = pty.fork()
    if pid == 0:
        os.environ.update(environment)
        os.execv(sys.executable, [sys.executable, "-m", "costmodel", *arguments])  # noqa: S606
    shown = b""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            shown += os.read(master, 65536)
        except OSError:  # the other end has closed
            break
    os.close(master)
    return shown.decode(), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.slow
def test_a_terminal_sees_figures_before_torch_is_loaded() -> None:
    """On a terminal the analytic figures come first, a sign of life, then fvcore's column."""
    shown, code = _on_a_terminal("report", TERM="xterm-256color", COLUMNS="100", LINES="70")
    assert code == 0
    assert shown.index("568,740,352") < shown.index("loading torch") < shown.index("✓ all")
    assert "\x1b[" in shown


@pytest.mark.slow
def test_no_color_is_honoured() -> None:
    """NO_COLOR leaves no colour in what a terminal gets."""
    shown, _ = _on_a_terminal(
        "report", "--no-check", TERM="xterm-256color", COLUMNS="100", NO_COLOR="1"
    )
    colours = [f"\x1b[{code}m" for code in (*range(31, 38), "1;36")]
    assert "568,740,352" in shown
    assert not any(colour in shown for colour in colours)


MINE = """
import torch
import torch.nn.functional as F
from torch import nn

class Net(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3, padding=1, bias=False)
        self.body = nn.Sequential(nn.Conv2d(width, 2 * width, 3, 2, 1), nn.ReLU())
        self.skip = nn.Conv2d(width, 2 * width, 1, 2)
        self.head = nn.Linear(2 * width, 10)

    def forward(self, x):
        x = F.relu(self.conv(x))
        x = self.body(x) + self.skip(x)
        return self.head(F.adaptive_avg_pool2d(x, 1).flatten(1))

class Scored(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.scores = nn.Parameter(torch.zeros(6))

    def forward(self, x):
        return self.conv(x) @ self.scores


def video():
    return nn.Sequential(nn.Conv3d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv3d(4, 4, 3, padding=1))
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A model of a user's own, in the current directory."""
    (tmp_path / "mine.py").write_text(MINE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    return "mine:Net"


def test_a_model_of_ones_own(run: Callable, mine: str) -> None:
    """Traced, costed by layer, and equal to what torch counts of the model itself."""
    data = json.loads(run("report", "--model", f"{mine}(16)", "--input", "3,64,64", "--json").out)
    macs = {layer["name"]: layer["macs"] for layer in data["layers"]}
    assert macs == {
        "conv": 9 * 3 * 16 * 64 * 64,
        "body.0": 9 * 16 * 32 * 32 * 32,
        "skip": 16 * 32 * 32 * 32,
        "head": 32 * 10,
    }
    assert {layer["name"]: layer["reference_macs"] for layer in data["layers"]} == macs
    assert (data["check"]["status"], data["check"]["model"]) == ("passed", "the model itself")
    assert data["before"] is None
    text = run("report", "--model", mine, "--input", "3,64,64").out
    assert "✓ all 6 figures equal those of the model itself" in text


@pytest.mark.usefixtures("mine")
def test_what_the_reference_leaves_out_is_no_difference(run: Callable) -> None:
    """A product with a vector is counted, the counter's total is marked and explained: exit 0."""
    args = ("report", "--model", "mine:Scored", "--input", "3,8,8")
    ran = run(*args)
    assert (ran.code, "✗" in ran.out) == (0, False)
    assert "✓ all 3 figures equal those of the model itself" in ran.out
    assert f"{27 * 4 * 36:,} ≠" in ran.out
    line = f"≠ FlopCounterMode leaves out {2 * 4 * 36} flops: mv, dot and addbmm"
    assert line in ran.out
    assert line in run(*args, "--markdown").out.splitlines()[-1]
    check = json.loads(run(*args, "--json").out)["check"]
    assert (check["status"], check["mismatches"], len(check["deviations"])) == ("passed", [], 1)


def test_what_mobilenets_ideas_do_to_it(run: Callable, mine: str) -> None:
    """Separated, thinner and smaller, it is built and counted; each layer has its MACs before."""
    settings = ("--alpha", "0.5", "--resolution", "32", "--separate")
    args = ("report", "--model", mine, "--input", "3,64,64", *settings)
    data = json.loads(run(*args, "--json").out)
    before = {x["name"]: x["macs_before"] for x in data["layers"] if x["macs_before"]}
    assert before["body.0.pw"] == 9 * 32 * 64 * 32 * 32
    assert sum(before.values()) == data["before"]["macs"]
    layers = {layer["name"]: layer["macs"] for layer in data["layers"]}
    assert (layers["body.0.dw"], layers["body.0.pw"]) == (9 * 16 * 16 * 16, 16 * 32 * 16 * 16)
    assert data["check"]["model"] == "a torch model built from the network"
    assert data["check"]["status"] == "passed"
    text = run(*args).out
    assert "before: " in text
    assert "the network is the rewritten one, not its authors' at this α" in " ".join(text.split())
    assert "64×64 → 32×32 px" in text
    own = run("report", "--model", mine, "--input", "3,64,64", "--resolution", "32").out
    assert "rewritten" not in own


@pytest.mark.usefixtures("mine")
def test_rho_leaves_time_alone(run: Callable) -> None:
    """ρ halves height and width, and all three axes where they are named."""
    args = ("report", "--model", "mine:video", "--input", "3,6,16,16", "--rho", "0.5", "--no-check")
    data = json.loads(run(*args, "--json").out)
    assert (data["resolution"], data["rho"]) == ([6, 8, 8], 0.5)
    assert data["totals"]["macs"] == 27 * (3 + 4) * 4 * 6 * 8 * 8
    assert "ρ = 0.5, 6×16×16 → 6×8×8 px" in run(*args).out
    data = json.loads(run(*args, "--rho-axes=-3,-2,-1", "--json").out)
    assert data["resolution"] == [3, 8, 8]
    for axes, message in (("-4", "from -3 to -1"), ("x", "axes from the last")):
        made = run(*args, f"--rho-axes={axes}")
        assert (made.code, message in made.err) == (2, True)


def test_a_model_of_ones_own_is_swept_and_planned(run: Callable, mine: str) -> None:
    """Its grid and its plan are those of the traced network."""
    args = ("--model", f"{mine}(16)", "--input", "3,64,64", "--json")
    swept = json.loads(run("sweep", *args, "--alphas", "1", "--resolutions", "64").out)
    whole = 9 * 3 * 16 * 64**2 + 10 * 16 * 32 * 32**2 + 320
    assert [c["macs"] for c in swept["configurations"]] == [whole]
    made = json.loads(run("plan", *args, "--max-macs", "2M", "--resolutions", "32,64").out)
    assert made["choice"]["macs"] <= 2_000_000 < made["larger"]["macs"]


def test_a_model_of_ones_own_is_reconciled(run: Callable, mine: str) -> None:
    """What each tool prints for it, functions and modules told apart, and the tools agree."""
    args = ("reconcile", "--model", mine, "--input", "3,32,32", "--json")
    tools = json.loads(run(*args, "--run").out)["tools"]
    assert {tool["status"] for tool in tools[1:]} == {"equal"}
    assert [tool["predicted"] for tool in json.loads(run(*args).out)["tools"]] == [
        tool["predicted"] for tool in tools
    ]
    narrow = json.loads(run(*args, "--alpha", "0.5", "--run").out)
    assert narrow["model"] == "a torch model built from the network"
    assert {tool["status"] for tool in narrow["tools"][1:]} == {"equal"}


def test_a_network_of_the_zoo_can_be_separated(run: Callable) -> None:
    """VGG-16 with MobileNet's factorisation, beside what it took."""
    out = run("report", "vgg_16", "--separate", "--no-check").out
    assert "before: 15,470,264,320 MACs" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--model", "mine:Nets"), "there is no Nets in mine"),
        (("--model", "mine:Net", "--input", "3,x"), "input must be an integer"),
        (("--model", "mine:Net", "--input", "5,9,9"), "the forward pass on 1×5×9×9 failed"),
        (("--model", "mine:Net", "--classes", "7"), "classes 7 applies to classifiers of the zoo"),
        (("--input", "3,64,64"), "--input is the input of a --model"),
    ],
)
@pytest.mark.usefixtures("mine")
def test_mistakes_with_models(run: Callable, arguments: tuple[str, ...], message: str) -> None:
    """One line each."""
    ran = run("report", *arguments)
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert message in ran.err
