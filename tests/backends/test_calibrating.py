"""Calibration: constants that are known come back, and a machine that is not quiet is told."""

from __future__ import annotations

import random
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING

import pytest

from costmodel import CostModelError, lower
from costmodel.backends import calibrating
from costmodel.backends.calibrating import (
    LEAST_LAYERS,
    Timed,
    calibrate,
    calibration,
    fit,
    judged,
    samples_of,
)
from costmodel.backends.chains import chain
from costmodel.metrics.devices import Constants, Device
from costmodel.metrics.memory import MemoryRules

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

RULES = MemoryRules()
_TEXTS = dict.fromkeys(("name", "machine", "runtime", "fitted_on", "judged_on"), "made up")
ABOUT = _TEXTS | {"threads": 1, "dtype": "float32", "date": "2020-01-01"}
#: Of the kinds that multiply and of others: constants with nothing to hide behind one another.
TRUE = {
    "pointwise": Constants(2e-5, 4e10, 2e10, 1e10, 8e9),
    "standard": Constants(3e-5, 6e10, 1e10, 2e10, 5e9),
    "relu": Constants(5e-6, None, 3e10),
}
OTHER = Constants(1e-5, 1e10, 1e10, 1e10)


def timed(*, noise: float = 0, factor: float = 1, apart: float = 0, count: int = 40) -> list[Timed]:
    """Chains whose layers take what the constants say, and whole chains `factor` times that."""
    draw = partial(random.Random(0).uniform, -1, 1)  # noqa: S311 - no secret
    made = []
    for seed in range(count):
        layers = lower(chain(seed))
        seconds = {x.layer.name: 1.0 for x in layers if x.layer.inputs}
        true = [
            x._replace(seconds=TRUE.get(x.kind, OTHER).seconds(*x.amounts))
            for x in samples_of(layers, seconds, RULES)
        ]
        noisy = (x._replace(seconds=x.seconds * (1 + noise * draw())) for x in true)
        samples, whole = tuple(noisy), factor * sum(x.seconds for x in true)
        made.append(Timed(samples, whole, (whole * (1 + apart), whole)))
    return made


def close(found: Constants, wanted: Constants, within: float) -> bool:
    """Whether each constant is, relative to what is wanted."""
    pairs = zip(asdict(found).values(), asdict(wanted).values(), strict=True)
    return all(a is b is None or (a and b and abs(a / b - 1) < within) for a, b in pairs)


@pytest.mark.parametrize("kind", ["pointwise", "standard"])
def test_known_constants_come_back(kind: str) -> None:
    """Layers that take what constants say give those constants."""
    assert close(fit(timed())[kind], TRUE[kind], 1e-4)


def test_noise_leaves_times_as_they_are() -> None:
    """With 10 % of noise on each layer, chains left out of the fit are predicted within 3 %."""
    error, spread = judged(timed(noise=0.1))
    assert 0 < error < spread < 0.03


@pytest.mark.parametrize("factor", [0.9, 1.25])
def test_the_sum_is_what_chains_take(factor: float) -> None:
    """Where whole chains take more or less than their layers, every constant is so much more."""
    found = fit(timed(factor=factor))["standard"].seconds(1e9, 1e6, 1e6, 1e6)
    assert found == pytest.approx(factor * TRUE["standard"].seconds(1e9, 1e6, 1e6, 1e6), rel=1e-4)
    error, _ = judged(timed(factor=factor))
    assert error < 1e-3


def test_without_the_factor_chains_are_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutation that leaves the factor out is off by all of it: 1 − 1 / 1.25."""
    monkeypatch.setattr(calibrating, "_times", lambda constants, _: constants)
    error, _ = judged(timed(factor=1.25))
    assert error == pytest.approx(0.2, abs=1e-3)


def test_few_layers_have_no_constants_of_their_own() -> None:
    """A kind with fewer than 12 layers is one of all products, or one of all the others."""
    some = timed(count=4)
    kinds = [x.kind for each in some for x in each.samples]
    enough = {kind for kind in kinds if kinds.count(kind) >= LEAST_LAYERS}
    assert enough < set(kinds)
    assert fit(some).keys() == enough | {"product", "elementwise"}


def test_what_takes_no_time_is_left_out() -> None:
    """Neither the image nor a view is a sample; every other layer is, and in its order."""
    layers = lower(chain(1))
    seconds = {x.layer.name: float(i) for i, x in enumerate(layers) if x.layer.inputs}
    samples = list(samples_of(layers, seconds, RULES))
    views = {"view", "permute", "chunk", "flatten"}
    assert not views & {x.kind for x in samples}
    assert [x.seconds for x in samples] == sorted(x.seconds for x in samples)
    counted = sum(1 for x in layers if x.nests)
    assert sum(x.product for x in samples) == counted > 0


def test_views_that_are_counted_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutation that takes no layer for a view gives views constants."""
    monkeypatch.setattr(calibrating, "views", lambda _: set())
    assert "permute" in fit(timed(count=60))


def test_a_quiet_machine_is_not_warned() -> None:
    """Rounds that are 5 % apart make a device without a word, and it is one that a file holds."""
    made = calibration(timed(apart=0.05), ABOUT)
    assert made.disagreement == pytest.approx(0.05)
    assert made.warning == ""
    assert Device.from_json(made.device.to_json()) == made.device


def test_a_busy_machine_is_warned() -> None:
    """Above 10 % there is a line with the figure."""
    warning = calibration(timed(apart=0.17), ABOUT).warning
    assert "17 % apart, more than 10 %" in warning
    assert "\n" not in warning


def test_a_machine_at_work_is_refused() -> None:
    """Above 30 % there is no device, and the error says by how much and what to do."""
    with pytest.raises(CostModelError, match=r"at most 30 % apart, got 40 %.*calibrate again"):
        calibration(timed(apart=0.4), ABOUT)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"threads": 0}, "threads must be a positive integer, got 0"),
        ({"batch": 0}, "batch must be a positive integer, got 0"),
        ({"batch": 1.5}, "batch must be a positive integer, got 1.5"),
        ({"dtype": "int8"}, "dtype must be one of float32, float16, got 'int8'"),
        ({"device": "tpu"}, "device must be one of cpu, cuda, mps, got 'tpu'"),
        ({"seconds": 0}, "seconds must be positive, got 0"),
        ({"seconds": float("nan")}, "seconds must be positive, got nan"),
    ],
)
def test_settings_out_of_range(settings: dict[str, object], words: str) -> None:
    """One line names the setting, its value and the rule, before anything is timed."""
    with pytest.raises(CostModelError, match=words):
        calibrate(**settings)


def test_without_torch(run: Callable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where torch is missing there is one line with the remedy, and exit code 2."""
    monkeypatch.setattr("costmodel.errors.find_spec", lambda _: None)
    code, out, err = run("calibrate", "--output", tmp_path / "d.json")
    assert (code, out) == (2, "")
    assert err.startswith("costmodel: calibrate needs torch")
    assert err.count("\n") == 1


def test_an_interrupt_writes_nothing(
    run: Callable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Ctrl-C in the middle leaves the old file, no other, and exit code 130."""
    target = tmp_path / "device.json"
    target.write_text("old", "utf-8")

    def interrupted(*_: object, **__: object) -> Sequence[Timed]:
        raise KeyboardInterrupt

    monkeypatch.setattr(calibrating, "time_chains", interrupted)
    assert run("calibrate", "--output", target).code == 130
    assert target.read_text("utf-8") == "old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(("apart", "code", "word"), [(0.01, 0, ""), (0.2, 0, "20 %"), (0.5, 2, "")])
def test_the_command(  # noqa: PLR0913, PLR0917
    run: Callable,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    apart: float,
    code: int,
    word: str,
) -> None:
    """It writes a device named as its file, says how good it is, and warns or refuses."""
    monkeypatch.setattr(calibrating, "time_chains", lambda *_, **__: timed(apart=apart, noise=0.1))
    target = tmp_path / "laptop.json"
    made = run("calibrate", "--output", target)
    assert made.code == code
    assert target.exists() == (code == 0)
    assert word in made.err
    if code == 0:
        device = Device.from_json(target.read_text("utf-8"))
        assert (device.name, device.threads, device.dtype) == ("laptop", 1, "float32")
        assert f"{100 * apart:.1f} % apart" in made.out
        assert "standard" in made.out


def test_an_output_that_cannot_be_written_is_refused_first(run: Callable, tmp_path: Path) -> None:
    """A directory is no file, and nobody waits two minutes to be told."""
    code, _, err = run("calibrate", "--output", tmp_path)
    assert code == 2
    assert "it is a directory" in err


@pytest.mark.slow
def test_a_real_calibration(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few seconds on this machine make a device, and the shares of progress add up to all."""
    monkeypatch.setattr(calibrating, "ROUNDS", 2)
    monkeypatch.setattr(calibrating, "_PAIRS", 1)
    monkeypatch.setattr(calibrating, "REFUSED", 10)  # other tests may run beside this one
    shares: list[float] = []
    made = calibrate(seconds=2, name="here", progress=shares.append)
    assert made.chains == 20
    assert made.device.kinds.keys() >= {"standard", "pointwise", "depthwise", "batch_norm", "relu"}
    assert all(
        rate is None or rate > 0 for c in made.device.kinds.values() for rate in vars(c).values()
    )
    assert sum(shares) == pytest.approx(1, abs=0.1)
    assert Device.from_json(made.device.to_json()) == made.device
