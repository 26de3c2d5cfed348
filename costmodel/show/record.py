"""A report as plain data and as JSON."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from costmodel.algebra.notation import estimated
from costmodel.core.quantities import columns
from costmodel.reports.report import Unchecked
from costmodel.reports.rows import record
from costmodel.reports.timing import device_record

if TYPE_CHECKING:
    from costmodel.core.cost import Cost
    from costmodel.reports.report import Report
    from costmodel.tools.crosscheck import CrossCheck

#: What the figures beside the quantities include.
SCHEMA = {
    "version": 1,
    "unknown": "layers no rule knows: their counts are null, and the totals lower bounds",
    "bytes": "compulsory float32 traffic: touched input, params and output once each, batch norm "
    "and activation fused; intensity is macs / bytes",
    "memory": "bytes of weights, and the most of live activations in the network's order, the "
    "input counted, nothing in place",
    "training": "macs of a forward and a backward pass, and the float32 bytes that torch keeps "
    "for it, parameters apart; null where a layer has no rule",
    "reference_macs": "fvcore's count of the layer in a real torch model (of a traced model, "
    "FlopCounterMode's / 2); null where unchecked",
    "before": "the network before it was separated, widened and resized; null unless asked",
    "bound": "what most of a layer's time_s is for: starting it (overhead), its MACs (compute), or "
    "the bytes it reads and writes (memory); only with a device",
    "measured": "seconds of the model run here, as a whole and added up over layers, and how far "
    "the fastest passes of two halves of the time are apart; only with --measure",
    "reduction": "a depthwise separable pair's macs over the standard convolution it replaces",
    "closed_form": "without rounding: every width α times and every map's side ρ times what it is "
    "at α = ρ = 1 (Howard et al. 2017, §3.3, §3.4); exact there, and where nothing is rounded",
}


def as_dict(report: Report) -> dict[str, Any]:
    """Everything as plain data; `schema` says what the figures include."""
    form = report.closed_form
    return {
        "schema": {name: row.what for name, row in report.quantities.items()} | SCHEMA,
        "network": report.network.name,
        "alpha": float(report.alpha),
        "rho": None if report.rho is None else float(report.rho),
        "resolution": _plain(report.resolution),
        "classes": report.classes,
        "batch": report.batch,
        "rounding": report.network.rounding,
        **device_record(report.device),
        "totals": {
            **report.total.quantities,
            "flops": report.total.flops,
            "unknown": list(report.total.unknown),
        },
        "by_kind": report.by_kind,
        "params_by_part": dict(report.params_by_part),
        "before": report.total_before and _in_columns(report, report.total_before),
        "standard": report.standard and _in_columns(report, report.standard),
        "memory": [
            {
                "rules": str(footprint.rules),
                "weight_bytes": footprint.weight_bytes,
                "peak_bytes": footprint.peak.bytes,
                "peak_layer": footprint.peak.layer,
            }
            for footprint in report.memory
        ],
        "training": report.training
        and {
            "forward_macs": report.training.cost.forward,
            "backward_macs": report.training.cost.backward,
            "kept_bytes": report.training.kept_bytes,
        },
        **_measured(report),
        "layers": records(report),
        "closed_form": form
        and {"macs": str(form.macs), "params": str(form.params), "latex": form.latex}
        | ({} if report.time_form is None else {"time_s": estimated(report.time_form, 6)}),
        "check": _check_dict(report.check),
    }


def records(report: Report) -> list[dict[str, Any]]:
    """The rows as plain data, with fvcore's count."""
    listed = []
    for row in report.rows:
        plain = record(row, report.quantities)
        reduction = plain.pop("reduction")
        measured = report.reference_macs(row.name)
        before = {"macs_before": report.macs_before.get(row.name)} if report.before else {}
        clock = {"measured_s": report.measured_s(row)} if report.measured else {}
        plain |= before | clock | {"reference_macs": measured, "reduction": reduction}
        listed.append(plain)
    return listed


def _measured(report: Report) -> dict[str, Any]:
    if report.measured is None:
        return {}
    whole, layers, apart = (getattr(report.measured, x) for x in ("whole", "total", "apart"))
    return {"measured": {"whole_s": whole, "sum_of_layers_s": layers, "halves_apart": apart}}


def to_json(report: Report) -> str:
    """`as_dict` as JSON text."""
    return json.dumps(as_dict(report), indent=2, ensure_ascii=False) + "\n"


def _in_columns(report: Report, total: Cost) -> dict[str, int]:
    return {name: getattr(total, name) for name in columns(report.quantities)}


def _plain(sides: tuple[int, ...]) -> int | list[int] | None:
    if not sides:
        return None
    return sides[0] if sides.count(sides[0]) == len(sides) else list(sides)


def _check_dict(check: CrossCheck | Unchecked) -> dict[str, object]:
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
