// Means over groups of runs: over all that have the value, with the standard deviation and the 95 % t interval of the mean,
// which ends where the scale does.

function describe(values, t, bounds) {
  let n = 0, sum = 0, squares = 0;
  for (const value of values) if (value === value && value !== null) { n += 1; sum += value; }
  if (!n) return { n, mean: null, sd: null, half: null, low: null, high: null };
  const mean = sum / n;
  if (n < 2) return { n, mean, sd: null, half: null, low: null, high: null };
  for (const value of values) if (value === value && value !== null) squares += (value - mean) ** 2;
  const sd = Math.sqrt(squares / (n - 1));
  const half = ((t[n - 2] ?? 1.96) * sd) / Math.sqrt(n);
  const [least, most] = bounds ?? [null, null];
  return { n, mean, sd, half, low: Math.max(mean - half, least ?? -Infinity), high: Math.min(mean + half, most ?? Infinity) };
}

// Groups of runs that are alike in all columns: [{runs}], in the order in which they come. Runs are told apart by a hash of
// 53 bits of their values, column by column: texts of all values would take ten times as long.
function groupsOf(runs, columns) {
  const high = new Int32Array(runs.length), low = new Int32Array(runs.length);
  for (const { codes } of columns) {
    for (let i = 0; i < runs.length; i++) {
      const code = codes[runs[i]] + 2;
      high[i] = mixed(high[i] ^ Math.imul(code, 0x9e3779b1));
      low[i] = mixed(low[i] ^ Math.imul(code, 0x85ebca77)) + 1;
    }
  }
  const groups = new Map();
  for (let i = 0; i < runs.length; i++) {
    const key = (high[i] >>> 0) * 2 ** 21 + (low[i] >>> 11);
    const group = groups.get(key);
    if (group) group.runs.push(runs[i]);
    else groups.set(key, { runs: [runs[i]] });
  }
  return [...groups.values()];
}

function mixed(bits) {
  const once = Math.imul(bits ^ (bits >>> 15), 0x2c1b3c6d);
  return Math.imul(once ^ (once >>> 12), 0x297a2d39);
}

function differsAmong(column, runs) {
  if (!column.differs || !runs.length) return false;
  const { codes } = column, first = codes[runs[0]];
  for (const run of runs) if (codes[run] !== first) return true;
  return false;
}

// What tells runs apart but the seed: every setting that differs among all runs.
function keysButSeed(store) {
  return store.columns.filter((column) => isKey(column) && column.name !== "seed" && column.differs).map((column) => column.name);
}

// Of the columns that runs are grouped by, those that need be shown: not the ones that are the same in all groups, nor settings
// that what a run is called (experiment, task, arm, ...) tells already.
function tellingKeys(runs, columns) {
  const differs = columns.filter((column) => differsAmong(column, runs));
  const named = differs.filter((column) => column.kind === "run");
  const alike = groupsOf(runs, named);
  const further = differs.filter(({ kind, codes }) => kind !== "run" && alike.some((group) => group.runs.some((run) => codes[run] !== codes[group.runs[0]])));
  return [...named, ...further].map((column) => column.name);
}

function isKey({ kind }) { return kind === "setting" || kind === "run"; }

// A number to the digits that half of its interval supports, else to four.
function digits(value, half) {
  if (value === null || value === undefined || Number.isNaN(value)) return "";
  if (half) return value.toFixed(Math.max(0, Math.min(8, 1 - Math.floor(Math.log10(half)))));
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(4)));
}
