"""The main job: a network at α and ρ, costed layer by layer and checked against torch."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from costmodel.algebra.arithmetic import is_symbolic, multiplier
from costmodel.algebra.numbers import MAX_ALPHA, rational
from costmodel.algebra.polynomial import ALPHA, RHO, Polynomial
from costmodel.core.cost import Cost, cost
from costmodel.core.rewrite import IMAGE_AXES, rebatch, resize, widen
from costmodel.core.symbolic import require_numbers
from costmodel.errors import CostModelError
from costmodel.layers.factorising import join, separable_pairs, separate
from costmodel.metrics.memory import MemoryRules, Peak, peak_activations, weight_bytes
from costmodel.metrics.timing import additive, time
from costmodel.metrics.training import TrainingCost, kept_bytes, training_cost
from costmodel.planners.limits import sides
from costmodel.reports.formula import ClosedForm, closed_form
from costmodel.reports.loading import DEFAULT, base_network, require_image
from costmodel.reports.rows import Row, by_kind, params_by_part, rows
from costmodel.tools.crosscheck import CrossCheck

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from torch import nn

    from costmodel.algebra.arithmetic import Dim
    from costmodel.backends.measuring import Measured
    from costmodel.core.network import Network
    from costmodel.core.quantities import Quantity
    from costmodel.metrics.devices import Device


class Footprint(NamedTuple):
    """What a network's weights take, and its activations at their peak."""

    rules: MemoryRules
    weight_bytes: int
    peak: Peak


class Training(NamedTuple):
    """MACs of a training step, and the bytes of activations kept for its backward pass."""

    cost: TrainingCost
    kept_bytes: int


MEMORY_RULES = (MemoryRules(), MemoryRules("float16"), MemoryRules("int8", fold_batch_norm=True))


@dataclass(frozen=True)
class Unchecked:
    """Why there is no cross-check: `skipped` on request or `unavailable` here."""

    status: str
    reason: str


SKIPPED = Unchecked("skipped", "the check was left out")


@dataclass(frozen=True)
class Report:
    """A network at α and ρ: its rows, totals, closed form, standard twin and check."""

    base: Network
    network: Network
    alpha: Fraction
    rho: Fraction | None
    classes: int | None
    #: The network before its convolutions were separated, or as it was traced, to compare with.
    before: Network | None = None
    #: The torch module that it was traced from.
    module: nn.Module | None = None
    #: The axes that ρ scales, from the last (-1).
    axes: tuple[int, ...] = IMAGE_AXES
    check: CrossCheck | Unchecked = SKIPPED
    #: What time is estimated on, if it is.
    device: Device | None = None
    #: What the clock says of it here, if it was asked.
    measured: Measured | None = None

    @classmethod
    def of(  # noqa: PLR0913 - one for each option of the command
        cls,
        network: str | Network = DEFAULT,
        *,
        alpha: Dim = 1,
        rho: Dim | None = None,
        resolution: Dim | tuple[Dim, ...] | None = None,
        classes: Dim | None = None,
        rounding: str | None = None,
        axes: tuple[int, ...] = IMAGE_AXES,
        separated: bool = False,
        module: nn.Module | None = None,
        device: Device | None = None,
        batch: int = 1,
    ) -> Self:
        """Cost a network of the zoo, a network in a JSON file, or a Network, unchecked so far.

        ρ scales `axes`, by default an image's height and width, as in `resize`.
        With `separated` its standard convolutions are factorised first (§3.1); `module` is what a
        Network was traced from. Of both, the report shows the costs before, too.

        >>> Report.of(alpha=0.75, rho=0.857).total.macs
        239273472
        >>> vgg = Report.of("vgg_16", separated=True)
        >>> vgg.total_before.macs, vgg.total.macs
        (15470264320, 1910551552)

        Raises CostModelError for values outside their range.
        """
        original, classes = base_network(network, classes, rounding)
        original = original if batch == 1 else rebatch(original, batch)
        base = separate(original) if separated else original
        width = multiplier(alpha, "alpha", MAX_ALPHA)
        resized = _resized(base, rho, resolution, axes)
        widened = widen(resized, width)
        require_numbers(widened, "a report")
        if (rho, resolution) != (None, None):
            require_image(widened)
        symbolic = any(is_symbolic(side) for layer in base.inputs for side in layer.shape)
        return cls(
            resized if symbolic else base,
            widened,
            width,
            rational(rho, "rho") if rho is not None else _implied_rho(base, resized, axes),
            classes,
            original if (separated or module) and widened != original else None,
            module,
            axes,
            device=device,
        )

    @property
    def resolution(self) -> tuple[int, ...]:
        """The sides of the (first) input."""
        return self.network.inputs[0].shape[2:]

    @property
    def batch(self) -> int:
        """How many images at once."""
        return int(self.network.inputs[0].shape[0])

    @property
    def scale(self) -> Fraction | None:
        """D / D₀, which ρ was rounded to; None where the sides have no one ratio."""
        return _implied_rho(self.base, self.network, self.axes)

    @property
    def rewritten(self) -> bool:
        """Whether α or the factorisation made it another network than the one to compare with."""
        return self.before is not None and (self.alpha != 1 or self.before != self.base)

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        """A row per layer, batch norm folded in."""
        return rows(self.network, self.device)

    @property
    def quantities(self) -> Mapping[str, Quantity]:
        """What there is a total of, and of what has a column, a figure in each row."""
        return additive(self.device)

    @cached_property
    def macs_before(self) -> Mapping[str, int]:
        """By row, the MACs before: those of a separated convolution stand at its pointwise part."""
        if self.before is None:
            return {}
        before = {row.name: row.macs for row in rows(self.before)}
        joined = {pair.pointwise: pair.joined for pair in separable_pairs(self.network)}
        names = {row.name: row.name for row in self.rows} | joined
        return {
            name: before[of if of in before else name]
            for name, of in names.items()
            if of in before or name in before
        }

    @cached_property
    def total_before(self) -> Cost | None:
        """The cost before."""
        return None if self.before is None else cost(self.before, rows=self.quantities)

    @cached_property
    def total(self) -> Cost:
        """The network's cost."""
        return cost(self.network, rows=self.quantities)

    @cached_property
    def standard(self) -> Cost | None:
        """The cost with standard convolutions in place of the separable pairs, if any."""
        pairs = separable_pairs(self.network)
        return cost(join(self.network), rows=self.quantities) if pairs else None

    @cached_property
    def closed_form(self) -> ClosedForm | None:
        """The formula in α and ρ; None where the relaxed cost is no polynomial."""
        try:
            return closed_form(self.base, self.axes)
        except CostModelError:
            return None

    @cached_property
    def by_kind(self) -> dict[str, dict[str, Dim | None]]:
        """What has a column by kind of layer."""
        return by_kind(self.rows, self.quantities)

    @cached_property
    def time_form(self) -> Polynomial | None:
        """The formula of time in α and ρ; None without a device, or where it is no polynomial."""
        if self.device is None or self.closed_form is None:
            return None
        relaxed = widen(resize(self.base, rho=RHO, axes=self.axes), ALPHA)
        form: Polynomial = Polynomial({}) + time(relaxed, self.device)
        return form

    @cached_property
    def params_by_part(self) -> Mapping[str, int]:
        """Params of convolutions, linear layers, norms and so on; none is empty."""
        return params_by_part(self.network)

    @cached_property
    def memory(self) -> tuple[Footprint, ...]:
        """Weights and peak under `MEMORY_RULES`; nothing where a layer is unknown."""
        if self.total.unknown:
            return ()
        network = self.network
        return tuple(
            Footprint(rules, weight_bytes(network, rules), peak_activations(network, rules))
            for rules in MEMORY_RULES
        )

    @cached_property
    def training(self) -> Training | None:
        """A step's cost; None where it is not known what a layer keeps."""
        try:
            return Training(training_cost(self.network), kept_bytes(self.network))
        except CostModelError:
            return None

    @property
    def failed(self) -> bool:
        """Whether a check was made and found a difference."""
        return self.check.status == "failed"

    def measured_s(self, row: Row) -> float | None:
        """The seconds that were measured of a row's layers, where they were."""
        if self.measured is None:
            return None
        return sum(self.measured.layers.get(name, 0.0) for name in row.layers)

    def reference_macs(self, name: str) -> int | None:
        """fvcore's MACs for a layer, where it was checked."""
        return self.check.reference_macs.get(name) if isinstance(self.check, CrossCheck) else None


def _resized(
    base: Network, rho: Dim | None, resolution: Dim | tuple[Dim, ...] | None, axes: tuple[int, ...]
) -> Network:
    if rho is not None and resolution is not None:
        raise CostModelError(
            f"rho {rho} and resolution {resolution} both set the input's size; give one"
        )
    if resolution is not None:
        return resize(base, resolution=sides(resolution), axes=axes)
    return resize(base, rho=1 if rho is None else rho, axes=axes)


def _implied_rho(base: Network, resized: Network, axes: tuple[int, ...]) -> Fraction | None:
    """D / D₀ where every side of `axes` has the same ratio and no other has changed, else None."""
    before, after = (network.inputs[0].shape[2:] for network in (base, resized))
    if len(before) != len(after):
        return None
    if any(map(is_symbolic, before)):
        return None
    ratios = [Fraction(b, a) for a, b in zip(before, after, strict=True)]
    scaled = {ratios.pop(axis) for axis in sorted(axes) if -len(before) <= axis}
    return scaled.pop() if len(scaled) == 1 and set(ratios) <= {1} else None
