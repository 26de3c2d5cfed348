"""Skipped tests are said at the end of a run, with the command that brings them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent


@pytest.mark.slow
def test_each_reason_is_one_line_with_its_count(tmp_path: Path) -> None:
    """Three tests skipped for two reasons are two lines; a run that skips none says nothing."""
    skips = "import pytest\n" + "".join(
        f"@pytest.mark.skipif({skip}, reason='no {tool}: install {tool}')\ndef test_{i}(): pass\n"
        for i, (skip, tool) in enumerate([(1, "abc"), (1, "abc"), (1, "xyz"), (0, "def")])
    )
    (tmp_path / "test_some.py").write_text(skips, "utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "conftest"]
    done = subprocess.run(
        [*command, tmp_path], check=True, capture_output=True, text=True, cwd=TESTS
    )
    assert "2 × no abc: install abc\n1 × no xyz: install xyz\n" in done.stdout
    assert "def" not in done.stdout


def test_every_reason_names_a_command() -> None:
    """Whatever a test is skipped for, its reason ends in what installs it."""
    others = (path for path in TESTS.rglob("test_*.py") if path.name != Path(__file__).name)
    source = "\n".join(path.read_text("utf-8") for path in others)
    skips = re.findall(r"pytest\.(?:skip|importorskip|mark\.skipif)\((.*?)\)\n", source, re.DOTALL)
    assert len(skips) >= 10
    reasons = [skip for skip in skips if not skip.endswith("reason=reason")]
    reasons += re.findall(r"\breason = (.*)\n", source)
    assert [text for text in reasons if not re.search(r": (apt-get|pip) install", text)] == []
