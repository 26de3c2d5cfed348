"""Calibration: a device's constants, from layers timed in random chains on this machine.

    seconds = factor · (start + work / rate + read / … + written / … + weights / …)

The constants of each kind are fitted to its layers; one factor for all of them then makes the sums
of the layers what whole chains take, without marks between the layers.
"""

from __future__ import annotations

import platform
from collections import defaultdict
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING, NamedTuple

from costmodel.backends.building import build
from costmodel.backends.chains import chain
from costmodel.core.lower import lower
from costmodel.errors import CostModelError, torch_or_error
from costmodel.metrics.devices import ELEMENTWISE, PRODUCT, Constants, Device
from costmodel.metrics.fitting import fitted
from costmodel.metrics.layouts import views
from costmodel.metrics.memory import MemoryRules
from costmodel.metrics.timing import amounts, kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from torch import Tensor

    from costmodel.backends.clock import Clock, Passes
    from costmodel.backends.modules import Graph
    from costmodel.core.lower import Lowered
    from costmodel.core.network import Network

    #: Told of each share of the work that is done; they add up to 1.
    Progress = Callable[[float], object]

#: Every chain is timed in so many rounds, minutes apart, by so many pairs of passes in each.
ROUNDS, _PAIRS = 6, 2
#: Passes of a chain in all: one in each round is to warm up.
_PASSES = ROUNDS * (1 + 2 * _PAIRS)
_LEAST_CHAINS, _MOST_CHAINS = 20, 160
#: Weights of all chains together: they are in memory at once.
_MOST_WEIGHTS = 5 * 10**8
#: The share of the progress that is the building of the chains.
_BUILDING = 0.1
#: A kind with fewer layers has no constants of its own.
LEAST_LAYERS = 12
#: The constants of a fold of the chains are judged on the others.
_FOLDS = 5
#: How far the halves of the rounds may be apart: with a warning, and at all.
WARNED, REFUSED = 0.1, 0.3
#: What torch computes in, of the formats whose bytes are known.
_DTYPES = ("float32", "float16")


class Sample(NamedTuple):
    """A layer: its kind, whether it multiplies and accumulates, what it does, and its seconds."""

    kind: str
    product: bool
    amounts: tuple[float, ...]
    seconds: float


class Timed(NamedTuple):
    """A chain: its layers, its fastest pass as a whole, and that of either half of the rounds."""

    samples: tuple[Sample, ...]
    whole: float
    halves: tuple[float, float]


class Calibration(NamedTuple):
    """A device, how far the halves of its rounds are apart, and how many chains there were."""

    device: Device
    disagreement: float
    chains: int

    @property
    def warning(self) -> str:
        """What is to be said of rounds that disagree; nothing where they do not."""
        if self.disagreement <= WARNED:
            return ""
        apart = f"{100 * self.disagreement:.0f} % apart, more than {100 * WARNED:.0f} %"
        return f"the rounds are {apart}: something else ran; calibrate again on a quiet machine"


def calibrate(  # noqa: PLR0913 - each is a setting of its own
    threads: int = 1,
    device: str = "cpu",
    dtype: str = "float32",
    batch: int = 1,
    seconds: float = 120,
    *,
    name: str = "calibrated",
    progress: Progress = float,
) -> Calibration:
    """Measure this machine: random chains in rounds, for about so many seconds.

    `device` is torch's: cpu, cuda or mps. Nothing is written, and torch is as it was afterwards.
    A device's `error` and `spread` are those of whole chains, a fifth of them at a time left out
    of the fit.

    Raises CostModelError for a setting that is out of range, for rounds that are more than 30 %
    apart, and where torch is missing.
    """
    torch_or_error("calibrate")
    from costmodel.backends.clock import clock_of, inference

    if dtype not in _DTYPES:
        raise CostModelError(f"dtype must be one of {', '.join(_DTYPES)}, got {dtype!r}")
    if type(batch) is not int or batch < 1:
        raise CostModelError(f"batch must be a positive integer, got {batch!r}")
    if not seconds > 0:
        raise CostModelError(f"seconds must be positive, got {seconds!r}")
    with inference(threads):
        timed = list(
            time_chains(clock_of(device), device, dtype, batch, seconds, progress=progress)
        )
    return calibration(timed, _described(name, threads, device, dtype, batch, len(timed)))


def calibration(timed: Sequence[Timed], about: Mapping[str, str | int]) -> Calibration:
    """The constants that chains have given, and how good they are.

    Raises CostModelError for rounds that are more than 30 % apart.
    """
    apart = disagreement(timed)
    if apart > REFUSED:
        raise CostModelError(
            f"the rounds must be at most {100 * REFUSED:.0f} % apart, got {100 * apart:.0f} %: "
            "something else runs on this machine; end it, or wait, and calibrate again"
        )
    error, spread = judged(timed)
    facts: dict[str, object] = {**about, "error": error, "spread": spread, "kinds": fit(timed)}
    return Calibration(Device(**facts), apart, len(timed))  # type: ignore[arg-type]


def disagreement(timed: Sequence[Timed]) -> float:
    """How far the two halves of the rounds are apart: a chain's fastest passes, their median.

    >>> disagreement([Timed((), 1.0, (1.25, 1.0))])
    0.25
    """
    return median(abs(first / second - 1) for _, _, (first, second) in timed)


def fit(timed: Sequence[Timed]) -> dict[str, Constants]:
    """Constants by kind; `product` and `elementwise` are of all that multiplies, and of the rest.

    A kind with fewer than 12 layers has none of its own.
    """
    rows = defaultdict[str, list[Sample]](list)
    for sample in (sample for each in timed for sample in each.samples):
        rows[sample.kind].append(sample)
        rows[PRODUCT if sample.product else ELEMENTWISE].append(sample)
    kept = {
        kind: fitted([x.amounts for x in samples], [x.seconds for x in samples])
        for kind, samples in sorted(rows.items())
        if len(samples) >= LEAST_LAYERS or kind in {PRODUCT, ELEMENTWISE}
    }
    factor = median(each.whole / predicted(each, kept) for each in timed)
    return {kind: _times(constants, factor) for kind, constants in kept.items()}


def predicted(timed: Timed, kinds: Mapping[str, Constants]) -> float:
    """The seconds of a chain by these constants: the sum of its layers'."""
    return sum(
        (kinds.get(x.kind) or kinds[PRODUCT if x.product else ELEMENTWISE]).seconds(*x.amounts)
        for x in timed.samples
    )


def _times(constants: Constants, factor: float) -> Constants:
    """Constants of so many times the seconds."""
    start, *rates = vars(constants).values()
    return Constants(start * factor, *(rate and rate / factor for rate in rates))


def judged(timed: Sequence[Timed]) -> tuple[float, float]:
    """The median difference of chains left out of the fit, and what 90 % of them are within."""
    apart = []
    for fold in range(_FOLDS):
        rest = [x for i, x in enumerate(timed) if i % _FOLDS != fold]
        kinds = fit(rest)
        apart += [abs(predicted(x, kinds) / x.whole - 1) for x in timed[fold::_FOLDS]]
    return median(apart), quantiles(apart, n=10)[-1]


class _Running(NamedTuple):
    """A chain that is being timed: what it is lowered to, its module, and its input."""

    layers: Sequence[Lowered]
    graph: Graph
    images: list[Tensor]
    rounds: list[Passes]


def time_chains(  # noqa: PLR0913 - each is a setting of its own
    clock: Clock, device: str, dtype: str, batch: int, seconds: float, *, progress: Progress = float
) -> Iterator[Timed]:
    """As many chains as there is time for, each timed in every round."""
    from costmodel.backends.clock import passed

    chains = list(_running(clock, device, dtype, batch, seconds, progress=progress))
    for _ in range(ROUNDS):
        for _, graph, images, rounds in chains:
            rounds.append(passed(graph, graph, images, clock, _PAIRS))
            progress((1 - _BUILDING) / (ROUNDS * len(chains)))
    rules = MemoryRules(dtype)
    for running in chains:
        yield _timed(running, rules)


def _running(  # noqa: PLR0913 - as above
    clock: Clock, device: str, dtype: str, batch: int, seconds: float, *, progress: Progress = float
) -> Iterator[_Running]:
    """Chains, until all passes of those that there are take the seconds that there are."""
    from costmodel.backends.clock import whole

    begun, taken, weights = clock.mark(), 0.0, 0
    for seed in count():
        network = chain(seed, batch)
        running = _on_device(network, device, dtype)
        whole(running.graph, running.images, clock)
        pass_ = whole(running.graph, running.images, clock)
        taken += pass_ * _PASSES
        weights += sum(p.count for x in running.layers for p in x.parameters)
        progress(min(_BUILDING * pass_ * _PASSES / seconds, _BUILDING / _LEAST_CHAINS))
        yield running
        clock.wait()
        spent = taken + clock.between(begun, clock.mark())
        full = spent > seconds or weights > _MOST_WEIGHTS or seed + 1 == _MOST_CHAINS
        if full and seed + 1 >= _LEAST_CHAINS:
            return


def _on_device(network: Network, device: str, dtype: str) -> _Running:
    import torch

    from costmodel.backends.clock import in_place, inputs_for

    with torch.random.fork_rng():
        graph = build(network).eval().to(device, getattr(torch, dtype))
        images = inputs_for([layer.shape for layer in network.inputs], device, dtype)
    return _Running(lower(network), in_place(graph), images, [])


def _timed(running: _Running, rules: MemoryRules) -> Timed:
    from costmodel.backends.clock import Passes

    rounds = running.rounds
    half = len(rounds) // 2
    first, second = (min(x.fastest for x in part) for part in (rounds[:half], rounds[half:]))
    every = Passes([x for r in rounds for x in r.layers], [x for r in rounds for x in r.wholes])
    samples = tuple(samples_of(running.layers, every.of_layers(), rules))
    return Timed(samples, every.fastest, (first, second))


def samples_of(
    layers: Sequence[Lowered], seconds: Mapping[str, float], rules: MemoryRules
) -> Iterator[Sample]:
    """The layers that take time: neither inputs nor views."""
    viewed = views(layers)
    for x in layers:
        name = x.layer.name
        if name in seconds and x.bodies and name not in viewed:
            yield Sample(kind(x), bool(x.nests), tuple(amounts(x, rules)), seconds[name])


def _described(  # noqa: PLR0913, PLR0917 - as above
    name: str, threads: int, device: str, dtype: str, batch: int, chains: int
) -> dict[str, str | int]:
    """What a device's file says of where its constants come from."""
    import torch

    return {
        "name": name,
        "machine": _machine(device),
        "runtime": f"torch {torch.__version__}, eager, {device}",
        "threads": threads,
        "dtype": dtype,
        "date": datetime.now(UTC).date().isoformat(),
        "fitted_on": f"layers in {chains} random chains, batch {batch}, {ROUNDS} rounds",
        "judged_on": f"whole chains, {100 // _FOLDS} % at a time left out of the fit",
    }


def _machine(device: str) -> str:
    """The name of the processor, or of the accelerator."""
    if device == "cuda":
        import torch

        return str(torch.cuda.get_device_name())
    info = Path("/proc/cpuinfo")
    lines = info.read_text("utf-8").splitlines() if info.is_file() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine() or "unknown"
