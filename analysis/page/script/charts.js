// Scatter plot (on uPlot) and parallel coordinates of the runs that are shown, over any columns.

const CHARTS = ["scatter", "parallel"];
// The nth group's mark, so that groups are told apart in grey as well: corners around the middle, or a circle.
const MARKS = [[], [[-1, -1], [1, -1], [1, 1], [-1, 1]], [[0, -1.3], [1.2, 1], [-1.2, 1]], [[0, -1.4], [1.4, 0], [0, 1.4], [-1.4, 0]], [[0, 1.3], [1.2, -1], [-1.2, -1]]];
const LEAST_BETWEEN = 110; // pixels from an axis of the parallel coordinates to the next

class Charts {
  constructor(root, view) {
    Object.assign(this, { root, view });
    this.later = calm(() => this.draw(), 150);
    this.scatter = element("div");
    this.lines = element("canvas", { class: "parallel", role: "img", "aria-label": "parallel coordinates" });
    this.tip = element("div", { class: "tip", "aria-live": "polite" });
    this.tools = element("div", { class: "tools" });
    this.axes = element("div", { class: "tools" });
    this.folds = [
      element("details", { class: "card" }, [element("summary", {}, ["Scatter plot of the runs shown"]), this.tools, this.scatter, this.tip]),
      element("details", { class: "card" }, [element("summary", {}, ["Parallel coordinates of the runs shown"]), this.axes, element("div", { class: "scrolled" }, [this.lines])]),
    ];
    for (const fold of this.folds) fold.addEventListener("toggle", () => { writeLink({ chart: CHARTS.filter((_, i) => this.folds[i].open).join(",") }); if (fold.open) this.draw(); });
    root.replaceChildren(...this.folds);
  }
  // Open as the address says.
  restore() { for (const [i, fold] of this.folds.entries()) fold.open = listed("chart").includes(CHARTS[i]); }
  draw() {
    if (this.folds[0].open) this.drawScatter();
    if (this.folds[1].open) this.drawParallel();
  }
  names() { return this.view.store.columns.filter((column) => column.differs).map((column) => column.name); }
  drawScatter() {
    const { store, shown, metrics } = this.view;
    const names = this.names();
    const known = (name) => (store.column(name) ? name : names[0]);
    const of = { x: place.of.x ?? known("rate"), y: place.of.y ?? known(metrics[0]), by: place.of.by ?? known("arm") };
    const set = (changes) => { writeLink(changes); this.draw(); };
    const zoomTo = ({ x = place.of.zx, y = place.of.zy }) => { writeLink({ zx: x, zy: y }); if (this.chart) showZoom(this.chart, { x, y }); };
    this.tools.replaceChildren(
      choice("x", names, of.x, (x) => set({ x, zx: "" })), choice("y", names, of.y, (y) => set({ y, zy: "" })), choice("colour by", names, of.by, (by) => set({ by })),
      tick("logarithmic x", place.of.lx === "1", (on) => set({ lx: on ? 1 : "", zx: "" })), tick("logarithmic y", place.of.ly === "1", (on) => set({ ly: on ? 1 : "", zy: "" })),
      button("whole range", () => zoomTo({ x: "", y: "" })),
    );
    this.chart?.destroy();
    this.chart = null;
    this.marked = [];
    const columns = [of.x, of.y, of.by].map((name) => store.column(name)), [x, y, by] = columns;
    if (columns.includes(undefined)) { this.tip.textContent = "There is no such column."; return; }
    const [lx, ly] = [place.of.lx === "1" && x.isNumber, place.of.ly === "1" && y.isNumber];
    const at = (column, run) => (column.isNumber ? column.numbers[run] : column.codes[run]);
    const runs = shown.filter((run) => x.codes[run] >= 0 && y.codes[run] >= 0 && (!lx || at(x, run) > 0) && (!ly || at(y, run) > 0)).sort((a, b) => at(x, a) - at(x, b));
    const counts = new Map();
    for (const run of runs) counts.set(by.codes[run], (counts.get(by.codes[run]) ?? 0) + 1);
    const most = COLOURS.length * MARKS.length; // told apart by colour and mark together, as their numbers have no common divisor
    const kept = [...counts.entries()].sort((a, b) => b[1] - a[1]).slice(0, counts.size > most ? most - 1 : most).map(([code]) => code);
    const rest = counts.size > kept.length ? [null] : [];
    const groups = [...kept, ...rest];
    const numbered = new Map(kept.map((code, i) => [code, i]));
    const groupOf = runs.map((run) => numbered.get(by.codes[run]) ?? kept.length);
    const label = (code) => (code === null ? `${counts.size - kept.length} others` : code < 0 ? "none" : String(by.values[code]));
    this.marked = runs;
    this.tools.append(csvSaver("scatter", () => store.rows(runs, columns)));
    if (!runs.length) { this.tip.textContent = "No run shown has both."; return; }
    const hint = this.tip.textContent = "a click chooses a run; drag to zoom, twice a click for all";
    let under; // the run whose mark the pointer is on
    const ticks = (column) => (_, values) => values.map((value) => (column.isNumber ? short(value) : Number.isInteger(value) ? String(column.values[value] ?? "") : ""));
    const axis = { stroke: colour("soft"), grid: { stroke: colour("line"), width: 1 }, ticks: { stroke: colour("line") } };
    this.chart = new uPlot(zoomable({
      width: Math.max(280, this.scatter.clientWidth || 800), height: 380, legend: { show: false }, cursor: { focus: { prox: 16 } },
      scales: { x: { time: false, distr: lx ? 3 : 1 }, y: { distr: ly ? 3 : 1 } },
      axes: [{ ...axis, label: of.x, labelSize: 20, values: ticks(x) }, { ...axis, size: y.isNumber ? 56 : 110, label: of.y, labelSize: 20, values: ticks(y) }],
      series: [{}, { stroke: colour("ink"), paths: () => null, points: { show: false } }],
      hooks: { draw: [(chart) => drawMarks(chart, groupOf, runs.map((run) => this.view.picked.has(run)))], setCursor: [(chart) => { under = runs[nearestMark(chart)]; this.tip.textContent = under === undefined ? hint : `${store.names[under]}: ${columns.map((column) => `${column.name} ${column.text(under) || "none"}`).join(", ")}`; }] },
    }, zoomTo), [runs.map((run) => at(x, run)), runs.map((run) => at(y, run))], this.scatter);
    this.chart.over.addEventListener("click", () => { if (under !== undefined) this.view.toggle(under); });
    showZoom(this.chart, { x: place.of.zx, y: place.of.zy });
    this.scatter.append(element("div", { class: "legend" }, groups.map((code, i) => element("span", {}, [markOf(i), label(code)]))));
    this.scatter.replaceChildren(this.chart.root, this.scatter.lastChild);
  }
  drawParallel() {
    const { store, shown, metrics } = this.view;
    const differs = (name) => new Set(shown.map((run) => store.column(name)?.codes[run])).size > 1;
    const names = place.of.axes ? listed("axes").filter((name) => store.column(name)) : ["mixer", "task", "rate", "model.layers", "model.width", "steps", metrics[0]].filter(differs);
    const kept = boxes("axes", [["", this.names()]], (name) => names.includes(name), (name, on) => { writeLink({ axes: (on ? [...names, name] : names.filter((one) => one !== name)).join(",") }); this.draw(); this.axes.querySelector("details").open = true; });
    const columns = names.map((name) => store.column(name));
    const lacking = columns.filter((column) => shown.some((run) => column.codes[run] < 0)).map((column) => column.name);
    const whole = shown.filter((run) => columns.every((column) => column.codes[run] >= 0));
    const left = shown.length - whole.length;
    this.joined = whole;
    this.axes.replaceChildren(kept, csvSaver("parallel", () => store.rows(whole, columns)), element("span", { class: "note" }, [`coloured by the last axis${left ? `; ${left} of ${shown.length} runs are left out, as they have no ${lacking.join(" or no ")}` : ""}`]));
    const canvas = this.lines, scale = window.devicePixelRatio || 1;
    canvas.style.minWidth = `${LEAST_BETWEEN * names.length}px`;
    const [width, height] = [canvas.clientWidth || 800, 340];
    canvas.width = width * scale; canvas.height = height * scale;
    const pen = canvas.getContext("2d");
    pen.scale(scale, scale);
    pen.font = "12px system-ui, sans-serif";
    if (columns.length < 2) return;
    const [start, end, top, bottom] = [50, 70, 52, 16];
    const x = (i) => start + (i * (width - start - end)) / (columns.length - 1);
    const spans = columns.map((column) => {
      const present = [...new Set(whole.map((run) => column.codes[run]))];
      if (!column.isNumber) { const order = present.sort((a, b) => (column.values[a] < column.values[b] ? -1 : 1)); return { place: (run) => (order.length > 1 ? order.indexOf(column.codes[run]) / (order.length - 1) : 0.5), ends: order.map((code) => column.values[code]) }; }
      const values = present.map((code) => column.values[code]);
      const [low, high] = [Math.min(...values), Math.max(...values)];
      const log = low > 0 && high / low > 50;
      const scaled = (value) => (log ? Math.log(value) : value);
      return { place: (run) => (high > low ? (scaled(column.numbers[run]) - scaled(low)) / (scaled(high) - scaled(low)) : 0.5), ends: [low, high].map(short) };
    });
    const y = (share) => height - bottom - share * (height - top - bottom);
    pen.globalAlpha = Math.max(0.06, Math.min(0.7, 60 / whole.length));
    for (const run of whole) {
      const last = spans.at(-1).place(run);
      pen.strokeStyle = `hsl(${220 - 190 * last} 70% 50%)`;
      pen.beginPath();
      columns.forEach((_, i) => pen.lineTo(x(i), y(spans[i].place(run))));
      pen.stroke();
    }
    pen.globalAlpha = 1;
    const write = (text, x, y) => { pen.lineWidth = 4; pen.strokeStyle = colour("card"); pen.strokeText(text, x, y); pen.fillText(text, x, y); pen.lineWidth = 1; };
    pen.fillStyle = colour("ink");
    columns.forEach((column, i) => {
      pen.strokeStyle = colour("soft"); pen.beginPath(); pen.moveTo(x(i), y(0)); pen.lineTo(x(i), y(1)); pen.stroke();
      pen.textAlign = "center"; write(column.name.slice(-22), x(i), 12 + 14 * (i % 2));
      pen.textAlign = "left";
      const { ends } = spans[i];
      ends.forEach((end, j) => { if (ends.length <= 14 || j % Math.ceil(ends.length / 14) === 0) write(String(end).slice(0, 18), x(i) + 4, y(ends.length > 1 ? j / (ends.length - 1) : 0.5) + 4); });
    });
  }
}

function mark(n, x, y, half) {
  const path = new Path2D(), corners = MARKS[n % MARKS.length];
  if (!corners.length) path.arc(x, y, half, 0, 2 * Math.PI);
  for (const [right, down] of corners) path.lineTo(x + right * half, y + down * half);
  path.closePath();
  return path;
}

// The index of the mark within some pixels of the pointer, the nearest one.
function nearestMark(chart, within = 12) {
  const { cursor: { left, top }, data: [xs, ys] } = chart;
  let [nearest, least] = [-1, within ** 2];
  for (let i = 0; i < xs.length; i++) {
    const distance = (chart.valToPos(xs[i], "x") - left) ** 2 + (chart.valToPos(ys[i], "y") - top) ** 2;
    if (distance < least) [nearest, least] = [i, distance];
  }
  return nearest;
}

// Draws each point's mark in the colour of its group, and a ring around those that are picked.
function drawMarks(chart, groupOf, picked) {
  const { ctx, bbox, data: [xs, ys] } = chart;
  const paths = [], rings = new Path2D();
  for (let i = 0; i < xs.length; i++) {
    const [x, y] = [chart.valToPos(xs[i], "x", true), chart.valToPos(ys[i], "y", true)];
    const inside = x >= bbox.left && x <= bbox.left + bbox.width && y >= bbox.top && y <= bbox.top + bbox.height;
    if (!inside) continue;
    (paths[groupOf[i]] ??= new Path2D()).addPath(mark(groupOf[i], x, y, 3.5 * devicePixelRatio));
    if (picked[i]) rings.addPath(mark(0, x, y, 7 * devicePixelRatio));
  }
  ctx.save();
  for (const [group, path] of paths.entries()) {
    if (!path) continue;
    ctx.strokeStyle = look(group).colour;
    ctx.fillStyle = `${look(group).colour}99`;
    ctx.fill(path);
    ctx.stroke(path);
  }
  ctx.strokeStyle = colour("ink");
  ctx.stroke(rings);
  ctx.restore();
}

function markOf(n) {
  const canvas = element("canvas", { width: 14, height: 14 });
  const pen = canvas.getContext("2d");
  pen.fillStyle = look(n).colour;
  pen.fill(mark(n, 7, 7, 4.5));
  return canvas;
}
