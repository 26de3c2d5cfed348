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
from costmodel.metrics.timing import quantities
from costmodel.planners.limits import limited
from costmodel.reports.formula import reduction
from costmodel.show.explorer.script import DTYPES, MOST_SIDE, as_json, script
from costmodel.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from costmodel.core.network import Network
    from costmodel.core.quantities import Quantity

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


def page(networks: Sequence[str | Network] = FAMILY) -> str:
    """The explorer of some networks: of the zoo, in JSON files, or Networks.

    Its figures are the library's own expressions, printed as JavaScript (`script`), and
    Vega draws its charts. It needs no network and no other file.

    >>> len(page(["mobilenet_v1"])) < 1_000_000
    True

    Raises CostModelError as `script` does, and for two networks of one name.
    """
    scripts = [script(network) for network in networks]
    name, times = Counter(printed.name for printed in scripts).most_common(1)[0]
    if times > 1:
        raise CostModelError(f"{times} networks are named {name!r}; rename one, or give it once")
    parts = {
        "policy": "{{ policy }}",  # of what is not written yet
        "version": __version__,
        "dtypes": as_json({dtype: MemoryRules(dtype).width for dtype in DTYPES}),
        "most_side": str(MOST_SIDE),
        "reduction": as_json(mathml(reduction())),
        "share": f"(C_out, K) => {reduction()}",
        "quantities": as_json(list(map(_about, quantities().values()))),
        "limits": "\n".join(map(_field, limited().values())),
        "networks": ",\n".join(printed.text for printed in scripts),
    }

    def part(place: re.Match[str]) -> str:
        name = place[1]
        return parts[name] if name in parts else (_FILES / name).read_text(encoding="utf-8")

    text = _PLACE.sub(part, (_FILES / "page.html").read_text(encoding="utf-8"))
    return text.replace("{{ policy }}", _policy(text), 1)


def _about(row: Quantity) -> dict[str, object]:
    """What the page's script reads of a quantity."""
    kept = {key: getattr(row, key) for key in ("name", "title", "unit", "limit", "column")}
    return kept | {"added": row.sums is None}


def _field(row: Quantity) -> str:
    """A limit's field."""
    name, example = row.limit, "512KiB" if row.unit == "bytes" else "150M"
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
