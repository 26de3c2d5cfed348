"""Models by name: `package.module:factory(width=0.5)` imported and made, on the meta device.

Importing a module runs its code; nothing is unpickled, downloaded or written here.
"""

from __future__ import annotations

import ast
import socket
import sys
import warnings
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from costmodel.building import torch_or_error
from costmodel.errors import CostModelError
from costmodel.failures import said

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import nn


def load_model(spec: str) -> nn.Module:
    """The torch module that `package.module:name` or `package.module:name(arguments)` makes.

    A class or a function is called, with literals alone as arguments, on the meta device: no
    weights are allocated. One that needs real tensors while it is made is made on the CPU, but
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
        made = _found(_imported(module_name), name, spec)
        return _made(made, arguments, named, spec)


def _call(text: str) -> tuple[str, list[Any], dict[str, Any]]:
    """A name and the literals it is called with; no name where it is something else."""
    try:
        node = ast.parse(text.strip(), mode="eval").body
        if not isinstance(node, ast.Call):
            return text.strip(), [], {}
        positional = [ast.literal_eval(value) for value in node.args]
        named = {str(pair.arg): ast.literal_eval(pair.value) for pair in node.keywords if pair.arg}
        return ast.unparse(node.func), positional, named
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return "", [], {}


def _imported(name: str) -> Any:
    here = str(Path.cwd())
    if here not in sys.path:  # as `python -m` does, and an installed command does not
        sys.path.insert(0, here)
    try:
        return import_module(name)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever the user's module raises
        remedy = "install it, or go to the directory it is in"
        raise CostModelError(f"cannot import {name}: {said(error)}; {remedy}") from None


def _found(module: Any, name: str, spec: str) -> Any:
    found = module
    for part in name.split("."):
        if not hasattr(found, part):
            where = getattr(found, "__name__", type(found).__name__)
            raise CostModelError(f"there is no {part} in {where}; check the name in {spec}")
        found = getattr(found, part)
    return found


def _made(made: Any, arguments: list[Any], named: dict[str, Any], spec: str) -> nn.Module:
    import torch
    from torch import nn

    result = made
    if callable(made) and not isinstance(made, nn.Module):
        with _lookups() as hosts:
            try:
                with torch.device("meta"):
                    result = made(*arguments, **named)
            except (Exception, SystemExit) as error:  # noqa: BLE001 - some need values while made
                if hosts:
                    raise _failure(spec, error, hosts) from None
                result = _made_on_cpu(made, arguments, named, spec, hosts)
    if not isinstance(result, nn.Module):
        raise CostModelError(f"{spec} must make a torch.nn.Module, got {type(result).__name__}")
    return result


def _made_on_cpu(
    made: Any, arguments: list[Any], named: dict[str, Any], spec: str, hosts: list[str]
) -> Any:
    try:
        return made(*arguments, **named)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever the factory raises
        raise _failure(spec, error, hosts) from None


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
