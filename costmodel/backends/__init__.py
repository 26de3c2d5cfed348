"""A network as a real torch module, and the counts of that beside ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costmodel.lazy import lazy

if TYPE_CHECKING:
    from costmodel.backends.building import build as build
    from costmodel.backends.rule import build_rule as build_rule

__getattr__ = lazy(__name__, {"building": "build", "rule": "build_rule"})
