"""Networks as values: layers that hold only what is free, and the graph between them.

A layer never stores its in-channels or sizes, so a network cannot contradict itself; those are
inferred (`costmodel.core.shapes`). Widths are relations where the architecture has relations.
"""

from __future__ import annotations

import operator
import reprlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping  # noqa: TC003 - a NamedTuple's
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from importlib import import_module
from typing import Annotated, Any, ClassVar, NamedTuple, Self, get_args

from costmodel.algebra.arithmetic import Dim, rounding_divisor
from costmodel.errors import CostModelError

#: (batch, channels, *spatial sizes) or (batch, *, features), as torch has them.
Shape = tuple[Dim, ...]


@dataclass(frozen=True)
class Times:
    """A width that is a multiple of the input's (or of layer `of`'s) channels, as rounded.

    Depthwise convolutions have `Times(1)`, MobileNetV2's expansions `Times(6)`.

    >>> from costmodel import infer
    >>> expand = Conv("expand", Times(6), kernel=1)
    >>> infer(Network("block", (Input("image", (1, 24, 56, 56)), expand)))[-1].output
    (1, 144, 56, 56)
    """

    factor: int = 1
    of: str = ""


@dataclass(frozen=True)
class AtLeast:
    """A width that grows with α and never shrinks, as MobileNetV2's last 1280.

    >>> from costmodel import mobilenet_v2, widen
    >>> [widen(mobilenet_v2(), a)["conv2"].out_channels.count for a in (0.5, 1.4)]
    [1280, 1792]
    """

    count: Dim


@dataclass(frozen=True)
class Fixed:
    """A width that α leaves alone: the classes.

    >>> from costmodel import mobilenet_v1, widen
    >>> widen(mobilenet_v1(), 0.5)["classifier"].out_features
    Fixed(count=1000)
    """

    count: Dim


SAME = Times(1)


class Kind(NamedTuple):
    """What a field must be, in words, and the function that checks and normalises a value.

    A field has the kind that its declared type carries: `Flag = Annotated[bool, Kind(…)]`.
    """

    words: str
    canonical: Callable[[Any], Any]


def valid(value: Any, rule: object) -> Any:
    """The value where the rule holds; else a ValueError, which a layer words."""
    if not rule:
        raise ValueError
    return value


def number(value: Any, least: int = 1) -> Dim:
    """An integer of at least `least` as Python's own, or a symbol as it is."""
    if getattr(value, "free_symbols", None):
        return value
    whole = operator.index(value)  # numpy's integers too, which would overflow in silence
    return valid(whole, whole >= least and not isinstance(value, bool))


def _axes(value: Any, least: int = 1) -> Any:
    if not isinstance(value, (tuple, list)):
        return number(value, least)
    numbers = tuple(number(part, least) for part in valid(value, value))
    return numbers[0] if numbers.count(numbers[0]) == len(numbers) else numbers


def _width(value: Any) -> Any:
    if isinstance(value, Times):
        return Times(number(value.factor), text(value.of))
    related = isinstance(value, (AtLeast, Fixed))
    return type(value)(number(value.count)) if related else number(value)


def _groups(value: Any) -> Any:
    related = isinstance(value, (AtLeast, Fixed)) or getattr(value, "of", "") != ""
    return _width(valid(value, not related))


def each(check: Callable[[Any], Any], least: int = 0) -> Callable[[Any], tuple[Any, ...]]:
    """A check of a tuple of at least `least`, by that of its elements."""
    return lambda values: tuple(
        map(check, valid(values, isinstance(values, (tuple, list)) and len(values) >= least))
    )


def text(value: Any) -> Any:
    """A text."""
    return valid(value, type(value) is str)


def _name(value: Any) -> Any:
    return valid(text(value), value)


def _names(value: Any) -> tuple[str, ...]:
    return each(_name)((value,) if isinstance(value, str) else value)


#: A plain count scales with α.
Width = Annotated[Dim | Times | AtLeast | Fixed, Kind("a positive count or a relation", _width)]
Name = Annotated[str, Kind("a text that is not empty", _name)]
Names = Annotated[tuple[str, ...], Kind("names of layers", _names)]
Owner = Annotated[str, Kind("the name of a layer", text)]
Text = Annotated[str, Kind("a text", text)]
Pooling = Annotated[str, Kind("'average' or 'max'", lambda x: valid(x, x in {"average", "max"}))]
Flag = Annotated[bool, Kind("true or false", lambda value: valid(value, type(value) is bool))]
Positive = Annotated[int, Kind("a positive count", lambda value: operator.index(number(value)))]
Sizes = Annotated[Shape, Kind("two or more positive integers", each(number, 2))]
#: A tuple has one for each spatial axis.
PerAxis = Annotated[Dim, Kind("a positive integer (or one for each axis)", _axes)]
Padding = Annotated[
    Dim, Kind("an integer of at least 0 (or one for each axis)", lambda value: _axes(value, 0))
]
Groups = Annotated[Dim, Kind("a positive integer or Times(n)", _groups)]


@dataclass(frozen=True)
class Layer:
    """A named operator; `inputs` names the layers it reads, by default the one before it.

    A layer of your own is a subclass, with a `lower_rule` if it costs something.

    >>> Add("sum", inputs=("left", "right")).inputs
    ('left', 'right')

    Raises CostModelError, when made, for a hyper-parameter that is out of range.
    """

    name: Name
    inputs: Names = field(default=(), kw_only=True)

    #: The field that α scales, if there is one, and the axis of the output that it sets.
    width: ClassVar[str] = ""
    axis: ClassVar[int] = 1
    #: How many inputs the layer takes; None is any number from one on.
    arity: ClassVar[int | None] = 1
    #: Every type of layer there is, by name.
    types: ClassVar[dict[str, type[Layer]]] = {}
    #: The kind of each field, where its declared type has one.
    kinds: ClassVar[dict[str, Kind]] = {"name": get_args(Name)[1], "inputs": get_args(Names)[1]}

    def __init_subclass__(cls) -> None:
        """Make the type known to `Network.from_json`, and the kinds of its fields to itself."""
        Layer.types[cls.__name__] = cls
        module, cls.kinds = sys.modules.get(cls.__module__), dict(cls.kinds)
        for key, written in cls.__annotations__.items():
            for kind in getattr(getattr(module, str(written), written), "__metadata__", ()):
                cls.kinds |= {key: kind} if isinstance(kind, Kind) else {}

    def __post_init__(self) -> None:
        """Check and normalise every field, so that a wrong value is named where it is written."""
        for attribute, kind in self.kinds.items():
            value = getattr(self, attribute)
            try:
                object.__setattr__(self, attribute, kind.canonical(value))
            except (AttributeError, OverflowError, TypeError, ValueError):
                got = f"{attribute} must be {kind.words}, got {reprlib.repr(value)}"
                raise CostModelError(f"{self.name}: {got}") from None

    @property
    def width_of(self) -> str:
        """The layer that the width relates to, where it names one."""
        relation = getattr(self, self.width, None)
        return relation.of if isinstance(relation, Times) else ""

    @property
    def widths(self) -> dict[str, Width]:
        """The counts that it sets itself, by name: those that α scales, and `Fixed` ones."""
        width = getattr(self, self.width) if self.width else SAME
        return {} if isinstance(width, Times) else {self.name: width}

    def with_widths(self, widths: Mapping[str, Width]) -> Self:
        """The layer with others, unchecked, as `evolve`."""
        return self.evolve(**{self.width: widths[self.name]})

    def evolve(self, **changes: Any) -> Self:
        """A copy with other values, unchecked: for rewrites, in a planner's inner loop."""
        layer = object.__new__(type(self))
        layer.__dict__.update(self.__dict__, **changes)
        return layer


@dataclass(frozen=True)
class Input(Layer):
    """An input of the network, batch included.

    >>> Network("n", (Input("image", (1, 3, 224, 224)),))
    Network('n', 1 layers, input 1×3×224×224)
    """

    shape: Sizes
    arity: ClassVar[int | None] = 0

    @property
    def widths(self) -> dict[str, Width]:
        """Its channels and, of a sequence, its features, which α leaves alone."""
        axes = (1, *range(2, len(self.shape))) if len(self.shape) < 4 else (1,)  # noqa: PLR2004
        return {f"{self.name}[{axis}]": Fixed(self.shape[axis]) for axis in axes}

    def with_widths(self, widths: Mapping[str, Width]) -> Self:
        """The input with others."""
        counts = {name: x.count if isinstance(x, Fixed) else x for name, x in widths.items()}
        shape = (counts.get(f"{self.name}[{i}]", size) for i, size in enumerate(self.shape))
        return self.evolve(shape=tuple(shape))


@dataclass(frozen=True)
class Conv(Layer):
    """A convolution over any number of spatial axes, with torch's hyper-parameters.

    A kernel, stride, padding or dilation is one number for every axis or a tuple, one for each.
    `groups=SAME` with `out_channels=SAME` is a depthwise convolution. `shares` names the layer
    whose parameters this one uses again.

    MACs are K²·C_in/G·C_out·H·W, parameters K²·C_in/G·C_out and, with `bias`, C_out.

    >>> from costmodel import cost
    >>> conv = Conv("conv1", 32, kernel=3, stride=2, padding=1)
    >>> cost(Network("n", (Input("image", (1, 3, 224, 224)), conv))).macs == 9*3*32 * 112*112
    True
    """

    out_channels: Width
    kernel: PerAxis
    stride: PerAxis = 1
    padding: Padding = 0
    dilation: PerAxis = 1
    groups: Groups = 1
    bias: Flag = False
    shares: Owner = ""
    width: ClassVar[str] = "out_channels"


@dataclass(frozen=True)
class Linear(Layer):
    """A matrix product over the last axis: C_in·C_out MACs for each vector of it.

    >>> from costmodel import cost
    >>> cost(Network("n", (Input("features", (1, 1024)), Linear("classifier", Fixed(1000)))))
    Cost(params=1025000, macs=1024000, activations=1000)
    """

    out_features: Width
    bias: Flag = True
    shares: Owner = ""
    width: ClassVar[str] = "out_features"
    axis: ClassVar[int] = -1


@dataclass(frozen=True)
class BatchNorm(Layer):
    """Normalisation with, if `affine`, a scale and a shift per channel: 2·C parameters, no MACs.

    >>> from costmodel import cost
    >>> cost(Network("n", (Input("image", (1, 32, 112, 112)), BatchNorm("norm"))))
    Cost(params=64, macs=0, activations=0)
    """

    affine: Flag = True
    shares: Owner = ""


@dataclass(frozen=True)
class Activation(Layer):
    """An elementwise function of one input: no MACs, no parameters.

    >>> Activation("conv1.act", "relu6").function
    'relu6'
    """

    function: Text = "relu"


@dataclass(frozen=True)
class Pool(Layer):
    """Max or average pooling; `ceil_mode` lets a last window hang over the edge, as torch has it.

    >>> from costmodel import infer
    >>> pool = Pool("pool1", "max", kernel=3, stride=2, ceil_mode=True)
    >>> infer(Network("n", (Input("image", (1, 64, 112, 112)), pool)))[-1].output
    (1, 64, 56, 56)
    """

    kind: Pooling
    kernel: PerAxis
    stride: PerAxis
    padding: Padding = 0
    ceil_mode: Flag = False


@dataclass(frozen=True)
class AdaptivePool(Layer):
    """Pooling to a fixed output size; 1 is global pooling.

    >>> from costmodel import infer
    >>> infer(Network("n", (Input("image", (1, 1024, 7, 7)), AdaptivePool("pool"))))[-1].output
    (1, 1024, 1, 1)
    """

    kind: Pooling = "average"
    output_size: PerAxis = 1


@dataclass(frozen=True)
class Add(Layer):
    """The elementwise sum of inputs of one shape (a residual connection).

    >>> from costmodel import infer
    >>> total = Add("sum", inputs=("image", "act"))
    >>> layers = (Input("image", (1, 24, 56, 56)), Activation("act"), total)
    >>> infer(Network("n", layers))[-1].output
    (1, 24, 56, 56)
    """

    arity: ClassVar[int | None] = None


@dataclass(frozen=True)
class Concat(Layer):
    """Inputs side by side along the channels.

    >>> from costmodel import infer
    >>> layers = (Input("image", (1, 3, 8, 8)), Conv("a", 5, 1), Concat("c", inputs=("image", "a")))
    >>> infer(Network("n", layers))[-1].output
    (1, 8, 8, 8)
    """

    arity: ClassVar[int | None] = None


@dataclass(frozen=True)
class Flatten(Layer):
    """Everything but the batch as one axis.

    >>> from costmodel import infer
    >>> infer(Network("n", (Input("image", (1, 256, 6, 6)), Flatten("flatten"))))[-1].output
    (1, 9216)
    """


class Rules(dict[type, Any]):
    """One function per layer type; a subclass follows its base; a second rule is an error.

    The mapping itself remembers which rule each type met so far follows, or None.

    >>> from dataclasses import dataclass
    >>> from costmodel import Layer, LoopNest, Network, Input, cost, lower_rule
    >>> @dataclass(frozen=True)
    ... class Scores(Layer):
    ...     "QKᵀ of (batch, tokens, features): activations times activations."
    >>> @lower_rule(Scores)
    ... def scores(layer, inputs, output):
    ...     n, tokens, features = inputs[0]
    ...     return (LoopNest(n, 1, tokens, features, (tokens,), (), weighted=False),), ()
    >>> cost(Network("n", (Input("q", (1, 197, 64)), Scores("scores")))).macs == 197 * 197 * 64
    True
    """

    def __init__(self) -> None:
        """Begin without rules."""
        self.registered: dict[type, Any] = {}

    def __call__(self, kind: type) -> Callable[[Any], Any]:
        """Decorate the rule of `kind`."""

        def register(rule: Any) -> Any:
            if kind in self.registered:
                raise CostModelError(f"{kind.__name__} has a rule already; register a subclass")
            self.registered[kind] = rule
            self.clear()
            return rule

        return register

    def __missing__(self, kind: type) -> Any:
        bases = (base for base in kind.__mro__ if base in self.registered)
        return self.setdefault(kind, self.registered.get(next(bases, kind)))


@dataclass(frozen=True, repr=False)
class Network:
    """A name and layers in an order in which each comes after the layers it reads.

    `rounding` is how its authors round α·C to whole channels (`costmodel.widen`).

    >>> Network("tiny", (Input("image", (1, 3, 8, 8)), Conv("conv", 16, kernel=3)))
    Network('tiny', 2 layers, input 1×3×8×8)

    Raises CostModelError for duplicate names, dangling inputs and cycles.
    """

    name: str
    layers: tuple[Layer, ...]
    rounding: str = field(default="floor", kw_only=True)

    def __post_init__(self) -> None:
        """Fill in default inputs, and check the rounding and the graph."""
        rounding_divisor(self.rounding)
        layers = tuple(_chained(self.layers))
        _check_graph(layers)
        object.__setattr__(self, "layers", layers)

    def __repr__(self) -> str:
        shapes = ", ".join("×".join(map(str, layer.shape)) for layer in self.inputs)
        return f"Network({self.name!r}, {len(self.layers)} layers, input {shapes})"

    def __getitem__(self, name: str) -> Layer:
        """The layer of that name."""
        if found := [layer for layer in self.layers if layer.name == name]:
            return found[0]
        raise CostModelError(f"no layer {name!r} in {self.name}")

    @property
    def inputs(self) -> tuple[Input, ...]:
        """The network's inputs."""
        return tuple(layer for layer in self.layers if isinstance(layer, Input))

    @property
    def remembered(self) -> dict[str, Any]:
        """What was worked out about it; a network never changes, so once is enough."""
        return self.__dict__.setdefault("_remembered", {})  # type: ignore[no-any-return]

    def with_layers(self, layers: Iterable[Layer], *, same_widths: bool = False) -> Network:
        """The same graph with other layers at its nodes: names and inputs must be unchanged."""
        network = object.__new__(Network)
        network.__dict__.update(name=self.name, layers=tuple(layers), rounding=self.rounding)
        if same_widths:
            network.__dict__["_remembered"] = self.remembered
        return network

    def to_json(self) -> str:
        """The network as JSON text, a layer a line; `from_json` reads it back equal."""
        import json

        write = json.JSONEncoder(default=_encode, ensure_ascii=False).encode
        lines = (write(_layer_dict(layer)) for layer in self.layers)
        own = {"name": self.name, "rounding": self.rounding}
        head = json.dumps(own if self.rounding != "floor" else {"name": self.name})
        return f'{head[:-1]}, "layers": [\n' + ",\n".join(lines) + "\n]}\n"

    @classmethod
    def from_json(cls, text: str) -> Network:
        """The network a JSON text describes; an error names the layer and the field."""
        import json

        try:
            data = json.loads(text, object_pairs_hook=_object)
            json.dumps(data, ensure_ascii=False).encode()  # no half of a surrogate pair
        except (TypeError, ValueError, RecursionError) as error:
            raise CostModelError(f"a network must be JSON text: {error}") from None
        match data:
            case {"name": str(name), "layers": list(layers), **rest} if rest.keys() <= {"rounding"}:
                rounding: Any = rest.get("rounding", "floor")
                return cls(name, tuple(map(_layer_from, layers)), rounding=rounding)
        raise CostModelError(f'a network is {{"name": …, "layers": […]}}, got {reprlib.repr(data)}')


def _chained(layers: tuple[Layer, ...]) -> Iterator[Layer]:
    previous = ""
    for layer in layers:
        if not isinstance(layer, Layer):
            raise CostModelError(f"a network's layers must be layers, got {reprlib.repr(layer)}")
        chained = not layer.inputs and layer.arity != 0 and previous
        yield replace(layer, inputs=(previous,)) if chained else layer
        previous = layer.name


def _check_graph(layers: tuple[Layer, ...]) -> None:
    names = {layer.name: layer for layer in layers}
    seen: set[str] = set()
    for layer in layers:
        of = layer.width_of
        for name in filter(None, (*layer.inputs, of, getattr(layer, "shares", ""))):
            if name not in names:
                raise CostModelError(f"{layer.name}: reads {name!r}, and there is no such layer")
            if name not in seen:
                why = f"reads {name!r}, which does not come before it: a cycle, or out of order"
                raise CostModelError(f"{layer.name}: {why}; list each layer after what it reads")
        if of and not names[of].width:
            raise CostModelError(f"{layer.name}: takes its width from {of!r}, which sets none")
        if len(layer.inputs) != layer.arity and (layer.arity is not None or not layer.inputs):
            wanted = f"{layer.name}: a {type(layer).__name__} reads {layer.arity or 'at least 1'}"
            raise CostModelError(f"{wanted}, got {len(layer.inputs)}; list its inputs")
        if layer.name in seen:
            raise CostModelError(f"two layers are named {layer.name!r}; rename one")
        seen.add(layer.name)
    if not layers or not isinstance(layers[0], Input):
        raise CostModelError("a network must begin with an Input")


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
    if written not in Layer.types:
        import_module("costmodel.layers.operators")  # types that few networks have, slow to make
    if (kind := Layer.types.get(written)) is None:
        wanted = f"type must be one of {', '.join(sorted(Layer.types))}"
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
