"use strict";
// Verdict filter.
for (const button of document.querySelectorAll(".filter button")) {
  button.addEventListener("click", () => {
    for (const other of document.querySelectorAll(".filter button")) other.classList.toggle("on", other === button);
    for (const claim of document.querySelectorAll(".claim")) {
      claim.hidden = button.dataset.show !== "" && claim.dataset.verdict !== button.dataset.show;
    }
  });
}
// A link to a claim opens it.
function openTarget() {
  const target = document.getElementById(location.hash.slice(1));
  if (target && target.tagName === "DETAILS") { target.hidden = false; target.open = true; target.scrollIntoView(); }
}
window.addEventListener("hashchange", openTarget);
openTarget();

// Learning curves. A run: [name, arm, task, role, rate, seed, status, test score, steps, scores, train losses].
const [NAME, ARM, TASK, ROLE, RATE, SEED, STATUS, SCORE, STEPS] = [0, 1, 2, 3, 4, 5, 6, 7, 8];
const SIZE = { width: 1000, height: 420, left: 60, right: 14, top: 12, bottom: 46 };
const DATA = JSON.parse(document.getElementById("runs").textContent);
for (const data of Object.values(DATA)) for (const run of data.runs) run[STEPS] = data.steps[run[STEPS]];

function svg(tag, attributes, text) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  return node;
}
function html(tag, attributes, children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes || {})) node.setAttribute(key, value);
  for (const child of children || []) node.append(child);
  return node;
}
function ticks(low, high, wanted) {
  const rough = (high - low) / wanted || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough);
  const found = [];
  for (let t = Math.ceil(low / step) * step; t <= high + 1e-9 * step; t += step) found.push(Number(t.toPrecision(10)));
  return found;
}
function choice(label, options, changed) {
  const select = html("select", { "aria-label": label }, options.map(([value, text]) => html("option", { value }, [text])));
  select.addEventListener("change", () => changed(select.value));
  return html("label", {}, [label + " ", select]);
}
function ink(colour) { return colour === "#000000" ? "currentColor" : colour; }

function panel(root) {
  const data = DATA[root.dataset.experiment];
  const first = data.runs.length ? Math.min(...data.runs.map((run) => run[TASK])) : 0;
  const roles = [...new Set(data.runs.map((run) => run[ROLE]))];
  const state = { task: first, role: roles.includes("v") ? "v" : "t", what: 9, arms: new Set(data.arms.keys()), hidden: new Set(), marked: new Set() };
  const plot = svg("svg", { class: "plot", viewBox: `0 0 ${SIZE.width} ${SIZE.height}`, role: "img", "aria-label": "learning curves" });
  const tip = html("p", { class: "tip" });
  const arms = html("div", { class: "arms" });
  const list = html("div", { class: "list" });
  const set = (key) => (value) => { state[key] = key === "role" ? value : Number(value); draw(); };
  const taskNames = data.tasks.map((task, i) => [i, task[0]]).filter(([i]) => data.runs.some((run) => run[TASK] === i));
  const clear = html("button", { type: "button" }, ["clear choice"]);
  clear.addEventListener("click", () => { state.marked.clear(); state.hidden.clear(); state.arms = new Set(data.arms.keys()); draw(); });
  root.append(
    html("div", { class: "controls" }, [
      choice("task", taskNames, set("task")),
      choice("runs", [["v", "verdict seeds"], ["t", "tuning seeds"]].sort((a) => (a[0] === state.role ? -1 : 1)), set("role")),
      choice("show", [[9, "validation score"], [10, "training loss"]], set("what")),
      clear,
    ]),
    arms, plot, tip, html("details", {}, [html("summary", {}, ["choose runs one by one"]), list]),
  );

  const visible = () => data.runs.filter((run) => run[TASK] === state.task && run[ROLE] === state.role);
  const describe = (run) =>
    `${run[NAME]} (${data.arms[run[ARM]][0]}, rate ${run[RATE]}, seed ${run[SEED]}, ${run[STATUS]}` + (run[SCORE] === null ? ")" : `, test ${run[SCORE]})`);
  const mark = (run) => { state.marked.has(run[NAME]) ? state.marked.delete(run[NAME]) : state.marked.add(run[NAME]); draw(); };

  function draw() {
    const all = visible();
    const shown = all.filter((run) => state.arms.has(run[ARM]) && !state.hidden.has(run[NAME]) && run[STEPS].length);
    const points = shown.flatMap((run) => run[state.what].filter((y) => y !== null));
    const label = state.what === 9 ? `validation ${data.tasks[state.task][1]}` : "training loss, nats";
    const share = state.what === 9 && data.tasks[state.task][1] === "accuracy";
    let [low, high] = points.length ? [Math.min(...points), Math.max(...points)] : [0, 1];
    if (share) [low, high] = [0, 1];
    const pad = 0.04 * (high - low || 1);
    low -= pad; high += pad;
    const last = Math.max(1, ...shown.map((run) => run[STEPS][run[STEPS].length - 1]));
    const x = (step) => SIZE.left + (step / last) * (SIZE.width - SIZE.left - SIZE.right);
    const y = (value) => SIZE.height - SIZE.bottom - ((value - low) / (high - low)) * (SIZE.height - SIZE.top - SIZE.bottom);
    plot.replaceChildren();
    for (const t of ticks(low, high, 6)) {
      plot.append(svg("line", { class: "gridline", x1: SIZE.left, x2: SIZE.width - SIZE.right, y1: y(t), y2: y(t) }));
      plot.append(svg("text", { x: SIZE.left - 8, y: y(t) + 4, "text-anchor": "end" }, t));
    }
    for (const t of ticks(0, last, 8)) plot.append(svg("text", { x: x(t), y: SIZE.height - SIZE.bottom + 18, "text-anchor": "middle" }, t));
    plot.append(svg("text", { x: SIZE.width - SIZE.right, y: SIZE.height - 8, "text-anchor": "end" }, "training steps"));
    plot.append(svg("text", { x: SIZE.left + 6, y: SIZE.top + 8 }, label));
    for (const run of shown) {
      const line = run[STEPS].map((step, i) => [step, run[state.what][i]]).filter(([, value]) => value !== null);
      if (!line.length) continue;
      const [, colour, dash] = data.arms[run[ARM]];
      const path = "M" + line.map(([step, value]) => `${x(step).toFixed(1)},${y(value).toFixed(1)}`).join("L");
      const style = state.marked.size ? (state.marked.has(run[NAME]) ? "marked" : "faded") : "";
      plot.append(svg("path", { d: path, stroke: ink(colour), "stroke-dasharray": dash, class: style }));
      const [endStep, endValue] = line[line.length - 1];
      plot.append(svg("circle", { cx: x(endStep), cy: y(endValue), r: run[STATUS] === "finished" ? 2.5 : 5, fill: ink(colour), class: style }));
      const target = svg("path", { d: path, stroke: "transparent", "stroke-width": 12, style: "stroke-width:12;cursor:pointer" });
      target.addEventListener("mouseenter", () => { tip.textContent = describe(run); });
      target.addEventListener("click", () => { tip.textContent = describe(run); mark(run); });
      plot.append(target);
    }
    const failed = all.filter((run) => run[STATUS] !== "finished").length;
    const empty = all.filter((run) => !run[STEPS].length).length;
    tip.textContent = `${shown.length} of ${all.length} runs drawn` + (failed ? `, ${failed} diverged or failed (large dots)` : "") +
      (empty ? `, ${empty} without a curve` : "") + ". Point at a line for its run; click lines to hold runs against each other.";
    arms.replaceChildren(...data.arms.flatMap(([text, colour, dash], i) => {
      if (!all.some((run) => run[ARM] === i)) return [];
      const swatch = svg("svg", { width: 26, height: 8 });
      swatch.append(svg("line", { x1: 0, x2: 26, y1: 4, y2: 4, stroke: ink(colour), "stroke-width": 2.5, "stroke-dasharray": dash }));
      const button = html("button", { type: "button", class: state.arms.has(i) ? "on" : "" }, [swatch, text]);
      button.addEventListener("click", () => { state.arms.has(i) ? state.arms.delete(i) : state.arms.add(i); draw(); });
      return [button];
    }));
    list.replaceChildren(html("table", {}, [html("tbody", {}, all.map((run) => {
      const box = html("input", { type: "checkbox", "aria-label": `show ${run[NAME]}` });
      box.checked = !state.hidden.has(run[NAME]);
      box.addEventListener("change", () => { box.checked ? state.hidden.delete(run[NAME]) : state.hidden.add(run[NAME]); draw(); });
      const row = html("tr", { class: state.arms.has(run[ARM]) ? "" : "off" }, [
        html("td", {}, [box]), ...[run[NAME], run[STATUS], run[SCORE] === null ? "no score" : run[SCORE]].map((text) => html("td", {}, [String(text)])),
      ]);
      row.addEventListener("click", (event) => { if (event.target !== box) mark(run); });
      return row;
    }))]));
  }
  draw();
}
for (const root of document.querySelectorAll(".curves")) panel(root);
