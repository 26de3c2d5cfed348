"""What a tool counts, as data, so that a cross-check is `==` and never a tolerance.

The figures of the tools differ because they count different things; each is a sum of parts
that the lowered network already holds.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Literal

from costmodel.lower import lower

if TYPE_CHECKING:
    from collections.abc import Iterable

    from costmodel.arithmetic import Dim
    from costmodel.lower import Lowered
    from costmodel.network import Network

#: What an elementwise rule multiplies: the elements a layer reads, or those it writes.
Per = Literal["read", "written"]


@dataclass(frozen=True)
class Convention:
    """A tool's count per multiply–accumulate and per element of elementwise operations.

    `elementwise` maps an operation to (per, factor, the tool's own name for it); operations
    that are not there count nothing.
    """

    name: str
    per_mac: int = 1
    elementwise: tuple[tuple[str, Per, int, str], ...] = ()

    def count(self, network: Network) -> Counter[str]:
        """The tool's count by operator.

        >>> from costmodel import mobilenet_v1
        >>> FVCORE.count(mobilenet_v1()).total()
        578875904
        """
        return self.count_layers(lower(network))

    def count_layers(self, layers: Iterable[Lowered]) -> Counter[str]:
        """The same of layers lowered already."""
        counts: Counter[str] = Counter()
        for layer in layers:
            for nest in layer.nests:
                operator = nest.kind if nest.kind in {"linear", "matmul"} else "conv"
                counts[operator] += self.per_mac * nest.macs
            for body in layer.elementwise:
                for operation, per, factor, operator in self.elementwise:
                    if body.operation == operation:
                        counts[operator] += factor * _elements(layer, per)
        return counts


def _elements(layer: Lowered, per: Per) -> Dim:
    shapes = layer.inputs if per == "read" else (layer.output,)
    return sum(prod(shape) for shape in shapes)


#: fvcore 0.1.5 in eval mode: a MAC is one, batch norm two per element (one without scale and
#: shift), adaptive average pooling of images one per element it reads; pooling of other kinds and
#: ranks, activations and additions are ignored.
FVCORE = Convention(
    "fvcore",
    elementwise=(
        ("batch_norm", "written", 2, "batch_norm"),
        ("batch_norm_without_affine", "written", 1, "batch_norm"),
        ("adaptive_average_pool2d", "read", 1, "adaptive_avg_pool2d"),
    ),
)
#: torch.utils.flop_counter.FlopCounterMode: a MAC is two, and nothing else counts.
TORCH = Convention("FlopCounterMode", per_mac=2)
