"""`costmodel explore`: one file that holds all it needs, and whose functions are the library's."""

from __future__ import annotations

import hashlib
import json
import random
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from costmodel import CostModelError, Layer, Network, cost, resize, to_json, widen
from costmodel.algebra.symbols import H, W, alpha
from costmodel.layers import (
    SAME,
    Add,
    AtLeast,
    BatchNorm,
    Concat,
    Conv,
    Fixed,
    Flatten,
    Input,
    Linear,
    Pool,
    Times,
)
from costmodel.metrics.devices import Constants, Device, device
from costmodel.metrics.memory import MemoryRules, peak_activations, weight_bytes
from costmodel.metrics.timing import quantities
from costmodel.planners.limits import Limit
from costmodel.reports.rows import rows
from costmodel.show.explorer import page as module
from costmodel.show.explorer.page import about, page, source
from costmodel.show.explorer.script import as_json, script
from costmodel.zoo import ZOO

if TYPE_CHECKING:
    from collections.abc import Callable

FILES = Path(module.__file__).parent
SQUARE = Input("image", (1, 3, 64, 64))
NASTY = "</script><script>alert(1)</script>\u2028<!--"


def test_the_command_writes_one_file(run: Callable, tmp_path: Path) -> None:
    """It says where, and what it wrote is the page."""
    path = tmp_path / "explorer.html"
    ran = run("explore", "-o", path, "mobilenet_v1")
    assert (ran.code, ran.out, ran.err) == (0, "", f"wrote {path}\n")
    assert path.read_text("utf-8") == page(["mobilenet_v1"])


def test_the_default_is_the_family(run: Callable, tmp_path: Path, monkeypatch: Any) -> None:
    """Without names it holds both MobileNets, in explorer.html."""
    monkeypatch.chdir(tmp_path)
    assert run("explore").code == 0
    assert (tmp_path / "explorer.html").read_text("utf-8") == page()


@pytest.mark.slow
def test_the_whole_zoo_fits() -> None:
    """All architectures together take less than 2 MB, far from the 6 MB that there may be."""
    assert len(page(list(ZOO)).encode()) < 2_000_000


def test_it_needs_nothing_else() -> None:
    """No element refers to another file or place, and no place of a template is left."""
    text = page()
    assert set(re.findall(r'(?:src|href)="([^"]*)"', text)) == {"#", "#results", "data:,"}
    own = text.replace((FILES / "vega.min.js").read_text("utf-8"), "")
    assert not re.search(r"@import|url\(|fetch\(|import\(|XMLHttpRequest|\{\{ ", own)
    assert text.count("</script>") == 2


def test_names_cannot_leave_the_script(run: Callable, tmp_path: Path) -> None:
    """A network whose names are markup adds no element."""
    layers = (SQUARE, Conv(NASTY, 8, kernel=3))
    path = tmp_path / "evil.json"
    path.write_text(to_json(Network(NASTY, layers)), "utf-8")
    out = tmp_path / "page.html"
    assert run("explore", path, "-o", out).code == 0
    text = out.read_text("utf-8")
    assert text.count("</script>") == page().count("</script>")
    assert "alert(1)" in text
    assert "\u2028" not in text
    assert "<!--" not in text


def test_what_it_loads() -> None:
    """Neither torch nor pandas nor matplotlib nor numpy is needed for a page."""
    code = (
        "import sys; from costmodel.show.explorer.page import page; page(); "
        "print(*{'torch', 'fvcore', 'pandas', 'matplotlib', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == []


def test_the_same_page_every_time() -> None:
    """Two interpreters write the same bytes."""
    code = "import sys; from costmodel.show.explorer.page import page; sys.stdout.write(page())"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, check=True, capture_output=True, encoding="utf-8")
    assert done.stdout == page()


def test_vega_is_the_published_one() -> None:
    """vega.min.js is build/vega.min.js of vega 6.4.0 as npm has it, and its licence goes along."""
    digest = hashlib.sha256((FILES / "vega.min.js").read_bytes()).hexdigest()
    assert digest == "8f6a3587cf8d4f42c7e08120e3eb05d067e746d554e39d2dcf52acc0bd5ba28f"
    assert (FILES / "vega.LICENSE").read_text("utf-8") in page()


@dataclass(frozen=True)
class Mystery(Layer):
    """A layer without a rule."""


@pytest.mark.parametrize(
    ("networks", "message"),
    [
        (["mobilenet_v9"], "unknown network 'mobilenet_v9'; did you mean"),
        (["none.json"], "cannot read none.json"),
        (["mobilenet_v1", "mobilenet_v1"], "2 networks are named 'mobilenet_v1'; rename one"),
        ([Network("flat", (Input("x", (1, 8)), Linear("fc", 4)))], "flat has no image"),
        ([Network("m", (SQUARE, Mystery("odd")))], "no rule for odd"),
        (
            [Network("s", (SQUARE, Conv("c", 8 * alpha, 1)))],
            "s has symbols (c: out_channels 8*alpha), and a page needs numbers",
        ),
    ],
)
def test_mistakes(networks: list[Any], message: str) -> None:
    """Each names the network, the rule and the remedy on one line."""
    with pytest.raises(CostModelError, match=re.escape(message)) as raised:
        page(networks)
    assert "\n" not in str(raised.value)


def test_a_place_that_cannot_be_written(run: Callable, tmp_path: Path) -> None:
    """One line and exit code 2, before any work; a failure leaves the old file."""
    ran = run("explore", "-o", tmp_path)
    assert (ran.code, ran.out) == (2, "")
    assert "it is a directory" in ran.err
    old = tmp_path / "old.html"
    old.write_text("old", "utf-8")
    assert run("explore", "-o", old, "vgg_99").code == 2
    assert old.read_text("utf-8") == "old"
    assert list(tmp_path.iterdir()) == [old]


def test_an_image_that_is_not_square_or_has_no_size() -> None:
    """The page has squares: the closed form is of D = the first side, or of 224."""
    for shape, side in (((1, 3, 48, 64), 48), ((1, 3, H, W), 224)):
        text = script(Network("n", (Input("image", shape), Conv("c", 8, 1, stride=2)))).text
        assert f"side: {side}," in text
        assert f"=> {24 * (side // 2) ** 2}*alpha*rho**2" in text


# The functions, in node -------------------------------------------------------------------------

needs_node = pytest.mark.skipif(
    shutil.which("node") is None, reason="node is not installed: apt-get install nodejs"
)
#: The quantities as the page has them.
MODEL = source("model.js", estimates=False)
ROWS = f"const QUANTITIES = {as_json([*map(about, quantities().values())])};"
NODE = """
const DTYPES = {float32: 4, float16: 2, int8: 1};
const NETWORKS = [%s];
%s
%s
const shown = %s.map(([i, alpha, side, classes, rounding, dtype, fold]) => {
  const state = {alpha: rational(alpha), side, classes, rounding, dtype, fold};
  try {
    const {totals, peakLayer} = figures(NETWORKS[i], state);
    return [...Object.values(totals).map(String), peakLayer];
  } catch (error) {
    if (error instanceof Invalid) return null;
    throw error;
  }
});
console.log(JSON.stringify(shown));
"""
#: What the zoo does not have: sums that groups divide, windows of many kinds, one and three axes.
ODD = (
    Network(
        "grouped sums",
        (
            SQUARE,
            Conv("a", 48, 3, inputs=("image",)),
            Conv("b", 24, 3, inputs=("image",)),
            Concat("both", inputs=("a", "b")),
            Conv("g", 72, 3, groups=3, bias=True),
            Conv("h", AtLeast(36), 5, stride=2, padding=2, groups=12),
            BatchNorm("h.norm"),
        ),
    ),
    Network(
        "parts that groups do not divide",
        (
            SQUARE,
            Conv("a", 5, 1, inputs=("image",)),
            Conv("b", 7, 1, inputs=("image",)),
            Concat("both", inputs=("a", "b")),
            Conv("g", 12, 3, groups=4),
        ),
    ),
    Network(
        "windows",
        (
            SQUARE,
            Conv("a", 16, (3, 5), stride=(2, 1), padding=(0, 2), dilation=2),
            Pool("p", "max", 3, 2, ceil_mode=True),
            Pool("q", "average", 2, 2, padding=1, ceil_mode=True),
            Conv("d", SAME, 3, padding=1, groups=SAME),
            BatchNorm("d.norm"),
            Conv("e", Times(6), 1),
            Conv("r", Times(1, of="e"), 3, padding=1),
            Conv("t", SAME, 3, padding=1, shares="r"),
            Add("sum", inputs=("t", "e")),
            Flatten("flat"),
            Linear("fc", Fixed(10)),
        ),
    ),
    Network("line", (Input("x", (2, 4, 100)), Conv("c", 32, 9, stride=4), Conv("e", 64, 1))),
    Network("box", (Input("x", (1, 1, 16, 16, 16)), Conv("c", 8, 3, padding=1), BatchNorm("n"))),
)


def in_node(scripts: list[str], cases: list[list[Any]]) -> list[list[str] | None]:
    """What the page's own functions make of some cases; None where they refuse."""
    program = NODE % (",".join(scripts), ROWS, MODEL, json.dumps(cases))
    return json.loads(_node(program))


def _node(program: str) -> str:
    command = [str(shutil.which("node")), "-"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, input=program)
    return done.stdout


def in_library(network: Network, case: list[Any]) -> list[str] | None:
    """The same from the library."""
    _, width, side, _, rounding, dtype, fold = case
    rules = MemoryRules(dtype, fold_batch_norm=fold)
    with suppress(CostModelError):
        made = widen(resize(network, resolution=side), Fraction(width), rounding)
        total, peak = cost(made), peak_activations(made, rules)
        counts = total.macs, total.params, total.activations, total.flops
        return [*map(str, (*counts, weight_bytes(made, rules), peak.bytes)), peak.layer]
    return None


def cases_of(place: int, number: int, draw: random.Random) -> list[list[Any]]:
    """Random settings for the network in that place."""
    return [
        [
            place,
            draw.choice((str(draw.randint(1, 400) / 100), f"{draw.randint(1, 90)}/90", "1", "2")),
            draw.choice((draw.randint(1, 40), draw.randint(40, 400), 999_983)),
            draw.choice((1, 1000, draw.randint(2, 10**9))),
            draw.choice(("floor", "divisible(8)", "exact")),
            draw.choice(("float32", "float16", "int8")),
            draw.random() < 0.5,
        ]
        for _ in range(number)
    ]


@pytest.mark.slow
@needs_node
def test_every_architecture_is_the_librarys() -> None:
    """10 random settings of each architecture of the zoo: equal, or refused by both."""
    draw = random.Random(1)  # noqa: S311 - the same cases every time
    cases = [case for i in range(len(ZOO)) for case in cases_of(i, 10, draw)]
    shown = in_node([script(name).text for name in ZOO], cases)
    networks = list(ZOO.values())
    for case, read in zip(cases, shown, strict=True):
        architecture = networks[case[0]]
        classes = {"classes": case[3]} if architecture.classes else {}
        assert read == in_library(architecture.build(**classes), case), case
    assert 20 < shown.count(None) < 120
    assert any(int(read[2]) > 2**53 for read in shown if read)


@needs_node
def test_odd_networks_are_the_librarys() -> None:
    """The same for what no architecture of the zoo has, 60 settings each."""
    draw = random.Random(2)  # noqa: S311 - as above
    cases = [case for i in range(len(ODD)) for case in cases_of(i, 60, draw)]
    shown = in_node([script(network).text for network in ODD], cases)
    for case, read in zip(cases, shown, strict=True):
        assert read == in_library(ODD[case[0]], case), (ODD[case[0]].name, case)
    assert {case[0] for case, read in zip(cases, shown, strict=True) if read} == set(
        range(len(ODD))
    )


@needs_node
@pytest.mark.parametrize(
    ("text", "most"),
    [("150M", 150_000_000), ("1.2G", 1_200_000_000), ("7", 7), ("", None), ("0", "rule"),
     ("-1", "rule"), ("1K", "rule"), ("1e3", "rule"), ("1.5", 1), ("toString", "rule")],
)  # fmt: skip
def test_limits_are_read_as_the_command_does(text: str, most: Any) -> None:
    """Amounts of MACs mean what they mean to `costmodel plan`."""
    program = f"""{ROWS}
    {MODEL}
    const read = () => {{ try {{ return most("max_macs", {json.dumps(text)}); }}
      catch (error) {{ return "rule"; }} }};
    console.log(String(read()));"""
    assert _node(program).strip() == ("null" if most is None else str(most))


@needs_node
def test_the_pages_scripts_are_one_program() -> None:
    """What the three files declare does not clash: the page's last script parses."""
    text = page(["mobilenet_v1"])
    program = text.rpartition("<script>")[2].partition("</script>")[0]
    assert _node(f"new Function({json.dumps(program)}); console.log('parsed')") == "parsed\n"
    clash = program + "\nconst NETWORKS = 0;"
    with pytest.raises(subprocess.CalledProcessError):
        _node(f"new Function({json.dumps(clash)})")


# Time on a device -------------------------------------------------------------------------------

#: A device of which each constant counts, and each kind has its own.
ALL = Device(
    "all",
    *("a machine", "a runtime"),
    threads=1,
    dtype="int8",
    date="2026",
    fitted_on="nothing",
    judged_on="nothing",
    error=0.05,
    spread=0.2,
    kinds={
        "product": Constants(3e-6, 7.1e9, 1.3e9, 2.3e9, 5.9e9),
        "elementwise": Constants(1e-6, 3.7e9, 4.1e9, 4.3e9, 6.1e9),
        "pointwise": Constants(2e-6, 9.7e9, 1.9e9, 2.9e9, 7.9e9),
        "depthwise": Constants(5e-6, 1.1e9, 3.1e9, 3.3e9, None),
        "batch_norm": Constants(7e-6, None, None, 8.3e9, 1e9),
        "max_pool": Constants(0, 2.1e9, None, None, None),
    },
)
TIMED = [about(row, ALL) for row in quantities(ALL).values()]
ESTIMATING = "\n".join(source(name, estimates=True) for name in ("estimates.js", "model.js"))
TIMES = """
const DTYPES = {float32: 4, float16: 2, int8: 1};
const NETWORKS = [%s];
const QUANTITIES = %s;
%s
const shown = %s.map(([i, alpha, side, classes, rounding, dtype, fold]) => {
  const state = {alpha: rational(alpha), side, classes, rounding, dtype, fold};
  try {
    const {totals, time_s} = figures(NETWORKS[i], state);
    const drawn = QUANTITY.time_s(NETWORKS[i], given(NETWORKS[i], state), state);
    return [String(totals.macs), totals.time_s, drawn, time_s];
  } catch (error) {
    if (error instanceof Invalid) return null;
    throw error;
  }
});
console.log(JSON.stringify(shown));
"""


def timed(network: Network, case: list[Any]) -> list[float] | None:
    """The time of each row, as the library has it."""
    _, width, side, _, rounding, *_ = case
    with suppress(CostModelError):
        made = widen(resize(network, resolution=side), Fraction(width), rounding)
        return [row.cost.time_s for row in rows(made, ALL)]
    return None


@needs_node
@pytest.mark.parametrize("name", ["mobilenet_v1", "mobilenet_v2", "inception_v3", "odd"])
def test_time_is_the_librarys(name: str) -> None:
    """Each row's and the network's, to 1e-12: the sums are in another order.

    A mutation that fails it: floats printed with 6 digits; a constant of another kind's.
    """
    networks = ODD if name == "odd" else (ZOO[name].build(),)
    draw = random.Random(3)  # noqa: S311 - the same cases every time
    cases = [case for i in range(len(networks)) for case in cases_of(i, 30, draw)]
    least = 1 if name == "odd" else 128  # a global pool of one element does no work, by numbers
    cases = [[*case[:2], max(least, case[2]), 1000, *case[4:]] for case in cases]
    scripts = ",".join(
        script(ZOO[name].build() if name != "odd" else x, ALL).text for x in networks
    )
    program = TIMES % (scripts, as_json(TIMED), ESTIMATING, json.dumps(cases))
    past = 0
    for case, read in zip(cases, json.loads(_node(program)), strict=True):
        expected = timed(networks[case[0]], case)
        assert (read is None) == (expected is None), case
        if read is not None and expected is not None:
            macs, total, drawn, parts = read
            assert parts == pytest.approx(expected, rel=1e-12, abs=0), case
            assert (total, drawn) == (pytest.approx(sum(expected), rel=1e-12, abs=0),) * 2
            past += int(macs) > 2**53
    assert past or name != "inception_v3"


def test_without_a_device_nothing_is_about_time() -> None:
    """No field, quantity, line or style of estimates is in the page.

    A mutation that fails it: lines of estimates kept; a field for every limit there is.
    """
    text = page(["mobilenet_v1"])
    own = text.replace(source("vega.min.js", estimates=False), "")
    assert not re.search("estimate|time_s|max_latency", own, re.IGNORECASE)
    for name in ("page.js", "model.js", "charts.js"):
        marked = [line for line in source(name, estimates=True).splitlines() if "estimates" in line]
        assert marked
        assert all(line.endswith("// estimates") for line in marked)


def test_with_a_device_the_rest_is_as_without() -> None:
    """Each line without a device is there with one, in the same order, but for what lists rows."""
    alone, both = (
        page(["mobilenet_v1"], of).splitlines() for of in (None, device("pixel_1_tflite"))
    )
    lines = iter(both)
    missing = [line for line in alone if line not in lines and (lines := iter(both))]
    words = (
        "Content-Security-Policy",
        "Exact MACs",
        "}</style>",
        "const QUANTITIES",
        "  </section>",
    )
    assert len(missing) < 6
    assert all(any(word in line for word in words) for line in missing), missing


def test_the_command_takes_a_device(run: Callable, tmp_path: Path) -> None:
    """By name and by file; an unknown one is one line, and nothing is written."""
    path, file = tmp_path / "page.html", tmp_path / "all.json"
    ALL.save(file)
    assert run("explore", "mobilenet_v1", "--device", file, "-o", path).code == 0
    assert path.read_text("utf-8") == page(["mobilenet_v1"], ALL)
    path.unlink()
    ran = run("explore", "mobilenet_v1", "--device", "pixel_9", "-o", path)
    assert (ran.code, ran.err.count("\n"), path.exists()) == (2, 1, False)
    assert "device must be one of" in ran.err


def test_the_device_is_in_the_page() -> None:
    """Its facts, its error and its constants with units, a row a kind; its names are text."""
    text = page(["mobilenet_v1"], replace(ALL, name=NASTY, machine="<b>"))
    assert "<b>" not in text.replace(source("vega.min.js", estimates=False), "")
    assert text.count("</script>") == 2
    assert "median error 5.0 %, 90 % within 20.0 %" in text
    assert "&lt;b&gt; · a runtime · 1 thread · int8 · 2026" in text
    cells = "".join(f"<td>{x}</td>" for x in ("5 µs", "1.10 G/s", "3.10 GB/s", "3.30 GB/s", "–"))
    assert f'<tr><th scope="row" class="left">depthwise</th>{cells}</tr>' in text
    assert 'const DTYPES = {"int8": 1, "float32": 4, "float16": 2};' in text


@needs_node
@pytest.mark.parametrize("text", ["20ms", "1.5 s", "3us", "7ns", "", "20", "0ms", "1h", "-1ms"])
def test_a_limit_on_time_is_read_as_the_command_does(text: str) -> None:
    """Amounts of seconds with a unit; nothing is no limit."""
    program = f"""const QUANTITIES = {as_json(TIMED)};
    {ESTIMATING}
    const read = () => {{ try {{ return most("max_latency", {json.dumps(text)}); }}
      catch (error) {{ return "rule"; }} }};
    console.log(String(read()));"""
    read = _node(program).strip()
    try:
        most: Any = Limit.of("max_latency", text).most if text else None
    except CostModelError:
        assert read == "rule"
    else:
        assert read == ("null" if most is None else str(most)) or float(read) == pytest.approx(most)


@needs_node
@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0160, "≈16.0 ms"), (0.1066, "≈107 ms"), (2.6111, "≈2,610 ms"), (1.234e-6, "≈0.00123 ms")],
)
def test_an_estimate_has_three_digits(seconds: float, text: str) -> None:
    """In milliseconds, with ≈."""
    program = f"""const QUANTITIES = {as_json(TIMED)};
    const grouped = new Intl.NumberFormat("en-US");
    {ESTIMATING}
    console.log(said("time_s", {seconds}));"""
    assert _node(program).strip() == text


@needs_node
def test_the_scripts_with_estimates_are_one_program() -> None:
    """What the four files declare does not clash."""
    text = page(["mobilenet_v1"], ALL)
    program = text.rpartition("<script>")[2].partition("</script>")[0]
    assert _node(f"new Function({json.dumps(program)}); console.log('parsed')") == "parsed\n"
