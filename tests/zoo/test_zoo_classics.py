"""The classic networks of the zoo equal torch models that were written from the papers."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial

import pytest
from torch_models.alexnet import AlexNet, AlexNetOneTower
from torch_models.googlenet import GoogLeNet
from torch_models.inception import InceptionV3
from torch_models.squeezenet import SqueezeNet10, SqueezeNet11
from torch_models.vgg import VGG16

from costmodel import Network, cost, crosscheck, lower, widen
from costmodel.zoo import architecture

MODELS = {
    "alexnet": AlexNet,
    "alexnet_one_tower": AlexNetOneTower,
    "vgg_16": VGG16,
    "googlenet": GoogLeNet,
    "inception_v3": InceptionV3,
    "squeezenet_1_0": SqueezeNet10,
    "squeezenet_1_1": SqueezeNet11,
}
#: At their own resolution these take more than 5 billion MACs, three times each.
HEAVY = {"vgg_16", "inception_v3"}

# Another resolution (and width) of each network, and its model. `side` is what conv1 and the pools
# leave: 131 → 31 → 15 → 7 → 3 pixels in AlexNet, 64 / 2⁵ = 2 in VGG.
OTHERS = {
    "alexnet": (131, 0.5, partial(AlexNet, width=0.5, side=3)),
    "alexnet_one_tower": (97, 0.5, partial(AlexNetOneTower, width=0.5)),
    "vgg_16": (64, 0.5, partial(VGG16, base=32, hidden=2048, side=2)),
    "googlenet": (75, 1, GoogLeNet),
    "inception_v3": (107, 1, InceptionV3),
    "squeezenet_1_0": (97, 0.5, partial(SqueezeNet10, width=0.5)),
    "squeezenet_1_1": (70, 0.5, partial(SqueezeNet11, width=0.5)),
}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow if n in HEAVY else ()) for n in MODELS]
)
def test_every_figure_at_the_networks_own_resolution(name: str) -> None:
    """MACs, parameters and activations equal the tools', by layer, by operator and in total."""
    network = architecture(name).build()
    made = crosscheck(network, MODELS[name]())
    assert made.mismatches == ()
    counted = sum(bool(layer.nests) for layer in lower(network))
    assert len(made.reference_macs) == counted
    assert sum(c.tool == "fvcore" and c.layer != "" for c in made.comparisons) == counted


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_every_figure_at_another_resolution_and_width(name: str) -> None:
    """The same holds where sizes have to be rounded, and for half the channels."""
    resolution, alpha, model = OTHERS[name]
    network = widen(architecture(name).build(resolution=resolution), alpha)
    assert crosscheck(network, model()).mismatches == ()


# MACs and parameters. torchvision documents the parameters of all but two, and the MACs (as
# "GFLOPS") at two decimals; pytorchcv 0.0.74's models, counted by FlopCounterMode, have just
# these. AlexNet has the parameters of Caffe's bvlc_alexnet; its MACs, and GoogLeNet's figures,
# are the sums of the rows below, which fvcore counts too.
FIGURES = {
    "alexnet": (724_406_816, 60_965_224),
    "alexnet_one_tower": (714_188_480, 61_100_840),
    "vgg_16": (15_470_264_320, 138_357_544),
    "googlenet": (1_582_671_872, 6_998_552),
    # torchvision prints 27,161,264 parameters, of which the auxiliary head has 3,326,696.
    "inception_v3": (5_713_216_096, 27_161_264 - 3_326_696),
    "squeezenet_1_0": (818_924_576, 1_248_424),
    "squeezenet_1_1": (349_151_936, 1_235_496),
}


@pytest.mark.parametrize("name", FIGURES)
def test_the_known_totals(name: str) -> None:
    """Each network has the MACs and parameters that it is known for."""
    total = cost(architecture(name).build())
    assert (total.macs, total.params) == FIGURES[name]


def by_module(name: str) -> tuple[Counter[str], Counter[str]]:
    """MACs and parameters of each layer or module, by the name before the dot."""
    macs: Counter[str] = Counter()
    params: Counter[str] = Counter()
    for layer in lower(architecture(name).build()):
        module = layer.layer.name.partition(".")[0]
        macs[module] += sum(nest.macs for nest in layer.nests)
        params[module] += sum(parameter.count for parameter in layer.parameters)
    return +macs, +params


def test_alexnet_has_the_papers_neurons_and_weights() -> None:
    """Each layer's sum, the neurons of Figure 2's caption, and the abstract's 60 million.

    The caption prints 253,440 neurons for the first layer, where its 55×55×96 are 290,400.
    """
    macs, params = by_module("alexnet")
    assert macs == {
        "conv1": 55 * 55 * 96 * 11 * 11 * 3,
        "conv2": 27 * 27 * 256 * 5 * 5 * 48,
        "conv3": 13 * 13 * 384 * 3 * 3 * 256,
        "conv4": 13 * 13 * 384 * 3 * 3 * 192,
        "conv5": 13 * 13 * 256 * 3 * 3 * 192,
        "fc6": 4096 * 6 * 6 * 256,
        "fc7": 4096 * 4096,
        "classifier": 1000 * 4096,
    }
    neurons = 55 * 55 * 96 + 186_624 + 64_896 + 64_896 + 43_264 + 4096 + 4096 + 1000
    assert cost(architecture("alexnet").build()).activations == neurons
    assert params.total() // 10**6 == 60


def test_vggs_table_2_prints_the_parameters() -> None:
    """Table 2 of the paper: 138 million parameters in column D, most of them in fc6."""
    _, params = by_module("vgg_16")
    assert params["fc6"] == 4096 * 512 * 7 * 7 + 4096
    assert round(params.total(), -6) == 138_000_000


def test_googlenets_table_1_prints_the_ops() -> None:
    """The column "ops" of the paper's Table 1, in millions, row by row.

    It prints 34 for the first convolution (118), truncates 73.6 and has 54 for inception5a (51).
    """
    macs, _ = by_module("googlenet")
    macs["conv2"] += macs.pop("conv2_reduce")
    assert {name: round(count / 10**6) for name, count in macs.items()} == {
        "conv1": 118,
        "conv2": 360,
        "inception3a": 128,
        "inception3b": 304,
        "inception4a": 74,
        "inception4b": 88,
        "inception4c": 100,
        "inception4d": 119,
        "inception4e": 170,
        "inception5a": 51,
        "inception5b": 71,
        "classifier": 1,
    }


def test_squeezenets_table_1_prints_the_parameters() -> None:
    """The column "# parameter before pruning" of the paper's Table 1, row by row, to the last."""
    _, params = by_module("squeezenet_1_0")
    assert params == {
        "conv1": 14_208,
        "fire2": 11_920,
        "fire3": 12_432,
        "fire4": 45_344,
        "fire5": 49_440,
        "fire6": 104_880,
        "fire7": 111_024,
        "fire8": 188_992,
        "fire9": 197_184,
        "classifier": 513_000,
    }


def test_inceptions_sizes_are_the_tables() -> None:
    """Table 1's 73×73×64, 35×35×288, 17×17×768, 8×8×1280 and 8×8×2048 stand between the blocks."""
    shapes = {
        layer.layer.name: layer.output for layer in lower(architecture("inception_v3").build())
    }
    assert shapes["pool1"] == (1, 64, 73, 73)
    assert shapes["mixed5d.concat"] == (1, 288, 35, 35)
    assert shapes["mixed6e.concat"] == (1, 768, 17, 17)
    assert shapes["mixed7a.concat"] == (1, 1280, 8, 8)
    assert shapes["mixed7c.concat"] == (1, 2048, 8, 8)


#: Mistakes that are easily made: the network, the layer, the change, and where it must show.
MUTATIONS = {
    "AlexNet's towers meet in conv2": ("alexnet", "conv2", {"groups": 1}, "conv2"),
    "the 2014 paper's 384": ("alexnet_one_tower", "conv4", {"out_channels": 384}, "conv5"),
    "VGG's column C": ("vgg_16", "conv3_3", {"kernel": 1, "padding": 0}, "conv3_3"),
    "torchvision's 3×3 for 5×5": (
        "googlenet",
        "inception4a.conv5x5",
        {"kernel": 3, "padding": 1},
        "inception4a.conv5x5",
    ),
    "no ceil_mode": ("googlenet", "pool1", {"ceil_mode": False}, "conv2_reduce"),
    "a padded first layer": ("squeezenet_1_0", "conv1", {"padding": 3}, "conv1"),
    "1.0's first width in 1.1": ("squeezenet_1_1", "conv1", {"out_channels": 96}, "fire2.squeeze"),
    "6c as narrow as 6b": (
        "inception_v3",
        "mixed6c.branch7x7_1",
        {"out_channels": 128},
        "mixed6c.branch7x7_2",
    ),
    "Keras's batch norm": ("inception_v3", "conv1.norm", {"affine": False}, ""),
}


@pytest.mark.slow
@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_mistake_is_caught(mutation: str) -> None:
    """Each mistake makes the check fail, at the layer or at the next one."""
    name, changed, changes, where = MUTATIONS[mutation]
    resolution, alpha, model = OTHERS[name]
    network = architecture(name).build(resolution=resolution)
    layers = [replace(x, **changes) if x.name == changed else x for x in network.layers]
    made = crosscheck(widen(Network(network.name, tuple(layers)), alpha), model())
    assert where in {c.layer for c in made.mismatches}
