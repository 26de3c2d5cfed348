"""Pictures as files: PNG, SVG and PDF."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costmodel.files import image_format, make_directory, write_atomically
from costmodel.show.plots.style import image

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from matplotlib.figure import Figure


def save_figures(figures: Mapping[str, Figure], directory: str | Path) -> tuple[Path, ...]:
    """Write NAME.png (200 dpi) and NAME.svg of each figure; returns the paths.

    The directory is made if need be. Each file is replaced whole: what interrupts the writing
    leaves the old one.

    Raises CostModelError where the directory is a file or cannot be written to.
    """
    folder = make_directory(directory)
    paths = [folder / f"{name}.{kind}" for name in figures for kind in ("png", "svg")]
    for path in paths:
        save_figure(figures[path.stem], path)
    return tuple(paths)


def save_figure(figure: Figure, path: str | Path) -> None:
    """Write one figure as the PNG (200 dpi), SVG or PDF that its name asks for.

    Raises CostModelError for another kind of file and a place that cannot be written.
    """
    write_atomically(path, image(figure, image_format(path)))
