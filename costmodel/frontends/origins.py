"""How torch was called for each layer of a traced model: it decides what some tools count."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from costmodel.core.network import Network


class Notice(Enum):
    """What tracing notices of a model that no layer shows, and some tool miscounts."""

    EINSUM_OF_A_LIST = auto()
    SAME_OF_EVEN = auto()  # padding='same' of an even kernel
    KEYWORD = auto()  # interpolate(input=x)
    NO_BATCH = auto()  # an image without one
    NO_PARAMETERS = auto()
    UNUSED = auto()  # a result that nothing reads
    SIZES = auto()  # a product of two of them
    CONSTANTS = auto()  # work on parameters and buffers alone
    OWN_PARAMETERS = auto()  # called weight or bias, in a module that is not torch's
    TWO_NAMES = auto()  # of one module


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
