"""A network by name and settings, and all that is said of it: rows, formulas and the check."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costmodel.lazy import lazy

if TYPE_CHECKING:
    from costmodel.reports.formula import closed_form as closed_form, formulas as formulas
    from costmodel.reports.report import Report as Report
    from costmodel.reports.rows import table as table

__getattr__ = lazy(
    __name__, {"formula": "closed_form formulas", "report": "Report", "rows": "table"}
)
