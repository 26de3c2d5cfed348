"""`reconcile_model`: a module of one's own is traced, run on copies, and left as it was."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from costmodel import CostModelError, mobilenet_v1, reconcile, report, resize, trace
from costmodel.frontends.torch.names import told
from costmodel.reference.mobilenet import MobileNetV1
from costmodel.show import reconcile as shown
from costmodel.tools import TOOLS
from costmodel.tools.deviations import CONSTANTS
from costmodel.tools.reconciling import reconcile_model

if TYPE_CHECKING:
    from collections.abc import Callable

    from costmodel.tools.reconciling import Reckoning, Reconciliation


class Own(nn.Module):
    """Functions and modules, tied weights, and a buffer that every forward pass writes to."""

    def __init__(self) -> None:
        """Hold them."""
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.norm = nn.BatchNorm2d(8)
        self.kernel = nn.Parameter(torch.zeros(8, 8, 1, 1))
        self.first = nn.Linear(8, 8)
        self.second = nn.Linear(8, 8)
        self.second.weight = self.first.weight
        self.register_buffer("calls", torch.zeros(1))
        self.seen: list[Any] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """A functional convolution, a gate and two linear layers."""
        self.calls.add_(1)
        self.seen.append(len(self.seen))
        x = functional.relu(self.norm(self.conv(x)), inplace=True)
        x = functional.conv2d(x, self.kernel) * x
        return self.second(functional.gelu(self.first(x.mean((2, 3)))))


def of(made: Reconciliation, name: str) -> Reckoning:
    """One tool's."""
    (found,) = (x for x in made.reckonings if x.tool.name == name)
    return found


def state(module: nn.Module) -> list[Any]:
    """All that a caller can see of a module, by identity and by value."""
    parts = list(module.modules())
    tensors = [*module.named_parameters(), *module.named_buffers()]
    return [
        [(id(part), part.training, sorted(vars(part))) for part in parts],
        [len(part._forward_hooks) + len(part._forward_pre_hooks) for part in parts],
        [(name, id(x), x.device, x.dtype, x.requires_grad, x.grad) for name, x in tensors],
        [None if x.is_meta else x.tolist() for _, x in tensors],
        list(getattr(module, "seen", [])),
        torch.get_rng_state().tolist(),
    ]


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize("run", [False, True])
def test_the_module_is_as_before(device: str, run: bool) -> None:  # noqa: FBT001
    """Modes, tensors, devices, values, hooks, attributes and random numbers are what they were."""
    with torch.device(device):
        module = Own()
    module.norm.eval()
    before = state(module)
    assert not reconcile_model(module, (3, 16, 16), run=run).failed
    assert state(module) == before


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_nine_figures_of_ones_own_module(device: str) -> None:
    """Whether it has weights or not, every tool prints what is predicted, with the reasons."""
    with torch.device(device):
        module = Own()
    made = reconcile_model(module, (3, 16, 16), run=True)
    assert [x.status for x in made.reckonings] == ["predicted", *["equal"] * 9]
    conv, kernel, linear = 27 * 8 * 14 * 14, 8 * 8 * 14 * 14, 2 * 8 * 8
    assert of(made, "paper").predicted == conv + kernel + linear
    assert of(made, "thop").predicted == conv + linear + 4 * 8 * 14 * 14
    gate, mean, norm = 8 * 14 * 14, 8, 8 * 14 * 14
    assert of(made, "torchprofile").predicted == conv + kernel + linear + norm + gate + mean


def test_zeros_are_said_to_be_on_no_real_weights() -> None:
    """A model on the meta device is not what the tools were run on: its copy with zeros is."""
    with torch.device("meta"):
        module = nn.Sequential(nn.Linear(8, 4))
    assert reconcile_model(module, (8,), run=True).model.endswith("with zeros for its weights")
    assert "zeros" not in reconcile_model(nn.Sequential(nn.Linear(8, 4)), (8,), run=True).model


def test_tied_weights_stay_tied() -> None:
    """The copy with zeros has as many parameters as the module."""
    from costmodel.tools.reconciling import _copy, _real

    with torch.device("meta"):
        module = Own()
    real = _real(_copy(module))
    assert real.first.weight is real.second.weight
    assert len(list(real.parameters())) == len(list(module.parameters()))
    assert not any(x.is_meta for x in (*real.parameters(), *real.buffers()))


def test_a_model_too_large_for_zeros() -> None:
    """It is refused in one line that names the size and what to do, and predicted all the same."""
    with torch.device("meta"):
        module = nn.Linear(2**16, 2**15, bias=False)
    assert of(reconcile_model(module, (2**16,)), "fvcore").predicted == 2**31
    with pytest.raises(CostModelError, match=r"8,589,934,592 bytes .* more than 4,294,967,296"):
        reconcile_model(module, (2**16,), run=True)


def test_the_mode_is_evaluation() -> None:
    """A module in training mode is predicted as the tools run it, dropout and all."""
    module = nn.Sequential(nn.Linear(8, 8), nn.Dropout(), nn.BatchNorm1d(8)).train()
    assert not reconcile_model(module, (8,), run=True).failed


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float64])
def test_other_floats(kind: torch.dtype) -> None:
    """A model of other floats gets an input of them."""
    made = reconcile_model(nn.Sequential(nn.Linear(8, 8), nn.GELU()).to(kind), (8,), run=True)
    assert [x.status for x in made.reckonings[1:]] == ["equal"] * 9


class Encoder(nn.Module):
    """A transformer's layer, which evaluation turns into one native operator."""

    def __init__(self) -> None:
        """Hold torch's."""
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """It alone."""
        return self.layer(x)


def test_native_attention_is_named() -> None:
    """Whatever a tool prints of it that is not predicted has one reason."""
    made = reconcile_model(Encoder(), (5, 8), run=True)
    assert not made.failed
    names = {x.name for tool in made.reckonings for x in tool.deviations}
    assert names <= {"attention in evaluation mode"}
    assert of(made, "FlopCounterMode").measured == 0
    assert of(made, "FlopCounterMode").status == "deviation"


def test_a_traced_network_finds_its_module() -> None:
    """`reconcile` of what `trace` made of the module knows how it calls torch."""
    module = Own().eval()
    network = trace(module, (3, 16, 16))
    made = reconcile(network, module, run=True)
    assert made.reckonings == reconcile_model(module, (3, 16, 16), run=True).reckonings
    assert of(reconcile(network), "thop").predicted != of(made, "thop").predicted


def test_a_network_of_the_zoo_counts_as_it_is_built() -> None:
    """Run on a module that was written apart from it."""
    made = reconcile(resize(mobilenet_v1(), resolution=32), MobileNetV1(1), run=True)
    assert {x.status for x in made.reckonings[1:]} == {"equal"}


class Normalised(nn.Module):
    """A normalised parameter in a class without modules."""

    def __init__(self) -> None:
        """Hold it."""
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, 8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Subtract it."""
        return x - functional.layer_norm(self.weight, (8,))


def test_a_deviation_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """Predicted, printed and why stand in the notes and in JSON, and nothing has failed."""
    made = reconcile_model(nn.Sequential(nn.Linear(8, 8), Normalised()), (8,), run=True)
    assert not made.failed
    fvcore, torchinfo = of(made, "fvcore"), of(made, "torchinfo")
    assert (fvcore.status, fvcore.predicted, fvcore.measured) == ("deviation", 64, 64 + 4 * 8)
    assert [x.name for x in torchinfo.deviations] == ["parameters of a module of one's own"]
    note = f"fvcore: 64 predicted, printed 96: work on constants ({CONSTANTS.effect})"
    assert shown.explanation(fvcore) == note
    assert note in shown.notes(made)
    page = shown.to_markdown(report(alpha=0.25, resolution=32), made)
    assert "| 64 | 96 ≠ |" in page
    (tool,) = (x for x in json.loads(shown.to_json(report(), made))["tools"] if x["measured"] == 96)
    assert (tool["status"], tool["explained_by"]) == ("deviation", ["work on constants"])
    assert capsys.readouterr().out == ""


class Unasked(nn.Module):
    """What calflops raises an error at."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """A resize of a keyword."""
        return functional.interpolate(input=x, scale_factor=2)


def test_an_error_is_explained_by_what_raises_it() -> None:
    """calflops' failure has a name; one without a name stays a failure."""
    made = reconcile_model(nn.Sequential(nn.Conv2d(3, 4, 1), Unasked()), (3, 4, 4), run=True)
    assert not made.failed
    calflops = of(made, "calflops")
    assert (calflops.status, calflops.measured) == ("deviation", None)
    assert "failed: IndexError" in shown.explanation(calflops)


def test_a_difference_that_nothing_explains_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the deviation's record the figure is different, and the check has failed."""
    monkeypatch.setattr("costmodel.tools.TOOLS", [replace(x, deviations=()) for x in TOOLS])
    made = reconcile_model(nn.Sequential(nn.Linear(8, 8), Normalised()), (8,), run=True)
    assert of(made, "fvcore").status == "different"
    assert made.failed


def raising(_: torch.Tensor) -> torch.Tensor:
    """No forward pass."""
    message = "enough"
    raise KeyError(message)


class Raises(nn.Module):
    """A model whose forward pass raises."""

    forward: Callable[..., Any] = staticmethod(raising)


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (Raises(), "the forward pass on 1×3×8×8 failed (KeyError: 'enough')"),
        (nn.Conv2d(4, 4, 3), "the forward pass on 1×3×8×8 failed"),
        ("resnet", "reconcile_model takes a torch.nn.Module, got str"),
    ],
)
def test_what_cannot_be_traced(module: Any, words: str) -> None:
    """One clear line, and torch is as before."""
    before = [dict(vars(owner)) for owner in (torch, functional, torch.Tensor)]
    with pytest.raises(CostModelError) as caught:
        reconcile_model(module, (3, 8, 8), run=True)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert [dict(vars(owner)) for owner in (torch, functional, torch.Tensor)] == before


def test_names_are_told_and_given_back() -> None:
    """A call by a name in torch is told, `a @ b` and a kept function are not; all is put back."""

    class Watch:
        named = False

    watch, kept, x = Watch(), functional.gelu, torch.zeros(2, 2)
    seen = []

    class Mode(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, func: Any, _t: Any, args: Any = (), kwargs: Any = None) -> Any:
            seen.append(watch.named)
            return func(*args, **kwargs or {})

    with told(watch), Mode():
        torch.matmul(x, x), x.matmul(x), functional.gelu(x)
        x @ x, kept(x), x + x
    assert seen == [True, True, True, False, False, False]
    assert functional.gelu is kept
    assert "matmul" not in vars(torch.Tensor)
