"""The paper's mult-adds, which no tool prints: every multiply–accumulate, and nothing else."""

from __future__ import annotations

from costmodel.core.layer import UNKNOWN
from costmodel.tools import convention as c
from costmodel.tools.convention import MAC, Tool, rules
from costmodel.tools.operations import RECURRENT

#: The paper's mult-adds (Howard et al. 2017, §3.1), and our own MACs.
PAPER = Tool(
    "paper",
    "mult-adds",
    (
        *c.MACS,
        *c.BELOW,
        *c.TRANSPOSED_MACS,
        *rules("mv matmul_vector addmv addbmm", 1, MAC, "matmul"),
        *rules(f"{c.FUSED} {c.UNFUSED} multi_head_attention_forward", 1, MAC, "attention"),
        *rules(RECURRENT, 1, MAC, "recurrent"),
        *rules(UNKNOWN, 1, MAC, "layers of one's own"),
    ),
)
