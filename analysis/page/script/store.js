// All runs as columns. A run is its index; a column gives a number (NaN: none) or a text (null: none) for it.

class Column {
  constructor(node, count) {
    Object.assign(this, { name: node.name, kind: node.kind, differs: node.differs, bounds: node.bounds, isNumber: node.type === "number" });
    this.node = node;
    this.count = count;
  }
  // Index of the value of each run among `of`; -1 for none. Made when first asked for, as most columns are never shown.
  get codes() {
    if (this.coded === undefined) {
      if (this.node.is !== undefined) {
        const places = new Map();
        this.values = [];
        this.coded = Int32Array.from(this.node.is.split(","), (text) => {
          if (text === "") return -1;
          if (!places.has(text)) { places.set(text, places.size); this.values.push(Number(text)); }
          return places.get(text);
        });
      } else {
        this.values = this.node.of;
        this.coded = new Int32Array(this.count);
        if (this.node.at) this.coded.set(this.node.at);
        else {
          let next = 0;
          for (let i = 0; i < this.node.runs.length; i += 2) this.coded.fill(this.node.runs[i], next, (next += this.node.runs[i + 1]));
        }
      }
    }
    return this.coded;
  }
  get distinct() { return this.codes && this.values; }
  get numbers() {
    if (this.floats === undefined) {
      const codes = this.codes;
      this.floats = Float64Array.from(codes, (code) => (code < 0 || !this.isNumber ? NaN : this.values[code]));
    }
    return this.floats;
  }
  value(run) {
    const code = this.codes[run];
    return code < 0 ? null : this.values[code];
  }
  text(run) {
    const value = this.value(run);
    return value === null ? "" : String(value);
  }
  compare(a, b) {
    const [x, y] = [this.value(a), this.value(b)];
    if (x === y) return a - b;
    if (x === null || y === null) return x === null ? 1 : -1;
    return this.isNumber ? x - y : x < y ? -1 : 1;
  }
}

class Store {
  constructor(data) {
    this.count = data.count;
    this.names = [];
    for (let i = 0, before = ""; i < data.names.length; i += 2) this.names.push((before = before.slice(0, data.names[i]) + data.names[i + 1]));
    this.byName = new Map(this.names.map((name, run) => [name, run]));
    this.columns = data.columns.map((node) => new Column(node, data.count));
    this.named = new Map(this.columns.map((column) => [column.name, column]));
    this.arms = data.arms;
    this.t = data.t;
    this.curveData = data.curves;
    this.curveData.grids = data.curves.steps.map(summed);
    this.maps = new Map();
    for (const [run, ...map] of data.maps) this.maps.set(run, [...(this.maps.get(run) || []), map]);
    this.images = data.glimpses.images;
    this.glimpses = new Map();
    for (const [run, ...seen] of data.glimpses.seen) this.glimpses.set(run, [...(this.glimpses.get(run) || []), seen]);
  }
  column(name) { return this.named.get(name); }
  // Lines of cells, the first with the columns' names.
  rows(runs, columns) { return [["name", ...columns.map((column) => column.name)], ...runs.map((run) => [this.names[run], ...columns.map((column) => column.text(run))])]; }
  value(run, name) { const column = this.named.get(name); return column ? column.value(run) : null; }
  // The curve of a run: {steps, values} of one series, or null.
  curve(run, series) {
    const node = this.curveData.runs[run];
    const found = node && node.slice(1).find((coded) => coded[0] === series);
    if (!found) return null;
    const unit = 10 ** found[1];
    let sum = 0;
    const values = found.slice(2).map((step) => (step === null ? null : (sum += step) / unit));
    return { steps: this.curveData.grids[node[0]], values };
  }
  // What a training step of a run is worth in another unit; null where its record doesn't say.
  perStep(run, unit) {
    if (unit === "steps") return 1;
    if (unit === "samples") return this.value(run, "train.batch");
    const steps = this.value(run, "steps");
    if (unit === "seconds") return this.value(run, "step_seconds") ?? (steps ? (this.value(run, "train_seconds") ?? this.value(run, "seconds")) / steps : null);
    const [tokens, each] = [this.value(run, "tokens_seen"), this.value(run, "multiply_adds_per_token")];
    return steps && tokens && each ? (3 * tokens * each) / steps : null; // forward and backward
  }
}

function summed(differences) {
  let sum = 0;
  return differences.map((difference) => (sum += difference));
}

function isIll(store, run) {
  return store.value(run, "status") !== "finished" || store.value(run, "collapsed") !== null;
}

// The filter by which only such runs are shown.
function filterOfIll(store) { return ['status != "finished"', ...(store.column("collapsed") ? ["collapsed != null"] : [])].join(" || "); }
