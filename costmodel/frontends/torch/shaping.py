"""Views, permutations, parts and resampling: which axes an output's axes come from."""

from __future__ import annotations

from fractions import Fraction
from functools import partial
from itertools import accumulate
from math import prod
from typing import TYPE_CHECKING, Any

from costmodel import layers as ir
from costmodel.frontends.torch.calls import (
    Call,
    Extent,
    Result,
    Value,
    handles,
    is_broadcast,
    per_axis,
    spread,
    values_in,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from costmodel.frontends.torch.calls import Sizes


# Sizes


@handles("interpolate", "upsample", "upsample_nearest2d", "upsample_bilinear2d")
def _interpolate(
    call: Call,
    x: Value,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    *_: object,
    **__: object,
) -> Result:
    rank = len(x.shape) - 2
    detail = "by_factor" if size is None else "to_size"
    call.origin = call.origin._replace(function=f"upsample_{mode}{rank}d", detail=detail)
    if size is not None:
        return resized(call, x, list(spread(size, rank)))
    scales = [Fraction(str(scale)) for scale in spread(scale_factor, rank)]
    ratio = [
        per_axis([getattr(s, part) for s in scales], rank) for part in ("numerator", "denominator")
    ]
    return call.emit(ir.Resample, *ratio, call.function, reads=(x,))


def resized(call: Call, x: Value, sizes: list[Any]) -> Result:
    """Spatial axes of sizes that belong to some layer, or else are as they are."""
    values = {size.value for size in sizes if isinstance(size, Extent)}
    placed = all(isinstance(s, Extent) and s.axis == 2 + i for i, s in enumerate(sizes))
    like = values.pop() if len(values) == 1 else None
    if like is None or not placed:
        return _sized(call, x)
    factors = [size.factor for size in sizes]
    if like is x:
        return call.emit(ir.Resample, per_axis(factors, len(sizes)), 1, call.function, reads=(x,))
    if factors.count(1) != len(factors):
        return _sized(call, x)
    return call.emit(ir.Resample, 1, 1, call.function, reads=(x, like))


def _sized(call: Call, x: Value) -> Value:
    """To sizes that may be those of this resolution alone, for any number of channels."""
    rank = len(x.shape) - 2
    fixed = (-1, -1, *x.shape[2:])
    x = call.emit(ir.FixedSize, sizes=fixed, reads=(x,), shape=x.shape, suffix="size")
    del call.graph.origins[x.layer]  # it is no call of torch's, which a tool would count
    scale = [per_axis(sizes[2:], rank) for sizes in (call.shape, x.shape)]
    return call.emit(ir.Resample, *scale, call.function, reads=(x,))


@handles("pad")
def _pad(call: Call, x: Value, pad: Any, *_: object, **__: object) -> Result:
    if any(isinstance(amount, Extent) for amount in pad) or call.graph.lost_size:
        return call.recorded((x,))  # unless a convolution shows what it was computed for
    amounts = tuple((int(pad[i]), int(pad[i + 1])) for i in range(len(pad) - 2, -1, -2))
    return call.emit(ir.Pad, amounts, reads=(x,))


@handles("view", "reshape", "_unsafe_view")
def _view(call: Call, x: Value, *sizes: Any, shape: Any = None) -> Result:
    asked = (
        shape if shape is not None else sizes[0] if isinstance(sizes[0], (tuple, list)) else sizes
    )
    if not all(isinstance(size, int) for size in asked):
        return None  # another dtype
    if len(asked) == 2 and asked[1] == -1 and _is(asked[0], x, 0) and len(x.shape) > 2:  # noqa: PLR2004
        return call.emit(ir.Flatten, reads=(x,))
    return reshaped(call, x, list(asked), call.shape)


def _is(size: object, value: Value, axis: int) -> bool:
    """Whether a size is that of an axis."""
    return isinstance(size, Extent) and (size.value, size.axis, size.factor) == (value, axis, 1)


def reshaped(call: Call, x: Value, asked: list[Any], shape: Sizes) -> Result:
    """Which axes were merged and which were split, and by what."""
    if 0 in x.shape:
        return call.recorded((x,))
    reads, runs = [x], []
    for read, after in _runs(x.shape, shape):
        wanted = [asked[axis] for axis in after]
        if len(read) == len(after) == 1 and isinstance(wanted[0], Extent):
            sizes: list[Any] = [-1]
        else:
            sizes = [
                _size(*pair, reads) for pair in zip(wanted, shape[after.start :], strict=False)
            ]
        # One size may be what is left: the one asked for, or else the last computed one.
        rest = -1 if -1 in sizes else None
        last = max((i for i, size in enumerate(sizes) if size is rest), default=-1)
        sizes = [
            -1 if i == last else shape[after[i]] if s is None else s for i, s in enumerate(sizes)
        ]
        runs.append((len(read), tuple(sizes)))
    return call.emit(ir.Reshape, tuple(runs), call.function, reads=reads, shape=shape)


def _runs(before: Sizes, after: Sizes) -> Iterator[tuple[range, range]]:
    """The shortest runs of axes before and after with equal products."""
    i = j = 0
    while i < len(before) or j < len(after):
        a, b = i + (i < len(before)), j + (j < len(after))
        while (left := prod(before[i:a])) != (right := prod(after[j:b])):
            a, b = a + (left < right), b + (left > right)
        yield range(i, a), range(j, b)
        i, j = a, b


def _size(asked: Any, size: int, reads: list[Value]) -> Any:
    """A size as a layer has it: a count, -1, an axis of a value, or None if it was computed."""
    if asked == -1 or size == 1:
        return asked if asked == -1 else 1
    if not isinstance(asked, Extent):
        return size
    if asked.value is None or asked.factor != 1:
        return None
    if asked.value not in reads:
        reads.append(asked.value)
    return (reads.index(asked.value), asked.axis)


@handles("view_as", "reshape_as")
def _view_as(call: Call, x: Value, other: Value) -> Result:
    asked = [Extent.of(call.graph, other, axis) for axis in range(len(other.shape))]
    return reshaped(call, x, list(asked), call.shape)


@handles("flatten")
def _flatten(call: Call, x: Value, start_dim: int = 0, end_dim: int = -1) -> Result:
    rank = len(x.shape)
    start, end = start_dim % rank, end_dim % rank
    if (start, end) == (1, rank - 1):
        return call.emit(ir.Flatten, reads=(x,))
    kept = (1, (-1,))
    runs = (kept,) * start + ((end - start + 1, (-1,)),) + (kept,) * (rank - 1 - end)
    return call.emit(ir.Reshape, runs, call.function, reads=(x,))


@handles("unflatten")
def _unflatten(call: Call, x: Value, dim: int, sizes: Any) -> Result:
    axis = dim % len(x.shape)
    asked = [-1 if i == axis else s for i, s in enumerate(x.shape)]
    split = [sizes] if isinstance(sizes, int) else list(sizes)
    if -1 not in split and not any(isinstance(size, Extent) for size in split):
        split = [int(size) for size in split]
    kept = [Extent.of(call.graph, x, i) for i in range(len(asked))]
    return reshaped(call, x, [*kept[:axis], *split, *kept[axis + 1 :]], call.shape)


@handles("unsqueeze")
def _unsqueeze(call: Call, x: Value, dim: int) -> Result:
    return inserted(call, x, dim % (len(x.shape) + 1))


def inserted(call: Call, x: Value, axis: int) -> Value:
    """The value with a new axis of one element."""
    kept = (1, (-1,))
    runs = (kept,) * axis + ((0, (1,)),) + (kept,) * (len(x.shape) - axis)
    shape = (*x.shape[:axis], 1, *x.shape[axis:])
    return call.emit(ir.Reshape, runs, "unsqueeze", reads=(x,), shape=shape)


@handles("squeeze")
def _squeeze(call: Call, x: Value, dim: Any = None) -> Result:
    rank = len(x.shape)
    chosen = range(rank) if dim is None else spread(dim, 1)
    gone = {axis % rank for axis in chosen if x.shape[axis] == 1}
    runs = tuple((1, () if axis in gone else (-1,)) for axis in range(rank))
    return call.emit(ir.Reshape, runs, call.function, reads=(x,)) if gone else x


@handles("permute")
def _permute(call: Call, x: Value, *dims: Any) -> Result:
    order = dims[0] if isinstance(dims[0], (tuple, list)) else dims
    return _ordered(call, x, [axis % len(x.shape) for axis in order])


@handles("transpose", "transpose_", "swapaxes", "swapdims")
def _transpose(call: Call, x: Value, dim0: int, dim1: int) -> Result:
    order = list(range(len(x.shape)))
    order[dim0], order[dim1] = order[dim1], order[dim0]
    return _ordered(call, x, order)


@handles("t", "T", "H")
def _reversed(call: Call, x: Value) -> Result:
    return _ordered(call, x, list(range(len(x.shape)))[::-1])


@handles("mT", "mH", "adjoint")
def _matrix_transpose(call: Call, x: Value) -> Result:
    rank = len(x.shape)
    return _ordered(call, x, [*range(rank - 2), rank - 1, rank - 2])


@handles("movedim", "moveaxis")
def _movedim(call: Call, x: Value, source: Any, destination: Any) -> Result:
    rank = len(x.shape)
    moved = {
        d % rank: s % rank for s, d in zip(spread(source, 1), spread(destination, 1), strict=True)
    }
    others = (axis for axis in range(rank) if axis not in moved.values())
    return _ordered(call, x, [moved[i] if i in moved else next(others) for i in range(rank)])


def _ordered(call: Call, x: Value, order: list[int]) -> Value:
    return call.emit(ir.Permute, tuple(order), call.function, reads=(x,))


@handles("pixel_shuffle")
def _pixel_shuffle(call: Call, x: Value, upscale_factor: int) -> Result:
    n, c, h, w = x.shape
    r, kept = upscale_factor, (1, (-1,))
    runs = (kept, (1, (-1, r, r)), kept, kept)
    apart = call.emit(
        ir.Reshape, runs, reads=(x,), shape=(n, c // r**2, r, r, h, w), suffix="split"
    )
    return _merged(call, apart, (0, 1, 4, 2, 5, 3), (kept, kept, (2, (-1,)), (2, (-1,))))


@handles("pixel_unshuffle")
def _pixel_unshuffle(call: Call, x: Value, downscale_factor: int) -> Result:
    n, c, h, w = x.shape
    r, kept = downscale_factor, (1, (-1,))
    runs = (kept, kept, (1, (-1, r)), (1, (-1, r)))
    apart = call.emit(
        ir.Reshape, runs, reads=(x,), shape=(n, c, h // r, r, w // r, r), suffix="split"
    )
    return _merged(call, apart, (0, 1, 3, 5, 2, 4), (kept, (3, (-1,)), kept, kept))


def _merged(call: Call, x: Value, order: Sizes, runs: tuple[Any, ...]) -> Value:
    shape = tuple(x.shape[axis] for axis in order)
    moved = call.emit(ir.Permute, order, reads=(x,), shape=shape, suffix="permute")
    return call.emit(ir.Reshape, runs, call.function, reads=(moved,))


@handles("channel_shuffle")
def _channel_shuffle(call: Call, x: Value, groups: int) -> Result:
    return call.emit(ir.Affine, call.function, (), 0, groups, reads=(x,))


# Parts, and parts joined


@handles("chunk", "split", "tensor_split", "split_with_sizes", "unsafe_chunk", "unsafe_split")
def _split(call: Call, x: Value, _sizes: object = None, dim: int = 0, **_: object) -> Result:
    axis, parts = dim % len(x.shape), len(call.shapes)
    ends = list(accumulate((shape[axis] for shape in call.shapes), initial=0))
    equal = len(set(call.shapes)) == 1

    def part(index: int) -> Value:
        shape = call.shapes[index]
        if equal:
            return call.emit(ir.Split, parts, axis, call.function, index, reads=(x,), shape=shape)
        item: Any = (ends[index], None if index + 1 == parts else ends[index + 1], 1)
        return _sliced(call, x, [_ALL] * axis + [item], shape)

    return [call.later(partial(part, index), index) for index in range(parts)]


@handles("unbind")
def _unbind(call: Call, x: Value, dim: int = 0) -> Result:
    leading = [_ALL] * (dim % len(x.shape))

    def part(index: int) -> Value:
        return _sliced(call, x, [*leading, index], call.shapes[index])

    return [call.later(partial(part, index), index) for index in range(len(call.shapes))]


_ALL = (0, None, 1)


def _sliced(call: Call, x: Value, items: list[Any], shape: Sizes) -> Value:
    """A part of some axes; a part of the channels fixes how many there are."""
    rank = len(x.shape)
    axis = 2 if rank == 3 else 1  # noqa: PLR2004 - tokens come before their features
    if axis < len(items) and isinstance(items[axis], tuple) and items[axis][:2] != _ALL[:2]:
        sizes = tuple(x.shape[i] if i == axis else -1 for i in range(rank))
        x = call.emit(ir.FixedSize, sizes=sizes, reads=(x,), shape=x.shape, suffix="channels")
    return call.emit(ir.Slice, tuple(items), call.function, reads=(x,), shape=shape)


@handles("select")
def _select(call: Call, x: Value, dim: int, index: int) -> Result:
    return _sliced(call, x, [_ALL] * (dim % len(x.shape)) + [int(index)], call.shape)


@handles("narrow")
def _narrow(call: Call, x: Value, dim: int, start: int, length: int) -> Result:
    axis = dim % len(x.shape)
    item = _item(slice(start, start + length), x.shape[axis])
    return (
        call.recorded((x,))
        if item is None
        else _sliced(call, x, [_ALL] * axis + [item], call.shape)
    )


@handles("__getitem__")
def _getitem(call: Call, x: Value, index: Any) -> Result:
    index = index if isinstance(index, tuple) else (index,)
    if any(not isinstance(i, (int, slice, type(None), type(...))) for i in index):
        return call.recorded([x, *values_in(index)])
    spare = len(x.shape) - sum(i is not None and i is not ... for i in index)
    at = index.index(...) if ... in index else len(index)
    index = (*index[:at], *(slice(None),) * spare, *index[at + 1 :])
    sizes = iter(x.shape)
    items = [_item(i, next(sizes)) for i in index if i is not None]
    if None in items or any(isinstance(i, bool) for i in index):
        return call.recorded((x,))
    whole = items == [_ALL] * len(items)
    new = [axis for axis, i in enumerate(i for i in index if type(i) is not int) if i is None]
    if not whole:
        kept = tuple(size for axis, size in enumerate(call.shape) if axis not in new)
        x = _sliced(call, x, items, kept)
    for axis in new:
        x = inserted(call, x, axis)
    return x


def _item(index: Any, size: int) -> Any:
    """An index or slice as a layer has it; None where its bounds were computed from a size."""
    if not isinstance(index, slice):
        return int(index)
    start, stop, step = index.start or 0, index.stop, index.step or 1
    stop = None if stop is None or stop >= size else stop
    if isinstance(start, Extent) or isinstance(stop, Extent) or abs(start) > size:
        return None
    return (start, stop, step)


@handles("cat", "concat", "concatenate")
def _cat(call: Call, tensors: Any, dim: int = 0, **named: Any) -> Result:
    axis = named.get("axis", dim) % len(call.shape)
    reads = [x for x in values_in(tensors) if x.shape != (0,)]
    if axis == 1:
        return call.emit(ir.Concat, reads=reads)
    return call.emit(ir.Join, axis, call.function, reads=reads)


@handles("stack")
def _stack(call: Call, tensors: Any, dim: int = 0) -> Result:
    axis = dim % len(call.shape)
    reads = [inserted(call, x, axis) for x in values_in(tensors)]
    return call.emit(ir.Join, axis, call.function, reads=reads)


@handles("expand", "broadcast_to")
def _expand(call: Call, x: Value, *sizes: Any, **named: Any) -> Result:
    asked = named.get("size") or (sizes[0] if isinstance(sizes[0], (tuple, list)) else sizes)
    before = (1,) * (len(asked) - len(x.shape)) + x.shape
    grown = [
        (i, s) for i, (s, had) in enumerate(zip(asked, before, strict=True)) if s not in (-1, had)
    ]
    values = {size.value for _, size in grown if isinstance(size, Extent)}
    if any(isinstance(size, Extent) for _, size in grown):
        like = values.pop() if len(values) == 1 else None
        placed = (
            like is not None
            and len(like.shape) == len(asked)
            and all(_is(s, like, i) for i, s in grown)
        )
        return (
            call.emit(ir.Combine, call.function, reads=(x, like))
            if placed and like and is_broadcast([x, like], call.shape)
            else call.recorded((x,))
        )
    times = tuple(after // size for after, size in zip(call.shape, before, strict=True))
    return (
        x
        if not grown and len(before) == len(x.shape)
        else call.emit(ir.Repeat, times, call.function, reads=(x,))
    )


@handles("expand_as")
def _expand_as(call: Call, x: Value, other: Value) -> Result:
    return call.emit(ir.Combine, call.function, reads=(x, other))


@handles("repeat", "tile")
def _repeat(call: Call, x: Value, *times: Any) -> Result:
    asked = times[0] if isinstance(times[0], (tuple, list)) else times
    if any(isinstance(n, Extent) and n != 1 for n in asked):
        return None
    padded = (1,) * (len(call.shape) - len(asked)) + tuple(map(int, asked))
    return call.emit(ir.Repeat, padded, call.function, reads=(x,))


_REDUCTIONS = (
    *("mean", "sum", "amax", "amin", "max", "min", "prod", "var", "std", "nansum", "median"),
    *("argmax", "argmin", "logsumexp", "all", "any"),
)


@handles(*_REDUCTIONS)
def _reduce(call: Call, x: Value, dim: Any = None, *_: object, **named: Any) -> Result:
    if isinstance(dim, Value):
        return None  # the larger of two tensors
    dim = named.get("axis", dim)
    over = range(len(x.shape)) if dim is None or dim == () else spread(dim, 1)
    axes = tuple(sorted(axis % len(x.shape) for axis in over))
    fields = (axes, len(call.shape) == len(x.shape), call.function)
    reduced = call.emit(ir.Reduce, *fields, reads=(x,))
    return [reduced] * len(call.shapes)
