"""The README says what is so: its code runs and its output is the program's."""

from __future__ import annotations

import doctest
import re
import shlex
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from strategies import mostly_slow

from costmodel import MemoryRules, mobilenet_v1, plan, plot
from costmodel.show.report import report

if TYPE_CHECKING:
    from collections.abc import Callable

    from costmodel.planning import Plan

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONSOLE = re.findall(r"```console\n\$ costmodel (.*?)\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize(("command", "shown"), CONSOLE, ids=[c for c, _ in CONSOLE])
def test_console_blocks(run: Callable, command: str, shown: str) -> None:
    """Each command prints what the README shows; ⋮ stands for lines left out."""
    printed = run(*shlex.split(command)).out
    parts = [part.strip("\n") for part in shown.split("⋮\n")]
    places = [printed.index(part) for part in parts if part]
    assert places[0] == 0
    assert all(a < b for a, b in pairwise(places))
    assert printed.rstrip().endswith(parts[-1].rstrip())


def test_python_blocks() -> None:
    """The library in ten lines does what its prompts show."""
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    parser = doctest.DocTestParser()
    test = parser.get_doctest("\n".join(blocks), {}, "README.md", "README.md", 0)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    runner.run(test)
    assert test.examples
    assert runner.summarize(verbose=False).failed == 0


def test_the_two_commands() -> None:
    """Two bash blocks of one line each do all the set-up, with the tested set."""
    commands = re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
    assert len(commands) == 2
    for command in commands:
        assert command.count("\n") == 1
        assert "pip install -q -c constraints.txt" in command


def test_links_and_pictures_exist() -> None:
    """Every relative link leads somewhere."""
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert links
    assert all((ROOT / link).exists() for link in links if "://" not in link)


PICTURES = ("multipliers", "reduction_map", "layers", "accuracy_macs", "plan")


@pytest.mark.parametrize("name", mostly_slow(PICTURES, "multipliers"))
def test_pictures_are_what_the_program_draws(tmp_path: Path, name: str) -> None:
    """The committed figures are those of the README's own commands, byte for byte."""
    figures = plot.report_figures(report(alpha="0.75", rho="0.857")) | plot.family_figures()
    figures["plan"] = plot.plan_figure(planned())
    _, svg = plot.save_figures({name: figures[name]}, tmp_path)
    committed = ROOT / "notebooks" / "figures" / f"{name}.svg"
    assert svg.read_bytes() == committed.read_bytes()


def planned() -> Plan:
    """The plan that the README shows."""
    limits = {"max_macs": "150M", "max_peak_memory": "512KiB", "max_flash": "2MiB"}
    rules = MemoryRules("int8", fold_batch_norm=True)
    return plan(mobilenet_v1(), **limits, resolutions=range(96, 257, 8), rules=rules)


def test_versions_agree() -> None:
    """constraints.txt pins every direct dependency, at or above its lower bound."""
    pinned = dict(
        line.split("#")[0].strip().split("==")
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if "==" in line
    )
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    direct = dict(re.findall(r'"([a-z-]+)>=([^"]+)"', text))
    direct.pop("hatchling")
    for name, bound in direct.items():
        assert _version(pinned[name]) >= _version(bound), name


def _version(text: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", text)))
