"""The MobileNet family: sixteen models, what they cost, and how accurate they were printed to be.

Accuracies are data with a source. Where the paper prints none, the paper's own log-linear law,
fitted to what it does print, gives an estimate, and it is marked as one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import product
from math import log2, sqrt
from statistics import linear_regression
from typing import TYPE_CHECKING

from costmodel.core.cost import Cost, cost
from costmodel.core.rewrite import resize, widen
from costmodel.layers.factorising import join
from costmodel.published import printed
from costmodel.zoo.mobilenet import mobilenet_v1, shallow_mobilenet

if TYPE_CHECKING:
    from collections.abc import Mapping

    from costmodel.core.network import Network

#: Howard et al. 2017, §4.2: the multipliers of Tables 6 and 7.
ALPHAS = tuple(Fraction(n, 4) for n in (4, 3, 2, 1))
RESOLUTIONS = (224, 192, 160, 128)
MODEL = re.compile(r"(\d\.\d+) MobileNet-(\d+)")
#: The tables of the paper whose accuracies are ImageNet top-1 of plain MobileNets.
IMAGENET_TABLES = ("T6", "T7", "T9")


@dataclass(frozen=True)
class Accuracy:
    """A top-1 accuracy in percent and where it is from; an estimate is not printed anywhere."""

    percent: float
    source: str
    estimated: bool = False

    def __str__(self) -> str:
        return f"{'≈' if self.estimated else ''}{self.percent:.1f}"


@dataclass(frozen=True)
class Law:
    """Top-1 = intercept + slope · log₂(MACs), and the root mean square of what it misses."""

    slope: float
    intercept: float
    residual: float
    points: int

    def __call__(self, macs: int) -> float:
        """The accuracy the law gives, in percent."""
        return self.intercept + self.slope * log2(macs)

    def __str__(self) -> str:
        return (
            f"top-1 ≈ {self.intercept:.1f} + {self.slope:.2f}·log₂(MACs), fitted to the paper's "
            f"{self.points} points, residual {self.residual:.1f}"
        )


@dataclass(frozen=True)
class Member:
    """One of the sixteen models, against the full-sized one."""

    alpha: Fraction
    resolution: int
    cost: Cost
    full: Cost
    top1: Accuracy
    tf_slim: Accuracy

    @property
    def fewer_macs(self) -> Fraction:
        """The full model's MACs over this one's."""
        return Fraction(self.full.macs, self.cost.macs)

    @property
    def fewer_params(self) -> Fraction:
        """The full model's params over this one's."""
        return Fraction(self.full.params, self.cost.params)


def model(alpha: Fraction, resolution: int) -> Network:
    """MobileNetV1 at a width and a resolution."""
    return widen(resize(mobilenet_v1(), resolution=resolution), alpha)


@cache
def accuracies(source: str, tables: tuple[str, ...]) -> Mapping[tuple[Fraction, int], Accuracy]:
    """The top-1 accuracies that some tables of a source print, by α and resolution.

    >>> accuracies("mobilenet_v1_paper", ("T9",))[Fraction(1, 2), 160].percent
    60.2
    """
    by_model: dict[tuple[Fraction, int], Accuracy] = {}
    for figure in printed(source):
        named = MODEL.fullmatch(figure.row)
        if figure.quantity == "top1" and figure.table in tables and named:
            where = f"{source}, {figure.table}"
            key = Fraction(named[1]), int(named[2])
            by_model.setdefault(key, Accuracy(float(figure.printed), where))
    return by_model


@cache
def law() -> Law:
    """The paper's log-linear law (§4.2, Figure 4), fitted by least squares to its own points.

    >>> law().points
    8
    """
    points = accuracies("mobilenet_v1_paper", IMAGENET_TABLES)
    logs = [log2(cost(model(*key)).macs) for key in points]
    percents = [accuracy.percent for accuracy in points.values()]
    slope, intercept = linear_regression(logs, percents)
    misses = [p - intercept - slope * x for x, p in zip(logs, percents, strict=True)]
    residual = sqrt(sum(miss * miss for miss in misses) / len(misses))
    return Law(slope, intercept, residual, len(misses))


def family() -> tuple[Member, ...]:
    """The sixteen models, widest and largest first.

    >>> family()[5].cost.macs, family()[5].top1.estimated
    (239273472, True)
    """
    paper = accuracies("mobilenet_v1_paper", IMAGENET_TABLES)
    slim = accuracies("tf_slim_mobilenet_v1", ("README",))
    full = cost(mobilenet_v1())
    members = []
    for alpha, resolution in product(ALPHAS, RESOLUTIONS):
        total = cost(model(alpha, resolution))
        estimate = Accuracy(round(law()(total.macs), 1), str(law()), estimated=True)
        top1 = paper.get((alpha, resolution), estimate)
        members.append(Member(alpha, resolution, total, full, top1, slim[alpha, resolution]))
    return tuple(members)


@dataclass(frozen=True)
class Alternative:
    """A way to make the network smaller or other, with its printed accuracy."""

    name: str
    cost: Cost
    top1: Accuracy


def alternatives() -> dict[str, tuple[Alternative, ...]]:
    """Full against separable convolutions, and thinner against shallower (Tables 4 and 5).

    >>> [a.cost.macs for a in alternatives()["thinner or shallower"]]
    [325400448, 307323392]
    """
    network = mobilenet_v1()
    pairs = {
        "full or separable convolutions": (
            ("T4", "Conv MobileNet", join(network)),
            ("T4", "MobileNet", network),
        ),
        "thinner or shallower": (
            ("T5", "0.75 MobileNet", widen(network, "0.75")),
            ("T5", "Shallow MobileNet", shallow_mobilenet()),
        ),
    }
    percents = {
        (figure.table, figure.row): float(figure.printed)
        for figure in printed("mobilenet_v1_paper")
        if figure.quantity == "top1"
    }
    return {
        title: tuple(
            Alternative(
                name, cost(net), Accuracy(percents[table, name], f"mobilenet_v1_paper, {table}")
            )
            for table, name, net in rows
        )
        for title, rows in pairs.items()
    }
