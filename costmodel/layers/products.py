"""Products of activations: einsum, and attention."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, ClassVar

from costmodel.algebra.arithmetic import Dim, exact_div
from costmodel.core.fields import Shape, Text
from costmodel.core.layer import Layer
from costmodel.core.nest import PRODUCT, Elementwise, Keeps, LoopNest
from costmodel.core.shapes import ranked, refuse, shape_text
from costmodel.errors import CostModelError
from costmodel.layers.fields import Count, Equation
from costmodel.layers.fixed import TRACE_AGAIN, agree_fixed

if TYPE_CHECKING:
    from costmodel.core.layer import Counts, Inputs, Lowering
    from costmodel.core.orders import Order


@dataclass(frozen=True)
class Einsum(Layer):
    """The product of two activations, as torch.einsum writes it; an axis of 1 is broadcast.

    MACs are the product over every index.

    >>> from costmodel import Network, cost
    >>> from costmodel.layers import Input
    >>> scores = Einsum("scores", "bqc,bkc->bqk", inputs=("tokens", "tokens"))
    >>> cost(Network("n", (Input("tokens", (1, 197, 64)), scores))).macs == 197 * 197 * 64
    True
    """

    equation: Equation
    function: Text = "matmul"
    arity: ClassVar[int | None] = 2

    @property
    def operation(self) -> str:
        """The function."""
        return self.function

    def _extents(self, inputs: Inputs) -> dict[str, Dim]:
        """The extent of every index; an error where the operands disagree."""
        extents: dict[str, Dim] = {}
        for term, shape in zip(self.equation.partition("->")[0].split(","), inputs, strict=True):
            if len(term) != len(shape):
                what = f"{term} indexes an input of {shape_text(shape)}"
                refuse(self, what, "change the equation")
            for letter, size in zip(term, shape, strict=True):
                has = extents.get(letter, 1)
                if has not in (1, size) and size != 1 and not agree_fixed(self, has, size):
                    what = f"{self.equation} multiplies {' and '.join(map(shape_text, inputs))}"
                    refuse(self, what, TRACE_AGAIN)
                extents[letter] = size if has == 1 else has
        return extents

    def output_shape(self, inputs: Inputs, widths: Counts) -> Shape:
        """The extents of the output's indices."""
        extents = self._extents(inputs)
        return tuple(extents[letter] for letter in self.equation.partition("->")[2])

    def lowered(self, inputs: Inputs, output: Shape) -> Lowering:
        """One nest whose second operand is an activation."""
        left, right = (set(term) for term in self.equation.partition("->")[0].split(","))
        kept = set(self.equation.partition("->")[2])
        extents = self._extents(inputs)

        def size(letters: set[str]) -> Dim:
            return prod(extent for letter, extent in extents.items() if letter in letters)

        # What is in one operand alone and not in the output is summed before they meet.
        rows, columns = size((left - right) & kept), size((right - left) & kept)
        contracted, batch = size((left & right) - kept), size(left & right & kept)
        nest = LoopNest(batch, 1, columns, contracted, (rows,), (), weighted=False)
        product = nest if (left & right) - kept else Elementwise("einsum_of_no_sum", output)
        return (product,), ()

    def keeps(self, inputs: Inputs, output: Shape) -> Keeps:
        """Each factor that the other's gradient needs."""
        return PRODUCT

    def merged_axes(self, shape: Shape) -> int:
        """All but those of the matrices."""
        return max(0, len(shape) - 2)


#: Bytes of a float32, whatever the rest is.
_FLOAT = 4


@dataclass(frozen=True)
class DotProductAttention(Layer):
    """Scaled dot-product attention of queries, keys, values and perhaps a mask: two products.

    Without `heads` all are (…, tokens, features), the heads among the leading axes; with it
    they are (tokens, batch, features), and it divides the features.

    >>> from costmodel import Network, cost
    >>> from costmodel.layers import Input
    >>> attend = DotProductAttention("attend", inputs=("x", "x", "x"))
    >>> cost(Network("n", (Input("x", (1, 12, 197, 64)), attend))).macs == 2 * 12 * 197*197 * 64
    True
    """

    heads: Count = 0
    function: Text = "scaled_dot_product_attention"
    arity: ClassVar[int | None] = None
    operation = "matmul"  # of a model that writes it out, as `build` does

    def _attended(self, inputs: Inputs) -> tuple[Dim, Dim, Dim, Dim, Dim]:
        """Batch, queries, keys, features of a key and features of a value, heads apart."""
        if len(inputs) < 3:  # noqa: PLR2004
            refuse(self, "needs queries, keys and values", "list its inputs")
        query, key, value = (ranked(self, shape, 2 + bool(self.heads)) for shape in inputs[:3])
        if self.heads:
            features, values = exact_div(query[2], self.heads), exact_div(value[2], self.heads)
            if features is None or values is None or not agree_fixed(self, query[2], key[2]):
                what = f"{self.heads} heads must divide {query[2]} features"
                refuse(self, what, "keep them")
            return query[1] * self.heads, query[0], key[0], features, values
        if not (agree_fixed(self, query[-1], key[-1]) and agree_fixed(self, key[-2], value[-2])):
            query_, key_, value_ = map(shape_text, (query, key, value))
            refuse(self, f"attends from {query_} to {key_} and {value_}", TRACE_AGAIN)
        return prod(query[:-2]), query[-2], key[-2], query[-1], value[-1]

    def output_shape(self, inputs: Inputs, widths: Counts) -> Shape:
        """The queries', with the values' features."""
        _, queries, keys, _, features = self._attended(inputs)
        for mask in (ranked(self, shape, 2) for shape in inputs[3:]):
            pairs = ((mask[-1], keys), (mask[-2], queries))
            if not all(size == 1 or agree_fixed(self, size, wanted) for size, wanted in pairs):
                what = f"its mask is {shape_text(mask)} for {queries} queries and {keys} keys"
                refuse(self, what, TRACE_AGAIN)
        return inputs[0] if self.heads else (*inputs[0][:-1], features)

    def lowered(self, inputs: Inputs, output: Shape) -> Lowering:
        """QKᵀ, and the product of that and V."""
        batch, queries, keys, features, values = self._attended(inputs)
        scores = LoopNest(batch, 1, keys, features, (queries,), (), weighted=False)
        return (scores, LoopNest(batch, 1, values, keys, (queries,), (), weighted=False)), ()

    def keeps(self, inputs: Inputs, output: Shape) -> Keeps:
        """As the fused kernel, where (batch, heads, tokens, features) let torch use it."""
        if self.heads or len(output) == 4:  # noqa: PLR2004 - batch, heads, tokens, features
            sums = prod(output[:-1]) * (self.heads or 1)  # of exponentials, a logarithm each
            return Keeps(inputs=True, output=True, own=((sums, _FLOAT),))
        raise CostModelError(
            f"{self.name}: no rule for what attention over {len(output)} axes keeps for the "
            "backward pass; give it four: batch, heads, tokens and features"
        )

    def memory_order(self, orders: list[Order], inputs: Inputs, output: Shape) -> Order | None:
        """The fused kernel writes the heads of each token side by side."""
        fused = len(output) == 4 and not self.heads  # noqa: PLR2004 - batch, heads, tokens, features
        return tuple(axis for axis in (0, 2, 1, 3) if output[axis] != 1) if fused else None
