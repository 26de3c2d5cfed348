"""`costmodel reconcile`: every tool's figure as a sum, and beside what the tool really prints."""

from __future__ import annotations

import json
import logging
import sys
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn

from costmodel import (
    CostModelError,
    Layer,
    Network,
    mobilenet_v1,
    reconcile,
    report,
    resize,
    to_json,
    widen,
)
from costmodel.layers import Activation, Conv, Flatten, Input, Linear, Pool
from costmodel.reference.mobilenet import MobileNetV1
from costmodel.show import reconcile as shown
from costmodel.tools import PTFLOPS, THOP, TOOLS
from costmodel.tools.convention import ELEMENT, Tool, rules
from costmodel.tools.deviations import Deviation
from costmodel.tools.reconciling import reconcile_model

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from costmodel.tools.reconciling import Reckoning, Reconciliation

TINY = Network("tiny", (Input("image", (1, 3, 8, 8)), Conv("conv", 4, 3, bias=True)))
OPTIONS = ("--alpha", 0.25, "--resolution", 32)


def of(made: Reconciliation, name: str) -> Reckoning:
    """One tool's."""
    (found,) = (x for x in made.reckonings if x.tool.name == name)
    return found


def without(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    """As where some packages are not installed."""
    import importlib.util

    real = importlib.util.find_spec
    for module in ("tools.reconciling", "reports.reconciling"):
        monkeypatch.setattr(
            f"costmodel.{module}.find_spec", lambda name: None if name in packages else real(name)
        )


def test_predictions_need_no_tool(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --run nothing is run, and nothing has to be installed."""
    without(monkeypatch, "torch", *{x.package for x in TOOLS if x.package})
    made = reconcile(mobilenet_v1())
    assert [x.status for x in made.reckonings] == ["predicted"] * 10
    assert of(made, "thop").predicted == 588_962_304
    assert not made.failed
    assert made.model == ""


def test_every_tool_is_run() -> None:
    """With it, nine figures are measured and equal; the paper's is nobody's."""
    made = reconcile(TINY, run=True)
    assert [x.status for x in made.reckonings] == ["predicted", *["equal"] * 9]
    assert of(made, "torchinfo").measured == 4 * 36 * (27 + 1)
    assert all(x.version for x in made.reckonings[1:])
    assert made.model == "a torch model built from the network"


def test_a_module_of_ones_own() -> None:
    """A module is run in place of one that is built, and need not be ours."""
    module = nn.Sequential(nn.Conv2d(3, 4, 3))
    made = reconcile(TINY, module, run=True)
    assert not made.failed
    assert made.model == "a real torch model"


def test_a_module_that_is_another_network_is_caught() -> None:
    """A wider one makes every tool's figure differ."""
    made = reconcile(TINY, nn.Sequential(nn.Conv2d(3, 5, 3)), run=True)
    assert {x.status for x in made.reckonings[1:]} == {"different"}
    assert made.failed


def test_the_module_is_as_before() -> None:
    """Modes, tensors, buffers, hooks and attributes of the module are what they were."""
    module = MobileNetV1(0.25)
    module.block1.eval()

    def state() -> list[object]:
        parts = list(module.modules())
        hooks = [len(part._forward_hooks) + len(part._forward_pre_hooks) for part in parts]
        tensors = [(name, id(tensor)) for name, tensor in module.named_buffers()]
        tensors += [(name, id(tensor)) for name, tensor in module.named_parameters()]
        return [[part.training for part in parts], [set(vars(p)) for p in parts], hooks, tensors]

    before, values = state(), [tensor.clone() for tensor in module.state_dict().values()]
    assert not reconcile(widen(mobilenet_v1(resolution=32), 0.25), module, run=True).failed
    assert state() == before
    assert all(map(torch.equal, values, module.state_dict().values()))


class Fails(nn.Module):
    """A convolution that works once, so that the tools after the first forward pass fail."""

    def __init__(self) -> None:
        """Count the calls of all copies."""
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.calls = CALLS

    def __deepcopy__(self, _memory: object) -> Fails:
        """Share the count."""
        return self

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The convolution, at first."""
        self.calls.append(1)
        if len(self.calls) > 1:
            message = "enough\nof this"
            raise RuntimeError(message)
        return self.conv(x)


CALLS: list[int] = []


def test_a_tool_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its failure is one line beside its name and no difference, and torch is as before."""
    monkeypatch.setattr(sys.modules[__name__], "CALLS", [])
    owners = (torch, nn.functional, torch.Tensor)
    before = [dict(vars(owner)) for owner in owners]
    made = reconcile(TINY, Fails(), run=True)
    assert {x.status for x in made.reckonings[1:]} == {"failed"}
    assert of(made, "thop").problem == "failed: RuntimeError: enough"
    assert of(made, "ptflops").problem == "failed: ValueError: no figure"
    assert not made.failed
    for owner, own in zip(owners, before, strict=True):
        assert [name for name in own if vars(owner)[name] is not own[name]] == []
    assert vars(torch.Tensor).keys() == before[2].keys()


def test_an_error_without_words() -> None:
    """calflops looks for a first parameter where there is none."""
    network = Network("n", (Input("image", (1, 3, 8, 8)), Pool("pool", "max", 2, 2)))
    assert of(reconcile(network, run=True), "calflops").problem == "failed: StopIteration"


def test_torch_is_as_before() -> None:
    """What the tools patch is put back, also what they forget."""
    names = ("baddbmm", "matmul", "add", "mul", "einsum", "addmm")
    functions = [getattr(torch, name) for name in names]
    methods = vars(torch.Tensor).keys()
    reconcile(TINY, run=True)
    assert [getattr(torch, name) for name in names] == functions
    assert vars(torch.Tensor).keys() == methods
    assert not hasattr(nn.functional.linear, "op")


def test_the_tools_are_silent(capfd: pytest.CaptureFixture[str]) -> None:
    """Nothing is printed, warned or logged, and logging is as before."""
    layers = (*TINY.layers, Activation("act", "mish"), Flatten("flatten"), Linear("linear", 3))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        reconcile(Network("n", layers), run=True)
    assert capfd.readouterr() == ("", "")
    assert logging.root.manager.disable == logging.NOTSET


def test_a_missing_tool(monkeypatch: pytest.MonkeyPatch, run: Callable) -> None:
    """It is listed with the name that pip takes; the others are run, and nothing has failed."""
    without(monkeypatch, "thop")
    made = reconcile(TINY, run=True)
    assert of(made, "thop").status == "missing"
    assert of(made, "thop").problem == "not installed; pip install thop"
    assert not made.failed
    assert sum(x.status == "equal" for x in made.reckonings) == 8
    ran = run("reconcile", "mobilenet_v1", *OPTIONS, "--run")
    assert ran.code == 0
    assert "thop: not installed; pip install thop" in ran.out


def test_running_without_torch(monkeypatch: pytest.MonkeyPatch, run: Callable) -> None:
    """The error names the command that brings it; without --run there is none."""
    without(monkeypatch, "torch")
    with pytest.raises(CostModelError, match=r"needs torch.*pip install 'costmodel\[torch\]'"):
        reconcile(TINY, run=True)
    assert run("reconcile", *OPTIONS).code == 0
    ran = run("reconcile", *OPTIONS, "--run")
    assert ran.code == 2
    assert ran.err.startswith("costmodel: running the tools needs torch")


def test_a_forward_pass_that_fails() -> None:
    """A module that does not take the network's input is one clear line."""
    with pytest.raises(CostModelError, match="forward pass") as caught:
        reconcile(TINY, nn.Conv2d(4, 4, 3), run=True)
    assert "\n" not in str(caught.value)


def test_a_module_that_cannot_be_copied() -> None:
    """The tools get copies, and the error says why there is none."""
    module = nn.Conv2d(3, 4, 3)
    module.batches = iter(x for x in ())
    with pytest.raises(
        CostModelError, match=r"cannot be copied: TypeError: cannot pickle 'generator' object"
    ):
        reconcile(TINY, module, run=True)


class Mystery(Layer):
    """A layer without a rule."""


def test_a_layer_without_a_rule() -> None:
    """No sum is printed that leaves out what is not known."""
    network = Network("n", (*TINY.layers, Mystery("what")))
    with pytest.raises(CostModelError, match="no rule for what; subclass Layer and say"):
        reconcile(network)


def test_the_terms_of_a_sum() -> None:
    """What a tool leaves out is subtracted, and the figures add up to the total."""
    layers = (Input("tokens", (2, 5, 8)), Linear("linear", 3))
    made = of(reconcile(Network("n", layers)), "torchinfo")
    terms = [(term.sign, term.figure, term.words) for term in shown.terms(made)]
    assert terms == [
        ("+", "240", "linear"),
        ("−", "192", "linear, other vectors (1 per MAC past each sample's first vector)"),
        ("+", "6", "linear bias (1 per sample and feature)"),
    ]
    assert made.predicted == 240 - 192 + 6


def test_averages_are_said_to_be() -> None:
    """Over a batch, and where there is one."""
    network = Network("n", (Input("image", (2, 3, 8, 8)), Pool("pool", "max", 2, 2)))
    made = of(reconcile(network), "ptflops")
    assert [term.words for term in shown.terms(made, batch=2)] == [
        "pool (1 per input element, of one sample)",
        "pool function (1 per input element)",
    ]
    assert "sample" not in shown.terms(made)[0].words


def test_the_readmes_sum(run: Callable) -> None:
    """fvcore's figure is the paper's, batch norm and the pool."""
    out = run("reconcile", "mobilenet_v1").out
    rows = [line.split() for line in out.splitlines()]
    assert ["fvcore", "FLOPs", "578,875,904", "=", "568,740,352", "conv", "+", "linear"] in rows
    assert ["+", "10,085,376", "batch", "norm", "(2", "per", "element)"] in rows
    assert all(len(line) <= 100 for line in out.splitlines())


def test_run_prints_both(run: Callable) -> None:
    """Predicted and printed stand side by side, ticked, with the versions below."""
    ran = run("reconcile", "mobilenet_v1", *OPTIONS, "--run")
    assert ran.code == 0
    assert ran.out.count("✓") == 9
    assert "✗" not in ran.out
    assert "run on a real torch model: fvcore 0.1.5" in ran.out
    assert "built from the network" in run("reconcile", "squeezenet_1_1", *OPTIONS, "--run").out
    assert all(len(line) <= 100 for line in ran.out.splitlines())


@pytest.fixture
def wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """thop's convention with batch norm wrong."""
    rules = tuple(r._replace(factor=3) if r.part == "batch norm" else r for r in THOP.rules)
    tools = tuple(replace(x, rules=rules) if x == THOP else x for x in TOOLS)
    monkeypatch.setattr("costmodel.tools.TOOLS", tools)


@pytest.mark.usefixtures("wrong")
@pytest.mark.parametrize("form", [(), ("--json",), ("--markdown",)])
def test_a_mismatch_is_exit_code_1(run: Callable, form: tuple[str, ...]) -> None:
    """In every form, and marked; without --run there is nothing to differ."""
    ran = run("reconcile", *OPTIONS, "--run", *form)
    assert ran.code == 1
    assert ("different" if "--json" in form else "✗") in ran.out
    assert run("reconcile", *OPTIONS, *form).code == 0


def test_a_failure_is_no_difference(monkeypatch: pytest.MonkeyPatch, run: Callable) -> None:
    """A tool that crashes prints no figure that could differ: a line says so, and the exit is 0."""

    def fail(*_: object) -> int:
        message = "unkind"
        raise OSError(message)

    tools = tuple(replace(x, run=fail) if x == PTFLOPS else x for x in TOOLS)
    monkeypatch.setattr("costmodel.tools.TOOLS", tools)
    ran = run("reconcile", *OPTIONS, "--run")
    assert ran.code == 0
    assert "✗" not in ran.out
    assert "ptflops: failed: OSError: unkind" in ran.out


def test_a_new_tool_is_one_record(monkeypatch: pytest.MonkeyPatch, run: Callable) -> None:
    """It counts outputs, and twice with a ReLU: in a list, it is predicted, run and explained."""

    def outputs(module: nn.Module, images: tuple[torch.Tensor, ...]) -> int:
        twice = any(isinstance(part, nn.ReLU) for part in module.modules())
        return (1 + twice) * module(*images).numel()

    twice = Deviation("twice", "outputs count twice", shown_by="relu")
    counted = rules("linear", 1, ELEMENT, "outputs")
    toy = Tool("toy", "outputs", counted, "torch", outputs, (twice,))
    monkeypatch.setattr("costmodel.tools.TOOLS", (*TOOLS, toy))
    layers = (Input("x", (2, 8)), Linear("linear", 3))
    made = of(reconcile(Network("n", layers), run=True), "toy")
    assert (made.tool, made.predicted, made.measured, made.status) == (toy, 6, 6, "equal")
    made = of(reconcile_model(nn.Sequential(nn.Linear(8, 3), nn.ReLU()), (8,), run=True), "toy")
    assert (made.measured, made.status, made.deviations) == (6, "deviation", (twice,))
    ran = run("reconcile", "mobilenet_v1", *OPTIONS, "--json")
    (tool,) = (tool for tool in json.loads(ran.out)["tools"] if tool["tool"] == "toy")
    assert (tool["predicted"], tool["deviations"]) == (1000, ["twice: outputs count twice"])
    ran = run("reconcile", "mobilenet_v1", *OPTIONS)
    assert "1,000  = 1,000 outputs (1 per element)" in ran.out


def test_json(run: Callable) -> None:
    """Parts add up to each prediction, and each tool's known deviations are beside it."""
    data = json.loads(run("reconcile", *OPTIONS, "--run", "--json").out)
    assert (data["network"], data["alpha"], data["resolution"]) == ("mobilenet_v1", 0.25, 32)
    assert data["macs"] == report(alpha=0.25, resolution=32).total.macs
    assert [tool["tool"] for tool in data["tools"]] == [x.name for x in TOOLS]
    for tool in data["tools"]:
        assert sum(part["count"] for part in tool["parts"]) == tool["predicted"]
        assert tool["status"] == ("predicted" if tool["tool"] == "paper" else "equal")
    assert any("transposed" in text for text in data["tools"][3]["deviations"])


def test_markdown(run: Callable) -> None:
    """A table whose rows have as many cells as its head, and the notes below."""
    out = run("reconcile", *OPTIONS, "--run", "--markdown").out
    rows = [line for line in out.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + len(TOOLS)
    assert {row.count("|") for row in rows} == {6}
    assert "run on a real torch model" in out.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("mobilenet_v9",), "unknown network 'mobilenet_v9'; did you mean mobilenet_v"),
        (("mobilenet_v1", "--alpha", "-1"), "alpha must be in (0, 4], got -1"),
        (("mobilenet_v1", "--json", "--markdown"), "--json and --markdown are alternatives"),
        (("mobilenet_v1", "--rho", "0.5", "--resolution", "96"), "both set the input's size"),
        (("mobilenet_v1", "--classes", "0"), "classes must be an integer"),
        (("no.json",), "cannot read no.json"),
        (("vgg_16", "--resolution", "99999", "--run"), "the tools cannot be run: a forward pass"),
    ],
)
def test_bad_input(run: Callable, arguments: tuple[str, ...], words: str) -> None:
    """One clear line, exit code 2."""
    ran = run("reconcile", *arguments)
    assert ran.code == 2
    assert ran.out == ""
    assert ran.err.count("\n") == 1
    assert words in ran.err


def test_options_change_the_network(run: Callable) -> None:
    """α, ρ, classes and rounding are those of a report."""
    arguments = ("--alpha", 0.5, "--rho", 0.714, "--classes", 10, "--rounding", "divisible(8)")
    data = json.loads(run("reconcile", *arguments, "--json").out)
    network = widen(resize(mobilenet_v1(classes=10), rho="0.714"), 0.5, "divisible(8)")
    assert [tool["predicted"] for tool in data["tools"]] == [
        x.predicted for x in reconcile(network).reckonings
    ]


def test_names_are_inert(run: Callable, tmp_path: Path) -> None:
    """A network's name is shown, and does nothing: in a terminal, in Markdown and in JSON."""
    path = tmp_path / "n.json"
    path.write_text(to_json(Network("[red]\x1b|<b>", TINY.layers)), encoding="utf-8")
    assert "[red]\\x1b|<b>" in run("reconcile", path).out
    assert "&lt;b&gt;" in run("reconcile", path, "--markdown").out
    assert json.loads(run("reconcile", path, "--json").out)["network"] == "[red]\x1b|<b>"
