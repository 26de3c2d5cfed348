"""How good a device is: pytorchcv's models, predicted and measured, in a table.

    python tests/benchmarks/time_of_models.py --device laptop.json --output tests/benchmarks/TIME.md

Each model is built, timed alone and let go of, and once more in every round, so that its rounds are
minutes apart. A calibration has seen none of these models. With `--times FILE.json` what was
measured is kept there, and what is there is not measured again: an interrupted run goes on, and
another device is judged by the same times.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import json
import sys
import time
import warnings
from collections import Counter
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any

from costmodel import CostModelError, cost, lower, trace
from costmodel.files import write_atomically
from costmodel.layers.serial import from_json, to_json
from costmodel.metrics.devices import Device, device
from costmodel.metrics.timing import kind, seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from torch import Tensor, nn

_NAMES = """
alexnet zfnet squeezenet_v1_0 squeezenet_v1_1 squeezeresnet_v1_1 vgg11 bn_vgg11 bn_vgg16 resnet10
resnet12 resnet14 resnetbc14b resnet18_wd2 resnet18 resnet26 resnetbc26b resnet34 resnet50 resnet50b
preresnet10 preresnet18 preresnet50 wrn50_2 seresnet10 seresnet18 seresnet50 sepreresnet18
resnext14_16x4d resnext14_32x4d resnext26_32x4d resnext50_32x4d seresnext50_32x4d senet16
densenet121 peleenet darknet_ref darknet_tiny darknet19 darknet53 bninception inceptionv3
mobilenet_wd4 mobilenet_wd2 mobilenet_w3d4 mobilenet_w1 mobilenetb_w1 fdmobilenet_wd4 fdmobilenet_w1
mobilenetv2_wd4 mobilenetv2_wd2 mobilenetv2_w3d4 mobilenetv2_w1 mobilenetv3_small_w7d20
mobilenetv3_small_wd2 mobilenetv3_small_w1 mobilenetv3_large_w1 igcv3_wd4 igcv3_w1 mnasnet_b1
mnasnet_a1 mnasnet_small shufflenet_g1_wd4 shufflenet_g3_w1 shufflenet_g8_w1 shufflenetv2_wd2
shufflenetv2_w1 shufflenetv2_w2 shufflenetv2b_w1 menet108_8x1_g3 proxylessnas_cpu
proxylessnas_mobile fbnet_cb spnasnet efficientnet_b0 efficientnet_b1 efficientnet_b0b
efficientnet_edge_small_b mixnet_s ghostnet hardnet39ds hardnet68 regnetx002 regnetx006 regnetx016
regnety002 regnety004 regnety008 vovnet27s vovnet39 dla34 dla46c selecsls42 hrnet_w18_small_v1
xception dpn68 sqnxt23_w1 sqnxt23v5_w1 bagnet9 ibn_resnet50 bam_resnet18 cbam_resnet18 espnetv2_wd2
espnetv2_w1 dicenet_w1 resneta10 resnetd50b drnc26 condensenet74_c4_g4 diracnet18v2 nin_cifar10
sknet50 scnet50 tresnet_m
"""
_NEW = """
airnext50_32x4d_r2 diracnet34v2 dla60 efficientnet_b2 efficientnet_b0c efficientnet_edge_medium_b
fdmobilenet_wd2 fdmobilenet_w3d4 fishnet99 hrnet_w18_small_v2 ibnb_resnet50 igcv3_wd2 inceptionv4
menet160_8x1_g8 menet228_12x1_g3 mixnet_m mobilenetv3_large_w3d4 mobilenetv3_small_w3d4
mobilenetb_wd2 nasnet_4a1056 octresnet10_ad2 proxylessnas_gpu regnetx004 regnetx008 regnety006
regnety016 resattnet56 resnesta18 resneta18 resnet101 revnet38 selecsls60 seresnet34
shufflenetv2_w3d2 shufflenet_g2_w1 sparsenet121 sqnxt23_w3d2 vovnet57 zfnetb sharesnet18 preresnet34
squeezeresnet_v1_0 densenet169 airnet50_1x64d_r2 rir_cifar10 shufflenetv2b_w3d2 xdensenet121_2
efficientnet_b1b wrn16_10_cifar10 resnet20_cifar10 densenet40_k12_cifar10
"""
#: The chains were shaped while the times of the first were looked at; the others were not measured
#: before the chains were done. No constant is fitted to either.
NEW = frozenset(_NEW.split())
NAMES = (*_NAMES.split(), *sorted(NEW))
#: Passes in a round: at least, at most, and about so many seconds of them.
_FEWEST, _MOST, _SECONDS = 4, 100, 0.6
#: A difference from here on is explained.
_LARGE = 0.2


@dataclass(frozen=True)
class Timed:
    """A model: its MACs, its fastest pass in each round, and what a device says of it."""

    name: str
    macs: int
    rounds: tuple[float, ...]
    predicted: float
    reason: str

    @property
    def measured(self) -> float:
        """The fastest pass of all, in seconds."""
        return min(self.rounds)

    @property
    def apart(self) -> float:
        """The first half of the rounds against the second."""
        half = len(self.rounds) // 2
        return min(self.rounds[:half]) / min(self.rounds[half:]) - 1


@cache
def _files() -> dict[str, str]:
    """The module of every function of pytorchcv: its list of all imports what isn't installed."""
    import pytorchcv

    return {
        node.name: file.stem
        for file in sorted(Path(pytorchcv.__path__[0], "models").glob("*.py"))
        for node in ast.parse(file.read_text("utf-8")).body
        if isinstance(node, ast.FunctionDef)
    }


def made(name: str, batch: int) -> tuple[nn.Module, Tensor]:
    """A model and an input of it."""
    import torch

    file = importlib.import_module(f"pytorchcv.models.{_files()[name]}")
    model = getattr(file, name)().eval()
    return model, torch.randn(batch, 3, *getattr(model, "in_size", (224, 224)))


def measure(settings: argparse.Namespace, times: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every model in every round; what was measured so far, after each."""
    import torch

    from costmodel.backends.clock import clock_of, inference, whole

    clock = clock_of(settings.backend)
    missing = (
        (number, name)
        for number, name in product(range(settings.rounds), settings.models)
        if len(times.get(name, {}).get("rounds", ())) <= number
    )
    with inference(settings.threads):
        for number, name in missing:
            model, image = made(name, settings.batch)
            if number == 0:
                network = trace(model, example_inputs=(image,))
                times[name] = {"network": to_json(network), "rounds": []}
            model, image = model.to(settings.backend), image.to(settings.backend)
            whole(model, [image], clock)
            taken = [whole(model, [image], clock)]
            count = min(_MOST, max(_FEWEST, int(_SECONDS / taken[0])))
            taken += [whole(model, [image], clock) for _ in range(count - 1)]
            times[name]["rounds"].append(min(taken))
            del model
            torch.cuda.empty_cache()
            sys.stderr.write(f"{number + 1} {name} {1000 * min(taken):.2f} ms\n")
            yield times


def judged(times: dict[str, Any], on: Device) -> list[Timed]:
    """What was measured beside what the device says."""
    rows = []
    for name, given in times.items():
        network = from_json(given["network"])
        layers = lower(network)
        by_kind = Counter[str]()
        for x, taken in zip(layers, seconds(layers, on), strict=True):
            if taken:
                by_kind[kind(x)] += float(taken)  # type: ignore[assignment] # a Counter of seconds
        total = sum(by_kind.values())
        rounds = tuple(given["rounds"])
        rows.append(Timed(name, cost(network).macs, rounds, total, _reason(by_kind, total, on)))
    return sorted(rows, key=lambda row: row.measured)


def _reason(by_kind: Counter[str], total: float, on: Device) -> str:
    """Kinds without constants of their own where they are a tenth or more; else the largest."""
    unknown = {name: taken for name, taken in by_kind.items() if name not in on.kinds}
    if sum(unknown.values()) > total / 10:
        share = 100 * sum(unknown.values()) / total
        return f"{share:.0f} % without constants of their own: {', '.join(sorted(unknown))}"
    return ", ".join(f"{name} {100 * t / total:.0f} %" for name, t in by_kind.most_common(3))


def best_rate(rows: Sequence[Timed]) -> float:
    """The one rate of MACs that makes the median difference least, chosen after the fact."""

    def error(rate: float) -> float:
        return median(abs(row.macs / rate / row.measured - 1) for row in rows)

    return min((row.macs / row.measured for row in rows), key=error)


def summary(what: str, differences: Sequence[float], order: float | None) -> str:
    """A line of the table of tables."""
    sizes = sorted(map(abs, differences))
    within = 100 * sum(size <= 0.1 for size in sizes) / len(sizes)
    ninety = 100 * quantiles(sizes, n=10)[-1]
    tau = "" if order is None else f"{order:.3f}"
    return f"| {what} | {100 * median(sizes):.1f} % | {within:.0f} % | {ninety:.1f} % | {tau} |"


def tau(rows: Sequence[Timed], figure: Callable[[Timed], float]) -> float:
    """Kendall's τ of a figure and the measured times."""
    from scipy.stats import kendalltau

    return float(kendalltau([figure(row) for row in rows], [row.measured for row in rows])[0])


def markdown(rows: Sequence[Timed], on: Device, settings: argparse.Namespace) -> str:
    """The page: what was done, how good it is, and a row a model."""
    rate = best_rate(rows)
    off = {row.name: row.predicted / row.measured - 1 for row in rows}
    by_macs = {row.name: row.macs / rate / row.measured - 1 for row in rows}
    apart = [row.apart for row in rows]
    halves = len(rows[0].rounds) // 2
    threads = f"{settings.threads} thread{'s' * (settings.threads != 1)}"
    where = f"{on.machine}, {on.runtime}: {on.dtype}, batch {settings.batch}, {threads}"
    lines = [
        "# Times of models",
        "",
        f"{len(rows)} models of pytorchcv on {where}.",
        f"{settings.rounds} rounds, minutes apart; the fastest pass counts.",
        "",
        f"Predicted by constants fitted on {on.fitted_on} ({on.date}); none of these models is",
        f"among them. MACs alone: the best single rate in hindsight, {rate / 1e9:.1f} GMAC/s.",
        "Repeatability: the first half of the rounds against the second.",
        "",
        "| | median | within 10 % | 90 % within | Kendall's τ |",
        "|---|--:|--:|--:|--:|",
        summary("predicted", list(off.values()), tau(rows, lambda row: row.predicted)),
        *_of_new(rows, off),
        summary("MACs alone", list(by_macs.values()), tau(rows, lambda row: row.macs)),
        summary("repeatability", apart, tau(rows, lambda row: min(row.rounds[halves:]))),
        "",
        "| model | MACs | measured, ms | predicted, ms | difference | MACs alone | repeatability |",
        "|---|--:|--:|--:|--:|--:|--:|",
        *(
            f"| {row.name} | {row.macs:,} | {1000 * row.measured:.2f} | {1000 * row.predicted:.2f} "
            f"| {100 * off[row.name]:+.1f} % | {100 * by_macs[row.name]:+.1f} % "
            f"| {100 * row.apart:+.1f} % |"
            for row in rows
        ),
        "",
        f"More than {100 * _LARGE:.0f} % off, and of what kinds their predicted time is:",
        "",
        *(
            f"- {row.name}, {100 * off[row.name]:+.0f} %: {row.reason}"
            for row in rows
            if abs(off[row.name]) > _LARGE
        ),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _of_new(rows: Sequence[Timed], off: Mapping[str, float]) -> list[str]:
    """The same of those that nobody looked at while the chains were made."""
    new = [row for row in rows if row.name in NEW]
    if len(new) < 2:  # nothing to sum up
        return []
    what = f"of these, {len(new)} that were first measured when the chains were done"
    return [summary(what, [off[x.name] for x in new], tau(new, lambda row: row.predicted))]


def _settings(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Predicted and measured times of models.")
    parser.add_argument("--device", required=True, help="a device's name or FILE.json")
    parser.add_argument("--output", required=True, help="the Markdown file to write")
    parser.add_argument(
        "--into", help="a device's FILE.json to write, with the errors of the table"
    )
    parser.add_argument("--times", help="a JSON file of what was measured, kept up to date")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--backend", default="cpu", help="cpu, cuda or mps")
    parser.add_argument("--models", nargs="*", default=NAMES, help="some of the models only")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is not measured yet, and write the table."""
    settings = _settings(arguments)
    warnings.simplefilter("ignore")
    kept = Path(settings.times) if settings.times else None
    times: dict[str, Any] = json.loads(kept.read_text("utf-8")) if kept and kept.exists() else {}
    on, begun = device(settings.device), time.perf_counter()
    for so_far in measure(settings, times):
        if kept:
            write_atomically(kept, json.dumps(so_far))
    rows = judged(times, on)
    write_atomically(settings.output, markdown(rows, on, settings))
    if settings.into:
        sizes = [abs(row.predicted / row.measured - 1) for row in rows]
        error, spread = (round(x, 4) for x in (median(sizes), quantiles(sizes, n=10)[-1]))
        models = f"{len(rows)} models of pytorchcv, none of which it is fitted on"
        replace(on, error=error, spread=spread, judged_on=models).save(settings.into)
    took = time.perf_counter() - begun
    sys.stderr.write(f"wrote {settings.output} after {took:.0f} s\n")


if __name__ == "__main__":
    try:
        main()
    except CostModelError as error:
        sys.exit(str(error))
