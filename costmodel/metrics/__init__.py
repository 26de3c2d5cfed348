"""What a network takes beside multiply–accumulates: memory, traffic, training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costmodel.lazy import lazy

if TYPE_CHECKING:
    from costmodel.metrics.memory import (
        MemoryRules,
        live_bytes,
        peak_activations,
        traffic,
        weight_bytes,
    )
    from costmodel.metrics.training import TrainingCost, kept_bytes, training_cost

__getattr__ = lazy(
    __name__,
    {
        "memory": "MemoryRules live_bytes peak_activations traffic weight_bytes",
        "training": "TrainingCost kept_bytes training_cost",
    },
)

__all__ = [
    "MemoryRules",
    "TrainingCost",
    "kept_bytes",
    "live_bytes",
    "peak_activations",
    "traffic",
    "training_cost",
    "weight_bytes",
]
