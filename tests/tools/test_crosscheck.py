"""The network and the torch models agree, figure by figure, and a difference is found."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn

from costmodel import CostModelError, Network, crosscheck, mobilenet_v1, resize, widen
from costmodel.layers import AdaptivePool, BatchNorm, Conv, Input
from costmodel.reference import mobilenet as reference
from costmodel.tools import FLOP_COUNTER, FVCORE
from costmodel.zoo import conv_mobilenet

if TYPE_CHECKING:
    from costmodel.tools.crosscheck import CrossCheck

ALPHAS = (1, Fraction(3, 4), Fraction(1, 2), Fraction(1, 4))
RESOLUTIONS = (224, 192, 160, 128)
# Odd sizes, where a ceiling differs from a quotient, and widths that round.
ODD = [
    (0.1, 97, 1000),
    (0.35, 225, 1000),
    (1.4, 300, 1000),
    (0.1, 300, 10),
    (0.35, 97, 10),
    (1.4, 225, 10),
]


def check(alpha: float | Fraction, resolution: int, classes: int = 1000) -> CrossCheck:
    """The zoo's MobileNetV1 against the reference, with its twin."""
    network = widen(resize(mobilenet_v1(classes=classes), resolution=resolution), alpha)
    return crosscheck(
        network, reference.MobileNetV1(alpha, classes), reference.conv_mobilenet(alpha, classes)
    )


def assert_everything_was_compared(made: CrossCheck) -> None:
    """28 layers by fvcore and FlopCounterMode, 55 tensors' owners, 13 blocks, and the totals."""
    found = [(c.tool, c.quantity) for c in made.comparisons if c.layer]
    assert found.count(("fvcore", "macs")) == 28
    assert found.count(("FlopCounterMode", "flops")) == 28
    assert found.count(("torch", "params")) == 28 + 27
    assert found.count(("fvcore", "reduction")) == 13
    totals = {(c.tool, c.quantity) for c in made.comparisons if not c.layer}
    assert totals == {
        ("fvcore", "conv"),
        ("fvcore", "linear"),
        ("fvcore", "batch_norm"),
        ("fvcore", "adaptive_avg_pool2d"),
        ("fvcore", "count"),
        ("fvcore", "activations"),
        ("FlopCounterMode", "flops"),
        ("torch", "params"),
    }


@pytest.mark.slow
@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("resolution", RESOLUTIONS)
def test_the_papers_sixteen_models(alpha: Fraction, resolution: int) -> None:
    """Every figure of each of the paper's sixteen models equals the tools'."""
    made = check(alpha, resolution)
    assert made.mismatches == ()
    assert_everything_was_compared(made)


@pytest.mark.slow
@pytest.mark.parametrize(("alpha", "resolution", "classes"), ODD)
def test_odd_widths_sizes_and_classes(alpha: float, resolution: int, classes: int) -> None:
    """Every figure equals the tools' where channels and sizes have to be rounded."""
    assert check(alpha, resolution, classes).mismatches == ()


def test_the_main_example() -> None:
    """At α = 0.75 and 192 px every figure equals the tools'."""
    made = check(0.75, 192)
    assert made.mismatches == ()
    assert made.status == "passed"
    assert_everything_was_compared(made)
    assert made.reference_macs["conv1"] == 9 * 3 * 24 * 96 * 96
    assert made.reductions["block1"] == Fraction(1, 48) + Fraction(1, 9)


def test_fvcores_own_total() -> None:
    """FVCORE's convention gives the total that fvcore prints for MobileNetV1."""
    counts = FVCORE.count(mobilenet_v1())
    assert counts.total() == 578_875_904
    assert counts["batch_norm"] == 10_085_376
    assert counts["adaptive_avg_pool2d"] == 1024 * 7 * 7


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # fvcore's, as it is imported
@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("affine", [True, False])
def test_fvcore_on_other_ranks(rank: int, affine: bool) -> None:  # noqa: FBT001
    """fvcore's own rules for batch norm without scale and shift, and for 1 and 3 axes."""
    from fvcore.nn import FlopCountAnalysis

    image = (2, 4, *[6] * rank)
    pool = AdaptivePool("pool", output_size=2)
    layers = (Input("image", image), BatchNorm("norm", affine=affine), pool)
    norm = getattr(nn, f"BatchNorm{rank}d")(4, affine=affine)
    module = nn.Sequential(norm, getattr(nn, f"AdaptiveAvgPool{rank}d")(2)).eval()
    analysis = FlopCountAnalysis(module, torch.zeros(image))
    measured = analysis.unsupported_ops_warnings(enabled=False).by_operator()
    assert FVCORE.count(Network("n", layers)) == measured


def test_flop_counter_mode_counts_two_per_mac() -> None:
    """Its convention is exactly twice the MACs."""
    assert FLOP_COUNTER.count(mobilenet_v1()).total() == 1_137_480_704


@pytest.mark.parametrize("rounding", ["floor", "divisible(8)"])
def test_batch_channels_and_rounding(rounding: str) -> None:
    """Batch size, input channels and the rounding policy are ordinary parameters."""
    network = widen(mobilenet_v1(classes=7, resolution=64, in_channels=1, batch=3), 0.35, rounding)
    module = reference.MobileNetV1(0.35, 7, 1, rounding=rounding)
    assert crosscheck(network, module).mismatches == ()


def test_images_that_are_not_square() -> None:
    """Height and width need not be equal."""
    network = widen(resize(mobilenet_v1(), resolution=(96, 161)), 0.25)
    assert crosscheck(network, reference.MobileNetV1(0.25)).mismatches == ()


@pytest.mark.parametrize("resolution", [64, 97])
def test_conv_mobilenet(resolution: int) -> None:
    """The network with full convolutions equals its own torch model."""
    network = widen(conv_mobilenet(resolution=resolution), 0.5)
    assert crosscheck(network, reference.conv_mobilenet(0.5)).mismatches == ()


def _with_layer(network: Network, name: str, **changes: object) -> Network:
    layers = tuple(
        replace(layer, **changes) if layer.name == name else layer for layer in network.layers
    )
    return Network(network.name, layers)


MUTATIONS = {
    "a stride forgotten": {"stride": 1},
    "a padding forgotten": {"padding": 0},
    "a kernel too large": {"kernel": 5, "padding": 2},
    "a standard convolution for a depthwise one": {"groups": 1},
    "a bias too many": {"bias": True},
}


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_mutated_network_is_caught(mutation: str) -> None:
    """Each mutation of one layer makes the check fail, and the layer is named."""
    network = _with_layer(mobilenet_v1(resolution=64), "block2.dw", **MUTATIONS[mutation])
    made = crosscheck(network, reference.MobileNetV1())
    assert made.status == "failed"
    assert "block2.dw" in {c.layer for c in made.mismatches}


def test_table_1s_misprinted_stride_is_caught() -> None:
    """Stride 2 in the last depthwise layer, as Table 1 prints, is not what the model does."""
    network = _with_layer(mobilenet_v1(resolution=64), "block13.dw", stride=2)
    made = crosscheck(network, reference.MobileNetV1())
    assert {c.layer for c in made.mismatches} >= {"block13.dw", "block13.pw"}


def test_a_layer_that_the_module_lacks_is_caught() -> None:
    """A layer without a module of its name is a mismatch, not an error and not a pass."""
    network = mobilenet_v1(resolution=64)
    layers = (*network.layers[:-3], Conv("extra", 1024, 1), *network.layers[-3:])
    pool = replace(layers[-3], inputs=("extra",))
    network = Network("extra", (*layers[:-3], pool, *layers[-2:]))
    made = crosscheck(network, reference.MobileNetV1())
    assert ("extra", None) in {(c.layer, c.measured) for c in made.mismatches}


def test_an_unlisted_parameter_is_caught() -> None:
    """A parameter of the module that no layer accounts for shows in the total."""
    module = reference.MobileNetV1()
    module.extra = nn.Parameter(torch.zeros(1))
    made = crosscheck(mobilenet_v1(resolution=32), module)
    assert [(c.quantity, c.layer) for c in made.mismatches] == [("params", "")]


def test_a_wrong_twin_is_caught() -> None:
    """The measured reduction is compared: a twin of another width does not pass."""
    network = mobilenet_v1(resolution=32)
    made = crosscheck(network, reference.MobileNetV1(), reference.conv_mobilenet(0.5))
    assert {c.quantity for c in made.mismatches} == {"reduction"}


@pytest.mark.parametrize("training", [True, False])
def test_the_modules_mode_is_restored(training: bool) -> None:  # noqa: FBT001
    """The check leaves the module in the mode it was in, part by part."""
    module = reference.MobileNetV1(0.25).train(training)
    module.block1.eval()
    before = [part.training for part in module.modules()]
    state = {name: value.clone() for name, value in module.state_dict().items()}
    crosscheck(widen(mobilenet_v1(resolution=32), 0.25), module)
    assert [part.training for part in module.modules()] == before
    assert all(torch.equal(value, state[name]) for name, value in module.state_dict().items())


def test_a_forward_pass_that_fails_is_one_clear_line() -> None:
    """A module that does not take the network's input is an error that says so."""
    with pytest.raises(CostModelError, match="forward pass") as caught:
        crosscheck(mobilenet_v1(in_channels=4), reference.MobileNetV1())
    assert "\n" not in str(caught.value)


def test_without_torch_the_check_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where torch is missing, the error names the command that brings it."""
    monkeypatch.setattr("costmodel.tools.crosscheck.torch_is_installed", lambda: False)
    from costmodel.tools.crosscheck import crosscheck as run

    with pytest.raises(CostModelError, match=r"pip install 'costmodel\[torch\]'"):
        run(mobilenet_v1(), reference.MobileNetV1())
