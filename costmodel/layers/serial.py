"""Networks as JSON: a layer a line, each with its type and what is not as by default."""

from __future__ import annotations

import json
import reprlib
from contextlib import suppress
from dataclasses import fields
from typing import Any

from costmodel import layers
from costmodel.core.network import Network
from costmodel.core.relations import AtLeast, Fixed, Times
from costmodel.errors import CostModelError
from costmodel.layers import FAMILIES, Layer


def to_json(network: Network) -> str:
    """The network as JSON text, a layer a line; `from_json` reads it back equal.

    >>> from costmodel import mobilenet_v1
    >>> from_json(to_json(mobilenet_v1())) == mobilenet_v1()
    True
    """
    write = json.JSONEncoder(default=_encode, ensure_ascii=False).encode
    lines = (write(_layer_dict(layer)) for layer in network.layers)
    own = {"name": network.name, "rounding": network.rounding}
    head = json.dumps(own if network.rounding != "floor" else {"name": network.name})
    return f'{head[:-1]}, "layers": [\n' + ",\n".join(lines) + "\n]}\n"


def from_json(text: str) -> Network:
    """The network a JSON text describes; an error names the layer and the field."""
    try:
        data = json.loads(text, object_pairs_hook=_object)
        json.dumps(data, ensure_ascii=False).encode()  # no half of a surrogate pair
    except (TypeError, ValueError, RecursionError) as error:
        raise CostModelError(f"a network must be JSON text: {error}") from None
    match data:
        case {"name": str(name), "layers": list(given), **rest} if rest.keys() <= {"rounding"}:
            rounding: Any = rest.get("rounding", "floor")
            return Network(name, tuple(map(_layer_from, given)), rounding=rounding)
    raise CostModelError(f'a network is {{"name": …, "layers": […]}}, got {reprlib.repr(data)}')


def _layer_dict(layer: Layer) -> dict[str, Any]:
    values = ((f, getattr(layer, f.name)) for f in fields(layer) if f.name != "name")
    free = {f.name: value for f, value in values if value != f.default}
    return {"type": type(layer).__name__, "name": layer.name} | free


def _encode(value: Any) -> Any:
    if isinstance(value, Times):
        return {"times": value.factor} | ({"of": value.of} if value.of else {})
    if isinstance(value, (AtLeast, Fixed)):
        return {type(value).__name__.lower(): value.count}
    return str(value)  # a symbolic size


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys differ."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"an object has two fields {key!r}; leave one")
        found[key] = value
    return found


def _layer_from(data: Any) -> Layer:
    if not isinstance(data, dict) or not isinstance(data.get("name"), str):
        raise CostModelError(f'a layer is an object with a "name", got {reprlib.repr(data)}')
    name, written = data["name"], str(data.get("type"))
    kind = getattr(layers, written) if written in FAMILIES else Layer.types.get(written)
    if kind is None:
        wanted = f"type must be one of {', '.join(sorted(FAMILIES | Layer.types))}"
        raise CostModelError(f"{name}: {wanted}, got {reprlib.repr(data.get('type'))}")
    try:
        return kind(**{key: _decode(key, data[key]) for key in data if key != "type"})
    except TypeError as error:  # a required field is missing, or another is there
        has = f"a {kind.__name__} has {', '.join(f.name for f in fields(kind))}"
        raise CostModelError(f"{name}: {str(error).partition(' ')[2]}; {has}") from None


def _decode(key: str, value: Any) -> Any:
    """What `_encode` wrote; anything else as it is, for the layer to refuse by name."""
    match value:
        case list():
            return tuple(_decode(key, part) for part in value)
        case {"times": factor, **rest} if rest.keys() <= {"of"}:
            return Times(factor, rest.get("of", ""))  # type: ignore[arg-type]
        case {"atleast": count} | {"fixed": count} if len(value) == 1:
            return (AtLeast if "atleast" in value else Fixed)(_decode(key, count))
        case str() if key not in {"name", "kind", "function", "equation", "shares", "inputs"}:
            from costmodel.algebra.symbols import parse  # sympy only where there is a symbol

            with suppress(CostModelError):
                return parse(value)
    return value
