"""What Jupyter shows of a report."""

from __future__ import annotations

from costmodel.reports.report import Report


class ShownReport(Report):
    r"""A report that Jupyter shows as a table.

    >>> print(ShownReport.of(alpha=0.25, resolution=128)._repr_markdown_().splitlines()[0])
    # mobilenet\_v1
    """

    def _repr_markdown_(self) -> str:
        from costmodel.show.report import (
            to_markdown,
        )  # rich is slow to load, and no figure needs it

        return to_markdown(self)


#: The main job, in a line: `Report.of`, for a person.
report = ShownReport.of
