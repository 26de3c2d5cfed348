// The charts, as Vega's specifications; their data is the page's.

const LEVELS = Array.from({ length: 30 }, (_, e) => [1, 2, 5].map((m) => m * 10 ** e)).flat();
LEVELS.unshift(...FRACTIONS); // estimates
const LINES = 9; // of equal cost: the highest levels there are
const COLUMNS = 48; // of the grid behind the contour
const ROWS = 36;
const LOOKS = [
  ["--blue", []],
  ["--orange", [6, 3]],
  ["--vermillion", [2, 2]],
  ["--green", [7, 2, 2, 2]],
];
const LIMIT_LOOK = Object.fromEntries(
  LIMITED.map(({ limit, title }, i) => [limit, [title, ...(LOOKS[i] ?? ["--grey", [1, 3]])]]),
);
const KIND_LOOK = {
  standard: "--grey",
  depthwise: "--orange",
  pointwise: "--blue",
  linear: "--green",
  grouped: "--vermillion",
  other: "--light",
};
const QUANTITY_NAMES = Object.fromEntries(
  QUANTITIES.filter(({ column, added }) => column || !added).map(({ name, title }) => [name, title]),
);

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function config() {
  const [ink, dim, faint, card] = ["--ink", "--dim", "--faint", "--card"].map(colour);
  const font = "system-ui, sans-serif";
  return {
    background: card,
    axis: {
      domainColor: dim,
      tickColor: dim,
      gridColor: faint,
      labelColor: dim,
      titleColor: ink,
      labelFont: font,
      titleFont: font,
      labelFontSize: 11,
      titleFontSize: 12,
      titleFontWeight: "normal",
      titlePadding: 8,
    },
    legend: { labelColor: ink, titleColor: ink, labelFont: font, labelFontSize: 11 },
    text: { font, fontSize: 11, fill: ink },
  };
}

const base = (description, height) => ({
  $schema: "https://vega.github.io/schema/vega/v6.json",
  description,
  width: 400,
  height,
  padding: { left: 4, right: 12, top: 8, bottom: 4 },
  autosize: { type: "fit-x", contains: "padding" },
  config: config(),
});

const text = (from, encode) => ({
  type: "text",
  from: { data: from },
  interactive: false,
  encode: { update: encode },
});

/** A text that what lies behind it does not disturb. */
const haloed = (from, encode) => [
  text(from, { ...encode, stroke: { value: colour("--card") }, strokeWidth: { value: 3 } }),
  text(from, encode),
];

/** Lines of equal cost over α and D, what fits the budget, and where we are. */
function contourSpec() {
  const names = Object.keys(LIMIT_LOOK);
  const channel = (scale, field) => ({ scale, field });
  const here = (field, scale) => `scale('${scale}', data('point')[0].${field})`;
  const beside = (field, scale) => `abs(scale('${scale}', datum.${field}) - ${here(field, scale)})`;
  return {
    ...base("Lines of equal cost over the width multiplier and the resolution", 300),
    signals: [
      { name: "alphas", value: [0, 1.5] },
      { name: "sides", value: [32, 448] },
      { name: "lines", value: [] },
      { name: "keys", value: [] },
      {
        name: "pick",
        value: null,
        on: [
          {
            events: "pointerdown, [pointerdown, window:pointerup] > pointermove",
            update: "[invert('x', x()), invert('y', y())]",
          },
        ],
      },
    ],
    data: [
      { name: "grid" },
      {
        name: "contours",
        source: "grid",
        transform: [
          {
            type: "isocontour",
            field: "grid",
            thresholds: { signal: "lines" },
            scale: { expr: `[width / ${COLUMNS}, height / ${ROWS}]` },
          },
        ],
      },
      { name: "labels" },
      { name: "feasible" },
      { name: "limits" },
      { name: "point", values: [{ alpha: 1, side: 1 }] },
    ],
    scales: [
      { name: "x", domain: { signal: "alphas" }, range: "width" },
      { name: "y", domain: { signal: "sides" }, range: "height" },
      ...["colour", "dash"].map((look) => ({
        name: look,
        type: "ordinal",
        domain: { signal: "pluck(keys, 'text')" },
        range: { signal: `pluck(keys, '${look}')` },
      })),
    ],
    legends: [
      {
        stroke: "colour",
        strokeDash: "dash",
        symbolType: "stroke",
        symbolSize: 500,
        symbolStrokeWidth: 2,
        orient: "bottom",
        columns: 2,
      },
    ],
    axes: [
      { orient: "bottom", scale: "x", title: "width multiplier α", tickCount: 6 },
      { orient: "left", scale: "y", title: "resolution D (px)", tickCount: 6, format: ",d" },
    ],
    marks: [
      {
        type: "group",
        interactive: false,
        encode: {
          update: {
            width: { signal: "width" },
            height: { signal: "height" },
            clip: { value: true },
          },
        },
        marks: [
          {
            type: "area",
            from: { data: "feasible" },
            encode: {
              update: {
                orient: { value: "horizontal" },
                x: { scale: "x", signal: "alphas[0]" },
                x2: channel("x", "alpha"),
                y: channel("y", "side"),
                fill: { value: colour("--fits") },
              },
            },
          },
          {
            type: "shape",
            from: { data: "contours" },
            encode: {
              update: {
                fill: { value: colour("--blue") },
                fillOpacity: { value: 0.05 },
                stroke: { value: colour("--blue") },
                strokeOpacity: { value: 0.55 },
                strokeWidth: { value: 0.8 },
              },
            },
            transform: [{ type: "geoshape", field: "datum.contour" }],
          },
          ...names.map((name) => ({
            type: "line",
            from: { data: "limits" },
            encode: {
              update: {
                x: channel("x", name),
                y: channel("y", "side"),
                defined: { signal: `isValid(datum.${name})` },
                stroke: { value: colour(LIMIT_LOOK[name][1]) },
                strokeWidth: { value: 2 },
                strokeDash: { value: LIMIT_LOOK[name][2] },
              },
            },
          })),
          text("labels", {
            x: channel("x", "alpha"),
            y: channel("y", "side"),
            text: { field: "text" },
            align: { value: "center" },
            baseline: { value: "middle" },
            fontSize: { value: 10 },
            fill: { value: colour("--ink") },
            opacity: {
              signal: `${beside("alpha", "x")} < 75 && ${beside("side", "y")} < 26 ? 0 : 1`,
            },
          }),
          {
            type: "rule",
            from: { data: "point" },
            encode: {
              update: {
                x: channel("x", "alpha"),
                y: { value: 0 },
                y2: { signal: "height" },
                stroke: { value: colour("--accent") },
                strokeDash: { value: [2, 3] },
              },
            },
          },
          {
            type: "rule",
            from: { data: "point" },
            encode: {
              update: {
                x: { value: 0 },
                x2: { signal: "width" },
                y: channel("y", "side"),
                stroke: { value: colour("--accent") },
                strokeDash: { value: [2, 3] },
              },
            },
          },
          {
            type: "symbol",
            from: { data: "point" },
            encode: {
              update: {
                x: channel("x", "alpha"),
                y: channel("y", "side"),
                size: { value: 110 },
                fill: { value: colour("--accent") },
                stroke: { value: colour("--card") },
                strokeWidth: { value: 2 },
              },
            },
          },
          ...haloed("point", {
            x: channel("x", "alpha"),
            y: channel("y", "side"),
            dx: { signal: "datum.alpha > (alphas[0] + alphas[1]) / 2 ? -10 : 10" },
            dy: { signal: "datum.side > (sides[0] + sides[1]) / 2 ? 16 : -12" },
            align: { signal: "datum.alpha > (alphas[0] + alphas[1]) / 2 ? 'right' : 'left'" },
            text: { field: "text" },
            fontWeight: { value: "bold" },
            fill: { value: colour("--ink") },
          }),
        ],
      },
    ],
  };
}

/** 1/C_out + 1/K² over C_out for K = 3, 5, 7, and the network's blocks. */
function reductionSpec() {
  const curves = [
    [3, "--blue", []],
    [5, "--vermillion", [6, 3]],
    [7, "--green", [7, 2, 2, 2]],
  ].map(([kernel, name, dash]) => {
    const points = Array.from({ length: 105 }, (_, i) => {
      const channels = 2 ** (i / 8);
      return { channels, share: shareOf(channels, kernel) };
    });
    const limit = shareOf(Infinity, kernel);
    const label = `K = ${kernel}, limit 1/${kernel ** 2} = ${(100 * limit).toFixed(1)} %`;
    return { kernel, points, label, limit, colour: colour(name), dash };
  });
  const last = curves.map(({ label, limit, colour }) => ({ share: limit, label, colour }));
  return {
    ...base("MACs of a depthwise separable block as a share of the standard convolution's", 300),
    signals: [
      { name: "channels", value: [16, 2048] },
      { name: "highest", value: 0.2 },
    ],
    data: [
      ...curves.map((c) => ({ name: `k${c.kernel}`, values: c.points })),
      { name: "last", values: last },
      { name: "blocks" },
    ],
    scales: [
      { name: "x", type: "log", base: 2, domain: { signal: "channels" }, range: "width" },
      { name: "y", domain: [0, { signal: "highest" }], range: "height" },
    ],
    axes: [
      {
        orient: "bottom",
        scale: "x",
        title: "output channels",
        tickCount: 8,
        format: "d",
        labelOverlap: true,
      },
      {
        orient: "left",
        scale: "y",
        title: "% of the standard convolution",
        tickCount: 5,
        grid: true,
        encode: { labels: { update: { text: { signal: "format(100 * datum.value, 'd')" } } } },
      },
    ],
    marks: [
      ...curves.map((c) => ({
        type: "line",
        from: { data: `k${c.kernel}` },
        clip: true,
        encode: {
          update: {
            x: { scale: "x", field: "channels" },
            y: { scale: "y", field: "share" },
            stroke: { value: c.colour },
            strokeWidth: { value: 1.8 },
            strokeDash: { value: c.dash },
          },
        },
      })),
      text("last", {
        x: { signal: "width" },
        y: { scale: "y", field: "share", offset: 4 },
        align: { value: "right" },
        baseline: { value: "top" },
        text: { field: "label" },
        fill: { field: "colour" },
      }),
      {
        type: "symbol",
        from: { data: "blocks" },
        encode: {
          update: {
            x: { scale: "x", field: "channels" },
            y: { scale: "y", field: "share" },
            size: { value: 70 },
            fill: { value: colour("--accent") },
            stroke: { value: colour("--card") },
            strokeWidth: { value: 1.5 },
            tooltip: { field: "names" },
          },
        },
      },
      text("blocks", {
        x: { scale: "x", field: "channels" },
        y: { scale: "y", field: "share", offset: -8 },
        align: { value: "center" },
        baseline: { value: "bottom" },
        text: { field: "text" },
      }),
    ],
  };
}

/** A bar for each layer. */
function barsSpec(rows, quantity) {
  const kinds = [...new Set(rows.map((row) => look(row.kind)))];
  return {
    ...base(`${quantity} of each layer`, rows.length * 15),
    data: [{ name: "rows" }],
    scales: [
      {
        name: "x",
        domain: { data: "rows", field: "value" },
        range: "width",
        nice: true,
        zero: true,
      },
      { name: "y", type: "band", domain: rows.map((_, i) => i), range: "height", padding: 0.2 },
      {
        name: "names",
        type: "ordinal",
        domain: rows.map((_, i) => i),
        range: rows.map((r) => r.name),
      },
      {
        name: "fill",
        type: "ordinal",
        domain: kinds,
        range: kinds.map((kind) => colour(KIND_LOOK[kind])),
      },
    ],
    legends: [
      {
        fill: "fill",
        orient: "top",
        symbolType: "square",
        columns: { signal: "width < 360 ? 2 : 5" },
      },
    ],
    axes: [
      { orient: "top", scale: "x", title: quantity, tickCount: 4, format: "~s", grid: true },
      {
        orient: "left",
        scale: "y",
        ticks: false,
        domain: false,
        labelPadding: 5,
        labelLimit: 130,
        encode: { labels: { update: { text: { signal: "scale('names', datum.value)" } } } },
      },
    ],
    marks: [
      {
        type: "rect",
        from: { data: "rows" },
        encode: {
          update: {
            x: { scale: "x", value: 0 },
            x2: { scale: "x", field: "value" },
            y: { scale: "y", field: "place" },
            height: { scale: "y", band: 1 },
            fill: { scale: "fill", field: "kind" },
          },
        },
      },
      text("rows", {
        x: { scale: "x", field: "value", offset: 4 },
        y: { scale: "y", field: "place", band: 0.5 },
        baseline: { value: "middle" },
        fontSize: { value: 10 },
        text: { field: "text" },
      }),
    ],
  };
}

const look = (kind) => (kind in KIND_LOOK ? kind : "other");

// What the contour draws ------------------------------------------------------------------------

const APART = 0.07; // of the diagonal: how close labels may be
const FINE = 0.01; // steps of α in which a limit's curve is found

/** α and D at the middle of each cell of the grid, and the quantity there. */
function contourGrid(network, state, domain, quantity) {
  const [[a, b], [c, d]] = [domain.alphas, domain.sides];
  const alphas = Array.from({ length: COLUMNS }, (_, i) => a + ((i + 0.5) / COLUMNS) * (b - a));
  const sides = Array.from({ length: ROWS }, (_, i) => d - ((i + 0.5) / ROWS) * (d - c));
  const at = evaluator(network, state);
  const values = sides.flatMap((side) =>
    alphas.map((alpha) => at(alpha, Math.round(side), quantity)),
  );
  const top = Math.max(...values);
  return { alphas, sides, values, lines: LEVELS.filter((level) => level < top).slice(-LINES) };
}

/** A quantity at (α, D), with what depends on α alone computed once. */
function evaluator(network, state) {
  const scaled = state.rounding === "exact" ? unrounded : SCALED[state.rounding];
  const widths = new Map();
  const widthsAt = (alpha) => {
    const key = Math.round(alpha * 1e4);
    if (!widths.has(key)) {
      const exact = { n: BigInt(Math.max(key, 1)), d: 10000n };
      widths.set(key, network.widths(scaled, atLeastOne, exact));
    }
    return widths.get(key);
  };
  return (alpha, side, quantity) => {
    const sizes = network.sizes(ceilDiv, ceilModeSize, side);
    const values = [side, state.classes ?? 1, ...widthsAt(alpha), ...sizes];
    return QUANTITY[quantity](network, values, state);
  };
}

/** A label on each line, where it crosses the diagonal. */
function contourLabels({ alphas, sides, values, lines }) {
  const labels = [];
  const steps = 200;
  let last = -steps;
  const cell = (t) => {
    const column = Math.round(t * (COLUMNS - 1));
    const row = Math.round((1 - t) * (ROWS - 1));
    return { alpha: alphas[column], side: sides[row], value: values[row * COLUMNS + column] };
  };
  for (const level of lines) {
    const crossed = Array.from({ length: steps }, (_, i) => cell(0.06 + (0.88 * i) / steps));
    const i = crossed.findIndex(({ value }) => value >= level);
    if (i <= 0 || i - last < steps * APART) continue;
    labels.push({ ...crossed[i], text: si(level) });
    labels.at(-1).level = level; // estimates
    last = i;
  }
  return labels;
}

/** At each D the largest α within each limit, and within all of them. */
function feasibleRegion(network, state, domain) {
  const limits = Object.entries(state.limits).filter(([, limit]) => limit !== null);
  if (!limits.length) return [];
  const at = evaluator(network, state);
  const most = Math.round(domain.alphas[1] / FINE);
  const [low, high] = domain.sides;
  return Array.from({ length: ROWS + 1 }, (_, i) => {
    const side = Math.round(low + ((high - low) * i) / ROWS);
    const ends = { side };
    let widest = most;
    for (const [name, limit] of limits) {
      const end = widestWithin((k) => at(k * FINE, side, LIMITS[name]) <= Number(limit), most);
      if (end > 0 && end < most) ends[name] = end * FINE;
      widest = Math.min(widest, end);
    }
    return { ...ends, alpha: widest ? widest * FINE : domain.alphas[0] };
  });
}

/** The limits that there are, as the key to their lines. */
const limitKeys = (state, given) =>
  Object.keys(LIMIT_LOOK)
    .filter((name) => state.limits[name] !== null)
    .map((name) => {
      const [word, look, dash] = LIMIT_LOOK[name];
      return { text: `${word} ≤ ${given[name]}`, colour: colour(look), dash };
    });

/** The largest k up to `most` that fits, where all below it do; 0 where none does. */
function widestWithin(fits, most) {
  let [inside, outside] = [0, most + 1];
  while (outside - inside > 1) {
    const middle = (inside + outside) >> 1;
    if (fits(middle)) inside = middle;
    else outside = middle;
  }
  return inside;
}
