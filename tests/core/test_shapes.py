"""Shape inference, and its errors where layers do not fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import given, settings
from strategies import examples, networks

from costmodel import CostModelError, Layer, Network
from costmodel.core import infer
from costmodel.layers import (
    SAME,
    Activation,
    AdaptivePool,
    Add,
    AtLeast,
    BatchNorm,
    Concat,
    Conv,
    Fixed,
    Flatten,
    Input,
    Linear,
    Pool,
    Times,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from costmodel.core.fields import Shape

QUICK = settings(derandomize=True, deadline=None, database=None)
IMAGE = Input("image", (2, 6, 11, 8))


def output(*layers: Layer, image: Input = IMAGE) -> Shape:
    """The last layer's output."""
    return infer(Network("net", (image, *layers)))[-1].output


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (Conv("c", 5, 3), (2, 5, 11 - 2, 8 - 2)),
        (Conv("c", 5, 3, 2, 1), (2, 5, 6, 4)),
        (Conv("c", 5, (5, 1)), (2, 5, 11 - 4, 8)),
        (Conv("c", 5, 3, dilation=2), (2, 5, 11 - 4, 8 - 4)),
        (Conv("c", SAME, 1, groups=SAME), (2, 6, 11, 8)),
        (Conv("c", Times(4), 1), (2, 4 * 6, 11, 8)),
        (Conv("c", AtLeast(1280), 1), (2, 1280, 11, 8)),
        (Conv("c", Fixed(7), 1), (2, 7, 11, 8)),
        (Pool("p", "max", 2, 2), (2, 6, 5, 4)),
        (Pool("p", "max", 2, 2, ceil_mode=True), (2, 6, 6, 4)),
        (AdaptivePool("p"), (2, 6, 1, 1)),
        (AdaptivePool("p", output_size=(3, 2)), (2, 6, 3, 2)),
        (Flatten("f"), (2, 6 * 11 * 8)),
        (Linear("l", 9), (2, 6, 11, 9)),
        (BatchNorm("b"), (2, 6, 11, 8)),
        (Activation("a"), (2, 6, 11, 8)),
        (Add("a", inputs=("image", "image")), (2, 6, 11, 8)),
        (Concat("c", inputs=("image", "image", "image")), (2, 3 * 6, 11, 8)),
    ],
    ids=str,
)
def test_each_layers_output(layer: Layer, expected: Shape) -> None:
    """Each layer type has the output shape its definition says."""
    assert output(layer) == expected


def in_torch(network: Network) -> dict[str, tuple[int, ...]]:
    """Every layer's shape, by running torch on the network's layers one by one."""
    values: dict[str, torch.Tensor] = {}
    for layer in network.layers:
        values[layer.name] = run(layer, [values[name] for name in layer.inputs])
    return {name: tuple(value.shape) for name, value in values.items()}


def run(layer: Layer, inputs: list[torch.Tensor]) -> torch.Tensor:
    """The layer's output, by torch; channels are read off the tensors."""
    match layer:
        case Input(shape=shape):
            return torch.zeros(shape, device="meta")
        case Concat():
            return torch.cat(inputs, 1)
        case Add():
            return torch.stack(inputs).sum(0)
    return module(layer, inputs[0])(inputs[0])


def module(layer: Layer, image: torch.Tensor) -> torch.nn.Module:
    """The torch module of a layer with one input."""
    match layer:
        case Conv(kernel=kernel, out_channels=width, groups=groups):
            channels = image.shape[1]
            width, groups = (channels if n == SAME else n for n in (width, groups))
            settings = (kernel, layer.stride, layer.padding, layer.dilation, groups)
            made = torch.nn.Conv2d(channels, width, *settings)
        case Pool(kind=kind):
            pool = {"max": torch.nn.MaxPool2d, "average": torch.nn.AvgPool2d}[kind]
            window = (layer.kernel, layer.stride, layer.padding)
            made = pool(*window, ceil_mode=layer.ceil_mode)
        case AdaptivePool(output_size=size):
            made = torch.nn.AdaptiveAvgPool2d(size)
        case Linear(out_features=Fixed(width)):
            made = torch.nn.Linear(image.shape[-1], width)
        case _:
            made = torch.nn.Flatten() if isinstance(layer, Flatten) else torch.nn.Identity()
    return made.to(image.device)


@settings(QUICK, max_examples=examples(100))
@given(networks())
def test_random_networks_have_torchs_shapes(network: Network) -> None:
    """Every layer of a random network has the shape torch's tensors have."""
    inferred = {placed.layer.name: placed.output for placed in infer(network)}
    assert inferred == in_torch(network)


ALL_AT_ONCE = Network(
    "all",
    (
        Input("image", (2, 6, 40, 30)),
        Conv("stem", 8, 3, 2, (2, 1), (2, 1)),
        Concat("join", inputs=("stem", "stem")),
        Conv("dw", SAME, 3, groups=SAME, padding=1),
        Pool("pool", "max", 2, 2, ceil_mode=True),
        Flatten("flat"),
    ),
)


def _halved(rule: Callable[..., Shape]) -> Callable[..., Shape]:
    def mutant(*args: Any) -> Shape:
        shape = rule(*args)
        return (*shape[:-1], max(1, shape[-1] // 2))

    return mutant


@pytest.mark.parametrize("kind", [Conv, Concat, Pool, Flatten])
def test_torch_notices_a_wrong_shape_rule(
    kind: type[Layer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rule that halves the last size disagrees with torch, whichever layer's it is."""
    monkeypatch.setattr(kind, "output_shape", _halved(kind.output_shape))
    inferred = {placed.layer.name: placed.output for placed in infer(ALL_AT_ONCE)}
    assert inferred != in_torch(ALL_AT_ONCE)


def test_axes_that_are_alike_are_inferred_once() -> None:
    """The shortcut for square sizes gives what the axes give one by one."""
    square = Input("image", (1, 3, 9, 9))
    assert output(Conv("c", 4, 3, 2, 1), image=square) == (1, 4, 5, 5)
    assert output(Conv("c", 4, (3, 1), 2, 1), image=square) == (1, 4, 5, 6)


def test_relations_follow_another_layer() -> None:
    """Times(n, of=layer) is n times that layer's channels, not the input's."""
    layers = (Conv("a", 4, 1), Conv("b", 10, 1), Conv("c", Times(3, of="a"), 1))
    assert output(*layers)[1] == 3 * 4


def test_relations_of_linear_layers_follow_channels() -> None:
    """A squeeze-excite's last linear layer has as many outputs as a convolution channels."""
    squeeze = (AdaptivePool("pool"), Flatten("flat"), Linear("less", 2))
    layers = (Conv("conv", 5, 1), *squeeze, Linear("more", Times(1, of="conv")))
    assert output(*layers) == (2, 5)


def test_relations_follow_what_was_rounded() -> None:
    """Times follows the channels that are there: 6 times 11, not 0.35 times 192."""
    from costmodel import widen

    network = Network("net", (IMAGE, Conv("a", 32, 1), Conv("b", Times(6), 1)))
    assert infer(widen(network, 0.35))[-1].output[1] == 6 * 11
    assert int(0.35 * 6 * 32) == 67


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ((Conv("c", 5, 12),), "c: kernel 12 (dilation 1) is larger than its input of 11"),
        ((Conv("c", 5, (1, 5), dilation=2),), "c: kernel 5 (dilation 2) is larger than its input"),
        ((Pool("p", "max", 9, 2),), "p: kernel 9 (dilation 1) is larger than its input of 8"),
        ((Conv("c", 5, (1, 2, 3)),), "c: (1, 2, 3) must have 2 values, one for each axis"),
        ((Conv("c", 5, 3, (1, 2, 3)),), "c: (1, 2, 3) must have 2 values, one for each axis"),
        ((AdaptivePool("p", output_size=(1, 2, 3)),), "p: (1, 2, 3) must have 2 values"),
        ((Pool("p", "max", 3, 2, 2),), "p: padding 2 must be at most half of kernel 3"),
        ((Flatten("f"), Conv("c", 5, 1)), "c: needs 3 axes or more, and its input is 2×528"),
        ((Flatten("f"), Pool("p", "max", 1, 1)), "p: needs 3 axes or more"),
        ((Flatten("f"), AdaptivePool("p")), "p: needs 3 axes or more"),
        (
            (Conv("c", 5, 1), Add("s", inputs=("image", "c"))),
            "s: adds 2×6×11×8 and 2×5×11×8; make them equal",
        ),
        (
            (Conv("c", 5, 3), Concat("j", inputs=("image", "c"))),
            "j: joins 2×6×11×8 and 2×5×9×6; make them equal",
        ),
        ((Flatten("f"), Concat("j", inputs=("image", "f"))), "j: joins 2×6×11×8 and 2×528"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_does_not_fit_names_its_layer(layers: tuple[Layer, ...], message: str) -> None:
    """A layer that does not fit is an error of one line: the layer, the sizes, the remedy."""
    with pytest.raises(CostModelError) as caught:
        output(*layers)
    assert str(caught.value).startswith(message)
    assert len(str(caught.value).splitlines()) == 1


@dataclass(frozen=True)
class Dropout(Layer):
    """A layer of a user's, without a shape rule."""


def test_without_a_rule_a_shape_stays() -> None:
    """A layer type that has no shape rule keeps its input's shape."""
    assert output(Dropout("d")) == IMAGE.shape


def test_kernels_that_are_just_small_enough_fit() -> None:
    """A window as large as its padded input has one position."""
    assert output(Conv("c", 5, (11, 8)))[2:] == (1, 1)
    assert output(Conv("c", 5, (13, 10), padding=1))[2:] == (1, 1)


def test_inference_reads_each_rule_once_per_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shapes are inferred in one pass, however many layers read one."""
    calls: list[str] = []
    rule = Concat.output_shape
    monkeypatch.setattr(
        Concat,
        "output_shape",
        lambda layer, *rest: (calls.append(layer.name), rule(layer, *rest))[1],
    )
    joins = tuple(Concat(f"j{i}", inputs=(f"j{i - 1}",) * 2) for i in range(1, 30))
    assert output(Concat("j0"), *joins)[1] == 6 * 2**29
    assert len(calls) == 30
