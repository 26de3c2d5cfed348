"""Models by name: what is imported, how it is made, and what a mistake says."""

from __future__ import annotations

import socket
import sys
from typing import TYPE_CHECKING

import pytest

from costmodel import CostModelError
from costmodel.frontends.torch.models import load_model

if TYPE_CHECKING:
    from pathlib import Path

MINE = """
import socket
import urllib.request
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, width=8, *, bias=True):
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3, bias=bias)

class Values(Net):
    def __init__(self):
        super().__init__()
        self.rates = [x.item() for x in torch.linspace(0, 1, 3)]

def broken():
    raise RuntimeError("no\\nway")

def leaves():
    raise SystemExit(3)

def asks():
    CALLS.append(1)
    urllib.request.urlopen("https://weights.invalid/net.pt")

def wants_values():
    CALLS.append(1)
    socket.getaddrinfo("weights.invalid", 443)
    return nn.Linear(int(torch.ones(1).item()), 2)

CALLS = []
instance = Net()
number = 3
"""


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module of a user's own in the current directory, which is not on the path."""
    (tmp_path / "mine.py").write_text(MINE, encoding="utf-8")
    (tmp_path / "exits.py").write_text("raise SystemExit", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "mine", raising=False)


@pytest.mark.parametrize(
    ("spec", "params", "device"),
    [
        ("mine:Net", 8 * 27 + 8, "meta"),
        ("mine:Net(16)", 16 * 27 + 16, "meta"),
        ("mine:Net(width=4, bias=False)", 4 * 27, "meta"),
        ("mine:Values", 8 * 27 + 8, "cpu"),  # what needs values is made with them
        ("mine:instance", 8 * 27 + 8, "cpu"),
        ("torch.nn:modules.linear.Linear(10, 2)", 22, "meta"),
    ],
)
def test_what_a_name_makes(spec: str, params: int, device: str) -> None:
    """Classes and functions are called with literals, without weights; modules are taken."""
    module = load_model(spec)
    assert sum(p.numel() for p in module.parameters()) == params
    assert {p.device.type for p in module.parameters()} == {device}


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("mine", "a model must be package.module:factory"),
        (":Net", "a model must be package.module:factory"),
        ("mine:Net(", "a model must be package.module:factory"),
        ("mine:Net(print(1))", "a model must be package.module:factory"),
        ("nowhere:Net", "cannot import nowhere: ModuleNotFoundError"),
        ("exits:Net", "cannot import exits: SystemExit; install it"),
        ("mine:Nets", "there is no Nets in mine; check the name in mine:Nets"),
        ("mine:broken", "mine:broken failed: RuntimeError: no; check its arguments"),
        ("mine:leaves", "mine:leaves failed: SystemExit: 3; check its arguments"),
        ("mine:number", "mine:number must make a torch.nn.Module, got int"),
        ("mine:Net(depth=3)", "failed: TypeError"),
    ],
)
def test_mistakes_are_one_line(spec: str, message: str) -> None:
    """What is not there, what raises and what is no module say so in one line."""
    with pytest.raises(CostModelError) as caught:
        load_model(spec)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "there", "message"),
    [
        ("asks", False, "mine:asks failed for lack of a network (weights.invalid: URLError: "),
        ("wants_values", True, "mine:wants_values failed after it asked the network (weights"),
    ],
)
def test_nothing_is_fetched_twice(
    name: str,
    there: bool,  # noqa: FBT001
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A factory that asks the network is called once, and the line says so and what to do."""

    def lookup(*_: object, **__: object) -> list[object]:
        if not there:
            raise socket.gaierror(-2, "Name or service not known")
        return []

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    with pytest.raises(CostModelError) as caught:
        load_model(f"mine:{name}")
    assert str(caught.value).startswith(message)
    assert "make it without, as by weights=None or pretrained=False" in str(caught.value)
    assert sys.modules["mine"].CALLS == [1]
    assert socket.getaddrinfo is lookup
