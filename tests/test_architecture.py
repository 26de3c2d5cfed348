"""The shape of the program itself: who imports whom, how long the core is, what loads."""

from __future__ import annotations

import ast
import io
import re
import subprocess
import sys
import tokenize
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import costmodel
from costmodel import to_json
from costmodel.layers import FAMILIES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Set as AbstractSet

ROOT = Path(costmodel.__file__).parent
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in ROOT.rglob("*.py")
}

#: From the ground up, a floor in each line. A module stands where the longest name that begins its
#: own does. It imports what stands below, and of its own room what does not import it.
FLOORS = """
errors version lazy
algebra
core files frontends reference
layers
metrics zoo
backends published frontends.torch
planners tools
reports
show show.plots show.explorer
__init__ cli
__main__
"""
FLOOR = {room: floor for floor, line in enumerate(FLOORS.split("\n")) for room in line.split()}
#: The counting core: what counts in numbers. Other algebras stand beside it.
CORE = ("errors", "algebra.numbers", "algebra.protocol", "algebra.arithmetic", "core")
ALGEBRAS = (
    *("algebra.symbols", "algebra.polynomial", "algebra.grids", "algebra.emitted"),
    *("algebra.forms", "core.widths", "core.symbolic"),
)
#: What counts torch models, beside fvcore and torch itself.
TOOLS = ("thop", "ptflops", "torchinfo", "torchprofile", "calflops")
#: Where each library may be imported.
LIBRARIES = {
    "sympy": ("algebra.symbols", "planners.inverting", "reports.formula", "show.explorer"),
    "numpy": ("algebra.grids", "metrics.fitting", "planners", "show.plots", "reference"),
    "scipy": ("metrics.fitting",),
    "pandas": ("reports", "planners.sweeping"),
    "rich": ("show",),
    "pyarrow": ("show",),
    "matplotlib": ("show.plots",),
    "typer": ("cli",),
    "torch": ("backends", "frontends.torch", "reference", "tools"),
    "fvcore": ("reference", "tools"),
    **dict.fromkeys(TOOLS, ("tools",)),
}
HEAVY = set(LIBRARIES)


class Imports(ast.NodeVisitor):
    """The modules a source imports when it runs, those inside functions too."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.found: set[str] = set()

    def visit_If(self, node: ast.If) -> None:
        """Pass over what only a type checker reads."""
        if ast.unparse(node.test) != "TYPE_CHECKING":
            self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> None:
        """`import a.b`."""
        self.found |= {alias.name for alias in node.names}

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        """`from a.b import c`, where c may be a module of the package."""
        module = node.module or ""
        own = {f"{module}.{alias.name}" for alias in node.names} & {
            f"costmodel.{name}" for name in MODULES
        }
        self.found |= own or {module}

    def visit_Call(self, node: ast.Call) -> None:
        """`import_module("a.b")`; of a name that is put together, what it begins with."""
        if ast.unparse(node.func).endswith("import_module") and node.args:
            parts = [x.value for x in ast.walk(node.args[0]) if isinstance(x, ast.Constant)]
            self.found |= {str(part).rstrip(".") for part in parts[:1]}
        self.generic_visit(node)


def imports(source: str) -> set[str]:
    """Everything a source imports at run time."""
    visitor = Imports()
    visitor.visit(ast.parse(source))
    return visitor.found


def own_imports(source: str) -> set[str]:
    """The modules of this package among them, without its name."""
    own = {f"{name}." for name in imports(source) if name.partition(".")[0] == "costmodel"}
    return {name.removeprefix("costmodel.").rstrip(".") or "__init__" for name in own}


def within(module: str, rooms: Iterable[str]) -> str:
    """The longest name among these that begins a module's; nothing where none does."""
    names = (room for room in rooms if f"{module}.".startswith(f"{room}."))
    return max(names, key=len, default="")


def misplaced(module: str, source: str) -> set[str]:
    """What a module imports and must not."""
    room = within(module, FLOOR)
    below = {name for name in FLOOR if FLOOR[name] < FLOOR[room]} | {room}
    return {name for name in own_imports(source) if within(name, FLOOR) not in below}


def misplaced_libraries(module: str, source: str) -> set[str]:
    """The libraries a module imports and must not."""
    used = {name.partition(".")[0] for name in imports(source)}
    return {name for name in used & set(LIBRARIES) if not within(module, LIBRARIES[name])}


def circles(graph: Mapping[str, AbstractSet[str]]) -> list[list[str]]:
    """The modules that import each other, directly or not."""
    left = {module: set(read) & set(graph) for module, read in graph.items()}
    while free := {module for module, read in left.items() if not read}:
        left = {module: read - free for module, read in left.items() if module not in free}
    return [sorted(left)] if left else []


@pytest.mark.parametrize("module", MODULES)
def test_every_module_has_a_floor(module: str) -> None:
    """The list of floors knows each module: a new room has to say where it stands."""
    assert within(module, FLOOR)


def test_the_map_has_these_floors() -> None:
    """ARCHITECTURE.md lists the same rooms on the same floors, in their order."""
    text = (ROOT.parent / "ARCHITECTURE.md").read_text("utf-8")
    listed = re.findall(r"^\| (\d+) \| `([\w.]+)` \| .+ \|$", text, re.MULTILINE)
    assert {room: int(floor) for floor, room in listed} == FLOOR
    assert [int(floor) for floor, _ in listed] == sorted(FLOOR.values())


def test_the_map_names_every_folder() -> None:
    """Each folder of the package is a room of its own."""
    folders = {name for name, path in MODULES.items() if path.stem == "__init__"}
    assert folders <= FLOOR.keys()


def test_tests_mirror_the_folders() -> None:
    """A folder of tests has the name of the folder that it tests; what tests all stands above."""
    tests = Path(__file__).parent
    folders = {path.parent.relative_to(tests) for path in tests.rglob("test_*.py")}
    assert [name for name in folders if not (ROOT / name).is_dir()] == [Path("benchmarks")]


def test_no_circles() -> None:
    """No modules import each other, wherever in them the import is."""
    graph = {name: own_imports(path.read_text("utf-8")) - {name} for name, path in MODULES.items()}
    assert circles(graph) == []
    assert circles(graph | {"errors": {"core.cost"}})


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_down(module: str) -> None:
    """Each module imports only what lies below it; nothing below knows what is shown."""
    assert misplaced(module, MODULES[module].read_text("utf-8")) == set()


@pytest.mark.parametrize("module", MODULES)
def test_libraries_stay_in_their_place(module: str) -> None:
    """sympy, numpy, torch and the others are imported where the table says, and only there."""
    assert misplaced_libraries(module, MODULES[module].read_text("utf-8")) == set()


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("core.network", "from costmodel.layers.named import plain"),
        ("core.rewrite", "from costmodel import widen"),
        ("core.lower", "import costmodel.metrics.memory"),
        ("core.lower", "from importlib import import_module\nimport_module('costmodel.layers')"),
        ("core.lower", "import_module(f'costmodel.{name}')"),
        ("errors", "def f():\n    from costmodel.algebra.arithmetic import Dim"),
        ("zoo.vgg", "from costmodel.show.report import table"),
        ("reports.report", "def f():\n    from costmodel.show.report import to_markdown"),
        ("planners.sweeping", "from costmodel.show.plots import plot"),
        ("reference.naive", "from costmodel.zoo import mobilenet_v1"),
    ],
)
def test_an_import_that_points_up_is_noticed(module: str, source: str) -> None:
    """The check of the direction can fail."""
    assert misplaced(module, source)


def test_a_type_checkers_import_is_no_import() -> None:
    """What only a type checker reads points anywhere; a library out of place is noticed."""
    assert not misplaced("core.network", "if TYPE_CHECKING:\n    from costmodel.show import grid")
    assert misplaced_libraries("core.cost", "def f():\n    import torch.nn") == {"torch"}


#: Where a kind of layer may be told from another: the kinds, and what they have in common.
LAYERS = ("layers", "core.layer")
KINDS = {*FAMILIES, "Input"}


def kinds_asked_for(source: str) -> set[str]:
    """The kinds of layer that a source tells from others, by isinstance or in a `case`."""
    tree = ast.parse(source)
    imported = {
        alias.asname or alias.name.partition(".")[0]: alias.name.rpartition(".")[2]
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
        if (getattr(node, "module", None) or alias.name).partition(".")[0] == "costmodel"
    }
    named = {ast.unparse(x.targets[0]): x.value for x in tree.body if isinstance(x, ast.Assign)}
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call) and len(node.args) > 1)
    asked = [x.args[1] for x in calls if ast.unparse(x.func) in {"isinstance", "issubclass"}]
    asked += [node.cls for node in ast.walk(tree) if isinstance(node, ast.MatchClass)]
    parts = (part for x in asked for part in ast.walk(named.get(ast.unparse(x), x)))
    paths = (ast.unparse(x).split(".") for x in parts if isinstance(x, (ast.Name, ast.Attribute)))
    return {([imported[root], *rest])[-1] for root, *rest in paths if root in imported} & KINDS


@pytest.mark.parametrize("module", [name for name in MODULES if not within(name, LAYERS)])
def test_a_layer_speaks_for_itself(module: str) -> None:
    """No module but the layers' own asks which kind a layer is: it asks the layer what it needs."""
    assert kinds_asked_for(MODULES[module].read_text("utf-8")) == set()


@pytest.mark.parametrize(
    "source",
    [
        "from costmodel import layers as ir\nassert isinstance(x, ir.Conv)",
        "from costmodel.layers import Conv\ndef f(x):\n    return isinstance(x, (int, Conv))",
        "from costmodel.layers.convolution import Conv as C\nisinstance(x, Filter | C)",
        "import costmodel.layers\nKEPT = (costmodel.layers.Conv,)\nisinstance(x, KEPT)",
        "from costmodel import Conv\nmatch x:\n    case Conv(name):\n        pass",
    ],
)
def test_a_kind_that_is_asked_for_is_noticed(source: str) -> None:
    """The check can fail, however the kind was imported; a class of torch's is no layer."""
    assert kinds_asked_for(source) == {"Conv"}
    assert not kinds_asked_for("from torch import nn\nisinstance(x, nn.Linear)")


_NO_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
}


def lines_of_code(source: str) -> int:
    """Lines with a token that is neither a comment nor part of a docstring."""
    docstrings = {
        line
        for node in ast.walk(ast.parse(source))
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))
        and ast.get_docstring(node) is not None
        for line in range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1)
    }
    code: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in _NO_CODE:
            code |= set(range(token.start[0], token.end[0] + 1))
    return len(code - docstrings)


def test_the_core_is_small() -> None:
    """The core and its numbers have under 1,000 lines, docstrings, comments, blanks not counted.

    Other algebras stand beside it: symbols, widths, grids, polynomials and emitted code.
    """
    lines = {
        module: lines_of_code(path.read_text("utf-8"))
        for module, path in MODULES.items()
        if within(module, (*CORE, *ALGEBRAS))
    }
    core = sum(count for module, count in lines.items() if module not in ALGEBRAS)
    print(f"the core: {core} lines of code, {sum(lines.values())} with {ALGEBRAS}")  # noqa: T201
    assert core < 1_000, lines


def test_lines_of_code_are_counted() -> None:
    """A docstring, a comment and a blank line count nothing; a long string counts its lines."""
    source = '"""Doc\nstring."""\n\n# comment\nx = """a\nb"""  # two\n\ndef f():\n    """Doc."""\n'
    assert lines_of_code(source) == 3


@pytest.mark.parametrize("module", MODULES)
def test_every_module_says_what_it_is(module: str) -> None:
    """Each module begins with a docstring, and none is a drawer for odds and ends."""
    assert ast.get_docstring(ast.parse(MODULES[module].read_text("utf-8")))
    assert not {"utils", "helpers", "common", "misc"} & set(module.split("."))


def loaded(code: str) -> set[str]:
    """The heavy libraries that a fresh interpreter has loaded after running some code."""
    report = f"import sys; print(*({HEAVY!r} & set(sys.modules)))"
    command = [sys.executable, "-c", f"{code}\n{report}"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return set(done.stdout.split())


#: What a planner does with numbers, by name; each line is a program of its own.
LIGHT = {
    "import": "import costmodel",
    "cost": "from costmodel import cost, mobilenet_v1 as v1; assert cost(v1()).macs == 568_740_352",
    "rewrites": "import costmodel as c; c.separate(c.join(c.drop(c.mobilenet_v1(), 'block7.*')))",
    "multipliers": "import costmodel as c; c.widen(c.resize(c.mobilenet_v1(), rho=0.857), '3/4')",
    "JSON": "import costmodel as c; c.from_json(c.to_json(c.ZOO['mobilenet_v2'].build()))",
    "training": (
        "import costmodel as c; from costmodel.metrics.training import kept_bytes, training_cost; "
        "assert training_cost(c.mobilenet_v1()).macs and kept_bytes(c.mobilenet_v1())"
    ),
    "rules for building": "from costmodel.backends.rule import build_rule",
    "conventions": (
        "import costmodel as c; from costmodel.tools import THOP; "
        "assert THOP.count(c.mobilenet_v1()).total() == 588_962_304"
    ),
    "report": "import costmodel; costmodel.report(alpha=0.75).to_json()",
    "reconciling": "import costmodel as c; c.reconcile(c.mobilenet_v1())",
    "reduction": (
        "from costmodel.algebra.notation import mathml; "
        "from costmodel.reports.formula import reduction; mathml(reduction())"
    ),
    "closed form": (
        "import costmodel as c; from costmodel.algebra.polynomial import ALPHA, RHO; "
        "assert c.cost(c.widen(c.resize(c.mobilenet_v1(), rho=RHO), ALPHA)).macs.free_symbols"
    ),
}


@pytest.mark.parametrize("code", LIGHT.values(), ids=LIGHT)
def test_numbers_load_nothing_heavy(code: str) -> None:
    """Importing, costing, rewriting, reading and a closed form load none of the heavy libraries."""
    assert loaded(code) == set()


@pytest.mark.parametrize("name", costmodel.ZOO)
def test_every_architecture_is_read_from_json_without_the_zoo(name: str) -> None:
    """A program that has only imported the package reads each network back, and counts it."""
    network = costmodel.ZOO[name].build()
    code = (
        "import sys, costmodel; network = costmodel.from_json(sys.stdin.read()); "
        "assert 'costmodel.zoo' not in sys.modules; print(costmodel.cost(network).macs)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, check=True, capture_output=True, encoding="utf-8", input=to_json(network)
    )
    assert int(done.stdout) == costmodel.cost(network).macs


def test_what_loads_is_noticed() -> None:
    """The check of what loads can fail: a symbol loads sympy."""
    assert "sympy" in loaded("from costmodel import alpha")
