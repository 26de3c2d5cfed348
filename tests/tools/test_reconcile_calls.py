"""What a tool counts of a traced call: each way to call torch is predicted, mutations caught."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from costmodel.core.lower import lower
from costmodel.frontends.torch.forward import trace_origins
from costmodel.tools import TOOLS as EVERY_TOOL
from costmodel.tools.convention import every_call
from costmodel.tools.reconciling import reconcile
from costmodel.tools.thop import LOST
from tests.tools.test_conventions import differs as built_differs

if TYPE_CHECKING:
    from collections.abc import Callable

    from costmodel.frontends.origins import Traced
    from costmodel.tools.convention import Tool

pytestmark = pytest.mark.filterwarnings("ignore:torch.chain_matmul is deprecated")

TOOLS = EVERY_TOOL[1:]
#: Functions as a module takes them that keeps a reference, which escapes what tools replace.
GELU, LINEAR, RELU = functional.gelu, functional.linear, functional.relu


class Calls(nn.Module):
    """A convolution, so that there is a parameter, and then a function of its output.

    The function gets the module too, whose `part` is another module or a parameter.
    """

    def __init__(self, function: Callable[..., Any], part: Any = None) -> None:
        """Hold both."""
        super().__init__()
        self.stem = nn.Conv2d(4, 4, 1, bias=False)
        self.function = function
        self.part = part

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Call it."""
        return self.function(self.stem(x), self)


class OwnNorm(nn.LayerNorm):
    """A layer norm by another name."""


class Own(nn.Conv2d):
    """A convolution by another name."""


class OwnConv2d(nn.Conv2d):
    """A convolution by another name that has Conv in it."""


class Words(nn.Module):
    """A table of vectors, looked up."""

    def __init__(self) -> None:
        """Hold it."""
        super().__init__()
        self.table = nn.Embedding(10, 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The first channel's vectors."""
        return self.table(x[:, 0].long())


def weight(*shape: int) -> nn.Parameter:
    """A parameter."""
    return nn.Parameter(torch.zeros(shape))


def module(part: nn.Module) -> Calls:
    """Nothing but another module."""
    return Calls(lambda x, own: own.part(x), part)


def tokens(x: torch.Tensor) -> torch.Tensor:
    """(batch, positions, channels), as it lies in memory."""
    return x.flatten(2).transpose(1, 2).contiguous()


def apart(x: torch.Tensor) -> torch.Tensor:
    """The same as a view."""
    return x.flatten(2).transpose(1, 2)


MODULES: dict[str, nn.Module] = {
    "layer norm": nn.LayerNorm(6),
    "layer norm, bare": nn.LayerNorm(6, elementwise_affine=False),
    "layer norm of one's own": OwnNorm(6),
    "group norm": nn.GroupNorm(2, 4),
    "group norm, bare": nn.GroupNorm(2, 4, affine=False),
    "instance norm": nn.InstanceNorm2d(4, affine=True),
    "instance norm, bare": nn.InstanceNorm2d(4),
    "RMS norm": nn.RMSNorm(6),
    "batch norm, bare": nn.BatchNorm2d(4, affine=False),
    "prelu": nn.PReLU(4),
    "softmax": nn.Softmax(dim=1),
    "gelu": nn.GELU(),
    "elu": nn.ELU(),
    "relu6": nn.ReLU6(),
    "silu": nn.SiLU(),
    "hardswish": nn.Hardswish(),
    "leaky relu": nn.LeakyReLU(),
    "leaky relu in place": nn.LeakyReLU(inplace=True),
    "up to the nearest": nn.Upsample(scale_factor=2),
    "up to a size": nn.Upsample(size=(9, 12)),
    "up linearly": nn.Upsample(scale_factor=2, mode="bilinear"),
    "up cubically": nn.Upsample(scale_factor=2, mode="bicubic"),
    "transposed convolution": nn.ConvTranspose2d(4, 6, 3, stride=2, bias=False),
    "transposed, as many": nn.ConvTranspose2d(4, 4, 2, stride=2, bias=False),
    "transposed, in groups": nn.ConvTranspose2d(4, 8, 2, stride=2, groups=2, bias=False),
    "transposed, in groups, as many": nn.ConvTranspose2d(4, 4, 2, 2, groups=2, bias=False),
    "transposed, with bias": nn.ConvTranspose2d(4, 6, 3, stride=2),
    "transposed, in groups, with bias": nn.ConvTranspose2d(4, 8, 2, (2, 1), 1, groups=2),
    "convolution padded in words": nn.Conv2d(4, 6, 3, padding="same"),
    "convolution of one's own": Own(4, 6, 3),
    "convolution called one": OwnConv2d(4, 6, 3, bias=False),
    "words": Words(),
    "linear": nn.Linear(6, 5),
    "average pool": nn.AvgPool2d(2),
    "max pool": nn.MaxPool2d(2),
    "adaptive pool": nn.AdaptiveAvgPool2d(1),
}
MODULES_1D: dict[str, nn.Module] = {
    "up to the nearest of 1": nn.Upsample(scale_factor=2),
    "up linearly of 1": nn.Upsample(scale_factor=2, mode="linear"),
}
MODULES_3D: dict[str, nn.Module] = {
    "up to the nearest of 3": nn.Upsample(scale_factor=2),
    "up linearly of 3": nn.Upsample(scale_factor=2, mode="trilinear"),
}
FUNCTIONS: dict[str, Callable[..., Any] | tuple[Callable[..., Any], Any]] = {
    "F.relu": lambda x, _: functional.relu(x),
    "torch.relu": lambda x, _: torch.relu(x),
    "relu kept": lambda x, _: RELU(x),
    "F.relu6": lambda x, _: functional.relu6(x),
    "F.elu": lambda x, _: functional.elu(x),
    "F.silu": lambda x, _: functional.silu(x),
    "F.gelu": lambda x, _: functional.gelu(x),
    "gelu kept": lambda x, _: GELU(x),
    "F.prelu": (lambda x, own: functional.prelu(x, own.part), weight(1)),
    "F.leaky_relu": lambda x, _: functional.leaky_relu(x),
    "F.leaky_relu in place": lambda x, _: functional.leaky_relu(x, inplace=True),
    "F.softmax": lambda x, _: functional.softmax(x, dim=2),
    "x.softmax": lambda x, _: x.softmax(1),
    "F.hardswish": lambda x, _: functional.hardswish(x),
    "gate": lambda x, _: x * torch.sigmoid(x),
    "F.layer_norm": lambda x, _: functional.layer_norm(x, (6,)),
    "F.group_norm": lambda x, _: functional.group_norm(x, 2),
    "F.avg_pool2d": lambda x, _: functional.avg_pool2d(x, 2),
    "F.avg_pool2d of all": lambda x, _: functional.avg_pool2d(x, x.shape[2:]),
    "F.max_pool2d": lambda x, _: functional.max_pool2d(x, 2),
    "F.adaptive_avg_pool2d": lambda x, _: functional.adaptive_avg_pool2d(x, 1),
    "F.adaptive_max_pool2d": lambda x, _: functional.adaptive_max_pool2d(x, 1),
    "F.pad": lambda x, _: functional.pad(x, (1, 1)),
    "F.interpolate": lambda x, _: functional.interpolate(x, scale_factor=2),
    "F.interpolate to a size": lambda x, _: functional.interpolate(x, (9, 12), mode="bilinear"),
    "F.interpolate like another": lambda x, _: functional.interpolate(x[:, :, :2, :2], x.shape[2:]),
    "F.conv2d": (lambda x, own: functional.conv2d(x, own.part), weight(5, 4, 3, 3)),
    "F.conv_transpose2d": (
        lambda x, own: functional.conv_transpose2d(x, own.part, stride=2),
        weight(4, 5, 2, 2),
    ),
    "F.linear": (lambda x, own: functional.linear(x, own.part), weight(5, 6)),
    "linear kept": (lambda x, own: LINEAR(x, own.part), weight(5, 6)),
    "linear of tokens": (lambda x, own: own.part(tokens(x)), nn.Linear(4, 3)),
    "linear of a view": (lambda x, own: own.part(apart(x)), nn.Linear(4, 3)),
    "linear of normalised tokens": (
        lambda x, own: own.part(functional.layer_norm(apart(x), (4,))),
        nn.Linear(4, 3),
    ),
    "x @ weight": (lambda x, own: x @ own.part, weight(6, 5)),
    "torch.matmul": lambda x, _: torch.matmul(x, x.transpose(-1, -2)),
    "x.matmul": lambda x, _: x.matmul(x.transpose(-1, -2)),
    "x @ x": lambda x, _: x @ x.transpose(-1, -2),
    "torch.bmm": lambda x, _: torch.bmm(x[:, 0], x[:, 1].transpose(1, 2)),
    "x.bmm": lambda x, _: x[:, 0].bmm(x[:, 1].transpose(1, 2)),
    "torch.mm": lambda x, _: torch.mm(x.flatten(1), x.flatten(1).t()),
    "torch.addmm": (
        lambda x, own: torch.addmm(own.part.bias, x.flatten(1), own.part.weight.t()),
        nn.Linear(4 * 6 * 6, 5),
    ),
    "torch.baddbmm": lambda x, _: torch.baddbmm(x[:, 0], x[:, 1], x[:, 2]),
    "torch.addmv": lambda x, _: torch.addmv(x[0, 0, 0], x[0, 0], x[0, 0, 1]),
    "linalg.matmul": lambda x, _: torch.linalg.matmul(x, x),
    "inner": lambda x, _: torch.inner(x[:, 0], x[0, 0]),
    "inner over images": lambda x, _: torch.inner(x, x),
    "multi_dot": lambda x, _: torch.linalg.multi_dot([x[0, 0], x[0, 1], x[0, 2]]),
    "chain_matmul": lambda x, _: torch.chain_matmul(x[0, 0], x[0, 1]),
    "matrix_power": lambda x, _: torch.matrix_power(x, 5),
    "linalg.matrix_power": lambda x, _: torch.linalg.matrix_power(x, 2),
    "an outer product": lambda x, _: torch.outer(x[0, 0, 0], x[0, 0, 1]),
    "torch.convolution": (
        lambda x, own: torch.convolution(
            *(x, own.part, None, (1, 1), (0, 0), (1, 1)),
            transposed=False,
            output_padding=(0, 0),
            groups=1,
        ),
        weight(6, 4, 3, 3),
    ),
    "torch.tensordot": lambda x, _: torch.tensordot(x, x, dims=([2, 3], [2, 3])),
    "einsum": lambda x, _: torch.einsum("bij,bjk->bik", x[:, 0], x[:, 1]),
    "einsum, fvcore's": lambda x, _: torch.einsum("nct,ncp->ntp", x[:, 0], x[:, 1]),
    "einsum over heads": lambda x, _: torch.einsum("bhij,bhkj->bhik", x, x),
    "einsum, rounded": lambda x, _: torch.einsum(
        "bcij,bdij->bcd", x.tile(1, 3, 5, 5), x.tile(1, 3, 5, 5)
    ),
    "x + x": lambda x, _: x + x.sigmoid(),
    "torch.add": lambda x, _: torch.add(x, x.sigmoid()),
    "x.add": lambda x, _: x.add(x.sigmoid()),
    "torch.add of a number": lambda x, _: torch.add(x, 1),
    "torch.mul": lambda x, _: torch.mul(x, x.sigmoid()),
    "x.mul": lambda x, _: x.mul(2),
    "x * 2": lambda x, _: x * 2,
    "layer scale": (lambda x, own: own.part * x, weight(6)),
    "mean": lambda x, _: x.mean((2, 3)),
    "sum": lambda x, _: x.sum(1),
    "attention with narrow values": lambda x, _: functional.scaled_dot_product_attention(
        x, x, x[..., :3]
    ),
    "attention of one head": lambda x, _: functional.scaled_dot_product_attention(
        x[:, 0], x[:, 1], x[:, 2]
    ),
    "attention of columns": lambda x, _: functional.scaled_dot_product_attention(
        *[x.transpose(2, 3)] * 3
    ),
    "masked attention": lambda x, _: functional.scaled_dot_product_attention(x, x, x, x[:, :1]),
    "attention": lambda x, _: functional.scaled_dot_product_attention(x, x, x),
}


def cases() -> dict[str, tuple[nn.Module, tuple[int, ...]]]:
    """A model of each call and its input's shape, a batch of two."""
    made: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
        name: (module(part), (2, 4, 6, 6)) for name, part in MODULES.items()
    }
    for rank, parts in ((1, MODULES_1D), (3, MODULES_3D)):
        stem = (nn.Conv1d, nn.Conv3d)[rank // 2](4, 4, 1)
        shape = (2, 4, *[6] * rank)
        made |= {name: (nn.Sequential(stem, part), shape) for name, part in parts.items()}
    for name, function in FUNCTIONS.items():
        made[name] = (
            Calls(*function if isinstance(function, tuple) else (function,)),
            (2, 4, 6, 6),
        )
    return made


CASES = cases()


@cache
def traced(name: str) -> Traced:
    """A case as it is traced."""
    part, shape = CASES[name]
    return trace_origins(part.eval(), example_inputs=(shape,))


@cache
def measured(name: str) -> dict[str, float | None]:
    """What every tool prints of a case."""
    made = reconcile(traced(name).network, CASES[name][0], run=True).reckonings
    return {x.tool.name: x.measured for x in made}


def total(tool: Tool, name: str) -> int:
    """What a convention predicts of a case."""
    found = traced(name)
    return tool.count_layers(lower(found.network), found.origins).total()


@pytest.mark.parametrize("name", CASES)
def test_every_call(name: str) -> None:
    """All nine figures of every way to call torch are the tools' own."""
    printed = {x.name: measured(name)[x.name] for x in TOOLS}
    assert {x.name: total(x, name) for x in TOOLS} == printed


def differs(tool: Tool) -> bool:
    """Whether some call, or some kind of layer that is built, shows that a convention is wrong."""
    traced_so = (total(tool, name) != measured(name)[tool.name] for name in CASES)
    return any(traced_so) or built_differs(tool)


#: Shown in test_deviations.py, since other tools have other figures.
IN_DEVIATIONS = {"lstm", "matmul_vector", "einsum_of_no_sum"}

EVERY_RULE = [
    pytest.param(tool, i, id=f"{tool.name}, {rule.operation}, {i}")
    for tool in TOOLS
    for i, rule in enumerate(tool.rules)
    if rule.operation not in IN_DEVIATIONS
]


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_the_rules_as_they_are(tool: Tool) -> None:
    """What the mutations below change is right before."""
    assert not differs(tool)


@pytest.mark.parametrize(("tool", "i"), EVERY_RULE)
def test_a_mutated_rule_is_caught(tool: Tool, i: int) -> None:
    """A factor that is one more, and an average that is forgotten, of any rule of any tool."""
    rules = list(tool.rules)
    rules[i] = rules[i]._replace(factor=rules[i].factor + 1)
    assert differs(replace(tool, rules=tuple(rules)))
    rules[i] = tool.rules[i]._replace(averaged=not tool.rules[i].averaged)
    exact = rules[i].per is LOST  # there is one, in a batch of one
    assert differs(replace(tool, rules=tuple(rules))) != exact


SEEING = [x for x in TOOLS if any(rule.sees is not every_call for rule in x.rules)]


@pytest.mark.parametrize("tool", SEEING, ids=lambda tool: tool.name)
def test_what_a_tool_looks_at_matters(tool: Tool) -> None:
    """A tool that hooks modules or replaces functions, were it to see every call, is caught."""
    rules = tuple(rule._replace(sees=every_call) for rule in tool.rules)
    assert differs(replace(tool, rules=rules))
