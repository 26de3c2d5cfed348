"""Networks as values: layers that hold only what is free, and the graph between them.

A layer never stores its in-channels or sizes, so a network cannot contradict itself; those are
inferred (`costmodel.shapes`). Widths are relations where the architecture has relations.
"""

from __future__ import annotations

import reprlib
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

from costmodel.arithmetic import Dim, is_symbolic
from costmodel.errors import CostModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

#: (batch, channels, *spatial sizes) or (batch, *, features), as torch has them.
Shape = tuple[Dim, ...]


@dataclass(frozen=True)
class Times:
    """A width that is a multiple of the input's (or of layer `of`'s) channels, as rounded.

    Depthwise convolutions have `Times(1)`, MobileNetV2's expansions `Times(6)`.
    """

    factor: int = 1
    of: str = ""


@dataclass(frozen=True)
class AtLeast:
    """A width that grows with α and never shrinks, as MobileNetV2's last 1280."""

    count: Dim


@dataclass(frozen=True)
class Fixed:
    """A width that α leaves alone: the classes."""

    count: Dim


SAME = Times(1)
#: A plain count scales with α.
Width = Dim | Times | AtLeast | Fixed


@dataclass(frozen=True)
class Layer:
    """A named operator; `inputs` names the layers it reads, by default the one before it."""

    name: str
    inputs: tuple[str, ...] = field(default=(), kw_only=True)

    #: The field that α scales, if there is one.
    width: ClassVar[str] = ""
    #: How many inputs the layer takes; None is any number from one on.
    arity: ClassVar[int | None] = 1

    def __post_init__(self) -> None:
        """Check every field, so that a wrong value is named where it is written."""
        if type(self.name) is not str or not self.name:
            message = f"a layer's name must be a text that is not empty, got {self.name!r}"
            raise CostModelError(message)
        if isinstance(self.inputs, str):
            object.__setattr__(self, "inputs", (self.inputs,))
        for attribute, value in self.__dict__.items():
            object.__setattr__(self, attribute, self._checked(attribute, value))

    def evolve(self, **changes: Any) -> Self:
        """A copy with other values, unchecked: for rewrites, in a planner's inner loop."""
        layer = object.__new__(type(self))
        layer.__dict__.update(self.__dict__, **changes)
        return layer

    def _checked(self, attribute: str, value: Any) -> Any:
        rule, canonical = _RULES.get(attribute, _ANY)
        try:
            return canonical(value)
        except (TypeError, ValueError):
            message = f"{self.name}: {attribute} must be {rule}, got {value!r}"
            raise CostModelError(message) from None


@dataclass(frozen=True)
class Input(Layer):
    """An input of the network, batch included: (1, 3, 224, 224)."""

    shape: Shape
    arity: ClassVar[int | None] = 0


@dataclass(frozen=True)
class Conv(Layer):
    """A convolution over any number of spatial axes, with torch's hyper-parameters.

    A kernel, stride, padding or dilation is one number for every axis or a tuple, one for each.
    `groups=SAME` with `out_channels=SAME` is a depthwise convolution. `shares` names the layer
    whose parameters this one uses again.
    """

    out_channels: Width
    kernel: Dim | tuple[Dim, ...]
    stride: int | tuple[int, ...] = 1
    padding: Dim | tuple[Dim, ...] = 0
    dilation: int | tuple[int, ...] = 1
    groups: int | Times = 1
    bias: bool = False
    shares: str = ""
    width: ClassVar[str] = "out_channels"


@dataclass(frozen=True)
class Linear(Layer):
    """A matrix product over the last axis."""

    out_features: Width
    bias: bool = True
    shares: str = ""
    width: ClassVar[str] = "out_features"


@dataclass(frozen=True)
class BatchNorm(Layer):
    """Normalisation with, if `affine`, a scale and a shift per channel."""

    affine: bool = True
    shares: str = ""


@dataclass(frozen=True)
class Activation(Layer):
    """An elementwise function of one input."""

    function: str = "relu"


@dataclass(frozen=True)
class Pool(Layer):
    """Max or average pooling; `ceil_mode` lets a last window hang over the edge."""

    kind: str
    kernel: int | tuple[int, ...]
    stride: int | tuple[int, ...]
    padding: int | tuple[int, ...] = 0
    ceil_mode: bool = False


@dataclass(frozen=True)
class AdaptivePool(Layer):
    """Pooling to a fixed output size; 1 is global pooling."""

    kind: str = "average"
    output_size: int | tuple[int, ...] = 1


@dataclass(frozen=True)
class Add(Layer):
    """The elementwise sum of inputs of one shape (a residual connection)."""

    arity: ClassVar[int | None] = None


@dataclass(frozen=True)
class Concat(Layer):
    """Inputs side by side along the channels."""

    arity: ClassVar[int | None] = None


@dataclass(frozen=True)
class Flatten(Layer):
    """Everything but the batch as one axis."""


def _number(least: int) -> Callable[[Any], Dim]:
    def check(value: Any) -> Dim:
        if type(value) is int and value >= least:
            return value
        if is_symbolic(value):
            return value
        if isinstance(value, bool) or not hasattr(value, "__index__") or int(value) < least:
            raise ValueError
        return int(value)  # numpy's integers, which would overflow in silence

    return check


def _axes(least: int) -> Callable[[Any], Any]:
    number = _number(least)

    def check(value: Any) -> Any:
        if not isinstance(value, (tuple, list)):
            return number(value)
        values = tuple(map(number, value))
        return values[0] if values.count(values[0]) == len(values) else values

    return check


def _width(value: Any) -> Width:
    if isinstance(value, Times):
        _number(1)(value.factor)
    elif isinstance(value, (AtLeast, Fixed)):
        _number(1)(value.count)
    else:
        return _number(1)(value)
    return value


def _of_type(kind: type) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if type(value) is not kind:
            raise TypeError
        return value

    return check


def _names(value: Any) -> tuple[str, ...]:
    return tuple(map(_of_type(str), value))


def _kind(value: Any) -> str:
    if value not in {"average", "max"}:
        raise ValueError
    return str(value)


_POSITIVE = ("a positive integer (or one for each axis)", _axes(1))
_FLAG = ("true or false", _of_type(bool))
_ANY: tuple[str, Callable[[Any], Any]] = ("", lambda value: value)
#: What each hyper-parameter must be, and the function that checks and normalises it.
_RULES: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "inputs": ("names of layers", _names),
    "shape": ("positive integers", lambda shape: tuple(map(_number(1), shape))),
    "out_channels": ("a positive count or a relation", _width),
    "out_features": ("a positive count or a relation", _width),
    "groups": ("a positive integer or Times(n)", _width),
    "kernel": _POSITIVE,
    "stride": _POSITIVE,
    "dilation": _POSITIVE,
    "output_size": _POSITIVE,
    "padding": ("an integer of at least 0 (or one for each axis)", _axes(0)),
    "bias": _FLAG,
    "affine": _FLAG,
    "ceil_mode": _FLAG,
    "kind": ("'average' or 'max'", _kind),
    "function": ("a text", _of_type(str)),
    "shares": ("the name of a layer", _of_type(str)),
}


class Rules(dict[type, Any]):
    """One function per layer type; a subclass follows its base; a second rule is an error.

    The mapping itself remembers which rule each type met so far follows, or None.
    """

    def __init__(self) -> None:
        """Begin without rules."""
        self.registered: dict[type, Any] = {}

    def __call__(self, kind: type) -> Callable[[Any], Any]:
        """Decorate the rule of `kind`."""

        def register(rule: Any) -> Any:
            if kind in self.registered:
                message = f"{kind.__name__} has a rule already; register a subclass instead"
                raise CostModelError(message)
            self.registered[kind] = rule
            self.clear()
            return rule

        return register

    def __missing__(self, kind: type) -> Any:
        bases = (base for base in kind.__mro__ if base in self.registered)
        self[kind] = self.registered.get(next(bases, kind))
        return self[kind]


@dataclass(frozen=True, repr=False)
class Network:
    """A name and layers in an order in which each comes after the layers it reads.

    >>> Network("tiny", (Input("image", (1, 3, 8, 8)), Conv("conv", 16, kernel=3)))
    Network('tiny', 2 layers, input 1×3×8×8)

    Raises CostModelError for duplicate names, dangling inputs and cycles.
    """

    name: str
    layers: tuple[Layer, ...]

    def __post_init__(self) -> None:
        """Fill in default inputs and check the graph."""
        layers = tuple(_chained(self.layers))
        _check_graph(layers)
        object.__setattr__(self, "layers", layers)

    def __repr__(self) -> str:
        shapes = ", ".join("×".join(map(str, layer.shape)) for layer in self.inputs)
        return f"Network({self.name!r}, {len(self.layers)} layers, input {shapes})"

    def __getitem__(self, name: str) -> Layer:
        """The layer of that name."""
        for layer in self.layers:
            if layer.name == name:
                return layer
        message = f"no layer {name!r} in {self.name}"
        raise CostModelError(message)

    @property
    def inputs(self) -> tuple[Input, ...]:
        """The network's inputs."""
        return tuple(layer for layer in self.layers if isinstance(layer, Input))

    def with_layers(self, layers: tuple[Layer, ...]) -> Network:
        """The same graph with other layers at its nodes: names and inputs must be unchanged."""
        network = object.__new__(Network)
        network.__dict__.update(name=self.name, layers=layers)
        return network

    def to_json(self) -> str:
        """The network as JSON text, a layer a line; `from_json` reads it back equal."""
        import json

        lines = ",\n".join(
            "  " + json.dumps(_layer_dict(layer), default=_encode, ensure_ascii=False)
            for layer in self.layers
        )
        return f'{{"name": {json.dumps(self.name)}, "layers": [\n{lines}\n]}}\n'

    @classmethod
    def from_json(cls, text: str) -> Network:
        """The network a JSON text describes; an error names the layer and the field."""
        import json

        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            message = f"a network must be JSON text: {error}"
            raise CostModelError(message) from None
        match data:
            case {"name": str(name), "layers": list(layers)} if len(data) == 2:  # noqa: PLR2004
                return cls(name, tuple(map(_layer_from, layers)))
        message = f'a network is {{"name": a text, "layers": a list}}, got {reprlib.repr(data)}'
        raise CostModelError(message)

    def _repr_html_(self) -> str:
        """A table of the layers, for Jupyter."""
        from html import escape

        rows = "".join(
            f"<tr><td>{escape(layer.name)}</td><td>{type(layer).__name__}</td>"
            f"<td>{escape(_settings(layer))}</td><td>{escape(', '.join(layer.inputs))}</td></tr>"
            for layer in self.layers
        )
        head = "<tr><th>layer</th><th>type</th><th>hyper-parameters</th><th>reads</th></tr>"
        return f"<table><caption>{escape(repr(self))}</caption>{head}{rows}</table>"


def _chained(layers: tuple[Layer, ...]) -> Iterator[Layer]:
    previous = ""
    for layer in layers:
        if not isinstance(layer, Layer):
            message = f"a network's layers must be layers, got {reprlib.repr(layer)}"
            raise CostModelError(message)
        chained = not layer.inputs and layer.arity != 0 and previous
        yield replace(layer, inputs=(previous,)) if chained else layer
        previous = layer.name


def _check_graph(layers: tuple[Layer, ...]) -> None:
    seen: set[str] = set()
    names = {layer.name for layer in layers}
    for layer in layers:
        for name in (*layer.inputs, *_mentioned(layer)):
            if name not in seen:
                raise CostModelError(_misplaced(layer.name, name, names))
        if len(layer.inputs) != layer.arity and (layer.arity is not None or not layer.inputs):
            message = (
                f"{layer.name}: a {type(layer).__name__} reads "
                f"{'at least one layer' if layer.arity is None else layer.arity}, "
                f"got {len(layer.inputs)}; list its inputs"
            )
            raise CostModelError(message)
        if layer.name in seen:
            message = f"two layers are named {layer.name!r}; rename one"
            raise CostModelError(message)
        seen.add(layer.name)
    if not layers or not isinstance(layers[0], Input):
        message = "a network must begin with an Input"
        raise CostModelError(message)


def _misplaced(name: str, source: str, names: set[str]) -> str:
    if source not in names:
        return f"{name}: reads {source!r}, and there is no such layer; check the name"
    return (
        f"{name}: reads {source!r}, which does not come before it: a cycle, or layers out of "
        "order; list each layer after the layers it reads"
    )


def _mentioned(layer: Layer) -> tuple[str, ...]:
    """Layers that relations and shared parameters refer to."""
    relation = getattr(layer, layer.width, None) if layer.width else None
    of = relation.of if isinstance(relation, Times) else ""
    return tuple(filter(None, (of, getattr(layer, "shares", ""))))


def _settings(layer: Layer) -> str:
    own = {key: value for key, value in _layer_dict(layer).items() if key not in _COMMON}
    return ", ".join(f"{key}={value}" for key, value in own.items())


_COMMON = ("type", "name", "inputs")


def _layer_dict(layer: Layer) -> dict[str, Any]:
    settings = {
        f.name: getattr(layer, f.name)
        for f in fields(layer)
        if f.name != "name" and getattr(layer, f.name) != f.default
    }
    return {"type": type(layer).__name__, "name": layer.name} | settings


def _encode(value: Any) -> Any:
    match value:
        case Times(factor, of):
            return {"times": factor} | ({"of": of} if of else {})
        case AtLeast(count):
            return {"atleast": count}
        case Fixed(count):
            return {"fixed": count}
    return str(value)  # a symbolic size


def _layer_types(kind: type[Layer] = Layer) -> Iterator[type[Layer]]:
    for sub in kind.__subclasses__():
        yield sub
        yield from _layer_types(sub)


def _layer_from(data: Mapping[str, Any]) -> Layer:
    types = {kind.__name__: kind for kind in _layer_types()}
    if not isinstance(data, dict) or not isinstance(data.get("name"), str):
        message = f'a layer must be an object with a "name", got {reprlib.repr(data)}'
        raise CostModelError(message)
    name = data["name"]
    kind = types.get(data["type"]) if isinstance(data.get("type"), str) else None
    if kind is None:
        message = (
            f"{name}: type must be one of {', '.join(sorted(types))}, got {data.get('type')!r}"
        )
        raise CostModelError(message)
    known = {f.name for f in fields(kind)}
    for key in data:
        if key not in known | {"type"}:
            message = f"{name}: a {kind.__name__} has no field {key!r}; it has {sorted(known)}"
            raise CostModelError(message)
    try:
        return kind(**{key: _decode(key, data[key]) for key in data if key != "type"})
    except TypeError as error:  # a required field is missing
        message = f"{name}: {str(error).partition(' ')[2]}"
        raise CostModelError(message) from None


_TEXTS = {"name", "kind", "function", "shares", "inputs"}


def _decode(key: str, value: Any) -> Any:
    match value:
        case list():
            return tuple(_decode(key, part) for part in value)
        case {"times": int(factor), **rest} if set(rest) <= {"of"}:
            return Times(factor, str(rest.get("of", "")))
        case {"atleast": count} if len(value) == 1:
            return AtLeast(_decode(key, count))
        case {"fixed": count} if len(value) == 1:
            return Fixed(_decode(key, count))
        case str() if key not in _TEXTS:
            from costmodel.symbols import parse  # sympy only where there is a symbol

            return parse(value)
    return value
