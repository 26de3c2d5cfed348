"""Which widths belong together, read off the layers' own rules.

A network is lowered once with each width as a *form* (`costmodel.algebra.forms`). Where a rule
wants two sizes equal (a sum, a gate, a shared weight) or one to divide (by groups, heads or parts),
the forms note it, so that no list of layer types says it again. The notes are linear equations
between widths; what they leave free is what α may scale.
"""

from __future__ import annotations

from fractions import Fraction
from math import gcd, lcm
from typing import TYPE_CHECKING, Any

from costmodel.algebra.arithmetic import exact_div
from costmodel.algebra.forms import Form, Notes
from costmodel.core.lower import each_lowered
from costmodel.core.relations import AtLeast, Fixed, count as count_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from costmodel.algebra.arithmetic import Dim
    from costmodel.algebra.forms import Terms
    from costmodel.core.fields import Width
    from costmodel.core.layer import Layer
    from costmodel.core.network import Network


class Widths:
    """What each width is a sum of: `columns` are those that are free, and what must divide each.

    >>> from costmodel import Network
    >>> from costmodel.layers import Add, Conv, Input
    >>> layers = (Conv("a", 16, 1), Conv("b", 16, 1, groups=4), Add("sum", inputs=("a", "b")))
    >>> Widths(Network("residual", (Input("image", (1, 3, 8, 8)), *layers))).columns
    {'a': 4}
    """

    def __init__(self, network: Network, outputs: Iterable[str] = ()) -> None:
        """Lower the network once, with forms for widths, and solve what they note."""
        self.counts: dict[str, Dim] = {}
        #: Those that grow and never shrink, and those of constants, which only follow.
        self.grows: set[str] = set()
        self._follow: set[str] = set()
        #: What keeps a width as it is: a layer's words, or none where an input or output does.
        self.kept: dict[str, str] = {}
        self._sums: dict[str, Terms] = {}
        notes, ends = Notes([], []), set(outputs)
        formed = network.with_layers([self._formed(layer, notes) for layer in network.layers])
        for layer, _, output, *_ in each_lowered(formed):
            for size in output if layer.name in ends else ():
                if isinstance(size, Form):
                    size.note_equal(int(size), "")
        self.columns = self._solved(notes)
        #: What each width that may change is a sum of: columns, and a number.
        self._parts = {
            name: (terms, 0 if name in terms else int(self.counts[name] - self._value(terms)))
            for name in self.counts
            if (terms := {k: f for k, f in self._reduced({name: 1}).items() if k in self.columns})
        }
        self._scaled = {x.name for x in network.layers if x.widths.keys() & self._parts.keys()}

    @classmethod
    def of(cls, network: Network) -> Widths:
        """Those of a network, worked out once."""
        if "widths" not in network.remembered:
            network.remembered["widths"] = cls(network)
        return network.remembered["widths"]  # type: ignore[no-any-return]

    def _formed(self, layer: Layer, notes: Notes) -> Layer:
        """The layer with a form for each of its widths."""
        if not (widths := layer.widths):
            return layer
        forms = {name: self._form(layer, name, width, notes) for name, width in widths.items()}
        return layer.with_widths(forms)

    def _form(self, layer: Layer, name: str, width: Width, notes: Notes) -> Any:
        self.counts[name] = count = count_of(width, 0, {})
        if isinstance(width, AtLeast):
            self.grows.add(name)
        elif isinstance(width, Fixed):
            self.kept[name] = ""
        elif layer.arity == 0:
            self._follow.add(name)
        if type(count) is not int:
            return count
        form = Form(count)
        form.notes, form.terms = notes, {name: 1}
        return form

    def _solved(self, notes: Notes) -> dict[str, int]:
        """The widths that are free, and what each must be a multiple of."""
        for left, right, what in sorted(notes.equations, key=lambda note: note[2] != ""):
            self._equate(left, right, what)
        parted = True
        while parted:  # until each summand divides by itself
            parted = any([self._parted(form, by) for form, by in notes.divisions])  # noqa: C419
        for name in self._follow - self.kept.keys() - self._sums.keys():
            self.kept[name] = ""
        free = [name for name in self.counts if name not in self._sums]
        columns = {name: 1 for name in free if self.kept.get(name) != ""}
        wholes: list[tuple[Terms, int]] = [({name: 1}, 1) for name in self._sums]
        for terms, by in (*wholes, *((form.terms, by) for form, by in notes.divisions)):
            for name, factor in self._free(terms).items():
                columns[name] = lcm(columns[name], _step(factor, by))
        return columns

    def _reduced(self, terms: Terms) -> Terms:
        """A sum in widths that are no sums themselves."""
        total: Terms = {}
        for name, factor in terms.items():
            if name in self._sums:
                self._sums[name] = parts = self._reduced(self._sums[name])
            else:
                parts = {name: 1}
            for part, times in parts.items():
                total[part] = total.get(part, 0) + factor * times
        return {name: factor for name, factor in total.items() if factor}

    def _free(self, terms: Terms) -> Terms:
        return {k: f for k, f in self._reduced(terms).items() if k not in self.kept}

    def _value(self, terms: Terms) -> Any:
        return sum(f * self.counts[name] for name, f in terms.items())

    def _equate(self, left: Any, right: Any, what: str) -> None:
        if left.factors or getattr(right, "factors", ()):
            self._equate_products(left, right, what)
            return
        theirs = getattr(right, "terms", {})
        terms = self._reduced(
            {k: left.terms.get(k, 0) - theirs.get(k, 0) for k in left.terms | theirs}
        )
        why = [self.kept[name] for name in terms if name in self.kept]
        free = self._paired({k: f for k, f in terms.items() if k not in self.kept})
        if self._value(free):
            self._keep(free, why[0] if why else what)
        elif free:
            self._balance(free)

    def _equate_products(self, left: Any, right: Any, what: str) -> None:
        """Two products are equal where their factors are, or grow alike."""
        one, other = (
            sorted((f for f in getattr(x, "factors", ()) or (x,) if self._freed(f)), key=int)
            for x in (left, right)
        )
        if len(one) != len(other):
            self._keep({name for form in one + other for name in self._freed(form)}, what)
            return
        for form, its in zip(one, other, strict=True):
            if int(form) == int(its):
                self._equate(form, its, what)
            else:
                self._scale_alike(self._freed(form) | self._freed(its))

    def _freed(self, size: int) -> Terms:
        return self._free(getattr(size, "terms", {}))

    def _paired(self, terms: Terms) -> Terms:
        """What is left of a sum that is 0 once equal summands are made one."""
        left = dict(terms)
        waiting: dict[tuple[Any, int], list[str]] = {}
        for name, factor in terms.items():
            if opposite := waiting.get((-factor, self.counts[name])):
                other = opposite.pop(0)
                self._scale_alike((other, name))
                del left[name], left[other]
            else:
                waiting.setdefault((factor, self.counts[name]), []).append(name)
        return left

    def _balance(self, terms: Terms) -> None:
        """Make a sum 0: a width that stands alone on one side is the sum on the other."""
        for sign in (1, -1):
            (name, factor), *rest = sorted(terms.items(), key=lambda item: -sign * item[1])
            others: Terms = {k: Fraction(-f) / factor for k, f in rest}
            whole = all(f > 0 and f.denominator == 1 for f in others.values())
            if whole and not self._follow & terms.keys():
                self._sums[name] = others
                return
        self._scale_alike(terms)

    def _scale_alike(self, names: Iterable[str]) -> None:
        """Make widths multiples of one, the least: none falls below the least of its rounding."""
        order = {name: i for i, name in enumerate(self.counts)}
        base, *others = sorted(
            names, key=lambda k: (k in self._follow, k not in self.grows, self.counts[k], order[k])
        )
        for name in others:
            self._sums[name] = {base: Fraction(self.counts[name], self.counts[base])}

    def _keep(self, names: Iterable[str], why: str) -> None:
        # A constant only follows, and a width of 1 is broadcast: neither keeps α from the others.
        quiet = {name for name in names if name in self._follow or self.counts[name] == 1}
        self.kept |= {name: "" if name in quiet else why for name in names}

    def _parted(self, form: Form, by: int) -> bool:
        """Whether summands had to be tied so that their sum divides."""
        free = self._free(form.terms)
        if (int(form) - self._value(free)) % by:
            self._keep(free, "")
            return bool(free)
        if all(self.counts[name] % _step(factor, by) == 0 for name, factor in free.items()):
            return False
        self._scale_alike(free)
        return True

    def sized(self, network: Network, counts: Mapping[str, Dim]) -> Network:
        """The network with other counts for the columns; what is a sum of them follows."""
        return network.with_layers([self._sized(layer, counts) for layer in network.layers])

    def _sized(self, layer: Layer, counts: Mapping[str, Dim]) -> Layer:
        name = layer.name
        if name not in self._scaled:
            return layer
        if name in counts and name not in self.grows:  # as most are, and planners call this often
            return layer.evolve(**{layer.width: counts[name]})
        widths = layer.widths
        return layer.with_widths({each: self._width(each, widths[each], counts) for each in widths})

    def _width(self, name: str, width: Width, counts: Mapping[str, Dim]) -> Width:
        if name not in self._parts:
            return width
        terms, constant = self._parts[name]
        count: Dim = constant
        for base, factor in terms.items():
            part = counts[base] * factor.numerator
            count += part if factor.denominator == 1 else exact_div(part, factor.denominator)
        return type(width)(count) if isinstance(width, (AtLeast, Fixed)) else count


def _step(factor: Fraction | int, by: int) -> int:
    """What a width must be a multiple of for `factor` times it to be whole and one of `by`."""
    whole = by * factor.denominator
    return whole // gcd(whole, factor.numerator)
