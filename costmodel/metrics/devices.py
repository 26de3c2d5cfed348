"""Devices: what a machine takes for each kind of operator, as a few constants with units.

A layer takes

    seconds = start + work / rate + read / … + written / … + weights / …

where work are its MACs (of a pool, the elements under its windows) and the others bytes. Where an
operator's time is bound, nothing else is told apart: more constants would fit better and say less.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from importlib.resources import files
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from costmodel.errors import CostModelError
from costmodel.files import write_atomically
from costmodel.metrics.memory import MemoryRules

if TYPE_CHECKING:
    from collections.abc import Mapping

#: What a device has to say of operators that it has no constants of their own for.
PRODUCT, ELEMENTWISE = "product", "elementwise"


@dataclass(frozen=True)
class Constants:
    """What a kind of operator takes: seconds to start, and how much of each in a second.

    `work_per_s` are MACs (of a pool, elements under windows), the others bytes. What takes no time
    is None.

    >>> Constants(start_s=1e-5, work_per_s=5e10).seconds(10**9)
    0.02001

    Raises CostModelError for what is negative, zero, or not finite.
    """

    start_s: float = 0
    work_per_s: float | None = None
    read_per_s: float | None = None
    written_per_s: float | None = None
    weights_per_s: float | None = None

    def __post_init__(self) -> None:
        """Check every constant."""
        for name, value in asdict(self).items():
            least = "at least 0" if name == "start_s" else "positive, or null for no time"
            if value is None and name != "start_s":
                continue
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not number or not isfinite(value) or value < 0 or (name != "start_s" and not value):
                raise CostModelError(f"{name} must be a finite number, {least}; got {value!r}")

    @property
    def slopes(self) -> tuple[float, ...]:
        """Seconds for one of each: work, byte read, byte written, byte of weights."""
        rates = (self.work_per_s, self.read_per_s, self.written_per_s, self.weights_per_s)
        return tuple(1 / rate if rate else 0.0 for rate in rates)

    def seconds(self, *amounts: float) -> float:
        """The time of some work, bytes read, bytes written and bytes of weights."""
        return self.start_s + sum(a * s for a, s in zip(amounts, self.slopes, strict=False))


@dataclass(frozen=True)
class Device:
    """A machine with its runtime and number format, and the constants of each kind of operator.

    Kinds are those of nests (standard, pointwise, depthwise, grouped, linear, matmul, transposed)
    and names of functions (max_pool, sigmoid, …); `product` and `elementwise` are for all that is
    not listed. `error` is the median difference, relative, to times it was not fitted on, and
    `spread` what 90 % of them are within; `judged_on` says which.

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
                raise CostModelError(f"{name} must be a text, got {getattr(self, name)!r}")
        if type(self.threads) is not int or self.threads < 1:
            raise CostModelError(f"threads must be a positive integer, got {self.threads!r}")
        for name in ("error", "spread"):
            value = getattr(self, name)
            if type(value) not in {int, float} or not isfinite(value) or value < 0:
                raise CostModelError(f"{name} must be a finite number, at least 0; got {value!r}")
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
            return cls(**_checked(given, cls) | {"kinds": _kinds(given["kinds"])})
        except CostModelError as error:
            raise CostModelError(f"{source}: {error}") from None


def _checked(given: Any, record: type, where: str = "") -> dict[str, Any]:
    """The entries of an object, if they are those of the record, each one."""
    if not isinstance(given, dict):
        raise CostModelError(f"{where or 'a device'} must be an object, got {given!r:.40}")
    names = {f.name for f in fields(record)}
    if wrong := given.keys() - names:
        raise CostModelError(f"{where}unknown entry {min(wrong)!r}; known: {', '.join(names)}")
    if missing := names - given.keys():
        raise CostModelError(f"{where}{min(missing)} is missing; add it")
    return dict(given)


def _kinds(given: Any) -> dict[str, Constants]:
    if not isinstance(given, dict):
        raise CostModelError(f"kinds must be an object, got {given!r:.40}")
    kinds = {}
    for kind, constants in given.items():
        try:
            kinds[kind] = Constants(**_checked(constants, Constants))
        except CostModelError as error:
            raise CostModelError(f"{kind}: {error}") from None
    return kinds


def shipped() -> tuple[Device, ...]:
    """The devices that come with the package, by name."""
    folder = files("costmodel") / "devices"
    paths = sorted((path for path in folder.iterdir()), key=lambda path: path.name)
    return tuple(
        Device.from_json(path.read_text("utf-8"), path.name)
        for path in paths
        if path.name.endswith(".json")
    )


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
            text = Path(name).read_text("utf-8")
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "it is no text"
            raise CostModelError(f"cannot read {name}: {why}; name a device's file") from None
        return Device.from_json(text, name)
    known = {made.name: made for made in shipped()}
    if name not in known:
        raise CostModelError(
            f"device must be one of {', '.join(known)} or a file NAME.json, got {name!r}"
        )
    return known[name]
