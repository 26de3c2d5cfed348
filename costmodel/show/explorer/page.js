// The page: controls in, one state, everything shown from it.

const $ = (id) => document.getElementById(id);
const grouped = new Intl.NumberFormat("en-US");
const networks = new Map(NETWORKS.map((network) => [network.name, network]));
const FIELDS = [
  "network",
  "alpha",
  "side",
  "classes",
  "rounding",
  "dtype",
  "fold",
  ...Object.keys(LIMITS),
];
const capital = (text) => text[0].toUpperCase() + text.slice(1);
const TILES = QUANTITIES.map(({ name, title, unit }) => [
  name,
  [capital(title), unit === "bytes" ? "B" : unit],
]);
const TOTALS = Object.fromEntries([
  ...TILES.slice(0, 2),
  ["flops", ["FLOPs", ""]],
  ...TILES.slice(2),
]);
const COUNTED = QUANTITIES.filter(({ column, added }) => column && added);
COUNTED.push(...ESTIMATES.filter(({ column }) => column)); // estimates
const LIMIT_OF = Object.fromEntries(Object.entries(LIMITS).map(([name, total]) => [total, name]));

/** An element with text and attributes; text is never markup. */
function element(name, content = "", attributes = {}) {
  const made = document.createElement(name);
  made.textContent = content;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

// The state -------------------------------------------------------------------------------------

/** What every field says, as text; a state is made of it, and a link is it. */
const defaults = (network) => ({
  network: network.name,
  alpha: "1",
  side: String(network.side),
  classes: network.classes === null ? "" : String(network.classes),
  rounding: network.rounding,
  dtype: Object.keys(DTYPES)[0],
  fold: "0",
  ...Object.fromEntries(Object.keys(LIMITS).map((name) => [name, ""])),
});

/** The whole number that a text is; an error where it lies outside its range. */
function whole(text, low, high, field, what) {
  const value = /^\s*\d{1,15}\s*$/.test(text) ? Number(text) : NaN;
  if (!(value >= low && value <= high)) {
    const range = `from ${grouped.format(low)} to ${grouped.format(high)}`;
    throw new Invalid(field, `${what} must be a whole number ${range}.`);
  }
  return value;
}

const READ = {
  network(text) {
    if (!networks.has(text)) throw new Invalid("network", "There is no such network here.");
    return networks.get(text);
  },
  alpha(text) {
    const value = rational(text);
    if (!value || value.n <= 0n || value.n > BigInt(MAX_ALPHA) * value.d) {
      const rule = `a number greater than 0 and at most ${MAX_ALPHA}`;
      throw new Invalid("alpha", `α must be ${rule}, as 0.75 or 3/4.`);
    }
    return value;
  },
  side: (text, network) =>
    whole(text, leastSide(network), MOST_SIDE, "side", `The resolution of ${network.name}`),
  classes: (text, network) =>
    network.classes === null ? null : whole(text, 1, MOST_CLASSES, "classes", "The classes"),
  rounding: (text) => chosen(text, SCALED, "rounding"),
  dtype: (text) => chosen(text, DTYPES, "dtype"),
  fold: (text) => chosen(text, { 0: false, 1: true }, "fold") === "1",
};

function chosen(text, options, field) {
  if (!Object.hasOwn(options, text)) {
    throw new Invalid(field, `This must be one of ${Object.keys(options).join(", ")}.`);
  }
  return text;
}

/** The state that texts describe, and the rules that some of them break. */
function read(texts, good) {
  const state = { limits: {} };
  const kept = {};
  const wrong = {};
  for (const field of FIELDS) {
    const reading = () =>
      field in LIMITS ? most(field, kept[field]) : READ[field](kept[field], state.network);
    kept[field] = texts[field];
    let value;
    try {
      value = reading();
    } catch (error) {
      if (!(error instanceof Invalid)) throw error;
      wrong[field] = error.message;
      kept[field] = good[field];
      value = reading();
    }
    if (field in LIMITS) state.limits[field] = value;
    else state[field] = value;
  }
  return { state, kept, wrong };
}

let texts = defaults(NETWORKS[0]); // the last good ones
let state = read(texts, texts).state;
let shown = figures(state.network, state);
let levels = "macs";
let barsOf = "macs";
let order = { column: "place", descending: false };

/** Take what the fields say; what is wrong is said beside its field, and the rest is shown. */
function update(given) {
  const start = performance.now();
  const { state: next, kept, wrong } = read(given, texts);
  try {
    shown = figures(next.network, next);
    [state, texts] = [next, kept];
  } catch (error) {
    if (!(error instanceof Invalid)) throw error;
    wrong[error.field] ??= error.message;
  }
  showErrors(wrong);
  if (!Object.keys(wrong).length) writeFields(given);
  writeRanges();
  showAll();
  drawnAll().then(() => performance.measure("update", { start }));
}

function showErrors(wrong) {
  for (const field of FIELDS) {
    const place = $(`${field}-error`);
    if (!place) continue;
    const message = wrong[field] ?? "";
    if (place.textContent !== message) place.textContent = message;
    $(field).setAttribute("aria-invalid", String(Boolean(message)));
  }
}

function fieldTexts() {
  const given = Object.fromEntries(FIELDS.map((field) => [field, $(field).value]));
  return { ...given, fold: $("fold").checked ? "1" : "0" };
}

/** The fields as the state has them, but for one that is being typed in. */
function writeFields(given) {
  for (const field of FIELDS) {
    if (field === "fold") $(field).checked = given[field] === "1";
    else if ($(field).value !== given[field]) $(field).value = given[field];
  }
  $("classes").disabled = state.network.classes === null;
}

/** The sliders and ρ where the state is. */
function writeRanges() {
  const { network } = state;
  const range = $("side-range");
  const top = Math.max(2 * network.side, state.side);
  [range.min, range.max] = [leastSide(network), top];
  range.value = state.side;
  $("alpha-range").max = Math.max(1.5, ratio(state.alpha));
  $("alpha-range").value = ratio(state.alpha);
  const rho = `ρ = D/${network.side} = ${+(state.side / network.side).toFixed(3)}`;
  if ($("side-rho").textContent !== rho) $("side-rho").textContent = rho;
}

// Showing it ------------------------------------------------------------------------------------

let drawn = {}; // what each part was last made from

/** Whether a part has to be made again: its reasons have changed. */
function stale(part, ...reasons) {
  const same = drawn[part]?.every((reason, i) => reason === reasons[i]);
  drawn[part] = reasons;
  return !same;
}

function showAll() {
  showTotals();
  showRows();
  showFormulas();
  showBars();
  showReduction();
  showContour();
  afterwards();
}

function showTotals() {
  for (const [name, [label, unit]] of Object.entries(TOTALS)) {
    const tile = $(name) ?? newTile(name, label);
    const value = shown.totals[name];
    const limit = state.limits[LIMIT_OF[name]] ?? null;
    const used = limit === null ? 0 : Number(value) / Number(limit);
    tile.querySelector(".short").textContent =
      `${si(value)}${unit && (si(value).includes(" ") ? unit : ` ${unit}`)}`;
    tile.querySelector(".whole").textContent = grouped.format(value);
    if (name in ESTIMATE) showEstimate(tile, name, value); // estimates
    tile.dataset.value = value;
    tile.classList.toggle("over", limit !== null && value > limit);
    tile.querySelector(".budget").textContent = limit === null ? "" : verdict(used, value > limit);
  }
  const where = $("peak_bytes").querySelector(".where");
  where.textContent = `at ${shown.peakLayer}`;
  where.title = shown.peakLayer;
}

const verdict = (used, over) => (over ? `✗ ${si(used)} × limit` : `✓ ${si(100 * used)} % used`);

function newTile(name, label) {
  const tile = element("div", "", { id: name });
  const values = element("dd");
  values.append(
    ...["short", "whole", "where", "budget"].map((kind) => element("span", "", { class: kind })),
  );
  tile.append(element("dt", label), values);
  $("totals").append(tile);
  return tile;
}

const COLUMN = {
  place: ["#", (row, i) => i + 1],
  name: ["Layer", (row) => row.name],
  kind: ["Kind", (row) => row.kind],
  kernel: ["Kernel", (row) => row.kernel],
  stride: ["Stride", (row) => row.stride],
  in: ["In", (row, i) => shown.inChannels[i]],
  out: ["Out", (row, i) => shown.outChannels[i]],
  size: ["Output", (row, i) => [shown.heights[i], shown.lengths[i]]],
  ...Object.fromEntries(
    COUNTED.map(({ name, title }) => [name, [capital(title), (row, i) => shown[name][i]]]),
  ),
  share: [
    "% of MACs",
    (row, i) => (100 * Number(shown.macs[i])) / (Number(shown.totals.macs) || 1),
  ],
  ...Object.fromEntries(shareColumns()), // estimates
};
const LEFT = new Set(["name", "kind"]);
const WORDS = new Set(["name", "kind", "kernel", "stride"]);
const CSV = [
  "name",
  "kind",
  "kernel",
  "stride",
  "in_channels",
  "out_channels",
  "out_height",
  "out_width",
  ...COUNTED.map(({ name }) => name),
];

function cellText(column, value) {
  if (column === "share") return value.toFixed(2);
  if (column.endsWith(SHARE)) return value.toFixed(2); // estimates
  if (column in ESTIMATE) return said(column, value); // estimates
  if (column === "size") return value.map((side) => grouped.format(side)).join("×");
  return WORDS.has(column) ? value : grouped.format(value);
}

let lines = []; // of the table: a row's elements, by column

function showRows() {
  const { network } = state;
  if (stale("lines", network)) {
    lines = network.rows.map(() => newLine());
    $("layers").tBodies[0].replaceChildren(...lines.map(({ line }) => line));
    drawn.order = null;
  }
  network.rows.forEach((row, i) => {
    for (const [column, [, value]] of Object.entries(COLUMN)) {
      const text = cellText(column, value(row, i));
      const node = lines[i].texts[column];
      if (node.data !== text) node.data = text;
    }
  });
  showTotalLine();
  if (stale("order", order, order.column === "place" ? null : shown)) sortLines();
}

function newLine() {
  const line = document.createElement("tr");
  const nodes = {};
  for (const column of Object.keys(COLUMN)) {
    const cell = element(column === "name" ? "th" : "td");
    if (column === "name") cell.scope = "row";
    if (LEFT.has(column)) cell.className = "left";
    nodes[column] = document.createTextNode("");
    cell.append(nodes[column]);
    line.append(cell);
  }
  return { line, texts: nodes };
}

function showTotalLine() {
  const foot = $("layers").tFoot;
  if (!foot.rows.length) {
    const line = foot.insertRow();
    line.append(element("td"), element("th", "Total", { scope: "row", class: "left" }));
    line.append(
      element("td", "", { colspan: 6 }),
      ...COUNTED.map(() => element("td")),
      element("td", "100.00"),
    );
    line.append(...shareColumns().map(() => element("td", "100.00"))); // estimates
  }
  const cells = foot.rows[0].cells;
  COUNTED.forEach(({ name }, i) => {
    cells[3 + i].textContent = grouped.format(shown.totals[name]);
    if (name in ESTIMATE) cells[3 + i].textContent = said(name, shown.totals[name]); // estimates
  });
}

/** Negative, zero or positive; sizes by their area. */
function compared(a, b) {
  const [x, y] = Array.isArray(a) ? [a[0] * a[1], b[0] * b[1]] : [a, b];
  return typeof x === "string"
    ? x.localeCompare(y, "en", { numeric: true })
    : x < y
      ? -1
      : x > y
        ? 1
        : 0;
}

function sortedPlaces() {
  const value = COLUMN[order.column][1];
  const places = state.network.rows.map((row, i) => [value(row, i), i]);
  const sign = order.descending ? -1 : 1;
  return places.sort(([a, i], [b, j]) => sign * compared(a, b) || i - j).map(([, i]) => i);
}

function sortLines() {
  $("layers").tBodies[0].append(...sortedPlaces().map((i) => lines[i].line));
  for (const heading of $("layers").tHead.rows[0].cells) {
    const direction = order.descending ? "descending" : "ascending";
    heading.setAttribute("aria-sort", heading.dataset.column === order.column ? direction : "none");
  }
}

function showFormulas() {
  const { network } = state;
  if (stale("formulas", network)) {
    // MathML from the library; no name of a layer or network is in it.
    const equation = (name, right) => {
      const of = ["α", "ρ", "N"]
        .map((symbol) => `<mi>${symbol}</mi>`)
        .filter((symbol) => right.includes(symbol));
      return `<p><math displaystyle="true"><mtext>${name}</mtext><mo stretchy="false">(</mo>${of.join("<mo>,</mo>")}<mo stretchy="false">)</mo><mo>=</mo>${right}</math></p>`;
    };
    $("formulas").innerHTML = Object.entries(network.formulas)
      .map(([name, right]) => equation(name, right))
      .join("");
  }
  const rho = state.side / network.side;
  const relaxed = network.relaxed(ratio(state.alpha), rho, state.classes ?? 1, Math.max);
  const more = 100 * (Number(shown.totals.macs) / relaxed - 1);
  const change =
    Math.abs(more) < 0.005 ? "" : `, ${more < 0 ? "−" : "+"}${Math.abs(more).toFixed(2)} %`;
  $("formula-hint").textContent =
    `Here ${si(relaxed)} MACs; with channels and sizes rounded, ${grouped.format(shown.totals.macs)}${change}.`;
}

// Charts ----------------------------------------------------------------------------------------

const views = {};

/** A chart in its place, as wide as that is. */
function draw(id, specification) {
  views[id]?.finalize();
  views[id] = new vega.View(vega.parse(specification), {
    renderer: "svg",
    container: $(id),
    hover: false,
  });
  views[id].width($(id).clientWidth).runAsync();
}

/** When every chart shows what it was last given. */
const drawnAll = () => Promise.all(Object.values(views).map((view) => view.runAsync()));

function showBars() {
  const { network } = state;
  const name = QUANTITY_NAMES[barsOf];
  const remade = stale("bars", network, barsOf, theme.matches);
  if (remade) draw("bars", barsSpec(network.rows, name));
  if (remade && barsOf in ESTIMATE) draw("bars", estimateBars(network.rows, barsOf)); // estimates
  const rows = network.rows.map((row, i) => {
    const value = Number(shown[barsOf][i]);
    return { place: i, kind: look(row.kind), value, text: si(value) };
  });
  if (barsOf in ESTIMATE) for (const row of rows) row.text = said(barsOf, row.value); // estimates
  views.bars.data("rows", rows).runAsync();
}

function showReduction() {
  const { network } = state;
  if (stale("reduction", theme.matches)) draw("reduction", reductionSpec());
  else if (!stale("blocks", network, shown.blockChannels.join())) return;
  const points = new Map();
  network.blocks.forEach(({ name, taps }, i) => {
    const channels = shown.blockChannels[i];
    const alike = points.get(`${channels} ${taps}`) ?? {
      channels,
      share: shareOf(channels, Math.sqrt(taps)),
      names: [],
    };
    alike.names.push(name);
    points.set(`${channels} ${taps}`, alike);
  });
  const blocks = [...points.values()].map((p) => ({
    ...p,
    names: p.names.join(", "),
    text: p.names.length > 1 ? `×${p.names.length}` : "",
  }));
  const channels = blocks.map((block) => block.channels);
  views.reduction
    .signal("channels", [Math.min(16, ...channels), Math.max(2048, ...channels)])
    .signal("highest", Math.max(0.2, ...blocks.map((block) => 1.1 * block.share)))
    .data("blocks", blocks)
    .runAsync();
  const shares = blocks.map((block) => (100 * block.share).toPrecision(3)).sort((a, b) => a - b);
  $("reduction-hint").textContent = blocks.length
    ? `${network.name}: ${network.blocks.length} blocks, each ${shares.length > 1 ? `${shares[0]} to ${shares.at(-1)}` : shares[0]} % of the convolution that it replaces.`
    : `${network.name} has no depthwise separable block.`;
}

function contourDomain() {
  const alpha = ratio(state.alpha);
  const { side } = state.network;
  const low = leastSide(state.network);
  return {
    alphas: [0, alpha > 1.5 ? MAX_ALPHA : 1.5],
    sides: [
      low,
      Math.max(2 * side, state.side > 2 * side ? Math.ceil(1.25 * state.side) : 0, low + 32),
    ],
  };
}

function showContour() {
  const { network } = state;
  const domain = contourDomain();
  const limits = Object.values(state.limits).join();
  const reasons = [
    network,
    state.classes,
    state.rounding,
    state.dtype,
    state.fold,
    ...domain.alphas,
    ...domain.sides,
  ];
  if (stale("contour", theme.matches)) {
    draw("contour", contourSpec());
    views.contour.addSignalListener("pick", (_, picked) => picked && pick(picked));
    drawn.grid = drawn.limits = null;
  }
  const view = views.contour;
  if (stale("grid", levels, ...reasons)) {
    const grid = contourGrid(network, state, domain, levels);
    view.signal("alphas", domain.alphas).signal("sides", domain.sides).signal("lines", grid.lines);
    view.data("grid", [{ grid: { width: COLUMNS, height: ROWS, values: grid.values } }]);
    view.data("labels", contourLabels(grid));
    if (levels in ESTIMATE) view.data("labels", estimateLabels(grid)); // estimates
  }
  if (stale("limits", limits, ...reasons)) {
    const region = feasibleRegion(network, state, domain);
    view.data("feasible", region).data("limits", region);
    view.signal("keys", limitKeys(state, texts));
    showContourHint(region);
  }
  const label = `${si(figure(levels))}${levels.endsWith("Bytes") ? "B" : ""}`;
  view.data("point", [{ alpha: ratio(state.alpha), side: state.side, text: label }]).runAsync();
  if (levels in ESTIMATE) view.data("point", [estimatePoint()]).runAsync(); // estimates
}

const figure = (name) => shown.totals[name];

function showContourHint(region) {
  const fits = region.some(({ alpha }) => alpha > 0);
  const budget = fits ? "Shaded is what fits the budget." : "Nothing here fits the budget.";
  const hint = region.length ? budget : "Click to move there. A budget shades what fits it.";
  $("contour-hint").textContent = hint;
}

/** Move to a place on the contour: a hundredth of α, a pixel of D. */
function pick([alpha, side]) {
  const at = Math.min(Math.max(Math.round(100 * alpha), 1), 100 * MAX_ALPHA) / 100;
  const whole = Math.max(Math.round(side), leastSide(state.network));
  update({ ...texts, alpha: String(at), side: String(whole) });
}

// Links, files, announcements -------------------------------------------------------------------

let pending = 0;

/** What can wait until the slider rests: the link, and the words for a screen reader. */
function afterwards() {
  clearTimeout(pending);
  pending = setTimeout(() => {
    const fragment = `#${new URLSearchParams(texts)}`;
    $("link").href = fragment;
    if (location.hash !== fragment) history.replaceState(null, "", fragment);
    $("status").textContent =
      `${state.network.name} at α ${texts.alpha}, resolution ${state.side}: ${si(shown.totals.macs)} MACs, ${si(shown.totals.params)} parameters, peak memory ${si(shown.totals.peak_bytes)} bytes.`;
    $("status").textContent += estimatesSpoken(); // estimates
  }, 200);
}

/** The state that a link holds; a notice where it holds none. */
function readFragment() {
  const fragment = location.hash.slice(1);
  if (!fragment || fragment === "results") return;
  const notice = (why) => {
    $("notice").textContent = `The link's state is ignored: ${why}`;
    $("notice").hidden = false;
  };
  const given = Object.fromEntries(new URLSearchParams(fragment));
  const strange = Object.keys(given).find((key) => !FIELDS.includes(key));
  if (strange !== undefined) return notice(`it has no field ${strange.slice(0, 40)}.`);
  const network = networks.get(given.network ?? NETWORKS[0].name);
  if (!network) return notice("its network is not in this file.");
  const { state: next, wrong } = read({ ...defaults(network), ...given }, defaults(network));
  if (Object.keys(wrong).length) return notice(Object.values(wrong)[0]);
  try {
    figures(network, next);
  } catch (error) {
    return notice(error.message);
  }
  $("notice").hidden = true;
  update({ ...defaults(network), ...given });
}

function save(name, content, type) {
  const url = URL.createObjectURL(new Blob([content], { type }));
  element("a", "", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

const quoted = (value) =>
  /[",\r\n]/.test(value) ? `"${String(value).replaceAll('"', '""')}"` : value;

function csv() {
  const lines = state.network.rows.map((row, i) => [
    row.name,
    row.kind,
    row.kernel,
    row.stride,
    shown.inChannels[i],
    shown.outChannels[i],
    shown.heights[i],
    shown.lengths[i],
    ...COUNTED.map(({ name }) => shown[name][i]),
  ]);
  return [CSV, ...lines].map((line) => line.map(quoted).join(",") + "\r\n").join("");
}

const fileName = (what) => `${state.network.name.replace(/[^\w.-]+/g, "_")}-${what}`;

async function saveChart(id, kind) {
  if (kind === "svg") return save(fileName(`${id}.svg`), await views[id].toSVG(), "image/svg+xml");
  const canvas = await views[id].toCanvas(2);
  canvas.toBlob((blob) => save(fileName(`${id}.png`), blob, "image/png"));
}

// Beginning -------------------------------------------------------------------------------------

const theme = matchMedia("(prefers-color-scheme: dark)");

function begin() {
  $("network").append(...NETWORKS.map(({ name }) => element("option", name)));
  $("dtype").append(...Object.keys(DTYPES).map((name) => element("option", name)));
  $("reduction-formula").innerHTML = `<math>${REDUCTION}</math>`;
  const option = ([value, name]) => element("option", name, { value });
  $("levels").append(...Object.entries(QUANTITY_NAMES).map(option));
  $("bars-of").append(...COUNTED.map(({ name, title }) => option([name, title])));
  const headings = $("layers").tHead.insertRow();
  for (const [column, [label]] of Object.entries(COLUMN)) {
    const heading = element("th", "", { scope: "col", "data-column": column });
    if (LEFT.has(column)) heading.className = "left";
    const button = element("button", label, { type: "button" });
    button.addEventListener("click", () => {
      order = { column, descending: order.column === column && !order.descending };
      showRows();
    });
    heading.append(button);
    headings.append(heading);
  }
  for (const place of document.querySelectorAll(".downloads")) {
    const { chart } = place.dataset;
    for (const kind of ["png", "svg"]) {
      const name = $(`${chart}-title`).textContent;
      const button = element("button", kind.toUpperCase(), {
        type: "button",
        "aria-label": `Download ${name} as ${kind.toUpperCase()}`,
      });
      button.addEventListener("click", () => saveChart(chart, kind));
      place.append(button);
    }
  }
  listen();
  writeFields(texts);
  writeRanges();
  showAll();
  readFragment();
}

function listen() {
  const changed = () => update(fieldTexts());
  for (const field of FIELDS.slice(1)) $(field).addEventListener("input", changed);
  $("network").addEventListener("change", () => {
    const { side, classes, rounding } = defaults(networks.get($("network").value));
    update({ ...texts, network: $("network").value, side, classes, rounding });
  });
  for (const field of ["alpha", "side"]) {
    $(`${field}-range`).addEventListener("input", (event) => {
      $(field).value = event.target.value;
      changed();
    });
  }
  $("controls").addEventListener("submit", (event) => event.preventDefault());
  $("reset").addEventListener("click", () => update(defaults(state.network)));
  $("copy").addEventListener("click", async () => {
    const link = location.href.replace(/#.*|$/, `#${new URLSearchParams(texts)}`);
    try {
      await navigator.clipboard.writeText(link);
      $("copy").textContent = $("status").textContent = "Copied";
      setTimeout(() => ($("copy").textContent = "Copy link"), 2000);
    } catch {
      $("status").textContent = "The browser does not let this page copy; copy the link beside.";
      $("link").focus();
    }
  });
  $("csv").addEventListener("click", () => save(fileName("layers.csv"), csv(), "text/csv"));
  $("levels").addEventListener("change", () => {
    levels = $("levels").value;
    showContour();
  });
  $("bars-of").addEventListener("change", () => {
    barsOf = $("bars-of").value;
    showBars();
  });
  theme.addEventListener("change", showAll);
  window.addEventListener("hashchange", readFragment);
  new ResizeObserver(() => {
    for (const [id, view] of Object.entries(views)) view.width($(id).clientWidth).runAsync();
  }).observe($("results"));
}

begin();
