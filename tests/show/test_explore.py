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
from dataclasses import dataclass
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
from costmodel.metrics.memory import MemoryRules, peak_activations, weight_bytes
from costmodel.metrics.timing import quantities
from costmodel.show.explorer import page as module
from costmodel.show.explorer.page import page
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
ROWS = f"const QUANTITIES = {as_json([*map(module._about, quantities().values())])};"
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
    model = (FILES / "model.js").read_text("utf-8")
    source = NODE % (",".join(scripts), ROWS, model, json.dumps(cases))
    return json.loads(_node(source))


def _node(source: str) -> str:
    command = [str(shutil.which("node")), "-"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, input=source)
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
    model = (FILES / "model.js").read_text("utf-8")
    source = f"""{ROWS}
    {model}
    const read = () => {{ try {{ return most("max_macs", {json.dumps(text)}); }}
      catch (error) {{ return "rule"; }} }};
    console.log(String(read()));"""
    assert _node(source).strip() == ("null" if most is None else str(most))


@needs_node
def test_the_pages_scripts_are_one_program() -> None:
    """What the three files declare does not clash: the page's last script parses."""
    text = page(["mobilenet_v1"])
    program = text.rpartition("<script>")[2].partition("</script>")[0]
    assert _node(f"new Function({json.dumps(program)}); console.log('parsed')") == "parsed\n"
    clash = program + "\nconst NETWORKS = 0;"
    with pytest.raises(subprocess.CalledProcessError):
        _node(f"new Function({json.dumps(clash)})")
