"""Devices: what a machine takes for each kind of operator, as a few constants with units.

A layer takes

    seconds = start + work / rate + read / … + written / … + weights / …

where work are its MACs (without any, the elements that it reads for its output), the others bytes.
Nothing else is told apart: more constants would fit better and say less.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from importlib.resources import files
from pathlib import Path
from reprlib import repr as brief
from typing import TYPE_CHECKING, Any, Self

from costmodel.errors import CostModelError
from costmodel.files import write_atomically
from costmodel.metrics.memory import MemoryRules

if TYPE_CHECKING:
    from collections.abc import Mapping

#: What a device has to say of operators that it has no constants of their own for.
PRODUCT, ELEMENTWISE = "product", "elementwise"
#: Of a constant: sums and products of such, and their inverses, stay within floats.
_LEAST, _MOST = 1e-100, 1e100


@dataclass(frozen=True)
class Constants:
    """What a kind of operator takes: seconds to start, and how much of each in a second.

    - `start_s`: seconds before any work is done: the call, the threads, the launch of a kernel.
    - `work_per_s`: MACs a second; of what has none, elements read a second, each as often as it is
      (of a pool, those under its windows).
    - `read_per_s`: bytes a second of its inputs' activations.
    - `written_per_s`: bytes a second of its output's activations.
    - `weights_per_s`: bytes a second of its parameters.

    A rate of None takes no time, or is told in another: what is bound by its MACs hides its bytes.

    >>> Constants(start_s=1e-5, work_per_s=5e10).seconds(10**9)
    0.02001

    Raises CostModelError for what is negative, a rate of zero, and no finite number.
    """

    start_s: float = 0
    work_per_s: float | None = None
    read_per_s: float | None = None
    written_per_s: float | None = None
    weights_per_s: float | None = None

    def __post_init__(self) -> None:
        """Check every constant."""
        _check_number("start_s", self.start_s)
        for name, rate in asdict(self).items():
            if name != "start_s" and not (rate is None or _is_number(rate, _LEAST)):
                rule = "must be a finite number, positive, or null for no time"
                raise CostModelError(f"{name} {rule}; got {brief(rate)}")

    @property
    def slopes(self) -> tuple[float, ...]:
        """Seconds for one of each: work, byte read, byte written, byte of weights."""
        rates = (self.work_per_s, self.read_per_s, self.written_per_s, self.weights_per_s)
        return tuple(1 / rate if rate else 0.0 for rate in rates)

    def seconds(self, *amounts: float) -> float:
        """The time of some work, bytes read, bytes written and bytes of weights."""
        return self.start_s + sum(a * s for a, s in zip(amounts, self.slopes, strict=False))


def _is_number(value: Any, least: float) -> bool:
    """Whether it is one that may be computed with; true and false are none, nor is NaN."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and least <= value <= _MOST


def _check_number(name: str, value: Any) -> None:
    if not _is_number(value, 0):
        raise CostModelError(f"{name} must be a finite number, at least 0; got {brief(value)}")


@dataclass(frozen=True)
class Device:
    """A machine with its runtime and number format, and the constants of each kind of operator.

    - `name`: what `--device` takes; `machine`, `runtime`: in words.
    - `threads`: how many of them work on one layer.
    - `dtype`: float32, float16 or int8, as of `MemoryRules`: how many bytes a number has.
    - `date`: of the fit, 2026-11-24.
    - `fitted_on`, `judged_on`: in words, what the constants are from, and what the errors are.
    - `error`: the median of |predicted / measured - 1| over times that it was not fitted on.
    - `spread`: what 90 % of those are within.
    - `kinds`: the constants (`Constants`, with units) of each kind of operator: those of nests
      (standard, pointwise, depthwise, grouped, linear, matmul, transposed) and names of functions
      (max_pool, sigmoid, …). `product` and `elementwise` are for all that is not listed.

    >>> pixel = device("pixel_1_tflite")
    >>> pixel.dtype, pixel.threads
    ('float32', 1)

    Raises CostModelError for what is missing or out of range.
    """

    name: str
    machine: str
    runtime: str
    threads: int
    dtype: str
    date: str
    fitted_on: str
    judged_on: str
    error: float
    spread: float
    kinds: Mapping[str, Constants] = field(default_factory=dict, repr=False, hash=False)

    def __post_init__(self) -> None:
        """Check what a file may have wrong."""
        for name in ("name", "machine", "runtime", "date", "fitted_on", "judged_on"):
            if not isinstance(getattr(self, name), str) or not getattr(self, name):
                raise CostModelError(f"{name} must be a text, got {brief(getattr(self, name))}")
        if type(self.threads) is not int or not 1 <= self.threads <= _MOST:
            raise CostModelError(f"threads must be a positive integer, got {brief(self.threads)}")
        _check_number("error", self.error)
        _check_number("spread", self.spread)
        MemoryRules(self.dtype)  # refuses another
        if missing := {PRODUCT, ELEMENTWISE} - set(self.kinds):
            rule = "what operators without constants of their own take"
            raise CostModelError(f"kinds has no {min(missing)}, which says {rule}; add it")

    @property
    def rules(self) -> MemoryRules:
        """How wide its numbers are."""
        return MemoryRules(self.dtype)

    def constants(self, kind: str, *, product: bool) -> Constants:
        """Those of a kind of operator, or of all that have none of their own."""
        return self.kinds.get(kind) or self.kinds[PRODUCT if product else ELEMENTWISE]

    def to_json(self) -> str:
        """As a file."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"

    def save(self, path: str | Path) -> None:
        """Write it, whole or not at all."""
        write_atomically(path, self.to_json())

    @classmethod
    def from_json(cls, text: str, source: str = "a device") -> Self:
        """Read it.

        Raises CostModelError, with the source's name, for what is no device.
        """
        try:
            given = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise CostModelError(f"{source}: no JSON ({error}); make one with calibrate") from None
        try:
            entries = _checked(given, cls, "a device")
            return cls(**entries | {"kinds": _kinds(entries["kinds"])})
        except CostModelError as error:
            raise CostModelError(f"{source}: {error}") from None


def _checked(given: Any, record: type, what: str) -> dict[str, Any]:
    """The entries of an object, if they are those of the record, each one."""
    names = [f.name for f in fields(record)]
    entries = _object(given, what)
    if unknown := entries.keys() - set(names):
        known = ", ".join(names)
        raise CostModelError(f"unknown entry {brief(min(unknown))}; {what} has {known}")
    if missing := [name for name in names if name not in entries]:
        raise CostModelError(f"{missing[0]} is missing; add it")
    return entries


def _object(given: Any, what: str) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise CostModelError(f"{what} must be an object of JSON, got {brief(given)}")
    return given


def _kinds(given: Any) -> dict[str, Constants]:
    kinds = {}
    for kind, constants in _object(given, "kinds").items():
        try:
            kinds[kind] = Constants(**_checked(constants, Constants, "a kind"))
        except CostModelError as error:
            raise CostModelError(f"{kind}: {error}") from None
    return kinds


def shipped() -> tuple[Device, ...]:
    """The devices that come with the package, by name.

    >>> [made.name for made in shipped()]
    ['pixel_1_tflite', 'stm32h747_int8', 'x86_torch']
    """
    folder = files("costmodel") / "devices"
    paths = [path for path in folder.iterdir() if path.name.endswith(".json")]
    read = (Device.from_json(path.read_text("utf-8"), path.name) for path in paths)
    return tuple(sorted(read, key=lambda made: made.name))


def device(name: str | Device) -> Device:
    """A device by its shipped name or from a file NAME.json.

    >>> device("stm32h747_int8").dtype
    'int8'

    Raises CostModelError for an unknown name and for a file that is none.
    """
    if isinstance(name, Device):
        return name
    if name.endswith(".json"):
        try:
            text = Path(name).read_text("utf-8-sig")
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "not UTF-8 text"
            raise CostModelError(f"cannot read {name}: {why}; name a device's file") from None
        return Device.from_json(text, name)
    known = {made.name: made for made in shipped()}
    if name not in known:
        raise CostModelError(
            f"device must be one of {', '.join(known)} or a file NAME.json, got {name!r}"
        )
    return known[name]
