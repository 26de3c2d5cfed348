"""What a trace knows by its sizes alone: recorded operators, unknown ones, and pins."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, ClassVar

from costmodel.algebra.arithmetic import Dim, is_formula
from costmodel.core.fields import Shape, Text
from costmodel.core.layer import Layer
from costmodel.core.nest import Elementwise, LoopNest
from costmodel.core.shapes import refuse, shape_text
from costmodel.errors import CostModelError
from costmodel.layers.elementwise import _OfOne
from costmodel.layers.fields import Count, Counts, Positives, Shapes, SizesOrAny
from costmodel.layers.fixed import agree_fixed, refuse_size
from costmodel.layers.named import is_elementwise

if TYPE_CHECKING:
    from costmodel.core import layer as base
    from costmodel.core.layer import Inputs, Lowering


class _Sized(Layer):
    """What is known for some sizes, and refuses any others."""

    function: Text
    reads: Shapes
    sizes: Counts
    arity: ClassVar[int | None] = None
    recorded: ClassVar[bool] = True
    may_be_empty: ClassVar[bool] = True

    def output_shape(self, inputs: Inputs, widths: base.Counts) -> Shape:
        """As it was traced."""
        if inputs != self.reads and not self._agrees(inputs):
            pairs = zip(self.reads, inputs, strict=False)
            had, got = next(((a, b) for a, b in pairs if a != b), (self.reads[0], inputs[0]))
            refuse_size(self, f"{self.function} ", shape_text(had), shape_text(got))
        return self.sizes

    def _agrees(self, inputs: Inputs) -> bool:
        if list(map(len, inputs)) != list(map(len, self.reads)):
            return False
        pairs = zip(chain(*inputs), chain(*self.reads), strict=True)
        return all(size == had or agree_fixed(self, size, had) for size, had in pairs)

    def may_overwrite(self) -> bool:
        """Where its function is elementwise."""
        return is_elementwise(self.function)


@dataclass(frozen=True)
class Recorded(_Sized):
    """An operator whose sizes are only known as they were traced; it refuses any others.

    What its products write are its `activations`: its own output, unless it says how many.

    >>> from costmodel import Network
    >>> from costmodel.core import infer
    >>> from costmodel.layers import Input
    >>> gather = Recorded("gather", "index", reads=((1, 16),), sizes=(1, 4))
    >>> infer(Network("n", (Input("tokens", (1, 17)), gather)))
    Traceback (most recent call last):
        ...
    costmodel.errors.CostModelError: gather: index fixes its input's size to 1×16, got 1×17; \
trace again at that size
    """

    function: Text
    reads: Shapes
    sizes: Counts
    macs: Count = 0
    activations: Count = 0

    @property
    def operation(self) -> str:
        """The function."""
        return self.function

    def lowered(self, inputs: Inputs, output: Shape) -> Lowering:
        """As many MACs as were traced."""
        if not self.macs:
            return (Elementwise(self.function, output),), ()
        written = (self.activations,) if self.activations else output
        return (LoopNest(1, 1, 1, self.macs, (), (), weighted=False, written=written),), ()


@dataclass(frozen=True)
class Unknown(_Sized):
    """An operator that no rule knows: its cost is missing, and every total is a lower bound.

    >>> from costmodel import Network, cost
    >>> from costmodel.layers import Input
    >>> fft = Unknown("fft", "fft_rfft", reads=((1, 16),), sizes=(1, 9))
    >>> cost(Network("n", (Input("signal", (1, 16)), fft)))
    Cost(macs=≥0, params=≥0, activations=≥0, unknown=('fft',))
    """

    function: Text
    reads: Shapes
    sizes: Counts
    macs: Count = 0
    activations: Count = 0


@dataclass(frozen=True)
class FixedSize(_OfOne):
    """A view that lets one size through: what reads it has parameters for each position.

    -1 lets every size through, and symbols are taken to be the size they have to be. With
    `modulo` a size need only leave the same remainder: the model branched on it.

    >>> from costmodel import Network
    >>> from costmodel.core import infer
    >>> from costmodel.layers import Input
    >>> fixed = FixedSize("fc.input", sizes=(-1, -1, 7, 7))
    >>> infer(Network("n", (Input("map", (1, 512, 8, 8)), fixed)))
    Traceback (most recent call last):
        ...
    costmodel.errors.CostModelError: fc.input: fixes its input's size to *×*×7×7, got 1×512×8×8; \
trace again at that size
    """

    function: Text = "identity"
    sizes: SizesOrAny = ()
    modulo: Positives = ()

    def __post_init__(self) -> None:
        """Check that there is a modulo for each size, or none, too."""
        super().__post_init__()
        if len(self.modulo) not in {0, len(self.sizes)}:
            rule = "modulo must be a positive count for each size"
            raise CostModelError(f"{self.name}: {rule}, got {self.modulo}")

    def output_shape(self, inputs: Inputs, widths: base.Counts) -> Shape:
        """Its input's, if that is the size."""
        (shape,) = inputs
        if len(shape) != len(self.sizes):
            what = f"has {len(self.sizes)} sizes for {shape_text(shape)}"
            refuse(self, what, "change the sizes")
        modulo = self.modulo or (0,) * len(shape)
        checked = list(zip(shape, self.sizes, modulo, strict=True))
        if any(self._differs(had, size, by) for had, size, by in checked):
            sizes = ("*" if x == -1 else f"{x} mod {m}" if m else str(x) for _, x, m in checked)
            refuse_size(self, "", "×".join(sizes), shape_text(shape))
        return tuple(had if size == -1 or by else size for had, size, by in checked)

    def _differs(self, had: Dim, size: int, modulo: int) -> bool:
        if size == -1 or is_formula(had):
            return False
        pair = (had % modulo, size % modulo) if modulo else (had, size)
        return not agree_fixed(self, *pair)
