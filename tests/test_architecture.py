"""The shape of the program itself: who imports whom, how long the core is, what loads."""

from __future__ import annotations

import ast
import io
import subprocess
import sys
import tokenize
from pathlib import Path

import pytest

import costmodel

ROOT = Path(costmodel.__file__).parent
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in ROOT.rglob("*.py")
}

#: What each module of the core may import when it runs; all of it lies below.
BELOW = {
    "errors": set(),
    "arithmetic": {"errors"},
    "symbols": {"arithmetic", "errors"},
    "nest": {"arithmetic", "errors"},
    "network": {"symbols", "arithmetic", "errors"},
    "shapes": {"network", "arithmetic", "errors"},
    "lower": {"nest", "shapes", "network", "arithmetic", "errors"},
    "widths": {"lower", "shapes", "network", "arithmetic", "errors"},
    "rewrite": {"widths", "shapes", "network", "arithmetic", "errors"},
    "cost": {"lower", "nest", "shapes", "network", "symbols", "arithmetic", "errors"},
}
#: Algebras beside numbers: sympy's expressions, and the sums of widths that rules are asked with.
ALGEBRAS = ("symbols", "widths")
CORE = tuple(module for module in BELOW if module not in ALGEBRAS)
#: What architectures are made of.
MAY_BUILD = {*BELOW, "regions", "zoo"} - {"cost"}
#: What is shown, plotted, reported and checked: nothing below may know of it.
OUTER = ("show", "plot", "report", "crosscheck", "check", "reconciling", "cli", "__main__")
#: What counts torch models, beside fvcore and torch itself.
TOOLS = ("thop", "ptflops", "torchinfo", "torchprofile", "calflops")
#: Where each library may be imported: the design's table of dependencies.
LIBRARIES = {
    "sympy": ("symbols", "inverse", "show"),
    "numpy": ("sweeping", "functions", "reductions", "planning", "plot", "reference"),
    "pandas": ("show", "sweeping"),
    "rich": ("show",),
    "pyarrow": ("show",),
    "matplotlib": ("plot",),
    "typer": ("cli",),
    "torch": (
        *("reference", "models", "modules", "building", "rebuilding", "tracing", "check"),
        "reconciling",
    ),
    "fvcore": ("reference", "check", "reconciling"),
    **dict.fromkeys(TOOLS, ("reconciling",)),
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


def imports(source: str) -> set[str]:
    """Everything a source imports at run time."""
    visitor = Imports()
    visitor.visit(ast.parse(source))
    return visitor.found


def own_imports(source: str) -> set[str]:
    """The modules of this package among them, without its name."""
    return {
        name.removeprefix("costmodel.") or "__init__"
        for name in imports(source)
        if name.partition(".")[0] == "costmodel"
    }


def misplaced(module: str, source: str) -> set[str]:
    """What a module imports and must not."""
    top = module.partition(".")[0]
    own = own_imports(source)
    if module in BELOW:
        return own - BELOW[module]
    if top == "zoo":
        return {name for name in own if name.partition(".")[0] not in MAY_BUILD}
    if top == "reference":
        return {name for name in own if name.partition(".")[0] != "reference"}
    if top in OUTER:
        return set()
    return {name for name in own if name.partition(".")[0] in OUTER}


def misplaced_libraries(module: str, source: str) -> set[str]:
    """The libraries a module imports and must not."""
    used = {name.partition(".")[0] for name in imports(source)}
    return {
        name for name in used & set(LIBRARIES) if module.partition(".")[0] not in LIBRARIES[name]
    }


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_down(module: str) -> None:
    """Each module imports only what lies below it; nothing below knows what is shown."""
    assert misplaced(module, MODULES[module].read_text("utf-8")) == set()


@pytest.mark.parametrize("module", MODULES)
def test_libraries_stay_in_their_place(module: str) -> None:
    """sympy, numpy, torch and the others are imported where the design says, and only there."""
    assert misplaced_libraries(module, MODULES[module].read_text("utf-8")) == set()


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("network", "from costmodel.shapes import infer"),
        ("network", "def f():\n    from costmodel.cost import cost"),
        ("rewrite", "from costmodel import lower"),
        ("lower", "import costmodel.rewrite"),
        ("errors", "from costmodel.arithmetic import Dim"),
        ("zoo.vgg", "from costmodel.cost import cost"),
        ("zoo.vgg", "from costmodel.show.table import table"),
        ("sweep", "from costmodel.plot import plot"),
        ("reference.naive", "from costmodel.zoo import mobilenet_v1"),
    ],
)
def test_an_import_that_points_up_is_noticed(module: str, source: str) -> None:
    """The check of the direction can fail."""
    assert misplaced(module, source)


def test_a_type_checkers_import_is_no_import() -> None:
    """What only a type checker reads points anywhere; a library out of place is noticed."""
    assert not misplaced("network", "if TYPE_CHECKING:\n    from costmodel.cost import Cost")
    assert misplaced_libraries("cost", "def f():\n    import torch.nn") == {"torch"}


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
    lines = {module: lines_of_code(MODULES[module].read_text("utf-8")) for module in BELOW}
    core = sum(lines[module] for module in CORE)
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
    "JSON": "import costmodel as c; c.Network.from_json(c.mobilenet_v2().to_json())",
    "training": (
        "import costmodel as c; from costmodel.training import kept_bytes, training_cost; "
        "assert training_cost(c.mobilenet_v1()).macs and kept_bytes(c.mobilenet_v1())"
    ),
    "rules for building": "from costmodel.building import build_rule",
    "conventions": (
        "import costmodel as c; from costmodel.conventions import THOP; "
        "assert THOP.count(c.mobilenet_v1()).total() == 588_962_304"
    ),
    "reconciling": "import costmodel as c; c.reconcile(c.mobilenet_v1())",
    "reduction": "from costmodel.show.formula import mathml, reduction; mathml(reduction())",
    "closed form": (
        "import costmodel as c; from costmodel.polynomial import ALPHA, RHO; "
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
        "import sys, costmodel; network = costmodel.Network.from_json(sys.stdin.read()); "
        "assert 'costmodel.zoo' not in sys.modules; print(costmodel.cost(network).macs)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, check=True, capture_output=True, encoding="utf-8", input=network.to_json()
    )
    assert int(done.stdout) == costmodel.cost(network).macs


def test_what_loads_is_noticed() -> None:
    """The check of what loads can fail: a symbol loads sympy."""
    assert "sympy" in loaded("from costmodel import alpha")
