"""Measured times: of each layer, their sum, and the model as a whole; never how long they are."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from costmodel import CostModelError, Network, build, mobilenet_v1, trace
from costmodel.backends import clock as timing
from costmodel.backends.measuring import Measured, evaluated, measured
from costmodel.backends.modules import side_by_side
from costmodel.layers import Activation, Conv, Input

NETWORK = Network("n", (Input("image", (1, 3, 8, 8)), Conv("conv", 4, 3), Activation("act")))


def test_every_layer_is_timed() -> None:
    """Each layer but the input has a time, and the sum is theirs."""
    made = measured(NETWORK, passes=4)
    assert list(made.layers) == ["conv", "act"]
    assert made.total == made.layers["conv"] + made.layers["act"]
    assert min(made.whole, *made.layers.values()) > 0


def test_the_whole_is_the_given_module() -> None:
    """The model that is given runs, in evaluation mode, and is in the mode that it was in after."""
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Dropout()).train()
    model[1].eval()
    network = trace(model, (3, 8, 8))
    modes: set[bool] = set()
    model[0].register_forward_hook(lambda *_: modes.add(model[0].training))
    measured(network, model, passes=4)
    assert modes == {False}
    assert [part.training for part in model.modules()] == [True, True, False]


def test_modes_are_restored_after_a_failure() -> None:
    """A model that fails is in its own mode again."""
    model = nn.Dropout().train()

    def fail() -> None:
        with evaluated(model):
            assert not model.training
            raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        fail()
    assert model.training


def test_halves_are_held_against_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounds that take 4, 3, 5 and 2 seconds are 3 / 2 − 1 apart, and the fastest is 2."""
    wholes = iter((4.0, 3.0, 5.0, 2.0))
    layers = [{"conv": 1.0, "act": 0.5}]
    monkeypatch.setattr(timing, "passed", lambda *_: timing.Passes(layers, [next(wholes)]))
    made = measured(NETWORK, passes=4)
    assert made == Measured(2.0, 0.5, layers[0])


@pytest.mark.parametrize("passes", [0, 3, 4.5, True])
def test_too_few_passes(passes: object) -> None:
    """Both halves need two rounds; anything else is refused by name and value."""
    with pytest.raises(CostModelError, match=r"passes must be an integer, at least 4; got"):
        measured(NETWORK, passes=passes)


def test_a_model_without_weights() -> None:
    """On the meta device nothing is computed, and so nothing can be timed."""
    with torch.device("meta"):
        model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    with pytest.raises(CostModelError, match="meta device cannot be timed; make it on the cpu"):
        measured(NETWORK, model)


def test_without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where torch is missing, the error names the command that brings it."""
    monkeypatch.setattr("costmodel.errors.find_spec", lambda _: None)
    with pytest.raises(CostModelError, match=r"measure needs torch.*pip install"):
        measured(NETWORK)


def test_random_numbers_are_left_alone() -> None:
    """Weights and inputs are drawn apart: a program's own numbers are the same afterwards."""
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    measured(NETWORK, passes=4)
    assert torch.equal(torch.rand(3), expected)


def test_a_copy_of_a_graph_runs_its_own_modules() -> None:
    """A deep copy, and one with its layers side by side, make the same of an image."""
    graph = build(mobilenet_v1(resolution=32)).eval()
    image = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        expected = graph(image)
        other = side_by_side(copy.deepcopy(graph))
        assert torch.equal(other(image), expected)
        other.classifier.bias.zero_()
        assert not torch.equal(other(image), expected)
        assert torch.equal(graph(image), expected)
    assert other.module_named("conv1.norm") is other.conv1_norm
