"""What the tools miscount is so, on the tools themselves; nothing else in these modules is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
import torch
from torch import nn
from torch.nn import functional

import costmodel
from costmodel.frontends.origins import Notice
from costmodel.tools import CALFLOPS_FLOPS, FLOP_COUNTER, TOOLS
from costmodel.tools.reconciling import measure, reconcile_model

if TYPE_CHECKING:
    from collections.abc import Callable

    from costmodel.tools.convention import Tool


class Calls(nn.Module):
    """A module that is a function of its input, and of a parameter of any shape."""

    def __init__(self, function: Callable[..., torch.Tensor], *shape: int) -> None:
        """Hold both."""
        super().__init__()
        self.function = function
        self.kernel = nn.Parameter(torch.zeros(shape))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Call it."""
        return self.function(x, self.kernel)


class Own(nn.Conv2d):
    """A convolution by another name."""


class Attention(nn.Module):
    """Self-attention of 8 features in 2 heads."""

    def __init__(self) -> None:
        """Hold torch's."""
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Of x with itself."""
        return self.attention(x, x, x)[0]


class Nested(nn.Module):
    """A convolution inside another, and called after it."""

    def __init__(self) -> None:
        """Place them."""
        super().__init__()
        self.outer = nn.Conv2d(4, 4, 1, bias=False)
        self.outer.inner = nn.Conv2d(4, 4, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """One, then the other."""
        return self.outer.inner(self.outer(x))


class Shift(nn.Module):
    """A parameter of its own, in a module without modules."""

    def __init__(self) -> None:
        """Hold it."""
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Subtract it."""
        return x - self.weight


class Shared(nn.Module):
    """One convolution in two modules."""

    def __init__(self) -> None:
        """Place it."""
        super().__init__()
        conv = nn.Conv2d(4, 4, 1, bias=False)
        self.first, self.second = nn.Sequential(conv), nn.Sequential(conv)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Both."""
        return self.second(self.first(x))


def untraced(x: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
    """A sum, but for torch.jit."""
    if torch.jit.is_tracing():
        message = "not this way"
        raise RuntimeError(message)
    return x + x


class Unused(nn.Module):
    """A convolution whose output nothing reads."""

    def __init__(self) -> None:
        """Hold it."""
        super().__init__()
        self.conv = nn.Conv2d(4, 6, 3, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The input."""
        self.conv(x)
        return x.sigmoid()


def normalised(x: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    """Less a normalised multiple of a parameter."""
    return x - functional.layer_norm(torch.mul(kernel, 2), (4,))


class Case(NamedTuple):
    """A module, its input's shape, its MACs, and what a tool prints that prints other than these.

    None is an error.
    """

    module: nn.Module
    shape: tuple[int, ...]
    macs: int
    printed: dict[str, int | None]


def unseen(*tools: str, **others: int) -> dict[str, int | None]:
    """Tools that print 0, and others."""
    return dict.fromkeys(tools, 0) | others


HOOKS = ("thop", "ptflops", "torchinfo")
PATCHES = ("calflops", "calflops FLOPs")
MATRIX = 2 * 5 * 5 * 5
ATTENTION = 2 * 2 * 5 * 5 * 4

CASES = {
    "transposed convolution": Case(
        nn.ConvTranspose2d(4, 6, 2, stride=2, bias=False),
        (1, 4, 5, 5),
        4 * 6 * 2 * 2 * 25,
        dict.fromkeys(("thop", "torchinfo", "torchprofile"), 4 * 4 * 6 * 2 * 2 * 25),
    ),
    "grouped transposed convolution": Case(
        nn.ConvTranspose2d(4, 6, 2, stride=2, groups=2, bias=False),
        (1, 4, 5, 5),
        4 * 3 * 2 * 2 * 25,
        {
            "thop": 4 * 4 * 3 * 2 * 2 * 25,
            "torchinfo": 4 * 4 * 3 * 2 * 2 * 25,
            "torchprofile": 4 * 4 * 6 * 2 * 2 * 25,
            "calflops": 4 * (3 // 2) * 2 * 2 * 25,
            "calflops FLOPs": 2 * 4 * (3 // 2) * 2 * 2 * 25,
        },
    ),
    "functional convolution": Case(
        Calls(lambda x, kernel: functional.conv2d(x, kernel), 6, 4, 3, 3),  # noqa: PLW0108
        (1, 4, 5, 5),
        6 * 4 * 9 * 9,
        unseen(*HOOKS),
    ),
    "functional linear layer": Case(
        Calls(lambda x, kernel: functional.linear(x, kernel), 6, 9),  # noqa: PLW0108
        (1, 9),
        6 * 9,
        unseen(*HOOKS),
    ),
    "function imported by name": Case(
        Calls(functional.linear, 6, 9), (1, 9), 6 * 9, unseen(*HOOKS, *PATCHES)
    ),
    "subclass of a convolution": Case(
        Own(4, 6, 3, bias=False),
        (1, 4, 5, 5),
        6 * 4 * 9 * 9,
        unseen("thop", "ptflops", torchinfo=6 * 4 * 9),
    ),
    "operator @": Case(Calls(lambda x, _: x @ x, 1), (2, 5, 5), MATRIX, unseen(*HOOKS, *PATCHES)),
    "@ or matmul of a vector": Case(
        Calls(lambda x, kernel: torch.matmul(x, kernel), 4),  # noqa: PLW0108
        (2, 3, 4),
        2 * 3 * 4,
        unseen("FlopCounterMode", "thop", "torchinfo", "ptflops aten")
        | {"fvcore": None, "ptflops": 2 * 3 * 4 * 4}
        | {"calflops": 2 * 3 * 4 * 4, "calflops FLOPs": 2 * 2 * 3 * 4 * 4},
    ),
    "mv, dot and addbmm": Case(
        Calls(lambda x, kernel: torch.mv(x[0], kernel) + torch.addbmm(kernel[0], x, x.mT)[0], 4),
        (2, 3, 4),
        3 * 4 + 2 * 3 * 4 * 3,
        unseen("fvcore", "FlopCounterMode", *HOOKS, "ptflops aten", "torchprofile", *PATCHES),
    ),
    "einsum": Case(
        Calls(lambda x, _: torch.einsum("bij,bjk->bik", x, x), 1),
        (2, 5, 5),
        MATRIX,
        unseen(*HOOKS, "calflops") | {"calflops FLOPs": 2 * MATRIX + 1},
    ),
    "fused attention": Case(
        Calls(lambda x, _: functional.scaled_dot_product_attention(x, x, x), 1),
        (1, 2, 5, 4),
        ATTENTION,
        unseen("fvcore", "FlopCounterMode", *HOOKS, "ptflops aten", *PATCHES),
    ),
    "attention in evaluation mode": Case(
        Attention(),
        (1, 5, 8),
        4 * 5 * 8 * 8 + ATTENTION,
        unseen("fvcore", "FlopCounterMode", *HOOKS, "ptflops aten", "torchprofile", *PATCHES)
        | {"ptflops": 4 * 5 * 8 * 8 + ATTENTION + 5 * 8 + 3 * 5 * 8 + 2 * 5 * 5 + 5 * 8},
    ),
    "layer inside a layer": Case(
        Nested(), (1, 4, 5, 5), 2 * 4 * 4 * 25, dict.fromkeys(HOOKS, 4 * 4 * 25)
    ),
    "padding in words": Case(
        nn.Conv2d(4, 6, 3, padding="same", bias=False),
        (1, 4, 5, 5),
        4 * 6 * 9 * 25,
        unseen("fvcore", "torchprofile"),
    ),
    "padding='same', even kernel": Case(
        nn.Conv2d(4, 6, 4, padding="same", bias=False),
        (1, 4, 5, 5),
        4 * 6 * 16 * 25,
        {
            "fvcore": 0,
            "torchprofile": 0,
            "calflops": 4 * 6 * 16 * 16,
            "calflops FLOPs": 2 * 4 * 6 * 16 * 16,
        },
    ),
    "interpolation": Case(
        Calls(lambda x, _: functional.interpolate(x, size=(8, 8), mode="bilinear"), 1),
        (2, 4, 5, 5),
        0,
        {
            "fvcore": 4 * 2 * 4 * 8 * 8,
            "torchprofile": 4 * 2 * 4 * 8 * 8,
            "ptflops": 2 * 4 * 8 * 8,
            "calflops FLOPs": 8 * 8,
        },
    ),
    "image without a batch": Case(
        nn.Conv2d(4, 6, 3, bias=False),
        (4, 5, 5),
        4 * 6 * 9 * 9,
        {
            "thop": 6 * 9 * 5 * 9,  # 5 rows for 4 channels
            "ptflops": 4 * 6 * 9 * 3,  # 4 samples of 3 outputs, averaged
            "torchinfo": 6 * 4 * 9 * 6 * 3,  # 6 samples of 3 outputs
            "calflops": None,
            "calflops FLOPs": None,
        },
    ),
    "einsum over other axes": Case(
        Calls(lambda x, _: torch.einsum("bhij,bhjk->bhik", x, x), 1),
        (2, 3, 11, 11),
        2 * 3 * 11**3,
        unseen(*HOOKS, "calflops") | {"fvcore": 15970 // 2, "calflops FLOPs": 15970},
    ),
    "einsum of a list": Case(
        Calls(lambda x, _: torch.einsum("bij,bjk->bik", [x, x]), 1),
        (2, 5, 5),
        MATRIX,
        unseen(*HOOKS) | dict.fromkeys(PATCHES),
    ),
    "interpolation of a keyword": Case(
        Calls(lambda x, _: functional.interpolate(input=x, size=(8, 8)), 1),
        (2, 4, 5, 5),
        0,
        dict.fromkeys(PATCHES),
    ),
    "model that torch.jit cannot trace": Case(
        Calls(untraced, 1), (2, 5, 5), 0, dict.fromkeys(("fvcore", "torchprofile"))
    ),
    "unused result": Case(Unused(), (1, 4, 5, 5), 6 * 4 * 9 * 9, unseen("fvcore", "torchprofile")),
    "product of sizes": Case(
        Calls(lambda x, _: x.reshape(x.shape[0] * x.shape[1], -1), 1),
        (2, 3, 4),
        0,
        {"torchprofile": 1},
    ),
    "work on constants": Case(
        Calls(normalised, 1, 4),
        (2, 3, 4),
        0,
        {"fvcore": 4 * 4, "ptflops": 4, "torchprofile": 4, "calflops FLOPs": 4 + 4 * 4},
    ),
    "parameters of a module of one's own": Case(Shift(), (2, 3, 4), 0, {"torchinfo": 2 * 4}),
    "module under two names": Case(
        Shared(),
        (1, 4, 5, 5),
        2 * 4 * 4 * 25,
        {
            "thop": 2 * 2 * 2 * 4 * 4 * 25,  # it hangs two hooks on it, too
            "ptflops": 2 * 2 * 4 * 4 * 25,
            "calflops": 2 * 2 * 4 * 4 * 25,
            "calflops FLOPs": 2 * 2 * 2 * 4 * 4 * 25,
        },
    ),
    "recurrent layer": Case(
        nn.LSTM(4, 5, batch_first=True),
        (2, 3, 4),
        2 * 3 * 4 * 5 * (4 + 5),
        unseen("fvcore", "FlopCounterMode", "ptflops aten", "calflops")
        | {
            "thop": 2 * 3 * (4 * (5 * (4 + 5) + 3 * 5) + 4 * 5),
            "ptflops": 3 * (4 * 5 * (4 + 5) + 2 * 4 * 5 + 10 * 5),
            "torchinfo": 2 * 3 * (4 * 5 * (4 + 5) + 2 * 4 * 5),
            "calflops FLOPs": 2 * 3 * (2 * 4 * 5 * (4 + 5) - 2 * 4 * 5 + 2 * 4 * 5 + 10 * 5),
        },
    ),
    "module without parameters": Case(nn.MaxPool2d(2), (1, 4, 4, 4), 0, dict.fromkeys(PATCHES)),
}
#: What a tool's own convention adds in these modules.
ADDED = {
    ("module without parameters", "ptflops"): 2 * 4 * 4 * 4,
    ("interpolation of a keyword", "fvcore"): 2 * 4 * 8 * 8,
    ("interpolation of a keyword", "ptflops"): 2 * 4 * 8 * 8,
}


def figure(tool: Tool, case: Case) -> float | None:
    """What the tool prints, or None."""
    try:
        return measure(tool, nn.Sequential(case.module), (torch.zeros(case.shape),))
    except Exception:  # noqa: BLE001 - as `reconcile` catches it
        return None


@pytest.mark.parametrize("name", CASES)
def test_each_deviation_on_the_tools(name: str) -> None:
    """The tools that are named print the wrong figure, and all others the right one."""
    case = CASES[name]
    for tool in TOOLS[1:]:
        factor = 2 if tool in {FLOP_COUNTER, CALFLOPS_FLOPS} else 1
        right = factor * case.macs + ADDED.get((name, tool.name), 0)
        assert figure(tool, case) == case.printed.get(tool.name, right), tool.name


def test_every_deviation_is_demonstrated() -> None:
    """The named deviations and the tools that have them are those demonstrated here."""
    named = {(deviation.name, tool.name) for tool in TOOLS for deviation in tool.deviations}
    assert named == {(name, tool) for name, case in CASES.items() for tool in case.printed}


@pytest.mark.parametrize("name", CASES)
def test_each_deviation_is_predicted_or_named(name: str) -> None:
    """On these modules every tool prints what is predicted, or a deviation of that name shows."""
    case = CASES[name]
    if name == "image without a batch":  # which `reconcile_model` never gives
        return
    made = reconcile_model(nn.Sequential(case.module), case.shape[1:], run=True)
    for x in made.reckonings[1:]:
        shown = {deviation.name for deviation in x.deviations}
        found = shown & {name, "parameters of a module of one's own"}
        assert x.status == "equal" or found, (x.tool.name, x.predicted, x.measured)


def test_an_einsum_of_no_sum() -> None:
    """An outer product is no MAC; torchprofile and fvcore count one, and only the latter is odd."""
    outer = Calls(lambda x, _: torch.einsum("bi,bj->bij", x, x), 1)
    made = reconcile_model(nn.Sequential(outer), (5,), run=True)
    figures = {x.tool.name: (x.predicted, x.measured) for x in made.reckonings}
    assert figures["paper"][0] == 0
    assert figures["FlopCounterMode"] == (0, 0)
    assert figures["torchprofile"] == (5 * 5, 5 * 5)
    explained = {x.tool.name for x in made.reckonings if x.status == "deviation"}
    assert explained == {"fvcore", "calflops FLOPs"}
    assert not made.failed


def test_what_tracing_notices_has_a_record() -> None:
    """Each name that is noticed where no layer shows it is a deviation's."""
    sources = Path(costmodel.__file__).parent.joinpath("frontends", "torch").glob("*.py")
    text = "".join(path.read_text("utf-8") for path in sources)
    noticed = {Notice[name] for name in re.findall(r"noticed\.add\(Notice\.(\w+)\)", text)}
    assert noticed == set(Notice) <= {x.name for tool in TOOLS for x in tool.deviations}


def test_errors_are_explained_by_errors() -> None:
    """The tools that raise are among those that deviate, and print None."""
    raised = {(deviation.name, tool.name) for tool in TOOLS for deviation in tool.raises}
    assert raised == {
        (name, tool)
        for name, case in CASES.items()
        for tool, figure in case.printed.items()
        if figure is None
    }


def test_a_module_called_twice_counts_twice() -> None:
    """A trap that none of them falls into: one module, two calls, under one name or two."""

    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = self.second = nn.Conv2d(4, 4, 1, bias=False)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.first(self.second(x))

    case = Case(Twice(), (1, 4, 5, 5), 2 * 4 * 4 * 25, {})
    for tool in TOOLS[1:]:
        factor = 2 if tool in {FLOP_COUNTER, CALFLOPS_FLOPS} else 1
        assert figure(tool, case) == factor * case.macs
