"""The loop nest: one equation for every layer that multiplies and accumulates.

    O[n,g,k,p,q] += W[g,k,c,r,s] · I[n,g,c, p·stride + r·dilation, q·stride + s·dilation]

MACs are the product of all extents, parameters the product over W's indices, activations the
product over O's. Standard convolution: G = 1; depthwise: K = C = 1, G = C_in; pointwise:
R = S = 1; linear: no spatial axes at all.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from costmodel.algebra.arithmetic import Dim


class Window(NamedTuple):
    """A box of taps that slides over an input; each value is for every axis, or a tuple of them."""

    kernel: Any
    stride: Any
    padding: Any = 0
    dilation: Any = 1

    def axes(self, rank: int) -> Iterator[tuple[Dim, ...]]:
        """Kernel, stride, padding and dilation of each of so many axes.

        >>> list(Window(3, (1, 2)).axes(2))
        [(3, 1, 0, 1), (3, 2, 0, 1)]
        """
        each = (value if isinstance(value, tuple) else (value,) * rank for value in self)
        return zip(*each, strict=True)


class LoopNest(NamedTuple):
    """The extents of one equation; `positions` are P, Q, … and `kernel` is R, S, ….

    `weighted` says whether the second operand is a weight or an activation (as in QKᵀ);
    `written` are the output's positions where they are not the loop's: a transposed
    convolution loops over its input's. `stride`, `padding` and `dilation` say which elements of
    the input a position meets; each is one number for every axis, or a tuple.

    >>> LoopNest(n=1, g=1, k=64, c=32, positions=(112, 112), kernel=(1, 1)).macs == 32*64*112*112
    True
    """

    n: Dim
    g: Dim
    k: Dim
    c: Dim
    positions: tuple[Dim, ...]
    kernel: tuple[Dim, ...]
    weighted: bool = True
    written: tuple[Dim, ...] = ()
    stride: Dim = 1
    padding: Dim = 0
    dilation: Dim = 1

    @property
    def window(self) -> Window | None:
        """What slides over the input; None where the loop has no positions of an input's map."""
        slides = self.positions and self.weighted and not self.written
        return Window(self.kernel, self.stride, self.padding, self.dilation) if slides else None

    @property
    def macs(self) -> Dim:
        """N·G·K·C·P·Q·R·S, taps that fall on padding included."""
        return self.n * self.g * self.k * prod(self.positions) * self.c * prod(self.kernel)

    @property
    def weights(self) -> Dim:
        """G·K·C·R·S."""
        return self.g * self.k * self.c * prod(self.kernel) if self.weighted else 0

    @property
    def activations(self) -> Dim:
        """N·G·K·P·Q."""
        return self.n * self.g * self.k * prod(self.written or self.positions)

    @property
    def kind(self) -> str:
        """standard, grouped, depthwise, pointwise, linear or matmul: read off the extents."""
        if not self.weighted:
            return "matmul"
        if not self.positions:
            return "linear"
        if self.g != 1:
            return "depthwise" if self.c == 1 else "grouped"
        return "pointwise" if all(extent == 1 for extent in self.kernel) else "standard"


class Elementwise(NamedTuple):
    """A body without multiply–accumulates: each element of `output` reads `taps` values.

    Where they are those under a `window` it says so; otherwise all of every input is read.

    >>> from costmodel import lower, mobilenet_v1
    >>> lower(mobilenet_v1())[2].elementwise
    (Elementwise(operation='batch_norm', output=(1, 32, 112, 112), taps=1, window=None),)
    """

    operation: str
    output: tuple[Dim, ...]
    taps: Dim = 1
    window: Window | None = None


Body = LoopNest | Elementwise


class Parameter(NamedTuple):
    """A parameter tensor: the layer that owns it, its role (weight, bias or norm), its size.

    >>> from costmodel import lower, mobilenet_v1
    >>> lower(mobilenet_v1())[1].parameters == (Parameter("conv1", "weight", 9 * 3 * 32),)
    True
    """

    owner: str
    role: str
    count: Dim


class Keeps(NamedTuple):
    """What a layer keeps for its backward pass.

    Its inputs, its output, or tensors of its own, each as elements and their bytes (0 is the
    dtype's width). A `product` keeps each factor that another's gradient needs. Of a view
    (`costmodel.core.orders`) what is kept is its input.
    """

    inputs: bool = False
    product: bool = False
    output: bool = False
    own: tuple[tuple[Dim, int], ...] = ()


NOTHING = Keeps()
INPUTS = Keeps(inputs=True)
PRODUCT = Keeps(product=True)
OUTPUT = Keeps(output=True)
