// Learning curves on uPlot: lines of single runs, or the mean over runs with its 95 % interval.

const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a7a7a", "#8b5a2b", "#6a3d9a", "#b22222", "#556b2f", "#444444"];
const DASHES = [[], [6, 3], [6, 2, 1, 2], [2, 3], [9, 3], [3, 2, 1, 2, 1, 2]];
const UNITS = { steps: "steps", samples: "samples", multiply_adds: "multiply-adds", seconds: "seconds" };
const MOST_LINES = 80;
const UNZOOMS = { x: { zoomx: "" }, logx: { zoomx: "" }, series: { zoomy: "" }, logy: { zoomy: "" } }; // with what a zoom ends, as its axis is another

// Draws into `root` what `lines()` gives: [{label, runs, colour, dash}]. `of` holds what is chosen; `changed` is told of changes.
class CurvePanel {
  constructor(root, store, lines, of = {}, changed = () => {}) {
    Object.assign(this, { root, store, lines, changed });
    this.of = { series: "", x: "steps", logx: false, logy: false, smooth: 0, mean: true, singles: false, zoomx: "", zoomy: "", ...of };
    this.tools = element("div", { class: "tools" });
    this.plot = element("div", { role: "img", "aria-label": "learning curves" });
    this.legend = element("div", { class: "legend" });
    this.tip = element("div", { class: "tip", "aria-live": "polite" });
    root.replaceChildren(this.tools, this.plot, this.legend, this.tip);
    this.draw(true);
    new ResizeObserver(() => this.fit()).observe(root);
  }
  get width() { return Math.max(280, this.root.clientWidth || 800); }
  fit() { if (this.chart && this.root.clientWidth && this.chart.width !== this.width) this.chart.setSize({ width: this.width, height: this.chart.height }); }
  set(key, value) { Object.assign(this.of, { [key]: value }, UNZOOMS[key]); this.changed(this.of); this.draw(); }
  draw(tools = false) {
    const lines = this.lines();
    const { curveData } = this.store;
    const present = new Set(lines.flatMap((line) => line.runs.flatMap((run) => (curveData.runs[run] || []).slice(1).map((coded) => coded[0]))));
    const names = [...present].map((series) => curveData.series[series]);
    if (!names.includes(this.of.series)) this.of.series = names.find((name) => name.startsWith("validation") && !name.endsWith("loss")) ?? names[0] ?? "";
    this.series = curveData.series.indexOf(this.of.series);
    if (tools || this.shownNames !== names.join()) this.drawTools(names);
    this.shownNames = names.join();
    this.drawPlot(lines);
  }
  drawTools(names) {
    const smooth = element("input", { type: "range", min: 0, max: 0.95, step: 0.05, value: this.of.smooth, "aria-label": "smoothing" });
    smooth.addEventListener("input", () => this.set("smooth", Number(smooth.value)));
    this.tools.replaceChildren(
      choice("show", names, this.of.series, (value) => this.set("series", value)),
      choice("against", Object.entries(UNITS), this.of.x, (value) => this.set("x", value)),
      tick("logarithmic x", this.of.logx, (on) => this.set("logx", on)),
      tick("logarithmic y", this.of.logy, (on) => this.set("logy", on)),
      tick("mean and 95 % interval", this.of.mean, (on) => this.set("mean", on)),
      tick("single runs", this.of.singles, (on) => this.set("singles", on)),
      element("label", {}, ["smoothing ", smooth]),
      ...[["+", "zoom in", 0.5, 0], ["\u2212", "zoom out", 2, 0], ["\u2190", "earlier", 1, -0.25], ["\u2192", "later", 1, 0.25]].map(([sign, label, times, by]) => button(sign, () => this.zoom(times, by), { "aria-label": label, title: label })),
      button("whole range", () => this.zoomTo({ x: "", y: "" })), csvSaver("curves", () => this.rows()),
    );
  }
  // The range of x made so many times as wide about its middle, and moved by a share of it.
  zoom(times, by) {
    if (!this.chart) return;
    const scale = this.of.logx ? [Math.log, Math.exp] : [Number, Number];
    const xs = this.chart.data[0];
    const [first, last] = [xs[0], xs.at(-1)].map(scale[0]);
    const [low, high] = [this.chart.scales.x.min, this.chart.scales.x.max].map(scale[0]);
    const wide = Math.min(last - first, times * (high - low));
    const middle = Math.min(last - wide / 2, Math.max(first + wide / 2, (low + high) / 2 + by * (high - low)));
    this.zoomTo({ x: wide < last - first ? endsOf(scale[1](middle - wide / 2), scale[1](middle + wide / 2)) : "" });
  }
  // The part of x, of y or of both that is asked for.
  zoomTo({ x = this.of.zoomx, y = this.of.zoomy }) {
    Object.assign(this.of, { zoomx: x, zoomy: y });
    this.changed(this.of);
    if (this.chart) showZoom(this.chart, { x, y });
  }
  // The curve of one run in the unit asked for, smoothed: [[x, y]].
  points(run) {
    const curve = this.store.curve(run, this.series);
    const each = curve && this.store.perStep(run, this.of.x);
    if (!each) return [];
    let mean = null;
    return curve.steps.map((step, i) => [step * each, curve.values[i]]).filter(([, y]) => y !== null).map(([x, y]) => {
      mean = mean === null ? y : this.of.smooth * mean + (1 - this.of.smooth) * y;
      return [x, mean];
    });
  }
  drawPlot(lines) {
    const shared = lines.length > 12 || lines.some((line) => line.runs.length > 1);
    const tables = [], series = [{}], bands = [], missing = [];
    this.drawn = []; // {line, run, xs, ys, low, high}
    const bounds = this.store.curveData.bounds[this.series];
    const share = bounds?.[1] === 1;
    for (const line of lines.slice(0, MOST_LINES)) {
      const curves = line.runs.map((run) => [run, this.points(run)]).filter(([, points]) => points.length);
      if (!curves.length) { missing.push(line.label); continue; }
      const look = { stroke: line.colour, dash: line.dash, width: 1.8, spanGaps: true, points: { show: curves.every(([, points]) => points.length === 1) } };
      if (this.of.mean && curves.length > 1) {
        const { xs, mean, low, high } = averaged(curves.map(([, points]) => points), this.store.t, bounds);
        const at = series.length;
        this.drawn.push({ line: line.label, run: `mean of ${curves.length}`, xs, ys: mean, low, high });
        tables.push([xs, low, mean, high]);
        const bound = { stroke: "transparent", label: "", spanGaps: true, points: { show: false }, of: at + 1 };
        series.push(bound, { ...look, label: `${line.label} (${curves.length})`, mean: true }, { ...bound });
        bands.push({ series: [at + 2, at], fill: line.colour + "26" });
      }
      if (this.of.singles || !this.of.mean || curves.length === 1) {
        for (const [run, points] of curves) {
          const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)];
          this.drawn.push({ line: line.label, run: this.store.names[run], xs, ys });
          tables.push([xs, ys]);
          series.push({ ...look, width: this.of.mean && curves.length > 1 ? 0.8 : 1.6, label: curves.length > 1 ? this.store.names[run] : line.label });
        }
      }
    }
    this.chart?.destroy();
    this.chart = null;
    this.legend.replaceChildren(...lines.slice(0, MOST_LINES).map(swatch));
    if (!tables.length) {
      this.tip.textContent = lines.length ? "None of these runs has such a curve." : "No run is chosen.";
      return;
    }
    const said = [missing.length ? `${missing.length} without such a curve` : "", lines.length > MOST_LINES ? `the first ${MOST_LINES} of ${lines.length} lines` : "",
      shared && this.of.mean ? "a run that stopped early keeps its last score in the mean" : "", "drag to zoom, twice a click for all"];
    const rest = said.filter(Boolean).join("; ");
    this.tip.textContent = rest;
    let near = null; // the line that the pointer is near to
    const [soft, line] = [() => colour("soft"), () => colour("line")]; // asked for at each drawing, as light and dark may change
    const axis = { stroke: soft, grid: { stroke: line, width: 1 }, ticks: { stroke: line } };
    this.chart = new uPlot(zoomable({
      width: this.width,
      height: 340,
      legend: { show: false },
      cursor: { focus: { prox: 24 }, hover: { skip: [null, undefined], prox: 40 } },
      focus: { alpha: 0.35 },
      scales: { x: { time: false, distr: this.of.logx ? 3 : 1 }, y: { distr: this.of.logy ? 3 : 1, range: share && !this.of.logy ? (_, low, high) => [Math.min(0, low), Math.max(1, high)] : undefined } },
      axes: [{ ...axis, label: UNITS[this.of.x], labelSize: 20, values: (_, ticks) => ticks.map(short) }, { ...axis, size: 56, label: this.of.series, labelSize: 20, values: (_, ticks) => ticks.map(short) }],
      series,
      bands,
      hooks: { setSeries: [(_, i) => { near = i; }], setCursor: [(chart) => { this.tip.textContent = this.at(chart, near) || rest; }] },
    }, (part) => this.zoomTo(part)), this.logged(tables.length > 1 ? uPlot.join(tables) : tables[0]), this.plot);
    showZoom(this.chart, { x: this.of.zoomx, y: this.of.zoomy });
  }
  // What a line says where the pointer is: "attention (10): 300 steps, validation accuracy 0.97 [0.95, 0.99]".
  at(chart, nearest) {
    const i = chart.series[nearest]?.of ?? nearest; // where a line has no spread, its bounds lie on it
    const { label, mean } = chart.series[i] ?? {}, at = chart.cursor.idxs[i];
    if (!label || at === null || at === undefined) return "";
    const [x, y, low, high] = [0, i, i - 1, i + 1].map((row) => chart.data[row]?.[at]);
    const half = mean && low !== null ? (high - low) / 2 : null;
    return `${label}: ${short(x)} ${UNITS[this.of.x]}, ${this.of.series} ${digits(y, half)}${half === null ? "" : ` [${digits(low, half)}, ${digits(high, half)}]`}`;
  }
  // What is drawn, as lines of cells: a line's mean or one run at one x.
  rows() {
    const points = this.drawn.flatMap(({ line, run, xs, ys, low, high }) => xs.map((x, i) => [line, run, x, ys[i], low?.[i] ?? "", high?.[i] ?? ""]));
    return [["line", "run", UNITS[this.of.x], this.of.series, "low", "high"], ...points];
  }
  // Logarithms have no place for what is not above 0.
  logged(data) {
    const above = (values) => values.map((value) => (value > 0 ? value : null));
    const kept = this.of.logx ? data[0].findIndex((x) => x > 0) : 0;
    const cut = kept > 0 ? data.map((values) => values.slice(kept)) : data;
    return this.of.logy ? [cut[0], ...cut.slice(1).map(above)] : cut;
  }
}

// What a panel shows, as parameters of a link, and what a link asks of a panel.
function linkOfCurves({ series, x, logx, logy, smooth, mean, singles, zoomx, zoomy }) {
  return { show: series, against: x === "steps" ? "" : x, logx: logx ? 1 : "", logy: logy ? 1 : "", smooth: smooth || "", mean: mean === false ? 0 : "", singles: singles ? 1 : "", zoomx, zoomy };
}
function curvesOfLink() {
  const { show = "", against = "steps", logx, logy, smooth = 0, mean, singles, zoomx = "", zoomy = "" } = place.of;
  return { series: show, x: against, logx: logx === "1", logy: logy === "1", smooth: Number(smooth), mean: mean !== "0", singles: singles === "1", zoomx, zoomy };
}

// Mean and interval of curves over all their x; a curve is linear between its points and keeps its last value.
function averaged(curves, t, bounds) {
  const xs = [...new Set(curves.flatMap((points) => points.map(([x]) => x)))].sort((a, b) => a - b).filter((x) => curves.every((points) => points[0][0] <= x));
  const mean = [], low = [], high = [];
  const at = curves.map(() => 0);
  for (const x of xs) {
    const values = curves.map((points, i) => {
      while (at[i] + 1 < points.length && points[at[i] + 1][0] <= x) at[i] += 1;
      const [[x0, y0], next] = [points[at[i]], points[at[i] + 1]];
      return next ? y0 + ((x - x0) / (next[0] - x0)) * (next[1] - y0) : y0;
    });
    const found = describe(values, t, bounds);
    mean.push(found.mean);
    low.push(found.low);
    high.push(found.high);
  }
  return { xs, mean, low, high };
}

function swatch(line) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("width", 26); svg.setAttribute("height", 8);
  const stroke = document.createElementNS("http://www.w3.org/2000/svg", "line");
  for (const [key, value] of Object.entries({ x1: 0, x2: 26, y1: 4, y2: 4, stroke: line.colour, "stroke-width": 2.5, "stroke-dasharray": line.dash.join(" ") })) stroke.setAttribute(key, value);
  svg.append(stroke);
  return element("span", {}, [svg, line.label + (line.runs.length > 1 ? ` (${line.runs.length})` : "")]);
}

// The colour and dashes of the nth line; black shows in the dark as well.
function look(n) { return { colour: COLOURS[n % COLOURS.length], dash: DASHES[Math.floor(n / COLOURS.length + n) % DASHES.length] }; }
function visible(ink) { return ink === "#000000" ? "#808890" : ink; }
function short(value) {
  if (value === null) return "";
  const size = Math.abs(value);
  for (const [unit, sign] of [[1e15, "P"], [1e12, "T"], [1e9, "G"], [1e6, "M"], [1e4, "k"]]) if (size >= unit) return `${Number((value / (sign === "k" ? 1e3 : unit)).toPrecision(3))}${sign}`;
  return String(Number(value.toPrecision(4)));
}
