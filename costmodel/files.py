"""Writing files so that an interrupted run leaves the old one as it was."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from costmodel.errors import CostModelError

if TYPE_CHECKING:
    from collections.abc import Iterator

IMAGES = ("png", "svg", "pdf")


#: Where the system keeps names for what a process has open: /dev/stdout, or a shell's >(…).
_OPEN = frozenset(map(Path, ("/dev", "/dev/fd", "/proc/self/fd")))


def check_target(path: str | Path) -> None:
    """Fail before the work, where a file could not be written after it.

    Raises CostModelError for a directory and for a folder that is missing or closed to us.
    """
    target = Path(path)
    try:
        if target.is_dir():
            raise CostModelError(f"cannot write {path}: it is a directory; name a file")
        if not target.parent.is_dir():
            raise CostModelError(
                f"cannot write {path}: there is no directory {target.parent}; make it first"
            )
        with suppress(FileNotFoundError):
            target.stat()
    except OSError as error:  # a loop of links, a name too long
        raise _cannot_write(path, error) from None
    if not os.access(target if target.exists() else target.parent, os.W_OK):
        raise CostModelError(f"cannot write {path}: permission denied; choose another place")


def _cannot_write(path: str | Path, error: OSError) -> CostModelError:
    why = error.strerror or str(error)
    return CostModelError(f"cannot write {path}: {why}; the old file, if any, is as it was")


def is_stream(path: str | Path) -> bool:
    """Whether what is written there is no file to replace: a device, a pipe, /dev/stdout."""
    target = Path(path)
    return target.exists() and (target.parent in _OPEN or not target.is_file())


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

    The temporary file is new and has a name that nobody can guess (`tempfile.mkstemp`).

    Raises CostModelError for what the system says of the writing, and the old file stays.
    """
    from tempfile import mkstemp  # slow to import, and few commands write

    check_target(path)
    try:
        if is_stream(path):
            yield Path(path)
            return
        target = Path(path).resolve()  # a link stays a link
        descriptor, name = mkstemp(".tmp", f".{target.name[:200]}.", target.parent)
        os.close(descriptor)
        temporary = Path(name)
        try:
            yield temporary
            if target.exists():
                shutil.copymode(target, temporary)
            else:
                temporary.chmod(0o666 & ~_umask())
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    except BrokenPipeError:  # the reader has seen enough
        raise
    except OSError as error:
        raise _cannot_write(path, error) from None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def make_directory(path: str | Path) -> Path:
    """The folder, made if it is not there.

    Raises CostModelError where it has no name, a file is in its place or it cannot be made.
    """
    if not str(path):
        raise CostModelError("a directory must have a name, got ''; . is the current one")
    directory = Path(path)
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = "it is a file" if isinstance(error, FileExistsError) else error.strerror
        raise CostModelError(f"cannot make the directory {path}: {why}; name another") from None
    return directory
