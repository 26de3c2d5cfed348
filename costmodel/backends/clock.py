"""Timing a module: layer by layer where each stands, and as a whole.

A layer's time depends on what ran before it: in a hot loop of its own it finds its weights and its
map in the cache, and takes a quarter less than in its network. So a pass goes through all layers,
with a mark of the clock between one and the next.
"""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from ctypes import CDLL
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from costmodel.errors import CostModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor, nn

    from costmodel.backends.modules import Graph


class Clock(NamedTuple):
    """How time is taken on a device.

    `mark` is a moment, `between` are the seconds from one to another, and `wait` returns when the
    device has done all that it was given.
    """

    mark: Callable[[], Any]
    between: Callable[[Any, Any], float]
    wait: Callable[[], object]


def _difference(start: float, stop: float) -> float:
    return stop - start


def _nothing() -> None:
    """A processor has done what it was given."""


def _cpu() -> Clock:
    return Clock(time.perf_counter, _difference, _nothing)


def _cuda() -> Clock:
    """Events on the stream: to wait after each layer would add the time of a launch to it."""

    def mark() -> torch.cuda.Event:
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record()
        return event

    def between(start: torch.cuda.Event, stop: torch.cuda.Event) -> float:
        milliseconds: float = start.elapsed_time(stop)
        return milliseconds / 1000

    return Clock(mark, between, torch.cuda.synchronize)


def _mps() -> Clock:
    def mark() -> float:
        torch.mps.synchronize()
        return time.perf_counter()

    return Clock(mark, _difference, torch.mps.synchronize)


#: By torch's name of a device: its clock, and whether torch has such a device here.
CLOCKS: dict[str, tuple[Callable[[], Clock], Callable[[], bool]]] = {
    "cpu": (_cpu, lambda: True),
    "cuda": (_cuda, torch.cuda.is_available),
    "mps": (_mps, torch.backends.mps.is_available),
}


def clock_of(device: str) -> Clock:
    """The clock of a device: cpu, cuda or mps.

    >>> clock = clock_of("cpu")
    >>> clock.between(clock.mark(), clock.mark()) >= 0
    True

    Raises CostModelError for another device, and for one that torch does not find here.
    """
    if device not in CLOCKS:
        raise CostModelError(f"device must be one of {', '.join(CLOCKS)}, got {device!r}")
    made, found = CLOCKS[device]
    if not found():
        raise CostModelError(f"torch finds no {device} device here; use cpu, or mend its driver")
    return made()


#: glibc's mallopt: the free memory that is given back, and the size that is mapped for itself.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_NEVER = 2**30
#: What glibc comes to by itself, at most, in a process that has freed large maps.
_GROWN = 2**25


def keep_memory() -> None:
    """Have this process keep memory that is freed, as one that has run for a while does.

    Else every large map is new memory, each page of which faults when it is first written, or is
    not, as the history of the process has it: it made layers of one network 2.7 times as slow.
    Only glibc has such a setting.
    """
    _set_thresholds(_NEVER, _NEVER)


def give_memory_back() -> None:
    """Have it give back what it has kept, and keep no more than glibc would by itself."""
    if libc := _set_thresholds(2 * _GROWN, _GROWN):
        libc.malloc_trim(0)


def _set_thresholds(trim: int, mapped: int) -> CDLL | None:
    libc = CDLL(None) if sys.platform == "linux" else None
    if libc is None or not hasattr(libc, "mallopt"):
        return None
    libc.mallopt(_M_TRIM_THRESHOLD, trim)
    libc.mallopt(_M_MMAP_THRESHOLD, mapped)
    return libc


@contextmanager
def inference(threads: int) -> Iterator[None]:
    """Inference on so many threads of the processor; afterwards, torch is as it was.

    >>> before = torch.get_num_threads()
    >>> with inference(threads=before + 1):
    ...     torch.get_num_threads() - before, torch.is_inference_mode_enabled()
    (1, True)
    >>> torch.get_num_threads() == before
    True

    Raises CostModelError for a number of threads that is not positive.
    """
    if type(threads) is not int or threads < 1:
        raise CostModelError(f"threads must be a positive integer, got {threads!r}")
    keep_memory()
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.inference_mode():
            yield
    finally:
        torch.set_num_threads(before)
        give_memory_back()


def in_place(graph: Graph) -> Graph:
    """The same graph, its activations in place where nothing else reads what they overwrite.

    So do most models that people write (`nn.ReLU(inplace=True)`), and it is another time.
    """
    for name, reads, done in graph.steps:
        module = graph.module_named(name)
        if hasattr(module, "inplace") and set(reads) <= set(done) - set(graph.inputs):
            setattr(module, "inplace", True)  # noqa: B010 - torch's modules declare tensors alone
    return graph


def layer_by_layer(graph: Graph, images: Sequence[Tensor], clock: Clock) -> dict[str, float]:
    """The seconds of each layer in one pass, by name.

    >>> from costmodel import build, mobilenet_v1
    >>> graph = build(mobilenet_v1(resolution=32)).eval()
    >>> list(layer_by_layer(graph, [torch.randn(1, 3, 32, 32)], clock_of("cpu")))[:2]
    ['conv1', 'conv1.norm']
    """
    values = dict(zip(graph.inputs, images, strict=True))
    steps = [(name, graph.module_named(name), reads, done) for name, reads, done in graph.steps]
    marks = []
    mark = clock.mark
    clock.wait()
    for name, module, reads, done in steps:
        tensors = [values[source] for source in reads]
        start = mark()
        values[name] = module(*tensors)
        marks.append((name, start, mark()))
        del tensors  # or what is done with would live on during the next layer
        for source in done:
            del values[source]
    clock.wait()
    return {name: clock.between(start, stop) for name, start, stop in marks}


def whole(module: nn.Module, images: Sequence[Tensor], clock: Clock) -> float:
    """The seconds of one pass.

    >>> from torch import nn
    >>> whole(nn.ReLU(), [torch.randn(8)], clock_of("cpu")) > 0
    True
    """
    clock.wait()
    start = clock.mark()
    module(*images)
    stop = clock.mark()
    clock.wait()
    return clock.between(start, stop)


class Passes(NamedTuple):
    """Some passes of a graph: the seconds of its layers in each, and of others as a whole."""

    layers: list[dict[str, float]]
    wholes: list[float]

    @property
    def fastest(self) -> float:
        """The seconds of the fastest pass that was timed as a whole."""
        return min(self.wholes)

    def of_layers(self, best: int = 3) -> dict[str, float]:
        """The seconds of each layer: its median in the fastest few passes.

        Not the least of each layer: what is taken from different passes adds up to less than any.

        >>> slow, fast = {"a": 1.0, "b": 9.0}, {"a": 2.0, "b": 2.0}
        >>> Passes([slow, fast], []).of_layers(best=1)
        {'a': 2.0, 'b': 2.0}
        """
        fastest = sorted(self.layers, key=lambda seconds: sum(seconds.values()))[:best]
        return {name: sorted(x[name] for x in fastest)[len(fastest) // 2] for name in fastest[0]}


def passed(
    graph: Graph, module: nn.Module, images: Sequence[Tensor], clock: Clock, count: int
) -> Passes:
    """One pass to warm up, then so many layer by layer and as many of the module as a whole.

    The two take turns, so that what changes meanwhile (a processor's frequency) is in both.
    """
    whole(module, images, clock)
    pairs = [
        (layer_by_layer(graph, images, clock), whole(module, images, clock)) for _ in range(count)
    ]
    return Passes([layers for layers, _ in pairs], [seconds for _, seconds in pairs])


def inputs_for(graph_inputs: Sequence[Sequence[int]], device: str, dtype: str) -> list[Tensor]:
    """Random tensors of these sizes on a device."""
    made = partial(torch.randn, device=device, dtype=getattr(torch, dtype))
    return [made(tuple(sizes)) for sizes in graph_inputs]
