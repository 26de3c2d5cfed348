"""The rules by which layers become torch modules: one for each kind, and a user's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from costmodel.errors import CostModelError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from costmodel.core.layer import Layer

    Rule = Callable[..., nn.Module]


class Rules(dict[type, Any]):
    """One function per layer type; a subclass follows its base; a second rule is an error.

    The mapping itself remembers which rule each type met so far follows, or None.
    """

    def __init__(self) -> None:
        """Begin without rules."""
        self.registered: dict[type, Rule] = {}

    def __call__(self, kind: type) -> Callable[[Rule], Rule]:
        """Decorate the rule of `kind`."""

        def register(rule: Rule) -> Rule:
            if kind in self.registered:
                raise CostModelError(f"{kind.__name__} has a rule already; register a subclass")
            self.registered[kind] = rule
            self.clear()
            return rule

        return register

    def __missing__(self, kind: type) -> Any:
        bases = (base for base in kind.__mro__ if base in self.registered)
        return self.setdefault(kind, self.registered.get(next(bases, kind)))


#: Rules (layer, input shapes, output shape) → a torch module, called on what the layer reads.
build_rule = Rules()


def of_rank(layer: Layer, kind: str, rank: int) -> type[nn.Module]:
    """torch's class for as many spatial axes: Conv2d, say.

    >>> from costmodel.layers import Activation
    >>> of_rank(Activation("act"), "Conv", 2).__name__
    'Conv2d'

    Raises CostModelError where torch has none.
    """
    from torch import nn

    if rank not in {1, 2, 3}:
        raise CostModelError(
            f"{layer.name}: torch has a {kind} over 1, 2 or 3 spatial axes, got {rank}; merge some"
        )
    return getattr(nn, f"{kind}{rank}d")  # type: ignore[no-any-return]
