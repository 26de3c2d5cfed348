"""A network's costs as JavaScript: its lowered expressions in α, D and the classes, printed.

A network is free and lowered once, with symbols; sympy prints what `rows`, `layer_cost`,
`live_bytes` and `held_parameters` make of it, so that a page and the library cannot disagree.
The functions take integers, either JavaScript's numbers or its BigInts.
"""

from __future__ import annotations

import json
from fractions import Fraction
from math import lcm, prod
from typing import TYPE_CHECKING, Any, NamedTuple

import sympy
from sympy.printing.jscode import JavascriptCodePrinter
from sympy.printing.precedence import PRECEDENCE

from costmodel.algebra.arithmetic import is_symbolic
from costmodel.algebra.notation import mathml
from costmodel.algebra.polynomial import Polynomial
from costmodel.algebra.symbols import alpha
from costmodel.core.lower import lower
from costmodel.core.rewrite import resize, widen
from costmodel.core.symbolic import require_numbers
from costmodel.layers.factorising import join, separable_pairs
from costmodel.metrics.memory import MemoryRules, held_parameters, live_bytes
from costmodel.metrics.timing import additive
from costmodel.reports.formula import closed_form
from costmodel.reports.loading import base_network, require_image, with_classes
from costmodel.reports.rows import rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from costmodel.algebra.arithmetic import Dim
    from costmodel.core.nest import LoopNest
    from costmodel.core.network import Network
    from costmodel.layers.factorising import Pair
    from costmodel.metrics.devices import Device
    from costmodel.reports.rows import Row

    Blocks = list[tuple[Pair, LoopNest]]

#: The side of the input, and the classes.
D, N = sympy.symbols("D N", positive=True, integer=True)
SIDE = 224  # of an image that has none of its own
MOST_SIDE = 10**6
DTYPES = ("float32", "float16", "int8")
FOLDED = (False, True)
_CLASSES = Polynomial({(("N", 1),): Fraction(1)})


class _Printer(JavascriptCodePrinter):  # type: ignore[misc]
    """Prints counts as exact integer arithmetic; widths and sizes become names, made once."""

    def __init__(self) -> None:
        super().__init__()
        self.widths: dict[str, str] = {}  # names by what makes them
        self.sizes: dict[str, str] = {}  # as above, each after those it is made of
        self.denominator = 1  # a multiple of all that is divided by
        self.texts: dict[Any, str] = {}  # what has been printed: layers repeat

    def _print_ScaledChannels(self, expr: sympy.Expr) -> str:  # noqa: N802
        count, factor, _, groups = map(self._print, expr.args)
        call = f"scaled({count}, {factor}, {groups})"
        return self.widths.setdefault(call, f"w{len(self.widths)}")

    def _size(self, function: str, expr: sympy.Expr) -> str:
        call = f"{function}({', '.join(map(self._print, expr.args))})"
        return self.sizes.setdefault(call, f"h{len(self.sizes)}")

    def _print_CeilDiv(self, expr: sympy.Expr) -> str:  # noqa: N802
        return self._size("ceilDiv", expr)

    def _print_CeilModeSize(self, expr: sympy.Expr) -> str:  # noqa: N802
        return self._size("ceilModeSize", expr)

    def _print_Max(self, expr: sympy.Expr) -> str:  # noqa: N802
        return f"atLeastOne({self._print(expr.args[-1])})"  # of 1 and α

    def _print_Pow(self, expr: sympy.Expr) -> str:  # noqa: N802
        base = self.parenthesize(expr.base, PRECEDENCE["Mul"])
        return "*".join([base] * int(expr.exp))

    def _print_Float(self, expr: sympy.Expr) -> str:  # noqa: N802
        return repr(float(expr))  # all of its digits

    def _print_Mul(self, expr: sympy.Expr) -> str:  # noqa: N802
        top, bottom = sympy.fraction(expr)
        factors = sympy.Mul.make_args(top)
        text = "*".join(self.parenthesize(factor, PRECEDENCE["Mul"]) for factor in factors)
        return text if bottom == 1 else self._quotient(text, int(bottom))

    def _print_Add(self, expr: sympy.Expr, order: object = None) -> str:  # noqa: ARG002, N802 - sympy's
        coefficients = (term.as_coeff_Mul()[0] for term in expr.args)
        common = lcm(*(int(c.q) for c in coefficients if c.is_Rational))  # not an estimate's
        terms = " + ".join(self._print(common * term) for term in expr.args)
        text = terms.replace("+ -", "- ")
        return text if common == 1 else self._quotient(text, common)

    def _quotient(self, text: str, divisor: int) -> str:
        """Divided last: a sum leaves no remainder where its parts may."""
        self.denominator = lcm(self.denominator, divisor)
        return f"({text})/{divisor}"

    def array(self, values: Iterable[Dim]) -> str:
        """The values as an array in JavaScript."""
        return f"[{', '.join(map(self._text, values))}]"

    def _text(self, value: Dim) -> str:
        if value not in self.texts:
            self.texts[value] = self._print(sympy.sympify(value))
        return self.texts[value]


class Script(NamedTuple):
    """A network's name, and its costs as an object in JavaScript."""

    name: str
    text: str


def script(network: str | Network, device: Device | None = None) -> Script:
    """A network of the zoo, one in a JSON file, or a Network, in JavaScript: time too on a device.

    >>> "9*h0*h0*w0" in script("mobilenet_v1").text  # the first depthwise convolution's MACs
    True

    Raises CostModelError for a layer without a rule, a network without an image, and one with
    symbols of its own.
    """
    base, classes = base_network(network)
    require_image(base)
    sides = [x.shape[2] for x in base.inputs if x.shape[2:]]
    side = SIDE if is_symbolic(sides[0]) else sides[0]
    require_numbers(resize(base, resolution=MOST_SIDE), "a page")
    free = widen(resize(with_classes(network, base, N), resolution=D), alpha)
    table = rows(free, device)
    printer = _Printer()
    blocks = _blocks(free)
    counted = {name: [getattr(row.cost, name) for row in table] for name in additive(device)}
    shown = _of_rows(table) | counted | _of_layers(free, blocks)
    arrays = {name: printer.array(values) for name, values in shown.items()}
    weights = {dtype: [printer.array(v) for v in both] for dtype, both in _weights(free).items()}
    given = ", ".join(("D", "N", *printer.widths.values(), *printer.sizes.values()))

    def function(array: str) -> str:
        return f"({given}) => {array}"

    form = closed_form(resize(with_classes(network, base, _CLASSES), resolution=side))
    values = {
        "name": base.name,
        "side": side,
        "classes": classes,
        "rounding": base.rounding,
        "denominator": printer.denominator,
        "formulas": {"MACs": mathml(form.macs), "params": mathml(form.params)},
        "layers": [layer.name for layer in free.layers],
        "rows": [_row(row) for row in table],
        "blocks": [{"name": pair.joined, "taps": prod(nest.kernel)} for pair, nest in blocks],
    }
    parts = {name: as_json(value) for name, value in values.items()}
    parts |= {name: function(array) for name, array in arrays.items()} | {
        "weight_bytes": _object(
            {k: f"[{', '.join(map(function, v))}]" for k, v in weights.items()}
        ),
        "widths": f"(scaled, atLeastOne, alpha) => [{', '.join(printer.widths)}]",
        "sizes": f"(ceilDiv, ceilModeSize, D) => {_sizes(printer.sizes)}",
        "relaxed": f"(alpha, rho, N, max) => {form.macs}",
    }
    return Script(base.name, _object(parts))


def _object(parts: Mapping[str, str]) -> str:
    return "{" + ",\n".join(f"{name}: {part}" for name, part in parts.items()) + "}"


def as_json(value: object) -> str:
    r"""JSON that may stand in a page's script, whatever names are in it.

    >>> as_json("</script>")
    '"\\u003c/script>"'
    """
    return json.dumps(value).replace("<", r"\u003c")


def _sizes(sizes: dict[str, str]) -> str:
    constants = "".join(f"const {name} = {definition}; " for definition, name in sizes.items())
    return f"{{ {constants}return [{', '.join(sizes.values())}]; }}"


def _of_rows(table: Sequence[Row]) -> dict[str, list[Dim]]:
    """The sizes of each row that the page computes, by name."""
    return {
        "inChannels": [row.in_channels for row in table],
        "outChannels": [row.out_channels for row in table],
        "heights": [(1, 1, *row.out_size)[-2] for row in table],
        "lengths": [(1, 1, *row.out_size)[-1] for row in table],
    }


def _of_layers(network: Network, blocks: Blocks) -> dict[str, list[Dim]]:
    """What the page computes of each layer and of each block, by name."""
    lowered = lower(network)
    elements = [live_bytes(network, MemoryRules("int8", fold_batch_norm=f)) for f in FOLDED]
    return {
        "live": [size for _, size in elements[0]],  # int8: a byte is an element
        "liveFolded": [size for _, size in elements[1]],
        "sides": _distinct(side for part in lowered for side in part.output[2:]),
        "shares": _distinct(x for part in lowered for nest in part.nests for x in (nest.c, nest.k)),
        "blockChannels": [nest.k for _, nest in blocks],
    }


def _weights(network: Network) -> dict[str, list[list[Dim]]]:
    """By dtype the bytes of each layer's parameters, batch norm left alone and folded."""
    held = [held_parameters(network, MemoryRules(fold_batch_norm=folded)) for folded in FOLDED]
    return {
        dtype: [[MemoryRules(dtype).parameter_bytes(x) for x in parts if x] for parts in held]
        for dtype in DTYPES
    }


def _distinct(extents: Iterable[Dim]) -> list[Dim]:
    """The formulas among them, once each."""
    return list(dict.fromkeys(extent for extent in extents if is_symbolic(extent)))


def _blocks(network: Network) -> Blocks:
    """The separable pairs, and the convolution that each factorises."""
    pairs = {pair.joined: pair for pair in separable_pairs(network)}
    joined = [x for x in lower(join(network)) if x.layer.name in pairs] if pairs else []
    return [(pairs[x.layer.name], x.nests[0]) for x in joined]


def _row(row: Row) -> dict[str, str]:
    """What of a row does not change with α, D and the classes."""
    alike = len(set(row.stride)) == 1
    return {
        "name": row.name,
        "kind": row.kind.replace("_", " "),
        "kernel": "×".join(map(str, row.kernel)),
        "stride": "×".join(map(str, row.stride[:1] if alike else row.stride)),
    }
