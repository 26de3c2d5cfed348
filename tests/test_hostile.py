"""What an enemy, or a tired user, types: one line, soon, and nothing of a model's leaks."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from costmodel import CostModelError, Layer, Network, layers as ir, to_json
from costmodel.files import write_atomically
from costmodel.frontends.torch.models import load_model
from costmodel.layers import Activation, Conv, CropAndResize, Fixed, Input, Linear, Times
from costmodel.planners.limits import Limit
from costmodel.planners.planning import distinct_alphas
from costmodel.show.explorer.page import page

if TYPE_CHECKING:
    from collections.abc import Callable

IMAGE = Input("x", (1, 3, 8, 8))

MODELS = """
import os, sys
import torch
from torch import nn

print("imported")

class Chatty(nn.Module):
    def __init__(self, bias=True):
        super().__init__()
        print("made")
        self.conv = nn.Conv2d(3, 4, 3, bias=bias)

    def forward(self, x):
        print("run")
        os.write(1, b"past Python")
        return self.conv(x)

class NoSuper(nn.Module):
    def __init__(self):
        self.width = 8

class NoEval(nn.Module):
    def eval(self):
        raise RuntimeError("no evaluation")

class NoNames(nn.Module):
    def named_modules(self, *_):
        raise RuntimeError("no names")

    def forward(self, x):
        return x

class Leaves(nn.Module):
    def forward(self, x):
        sys.exit(0)

class Speechless(Exception):
    def __str__(self):
        raise RuntimeError("no words")

class Silent(nn.Module):
    def __init__(self):
        raise Speechless

class NoMemory(nn.Module):
    def __init__(self):
        raise MemoryError

def __getattr__(name):
    raise RuntimeError("no attributes") if name == "broken" else AttributeError(name)
"""


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder, the current one, with a module of models that misbehave."""
    (tmp_path / "nasty_models.py").write_text(MODELS, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "nasty_models", raising=False)
    return tmp_path


def _file(folder: Path, network: Network | str) -> Path:
    path = folder / "net.json"
    path.write_text(network if isinstance(network, str) else to_json(network), encoding="utf-8")
    return path


# Networks in JSON -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"name": "a", "name": "b", "layers": []}', "an object has two fields 'name'"),
        ('{"name": "\\ud800", "layers": []}', "surrogates not allowed"),
        (f'{{"name": "a", "layers": [{"9" * 5000}]}}', "a network must be JSON text"),
        ("[" * 100_000, "a network must be JSON text: maximum recursion depth"),
    ],
)
def test_json_that_says_two_things_or_none(
    run: Callable, tmp_path: Path, text: str, words: str
) -> None:
    """A field given twice, half a character, 5,000 digits and deep nesting are refused."""
    code, out, err = run("report", _file(tmp_path, text))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert words in err


@pytest.mark.parametrize(
    ("kind", "fields", "words"),
    [
        (ir.Slice, {"items": ((0, None, 0),)}, "items must be indices or (start, stop, s"),
        (ir.Affine, {"function": "f", "groups": 0}, "groups must be a positive count"),
        (ir.Affine, {"function": "f", "groups": Times(1)}, "groups must be a positive"),
        (ir.Pad, {"amounts": ((1, 2.5),)}, "amounts must be pairs"),
        (ir.WithNumbers, {"numbers": (True,)}, "numbers must be finite numbers"),
        (ir.WithNumbers, {"numbers": (10**400,)}, "numbers must be finite numbers"),
        (ir.TransposedConv, {"out_channels": 1, "kernel": 1, "output_padding": -1}, "least"),
        (ir.Reshape, {"runs": ((True, (-1,)),)}, "runs must be runs of"),
        (ir.FixedSize, {"modulo": (0,), "sizes": (1,)}, "modulo must be positive counts"),
        (
            CropAndResize,
            {"proposals": True, "output_size": 1},
            "proposals must be a positive count",
        ),
    ],
)
def test_fields_are_checked_where_they_are_declared(
    kind: type[Layer], fields: dict[str, Any], words: str
) -> None:
    """What would later divide by zero, or be no number, cannot be made."""
    with pytest.raises(CostModelError, match=f"^x: .*{re.escape(words)}"):
        kind("x", **fields)


def test_a_layer_of_a_users_own_is_checked_by_the_kinds_it_declares() -> None:
    """A subclass inherits the checks of its base's fields, under whatever names it adds."""

    class Twice(Conv):
        pass

    with pytest.raises(CostModelError, match="x: kernel must be a positive integer"):
        Twice("x", 4, kernel=0)


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ((ir.Reduce("r", (0, 1, 2, 3)), Linear("l", 4)), "l: needs 1 axes or more"),
        (
            (ir.Reduce("r", (1, 2, 3)), ir.Permute("p", (0,)), ir.Join("j", 1, inputs=("x", "p"))),
            "j: joins 1×3×8×8 and 1",
        ),
        ((ir.Reshape("s", ((4, ((5, 0), -1)),)),), "s: takes a size of input 5, and has 1"),
        ((ir.Reshape("s", ((4, (0, -1)),)),), "s: 0 parts must divide 192"),
    ],
)
def test_shapes_of_too_few_axes_are_refused(
    run: Callable, tmp_path: Path, layers: tuple[Layer, ...], words: str
) -> None:
    """A layer that needs an axis which its input lacks says so."""
    code, _, err = run("report", _file(tmp_path, Network("n", (IMAGE, *layers))), "--no-check")
    assert (code, err.count("\n")) == (2, 1)
    assert words in err


def test_symbols_of_its_own_are_refused(run: Callable, tmp_path: Path) -> None:
    """A size that no resolution sets is named, also where it costs nothing."""
    text = to_json(Network("n", (IMAGE, Conv("c", 4, 1, padding=1))))
    path = _file(tmp_path, text.replace('"padding": 1', '"padding": "K"'))
    for command in ("report", "sweep"):
        code, _, err = run(command, path)
        assert (code, err.count("\n")) == (2, 1)
        assert "n has symbols (c: padding K)" in err


def test_a_plan_of_a_network_that_nothing_scales(run: Callable, tmp_path: Path) -> None:
    """Neither α nor ρ is in its cost: there is one network, and it fits."""
    path = _file(tmp_path, Network("free", (IMAGE, Activation("a"))))
    made = json.loads(run("plan", path, "--max-macs", "1M", "--resolutions", "8", "--json").out)
    assert (made["feasible"], made["closed_form_hint"]) == (1, None)


def test_counts_without_end_are_one_line(run: Callable, tmp_path: Path) -> None:
    """300 layers, each 10¹⁸ times as wide as the one before, have counts of 10,000 digits."""
    wide = (Conv(f"c{i}", Times(10**18), 1) for i in range(300))
    code, _, err = run("report", _file(tmp_path, Network("n", (IMAGE, *wide))), "--no-check")
    assert (code, err.count("\n")) == (2, 1)
    assert "digits; give a smaller network" in err


# Names and what a model prints ------------------------------------------------------------------


def test_names_are_text_and_no_markup(run: Callable, tmp_path: Path) -> None:
    """Rich's markup, an emoji's name and an escape in a name are printed as they are, inert."""
    layers = (IMAGE, Conv("[/red]c\x1b[31m", 4, 3), Activation("[bold]:smile:"))
    path = _file(tmp_path, Network("net[v2] [red]x", layers))
    for command in (
        ("report", "--no-check"),
        ("sweep",),
        ("plan", "--max-macs", "1M"),
        ("reconcile",),
    ):
        code, out, _ = run(command[0], path, *command[1:])
        assert code in {0, 1}
        assert out.startswith("net[v2] [red]x  ")
    out = run("report", path, "--no-check").out
    assert "[/red]c\\x1b[31m" in out
    csv = run("report", path, "--no-check", "--csv").out
    assert "\x1b" not in csv
    assert "[/red]c\\x1b[31m" in csv


@pytest.mark.slow
def test_a_models_prints_go_to_standard_error(models: Path) -> None:
    """Imported, made, traced and checked: nothing but JSON is on standard output."""
    options = ("--model", "nasty_models:Chatty(bias=False)", "--input", "3,8,8", "--json")
    command = [sys.executable, "-m", "costmodel", "report", *options]
    ran = subprocess.run(command, capture_output=True, check=True, text=True, cwd=models)
    assert json.loads(ran.stdout)["totals"]["params"] == 4 * 3 * 9
    assert all(word in ran.stderr for word in ("imported", "made", "run", "past Python"))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("NoSuper", "nasty_models:NoSuper is no module that can be run: AttributeError"),
        ("NoEval", "nasty_models:NoEval is no module that can be run: RuntimeError: no evaluation"),
        ("NoNames", "nasty_models:NoNames failed: RuntimeError: no names; mend the model"),
        ("Leaves", "nasty_models:Leaves failed: SystemExit: 0; mend the model"),
        ("Silent", "nasty_models:Silent failed: Speechless; check its arguments"),
        ("NoMemory", "nasty_models:NoMemory failed: MemoryError; check its arguments"),
        ("broken", "cannot look up nasty_models:broken: RuntimeError: no attributes"),
        ("Chatty(**{'bias': False})", "a model must be package.module:factory"),
    ],
)
def test_models_that_fail_are_one_line(run: Callable, models: Path, name: str, words: str) -> None:
    """Whatever a model raises, wherever, is one line and exit 2; an exit of its own too."""
    assert models.is_dir()
    code, out, err = run("report", "--model", f"nasty_models:{name}", "--input", "3,8,8")
    assert (code, out) == (2, "")
    assert f"costmodel: {words}" in err.splitlines()[-1]
    assert "Traceback" not in err


def test_keywords_in_a_dict_are_refused() -> None:
    """`**{…}` was left out in silence: the model was another than the one asked for."""
    with pytest.raises(CostModelError, match="a model must be"):
        load_model("torch.nn:Linear(8, 4, **{'bias': False})")


# Options ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("report", "mobilenet_v2", "--model", "torch.nn:ReLU"), "are two networks; give one"),
        (("report", "--model", "torch.nn:ReLU", "--input", ""), "input must be an integer"),
        (("report", "--input", ""), "--input is the input of a --model"),
        (("report", ""), "unknown network ''"),
        (("sweep", "--rounding", ""), "rounding must be floor"),
        (("plan", "--max-macs", "1M", "--rounding", ""), "rounding must be floor"),
        (("sweep", "--front", ""), "quantity must be one of"),
        (("sweep", "--histogram", ""), "quantity must be one of"),
        (("sweep", "--output", ""), "it is a directory"),
        (("report", "--plots", ""), "a directory must have a name"),
        (("report", "--rounding", "divisible(100000000000000000000)"), "divisible(N<10⁶)"),
        (("plan", "--max-macs", "9" * 5000), "max_macs must be a positive amount"),
        (("report", "--resolution", "9" * 5000), "resolution must be an integer"),
        (
            ("plan", "--max-macs", "1M", "--resolutions", "1:10000000"),
            "in at most 1,000,000 values",
        ),
        (("sweep", "--alphas", "0.0000001:1:0.0000001"), "in at most 1,000,000 values"),
        (("plan", "--max-macs", "1M", "--resolutions", "1:90000"), "at most 2·10⁷ candidates"),
    ],
)
def test_an_option_is_refused_by_name_and_soon(
    run: Callable, arguments: tuple[str, ...], words: str
) -> None:
    """Nothing that is given is left out in silence, and no work is begun that has no end."""
    started = time.process_time()
    code, out, err = run(*arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert words in err
    assert len(err) < 1200
    assert time.process_time() - started < 5


def test_resolutions_need_an_image(run: Callable, tmp_path: Path) -> None:
    """Given to a network of vectors they are refused; without, each width is there once."""
    path = _file(tmp_path, Network("mlp", (Input("v", (1, 64)), Linear("fc", Fixed(10)))))
    for command in (("sweep",), ("plan", "--max-macs", "1M")):
        code, _, err = run(command[0], path, *command[1:], "--resolutions", "64")
        assert (code, err.count("\n")) == (2, 1)
        assert "mlp has no image whose resolution could be set" in err
    swept = json.loads(run("sweep", path, "--alphas", "0.5,1", "--json").out)
    assert len(swept["configurations"]) == 2


def test_ten_million_channels_are_not_listed() -> None:
    """The values of α at which 10⁷ channels change are 1.5·10⁷: refused, not listed."""
    network = Network("n", (IMAGE, Conv("c", 10**7, 1)))
    with pytest.raises(CostModelError, match=r"change at 15,000,000 values.*give alphas"):
        distinct_alphas(network)


def test_a_kernel_of_a_billion_taps_is_reported_at_once(run: Callable, tmp_path: Path) -> None:
    """Strided and dilated, so that its traffic is no box: in closed form, without a loop."""
    image = Input("x", (1, 1, 8 * 10**9))
    conv = Conv("c", 4, kernel=10**9, stride=3, dilation=7)
    started = time.process_time()
    assert run("report", _file(tmp_path, Network("n", (image, conv))), "--no-check").code == 0
    assert time.process_time() - started < 5


def test_a_limit_of_5000_digits_is_no_amount() -> None:
    """It is past what Python reads; the message does not repeat it."""
    with pytest.raises(CostModelError, match="max_macs must be a positive amount") as caught:
        Limit.of("max_macs", "9" * 5000)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_plan_that_nothing_fits_is_seen_by_a_script(run: Callable, options: tuple) -> None:
    """Exit code 1 and one line on standard error, as text and in JSON."""
    code, out, err = run("plan", "--max-macs", "1k", *options)
    line = "nothing fits: the smallest network there is breaks --max-macs"
    assert (code, err) == (1, f"costmodel: {line}\n")
    assert line in out


# Files ------------------------------------------------------------------------------------------


def _shell(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = line.replace("costmodel", f"{sys.executable} -m costmodel")
    return subprocess.run(  # noqa: S602 - pipes are what is tried
        command, shell=True, executable="/bin/bash", capture_output=True, text=True, cwd=folder,
        check=False,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "out"),
    [
        ("costmodel report --no-check --output /dev/stdout | tail -1", "as standard"),
        ("costmodel report --no-check --csv --output >(wc -l); wait; sleep 0.1", "29\n"),
        ("costmodel sweep --alphas 1 --resolutions 64 --output /dev/stdout", "alpha,resolution,"),
        ("costmodel report --no-check --output /dev/stdout > file; tail -1 file", "as standard"),
        ("costmodel explore --output >(true); echo $?", "0\n"),
    ],
)
def test_streams_are_written(tmp_path: Path, line: str, out: str) -> None:
    """What the shell names for a pipe or for standard output takes the output like a file."""
    ran = _shell(line, tmp_path)
    assert ran.stdout.startswith(out)
    assert ran.stderr.count("\n") <= 1
    assert ran.stderr.startswith("wrote /dev/") or not ran.stderr


def test_a_loop_of_links_is_one_line(run: Callable, tmp_path: Path) -> None:
    """A link to itself is neither read nor written."""
    loop = tmp_path / "loop.json"
    loop.symlink_to(loop)
    for arguments in (("report", loop), ("report", "--output", loop), ("explore", loop)):
        code, out, err = run(*arguments)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert "symbolic links" in err


def test_a_name_that_is_too_long_is_one_line(run: Callable, tmp_path: Path) -> None:
    """The system's own words, for a file and for a folder."""
    name = tmp_path / ("x" * 300)
    for option in ("--output", "--plots"):
        code, _, err = run("report", "--no-check", option, name)
        assert (code, err.count("\n")) == (2, 1)
        assert "File name too long" in err


def test_the_temporary_file_cannot_be_guessed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is new, has another name each time, and a link left in its way is not followed."""
    target, precious, names = tmp_path / "out", tmp_path / "precious", set()
    precious.write_text("kept")
    (tmp_path / f".out.{os.getpid()}.tmp").symlink_to(precious)
    real = Path.replace

    def replace(self: Path, to: Path) -> Path:
        names.add(self.name)
        return real(self, to)

    monkeypatch.setattr(Path, "replace", replace)
    mask = os.umask(0o027)
    try:
        for _ in range(3):
            write_atomically(target, "new")
    finally:
        os.umask(mask)
    assert len(names) == 3
    assert precious.read_text() == "kept"
    assert target.stat().st_mode & 0o777 == 0o640


@pytest.mark.slow
def test_sigterm_cleans_up(tmp_path: Path) -> None:
    """Terminated while it writes, a sweep leaves the old file and nothing else, and exits 143."""
    target = tmp_path / "out.csv"
    target.write_text("old")
    grid = ("--alphas", "0.0001:4:0.0001", "--resolutions", "32:532")
    command = [sys.executable, "-m", "costmodel", "sweep", *grid, "--output", str(target)]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    for _ in range(600):
        if len(list(tmp_path.iterdir())) > 1:
            break
        time.sleep(0.05)
    assert len(list(tmp_path.iterdir())) == 2
    running.send_signal(signal.SIGTERM)
    _, err = running.communicate(timeout=60)
    assert (running.returncode, err) == (128 + signal.SIGTERM, "")
    assert list(tmp_path.iterdir()) == [target]
    assert target.read_text() == "old"


def test_a_reader_that_stops_is_no_failure(tmp_path: Path) -> None:
    """`head` has seen enough: exit code 0, although typer has 1 for it."""
    ran = _shell("set -o pipefail; costmodel report --no-check --json | head -1", tmp_path)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "{\n", "")


# The explorer -----------------------------------------------------------------------------------


def test_the_page_runs_its_own_scripts_alone() -> None:
    """The policy has the hash of each script and style there is, and lets nothing be fetched."""
    text = page(["mobilenet_v1"])
    (policy,) = re.findall('http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    for kind in ("script", "style"):
        parts = [part.split(f"</{kind}>")[0] for part in text.split(f"<{kind}>")[1:]]
        hashes = {b64encode(sha256(part.encode()).digest()).decode() for part in parts}
        allowed = set(rules[f"{kind}-src"].split())
        assert {f"'sha256-{digest}'" for digest in hashes} == allowed - {"'unsafe-eval'"}
    assert rules["default-src"] == "'none'"
    assert "unsafe-inline" not in policy
