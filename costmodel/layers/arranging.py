"""Layers of traced models that compute nothing: axes merged, split, moved, cut and padded."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, ClassVar, Self

from costmodel.algebra.arithmetic import Dim, below, ceil_div, exact_div, is_symbolic
from costmodel.core.fields import PerAxis, Positive, Shape, Text
from costmodel.core.orders import GAP, expanded, merged, plain
from costmodel.core.shapes import axes, on_axis, ranked, refuse, same_shape, shape_text
from costmodel.errors import CostModelError
from costmodel.layers.fields import Amounts, Axis, Count, Items, Permutation, Positives, Runs
from costmodel.layers.fixed import TRACE_AGAIN, agree_fixed, refuse_size
from costmodel.layers.joining import _Moves

if TYPE_CHECKING:
    from collections.abc import Collection

    from costmodel.core.layer import Counts, Inputs
    from costmodel.core.orders import Order


@dataclass(frozen=True)
class Join(_Moves):
    """Inputs one after the other along any axis; along the channels it is a `Concat`.

    >>> from costmodel import Network
    >>> from costmodel.core import infer
    >>> from costmodel.layers import Input
    >>> layers = (Input("cls", (1, 1, 768)), Input("patches", (1, 196, 768)))
    >>> infer(Network("n", (*layers, Join("tokens", 1, inputs=("cls", "patches")))))[-1].output
    (1, 197, 768)
    """

    along: Axis
    function: Text = "cat"
    arity: ClassVar[int | None] = None

    def output_shape(self, inputs: Inputs, widths: Counts) -> Shape:
        """The sum along the axis; all else has to be equal."""
        axis = on_axis(self, self.along, inputs[0])
        first = inputs[0][:axis], inputs[0][axis + 1 :]
        for shape in inputs:
            rest = shape[:axis] + shape[axis + 1 :]
            if len(shape) != len(inputs[0]) or not same_shape(self, rest, first[0] + first[1]):
                what = f"joins {shape_text(inputs[0])} and {shape_text(shape)}"
                refuse(self, what, TRACE_AGAIN)
        return *first[0], sum(shape[axis] for shape in inputs), *first[1]


@dataclass(frozen=True)
class Reshape(_Moves):
    """Axes merged and split: for each run of input axes, how many and the output's sizes.

    A size is a count, -1 for whatever is left of the run, or (i, axis): that axis of input i. A
    run without a -1 fixes its input's size.

    >>> from costmodel import Network
    >>> from costmodel.core import infer
    >>> from costmodel.layers import Input
    >>> shuffle = Reshape("split", ((1, (-1,)), (1, (2, -1)), (1, (-1,)), (1, (-1,))))
    >>> infer(Network("n", (Input("map", (1, 24, 7, 7)), shuffle)))[-1].output
    (1, 2, 12, 7, 7)
    """

    runs: Runs
    function: Text = "reshape"
    arity: ClassVar[int | None] = None

    def _read(self, inputs: Inputs, source: int, axis: int) -> Dim:
        if source >= len(inputs):
            what = f"takes a size of input {source}, and has {len(inputs)}"
            refuse(self, what, "list its inputs")
        return inputs[source][on_axis(self, axis, inputs[source])]

    def output_shape(self, inputs: Inputs, widths: Counts) -> Shape:
        """Run by run."""
        shape, output, at = inputs[0], list[Dim](), 0
        for axes_read, sizes in self.runs:
            whole = prod(shape[at : at + axes_read])
            at += axes_read
            known = [self._read(inputs, *x) if isinstance(x, tuple) else x for x in sizes]
            output += self._sizes(whole, known)
        if at != len(shape):
            what = f"reshapes {at} axes, and its input is {shape_text(shape)}"
            refuse(self, what, "change the runs")
        return tuple(output)

    def _sizes(self, whole: Dim, known: list[Dim]) -> list[Dim]:
        """The sizes of a run, and what is left of its whole in place of the -1."""
        parts = prod(x for x in known if x != -1)
        rest = 1 if -1 not in known else None if parts == 0 else exact_div(whole, parts)
        if rest is None:
            refuse(self, f"{parts} parts must divide {whole}", "choose a multiple of them")
        squeezed = is_symbolic(whole) and parts == 1  # as it has to be
        if -1 not in known and not squeezed and not agree_fixed(self, whole, parts):
            refuse_size(self, f"{self.function} ", "×".join(map(str, known)) or "1", whole)
        return [rest if x == -1 else x for x in known]

    def of_any_width(self, sides: Collection[int]) -> Self:
        """Of sizes that the model says by number (heads × features, say) the largest is the rest.

        A run that follows the resolution stays as it is: at another one the model would fail.
        """
        runs, at = [], 0
        for read, sizes in self.runs:
            known = [size for size in sizes if isinstance(size, int) and size > 0]
            free = len(known) == len(sizes) and max(known, default=1) > 1
            free = free and not set(sides) & set(range(at, at + read))
            last = max(range(len(sizes)), key=lambda i: (known[i], i)) if free else -1
            runs.append((read, tuple(-1 if i == last else size for i, size in enumerate(sizes))))
            at += read
        return self.evolve(runs=tuple(runs))

    def view_order(self, order: Order, inputs: Inputs, output: Shape) -> Order | None:
        """A view where each run is in one piece; a copy where torch may make one."""
        runs, read, written = [], 0, 0
        for axes_read, sizes in self.runs:
            after = range(written, written + len(sizes))
            kept = tuple(axis for axis in after if output[axis] != 1)
            runs.append((tuple(range(read, read + axes_read)), kept))
            read, written = read + axes_read, written + len(sizes)
        copies = self.function in {"reshape", "reshape_as", "flatten"}  # where torch cannot view
        view = merged(order, runs)
        return plain(output) if view is None and not copies else view


@dataclass(frozen=True)
class Permute(_Moves):
    """Axes in another order.

    >>> from costmodel import Network
    >>> from costmodel.core import infer
    >>> from costmodel.layers import Input
    >>> last = Permute("channels_last", (0, 2, 3, 1))
    >>> infer(Network("n", (Input("map", (1, 96, 56, 56)), last)))[-1].output
    (1, 56, 56, 96)
    """

    order: Permutation
    function: Text = "permute"

    def output_shape(self, inputs: Inputs, widths: Counts) -> Shape:
        """In that order."""
        (shape,) = inputs
        if len(shape) != len(self.order):
            what = f"orders {len(self.order)} axes of {shape_text(shape)}"
            refuse(self, what, "change the order")
        return tuple(shape[axis] for axis in self.order)

    def view_order(self, order: Order, inputs: Inputs, output: Shape) -> Order:
        """A view."""
        return tuple(axis if axis == GAP else self.order.index(axis) for axis in order)


@dataclass(frozen=True)
class Split(_Moves):
    """One of the equal parts along an axis (`part`, from 0), as torch.chunk makes them.

    >>> from costmodel import Network
    >>> from costmodel.core import infer
    >>> from costmodel.layers import Input
    >>> infer(Network("n", (Input("map", (1, 116, 28, 28)), Split("half", parts=2))))[-1].output
    (1, 58, 28, 28)
    """

    parts: Positive
    along: Axis = 1
    function: Text = "chunk"
    part: Count = 0

    def __post_init__(self) -> None:
        """Check that the part is one of them too."""
        super().__post_init__()
        if self.part >= self.parts:
            rule = f"part must be one of {self.parts} parts, from 0"
            raise CostModelError(f"{self.name}: {rule}, got {self.part}")

    def output_shape(self, inputs: Inputs, widths: Counts) -> Shape:
        """D / parts along the axis."""
        (shape,) = inputs
        axis = on_axis(self, self.along, shape)
        part = exact_div(shape[axis], self.parts)
        if part is None:
            what = f"{self.parts} parts must divide {shape[axis]}"
            refuse(self, what, f"choose a multiple, as divisible({self.parts}) does")
        return *shape[:axis], part, *shape[axis + 1 :]

    def view_order(self, order: Order, inputs: Inputs, output: Shape) -> Order:
        """A view, with gaps around it."""
        return _parts(order, {self.along % len(output)} if self.parts > 1 else (), output)


def _parts(order: Order, cut: Collection[int], output: Shape) -> Order:
    """Around a part of an axis something is left out, and where an axis has one element left."""
    kept = (axis if axis == GAP or output[axis] != 1 else GAP for axis in order)
    return tuple(x for axis in kept for x in ((GAP, axis, GAP) if axis in cut else (axis,)))


@dataclass(frozen=True)
class Slice(_Moves):
    """A part of the leading axes: for each an index, which drops it, or (start, stop, step).

    A stop of None is the end; negative ones count from there.

    >>> from costmodel import Network
    >>> from costmodel.core import infer
    >>> from costmodel.layers import Input
    >>> crop = Slice("crop", ((0, None, 1), 0))
    >>> infer(Network("n", (Input("tokens", (1, 197, 768)), crop)))[-1].output
    (1, 768)
    """

    items: Items
    function: Text = "getitem"

    def output_shape(self, inputs: Inputs, widths: Counts) -> Shape:
        """⌈(stop − start) / step⌉ on each axis that stays."""
        (shape,) = inputs
        if len(self.items) > len(shape):
            what = f"indexes {len(self.items)} axes of {shape_text(shape)}"
            refuse(self, what, "change the items")
        output = [
            self._sliced(size, item)
            for size, item in zip(shape, self.items, strict=False)
            if isinstance(item, tuple)
        ]
        return *output, *shape[len(self.items) :]

    def _sliced(self, size: Dim, item: tuple[int, int | None, int]) -> Dim:
        start, stop, step = item
        end = size if stop is None else stop if stop >= 0 else size + stop
        if stop is not None and stop > 0 and below(size, stop):
            refuse(self, f"takes {start}:{stop} of {size}", TRACE_AGAIN)
        begin = start if start >= 0 else 0 if below(size, -start) else size + start
        return ceil_div(end - begin, step)

    def view_order(self, order: Order, inputs: Inputs, output: Shape) -> Order:
        """A view, with gaps around it."""
        items = (*self.items, *((0, None, 1),) * (len(inputs[0]) - len(self.items)))
        left = [axis for axis, item in enumerate(items) if isinstance(item, tuple)]
        new = tuple(left.index(axis) if axis in left else GAP for axis in order)
        cut = {left.index(axis) for axis in left if items[axis] != (0, None, 1)}
        return _parts(new, cut, output)


@dataclass(frozen=True)
class Repeat(_Moves):
    """Each axis repeated; missing ones are added in front, as torch does.

    >>> from costmodel import Network
    >>> from costmodel.core import infer
    >>> from costmodel.layers import Input
    >>> infer(Network("n", (Input("x", (1, 1, 64)), Repeat("r", (4, 2, 1)))))[-1].output
    (4, 2, 64)
    """

    times: Positives
    function: Text = "repeat"

    def output_shape(self, inputs: Inputs, widths: Counts) -> Shape:
        """D·times on each axis."""
        (shape,) = inputs
        if len(shape) > len(self.times):
            what = f"repeats {len(self.times)} axes of {shape_text(shape)}"
            refuse(self, what, "name every axis")
        padded = (1,) * (len(self.times) - len(shape)) + tuple(shape)
        return tuple(size * times for size, times in zip(padded, self.times, strict=True))

    def view_order(self, order: Order, inputs: Inputs, output: Shape) -> Order | None:
        """An expansion is a view."""
        copies = self.function in {"repeat", "tile"}
        return None if copies else expanded(order, inputs[0], output)


@dataclass(frozen=True)
class Pad(_Moves):
    """Elements added before and after, or with a negative number taken from, the last axes.

    >>> from costmodel import Network
    >>> from costmodel.core import infer
    >>> from costmodel.layers import Input
    >>> infer(Network("n", (Input("map", (1, 3, 8, 8)), Pad("pad", ((0, 1), (0, 1))))))[-1].output
    (1, 3, 9, 9)
    """

    amounts: Amounts
    function: Text = "pad"
    keeps_axes: ClassVar[bool] = True

    def output_shape(self, inputs: Inputs, widths: Counts) -> Shape:
        """D + before + after on each of those axes."""
        (shape,) = inputs
        kept = len(shape) - len(self.amounts)
        if kept < 0:
            what = f"pads {len(self.amounts)} axes of {shape_text(shape)}"
            refuse(self, what, "change the amounts")
        sides = zip(shape[kept:], self.amounts, strict=True)
        return *shape[:kept], *(self._padded(size, *amounts) for size, amounts in sides)

    def _padded(self, size: Dim, before: int, after: int) -> Dim:
        taken = -min(before, 0, after)
        if max(before, after) > 0 and below(size, taken):  # what is added does not make up for it
            refuse(self, f"takes {taken} of {size}", "raise the resolution")
        return size + before + after


@dataclass(frozen=True)
class PadSame(_Moves):
    """Padding as TensorFlow's "same" has it: what a window needs to make ⌈D / stride⌉ positions.

    >>> from costmodel import Network
    >>> from costmodel.core import infer
    >>> from costmodel.layers import Input
    >>> pad = PadSame("pad", kernel=3, stride=2)
    >>> infer(Network("n", (Input("map", (1, 3, 224, 224)), pad)))[-1].output
    (1, 3, 225, 225)
    """

    kernel: PerAxis
    stride: PerAxis = 1
    dilation: PerAxis = 1
    function: Text = "pad"

    def output_shape(self, inputs: Inputs, widths: Counts) -> Shape:
        """(⌈D / s⌉ − 1)s + d(k − 1) + 1 on each axis, or D where that is more."""
        shape, window = ranked(self, inputs[0], 3), (self.kernel, self.stride, self.dilation)
        windows = zip(*(axes(value, self, len(shape) - 2) for value in window), strict=True)
        sides = []
        for size, (kernel, stride, dilation) in zip(shape[2:], windows, strict=True):
            needed = (ceil_div(size, stride) - 1) * stride + dilation * (kernel - 1) + 1
            # With a symbol a window is taken to be no smaller than its stride: padding is needed.
            sides.append(needed if is_symbolic(needed) else max(needed, size))
        return *shape[:2], *sides
