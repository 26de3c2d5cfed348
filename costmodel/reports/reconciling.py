"""A report's network, reconciled with what the tools print."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING

from costmodel.errors import CostModelError
from costmodel.reports.checking import too_large, written_modules
from costmodel.tools.crosscheck import BUILT
from costmodel.tools.reconciling import built, reconcile, reconcile_model

if TYPE_CHECKING:
    from costmodel.reports.report import Report
    from costmodel.tools.reconciling import Reconciliation


def reconciled(report: Report, *, run: bool = False) -> Reconciliation:
    """The report's network reconciled: run on its own module, or on the paper's, if there is one.

    >>> from costmodel import report
    >>> reconciled(report(alpha=0.25, resolution=32), run=True).model
    'a real torch model'

    Raises CostModelError, as `reconcile` does, and for a network too large to run.
    """
    if report.module is not None and report.before is not None:
        return _rewritten(report, run=run)
    module = report.module
    if not run:
        return reconcile(report.network, module)
    if obstacle := too_large(report):
        raise CostModelError(f"the tools cannot be run: {obstacle}")
    written = written_modules(report) if module is None and find_spec("torch") else ()
    return reconcile(report.network, *written[:1] or (module,), run=True)


def _rewritten(report: Report, *, run: bool) -> Reconciliation:
    """A traced network that was rewritten: what the tools print depends on how it is built."""
    module, size = built(report.network).eval(), report.network.inputs[0].shape[1:]
    return replace(reconcile_model(module, size, run=run), model=BUILT if run else "")
