"""What an algebra is: the few operations that must know what kind of quantity they work on.

Everything above multiplies, divides and adds, which all quantities do alike. What is left
(ceilings, roundings, comparisons) each kind does in a module of its own: `numbers`, `symbols`,
`polynomial`, `grids`, `emitted` and `forms`. `arithmetic` asks the one that a value belongs to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from costmodel.algebra.numbers import Dim


class Algebra(Protocol):
    """A module with these functions, of which one argument at least is a quantity of its own."""

    @property
    def FORMULAS(self) -> bool:  # noqa: N802 - a module's constant
        """Whether its quantities are formulas, with no value that a size could differ from."""

    def ceil_div(self, size: Dim, stride: Dim) -> Dim:
        """⌈size / stride⌉, the number of positions of a window that moves by `stride`."""

    def ceil_mode_size(self, span: Dim, padded: Dim, stride: Dim) -> Dim:
        """min(⌈span / stride⌉ + 1, ⌈padded / stride⌉), those of a pooling window in ceil_mode."""

    def round_size(self, size: Dim, rho: Dim) -> Dim:
        """size·ρ to the nearest integer, halves to even."""

    def scale_channels(self, count: Dim, alpha: Dim, divisor: int | None, groups: int = 1) -> Dim:
        """α·count as whole channels: a divisor of 1 is `floor`, n `divisible(n)`, None `exact`."""

    def at_least_one(self, alpha: Dim) -> Dim:
        """max(1, α)."""

    def below(self, size: Dim, least: int) -> bool:
        """Whether a size is certain to be under the least; grids and code refuse it themselves."""

    def must_equal(self, size: Dim, other: Dim, what: str) -> bool:
        """Whether they are equal; where that is seen to later, True, and `what` says who asks."""
