"""The explorer: one HTML file that holds all it needs, and computes as the library does."""

from __future__ import annotations

import re
from base64 import b64encode
from collections import Counter
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from costmodel.algebra.notation import mathml
from costmodel.errors import CostModelError
from costmodel.metrics.memory import MemoryRules
from costmodel.metrics.timing import TIME, quantities
from costmodel.reports.formula import reduction
from costmodel.reports.timing import median
from costmodel.show.explorer.device import section, sentence
from costmodel.show.explorer.script import DTYPES, MOST_SIDE, as_json, script
from costmodel.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from costmodel.core.network import Network
    from costmodel.core.quantities import Quantity
    from costmodel.metrics.devices import Device

#: The networks of a page for which none are named.
FAMILY = ("mobilenet_v1", "mobilenet_v2")
_FILES = Path(__file__).parent
#: What the page may do: its own scripts and style, by hash, and pictures that it draws. Vega makes
#: functions of its specifications' expressions, and so needs eval; nothing is fetched or sent.
_POLICY = (
    "default-src 'none'; script-src 'unsafe-eval' {script}; style-src {style}; "
    "img-src data: blob:; base-uri 'none'; form-action 'none'"
)
_INLINE = re.compile("<(script|style)>(.*?)</\\1>", re.DOTALL)
_PLACE = re.compile(r"\{\{ ([\w.]+) \}\}")
#: Lines, and files, that a page has only where it estimates something.
_ESTIMATES = re.compile(r"^.*// estimates\n", re.MULTILINE)


def page(networks: Sequence[str | Network] = FAMILY, device: Device | None = None) -> str:
    """The explorer of some networks: of the zoo, in JSON files, or Networks.

    Its figures are the library's own expressions, printed as JavaScript (`script`), and
    Vega draws its charts. It needs no network and no other file. With a device it estimates time.

    >>> len(page(["mobilenet_v1"])) < 1_000_000
    True

    Raises CostModelError as `script` does, and for two networks of one name.
    """
    scripts = [script(network, device) for network in networks]
    of = quantities(device)
    estimates = any(row.estimate for row in of.values())
    name, times = Counter(printed.name for printed in scripts).most_common(1)[0]
    if times > 1:
        raise CostModelError(f"{times} networks are named {name!r}; rename one, or give it once")
    parts = {
        "policy": "{{ policy }}",  # of what is not written yet
        "version": __version__,
        "dtypes": as_json({dtype: MemoryRules(dtype).width for dtype in _dtypes(device)}),
        "most_side": str(MOST_SIDE),
        "reduction": as_json(mathml(reduction())),
        "share": f"(C_out, K) => {reduction()}",
        "quantities": as_json([about(row, device) for row in of.values()]),
        "limits": "\n".join(_field(row) for row in of.values() if row.limit),
        "networks": ",\n".join(printed.text for printed in scripts),
        "estimated": sentence(device) if device else "",
        "device": section(device) if device else "",
    }

    def part(place: re.Match[str]) -> str:
        name = place[1]
        return parts[name] if name in parts else source(name, estimates=estimates)

    text = _PLACE.sub(part, (_FILES / "page.html").read_text(encoding="utf-8"))
    return text.replace("{{ policy }}", _policy(text), 1)


def source(name: str, *, estimates: bool) -> str:
    """A file of the page, or nothing where it is about estimates and there are none.

    >>> source("estimates.css", estimates=False), "estimate" in source("page.js", estimates=False)
    ('', False)
    """
    text = (_FILES / name).read_text(encoding="utf-8")
    if estimates:
        return text
    return "" if name.startswith("estimates.") else _ESTIMATES.sub("", text)


def about(row: Quantity, device: Device | None = None) -> dict[str, object]:
    """What the page's script reads of a quantity."""
    kept = {key: getattr(row, key) for key in ("name", "title", "unit", "limit", "column")}
    kept |= {"added": row.sums is None and not row.estimate}
    if not row.estimate:
        return kept
    note, of = "an estimate", ""
    if device is not None and row.name == TIME.name:
        note, of = median(device), f"on {device.name}"
    return kept | {"estimate": True, "note": note, "of": of}


def _dtypes(device: Device | None) -> Sequence[str]:
    """Number formats, the device's first: it is the one that the page opens with."""
    return sorted(DTYPES, key=lambda dtype: device is None or dtype != device.dtype)


def _field(row: Quantity) -> str:
    """A limit's field."""
    name, example = row.limit, {"bytes": "512KiB", "s": "20ms"}.get(row.unit, "150M")
    label = row.title[0].upper() + row.title[1:]
    return f"""    <div class="field">
      <label for="{name}">{label}</label>
      <input id="{name}" type="text" placeholder="{example}" autocomplete="off" \
aria-describedby="{name}-error">
      <p id="{name}-error" class="error" role="alert"></p>
    </div>"""


def _policy(text: str) -> str:
    hashes: dict[str, list[str]] = {"script": [], "style": []}
    for element in _INLINE.finditer(text):
        digest = b64encode(sha256(element[2].encode()).digest()).decode()
        hashes[element[1]].append(f"'sha256-{digest}'")
    return _POLICY.format_map({kind: " ".join(digests) for kind, digests in hashes.items()})
