"""Models by name: `package.module:factory(width=0.5)` imported and made, on the meta device.

Importing a module runs its code; nothing is unpickled, downloaded or written here.
"""

from __future__ import annotations

import ast
import os
import socket
import sys
import warnings
from contextlib import contextmanager, redirect_stdout
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from costmodel.errors import CostModelError, said, torch_or_error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import nn


_MISSING = object()


def load_model(spec: str) -> nn.Module:
    """The torch module that `package.module:name(arguments)` makes, in evaluation mode.

    A class or a function is called, with literals alone as arguments if any, on the meta device:
    no weights are allocated. One that needs real tensors while it is made is made on the CPU, but
    not where it has asked the network for something, which it would fetch again.
    Modules in the current directory are found.

    >>> sum(p.numel() for p in load_model("torch.nn:Linear(10, 2)").parameters())
    22

    Raises CostModelError for what is not there, what raises and what is no torch.nn.Module.
    """
    torch_or_error(f"the model {spec}")
    module_name, colon, call = spec.partition(":")
    name, arguments, named = _call(call) if colon else ("", [], {})
    if not module_name or not name:
        raise CostModelError(
            f"a model must be package.module:factory or package.module:factory(x=1), got {spec}"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a model's own, of which its author knows
        factory = _attribute(_imported(module_name), name, spec)
        return _module(factory, arguments, named, spec)


@contextmanager
def running(spec: str) -> Iterator[None]:
    """While a user's model runs: what it prints and what it raises are kept apart from ours.

    Its prints go to standard error, also those of C code and subprocesses, which go past Python
    to the file descriptor.

    Raises CostModelError for whatever it raises, an exit too.
    """
    sys.stdout.flush()
    kept = _duplicate(1)
    try:
        if kept is not None and (stderr := _duplicate(2)) is not None:
            os.dup2(stderr, 1)
            os.close(stderr)
        with redirect_stdout(sys.stderr), _failures(f"{spec} failed", "mend the model"):
            yield
    finally:
        if kept is not None:
            os.dup2(kept, 1)
            os.close(kept)


def _duplicate(descriptor: int) -> int | None:
    try:
        return os.dup(descriptor)
    except OSError:  # closed by the shell
        return None


@contextmanager
def _failures(what: str, remedy: str) -> Iterator[None]:
    """Whatever a user's code raises as one line."""
    try:
        yield
    except CostModelError:
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001
        raise CostModelError(f"{what}: {said(error)}; {remedy}") from None


def _call(text: str) -> tuple[str, list[Any], dict[str, Any]]:
    """A name and the literals it is called with; no name where it is something else."""
    try:
        node = ast.parse(text.strip(), mode="eval").body
        if not isinstance(node, ast.Call):
            return text.strip(), [], {}
        positional = [ast.literal_eval(value) for value in node.args]
        named = {str(pair.arg): ast.literal_eval(pair.value) for pair in node.keywords}
        if None in {pair.arg for pair in node.keywords}:  # **{…}
            return "", [], {}
        return ast.unparse(node.func), positional, named
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return "", [], {}


def _imported(name: str) -> Any:
    with _failures(f"cannot import {name}", "install it, or go to the directory it is in"):
        here = str(Path.cwd())
        if here not in sys.path:  # as `python -m` does, and an installed command does not
            sys.path.insert(0, here)
        return import_module(name)


def _attribute(module: Any, name: str, spec: str) -> Any:
    value = module
    with _failures(f"cannot look up {spec}", "check the name"):
        for part in name.split("."):
            where = getattr(value, "__name__", type(value).__name__)
            if (value := getattr(value, part, _MISSING)) is _MISSING:
                raise CostModelError(f"there is no {part} in {where}; check the name in {spec}")
    return value


def _module(factory: Any, arguments: list[Any], named: dict[str, Any], spec: str) -> nn.Module:
    from torch import nn

    with _failures(f"{spec} failed", "check its arguments"):
        called = callable(factory) and not isinstance(factory, nn.Module)
        module = _called(factory, arguments, named, spec) if called else factory
        if not isinstance(module, nn.Module):
            kind = type(module).__name__
            raise CostModelError(f"{spec} must make a torch.nn.Module, got {kind}")
    with _failures(f"{spec} is no module that can be run", "call super().__init__() in it first"):
        module.eval()
    return module


def _called(factory: Any, arguments: list[Any], named: dict[str, Any], spec: str) -> Any:
    import torch

    with _lookups() as hosts:
        for device in ("meta", "cpu"):  # some need values while they are made
            try:
                with torch.device(device):
                    return factory(*arguments, **named)
            except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever the factory raises
                if hosts or device == "cpu":
                    raise _failure(spec, error, hosts) from None
    raise AssertionError("the CPU is the last")


def _failure(spec: str, error: BaseException, hosts: list[str]) -> CostModelError:
    if not hosts:
        return CostModelError(f"{spec} failed: {said(error)}; check its arguments")
    why = "for lack of a network" if _is_of_the_network(error) else "after it asked the network"
    return CostModelError(
        f"{spec} failed {why} ({hosts[0]}: {said(error)}); no weights are needed: make it without, "
        "as by weights=None or pretrained=False"
    )


def _is_of_the_network(error: BaseException | None) -> bool:
    """Whether an error comes of one of the system's, as one of a connection does."""
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__ or error.__context__
    return error is not None


@contextmanager
def _lookups() -> Iterator[list[str]]:
    """The hosts whose addresses are looked up, which every download begins with."""
    hosts: list[str] = []
    lookup = socket.getaddrinfo

    def tell(host: Any, *args: Any, **named: Any) -> Any:
        hosts.append(str(host))
        return lookup(host, *args, **named)

    socket.getaddrinfo = tell
    try:
        yield hosts
    finally:
        socket.getaddrinfo = lookup
