"""What tracing and costing a model take, against the tools that run it."""

from __future__ import annotations

import logging
import statistics
import time
import warnings
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from costmodel import ZOO, build, cost, trace
from costmodel.tools import FVCORE, PTFLOPS, THOP, TORCHINFO
from costmodel.tools.reconciling import measure

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.slow

ROUNDS = 7
MODELS = (
    *("mobilenet_v1", "mobilenet_v2", "conv_mobilenet", "alexnet", "squeezenet_1_1", "googlenet"),
    *("inception_v3", "vgg_16", "shallow_mobilenet"),
)


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _ratios(
    ours: Callable[[str], Callable[[], object]],
    theirs: Callable[[str], Callable[[], object]],
    *,
    rounds: int,
    models: tuple[str, ...],
) -> tuple[float, float, float]:
    """Medians over the models: our time, theirs and the ratio, interleaved."""
    columns = []
    for name in models:
        mine, other = ours(name), theirs(name)
        pairs = [(_seconds(mine), _seconds(other)) for _ in range(rounds + 1)][1:]
        columns.append([statistics.median(column) for column in zip(*pairs, strict=True)])
    own, others = zip(*columns, strict=True)
    ratios = [a / b for a, b in columns]
    return statistics.median(own), statistics.median(others), statistics.median(ratios)


def _module(name: str, device: str) -> nn.Module:
    with torch.device(device):
        return build(ZOO[name].build()).eval()


def _size(name: str) -> tuple[int, ...]:
    return tuple(ZOO[name].build().inputs[0].shape[1:])


def _traced(name: str) -> Callable[[], object]:
    module, size = _module(name, "meta"), _size(name)
    return lambda: cost(trace(module, size))


def _flop_counter(name: str) -> Callable[[], object]:
    module, image = _module(name, "meta"), torch.empty(1, *_size(name), device="meta")

    def count() -> int:
        with FlopCounterMode(display=False) as counter:
            module(image)
        return counter.get_total_flops()

    return count


def _tool(convention: Any) -> Callable[[str], Callable[[], object]]:
    def of(name: str) -> Callable[[], object]:
        module, images = _module(name, "cpu"), (torch.zeros(1, *_size(name)),)
        return lambda: measure(convention, module, images)

    return of


TOOLS = {
    "FlopCounterMode": _flop_counter,
    **{x.name: _tool(x) for x in (FVCORE, TORCHINFO, THOP, PTFLOPS)},
}


@pytest.mark.parametrize("tool", TOOLS)
def test_tracing(benchmark: Any, record: Callable, tool: str) -> None:
    """Over nine models a trace and its cost take no longer than each tool, by the median."""
    small = benchmark.disabled
    models = ("squeezenet_1_1",) if small else MODELS
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    logging.getLogger("fvcore").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            rounds = 1 if small else ROUNDS
            mine, other, ratio = _ratios(_traced, TOOLS[tool], rounds=rounds, models=models)
    finally:
        torch.set_num_threads(threads)
    what = f"`cost(trace(model))` : {tool}, medians over {len(models)} models"
    record(what, f"{1e3 * mine:.3g} ms", f"{1e3 * other:.3g} ms", ratio, 1.0)


@pytest.mark.parametrize("length", [200])
def test_growth_of_a_trace(benchmark: Any, record: Callable, length: int) -> None:
    """Twice the operators take about twice the time."""
    size = 10 if benchmark.disabled else length

    def chain(count: int) -> Callable[[], object]:
        with torch.device("meta"):
            layers = [nn.Conv2d(8, 8, 3, padding=1) for _ in range(count)]
            module = nn.Sequential(*(part for x in layers for part in (x, nn.ReLU()))).eval()
        return lambda: cost(trace(module, (8, 32, 32)))

    once, twice = chain(size), chain(2 * size)
    pairs = [(_seconds(twice), _seconds(once)) for _ in range(ROUNDS + 1)][1:]
    mine, other = (statistics.median(column) for column in zip(*pairs, strict=True))
    what = "a trace, twice the operators : once"
    record(what, f"{1e3 * mine:.3g} ms", f"{1e3 * other:.3g} ms", mine / other, 3.0)
