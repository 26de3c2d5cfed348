"""The loop nest: one equation for every layer that multiplies and accumulates.

    O[n,g,k,p,q] += W[g,k,c,r,s] · I[n,g,c, p·stride + r·dilation, q·stride + s·dilation]

MACs are the product of all extents, parameters the product over W's indices, activations the
product over O's. Standard convolution: G = 1; depthwise: K = C = 1, G = C_in; pointwise:
R = S = 1; linear: no spatial axes at all.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from costmodel.algebra.arithmetic import Dim


class LoopNest(NamedTuple):
    """The extents of one equation; `positions` are P, Q, … and `kernel` is R, S, ….

    `weighted` says whether the second operand is a weight or an activation (as in QKᵀ);
    `written` are the output's positions where they are not the loop's: a transposed
    convolution loops over its input's.

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

    >>> from costmodel import lower, mobilenet_v1
    >>> lower(mobilenet_v1())[2].elementwise
    (Elementwise(operation='batch_norm', output=(1, 32, 112, 112), taps=1),)
    """

    operation: str
    output: tuple[Dim, ...]
    taps: Dim = 1


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
