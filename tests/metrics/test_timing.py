"""Time against what a real torch model's hooks see, and the same figure wherever it is shown."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from costmodel import (
    ZOO,
    CostModelError,
    Network,
    cost,
    cost_function,
    lower,
    mobilenet_v1,
    plan,
    report,
    resize,
    sweep,
    widen,
)
from costmodel.algebra.polynomial import ALPHA, RHO
from costmodel.core.rewrite import rebatch
from costmodel.layers import Activation, Conv, Input, Permute
from costmodel.metrics.devices import Constants, Device, device
from costmodel.metrics.timing import additive, layer_parts, parts, quantities, time
from costmodel.planners.limits import limits
from costmodel.reports.rows import rows

if TYPE_CHECKING:
    from collections.abc import Callable

ABOUT = {
    **dict.fromkeys(("name", "machine", "runtime", "date", "fitted_on", "judged_on"), "a test"),
    "threads": 1,
    "error": 0.1,
    "spread": 0.2,
}


def made(dtype: str = "float32", **kinds: Constants) -> Device:
    """A device of which all but the given kinds take no time."""
    free = {"product": Constants(), "elementwise": Constants()}
    return Device(**ABOUT, dtype=dtype, kinds=free | kinds)


def of_all(**constants: float) -> Device:
    """A device on which every kind takes the same."""
    return made(product=Constants(**constants), elementwise=Constants(**constants))


#: Constants of no round number, so that no two of what follows agree by accident.
ODD = made(
    product=Constants(3e-6, 7e9, 11e9, 13e9, 17e9),
    depthwise=Constants(5e-6, 1.9e9, 2.3e9, 2.9e9, 3.1e9),
    elementwise=Constants(2e-6, None, 3.7e9, 4.1e9, 4.3e9),
)
SMALL = [
    (name, 64 if name != "inception_v3" else 139)
    for name in ("mobilenet_v1", "mobilenet_v2", "squeezenet_1_1", "conv_mobilenet")
    if name in ZOO
]


def seen_by_torch(network: Network) -> tuple[int, int, int, int]:
    """Calls, and elements read, written and of parameters, by hooks on the built module."""
    torch = pytest.importorskip("torch", reason="no torch: pip install -e '.[dev]'")
    from costmodel import build

    seen = [0, 0, 0, 0]

    def hook(module: Any, inputs: Any, output: Any) -> None:
        if output.data_ptr() == inputs[0].data_ptr():  # a view, or nothing done
            return
        seen[0] += 1
        seen[1] += sum(x.numel() for x in inputs)
        seen[2] += output.numel()
        seen[3] += sum(p.numel() for p in module.parameters(recurse=False))

    module = build(network).eval()
    for path in module.module_of.values():
        module.get_submodule(path).register_forward_hook(hook)
    with torch.inference_mode():
        module(torch.zeros(network.inputs[0].shape))
    return tuple(seen)  # type: ignore[return-value]


@pytest.mark.parametrize(("name", "side"), SMALL)
@pytest.mark.parametrize("batch", [1, 3])
def test_what_is_moved_is_what_torch_moves(name: str, side: int, batch: int) -> None:
    """Starts, bytes read, written and of weights are those that hooks on a real module see.

    Mutation: one byte an element in place of four.
    """
    network = rebatch(resize(ZOO[name].build(), resolution=side), batch)
    seen = seen_by_torch(network)
    for i, constant in enumerate(("start_s", "read_per_s", "written_per_s", "weights_per_s")):
        one = of_all(**{constant: 1.0})
        assert time(network, one) == seen[i] * (4 if i else 1), constant
    wrong = replace(of_all(read_per_s=1.0), dtype="int8")
    assert time(network, wrong) != seen[1] * 4


@pytest.mark.parametrize("name", ZOO)
def test_work_is_macs(name: str) -> None:
    """At a MAC a second, and nothing else, a network takes its MACs in seconds."""
    network = ZOO[name].build()
    assert time(network, made(product=Constants(work_per_s=1.0))) == cost(network).macs


def test_work_of_pools_are_the_elements_under_windows() -> None:
    """It is output · window, counted in MobileNetV1 and SqueezeNet by hand."""
    one = Constants(work_per_s=1.0)
    pools = made(max_pool=one, average_pool=one, adaptive_average_pool2d=one)
    assert time(mobilenet_v1(), pools) == 1024 * 7 * 7
    squeezenet = ZOO["squeezenet_1_1"].build()
    maxima = 9 * (64 * 55 * 55 + 128 * 27 * 27 + 256 * 13 * 13)
    assert time(squeezenet, pools) in {maxima + 1000 * 13 * 13, maxima + 1000 * 14 * 14}


def test_work_is_the_same_in_every_algebra() -> None:
    """A pool over a single element does its work in numbers, in formulas and in sweeps alike."""
    base = ZOO["squeezenet_1_1"].build()
    everything = made(elementwise=Constants(work_per_s=1.0), product=Constants(work_per_s=1.0))
    for side in (17, 33, 64):
        network = resize(base, resolution=side)
        swept = sweep(base, [Fraction(1)], [side], device=everything)
        assert swept.time_s[0, 0] == time(network, everything)
        assert cost_function(base, device=everything)(1, side).time_s == time(network, everything)


def test_constants_are_a_kinds_own() -> None:
    """A depthwise layer takes the depthwise constants, and others the product's.

    Mutation: the fallback's constants everywhere.
    """
    layer = {x.layer.name: x for x in lower(mobilenet_v1())}["block7.dw"]
    elements = 512 * 14 * 14 * 4
    expected = 5e-6, 9 * 512 * 14 * 14 / 1.9e9, elements / 2.3e9 + elements / 2.9e9
    found = parts(layer, ODD)
    assert found[:2] == pytest.approx(expected[:2], rel=1e-12)
    assert found.memory == pytest.approx(expected[2] + 4 * 9 * 512 / 3.1e9, rel=1e-12)
    fallback = replace(ODD, kinds={k: v for k, v in ODD.kinds.items() if k != "depthwise"})
    assert parts(layer, fallback) != found


def test_views_take_no_time_and_copies_do() -> None:
    """A permutation is free, and what makes its result contiguous is not.

    Mutation: each layer alone, in plain order, where `contiguous` does nothing.
    """
    moved = Permute("moved", (0, 2, 3, 1))
    network = Network("n", (Input("x", (1, 8, 5, 7)), moved, Activation("copy", "contiguous")))
    taken = layer_parts(lower(network), of_all(start_s=1.0))
    assert [sum(each) for each in taken] == [0, 0, 1]
    assert time(Network("n", network.layers[:2]), ODD) == 0


@pytest.mark.parametrize("name", ["mobilenet_v1", "mobilenet_v2", "squeezenet_1_0", "vgg_16"])
def test_one_time_everywhere(name: str) -> None:
    """cost, sweep, cost_function, report and its layers say the same of one network."""
    base = ZOO[name].build()
    side = 96
    for alpha in ("1/4", "2/3", "1"):
        network = widen(resize(base, resolution=side), alpha)
        expected = time(network, ODD)
        assert expected == pytest.approx(cost(network, rows=additive(ODD)).time_s, rel=1e-12)
        swept = sweep(base, [Fraction(alpha)], [side], device=ODD)
        assert swept.time_s[0, 0] == pytest.approx(expected, rel=1e-12)
        assert swept.frame().time_s[0] == swept.time_s[0, 0]
        f = cost_function(base, device=ODD)
        assert f(Fraction(alpha), side).time_s == pytest.approx(expected, rel=1e-12)
        if name != "vgg_16":  # whose head fixes its size
            w = cost_function(base, over="widths", device=ODD)
            counts = w(multipliers=[Fraction(alpha)] * len(w.layers), resolution=side)
            assert counts.time_s == pytest.approx(expected, rel=1e-12)
        shown = report(name, alpha=alpha, resolution=side, device=ODD)
        assert shown.total.time_s == pytest.approx(expected, rel=1e-12)
        assert sum(row.cost.time_s for row in shown.rows) == pytest.approx(expected, rel=1e-12)
        assert sum(sum(row.parts) for row in shown.rows) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", ["mobilenet_v1", "mobilenet_v2", "squeezenet_1_0"])
def test_the_formula_is_the_time_at_one(name: str) -> None:
    """time(α, ρ) at α = ρ = 1 is the time, and its terms are those of MACs and of bytes."""
    base = ZOO[name].build()
    form = time(widen(resize(base, rho=RHO), ALPHA), ODD)
    at_one = {"alpha": 1, "rho": 1, "max(1, alpha)": 1}
    assert float(form.at(at_one)) == pytest.approx(time(base, ODD), rel=1e-12)
    macs = cost(widen(resize(base, rho=RHO), ALPHA)).macs
    assert set(form.terms) >= set(macs.terms)
    g = cost_function(base, relaxed=True, device=ODD)
    assert g(1.0, 1.0).time_s == pytest.approx(time(base, ODD), rel=1e-12)


def test_symbols_and_numbers_agree() -> None:
    """sympy's exact time, ceilings and roundings included, is that of the network built there."""
    from costmodel.algebra.symbols import alpha, rho

    base = mobilenet_v1(resolution=64)
    formula = time(widen(resize(base, rho=rho), alpha), ODD)
    for a, r in ((Fraction(1, 4), Fraction(1, 2)), (Fraction(7, 9), Fraction(3, 2))):
        at = float(formula.subs({alpha: a, rho: r}))
        assert at == pytest.approx(time(widen(resize(base, rho=r), a), ODD), rel=1e-12)


def test_gradients_of_the_relaxed_time() -> None:
    """d time / dα of the relaxed function is the difference quotient of the formula."""
    torch = pytest.importorskip("torch", reason="no torch: pip install -e '.[dev]'")
    g = cost_function(mobilenet_v1(), relaxed=True, device=ODD)
    alpha = torch.tensor(0.6, dtype=torch.float64, requires_grad=True)
    g(alpha, 0.7).time_s.backward()
    step = 1e-6
    quotient = (g(0.6 + step, 0.7).time_s - g(0.6 - step, 0.7).time_s) / (2 * step)
    assert float(alpha.grad) == pytest.approx(quotient, rel=1e-6)


def test_a_plan_within_a_latency() -> None:
    """The choice is the best of a brute force over the same grid, and time binds.

    Mutation: the limit in milliseconds read as seconds.
    """
    base = ZOO["mobilenet_v2"].build()
    alphas, sides = [Fraction(n, 8) for n in range(2, 10)], [96, 128, 160]
    built = {(a, d): widen(resize(base, resolution=d), a) for a in alphas for d in sides}
    times = {key: time(network, ODD) for key, network in built.items()}
    most = sorted(times.values())[len(times) // 2] * 1.001
    made_plan = plan(
        base, alphas=alphas, resolutions=sides, device=ODD, max_latency=f"{1000 * most:.9f}ms"
    )
    within = [key for key, seconds in times.items() if seconds <= most]
    best = max(within, key=lambda key: cost(built[key]).macs)
    assert (made_plan.choice.alpha, made_plan.choice.resolution) == best
    assert made_plan.choice.time_s == pytest.approx(times[best], rel=1e-12)
    assert made_plan.binding == ("max_latency",)
    assert len(within) == made_plan.feasible < len(times)


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda: limits({"max_latency": "20ms"}), "--max-latency 20ms is of a device; give one"),
        (lambda: limits({"max_latency": "20"}, ODD), "must be a positive amount in s, ms, us"),
        (lambda: limits({"max_latency": "0s"}, ODD), "must be a positive amount in s, ms, us"),
        (lambda: limits({"max_macs": "20ms"}, ODD), "must be a positive amount in k, M, G"),
        (lambda: limits({"max_latency": float("nan")}, ODD), "must be a positive amount"),
        (lambda: rebatch(mobilenet_v1(), 0), "batch must be an integer"),
        (lambda: device("nothing"), "device must be one of"),
    ],
)
def test_bad_input(act: Callable[[], object], message: str) -> None:
    """One line each: what, the value, the rule."""
    with pytest.raises(CostModelError, match=message) as caught:
        act()
    assert "\n" not in str(caught.value)


def test_a_latency_is_seconds() -> None:
    """20 ms, 0.02 s, 20000 us and the float are one limit."""
    for given in ("20ms", "0.02s", "20000us", "20000 µs", 0.02):
        assert limits({"max_latency": given}, ODD)[0].most == 0.02


def test_without_a_device_there_is_no_time() -> None:
    """Nothing says a time that nobody asked for: no figure, no column, no key."""
    assert "time_s" not in quantities()
    shown = report(resolution=64)
    assert "time_s" not in json.loads(shown.to_json())["totals"]
    assert not hasattr(sweep(mobilenet_v1(), [1.0], [64]), "time_s")
    assert all(row.bound is None for row in rows(mobilenet_v1()))


def test_json_has_time_bound_and_device() -> None:
    """`time_s` of the network and of each layer, `bound`, and the device with its error."""
    shown = json.loads(report("squeezenet_1_1", resolution=64, device=ODD).to_json())
    assert shown["device"]["name"] == "a test"
    assert shown["device"]["error"] == 0.1
    total = shown["totals"]["time_s"]
    assert sum(layer["time_s"] for layer in shown["layers"]) == pytest.approx(total, rel=1e-12)
    assert {layer["bound"] for layer in shown["layers"]} <= {"overhead", "compute", "memory"}
    assert "time_s" in shown["closed_form"]


def test_an_unknown_layer_makes_time_a_bound() -> None:
    """What no rule knows adds nothing, and the report says ≥."""
    from costmodel.core import Layer

    network = Network("n", (Input("x", (1, 3, 8, 8)), Conv("conv", 4, 3), Layer("mystery")))
    found = cost(network, rows=additive(ODD))
    assert found.unknown == ("mystery",)
    assert found.time_s == cost(Network("n", network.layers[:2]), rows=additive(ODD)).time_s


def test_grids_are_of_any_size() -> None:
    """A sweep's times are those of the networks, over a whole grid of widths and sides."""
    alphas, sides = np.linspace(0.2, 1.3, 7), [33, 64, 97]
    swept = sweep(mobilenet_v1(), alphas, sides, device=ODD)
    for i, alpha in enumerate(alphas):
        for j, side in enumerate(sides):
            network = widen(resize(mobilenet_v1(), resolution=side), alpha)
            assert swept.time_s[i, j] == pytest.approx(time(network, ODD), rel=1e-12)
