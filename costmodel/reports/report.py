"""The main job: a network at α and ρ, costed layer by layer and checked against torch."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from costmodel.algebra.arithmetic import MAX_ALPHA, is_symbolic, multiplier, rational
from costmodel.core.cost import Cost, cost
from costmodel.core.rewrite import IMAGE_AXES, join, resize, separable_pairs, separate, widen
from costmodel.core.symbolic import require_numbers
from costmodel.errors import CostModelError
from costmodel.metrics.memory import MemoryRules, Peak, peak_activations, weight_bytes
from costmodel.metrics.training import TrainingCost, kept_bytes, training_cost
from costmodel.planners.limits import sides
from costmodel.reports.checking import SKIPPED, Unchecked, checked
from costmodel.reports.formulas import ClosedForm, closed_form
from costmodel.reports.loading import DEFAULT, base_network, require_image
from costmodel.reports.rows import Row, by_kind, params_by_part, record, rows
from costmodel.tools.crosscheck import CrossCheck

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from torch import nn

    from costmodel.core.network import Network

SCHEMA = {
    "version": 1,
    "params": "each layer's weights and bias, and the scale and shift of the batch norm after it",
    "macs": "multiply–accumulates, taps on padding included; flops are 2 · macs",
    "unknown": "layers no rule knows: their counts are null, and the totals lower bounds",
    "activations": "elements of convolution and linear outputs",
    "bytes": "compulsory float32 traffic: touched input, params and output once each, batch norm "
    "and activation fused; intensity is macs / bytes",
    "memory": "bytes of weights, and the most of live activations in the network's order, the "
    "input counted, nothing in place",
    "training": "macs of a forward and a backward pass, and the float32 bytes that torch keeps "
    "for it, parameters apart; null where a layer has no rule",
    "reference_macs": "fvcore's count of the layer in a real torch model (of a traced model, "
    "FlopCounterMode's / 2); null where unchecked",
    "before": "the network before it was separated, widened and resized; null unless asked",
    "reduction": "a depthwise separable pair's macs over the standard convolution it replaces",
    "closed_form": "without rounding: every width α times and every map's side ρ times what it is "
    "at α = ρ = 1 (Howard et al. 2017, §3.3, §3.4); exact there, and where nothing is rounded",
}


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

    @classmethod
    def of(  # noqa: PLR0913 - one for each option of the command
        cls,
        network: str | Network = DEFAULT,
        *,
        alpha: Any = 1,
        rho: Any = None,
        resolution: Any = None,
        classes: Any = None,
        rounding: str | None = None,
        axes: Any = IMAGE_AXES,
        separated: bool = False,
        module: nn.Module | None = None,
    ) -> Self:
        """Cost a network of the zoo, a network in a JSON file, or a Network, unchecked so far.

        ρ scales `axes`, by default an image's height and width, as in `resize`.
        With `separated` its standard convolutions are factorised first (§3.1); `module` is what a
        Network was traced from. Of both, the report shows the costs before, too.

        >>> Report.of(alpha=0.75, rho=0.857).total.macs
        239273472
        >>> made = Report.of("vgg_16", separated=True)
        >>> made.total_before.macs, made.total.macs
        (15470264320, 1910551552)

        Raises CostModelError for values outside their range.
        """
        original, classes = base_network(network, classes, rounding)
        base = separate(original) if separated else original
        width = multiplier(alpha, "alpha", MAX_ALPHA)
        resized = _resized(base, rho, resolution, axes)
        made = widen(resized, width)
        require_numbers(made, "a report")
        if (rho, resolution) != (None, None):
            require_image(made)
        symbolic = any(is_symbolic(side) for layer in base.inputs for side in layer.shape)
        return cls(
            resized if symbolic else base,
            made,
            width,
            rational(rho, "rho") if rho is not None else _implied_rho(base, resized, axes),
            classes,
            original if (separated or module) and made != original else None,
            module,
            axes,
        )

    @property
    def resolution(self) -> tuple[int, ...]:
        """The sides of the (first) input."""
        return self.network.inputs[0].shape[2:]

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
        return rows(self.network)

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
        return None if self.before is None else cost(self.before)

    @cached_property
    def total(self) -> Cost:
        """The network's cost."""
        return cost(self.network)

    @cached_property
    def standard(self) -> Cost | None:
        """The cost with standard convolutions in place of the separable pairs, if any."""
        return cost(join(self.network)) if separable_pairs(self.network) else None

    @cached_property
    def closed_form(self) -> ClosedForm | None:
        """The formula in α and ρ; None where the relaxed cost is no polynomial."""
        try:
            return closed_form(self.base, self.axes)
        except CostModelError:
            return None

    @cached_property
    def by_kind(self) -> dict[str, dict[str, Any]]:
        """MACs and params by kind of layer."""
        return by_kind(self.rows)

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

    def reference_macs(self, name: str) -> int | None:
        """fvcore's MACs for a layer, where it was checked."""
        return self.check.reference_macs.get(name) if isinstance(self.check, CrossCheck) else None

    def checked(self) -> Self:
        """The report with the check made, or the reason why it cannot be made here."""
        return replace(self, check=checked(self))

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain data; `schema` says what the figures include."""
        form = self.closed_form
        return {
            "schema": SCHEMA,
            "network": self.network.name,
            "alpha": float(self.alpha),
            "rho": None if self.rho is None else float(self.rho),
            "resolution": _plain(self.resolution),
            "classes": self.classes,
            "rounding": self.network.rounding,
            "totals": {
                "params": self.total.params,
                "macs": self.total.macs,
                "flops": self.total.flops,
                "activations": self.total.activations,
                "unknown": list(self.total.unknown),
            },
            "by_kind": self.by_kind,
            "params_by_part": dict(self.params_by_part),
            "before": self.total_before
            and {"params": self.total_before.params, "macs": self.total_before.macs},
            "standard": self.standard
            and {"params": self.standard.params, "macs": self.standard.macs},
            "memory": [
                {
                    "rules": str(footprint.rules),
                    "weight_bytes": footprint.weight_bytes,
                    "peak_bytes": footprint.peak.bytes,
                    "peak_layer": footprint.peak.layer,
                }
                for footprint in self.memory
            ],
            "training": self.training
            and {
                "forward_macs": self.training.cost.forward,
                "backward_macs": self.training.cost.backward,
                "kept_bytes": self.training.kept_bytes,
            },
            "layers": self.records(),
            "closed_form": form
            and {"macs": str(form.macs), "params": str(form.params), "latex": form.latex},
            "check": _check_dict(self.check),
        }

    def records(self) -> list[dict[str, Any]]:
        """The rows as plain data, with fvcore's count."""
        records = []
        for row in self.rows:
            plain = record(row)
            reduction = plain.pop("reduction")
            measured = self.reference_macs(row.name)
            before = {"macs_before": self.macs_before.get(row.name)} if self.before else {}
            plain |= before | {"reference_macs": measured, "reduction": reduction}
            records.append(plain)
        return records

    def to_json(self) -> str:
        """`as_dict` as JSON text."""
        return json.dumps(self.as_dict(), indent=2, ensure_ascii=False) + "\n"


def _plain(sides: tuple[int, ...]) -> int | list[int] | None:
    if not sides:
        return None
    return sides[0] if sides.count(sides[0]) == len(sides) else list(sides)


def _check_dict(check: CrossCheck | Unchecked) -> dict[str, Any]:
    if isinstance(check, Unchecked):
        return {"status": check.status, "reason": check.reason, "tools": {}, "mismatches": []}
    return {
        "status": check.status,
        "model": check.model,
        "comparisons": len(check.comparisons),
        "tools": dict(check.tools),
        "deviations": list(check.explanations),
        "mismatches": [
            {
                "layer": c.layer,
                "quantity": c.quantity,
                "tool": c.tool,
                "expected": str(c.expected) if isinstance(c.expected, Fraction) else c.expected,
                "measured": str(c.measured) if isinstance(c.measured, Fraction) else c.measured,
            }
            for c in check.mismatches
        ],
    }


def _resized(base: Network, rho: Any, resolution: Any, axes: tuple[int, ...]) -> Network:
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
