"""The layer: what every kind of layer declares of itself, in one place.

A kind of layer is a frozen dataclass of its free hyper-parameters, with methods that say what shape
it makes, which loop nests it is, what it keeps for a backward pass and where its output lies in
memory. What a kind does not say of itself is as `Layer` has it; one that does not say what it
costs is *unknown*: never a silent zero.
"""

from __future__ import annotations

import reprlib
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Self, get_args

from costmodel.core.fields import Kind, Name, Names, Shape, Sizes
from costmodel.core.nest import NOTHING
from costmodel.core.relations import SAME, Fixed, Times
from costmodel.errors import CostModelError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from costmodel.algebra.arithmetic import Dim
    from costmodel.core.fields import Width
    from costmodel.core.nest import Body, Keeps, Parameter, Window
    from costmodel.core.orders import Order

    Inputs = tuple[Shape, ...]
    Counts = Mapping[str, Dim]
    Lowering = tuple[tuple[Body, ...] | None, tuple[Parameter, ...]]

#: The operation of a product that no tool is known to count.
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Layer:
    """A named operator; `inputs` names the layers it reads, by default the one before it.

    A layer of your own is a subclass, with the methods in which it differs:

    >>> from costmodel import Network, cost
    >>> from costmodel.core import LoopNest
    >>> from costmodel.layers import Input
    >>> @dataclass(frozen=True)
    ... class Scores(Layer):
    ...     "QKᵀ of (batch, tokens, features): activations times activations."
    ...
    ...     def lowered(self, inputs, output):
    ...         n, tokens, features = inputs[0]
    ...         return (LoopNest(n, 1, tokens, features, (tokens,), (), weighted=False),), ()
    ...
    ...     def output_shape(self, inputs, widths):
    ...         n, tokens, features = inputs[0]
    ...         return n, tokens, tokens
    >>> cost(Network("n", (Input("q", (1, 197, 64)), Scores("scores")))).macs == 197 * 197 * 64
    True

    Raises CostModelError, when made, for a hyper-parameter that is out of range.
    """

    name: Name
    inputs: Names = field(default=(), kw_only=True)

    #: The field that α scales, if there is one, and the axis of the output that it sets.
    width: ClassVar[str] = ""
    axis: ClassVar[int] = 1
    #: How many inputs the layer takes; None is any number from one on.
    arity: ClassVar[int | None] = 1
    #: Whether a trace knows it by its sizes alone, and whether its output may have no elements.
    recorded: ClassVar[bool] = False
    may_be_empty: ClassVar[bool] = False
    #: Whether it normalises or activates what it reads, and so belongs to what it follows.
    follows: ClassVar[bool] = False
    #: Whether it is a normalisation whose scale and shift a convolution before it can take over.
    folds: ClassVar[bool] = False
    #: Whether it can: its weights scaled, and a bias for each channel.
    takes_over: ClassVar[bool] = False
    #: Whether it makes one axis of all but the batch; whether it leaves axes as they are, so that
    #: a size that something after it wants may be fixed before it.
    flattens: ClassVar[bool] = False
    keeps_axes: ClassVar[bool] = False
    #: Whose parameters it uses, if not its own; no field where it has none.
    shares = ""
    #: Every type of layer there is, by name.
    types: ClassVar[dict[str, type[Layer]]] = {}
    #: The kind of each field, where its declared type has one.
    kinds: ClassVar[dict[str, Kind]] = {"name": get_args(Name)[1], "inputs": get_args(Names)[1]}

    def __init_subclass__(cls) -> None:
        """Make the type known to `from_json`, and the kinds of its fields to itself."""
        if cls.__name__.startswith("_"):  # what layers have in common, and no layer itself
            return
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

    @property
    def window(self) -> Window | None:
        """What it slides over its input, if it does."""
        return None

    @property
    def learned_axes(self) -> tuple[int, ...] | None:
        """The axes of its input that its parameters lie along; None where its kind has none."""
        return None

    @property
    def operation(self) -> str:
        """What tools that count call its product: `conv`, `linear`, `matmul` or torch's name."""
        return UNKNOWN

    def of_any_width(self, sides: Collection[int]) -> Self:
        """The layer, letting widths through where it can; `sides` are its input's other axes."""
        return self

    def output_shape(self, inputs: Inputs, widths: Counts) -> Shape:
        """The shape it makes of those it reads; `widths` are other layers' by name."""
        return inputs[0]

    def lowered(self, inputs: Inputs, output: Shape) -> Lowering:
        """Its nests and elementwise bodies, None where they are unknown; and its parameters."""
        return None, ()

    def keeps(self, inputs: Inputs, output: Shape) -> Keeps | None:
        """What it keeps for its backward pass, as torch on a CPU; None where that is unknown."""
        return None

    def may_overwrite(self) -> bool:
        """Whether each element of its output needs only that element of its inputs."""
        return False

    def view_order(self, order: Order, inputs: Inputs, output: Shape) -> Order | None:
        """The order of its output in the memory of its first input; None where it is a new one."""
        return None

    def memory_order(self, orders: list[Order], inputs: Inputs, output: Shape) -> Order | None:
        """The order of a new output in memory; None where it is that of its shape."""
        return None

    def merged_axes(self, shape: Shape) -> int:
        """How many leading axes of an input it merges: a copy where they are not in one piece."""
        return 0


@dataclass(frozen=True)
class Input(Layer):
    """An input of the network, batch included.

    >>> from costmodel import Network
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

    def output_shape(self, inputs: Inputs, widths: Counts) -> Shape:
        """Its own."""
        return self.shape

    def lowered(self, inputs: Inputs, output: Shape) -> Lowering:
        """Nothing is done."""
        return (), ()

    def keeps(self, inputs: Inputs, output: Shape) -> Keeps:
        """Nothing."""
        return NOTHING


def inputs_of(layers: Iterable[Layer]) -> tuple[Input, ...]:
    """Those of the layers that are the network's inputs."""
    return tuple(layer for layer in layers if isinstance(layer, Input))
