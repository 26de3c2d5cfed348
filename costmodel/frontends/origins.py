"""How torch was called for each layer of a traced model: it decides what some tools count."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from costmodel.core.network import Network


class Traced(NamedTuple):
    """A traced network, each layer's origin, and the names of the deviations that were noticed."""

    network: Network
    origins: Mapping[str, Origin]
    noticed: frozenset[str] = frozenset()


class Origin(NamedTuple):
    """Which function made a layer, in the forward pass of which module, and by which name.

    `module` is the class of the innermost module that ran, `torch.nn.Conv2d` or one of others',
    and nothing where that has modules of its own. A call was `named` if it looked its function up
    in torch when it was made, where a tool can replace it: `torch.matmul(a, b)` and not `a @ b`.
    `detail` is what else some tool looks at: the axis of a softmax; `in_place`; `to_size` or
    `by_factor`; `mode` of a padding in words; `unfused` attention; `apart` where torch adds a
    bias in a step of its own, since the input is not contiguous; the operator, `mv` or another,
    that a product with a vector becomes.

    >>> Origin("conv2d", "torch.nn.Conv2d", named=True).is_seen_by("class")
    True
    """

    function: str
    module: str = ""
    named: bool = False
    detail: int | str = ""

    def is_seen_by(self, means: str) -> bool:
        """Whether a tool sees the call that looks at what a rule says it does."""
        match means:
            case "class":
                return self.module.startswith("torch.nn.")
            case "name":
                return self.named
            case "leaf called Conv":
                return "Conv" in self.module.rpartition(".")[2]
            case "other leaf":
                return bool(self.module) and "Conv" not in self.module.rpartition(".")[2]
        return True
