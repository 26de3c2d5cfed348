"""Files are replaced whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from costmodel import CostModelError
from costmodel.files import check_target, make_directory, write_atomically


def test_a_file_is_replaced(tmp_path: Path) -> None:
    """The new content is there, the permissions are the old file's, and nothing else is left."""
    target = tmp_path / "file"
    target.write_text("old")
    target.chmod(0o640)
    write_atomically(target, "new")
    assert target.read_text() == "new"
    assert target.stat().st_mode & 0o777 == 0o640
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("step", ["write_bytes", "replace"])
def test_a_failure_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """A disk that fills, at either step, costs nothing: the old file stays, whole."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    target = tmp_path / "file"
    target.write_text("old")
    monkeypatch.setattr(Path, step, full)
    with pytest.raises(CostModelError, match=r"No space left on device.*as it was"):
        write_atomically(target, "new")
    monkeypatch.undo()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    """Writing through a symbolic link changes the file it points to."""
    target, link = tmp_path / "file", tmp_path / "link"
    target.write_text("old")
    link.symlink_to(target)
    write_atomically(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_a_device_is_written_directly() -> None:
    """/dev/null is not renamed over."""
    write_atomically(os.devnull, "gone")
    assert not Path(os.devnull).is_file()


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    """A directory and a missing folder are refused before any work."""
    for path, words in ((tmp_path, "it is a directory"), (tmp_path / "no" / "x", "make it first")):
        with pytest.raises(CostModelError, match=words):
            check_target(path)


def test_directories(tmp_path: Path) -> None:
    """A directory is made with its parents; a file in its place is an error."""
    assert make_directory(tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").touch()
    with pytest.raises(CostModelError, match="it is a file"):
        make_directory(tmp_path / "file")
