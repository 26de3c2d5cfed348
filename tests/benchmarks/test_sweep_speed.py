"""What a grid of costs, a cost in a planner's loop and a million networks take."""

from __future__ import annotations

import json
import logging
import os
import statistics
import subprocess
import sys
import time
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from costmodel import Network, cost_function, mobilenet_v1, sweep
from costmodel.layers import Conv, Input
from costmodel.metrics.devices import Device, device
from costmodel.reference.mobilenet import MobileNetV1
from costmodel.zoo import mobilenet_v2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.slow

ROUNDS = 9
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1"
)
V1 = mobilenet_v1()


def _seconds(call: Callable[[int], object], i: int) -> float:
    start = time.perf_counter()
    call(i)
    return time.perf_counter() - start


def _medians(rounds: int, *calls: Callable[[int], object]) -> list[float]:
    """The median time of each call, interleaved and with another input in each round."""
    for call in calls:
        call(rounds)  # the first call warms up
    times = [[_seconds(call, i) for call in calls] for i in range(rounds)]
    return [statistics.median(column) for column in zip(*times, strict=True)]


def _text(seconds: float) -> str:
    return f"{seconds:.3g} s"


# A process of its own: the threads of a BLAS are set before numpy is loaded.
GRID = """
import json, sys, time
import numpy as np
from costmodel import mobilenet_v1, sweep
rows, columns, rounds = map(int, sys.argv[1:])
network, out, copy = mobilenet_v1(), np.ones((rows, columns)), np.ones((rows, columns))
times = []
for i in range(rounds + 1):
    alpha = np.linspace(0.1 + i / 1000, 2, rows)
    start = time.perf_counter()
    swept = sweep(network, alpha, np.arange(32, 32 + columns))
    made = time.perf_counter()
    swept.evaluate("macs", out=out)
    evaluated = time.perf_counter()
    np.copyto(copy, out)
    times.append((made - start, evaluated - made, time.perf_counter() - evaluated))
assert out.max() < 2**53
print(json.dumps(np.median(times[1:], axis=0).tolist()))
"""


def _grid(*, threads: dict[str, str], shape: tuple[int, int], rounds: int) -> list[float]:
    """Seconds for the factors of a grid, for its MACs, and for copying them."""
    command = [sys.executable, "-c", GRID, *map(str, (*shape, rounds))]
    inherited = {key: value for key, value in os.environ.items() if key not in ONE_THREAD}
    ran = subprocess.run(command, env=inherited | threads, capture_output=True, check=True)
    return json.loads(ran.stdout)


@pytest.mark.parametrize("threads", ["one thread", "all threads"])
def test_a_grid_of_ten_to_the_eighth(benchmark: Any, record: Callable, threads: str) -> None:
    """10⁸ exact MACs take at most twice a copy of them, and ten times with what it takes to ask."""
    small = benchmark.disabled
    shape, rounds = ((20, 50), 1) if small else ((20_000, 5_000), ROUNDS)
    chosen = ONE_THREAD if threads == "one thread" else {}
    made, evaluated, copied = _grid(threads=chosen, shape=shape, rounds=rounds)
    what = f"10⁸ exact MACs of a grid, {threads}"
    record(f"{what} : copyto", _text(evaluated), _text(copied), evaluated / copied, 2.0)
    whole = made + evaluated
    record(
        f"{what}, and the sweep itself : copyto", _text(whole), _text(copied), whole / copied, 10
    )


@pytest.mark.parametrize("network", [V1, mobilenet_v2()], ids=lambda network: network.name)
def test_a_grid_of_times(benchmark: Any, record: Callable, network: Network) -> None:
    """Seconds on a device take at most 20 times what MACs do, a cell of a sweep."""
    small = benchmark.disabled
    rows, columns = (20, 50) if small else (10_000, 1_000)
    on, sides, out = device("stm32h747_int8"), range(64, 64 + columns), np.ones((rows, columns))

    def swept(quantity: str, on: Device | None) -> Callable[[int], object]:
        def call(i: int) -> object:
            grid = np.linspace(0.1 + i / 1000, 1.5, rows), sides
            return sweep(network, *grid, device=on).evaluate(quantity, out=out)

        return call

    times = _medians(1 if small else ROUNDS, swept("time_s", on), swept("macs", None))
    what = f"10⁷ times of {network.name} on a device : its MACs"
    record(what, *map(_text, times), times[0] / times[1], 20)


@pytest.fixture
def quiet_torch() -> Iterator[None]:
    """One thread, no gradients and no warnings of fvcore's."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    logging.getLogger("fvcore").setLevel(logging.ERROR)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        yield
    torch.set_num_threads(threads)


def _fvcore(i: int) -> int:
    """MACs of one configuration: the model built and counted."""
    from fvcore.nn import FlopCountAnalysis

    module = MobileNetV1(0.5 + i % 50 / 100).eval()
    side = 128 + i * 7 % 97
    counts = FlopCountAnalysis(module, torch.zeros(1, 3, side, side))
    counts.unsupported_ops_warnings(enabled=False).uncalled_modules_warnings(enabled=False)
    return counts.total()


@pytest.mark.usefixtures("quiet_torch")
def test_configurations_of_a_sweep(benchmark: Any, record: Callable) -> None:
    """A configuration of a sweep takes at most a millionth of fvcore's build + count."""
    small = benchmark.disabled
    rows, columns = (20, 50) if small else (4_000, 1_000)
    sides = np.arange(100, 100 + columns)

    def ours(i: int) -> object:
        return sweep(V1, np.linspace(0.1 + i / 1000, 2, rows), sides).macs

    mine, other = _medians(1 if small else ROUNDS, ours, _fvcore)
    each = mine / (rows * columns)
    what = "a configuration in a sweep of 4·10⁶ : fvcore's build + count"
    record(what, f"{each / 1e-9:.3g} ns", f"{other / 1e-3:.3g} ms", each / other, 1e-6)


@pytest.mark.usefixtures("quiet_torch")
def test_a_cost_function(versus: Callable) -> None:
    """`cost_function(net)(α, D)` takes at most 1/5000 of fvcore's build + count."""
    function = cost_function(V1)
    versus(
        "`cost_function(net)(α, D)` : fvcore's build + count",
        lambda i: function(0.25 + i % 1009 / 1000, 128 + i * 7 % 97),
        _fvcore,
        bound=1 / 5000,
        batch=1000,
    )


@pytest.mark.parametrize("network", [V1, mobilenet_v2()], ids=lambda network: network.name)
@pytest.mark.parametrize("kind", ["counts", "multipliers"])
def test_a_million_networks(benchmark: Any, record: Callable, network: Network, kind: str) -> None:
    """`cost_function` does 10⁶ networks, each with widths of its own, in at most a second."""
    small = benchmark.disabled
    function = cost_function(network, over="widths")
    shape = (100 if small else 10**6, len(function.layers))
    random = np.random.default_rng(0)
    drawn = [
        random.integers(8, 1024, shape) if kind == "counts" else random.uniform(0.1, 1.5, shape)
        for _ in range(2)
    ]
    rounds = 1 if small else ROUNDS
    (mine,) = _medians(rounds, lambda i: function(**{kind: drawn[i % 2]}, resolution=224))
    what = f"10⁶ networks, `cost_function({network.name})` over {kind} : a second"
    record(what, _text(mine), "1 s", mine, 1.0)


def _chain(length: int) -> Network:
    """Convolutions of many widths and a few sizes."""
    layers = (Conv(f"conv{i}", 8 + i, 3, 2 if i % 64 == 0 else 1, 1) for i in range(length))
    return Network("chain", (Input("image", (1, 3, 224, 224)), *layers))


#: What doubles, and what is timed then. Linear is 2, and twice that would be quadratic.
LAYERS, FACTORS, OUTPUTS = "layers", "multipliers and resolutions", "cells"


@pytest.mark.parametrize("growing", [LAYERS, FACTORS, OUTPUTS])
def test_growth(benchmark: Any, record: Callable, growing: str) -> None:
    """Twice the layers, twice the α and resolutions, twice the cells: about twice the time."""
    small = benchmark.disabled
    size = 10 if small else {LAYERS: 200, FACTORS: 20_000, OUTPUTS: 2_000}[growing]

    def timed(n: int) -> Callable[[int], object]:
        if growing == LAYERS:
            network = _chain(n)
            return lambda i: sweep(network, np.linspace(0.1, 2 + i / 9, 50), range(224, 274)).shape
        if growing == FACTORS:
            return lambda i: sweep(V1, np.linspace(0.1, 2 + i / 9, n), range(32, 32 + n)).shape
        swept = sweep(V1, np.linspace(0.1, 2, n), range(32, 32 + size))
        out = np.ones(swept.shape)
        return lambda _: swept.evaluate("macs", out=out)

    once, twice = _medians(1 if small else ROUNDS, timed(size), timed(2 * size))
    record(f"twice the {growing} : once", _text(twice), _text(once), twice / once, 3.0)


def test_growth_of_a_cost_function(benchmark: Any, record: Callable) -> None:
    """A call for twice the layers takes about twice the time."""
    small = benchmark.disabled
    length = 10 if small else 200
    functions = [cost_function(_chain(n)) for n in (length, 2 * length)]

    def many(function: Callable[[float, int], object]) -> Callable[[int], object]:
        return lambda i: [function(0.5 + k / 500, 128 + i) for k in range(100)]

    once, twice = _medians(1 if small else ROUNDS, *map(many, functions))
    what = "`cost_function`, twice the layers : once"
    record(what, _text(twice / 100), _text(once / 100), twice / once, 3.0)


# What a child's ru_maxrss counts is also the process it was forked from; this is its own.
PEAK = """
def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))
"""
PLANNED = (
    PEAK
    + """
import sys, time, statistics
import numpy as np
from costmodel import mobilenet_v1, sweep
from costmodel.planners.limits import limited
from costmodel.planners.planning import distinct_alphas, plan
rounds, last = map(int, sys.argv[1:])
network, sides = mobilenet_v1(), range(32, last + 1)
alphas = distinct_alphas(network)
limited_names = {row.name for row in limited().values()}
plans, sweeps = [], []
before = peak()
plan(network, max_macs=10**8, max_params="3M", resolutions=sides)
added = peak() - before
for i in range(rounds + 1):
    start = time.perf_counter()
    swept = sweep(network, list(alphas), list(sides))
    values = [swept.evaluate(name) for name in limited_names & swept.factors.keys()]
    sweeps.append(time.perf_counter() - start)
    del values
    start = time.perf_counter()
    made = plan(network, max_macs=100_000_000 + i * 10**6, max_params="3M", resolutions=sides)
    plans.append(time.perf_counter() - start)
print(statistics.median(plans[1:]), statistics.median(sweeps[1:]), made.candidates, added)
"""
)


@pytest.mark.parametrize("threads", ["one thread", "all threads"])
def test_a_plan(benchmark: Any, record: Callable, threads: str) -> None:
    """A plan over every distinct width and D takes under ten times a sweep of what it needs."""
    small = benchmark.disabled
    command = [sys.executable, "-c", PLANNED, *map(str, (1, 40) if small else (ROUNDS, 512))]
    inherited = {key: value for key, value in os.environ.items() if key not in ONE_THREAD}
    chosen = inherited | (ONE_THREAD if threads == "one thread" else {})
    ran = subprocess.run(command, env=chosen, capture_output=True, check=True)
    planned, swept, candidates, added = map(float, ran.stdout.split())
    what = f"a plan of {candidates:,.0f} networks, {threads} : a sweep of the same quantities"
    record(what, _text(planned), _text(swept), planned / swept, 10.0)
    if threads == "one thread":
        each = added / candidates
        record("a plan's peak memory, a network : 200 B", f"{each:.0f} B", "200 B", each / 200, 1.0)


REDUCED = (
    PEAK
    + """
import sys, time
import numpy as np
from costmodel import mobilenet_v1, sweep
from costmodel.planners.reducing import best
rows, columns = map(int, sys.argv[1:])
before = peak()
swept = sweep(mobilenet_v1(), np.arange(1, rows + 1) / (rows // 2), np.arange(32, 32 + columns))
start = time.perf_counter()
assert best(swept, {"macs": 150_000_000, "params": 2_000_000})
seconds = time.perf_counter() - start
print(seconds, peak() - before)
"""
)


def test_a_billion_configurations(benchmark: Any, record: Callable) -> None:
    """The best of 10⁹ under two limits takes a bounded memory: what holds one part of them."""
    shape = (20, 50) if benchmark.disabled else (200_000, 5_000)
    command = [sys.executable, "-c", REDUCED, *map(str, shape)]
    ran = subprocess.run(command, env=os.environ | ONE_THREAD, capture_output=True, check=True)
    seconds, added = map(float, ran.stdout.split())
    whole = 8 * shape[0] * shape[1]
    what = f"memory for the best of 10⁹ configurations ({seconds:.2g} s) : their MACs alone"
    record(what, f"{added / 2**20:.0f} MiB", f"{whole / 2**20:.0f} MiB", added / whole, 1 / 8)
