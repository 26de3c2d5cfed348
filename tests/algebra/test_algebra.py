"""Every operation of an algebra, in every algebra, is the one that integers define."""

from __future__ import annotations

import inspect
from fractions import Fraction
from importlib import import_module
from itertools import count as integers
from pkgutil import iter_modules
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
import sympy
from hypothesis import Phase, find, given, settings, strategies as st

import costmodel.algebra
from costmodel import CostModelError
from costmodel.algebra import arithmetic, emitted, forms, grids, numbers, polynomial, symbols
from costmodel.algebra.protocol import Algebra

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

QUICK = settings(derandomize=True, deadline=None, database=None, max_examples=40)
#: The Protocol's own: a new operation has to have its row in `DEFINED`.
OPERATIONS = tuple(n for n, x in vars(Algebra).items() if inspect.isfunction(x) and n[0] != "_")
_SIGNATURES = {name: inspect.signature(getattr(Algebra, name)) for name in OPERATIONS}
ORDER = {name: tuple(made.parameters)[1:] for name, made in _SIGNATURES.items()}
#: Those that decide something; the others make another quantity.
DECISIONS = {name for name, made in _SIGNATURES.items() if made.return_annotation == "bool"}


class Case(NamedTuple):
    """What an operation is given: its quantities at each position, and numbers."""

    quantities: list[dict[str, Any]]
    rest: dict[str, Any]


# What integers define -------------------------------------------------------------------------


def _ceil_div(size: int, stride: int) -> int:
    """The starts 0, stride, 2·stride, … below size."""
    return len(range(0, size, stride))


def _ceil_mode_size(span: int, padded: int, stride: int) -> int:
    """Windows that start before `padded`, while the one before ends before the input does."""
    windows = 0
    while windows * stride < padded and (not windows or (windows - 1) * stride < span):
        windows += 1
    return windows


def _round_size(size: int, rho: Fraction) -> int:
    """The nearest integer, of two the even one."""
    return min(range(int(size * rho) + 2), key=lambda n: (abs(n - size * rho), n % 2))


def _scale_channels(count: int, alpha: Fraction, divisor: int | None, groups: int) -> Fraction:
    """The rule of each rounding, by counting up in multiples."""
    wanted = alpha * count
    if divisor is None:
        return wanted
    step = next(n for n in integers(1) if n % divisor == n % groups == 0)
    multiples = range(0, int(wanted) + 9 + 2 * step, step)
    if divisor == 1:
        least = next(n for n in multiples if n >= min(8, count))
        return Fraction(max(least, *(n for n in multiples if n <= wanted)))
    nearest = min(multiples[1:], key=lambda n: (abs(n - wanted), -n))
    return Fraction(nearest if nearest >= wanted * Fraction(9, 10) else nearest + step)


def _at_least_one(alpha: Fraction) -> Fraction:
    return alpha if alpha > 1 else Fraction(1)


def _below(size: int, least: int) -> bool:
    return size not in range(least, 100)


def _must_equal(size: int, other: int, what: str) -> bool:  # noqa: ARG001 - a message
    return abs(size - other) == 0


# What operations are given ----------------------------------------------------------------------


def _case(quantities: dict[str, Any], **rest: Any) -> st.SearchStrategy[Case]:
    positions = st.lists(st.fixed_dictionaries(quantities), min_size=1, max_size=4)
    return st.builds(Case, positions, st.fixed_dictionaries(rest))


def _channels(case: Case) -> Case:
    """With a count that its groups divide, and α that `exact` rounding leaves whole."""
    rest = case.rest | {"count": case.rest["count"] * case.rest["groups"]}
    if rest["divisor"] is not None:
        return Case(case.quantities, rest)
    count, groups = rest["count"], rest["groups"]
    wholes = [max(1, int(given["alpha"] * count / groups)) for given in case.quantities]
    return Case([{"alpha": Fraction(whole * groups, count)} for whole in wholes], rest)


NARROW = st.integers(1, 400).map(lambda n: Fraction(n, 100))
RATIOS = st.builds(Fraction, st.integers(1, 400), st.sampled_from([2, 7, 100, 224]))


class Defined(NamedTuple):
    """An operation: what integers define, and the cases that it is tried on."""

    definition: Callable[..., Any]
    cases: st.SearchStrategy[Case]

    def defined(self, case: Case) -> list[Any]:
        """What it is at each position."""
        return [self.definition(**given, **case.rest) for given in case.quantities]


DEFINED = {
    "ceil_div": Defined(_ceil_div, _case({"size": st.integers(1, 300)}, stride=st.integers(1, 20))),
    "ceil_mode_size": Defined(
        _ceil_mode_size,
        _case({"span": st.integers(0, 60), "padded": st.integers(1, 80)}, stride=st.integers(1, 9)),
    ),
    "round_size": Defined(_round_size, _case({"rho": RATIOS}, size=st.integers(1, 300))),
    "scale_channels": Defined(
        _scale_channels,
        _case(
            {"alpha": NARROW},
            count=st.integers(1, 120),
            divisor=st.sampled_from([None, 1, 4, 8]),
            groups=st.integers(1, 4),
        ).map(_channels),
    ),
    "at_least_one": Defined(_at_least_one, _case({"alpha": NARROW})),
    "below": Defined(_below, _case({"size": st.integers(-9, 9)}, least=st.integers(-3, 5))),
    "must_equal": Defined(
        _must_equal,
        _case({"size": st.integers(1, 4), "other": st.integers(1, 4)}, what=st.just("a sum")),
    ),
}


# How each algebra is asked ------------------------------------------------------------------------


def called(operation: str, values: dict[str, Any]) -> Any:
    """The operation of these arguments, by name, in the Protocol's order."""
    return getattr(arithmetic, operation)(*(values[name] for name in ORDER[operation]))


class Asked(NamedTuple):
    """An algebra; what it finds at each position, and the cases that are its own."""

    algebra: Any
    found: Callable[[str, Case], list[Any]]
    fits: Callable[[Case], Case] = lambda case: case


def _numbers(operation: str, case: Case) -> list[Any]:
    return [called(operation, given | case.rest) for given in case.quantities]


def _symbols(operation: str, case: Case) -> list[Any]:
    """Values are put in afterwards; into what is to be decided, before."""
    if operation in DECISIONS:
        sizes = [{k: sympy.Integer(v) for k, v in given.items()} for given in case.quantities]
        return [called(operation, given | case.rest) for given in sizes]
    names = {
        name: sympy.Symbol(name, positive=name != "span", integer=name not in {"alpha", "rho"})
        for name in case.quantities[0]
    }
    made = called(operation, names | case.rest)
    put = [made.subs({names[k]: sympy.Rational(v) for k, v in x.items()}) for x in case.quantities]
    return [Fraction(int(value.p), int(value.q)) for value in put]


_SYMBOL = {"alpha": polynomial.ALPHA, "rho": polynomial.RHO}


def _polynomial(operation: str, case: Case) -> list[Any]:
    """At α = ρ = 1."""
    made = [
        called(
            operation, {k: v * _SYMBOL.get(k, polynomial.RHO) for k, v in given.items()} | case.rest
        )
        for given in case.quantities
    ]
    return made if operation in DECISIONS else [value.at_one() for value in made]


def _at_one(case: Case) -> Case:
    """Where the paper's rule is exact: at α = ρ = 1, and where a size is none that vanishes."""
    rest = case.rest | ({"divisor": 1} if "divisor" in case.rest else {})
    fitting = [
        {k: Fraction(1) if k in _SYMBOL else max(v, rest.get("least", v)) for k, v in given.items()}
        for given in case.quantities
    ]
    return Case(fitting, rest)


def _grids(dtype: type) -> Callable[[str, Case], list[Any]]:
    def quantity(name: str, values: list[Any]) -> grids.Outer:
        if name == "alpha":
            return grids.Alphas(grids.Multipliers(values), dtype)
        return grids.Outer(((1, np.array(values, object if name == "rho" else dtype)),))

    def made(operation: str, positions: list[dict[str, Any]], rest: dict[str, Any]) -> Any:
        columns = {name: quantity(name, [x[name] for x in positions]) for name in positions[0]}
        return called(operation, columns | rest)

    def decided(operation: str, positions: list[dict[str, Any]], rest: dict[str, Any]) -> bool:
        try:
            return bool(made(operation, positions, rest))
        except CostModelError:
            return operation == "below"

    def found(operation: str, case: Case) -> list[Any]:
        if operation not in DECISIONS:
            values = made(operation, case.quantities, case.rest).table(None).reshape(-1)
            spread = np.broadcast_to(values, len(case.quantities))
            return [numbers.rational(value, operation) for value in spread]
        each = [decided(operation, [given], case.rest) for given in case.quantities]
        together = decided(operation, case.quantities, case.rest)
        assert together == (any(each) if operation == "below" else all(each))
        return each

    return found


def _emitted(operation: str, case: Case) -> list[Any]:
    """One function, called at each position."""
    tape = emitted.Tape()
    given = {name: emitted.Traced(tape, name) for name in case.quantities[0]}
    made = called(operation, given | case.rest)
    decides = operation in DECISIONS
    function = tape.function(", ".join(given), str(made) if not decides else repr(bool(made)))

    def at(values: dict[str, Any]) -> Any:
        try:
            return function(**values)
        except emitted.RefusalError:
            return operation == "below"

    return [at(values) for values in case.quantities]


def _form(value: int, name: str = "w", notes: forms.Notes | None = None) -> forms.Form:
    form = forms.Form(value)
    form.notes, form.terms = notes or forms.Notes([], []), {name: 1}
    return form


def _forms(operation: str, case: Case) -> list[Any]:
    """The integers that they are; what they note to be equal has to be."""

    def found(given: dict[str, Any]) -> Any:
        notes = forms.Notes([], [])
        made = called(operation, {k: _form(v, k, notes) for k, v in given.items()} | case.rest)
        if operation not in DECISIONS:
            return int(made)
        return made and all(int(one) == int(other) for one, other, _ in notes.equations)

    return list(map(found, case.quantities))


def _whole(case: Case) -> Case:
    """With whole multipliers."""
    return Case([{k: -(-v // 1) for k, v in x.items()} for x in case.quantities], case.rest)


ASKED = {
    "numbers": Asked(numbers, _numbers),
    "symbols": Asked(symbols, _symbols),
    "polynomial": Asked(polynomial, _polynomial, _at_one),
    "grids": Asked(grids, _grids(float)),
    "grids of integers": Asked(grids, _grids(object)),
    "emitted": Asked(emitted, _emitted),
    "forms": Asked(forms, _forms, _whole),
}


def differs(asked: Asked, operation: str, case: Case) -> bool:
    """Whether an algebra finds another value than integers do, somewhere."""
    case = asked.fits(case)
    return asked.found(operation, case) != DEFINED[operation].defined(case)


every_operation = pytest.mark.parametrize("operation", OPERATIONS)
every_algebra = pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)


@every_algebra
@every_operation
def test_an_operation_is_one_in_every_algebra(asked: Asked, operation: str) -> None:
    """Each operation of each algebra has, at every position, the value that integers define."""

    @QUICK
    @given(DEFINED[operation].cases)
    def agrees(case: Case) -> None:
        assert not differs(asked, operation, case)

    agrees()


def _noticed(asked: Asked, operation: str) -> bool:
    """Whether some case finds an algebra's operation wrong; `find` raises where none does."""
    search = settings(QUICK, phases=[Phase.generate], max_examples=200)
    case = find(
        DEFINED[operation].cases,
        lambda case: differs(asked, operation, case),
        settings=search,
        random=Random(0),  # noqa: S311 - the same cases each time
    )
    return bool(case)


@every_algebra
@every_operation
def test_a_mutation_of_one_operation_is_noticed(
    asked: Asked, operation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One too many, or the opposite decision, in one operation of one algebra alone."""
    original = getattr(asked.algebra, operation)
    decides = operation in DECISIONS
    mutant = (lambda *x: not original(*x)) if decides else (lambda *x: original(*x) + 1)
    monkeypatch.setattr(asked.algebra, operation, mutant)
    assert _noticed(asked, operation)


@pytest.mark.parametrize("name", ["grids", "emitted", "forms"])
@pytest.mark.parametrize("operation", sorted(DECISIONS))
def test_a_check_that_is_left_out_is_noticed(
    name: str, operation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Grids, emitted code and forms see to it themselves: an answer alone is not enough."""
    monkeypatch.setattr(ASKED[name].algebra, operation, lambda *_: operation == "must_equal")
    assert _noticed(ASKED[name], operation)


def _modules() -> Iterator[Any]:
    path = costmodel.algebra.__path__
    return (import_module(f"costmodel.algebra.{module.name}") for module in iter_modules(path))


def test_every_algebra_is_tested() -> None:
    """A module that says whether its quantities are formulas is an algebra, and is in the table."""
    algebras = {module for module in _modules() if hasattr(module, "FORMULAS")}
    assert algebras == {asked.algebra for asked in ASKED.values()}
    assert all(callable(getattr(module, name)) for module in algebras for name in OPERATIONS)
    assert tuple(DEFINED) == OPERATIONS


@pytest.mark.parametrize("name", sorted(ASKED.keys() - {"polynomial"}))
def test_a_number_may_stand_on_either_side(name: str) -> None:
    """7 = x and x = 7 are asked of the algebra of x; a polynomial in ρ is no number."""
    for other in (7, 8):
        for case in (
            Case([{"size": 7}], {"other": other, "what": "a sum"}),
            Case([{"other": other}], {"size": 7, "what": "a sum"}),
        ):
            assert ASKED[name].found("must_equal", case) == [other == 7]
    assert not arithmetic.must_equal(7, 7 * polynomial.RHO, "a sum")


def test_what_sees_to_it_itself_is_asked_before_a_formula() -> None:
    """A polynomial or a symbol beside a traced value or a form does not decide that they differ."""
    traced = emitted.Traced(emitted.Tape(), "w")
    for formula in (polynomial.RHO, symbols.H):
        assert not arithmetic.must_equal(formula, 7, "a sum")
        assert arithmetic.must_equal(formula, _form(7), "a sum")
    assert arithmetic.must_equal(polynomial.RHO, traced, "a sum")
    assert [arithmetic.is_formula(x) for x in (polynomial.RHO, symbols.H)] == [True, True]
    assert not any(map(arithmetic.is_formula, (7, traced, _form(7))))


def test_a_product_and_a_number_stay_a_sum() -> None:
    """u(α)·v(D) + 5 is that at every α and D, though the number goes with neither axis.

    Mutation: the constant kept only beside what depends on one axis.
    """
    widths, sides = np.array([1.0, 2.0]), np.array([10.0, 20.0, 30.0])
    both = grids.Outer(((widths, 1),)) * grids.Outer(((1, sides),))
    for whole in (both + 5, 5 + both, both - (-5)):
        assert whole.table((2, 3)).tolist() == [[u * v + 5 for v in sides] for u in widths]
