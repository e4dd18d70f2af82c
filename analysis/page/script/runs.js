// All runs: filter, group, choose columns, pick runs and compare them. What is shown stands in the address (`place.of`).

const ALL_BUT_THE_SEED = "*";
const MOST_PICKED = 400;

class RunsView {
  constructor(root, store) {
    Object.assign(this, { root, store, all: Array.from({ length: store.count }, (_, run) => run) });
    this.picked = new Set();
    this.sortedBy = new WeakMap(); // table -> what it is sorted by
    this.later = calm(() => this.settle(), 250);
    this.ends = new Map(); // a run's short name, where no other run has it
    for (const [run, name] of store.names.entries()) { const end = name.split("-").pop(); this.ends.set(end, this.ends.has(end) ? null : run); }
    this.build();
  }
  build() {
    this.box = element("input", { type: "search", "aria-label": "filter", placeholder: 'mixer == "attention" && test.accuracy > .9', spellcheck: "false", autocapitalize: "off" });
    this.box.addEventListener("input", () => { writeLink({ filter: this.box.value }); this.find(); this.drawTable(); this.later(); });
    this.wrong = element("div", { class: "said-wrong", role: "alert" });
    this.count = element("div", { class: "note", "aria-live": "polite" });
    this.tools = element("div", { class: "tools" });
    this.runsRoot = element("div", { id: "runs-table" });
    this.groupsRoot = element("div", { id: "groups-table" });
    this.compared = element("div", { id: "compared" });
    this.charts = element("div", { id: "charts" });
    this.root.replaceChildren(
      element("div", { class: "tools" }, [element("div", { class: "filter-box" }, [this.box, this.wrong])]),
      this.tools, this.count, this.runsRoot, this.groupsRoot, this.charts, this.compared, // a run chosen in a chart leaves it where it is
    );
    this.compare = new Compare(this.compared, this);
    this.scatter = new Charts(this.charts, this);
    this.restore();
  }
  // Everything anew from the address.
  restore() {
    this.box.value = place.of.filter ?? "";
    this.picked = new Set(listed("pick").map((name) => this.store.byName.get(name) ?? this.ends.get(name)).filter((run) => run !== undefined && run !== null));
    this.forget();
    this.find();
    this.scatter.restore();
    this.settle();
    this.compare.draw();
  }
  get keys() {
    if (place.of.group === ALL_BUT_THE_SEED) return keysButSeed(this.store);
    return listed("group").filter((name) => this.store.column(name));
  }
  get columns() {
    if (place.of.columns === ALL_BUT_THE_SEED) return this.store.columns.map((column) => column.name);
    return place.of.columns ? listed("columns") : this.differing;
  }
  // Numbers that groups are described by: those among the columns chosen, else the scores that these runs have.
  get metrics() {
    const some = (column) => this.shown.some((run) => column.codes[run] >= 0);
    const results = this.store.columns.filter((column) => column.isNumber && ["score", "fact"].includes(column.kind));
    if (place.of.columns && place.of.columns !== ALL_BUT_THE_SEED) return results.map((column) => column.name).filter((name) => this.columns.includes(name));
    const main = results.filter((column) => /^(test|out)\./.test(column.name) && !/(items|tokens|characters|loss)$/.test(column.name) && some(column));
    const steps = ["steps_to_90"].map((name) => this.store.column(name)).filter((column) => column && some(column));
    const chosen = main.length ? [...main.slice(0, 4), ...steps] : results.filter((column) => /^validation\./.test(column.name) && some(column)).slice(0, 2);
    return chosen.map((column) => column.name);
  }
  find() {
    try {
      const keep = filterOf(this.box.value, this.store);
      this.shown = this.all.filter(keep);
      this.wrong.textContent = "";
    } catch (error) {
      if (!(error instanceof ExpressionError)) throw error;
      this.wrong.textContent = error.message;
      this.shown ??= this.all;
    }
    this.mask = new Uint8Array(this.store.count);
    for (const run of this.shown) this.mask[run] = 1;
  }
  // Everything beside the rows, which stays as it is while a filter is being typed.
  settle() {
    const among = this.shown.length > 1 ? this.shown : this.all;
    const told = among.length > 1 ? (column) => differsAmong(column, among) : (column) => column.kind !== "fact"; // nothing differs in one run
    this.differing = this.store.columns.filter(told).map((column) => column.name);
    this.drawTable();
    this.drawTools();
    this.scatter.draw();
    (window.requestIdleCallback ?? setTimeout)(() => this.prepare());
  }
  // Groups by all but the seed, while nobody waits: their table takes longest to make, and most will ask for it.
  prepare() { if (place.view === "runs" && place.of.group === undefined) this.drawGroups(keysButSeed(this.store)); }
  // Tables are made anew when they are next shown.
  forget() { this.tabled = this.asked = this.groupShape = null; }
  drawTable() {
    const keys = this.keys;
    const grouped = place.of.group !== undefined;
    this.runsRoot.classList.toggle("unseen", grouped);
    this.groupsRoot.classList.toggle("unseen", !grouped);
    const ill = illOf(this.store, this.shown), onlyThese = new URLSearchParams({ ...place.of, filter: filterOfIll(this.store) });
    this.count.replaceChildren(`${this.shown.length} of ${this.store.count} runs`, ...(ill ? [", ", element("a", { class: "bad", href: `#runs?${onlyThese}`, title: "only these" }, [ill])] : []), `; ${this.picked.size} chosen`);
    grouped ? this.drawGroups(keys) : this.drawRuns();
    const table = grouped ? this.groupTable : this.table;
    if (!table.initialized) return; // it is drawn again once it has been built
    this.sort(table);
    if (table === this.stale) { this.stale = null; table.redraw(true); }
  }
  // As the address says, unless it is so already.
  sort(table) {
    if (this.sortedBy.get(table) === place.of.sort) return;
    this.sortedBy.set(table, place.of.sort);
    const order = sorted(table.getColumnDefinitions());
    order.length ? table.setSort(order) : table.clearSort();
  }
  drawRuns() {
    if (this.table && !this.table.initialized) return;
    const asked = this.columns.join(), anew = this.filtered !== this.mask;
    this.filtered = this.mask;
    if (this.tabled === asked) {
      if (anew) this.table.setFilter((row) => this.mask[row.run] === 1);
      return;
    }
    this.table?.destroy();
    this.tabled = asked;
    const columns = runColumns(this.store, this.columns, (run) => this.picked.has(run), (runs, on) => this.pick(runs, on));
    this.table = makeTable(this.runsRoot, columns, this.all.map((run) => ({ run })), {
      initialFilter: (row) => this.mask[row.run] === 1,
      initialSort: sorted(columns),
      rowFormatter: (row) => {
        const { run } = row.getData();
        row.getElement().classList.toggle("picked", this.picked.has(run));
        row.getElement().classList.toggle("ill", isIll(this.store, run));
      },
    });
    this.watch(this.table);
  }
  watch(table) {
    table.on("tableBuilt", () => { if (place.view === "runs") this.drawTable(); });
    this.sortedBy.set(table, place.of.sort);
    table.on("dataSorted", ([first]) => {
      const unsorted = !first && table.initialized && sorted(table.getColumnDefinitions()).length; // by a third click on a heading
      if (place.view !== "runs" || !(first || unsorted)) return;
      writeLink({ sort: first ? (first.dir === "desc" ? "-" : "") + first.field : "" });
      this.sortedBy.set(table, place.of.sort);
    });
  }
  drawGroups(keys) {
    if (this.groupTable && !this.groupTable.initialized) return;
    const metrics = this.metrics;
    const columns = keys.map((name) => this.store.column(name));
    const asked = [...keys, "|", ...metrics].join();
    if (this.groupTable && this.grouped === this.mask && this.asked === asked) return; // it is still there
    Object.assign(this, { grouped: this.mask, asked });
    this.groups = groupsOf(this.shown, columns).map(({ runs }) => new Group(this.store, runs, metrics));
    const telling = (this.telling = tellingKeys(this.shown, columns));
    const shape = [...telling, "|", ...metrics].join();
    if (this.groupTable && this.groupShape === shape) { this.groupTable.replaceData(this.groups); return; }
    this.groupTable?.destroy();
    this.groupShape = shape;
    const made = groupColumns(this.store, telling, metrics, (run) => this.picked.has(run), (runs, on) => this.pick(runs, on));
    this.groupTable = makeTable(this.groupsRoot, made, this.groups, { initialSort: sorted(made) });
    this.watch(this.groupTable);
  }
  pick(runs, on) {
    for (const run of runs) on ? this.picked.add(run) : this.picked.delete(run);
    const names = [...this.picked].slice(0, MOST_PICKED).map((run) => { const end = this.store.names[run].split("-").pop(); return this.ends.get(end) === run ? end : this.store.names[run]; });
    writeLink({ pick: names.join(",") });
    this.stale = place.of.group === undefined ? this.groupTable : this.table; // the one out of sight has boxes of before
    this.count.lastChild.textContent = `; ${this.picked.size} chosen`;
    this.compare.later();
    this.scatter.chart?.redraw(false);
  }
  toggle(run) { this.pick([run], !this.picked.has(run)); this.redraw(); }
  // Lines of curves: each chosen run, or the chosen runs group by group while the table is grouped.
  lines() {
    const runs = [...this.picked].sort((a, b) => a - b);
    const keys = place.of.group === undefined ? null : this.keys;
    if (!keys) return runs.map((run, i) => ({ label: this.store.names[run], runs: [run], ...look(i) }));
    const columns = keys.map((name) => this.store.column(name));
    const telling = tellingKeys(runs, columns);
    return groupsOf(runs, columns).map((group, i) => ({ label: labelOf(this.store, telling, group.runs[0]), runs: group.runs, ...look(i) }));
  }
  set(changes) {
    writeLink(changes);
    if ("columns" in changes) this.forget();
    this.drawTable();
    this.drawTools();
    this.scatter.later();
    this.compare.later();
  }
  drawTools() {
    const { store } = this;
    const kinds = { run: "what it is", setting: "settings", score: "scores", state: "how it went", fact: "more" };
    const names = (wanted) => Object.entries(kinds).map(([kind, title]) => [title, store.columns.filter((column) => column.kind === kind && wanted(column)).map((column) => column.name)]);
    const grouped = place.of.group !== undefined;
    const regroup = (name, on) => { const now = place.of.group === ALL_BUT_THE_SEED ? this.keys : listed("group"); this.set({ group: (on ? [...now, name] : now.filter((one) => one !== name)).join(",") }); this.tools.querySelector(".choices.by").open = true; };
    const recolumn = (name, on) => { const now = this.columns; this.set({ columns: (on ? [...now, name] : now.filter((one) => one !== name)).join(",") }); this.tools.querySelector(".choices.which").open = true; };
    const by = boxes("group by", names((column) => isKey(column) && column.differs), (name) => listed("group").includes(name), regroup);
    const which = boxes("columns", names(() => true), (name) => this.columns.includes(name), recolumn, [element("div", { class: "tools" }, [
      button("only keys that differ", () => this.set({ columns: "" })), button("all", () => this.set({ columns: ALL_BUT_THE_SEED })),
      button("scores and settings of these runs", () => this.set({ columns: this.tellingApart().join(",") })),
    ])]);
    by.classList.add("by"); which.classList.add("which");
    const sort = (place.of.sort ?? "").replace(/^-/, "");
    this.tools.replaceChildren(
      button("group: all but the seed", () => this.set({ group: ALL_BUT_THE_SEED }), { "aria-pressed": String(place.of.group === ALL_BUT_THE_SEED), id: "all-but-the-seed" }), by,
      button("single runs", () => this.set({ group: "" }), { "aria-pressed": String(!grouped), id: "ungroup" }),
      which,
      choice("sort by", [["", grouped ? "as they come" : "name"], ...(grouped ? [...this.telling, "runs", ...this.metrics] : this.columns)], sort, (name) => this.set({ sort: name })),
      button("reverse", () => this.set({ sort: (place.of.sort ?? "").startsWith("-") ? sort : `-${sort}` }), { disabled: !sort }),
      button("choose all shown", () => { this.pick(this.shown.slice(0, MOST_PICKED), true); this.redraw(); }),
      button("choose none", () => { this.pick([...this.picked], false); this.redraw(); }),
      ...savers("runs", () => this.rows()),
      button("copy link", () => navigator.clipboard?.writeText(location.href.split("#")[0] + linkOfView())),
    );
  }
  redraw() { (place.of.group === undefined ? this.table : this.groupTable)?.redraw(true); this.drawTable(); }
  // Columns that tell the shown runs apart.
  tellingApart() {
    return this.store.columns.filter((column) => column.kind !== "fact" && differsAmong(column, this.shown)).map((column) => column.name);
  }
  // What is shown, as lines of cells.
  rows() {
    const { store } = this;
    const table = place.of.group === undefined ? this.table : this.groupTable;
    const order = table ? table.getRows("active").map((row) => row.getData()) : [];
    if (place.of.group === undefined) return store.rows(order.map(({ run }) => run), this.columns.map((name) => store.column(name)).filter(Boolean));
    const [keys, metrics] = [this.telling, this.metrics];
    const head = [...keys, "runs", "went wrong", ...metrics.flatMap((name) => [`${name} mean`, `${name} sd`, `${name} low`, `${name} high`, `${name} n`])];
    const number = (value) => (value === null ? "" : String(Number(value.toPrecision(6))));
    return [head, ...order.map((group) => [
      ...keys.map((name) => store.column(name).text(group.runs[0])), group.runs.length, group.ill,
      ...group.found.flatMap(({ n, mean, sd, low, high }) => [...[mean, sd, low, high].map(number), n]),
    ])];
  }
}

// The sort that the address asks for, where there is such a column.
function sorted(columns) {
  const [name, dir] = [(place.of.sort ?? "").replace(/^-/, ""), (place.of.sort ?? "").startsWith("-") ? "desc" : "asc"];
  return columns.some((column) => column.field === name) ? [{ column: name, dir }] : [];
}

// What tells a group from the others: its values in the columns that do.
function labelOf(store, telling, run) {
  return telling.map((name) => `${name}=${store.column(name).text(run) || "none"}`).join(" ") || "all";
}
