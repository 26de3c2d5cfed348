"""How torch was called for each layer of a traced model: it decides what some tools count."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from costmodel.core.network import Network


class Notice(StrEnum):
    """What tracing notices of a model that no layer shows, and some tool miscounts."""

    EINSUM_OF_A_LIST = "einsum of a list"
    SAME_OF_EVEN = "padding='same', even kernel"
    KEYWORD = "interpolation of a keyword"
    NO_BATCH = "image without a batch"
    NO_PARAMETERS = "module without parameters"
    UNUSED = "unused result"
    SIZES = "product of sizes"
    CONSTANTS = "work on constants"
    OWN_PARAMETERS = "parameters of a module of one's own"
    TWO_NAMES = "module under two names"


class Traced(NamedTuple):
    """A traced network, each layer's origin, and what was noticed when it was traced."""

    network: Network
    origins: Mapping[str, Origin]
    noticed: frozenset[Notice] = frozenset()


class Origin(NamedTuple):
    """Which function made a layer, in the forward pass of which module, and by which name.

    `module` is the class of the innermost module that ran, `torch.nn.Conv2d` or one of others',
    and nothing where that has modules of its own. A call was `named` if it looked its function up
    in torch when it was made, where a tool can replace it: `torch.matmul(a, b)` and not `a @ b`.
    `detail` is what else some tool looks at: the axis of a softmax; `in_place`; `to_size` or
    `by_factor`; `mode` of a padding in words; `unfused` attention; `apart` where torch adds a
    bias in a step of its own, since the input is not contiguous; the operator, `mv` or another,
    that a product with a vector becomes.
    """

    function: str
    module: str = ""
    named: bool = False
    detail: int | str = ""
