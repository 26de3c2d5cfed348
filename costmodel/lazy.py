"""Names of a package that are imported when they are first asked for, with what they need."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def lazy(package: str, names: Mapping[str, str]) -> Callable[[str], Any]:
    """A package's `__getattr__`, of its modules and the names that each has for it.

    >>> lazy("costmodel", {"core.cost": "Cost cost"})("Cost")()
    Cost(macs=0, params=0, activations=0)
    """
    places = {name: module for module, line in names.items() for name in line.split()}

    def get(name: str) -> Any:
        if name not in places:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(f"{package}.{places[name]}"), name)
        setattr(import_module(package), name, value)
        return value

    return get
