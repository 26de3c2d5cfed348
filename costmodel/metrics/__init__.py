"""What a network takes beside multiply–accumulates: memory, traffic, training, time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costmodel.lazy import lazy

if TYPE_CHECKING:
    from costmodel.metrics.devices import Device as Device, device as device
    from costmodel.metrics.memory import (
        MemoryRules as MemoryRules,
        live_bytes as live_bytes,
        peak_activations as peak_activations,
        traffic as traffic,
        weight_bytes as weight_bytes,
    )
    from costmodel.metrics.timing import time as time
    from costmodel.metrics.training import (
        TrainingCost as TrainingCost,
        kept_bytes as kept_bytes,
        training_cost as training_cost,
    )

__getattr__ = lazy(
    __name__,
    {
        "devices": "Device device",
        "memory": "MemoryRules live_bytes peak_activations traffic weight_bytes",
        "timing": "time",
        "training": "TrainingCost kept_bytes training_cost",
    },
)
