// The numbers: exact at any size, or an error that says the rule.

const EXACT = 2 ** 53; // the integers below it are JavaScript's numbers
const MAX_ALPHA = 4;
const MOST_CLASSES = 1e9;

/** A wrong input: what the rule is, and the field that it is about. */
class Invalid extends Error {
  constructor(field, message) {
    super(message);
    this.field = field;
  }
}

/** The number that a user wrote, 0.75, 3/4 or 1e-1, as a ratio of BigInts; null where it is none. */
function rational(text) {
  const found = /^(\d{1,40})(?:\.(\d{0,40}))?(?:e([+-]?\d{1,2}))?(?:\s*\/\s*(\d{1,40}))?$/i.exec(
    text.trim().replace(/^\./, "0."),
  );
  if (!found) return null;
  const [, whole, part = "", exponent = "0", divisor = "1"] = found;
  const shift = Number(exponent) - part.length;
  const n = BigInt(whole + part) * 10n ** BigInt(Math.max(shift, 0));
  const d = BigInt(divisor) * 10n ** BigInt(Math.max(-shift, 0));
  return d === 0n ? null : { n, d };
}

const lesser = (a, b) => (a < b ? a : b);
const greater = (a, b) => (a > b ? a : b);
const gcd = (a, b) => (b ? gcd(b, a % b) : a);
const lcm = (a, b) => (a / gcd(a, b)) * b;
const ratio = ({ n, d }) => Number(n) / Number(d);

const ceilDiv = (size, stride) => Math.ceil(size / stride);
const ceilModeSize = (span, padded, stride) =>
  Math.min(Math.ceil(span / stride) + 1, Math.ceil(padded / stride));
const atLeastOne = (alpha) => (alpha.n > alpha.d ? alpha : { n: 1n, d: 1n });

/** α·count as a whole number of channels; costmodel.arithmetic.scale_channels has the rules. */
const SCALED = {
  floor(count, { n, d }, groups) {
    const [c, g] = [BigInt(count), BigInt(groups)];
    return Number(g * greater((c * n) / (d * g), (lesser(8n, c) + g - 1n) / g));
  },
  "divisible(8)"(count, { n, d }, groups) {
    const scaled = BigInt(count) * n;
    const step = lcm(8n, BigInt(groups));
    const nearest = greater(step, ((2n * scaled + step * d) / (2n * step * d)) * step);
    return Number(10n * nearest * d >= 9n * scaled ? nearest : nearest + step);
  },
  exact(count, { n, d }, groups) {
    const scaled = BigInt(count) * n;
    if (scaled % (d * BigInt(groups))) {
      const rule = groups === 1 ? "a whole number" : `a multiple of its ${groups} groups`;
      const got = Number(scaled) / Number(d);
      throw new Invalid(
        "rounding",
        `exact rounding gives ${+got.toFixed(4)} channels, not ${rule}; choose floor or divisible(8)`,
      );
    }
    return Number(scaled / d);
  },
};
/** For a drawing: `exact` between the multipliers at which there is a network. */
const unrounded = (count, alpha) => count * ratio(alpha);

/** The same function of BigInts: every integer in its text becomes one. */
function big(made) {
  made.big ??= new Function(`return ${String(made).replace(/\b\d+\b/g, "$&n")}`)();
  return made.big;
}

const sum = (values, zero) => values.reduce((a, b) => a + b, zero);

/** What a network's functions take: D, the classes, every width and every size. */
function given(network, state, scaled = SCALED[state.rounding]) {
  return [
    state.side,
    state.classes ?? 1,
    ...network.widths(scaled, atLeastOne, state.alpha),
    ...network.sizes(ceilDiv, ceilModeSize, state.side),
  ];
}

/** An error where there is no such network, as the library has it. */
function check(network, values) {
  if (network.sides(...values).some((side) => side < 1)) {
    throw new Invalid("side", "At this resolution a map vanishes; raise it.");
  }
  if (!network.shares(...values).every(Number.isInteger)) {
    throw new Invalid("alpha", "At this α groups do not divide the channels; choose another.");
  }
}

/** The smallest resolution at which no map vanishes. */
function leastSide(network) {
  const at = (side) => ({ side, classes: 1, alpha: { n: 1n, d: 1n }, rounding: "floor" });
  const fits = (side) => network.sides(...given(network, at(side))).every((size) => size >= 1);
  network.least ??= Array.from({ length: 10000 }, (_, i) => i + 1).find(fits);
  return network.least;
}

/** The rows of costmodel.core.quantities that add up over layers. */
const ADDED = QUANTITIES.filter(({ added }) => added);

/** A single figure of the network, as a number: for drawings. */
const QUANTITY = {
  ...Object.fromEntries(
    ADDED.map(({ name }) => [name, (network, values) => sum(network[name](...values), 0)]),
  ),
  weight_bytes: (network, values, state) => sum(weights(network, state)(...values), 0),
  peak_bytes: (network, values, state) =>
    DTYPES[state.dtype] * Math.max(...live(network, state)(...values)),
};
for (const { name } of ESTIMATES) QUANTITY[name] = (...at) => estimated(...at).totals[name]; // estimates
const live = (network, state) => (state.fold ? network.liveFolded : network.live);
const weights = (network, state) => network.weight_bytes[state.dtype][Number(state.fold)];

/** Everything the page shows, in exact integers: numbers, or BigInts where they could pass 2⁵³. */
function figures(network, state) {
  const values = given(network, state);
  check(network, values);
  const made = computed(network, state, values, (f) => f, Number);
  const largest = Math.max(...Object.values(made.totals).map(Number));
  if (largest * network.denominator < EXACT) return made;
  return computed(network, state, values.map(BigInt), big, BigInt);
}

function computed(network, state, values, kind, number) {
  const of = (name) => kind(network[name])(...values);
  const about = estimated(network, values); // estimates
  const counts = Object.fromEntries(ADDED.map(({ name }) => [name, of(name)]));
  const totals = Object.fromEntries(ADDED.map(({ name }) => [name, sum(counts[name], number(0))]));
  const alive = kind(live(network, state))(...values);
  const where = alive.reduce((best, size, i) => (size > alive[best] ? i : best), 0);
  return {
    ...counts,
    ...about.counts, // estimates
    inChannels: of("inChannels"),
    outChannels: of("outChannels"),
    heights: of("heights"),
    lengths: of("lengths"),
    blockChannels: of("blockChannels").map(Number),
    peakLayer: network.layers[where],
    totals: {
      ...totals,
      ...about.totals, // estimates
      flops: number(2) * totals.macs,
      weight_bytes: sum(kind(weights(network, state))(...values), number(0)),
      peak_bytes: number(DTYPES[state.dtype]) * alive[where],
    },
  };
}

// Amounts ---------------------------------------------------------------------------------------

const LIMITED = QUANTITIES.filter(({ limit }) => limit);
const LIMITS = Object.fromEntries(LIMITED.map(({ limit, name }) => [limit, name]));
const COUNTS = { "": 1n, k: 10n ** 3n, M: 10n ** 6n, G: 10n ** 9n, T: 10n ** 12n };
const BYTES = { B: 1n, KB: 1000n };
["k", "M", "G", "T"].forEach((prefix, i) => {
  BYTES[`${prefix}B`] = 1000n ** BigInt(i + 1);
  BYTES[`${prefix.toUpperCase()}iB`] = 1024n ** BigInt(i + 1);
});

/** The most that a limit allows, as costmodel.planners.limits reads it; null where there is no limit. */
function most(name, text) {
  const { estimate, unit } = LIMITED.find(({ limit }) => limit === name); // estimates
  if (estimate) return mostEstimated(name, text, unit); // estimates
  if (!text.trim()) return null;
  const units = LIMITED.find(({ limit }) => limit === name).unit === "bytes" ? BYTES : COUNTS;
  const found = /^(\d+(?:\.\d+)?)\s*([A-Za-z]*)$/.exec(text.trim());
  const amount = found && Object.hasOwn(units, found[2]) ? rational(found[1]) : null;
  const whole = amount ? (amount.n * units[found[2]]) / amount.d : 0n;
  if (whole < 1n) {
    const known = Object.keys(units).filter(Boolean).join(", ");
    throw new Invalid(name, `A limit must be a positive amount in ${known}.`);
  }
  return whole;
}

const PREFIXES = ["", "k", "M", "G", "T", "P", "E", "Z", "Y", "R", "Q"];

/** Three significant digits with an SI prefix, as costmodel.algebra.notation.si. */
function si(value) {
  const [digits, exponent] = Number(value).toExponential(2).split("e");
  const steps = Math.floor(exponent / 3);
  const shift = exponent - 3 * steps;
  if (steps < 1 || steps >= PREFIXES.length) return String(+Number(value).toPrecision(3));
  return `${(digits * 10 ** shift).toFixed(2 - shift)} ${PREFIXES[steps]}`;
}
