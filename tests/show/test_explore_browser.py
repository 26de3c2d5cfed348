"""The explorer in a real browser: its figures are the library's, and it works as a person works."""

from __future__ import annotations

import csv
import io
import random
import re
import shutil
from contextlib import suppress
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest

from costmodel import CostModelError, Network, cost, mobilenet_v1, resize, widen
from costmodel.layers import Activation, Conv, Input
from costmodel.metrics.devices import device
from costmodel.metrics.memory import MemoryRules, peak_activations, weight_bytes
from costmodel.metrics.timing import time
from costmodel.reports.rows import rows
from costmodel.show.explorer.page import page as make_page
from costmodel.zoo import ZOO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.slow

NETWORKS = (
    "mobilenet_v1",
    "mobilenet_v2",
    "alexnet",
    "squeezenet_1_1",
    "inception_v3",
    "faster_rcnn_mobilenet",
    "face_embedding",
)
PIXEL = device("pixel_1_tflite")
NASTY = "</script><img src=x onerror=alert(1)>"
EVIL = Network(
    NASTY,
    (
        Input("image", (1, 3, 32, 32)),
        Conv('=cmd|"A1",</td>', 8, kernel=3, padding=1),
        Activation("<b>act</b>"),
    ),
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's Chromium, where there is one."""
    api = pytest.importorskip(
        "playwright.sync_api", reason="no playwright: pip install -e '.[dev]'"
    )
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium is installed: apt-get install chromium")
    with api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def explorer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of many networks, as a file."""
    path = tmp_path_factory.mktemp("explore") / "explorer.html"
    path.write_text(make_page([*NETWORKS, EVIL]), "utf-8")
    return path


@pytest.fixture(scope="module")
def estimating(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page that estimates time, as a file."""
    path = tmp_path_factory.mktemp("estimate") / "explorer.html"
    path.write_text(make_page(["mobilenet_v1", "squeezenet_1_1"], PIXEL), "utf-8")
    return path


@pytest.fixture
def visit(browser: Browser, explorer: Path) -> Iterator[Callable[..., Page]]:
    """Open the page, with a fragment if need be; it must log no error and load nothing."""
    complaints: list[str] = []
    contexts = []

    def visited(fragment: str = "", file: Path = explorer, **settings: Any) -> Page:
        contexts.append(context := browser.new_context(**settings))
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(message.text))
        page.on(
            "request",
            lambda r: r.url.startswith(("file:", "blob:", "data:")) or complaints.append(r.url),
        )
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        page.goto(f"{file.as_uri()}{fragment}")
        return page

    yield visited
    for context in contexts:
        context.close()
    assert complaints == []


#: Set every control as a person would, and read the figures from the page.
SET_AND_READ = """
(configurations) => configurations.map((given) => {
  const put = (id, value, event) => {
    const field = document.getElementById(id);
    if (field.type === "checkbox") field.checked = value; else field.value = value;
    field.dispatchEvent(new Event(event, { bubbles: true }));
  };
  put("rounding", "floor", "input");
  put("network", given.network, "change");
  for (const id of ["alpha", "side", "classes", "dtype", "fold", "rounding"]) {
    if (!document.getElementById(id).disabled) put(id, given[id], "input");
  }
  const errors = [...document.querySelectorAll(".error")].map((e) => e.textContent).filter(Boolean);
  const tiles = [...document.querySelectorAll("#totals > div")];
  const cells = (n) => [...document.querySelectorAll(`#layers tbody td:nth-child(${n})`)];
  return {
    errors,
    totals: Object.fromEntries(
      tiles.map((tile) => [tile.id, tile.querySelector(".whole").textContent])
    ),
    peak: document.querySelector("#peak_bytes .where").textContent,
    macs: cells(9).map((cell) => cell.textContent),
    params: cells(10).map((cell) => cell.textContent),
  };
})
"""


def configurations(number: int) -> list[dict[str, Any]]:
    """Random settings of every control; some are refused by the library, and some pass 2⁵³."""
    draw = random.Random(6)  # noqa: S311 - the same cases every time
    found = []
    for i in range(number):
        name = draw.choice(NETWORKS)
        ratio = f"{draw.randint(1, 64)}/{draw.randint(16, 64)}"
        alpha = draw.choice((f"{draw.randint(1, 400) / 100}", ratio, "0.29", "0.35", "1.4", "1"))
        rounding = draw.choice(("floor", "divisible(8)", "exact"))
        if rounding == "exact":
            alpha = draw.choice(("1", "0.5", "3/4", "0.3", "2"))
        side = draw.randint(75, 512) if i % 10 else draw.choice((300_000, 999_999, 10**6))
        found.append(
            {
                "network": name,
                "alpha": alpha,
                "side": str(side),
                "classes": str(draw.choice((1, 2, 1000, draw.randint(1, 30_000), 10**9))),
                "rounding": rounding,
                "dtype": draw.choice(("float32", "float16", "int8")),
                "fold": draw.random() < 0.5,
            }
        )
    return found


def expected(given: dict[str, Any]) -> Network | None:
    """The network of some settings, as the library makes it; None where it refuses."""
    architecture = ZOO[given["network"]]
    classes = {"classes": int(given["classes"])} if architecture.classes else {}
    sized = resize(architecture.build(**classes), resolution=int(given["side"]))
    with suppress(CostModelError):
        return widen(sized, Fraction(given["alpha"]), given["rounding"])
    return None


def test_200_random_configurations_are_the_librarys(visit: Callable[..., Page]) -> None:
    """All totals, where the peak is, every layer's MACs and params: equal, digit by digit."""
    given = configurations(200)
    shown = visit().evaluate(SET_AND_READ, given)
    refused = past = 0
    for configuration, read in zip(given, shown, strict=True):
        network = expected(configuration)
        assert bool(read["errors"]) == (network is None), configuration
        if network is None:
            refused += 1
            continue
        total = cost(network)
        rules = MemoryRules(configuration["dtype"], fold_batch_norm=configuration["fold"])
        peak = peak_activations(network, rules)
        assert {name: int(v.replace(",", "")) for name, v in read["totals"].items()} == {
            "macs": total.macs,
            "params": total.params,
            "flops": total.flops,
            "activations": total.activations,
            "weight_bytes": weight_bytes(network, rules),
            "peak_bytes": peak.bytes,
        }, configuration
        assert read["peak"] == f"at {peak.layer}"
        table = rows(network)
        assert read["macs"] == [f"{row.macs:,}" for row in table]
        assert read["params"] == [f"{row.params:,}" for row in table]
        past += total.flops > 2**53
    assert refused > 5
    assert past > 5


def totals(page: Page) -> dict[str, int]:
    """The figures on the page."""
    read = page.locator("#totals > div").evaluate_all("ts => ts.map(t => [t.id, t.dataset.value])")
    return {name: int(value) for name, value in read}


def test_dragging_and_typing(visit: Callable[..., Page]) -> None:
    """The sliders by mouse and keyboard and the fields by typing change every figure at once."""
    page = visit()
    slider = page.get_by_label("Width multiplier α, slider")
    box = slider.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] * 0.655, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + box["height"] / 2, steps=5)
    page.mouse.up()
    dragged = Fraction(page.get_by_label("Width multiplier α", exact=True).input_value())
    assert dragged < Fraction(3, 4)
    assert totals(page)["macs"] == cost(widen(mobilenet_v1(), dragged)).macs
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert totals(page)["macs"] == cost(widen(mobilenet_v1(), dragged + Fraction(1, 100))).macs
    page.get_by_label("Width multiplier α", exact=True).fill("3/4")
    page.get_by_label("Resolution D (pixels a side)").fill("192")
    assert totals(page)["macs"] == 239_273_472
    assert page.locator("#side-rho").inner_text() == "ρ = D/224 = 0.857"


def test_a_click_on_the_contour_moves_there(visit: Callable[..., Page]) -> None:
    """Where one clicks is where the figures are of."""
    page = visit()
    box = page.locator("#contour svg").bounding_box()
    assert box
    page.mouse.click(box["x"] + box["width"] * 0.4, box["y"] + box["height"] * 0.5)
    alpha = Fraction(page.locator("#alpha").input_value())
    side = int(page.locator("#side").input_value())
    assert (alpha, side) != (1, 224)
    assert totals(page)["macs"] == cost(widen(resize(mobilenet_v1(), resolution=side), alpha)).macs


@pytest.mark.parametrize(
    ("field", "text", "rule"),
    [
        ("alpha", "0", "α must be a number greater than 0 and at most 4"),
        ("alpha", "4.01", "at most 4"),
        ("alpha", "-1", "at most 4"),
        ("alpha", "x", "as 0.75 or 3/4"),
        ("alpha", "1/0", "as 0.75 or 3/4"),
        ("side", "0", "must be a whole number from 1 to 1,000,000"),
        ("side", "2000000", "from 1 to 1,000,000"),
        ("side", "1.5", "a whole number"),
        ("classes", "0", "from 1 to 1,000,000,000"),
        ("max_macs", "many", "a positive amount in k, M, G, T"),
        ("max_flash", "512", "a positive amount in B, KB, kB, KiB"),
    ],
)
def test_a_wrong_value_shows_the_rule(
    visit: Callable[..., Page], field: str, text: str, rule: str
) -> None:
    """Beside the field, marked as invalid, the last good state kept; a right one takes it away."""
    page = visit("#alpha=0.5&side=160")
    before = totals(page)
    page.locator(f"#{field}").fill(text)
    assert rule in page.locator(f"#{field}-error").inner_text()
    assert page.locator(f"#{field}").get_attribute("aria-invalid") == "true"
    assert totals(page) == before
    page.locator("#reset").click()
    assert page.locator(f"#{field}-error").inner_text() == ""
    assert page.locator(f"#{field}").get_attribute("aria-invalid") == "false"


def test_rules_that_depend_on_the_network(visit: Callable[..., Page]) -> None:
    """The least resolution is the network's; exact rounding says where there is no such network."""
    page = visit()
    page.locator("#network").select_option("inception_v3")
    page.locator("#side").fill("74")
    assert "from 75 to" in page.locator("#side-error").inner_text()
    page.locator("#network").select_option("mobilenet_v1")
    page.locator("#alpha").fill("0.3")
    before = totals(page)
    page.locator("#rounding").select_option("exact")
    message = "exact rounding gives 9.6 channels, not a whole number; choose floor or divisible(8)"
    assert page.locator("#rounding-error").inner_text() == message
    assert totals(page) == before
    page.locator("#network").select_option("face_embedding")
    assert page.locator("#classes").is_disabled()


def test_a_link_restores_the_state(visit: Callable[..., Page]) -> None:
    """The fragment that the page writes shows the same figures in another window."""
    page = visit()
    page.locator("#network").select_option("mobilenet_v2")
    page.locator("#alpha").fill("1.4")
    page.locator("#side").fill("160")
    page.locator("#dtype").select_option("int8")
    page.locator("#fold").check()
    page.locator("#max_macs").fill("200M")
    page.wait_for_function("location.hash.includes('200M')")
    fragment = page.evaluate("location.hash")
    assert page.locator("#link").get_attribute("href") == fragment
    other = visit(fragment)
    assert totals(other) == totals(page)
    assert other.locator("#max_macs").input_value() == "200M"
    assert other.locator("#notice").is_hidden()


@pytest.mark.parametrize(
    "fragment",
    ["#alpha=9", "#nonsense", "#network=other", "#alpha=0.5&evil=1", "#%E0%A4%A", "#fold=2",
     "#rounding=exact&alpha=0.3", "#side=-3", "#dtype=__proto__", "#max_macs=1X"],
)  # fmt: skip
def test_a_malformed_link_is_ignored_with_a_notice(
    visit: Callable[..., Page], fragment: str
) -> None:
    """The page is as it opens without one, and says so."""
    page = visit(fragment)
    assert page.locator("#notice").inner_text().startswith("The link's state is ignored: ")
    assert totals(page)["macs"] == 568_740_352


def test_names_are_text(visit: Callable[..., Page]) -> None:
    """A name that looks like markup is shown as it is, everywhere."""
    page = visit()
    page.locator("#network").select_option(NASTY)
    assert page.locator("#layers tbody th").all_inner_texts() == ['=cmd|"A1",</td>']
    assert page.locator("#peak_bytes .where").inner_text() == "at <b>act</b>"
    assert page.locator("img").count() == 0
    assert NASTY in page.locator("#reduction-hint").inner_text()


def test_sorting(visit: Callable[..., Page]) -> None:
    """A heading sorts by its column, again turns it round, and says so; the order stays."""
    page = visit()
    names = page.locator("#layers tbody th")
    page.get_by_role("button", name="MACs", exact=True).click()
    page.get_by_role("button", name="MACs", exact=True).click()
    macs = {row.name: row.macs for row in rows(mobilenet_v1())}
    assert names.all_inner_texts() == sorted(macs, key=macs.__getitem__, reverse=True)
    heading = page.locator("#layers th[data-column=macs]")
    assert heading.get_attribute("aria-sort") == "descending"
    page.locator("#side").fill("32")
    small = {row.name: row.macs for row in rows(resize(mobilenet_v1(), resolution=32))}
    assert names.all_inner_texts() == sorted(small, key=small.__getitem__, reverse=True)


def test_csv(visit: Callable[..., Page]) -> None:
    """The file has the table's figures, and quotes what needs it."""
    page = visit("#alpha=0.75&side=192")
    text = _download(page, "#csv", "mobilenet_v1-layers.csv").decode()
    read = list(csv.DictReader(io.StringIO(text)))
    table = rows(widen(resize(mobilenet_v1(), resolution=192), "0.75"))
    assert [(r["name"], int(r["macs"]), int(r["params"])) for r in read] == [
        (row.name, row.macs, row.params) for row in table
    ]
    page.locator("#network").select_option(NASTY)
    name = "_script_img_src_x_onerror_alert_1_-layers.csv"
    evil = _download(page, "#csv", name).decode()
    assert next(csv.DictReader(io.StringIO(evil)))["name"] == '=cmd|"A1",</td>'


def _download(page: Page, button: str, name: str) -> bytes:
    with page.expect_download() as waiting:
        page.locator(button).click()
    assert waiting.value.suggested_filename == name
    return waiting.value.path().read_bytes()


@pytest.mark.parametrize("chart", ["contour", "reduction", "bars"])
def test_pictures(visit: Callable[..., Page], chart: str) -> None:
    """Each chart is saved as PNG and as SVG."""
    page = visit()
    buttons = f".downloads[data-chart={chart}] button"
    png = _download(page, f"{buttons} >> nth=0", f"mobilenet_v1-{chart}.png")
    assert png.startswith(b"\x89PNG")
    svg = _download(page, f"{buttons} >> nth=1", f"mobilenet_v1-{chart}.svg").decode()
    assert svg.startswith("<svg")
    assert "<path" in svg


def test_the_budget(visit: Callable[..., Page]) -> None:
    """A limit is judged at the point, and its region lies within it."""
    page = visit("#max_macs=150M&max_peak_memory=2MiB")
    assert "3.79 × limit" in page.locator("#macs .budget").inner_text()
    page.locator("#alpha").fill("0.5")
    assert page.locator("#macs .budget").inner_text() == "✓ 99.7 % used"
    region = page.evaluate("views.contour.data('feasible').map(({side, alpha}) => [side, alpha])")
    within = [(side, alpha) for side, alpha in region if alpha]
    assert len(within) > 20
    for side, alpha in within[::6]:
        inside = widen(resize(mobilenet_v1(), resolution=side), f"{alpha:.2f}")
        assert cost(inside).macs <= 150_000_000
        assert peak_activations(inside).bytes <= 2 * 2**20


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 800, 1280])
def test_layouts(visit: Callable[..., Page], tmp_path: Path, width: int, scheme: Any) -> None:
    """No width needs sideways scrolling, every control has a name, and texts stand out."""
    page = visit(
        "#alpha=0.75&max_macs=300M", viewport={"width": width, "height": 800}, color_scheme=scheme
    )
    page.screenshot(path=tmp_path / "page.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    unnamed = page.locator("input, select, button").evaluate_all(
        "es => es.filter(e => !(e.labels?.length || e.ariaLabel || e.textContent.trim()))"
        ".map(e => e.id)"
    )
    assert unnamed == []
    assert page.locator("#layers thead th[scope=col]").count() == 11
    assert page.locator("#status").get_attribute("role") == "status"
    for text in (".short", ".whole", ".hint", ".budget", "h2", "td", "footer p", "label"):
        assert _contrast(page, text) >= 4.5, text


CONTRAST = """
(selector) => {
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = (text) => {
    const linear = (c) => (c <= 0.04 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = rgb(text).map((c) => linear(c / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  let behind = document.querySelector(selector);
  const ink = light(getComputedStyle(behind).color);
  while (rgb(getComputedStyle(behind).backgroundColor)[3] === 0) behind = behind.parentElement;
  const paper = light(getComputedStyle(behind).backgroundColor);
  return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
}
"""


def _contrast(page: Page, selector: str) -> float:
    return float(page.evaluate(CONTRAST, selector))


def test_the_theme_may_change(visit: Callable[..., Page]) -> None:
    """Charts follow the page from light to dark."""
    page = visit(color_scheme="light")
    fill = "document.querySelector('#bars svg .mark-rect path').getAttribute('fill')"
    before = page.evaluate(fill)
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(f"before => {fill} !== before", arg=before)


def test_everything_is_reached_by_keyboard(visit: Callable[..., Page]) -> None:
    """Tab goes through every control, and what has the focus is outlined."""
    page = visit()
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id"))
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none" or page.evaluate("document.activeElement === document.body")
    assert {"network", "alpha", "alpha-range", "side", "rounding", "fold", "copy", "csv"} <= reached


def test_what_changed_is_announced(visit: Callable[..., Page]) -> None:
    """A screen reader hears the figures once the slider rests."""
    page = visit()
    page.locator("#alpha").fill("0.5")
    page.wait_for_function("document.getElementById('status').textContent.includes('0.5')")
    assert (
        "mobilenet_v1 at α 0.5, resolution 224: 149 M MACs" in page.locator("#status").inner_text()
    )


def test_closed_form(visit: Callable[..., Page]) -> None:
    """The formula is typeset, as the library has it."""
    page = visit()
    text = re.sub(r"\s", "", page.locator("#formulas p").first.text_content() or "")
    assert text == "MACs(α,ρ,N)=539,492,352α2ρ2+28,224,000αρ2+1,024αN"
    assert page.locator("#formulas math").count() == 2
    page.locator("#network").select_option("alexnet")  # where maps are flattened
    assert "params(α,ρ,N)" in re.sub(r"\s", "", page.locator("#formulas").text_content() or "")
    page.locator("#network").select_option("mobilenet_v1")
    box = page.locator("#formulas math").first.bounding_box()
    assert box
    assert box["height"] < 60


# Time on a device -------------------------------------------------------------------------------


def milliseconds(text: str) -> float:
    """What an estimate on the page says."""
    assert re.fullmatch(r"≈[\d.,]+ ms", text)
    return float(text[1:-3].replace(",", ""))


def test_time_is_shown_with_its_error(visit: Callable[..., Page], estimating: Path) -> None:
    """A total, a column and a share, each as the library has it, and always with ≈."""
    page = visit("#alpha=0.5&side=160", file=estimating)
    small = widen(resize(mobilenet_v1(), resolution=160), "1/2")
    total = 1000 * time(small, PIXEL)
    tile = page.locator("#time_s")
    assert milliseconds(tile.locator(".short").inner_text()) == pytest.approx(total, rel=5e-3)
    assert tile.locator(".whole").inner_text() == "median error 3.7 %"
    assert tile.locator(".where").inner_text() == "on pixel_1_tflite"
    table = rows(small, PIXEL)
    cells = page.locator("#layers tbody td:nth-child(11)").all_inner_texts()
    assert [*map(milliseconds, cells)] == pytest.approx(
        [1000 * row.cost.time_s for row in table], rel=5e-3
    )
    shares = page.locator("#layers tbody td:nth-child(13)").all_inner_texts()
    assert sum(map(float, shares)) == pytest.approx(100, abs=0.1)
    foot = page.locator("#layers tfoot td").all_inner_texts()
    assert foot[-2:] == ["100.00", "100.00"]
    assert milliseconds(foot[-3]) == pytest.approx(total, rel=5e-3)
    page.get_by_role("button", name="Time", exact=True).click()
    fastest = min(table, key=lambda row: row.cost.time_s)
    assert page.locator("#layers tbody th").first.inner_text() == fastest.name
    page.wait_for_function("document.getElementById('status').textContent.includes('Estimated')")


def test_time_has_a_budget_and_lines(visit: Callable[..., Page], estimating: Path) -> None:
    """A limit is judged and shades what fits; lines of equal time are in milliseconds."""
    page = visit("#max_latency=40ms", file=estimating)
    assert "× limit" in page.locator("#time_s .budget").inner_text()
    region = page.evaluate("views.contour.data('feasible').map(({side, alpha}) => [side, alpha])")
    within = [(side, alpha) for side, alpha in region if alpha]
    assert len(within) > 20
    for side, alpha in within[::6]:
        inside = widen(resize(mobilenet_v1(), resolution=side), f"{alpha:.2f}")
        assert time(inside, PIXEL) <= 0.040
    page.locator("#levels").select_option("time_s")
    labels = page.evaluate("views.contour.data('labels').map(({text}) => text)")
    assert "100 ms" in labels
    assert page.evaluate("views.contour.data('point')[0].text").startswith("≈")
    page.locator("#bars-of").select_option("time_s")
    bars = page.evaluate("views.bars.data('rows').map(({text}) => text)")
    assert all(map(milliseconds, bars))
    axis = page.locator("#bars .mark-text text", has_text="time (ms)")
    assert axis.count() == 1
    page.locator("#max_latency").fill("40")
    assert "a positive amount in s, ms" in page.locator("#max_latency-error").inner_text()


def test_time_is_in_the_csv(visit: Callable[..., Page], estimating: Path) -> None:
    """With all of its digits."""
    page = visit(file=estimating)
    text = _download(page, "#csv", "mobilenet_v1-layers.csv").decode()
    read = [float(row["time_s"]) for row in csv.DictReader(io.StringIO(text))]
    table = rows(mobilenet_v1(), PIXEL)
    assert read == pytest.approx([row.cost.time_s for row in table], rel=1e-12, abs=0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 800, 1280])
def test_layouts_with_a_device(
    visit: Callable[..., Page], estimating: Path, width: int, scheme: Any
) -> None:
    """No width needs sideways scrolling, time is no narrower than its text, and texts stand out."""
    size = {"width": width, "height": 800}
    page = visit("#max_latency=40ms", file=estimating, viewport=size, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    tiles = page.locator("#totals > div").evaluate_all("ts => ts.map(t => t.offsetTop)")
    by_row = sorted(tiles.count(top) for top in set(tiles))
    assert by_row == {360: [1, 3, 3], 800: [1, 6], 1280: [7]}[width]
    for text in (".short", "#time_s .whole", "#time_s .where", "#time_s .budget", "td"):
        assert _contrast(page, text) >= 4.5, text
