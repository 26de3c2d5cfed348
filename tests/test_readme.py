"""The README and the map say what is so: their code runs and their output is the program's."""

from __future__ import annotations

import doctest
import importlib.metadata
import json
import re
import shlex
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from strategies import mostly_slow

from costmodel import Layer, from_json, mobilenet_v1, plan, report, to_json
from costmodel.cli import COMMANDS
from costmodel.core.quantities import QUANTITIES
from costmodel.metrics import MemoryRules
from costmodel.show import plots as plot
from costmodel.tools import TOOLS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from matplotlib.figure import Figure

    from costmodel.planners.planning import Plan

ROOT = Path(__file__).parents[1]
PAGES = {
    name: (ROOT / name).read_text(encoding="utf-8")
    for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md")
}
README = PAGES["README.md"]
CONSOLE = re.findall(r"```console\n\$ costmodel (.*?)\n(.*?)```", README, re.DOTALL)


#: The line of a check, however it is wrapped, up to the versions at its end.
CHECKED = re.compile(
    r"(✓ all [\d,]+ figures [^:]*:) torch ([^\s,]+), fvcore ([^\s;]+)".replace(" ", r"\s+")
)


def unversioned(text: str) -> str:
    """The same with a check's line unwrapped, since versions differ in length, and without them."""
    return CHECKED.sub(lambda line: f"{' '.join(line[1].split())} torch, fvcore", text)


def shows(printed: str, shown: str) -> bool:
    """Whether a block shows what is printed; ⋮ stands for lines left out."""
    printed = unversioned(printed)
    parts = [part.strip("\n") for part in unversioned(shown).split("⋮\n")]
    places = [printed.find(part) for part in parts if part]
    rises = all(a < b for a, b in pairwise(places))
    return places[0] == 0 and rises and printed.rstrip().endswith(parts[-1].rstrip())


@pytest.mark.parametrize(("command", "shown"), CONSOLE, ids=[c for c, _ in CONSOLE])
def test_console_blocks(run: Callable, command: str, shown: str) -> None:
    """Each command prints what the README shows, but for the versions that a check names."""
    assert shows(run(*shlex.split(command)).out, shown)


def test_the_readme_holds_with_another_build_of_torch(
    run: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commands that name torch's version print what the README shows, with CUDA's build too."""
    installed, others = importlib.metadata.version, {"torch": "2.13.0+cu130", "fvcore": "0.1"}
    monkeypatch.setattr(
        importlib.metadata, "version", lambda name: others.get(name) or installed(name)
    )
    checked = [(command, shown) for command, shown in CONSOLE if CHECKED.search(shown)]
    assert len(checked) == 2
    for command, shown in checked:
        printed = run(*shlex.split(command)).out
        assert "torch 2.13.0+cu130, fvcore 0.1" in " ".join(printed.split())
        assert shows(printed, shown)


def test_only_versions_may_differ() -> None:
    """A figure, a tool, a mark or a line that differs from the README's is noticed."""
    check = "✓ all 132 figures equal a real torch model's: torch 2.13.0+cpu, fvcore 0.1\n9 MACs\n"
    assert shows(check.replace("2.13.0+cpu, fvcore", "2.14.1+cu130,\nfvcore"), check)
    for old, new in {"132": "131", "✓": "✗", "real ": "", "fvcore": "thop", "9": "8"}.items():
        assert not shows(check.replace(old, new), check)


def test_versions_shown_are_the_tested_ones() -> None:
    """Where the README names a check's versions they are constraints.txt's, and a CPU's torch."""
    pinned = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    shown = CHECKED.findall(README)
    assert len(shown) == 2
    for _, torch, fvcore in shown:
        assert f"torch=={torch.removesuffix('+cpu')}\n" in pinned
        assert f"fvcore=={fvcore}\n" in pinned


@pytest.fixture
def _as_before() -> Iterator[None]:
    """What a page's examples register is gone after a test."""
    tables: tuple[dict[str, Any], ...] = (QUANTITIES, Layer.types)
    before = [table.copy() for table in tables]
    yield
    for table, entries in zip(tables, before, strict=True):
        table.clear()
        table.update(entries)


def defined_in(name: str) -> dict[str, Any]:
    """What the Python of a page defines; each prompt does what it shows."""
    blocks = re.findall(r"```python\n(.*?)```", PAGES[name], re.DOTALL)
    test = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, name, name, 0)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    runner.run(test, clear_globs=False)
    assert test.examples
    assert runner.summarize(verbose=False).failed == 0
    return test.globs


@pytest.mark.usefixtures("_as_before")
@pytest.mark.parametrize("name", ["README.md", "ARCHITECTURE.md"])
def test_python_blocks(name: str) -> None:
    """The library in ten lines, and each recipe of the map, do what their prompts show."""
    assert defined_in(name)


@pytest.mark.usefixtures("_as_before")
def test_the_recipes_work_as_parts(run: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    """The map's layer, quantity, tool and command, each put where it says, are the program's."""
    there = defined_in("ARCHITECTURE.md")
    assert from_json(to_json(there["net"])) == there["net"]
    assert "--max-energy" in run("plan", "--help").out
    monkeypatch.setattr("costmodel.tools.TOOLS", (*TOOLS, there["A_TOOL"]))
    assert "567,716,352 conv" in run("reconcile").out
    command = SimpleNamespace(__name__="costmodel.cli.params", run=there["run"])
    monkeypatch.setattr("costmodel.cli.COMMANDS", (*COMMANDS, command))
    assert "how many parameters" in run("--help").out
    assert json.loads(run("params", "vgg_16", "--json").out) == 138_357_544


def test_the_two_commands() -> None:
    """Two bash blocks of one line each do all the set-up, with the tested set."""
    commands = re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
    assert len(commands) == 2
    for command in commands:
        assert command.count("\n") == 1
        assert "pip install -q -c constraints.txt" in command


@pytest.mark.parametrize("name", PAGES)
def test_links_and_pictures_exist(name: str) -> None:
    """Every relative link leads somewhere."""
    links = re.findall(r"\]\(([^)#]+)\)", PAGES[name])
    assert links
    assert all((ROOT / link).exists() for link in links if "://" not in link)


@pytest.mark.parametrize("name", ["ARCHITECTURE.md", "CONTRIBUTING.md"])
def test_files_named_exist(name: str) -> None:
    """Each file and folder that a page names is there, but those that its recipes add."""
    paths = set(re.findall(r"`((?:costmodel|tests|\.ci)/[\w./]*)`", PAGES[name]))
    new = {"costmodel/tools/a_tool.py", "costmodel/cli/params.py"}
    assert paths
    assert [path for path in sorted(paths - new) if not (ROOT / path).exists()] == []


@cache
def of_the_report() -> dict[str, Figure]:
    """The figures of the main example."""
    return plot.report_figures(report(alpha="0.75", rho="0.857"))


PICTURES: dict[str, Callable[[], Figure]] = {
    "multipliers": lambda: of_the_report()["multipliers"],
    "reduction_map": lambda: of_the_report()["reduction_map"],
    "layers": lambda: of_the_report()["layers"],
    "accuracy_macs": lambda: plot.accuracy_figure("macs"),
    "plan": lambda: plot.plan_figure(planned()),
}


@pytest.mark.parametrize("name", mostly_slow(PICTURES, "multipliers"))
def test_pictures_are_what_the_program_draws(tmp_path: Path, name: str) -> None:
    """The committed figures are those of the README's own commands, byte for byte."""
    _, svg = plot.save_figures({name: PICTURES[name]()}, tmp_path)
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
