"""The calls of a traced model: their values, the graph they make and who owns its parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

from costmodel import layers as ir
from costmodel.frontends.origins import Notice

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from costmodel.core.layer import Layer
    from costmodel.frontends.origins import Origin

    Sizes = tuple[int, ...]


@dataclass(slots=True, eq=False)
class Value:
    """A tensor of the traced model: the layer that makes it, or a constant and its parameters."""

    shape: Sizes
    layer: str = ""
    parameters: tuple[str, ...] = ()
    #: Adds the layer once someone reads it: a part of a split that nobody reads is none.
    make: Callable[[], str] | None = None

    @property
    def is_constant(self) -> bool:
        """Whether it depends on no input."""
        return not self.layer and self.make is None


class Extent(int):
    """A size that knows which axis it is of (or that it was computed from some), as an int.

    It is how `x.view(n, groups, c // groups, h, w)` is told from a reshape by constants.
    """

    graph: Graph
    value: Value | None = None
    axis: int = 0
    factor: int = 1

    @classmethod
    def of(cls, graph: Graph, value: Value, axis: int) -> Extent:
        """The size of one axis of a value."""
        extent = cls(value.shape[axis])
        extent.graph, extent.value, extent.axis = graph, value, axis
        return extent

    def _derive(self, result: Any) -> Any:
        """A whole number computed from a size is one too; anything else forgets that it was."""
        if type(result) is not int:
            self.graph.lost_size = True
            return result
        extent = Extent(result)
        extent.graph = self.graph
        return extent

    def __mul__(self, other: Any) -> Any:
        self.graph.noticed.add(Notice.SIZES)
        product = self._derive(int.__mul__(self, other))
        if type(other) is int and isinstance(product, Extent):
            product.value, product.axis, product.factor = self.value, self.axis, self.factor * other
        return product

    def __mod__(self, other: Any) -> Any:
        """A remainder, which a model takes to branch on it: other sizes must have the same."""
        if self.value is not None and self.factor == 1 and type(other) is int and other > 0:
            self.graph.remainders.append((self.value, self.axis, other))
        self.graph.lost_size = True
        return self._derive(int.__mod__(self, other))

    def __int__(self) -> int:
        """The number alone: whatever is computed from it may depend on the size."""
        self.graph.lost_size = True
        return int.__index__(self)

    __rmul__ = __mul__
    __hash__ = int.__hash__


def _derived(name: str) -> Callable[..., Any]:
    """An operation of int, its result derived."""
    function = getattr(int, name)
    return lambda self, *others: self._derive(function(self, *others))


for _name in (
    *("__add__", "__radd__", "__sub__", "__rsub__", "__floordiv__", "__rfloordiv__", "__neg__"),
    *("__rshift__", "__lshift__", "__truediv__", "__rtruediv__", "__float__", "__pow__"),
    *("__divmod__", "__rmod__"),
):
    setattr(Extent, _name, _derived(_name))


@dataclass
class Graph:
    """The layers so far, the shapes they had in torch, and which layer owns each parameter."""

    numel: dict[str, int]
    layers: list[Layer] = field(default_factory=list)
    shapes: dict[str, Sizes] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    #: Parameters that are their owner's one weight, all of it, which others may share.
    shareable: set[str] = field(default_factory=set)
    #: The parameters of each layer whose tensors all have one role, as a norm's two have.
    norms: dict[str, tuple[str, ...]] = field(default_factory=dict)
    #: By constant, the parameters it is computed from, and where among the layers it is.
    constants: dict[str, tuple[int, tuple[str, ...]]] = field(default_factory=dict)
    #: Whether the running module has turned a size into a plain number, and may use it.
    lost_size: bool = False
    #: Of which axes a remainder was taken, and by what.
    remainders: list[tuple[Value, int, int]] = field(default_factory=list)
    #: How torch was called for each layer.
    origins: dict[str, Origin] = field(default_factory=dict)
    #: What no layer shows.
    noticed: set[Notice] = field(default_factory=set)
    _numbers: dict[str, int] = field(default_factory=dict)

    def unique(self, wanted: str) -> str:
        """The name, numbered from 2 on where it is taken."""
        name = wanted
        while name in self.shapes:
            self._numbers[wanted] = number = self._numbers.get(wanted, 1) + 1
            name = f"{wanted}_{number}"
        return name

    def add(self, layer: Layer, shape: Iterable[int]) -> Value:
        """A layer and the shape it had in torch."""
        self.layers.append(layer)
        self.shapes[layer.name] = sizes = tuple(shape)
        return Value(sizes, layer.name)

    def read(self, value: Value, path: str = "") -> str:
        """The name of the layer that makes a value; a constant becomes one when it is read."""
        if not value.layer:
            value.layer = value.make() if value.make else self._constant(value, path)
        return value.layer

    def _constant(self, value: Value, path: str) -> str:
        new = [name for name in value.parameters if name not in self.owners]
        name = self.unique(new[0] if new else f"{path}.constant".lstrip("."))
        self.owners |= dict.fromkeys(new, name)
        self.constants[name] = (len(self.layers), tuple(new))
        if len(new) == 1 and self.numel[new[0]] == prod(value.shape):
            self.shareable.add(new[0])
        return self.add(ir.Constant(name, value.shape), value.shape).layer

    def owner(self, parameter: str) -> str:
        """The layer that owns a parameter; a constant computed from it gives it up."""
        owner = self.owners.get(parameter, "")
        return owner if parameter in self.shareable or owner not in self.constants else ""

    def parameter(self, value: Value | None) -> str:
        """The parameter that a constant is, reordered perhaps or normalised; or nothing."""
        if value is None or not value.is_constant:
            return ""
        size = prod(value.shape)
        return next((name for name in value.parameters if self.numel[name] == size), "")

    def own_the_rest(self) -> None:
        """Constants have what no other layer owns, so that each parameter counts once."""
        for layer, (index, names) in self.constants.items():
            elements = sum(self.numel[name] for name in names if self.owners[name] == layer)
            self.layers[index] = self.layers[index].evolve(parameters=elements)
        for name, count in self.numel.items():
            if name not in self.owners:
                self.add(ir.Constant(self.unique(name), (count,), count), (count,))


class Weights(NamedTuple):
    """How a layer comes by its parameters: what it shares, its bias, a bias that stands alone."""

    shares: str
    bias: bool
    alone: Value | None


@dataclass
class Call:
    """One call: in which module, of which function, and the shapes of what it returned."""

    graph: Graph
    path: str
    base: str
    function: str
    shapes: list[Sizes]
    origin: Origin
    #: The name under which the layer to come owns its parameters.
    reserved: str = ""

    @property
    def shape(self) -> Sizes:
        """The shape of the first output."""
        return self.shapes[0]

    def emit(
        self,
        kind: Callable[..., Layer],
        *fields: Any,
        reads: Iterable[Value] = (),
        shape: Sizes | None = None,
        suffix: str = "",
        **named: Any,
    ) -> Value:
        """Add a layer that reads some values."""
        inputs = tuple([self.graph.read(value, self.path) for value in reads])
        name = self.reserved or self.graph.unique(self._wanted(suffix))
        self.reserved = ""
        layer = kind(name, *fields, inputs=inputs, **named)
        self.graph.origins[name] = self.origin
        return self.graph.add(layer, self.shape if shape is None else shape)

    def _wanted(self, suffix: str) -> str:
        return f"{self.base}.{suffix}" if suffix else self.base

    def _reserve(self, suffix: str = "") -> str:
        """A name for the layer to come, which no input that is read before it can take."""
        self.reserved = self.graph.unique(self._wanted(suffix))
        self.graph.shapes[self.reserved] = ()
        return self.reserved

    def recorded(
        self, reads: Iterable[Value], macs: int = 0, index: int = 0, activations: int = 0
    ) -> Value:
        """A layer with the sizes as they are."""
        return self._record(ir.Recorded, reads, index, macs=macs, activations=activations)

    def unknown(self, reads: Iterable[Value], index: int = 0) -> Value:
        """A layer that no rule knows."""
        return self._record(ir.Unknown, reads, index)

    def _record(
        self, kind: Callable[..., Layer], reads: Iterable[Value], index: int, **named: Any
    ) -> Value:
        values = list(dict.fromkeys(reads))
        before = tuple(value.shape for value in values)
        shape = self.shapes[index]
        if not values:
            return Value(shape)
        return self.emit(kind, self.function, before, shape, reads=values, shape=shape, **named)

    def later(self, make: Callable[[], Value], index: int) -> Value:
        """An output whose layer is added once someone reads it."""
        return Value(self.shapes[index], make=lambda: make().layer)

    def weights(self, weight: Value, bias: Value | None) -> Weights | None:
        """Claim a layer's parameters; None where its weight is no parameter of its own."""
        graph, name, extra = self.graph, self.graph.parameter(weight), self.graph.parameter(bias)
        owner = graph.owner(name)
        if not name or (owner and name not in graph.shareable):
            return None
        has = graph.owner(extra)
        with_bias = bool(extra) and has == owner
        if not owner:
            owned = self._reserve()
            graph.owners |= {name: owned} | ({extra: owned} if with_bias else {})
            graph.shareable.add(name)
        return Weights(owner, with_bias, bias if extra and not has and owner else None)

    def norms(self, tensors: Iterable[Value | None], suffix: str = "") -> tuple[int, str]:
        """Claim tensors of one role: how many, and the layer that has just these, if one has.

        Not one where some are no parameters or another layer's.
        """
        graph = self.graph
        names = tuple(graph.parameter(value) for value in tensors if value is not None)
        owners = {graph.owner(name) for name in names}
        if len(owners) != 1 or not all(names):
            return 0, ""
        (owner,) = owners
        if not owner:
            owned = self._reserve(suffix)
            graph.owners |= dict.fromkeys(names, owned)
            graph.norms[owned] = names
            return len(names), ""
        return (len(names), owner) if graph.norms.get(owner) == names else (0, "")

    def finish(self, value: Value, weights: Weights, axis: int) -> Value:
        """Add the bias that a layer with a shared weight has of its own."""
        if weights.alone is None:
            return value
        return self.affine(value, (axis,), (weights.alone,), function="add", suffix="bias")

    def affine(  # noqa: PLR0913 - as `emit`
        self,
        x: Value,
        along: Sizes,
        tensors: Iterable[Value | None],
        *,
        function: str = "",
        suffix: str = "",
        groups: int = 1,
    ) -> Value:
        """An elementwise layer with parameters along some axes."""
        number, shares = self.norms(tensors, suffix)
        fields = (function or self.function, along, number, groups, shares)
        return self.emit(ir.Affine, *fields, reads=(x,), shape=x.shape, suffix=suffix)


Result = Value | list[Value] | None
Handler = Callable[..., Result]
#: What each function is, by its name in torch; a handler takes what the function takes.
HANDLERS: dict[str, Handler] = {}
#: Functions that multiply and accumulate, on constants too.
COUNTED: set[str] = set()


def handles(*names: str, counted: bool = False) -> Callable[[Handler], Handler]:
    """Decorate the handler of some functions."""

    def register(handler: Handler) -> Handler:
        HANDLERS.update(dict.fromkeys(names, handler))
        COUNTED.update(names if counted else ())
        return handler

    return register


def values_in(arguments: object) -> Iterator[Value]:
    """Every value among arguments, however deep."""
    if isinstance(arguments, Value):
        yield arguments
    elif isinstance(arguments, (tuple, list)):
        for part in arguments:
            yield from values_in(part)
    elif isinstance(arguments, dict):
        yield from values_in(list(arguments.values()))
    elif isinstance(arguments, slice):
        yield from values_in((arguments.start, arguments.stop, arguments.step))


def others(call: Call, first: Value) -> list[Value]:
    """The outputs past the first, of a function with no rule for them."""

    def other(index: int) -> Value:
        return call.later(lambda: call.recorded((first,), index=index), index)

    return [other(index) for index in range(1, len(call.shapes))]


def is_broadcast(reads: list[Value], shape: Sizes) -> bool:
    """Whether a shape is what values broadcast to."""
    if not reads or max(len(x.shape) for x in reads) != len(shape):
        return False
    rank = len(shape)
    aligned = [(1,) * (rank - len(x.shape)) + x.shape for x in reads]
    return all(
        set(sizes[1:]) <= {1, sizes[0]} and sizes[0] in sizes[1:]
        for sizes in zip(shape, *aligned, strict=True)
    )


def per_axis(value: Any, rank: int) -> Any:
    """A hyper-parameter as plain ints, one for all axes or one each."""
    numbers = tuple(map(int, value)) if isinstance(value, (tuple, list)) else (int(value),)
    return numbers[0] if len(set(numbers)) == 1 else numbers[:rank]


def spread(value: Any, rank: int) -> tuple[Any, ...]:
    """One value for each axis."""
    return tuple(value) if isinstance(value, (tuple, list)) else (value,) * rank
