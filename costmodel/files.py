"""Writing files so that an interrupted run leaves the old one as it was."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from costmodel.errors import CostModelError

if TYPE_CHECKING:
    from collections.abc import Iterator

IMAGES = ("png", "svg", "pdf")


def check_target(path: str | Path) -> None:
    """Fail before the work, where a file could not be written after it.

    Raises CostModelError for a directory and for a folder that is missing or closed to us.
    """
    target = Path(path)
    if target.is_dir():
        raise CostModelError(f"cannot write {path}: it is a directory; name a file")
    if not target.parent.is_dir():
        raise CostModelError(
            f"cannot write {path}: there is no directory {target.parent}; make it first"
        )
    if not os.access(target if target.exists() else target.parent, os.W_OK):
        raise CostModelError(f"cannot write {path}: permission denied; choose another place")


def image_format(path: str | Path) -> str:
    """The kind of image that a file's name asks for.

    >>> image_format("figures/plan.svg")
    'svg'

    Raises CostModelError for another than png, svg and pdf.
    """
    kind = Path(path).suffix[1:].lower()
    if kind not in IMAGES:
        raise CostModelError(f"an image is a file named .{', .'.join(IMAGES)}, got {path}")
    return kind


def write_atomically(path: str | Path, data: str | bytes) -> None:
    """Write to a temporary name beside `path`, then rename; a device or pipe is written directly.

    Raises CostModelError for a directory, a missing folder, or a place that cannot be written.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(data.encode() if isinstance(data, str) else data)


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A name to write to; once the block has ended well, what was written takes `path`'s place.

    Raises CostModelError for what the system says of the writing, and the old file stays.
    """
    check_target(path)
    target = Path(path).resolve()  # a link stays a link
    direct = target.exists() and not target.is_file()
    temporary = target if direct else target.with_name(f".{target.name[:200]}.{os.getpid()}.tmp")
    try:
        yield temporary
        if not direct:
            if target.exists():
                shutil.copymode(target, temporary)
            temporary.replace(target)
    except OSError as error:
        why = error.strerror or str(error)
        raise CostModelError(
            f"cannot write {path}: {why}; the old file, if any, is as it was"
        ) from None
    finally:
        if not direct:
            temporary.unlink(missing_ok=True)


def make_directory(path: str | Path) -> Path:
    """The folder, made if it is not there.

    Raises CostModelError where a file is in its place or it cannot be made.
    """
    directory = Path(path)
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = "it is a file" if directory.is_file() else error.strerror
        raise CostModelError(f"cannot make the directory {path}: {why}; name another") from None
    return directory
