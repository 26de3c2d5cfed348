"""The report of the front door, which shows itself."""

from __future__ import annotations

from costmodel.reports.report import Report
from costmodel.show.record import to_json


class ShownReport(Report):
    r"""A report that Jupyter shows as a table, and that a program has as JSON.

    >>> print(ShownReport.of(alpha=0.25, resolution=128)._repr_markdown_().splitlines()[0])
    # mobilenet\_v1
    """

    def _repr_markdown_(self) -> str:
        # rich is slow to load, and no figure needs it
        from costmodel.show.report import to_markdown

        return to_markdown(self)

    def to_json(self) -> str:
        """Every figure as JSON text."""
        return to_json(self)


#: The main job, in a line: `Report.of`, for a person.
report = ShownReport.of
