"""Does a test fail when the package is wrong? Mutants of its modules, and who notices them.

A mutant is a module with one slip of the hand: a comparison's bound, an operator, a constant, a
condition turned round, a value not returned, a call left out. Annotations, docstrings and the words
of errors are left alone. Tests are chosen by the lines that they run (coverage, once). A mutant
inside a function takes milliseconds: a fork of a session whose tests are collected, in which the
function has the mutant's code. What survives that, and what runs at import, is written to a copy
of the project and tested by a fork that has imported no more than the libraries.

    pip install coverage
    python tests/mutation/mutate.py --sample 60 core/cost metrics/memory frontends/torch/shaping

prints each survivor that SURVIVORS.md does not name, and a row of its table for each module.
"""

from __future__ import annotations

import argparse
import ast
import gc
import hashlib
import inspect
import json
import os
import random
import re
import resource
import shutil
import sys
import tempfile
import time
from contextlib import contextmanager
from copy import copy
from importlib import import_module
from itertools import accumulate
from pathlib import Path
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import Phase, settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

ROOT = Path(__file__).parents[2]
#: What the tests import, and takes seconds.
LIBRARIES = (
    *("calflops", "fvcore.nn", "hypothesis.strategies", "matplotlib.pyplot", "nbclient", "numpy"),
    *(
        "nbformat.v4",
        "pandas",
        "ptflops",
        "rich.table",
        "sympy",
        "thop",
        "torch.utils.flop_counter",
    ),
    *("torchinfo", "torchprofile", "transformers", "typer"),
)
OPTIONS = ["-q", "-n", "0", "-m", "not slow", "-p", "no:cacheprovider"]
OPTIONS += ["-W", "ignore:Module already imported"]
#: How many of a module's tests have to pass without a mutant, before any is believed.
SANE = 200
#: Seconds of processor time after which a mutant hangs, beside ten times what its tests take.
PATIENCE = 20

_PAIRS = [
    *((ast.Lt, ast.LtE), (ast.Gt, ast.GtE), (ast.Eq, ast.NotEq), (ast.In, ast.NotIn)),
    *((ast.Is, ast.IsNot), (ast.And, ast.Or), (ast.Add, ast.Sub), (ast.BitOr, ast.BitAnd)),
]
_SWAPPED = {one: other for pair in _PAIRS for one, other in (pair, pair[::-1])}
_SWAPPED |= {ast.Mult: ast.Add, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult}
_SWAPPED |= {ast.Mod: ast.Mult, ast.Pow: ast.Mult}

Slot = tuple[Any, str, int | None]


class Mutant(NamedTuple):
    """One change: where it is, what was and becomes, and how to make it in the module's tree."""

    lines: range
    place: str
    change: str
    slot: Slot
    replacement: Any

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The tree holds the mutant while this lasts."""
        old = self._put(ast.fix_missing_locations(self.replacement))
        yield
        self._put(old)

    def written(self, source: str) -> str:
        """The module's text with the change, and all else as it is: some tests read it."""
        new, raw = self.replacement, source.encode()
        starts = [0, *accumulate(map(len, raw.splitlines(keepends=True)))]
        first = starts[new.lineno - 1] + new.col_offset
        last = starts[new.end_lineno - 1] + new.end_col_offset
        text = f"({ast.unparse(new)})" if isinstance(new, ast.expr) else ast.unparse(new)
        return (raw[:first] + text.encode() + raw[last:]).decode()

    def _put(self, node: ast.AST) -> ast.AST:
        parent, name, index = self.slot
        old: ast.AST = getattr(parent, name)
        if index is None:
            setattr(parent, name, node)
        else:
            values: Any = old
            old, values[index] = values[index], node
        return old


def mutants(tree: ast.Module) -> list[Mutant]:
    """Every mutant of a module, in the order of its lines.

    >>> [mutant.change for mutant in mutants(ast.parse("def f(n): return not n < 2"))]
    ['return not n < 2 → return None', 'not n < 2 → n < 2', 'n < 2 → n <= 2', '2 → 3']
    """
    return [
        Mutant(
            range(min(first, node.lineno), node.end_lineno + 1),
            place,
            f"{_short(node)} → {_short(new)}",
            slot,
            new,
        )
        for node, place, first, slot in _nodes(tree, "", 1)
        for new in (ast.copy_location(new, node) for new in _changed(node, slot))
    ]


def _short(node: ast.AST) -> str:
    line = " ".join(ast.unparse(node).split())
    return line if len(line) <= 72 else f"{line[:48]} … {line[-21:]}"


def _nodes(node: ast.AST, place: str, line: int) -> Iterator[tuple[Any, str, int, Slot]]:
    """What can be changed, the function or class around it, its statement's line, and its slot."""
    for name, value in ast.iter_fields(node):
        if name in {"annotation", "returns"}:
            continue
        listed = isinstance(value, list)
        for index, child in enumerate(value if listed else [value]):
            if not isinstance(child, ast.AST) or _says_nothing(child):
                continue
            named = hasattr(child, "decorator_list")
            within = f"{place}.{child.name}".lstrip(".") if named else place
            first = child.lineno if isinstance(child, ast.stmt) else line
            if isinstance(child, (ast.expr, ast.stmt)):
                yield child, within, first, (node, name, index if listed else None)
            yield from _nodes(child, within, first)


def _says_nothing(node: ast.AST) -> bool:
    """Docstrings, the words of errors, patterns, and what only a type checker reads."""
    return (
        isinstance(node, (ast.Raise, ast.JoinedStr, ast.pattern))
        or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        or (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    )


def _changed(node: Any, slot: Slot) -> Iterator[ast.AST]:  # noqa: C901 - a table of cases
    if slot[1] in {"test", "ifs"} and not isinstance(node, ast.UnaryOp):
        yield ast.UnaryOp(ast.Not(), node)
    match node:
        case ast.Compare(left, ops, comparators):
            for i, op in enumerate(ops):
                swapped = [*ops[:i], _SWAPPED[type(op)](), *ops[i + 1 :]]
                yield ast.Compare(left, swapped, comparators)
        case ast.BoolOp(op, values):
            yield ast.BoolOp(_SWAPPED[type(op)](), values)
        case ast.BinOp(left, op, right) if type(op) in _SWAPPED:
            yield ast.BinOp(left, _SWAPPED[type(op)](), right)
        case ast.AugAssign(target, op, value) if type(op) in _SWAPPED:
            yield ast.AugAssign(target, _SWAPPED[type(op)](), value)
        case ast.UnaryOp(ast.Not() | ast.USub(), operand):
            yield copy(operand)
        case ast.Constant(bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(int(value) | float(value)):
            yield ast.Constant(value + 1)
        case ast.Constant(str(value)):
            yield ast.Constant(f"{value}_")
        case ast.Return(ast.expr()):
            yield ast.Return(ast.Constant(None))
        case ast.Expr(ast.Call()):
            yield ast.Pass()


def own_tests(module: str) -> str:
    """Where the tests of a module are, if it has a file of them.

    >>> own_tests("core/cost")
    'tests/core/test_cost.py'
    """
    path = Path("tests", module)
    return str(path.with_name(f"test_{path.name}.py"))


class Seen(NamedTuple):
    """What the tests run: the tests by module and line, and the seconds that each takes."""

    hashes: dict[str, str]
    lines: dict[str, dict[str, list[str]]]
    seconds: dict[str, float]

    def tests(self, module: str, within: range | None = None) -> list[str]:
        """Those that run any line, or some lines, of a module; its own and the fastest first."""
        lines = self.lines.get(f"costmodel/{module}.py", {})
        chosen = {
            test for at, tests in lines.items() if not within or int(at) in within for test in tests
        }
        own = own_tests(module)
        return sorted(chosen, key=lambda test: (not test.startswith(own), self.seconds[test]))


class Mapper:
    """A plugin that notes which lines each test runs."""

    def __init__(self, path: Path, seen: Seen) -> None:
        """Add to what is known."""
        from coverage import Coverage

        self.path, self.seen = path, seen
        self.coverage = Coverage(data_file=None, include=["costmodel/*"], config_file=False)

    def pytest_collection_finish(self) -> None:
        """Import time is nobody's."""
        self.coverage.start()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Each test is a context."""
        self.coverage.switch_context(item.nodeid)
        start = time.process_time()
        result = yield
        self.seen.seconds[item.nodeid] = time.process_time() - start
        return result

    def pytest_sessionfinish(self) -> None:
        """Keep the map."""
        self.coverage.stop()
        data = self.coverage.get_data()
        for name in data.measured_files():
            lines = self.seen.lines.setdefault(str(Path(name).relative_to(Path.cwd())), {})
            for line, tests in data.contexts_by_lineno(name).items():
                lines[str(line)] = [*{*lines.get(str(line), ()), *tests} - {""}]
        self.path.write_text(json.dumps(self.seen), "utf-8")


class Trial:
    """A plugin that runs chosen tests in a fork for each mutant, and stops at a failure."""

    def __init__(self, trials: Callable[[Trial], None]) -> None:
        """Begin with nothing collected."""
        self.trials, self.items = trials, dict[str, Any]()

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Instead of every test."""
        self.items = {item.nodeid: item for item in session.items}
        self.trials(self)
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """One failure is enough."""
        if report.failed:
            os._exit(1)

    def run(self, tests: Iterable[str]) -> None:
        """Run tests in this order."""
        items = [self.items[test] for test in tests if test in self.items]
        for item, following in zip(items, [*items[1:], None], strict=True):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)


class Control(Trial):
    """A trial without a mutant: what fails in it can notice nothing."""

    def __init__(self, failed: Path) -> None:
        """Names of tests are added to a file."""
        super().__init__(lambda trial: trial.run(trial.items))
        self.failed = failed

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note it and go on."""
        if report.failed:
            with self.failed.open("a") as file:
                print(report.nodeid, file=file)


def apart(work: Callable[[], object], seconds: float = 1e6) -> bool:
    """Whether a fork that does this ends well, in not much more processor time than this."""
    child = os.fork()
    if not child:
        null = os.open(os.environ.get("MUTLOG", os.devnull), os.O_RDWR | os.O_CREAT)
        for stream in range(3):
            os.dup2(null, stream)
        most = int(PATIENCE + 10 * seconds)
        resource.setrlimit(resource.RLIMIT_CPU, (most, most))
        code = 1
        try:
            code = int(work() or 0)  # type: ignore[call-overload]
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1] == 0


def codes(old: CodeType, new: CodeType) -> Iterator[tuple[CodeType, CodeType]]:
    """The code objects that differ, the outer before those inside."""
    if old != new:
        yield old, new
    parts = ([c for c in code.co_consts if isinstance(c, CodeType)] for code in (old, new))
    for one, other in zip(*parts, strict=False):
        yield from codes(one, other)


def swaps(path: Path, tree: ast.Module, mutant: Mutant) -> dict[CodeType, CodeType] | None:
    """The functions' code that makes the mutant; None if what runs at import differs."""
    old = compile(tree, path, "exec", dont_inherit=True)
    with mutant.applied():
        new = compile(tree, path, "exec", dont_inherit=True)
    pairs = dict(codes(old, new))
    outside = {c for c in pairs if not c.co_flags & inspect.CO_NEWLOCALS}
    same = all(_body(one) == _body(pairs[one]) for one in outside)
    return {one: other for one, other in pairs.items() if one not in outside} if same else None


def _body(code: CodeType) -> tuple[Any, ...]:
    rest = tuple(c for c in code.co_consts if not isinstance(c, CodeType))
    return code.co_code, code.co_names, rest, len(code.co_consts)


def swap(pairs: dict[CodeType, CodeType]) -> None:
    """Give the mutant's code to the functions there are."""
    for one in gc.get_objects():
        if isinstance(one, FunctionType) and one.__code__ in pairs:
            one.__code__ = pairs[one.__code__]


def session(arguments: list[str], plugin: object) -> int:
    """Pytest's quick tests with a plugin, in this process."""
    phases = (Phase.explicit, Phase.generate)
    settings.register_profile(
        "trial", database=None, deadline=None, derandomize=True, phases=phases
    )
    settings.load_profile("trial")
    return int(pytest.main([*OPTIONS, *arguments], plugins=[plugin]))


def unwritten(arguments: list[str], plugin: object) -> int:
    """The same, where what is compiled is not kept."""
    sys.dont_write_bytecode = True
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    return session(arguments, plugin)


class Bench:
    """A module, its mutants, and the tests that may notice them."""

    def __init__(self, module: str, seen: Seen) -> None:
        """Read the module."""
        self.module, self.seen = module, seen
        self.path = Path("costmodel", f"{module}.py").absolute()
        self.source = self.path.read_text("utf-8")
        self.tree = ast.parse(self.source)

    def sample(self, size: int) -> list[Mutant]:
        """A random choice, the same each time."""
        every = mutants(self.tree)
        chosen = random.Random(0).sample(every, min(size, len(every)))  # noqa: S311 - no secret
        return sorted(chosen, key=lambda mutant: mutant.lines.start)

    def survivors(self, chosen: list[Mutant]) -> list[Mutant] | None:
        """Those that no test notices, in place and then on disk; None where tests fail anyway."""
        left = Path(tempfile.mkstemp()[1])

        def in_place(trial: Trial) -> None:
            import_module(f"costmodel.{self.module.replace('/', '.')}")
            if not apart(lambda: trial.run(self.seen.tests(self.module)[:SANE])):
                return  # and there is no list
            numbers = [i for i, mutant in enumerate(chosen) if not self._swapped(trial, mutant)]
            left.write_text(json.dumps(numbers), "utf-8")

        apart(lambda: session([], Trial(in_place)))
        if not left.read_text("utf-8") or not self._passes(
            self.source, self.seen.tests(self.module)[:SANE]
        ):
            return None
        numbers = json.loads(left.read_text("utf-8"))
        return [chosen[i] for i in numbers if not self._written(chosen[i])]

    def _swapped(self, trial: Trial, mutant: Mutant) -> bool:
        pairs = swaps(self.path, self.tree, mutant)
        tests = self.seen.tests(self.module, mutant.lines)

        def work() -> None:
            swap(pairs or {})
            trial.run(tests)

        return bool(pairs) and not apart(work, self._seconds(tests))

    def _written(self, mutant: Mutant) -> bool:
        inside = swaps(self.path, self.tree, mutant) is not None
        tests = self.seen.tests(self.module, mutant.lines if inside else None)
        return not self._passes(mutant.written(self.source), tests)

    def _passes(self, source: str, tests: list[str]) -> bool:
        """With this source in its place, run the module's own file, all of it, then other tests."""
        own = own_tests(self.module)
        others = [test for test in tests if not test.startswith(own)]
        files = sorted({test.partition("::")[0] for test in others})
        seconds = self._seconds([*others, *(t for t in self.seen.seconds if t.startswith(own))])

        def run(given: list[str], work: Callable[[Trial], None]) -> bool:
            return not given or apart(lambda: unwritten(given, Trial(work)), seconds)

        self.path.write_text(source, "utf-8")
        whole = [own] if own in self.seen.hashes else []
        seen = self.seen.seconds
        passed = run(
            whole, lambda trial: trial.run(sorted(trial.items.keys() & seen, key=seen.__getitem__))
        ) and run(files, lambda trial: trial.run(others))
        self.path.write_text(self.source, "utf-8")
        return passed

    def _seconds(self, tests: list[str]) -> float:
        return sum(self.seen.seconds[test] for test in tests)


def seen_by_tests(path: Path) -> Seen:
    """The map, with what has changed since it was written run anew."""
    hashes = {
        str(file): hashlib.sha256(file.read_bytes()).hexdigest()
        for folder in ("costmodel", "tests")
        for file in sorted(Path(folder).rglob("*.py"))
    }
    seen = Seen(*json.loads(path.read_text("utf-8"))) if path.exists() else Seen({}, {}, {})
    changed = [file for file, digest in hashes.items() if seen.hashes.get(file) != digest]
    if any(file.startswith("costmodel") for file in changed):
        seen, changed = Seen({}, {}, {}), []
    tests = [file for file in changed if "/test_" in file]
    if tests or not seen.hashes:
        seen.hashes.clear(), seen.hashes.update(hashes)
        if not apart(lambda: session(tests, Mapper(path, seen))):
            raise SystemExit("the tests fail without a mutant")
        believe(path)
    return Seen(*json.loads(path.read_text("utf-8")))


def believe(path: Path) -> None:
    """Leave out of the map the tests that fail in the tool's own two ways of running them."""
    failed = Path(tempfile.mkstemp()[1])
    for way in (session, unwritten):
        apart(lambda way=way: way([], Control(failed)))  # type: ignore[misc]
    names = set(failed.read_text("utf-8").splitlines())
    print(f"{len(names)} tests fail without a mutant, and are left out:", *sorted(names), sep="\n")
    seen = Seen(*json.loads(path.read_text("utf-8")))
    for lines in seen.lines.values():
        for line, tests in lines.items():
            lines[line] = [test for test in tests if test not in names]
    for name in names & set(seen.seconds):
        del seen.seconds[name]
    path.write_text(json.dumps(seen), "utf-8")


def known() -> set[tuple[str, str, str]]:
    """Module, place and change of the mutants that SURVIVORS.md says mean nothing."""
    text = Path("tests", "mutation", "SURVIVORS.md").read_text("utf-8")
    return set(re.findall(r"^- `(.*?)` `(.*?)` `` (.*?) ``:", text, re.MULTILINE))


def main() -> None:
    """A row for each module, and the survivors that nobody has explained."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("modules", nargs="+", help="such as core/cost or frontends/torch/shaping")
    parser.add_argument("--sample", type=int, default=10**6, help="mutants of each (default: all)")
    parser.add_argument("--map", type=Path, default=Path(tempfile.gettempdir(), "mutants.json"))
    arguments = parser.parse_args()
    project = Path(tempfile.mkdtemp(prefix="mutants"), "project")
    shutil.copytree(ROOT, project, ignore=shutil.ignore_patterns(".git", ".*_cache", ".venv"))
    os.chdir(project)
    sys.path.insert(0, str(project))
    os.environ["PYTHONPATH"] = str(project)
    for library in LIBRARIES:
        import_module(library)
    seen, harmless = seen_by_tests(arguments.map.absolute()), known()
    for module in arguments.modules:
        bench = Bench(module, seen)
        chosen = bench.sample(arguments.sample)
        left = bench.survivors(chosen)
        if left is None:
            print(f"{module}: the tests fail without a mutant", flush=True)
            continue
        unexplained = [m for m in left if (module, m.place, m.change) not in harmless]
        for mutant in unexplained:
            print(f"{module}:{mutant.lines[-1]} `{module}` `{mutant.place}` `` {mutant.change} ``")
        meant = len(chosen) - len(left) + len(unexplained)
        share = 100 * (len(chosen) - len(left)) / meant
        row = module, len(chosen), len(chosen) - len(left), len(left) - len(unexplained)
        print(f"| {' | '.join(map(str, row))} | {share:.1f} % |", flush=True)
    shutil.rmtree(project.parent)


if __name__ == "__main__":
    main()
