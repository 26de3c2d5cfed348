"""The table of elementwise functions, against what torch's functions read."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from costmodel import Network, layers as ir, trace
from costmodel.backends.rules import FUNCTIONS
from costmodel.frontends.torch.free import FREE
from costmodel.layers import Activation, Conv, Input
from costmodel.layers.named import ELEMENTWISE, is_elementwise, plain
from costmodel.metrics.memory import MemoryRules, live_bytes, peak_activations
from costmodel.zoo import ZOO

if TYPE_CHECKING:
    from collections.abc import Callable

IN_PLACE = MemoryRules(in_place=True)
#: Names that this package or Python has for a function of torch's.
OTHERS = {
    "and": torch.bitwise_and,
    "floordiv": torch.floor_divide,
    "hsigmoid": functional.hardsigmoid,
    "hswish": functional.hardswish,
    "identity": torch.clone,
    "invert": torch.bitwise_not,
    "lshift": torch.bitwise_left_shift,
    "mod": torch.remainder,
    "or": torch.bitwise_or,
    "rdiv": torch.div,
    "rpow": torch.pow,
    "rshift": torch.bitwise_right_shift,
    "rtruediv": torch.div,
    "swish": functional.silu,
    "truediv": torch.div,
    "xor": torch.bitwise_xor,
    "zero": torch.zero_,
}
#: What a function takes beside tensors of one shape.
ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "threshold": (0.5, 0.1),
    "to": (torch.float64,),
    "type": (torch.float64,),
    "masked_fill": (torch.ones(()).bool(), 2.0),
    "fill": (2.0,),
    "clamp": (-0.5, 0.5),
    "clip": (-0.5, 0.5),
    "clamp_max": (0.5,),
    "clamp_min": (-0.5,),
}


def functions(name: str) -> list[Callable[..., Any]]:
    """torch's functions of a name, in place ones last."""
    owners = (torch, functional, torch.Tensor, torch.special)
    found = [getattr(owner, name, None) for owner in owners]
    found += [getattr(torch.Tensor, f"{name}_", None), OTHERS.get(name)]
    return [function for function in found if callable(function)]


def reads_elsewhere(name: str) -> bool | None:
    """Whether changing one element changes others of the output; None where nothing runs."""
    torch.manual_seed(0)
    floats = torch.rand(1, 4, 5, 6) * 0.8 + 0.1
    kinds = [floats, (floats * 100).int(), floats > 0.5]
    arguments = [ARGUMENTS[name]] if name in ARGUMENTS else [(), (0,), (1,), ((0, 1),), (0, 1)]
    ran = None  # the function and the kind of elements that there is one for
    for function, kind, operands, others in product(functions(name), kinds, (1, 2, 3), arguments):
        if ran not in {None, (function, kind.dtype)}:
            break
        tensors = [kind.clone(), *(kind.flip(0, 1, 2, 3) for _ in range(operands - 1))]
        if name == "where":
            tensors = [floats > 0.5, floats, floats.flip(3)]
        changed = [tensor.clone() for tensor in tensors]
        changed[0][0, 1, 2, 3] = ~changed[0][0, 1, 2, 3] if kind.dtype is torch.bool else 0.35
        if name == "where":
            changed[1][0, 1, 2, 3] = 0.35
        try:
            torch.manual_seed(1)
            before = function(*tensors, *others)
            torch.manual_seed(1)
            after = function(*changed, *others)
        except (RuntimeError, TypeError, ValueError, IndexError, NotImplementedError):
            continue
        if not isinstance(before, torch.Tensor) or before.shape != floats.shape:
            continue
        ran = function, kind.dtype
        differs = ~torch.isclose(before.double(), after.double(), equal_nan=True)
        differs[0, 1, 2, 3] = False
        if differs.any():
            return True
    return False if ran else None


#: Those whose random numbers do not stay where they were when an element changes.
_DRAWN = {"normal", "bernoulli", "rrelu", "random", "uniform"}
#: Those that want parameters or a device, or are the same function to torch.
_SPECIAL = {"batch_norm", "prelu", "cuda", "dropout1d", "dropout2d", "dropout3d", "complex"}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", sorted(ELEMENTWISE.keys() - _DRAWN - _SPECIAL))
def test_an_elementwise_function_reads_no_other_element(name: str) -> None:
    """Changing one element of an input of torch's changes that element of the output alone."""
    if name.startswith("feature_") or name.endswith("dropout"):
        return  # in evaluation mode they are their input
    assert reads_elsewhere(name) is False


@pytest.mark.parametrize("name", ["roll", "softmax", "flip", "cumsum", "sort"])
def test_the_check_sees_what_reads_elsewhere(name: str) -> None:
    """A roll and a softmax are not elementwise, by the check too."""
    assert reads_elsewhere(name) is not False
    assert not is_elementwise(name)


def test_what_a_network_of_the_zoo_does_is_known() -> None:
    """Every function of an Activation that the zoo has, or that `build` knows, is in the table."""
    networks = [entry.build() for entry in ZOO.values()]
    layers = [x for network in networks for x in network.layers if isinstance(x, Activation)]
    known = {layer.function for layer in layers} | FUNCTIONS.keys()
    assert {name for name in known if not is_elementwise(name)} <= {
        "local_response_norm",
        "softmax",
    }


def test_no_name_is_in_two_tables() -> None:
    """What tracing takes for free is elementwise or listed beside, and not both."""
    assert not {name for name in FREE if is_elementwise(name)}
    assert all(plain(name) == name for name in ELEMENTWISE)


class Shifted(nn.Module):
    """A map, moved by a function of torch's that is not elementwise."""

    def __init__(self, function: Callable[..., torch.Tensor]) -> None:
        """Remember the function."""
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 1)
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """A convolution and the function."""
        return self.function(self.conv(x))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: torch.roll(x, (1, 1), (2, 3)),
        lambda x: torch.flip(x, (2,)),
        lambda x: torch.cumsum(x, 1),
        lambda x: torch.gather(x, 3, torch.zeros_like(x).long()),
        lambda x: functional.softmin(x, 1),
    ],
)
def test_what_reads_other_elements_has_memory_of_its_own(
    function: Callable[..., torch.Tensor],
) -> None:
    """A roll of 8 maps of 22×22 needs both of them: 2 · 4 · 8·22·22 bytes, in place too."""
    network = trace(Shifted(function).eval(), (3, 22, 22))
    assert peak_activations(network, IN_PLACE).bytes >= 2 * 4 * 8 * 22 * 22


def test_what_is_elementwise_has_none() -> None:
    """A sum with a number, whoever wrote it, takes the convolution's memory."""
    for name in ("add", "__iadd__", "__radd__", "relu_", "clamp"):
        layers = Input("image", (1, 3, 8, 8)), Conv("conv", 8, 1), Activation("act", name)
        both = Network("n", layers)
        assert dict(live_bytes(both, IN_PLACE))["act"] == 4 * 8 * 64
        assert dict(live_bytes(both))["act"] == 2 * 4 * 8 * 64


def test_an_unlisted_function_is_not_in_place() -> None:
    """A user's own function, and a combination that gathers, keep what they read."""
    layers = Input("image", (1, 3, 8, 8)), Conv("conv", 8, 1), Activation("act", "mine")
    assert dict(live_bytes(Network("n", layers), IN_PLACE))["act"] == 2 * 4 * 8 * 64
    gather = ir.Combine("gather", "gather", inputs=("conv", "conv"))
    made = Network("n", (*layers[:2], gather))
    assert dict(live_bytes(made, IN_PLACE))["gather"] == 2 * 4 * 8 * 64
