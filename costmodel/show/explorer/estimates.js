// Estimates, such as time on a device: floating point, never integers, and shown with ≈. A page has
// this file, and the lines of the others that end in "// estimates", only where a quantity is one.

const ESTIMATES = QUANTITIES.filter(({ estimate }) => estimate);
const ESTIMATE = Object.fromEntries(ESTIMATES.map((row) => [row.name, row]));
const SHARE = "_share"; // what the column of an estimate's shares is called after it
const SECONDS = { s: 1, ms: 1e-3, us: 1e-6, ns: 1e-9 };

/** How many of an estimate's unit for people there are in one of it, and that unit. */
function inWords(name) {
  const { unit } = ESTIMATE[name];
  return unit === "s" ? [1e3, "ms"] : [1, unit];
}

/** What each row of the table has of every estimate, and the sums. */
function estimated(network, values) {
  const numbers = values.map(Number); // past 2⁵³ too: an estimate has no more digits
  const of = ({ name }) => [name, network[name](...numbers)];
  const counts = Object.fromEntries(ESTIMATES.map(of));
  const total = ([name, parts]) => [name, sum(parts, 0)];
  return { counts, totals: Object.fromEntries(Object.entries(counts).map(total)) };
}

/** An estimate in its unit for people, to three digits. */
function said(name, value) {
  const [scale, shown] = inWords(name);
  const digits = (scale * value).toPrecision(3);
  return `≈${scale * value < 1000 ? digits : grouped.format(digits)} ${shown}`.trim();
}

/** The most of an estimate that a limit allows, as costmodel.planners.limits reads it. */
function mostEstimated(name, text, unit) {
  if (!text.trim()) return null;
  const units = unit === "s" ? SECONDS : { "": 1, k: 1e3, M: 1e6, G: 1e9, T: 1e12 };
  const found = /^(\d+(?:\.\d+)?)\s*([A-Za-z]*)$/.exec(text.trim());
  const amount = found && Object.hasOwn(units, found[2]) ? found[1] * units[found[2]] : 0;
  if (!(amount > 0)) {
    const known = Object.keys(units).filter(Boolean).join(", ");
    throw new Invalid(name, `A limit must be a positive amount in ${known}.`);
  }
  return amount;
}

/** A total: the estimate, how far off it may be, and what of. */
function showEstimate(tile, name, value) {
  const { note, of } = ESTIMATE[name];
  tile.querySelector(".short").textContent = said(name, value);
  tile.querySelector(".whole").textContent = note;
  tile.querySelector(".where").textContent = of;
  tile.querySelector(".where").title = of;
}

/** Columns of each row's part of an estimate, in percent. */
const shareColumns = () =>
  ESTIMATES.filter(({ column }) => column).map(({ name, title }) => [
    name + SHARE,
    [`% of ${title}`, (row, i) => (100 * shown[name][i]) / (shown.totals[name] || 1)],
  ]);

// Its charts ------------------------------------------------------------------------------------

/** Levels of equal amount below 1, as LEVELS has those above. */
const FRACTIONS = Array.from({ length: 12 }, (_, i) => [1, 2, 5].map((m) => m / 10 ** (12 - i))).flat();

/** A round amount, in the unit for people. */
function level(name, value) {
  const [scale, shown] = inWords(name);
  return `${grouped.format(+(scale * value).toPrecision(3))} ${shown}`;
}

const estimateLabels = (grid) =>
  contourLabels(grid).map((label) => ({ ...label, text: level(levels, label.level) }));

const estimatePoint = () => ({
  alpha: ratio(state.alpha),
  side: state.side,
  text: said(levels, figure(levels)),
});

/** A bar for each layer, with an axis in the unit for people. */
function estimateBars(rows, name) {
  const [scale, shown] = inWords(name);
  const signal = `format(${scale} * datum.value, ',~r')`;
  const made = barsSpec(rows, `${ESTIMATE[name].title} (${shown})`);
  made.axes[0].encode = { labels: { update: { text: { signal } } } };
  return made;
}

/** What a screen reader hears of them. */
const estimatesSpoken = () =>
  ESTIMATES.map(({ name, title }) => ` Estimated ${title} ${said(name, shown.totals[name])}.`).join("");
