// Tables of runs and of groups, on Tabulator. Cells are made when they come into sight, from the columns of the store.

const WIDTH_OF = { run: 90, score: 90, state: 90, setting: 80, fact: 80 };

function textCell(text) { return document.createTextNode(text); }

// A column whose cells are what `text(row)` says, sorted by `order(a, b)`; a row of the table is the object it was given.
function tableColumn(field, width, text, order, right = false, title = field) {
  return {
    title, field, width, minWidth: 30, hozAlign: right ? "right" : "left", headerSort: Boolean(order), resizable: right ? false : "header", // numbers fit
    titleFormatter: () => textCell(title), headerTooltip: () => textCell(field),
    formatter: (cell) => textCell(text(cell.getData())),
    sorter: order && ((_a, _b, a, b) => order(a.getData(), b.getData())),
  };
}

function titleWidth(title, least, most = 200) { return Math.max(least, Math.min(most, 42 + 7.6 * title.length)); }

// Wide enough for a column's title and for the longest of its values, within reason.
function cellWidth(column, least, most = 320) {
  const longest = column.distinct.reduce((length, value) => Math.max(length, String(value).length), 0);
  return Math.max(titleWidth(column.name, least), Math.min(most, 16 + 7.4 * longest));
}

function pickColumn(isPicked, pick) {
  return {
    title: "", field: "pick", width: 34, headerSort: false, resizable: false,
    titleFormatter: () => textCell("✓"),
    formatter: (cell) => {
      const row = cell.getData();
      const box = element("input", { type: "checkbox", "aria-label": "choose", checked: isPicked(row) });
      box.addEventListener("change", () => { pick(row, box.checked); cell.getRow().getElement().classList.toggle("picked", box.checked); });
      return box;
    },
  };
}

const BEYOND = 300; // pixels of columns made beyond what is seen: at least a column's width

function makeTable(root, columns, data, extra = {}) {
  const table = new Tabulator(root, {
    data, columns, height: "min(54vh, 470px)", layout: "fitData", renderHorizontal: "virtual", nestedFieldSeparator: false, autoResize: false, rowHeight: 27, renderVerticalBuffer: 27,
    placeholder: "no runs", columnDefaults: { headerSortTristate: true }, headerSortClickElement: "header", movableColumns: false, ...extra,
  });
  // By itself Tabulator makes two more screens of columns, and asks for each one's width every time.
  table.on("columnsLoading", () => { const { renderer } = table.columnManager; renderer.calcWindowBuffer = () => { renderer.windowBuffer = BEYOND; }; });
  return table;
}

function runColumns(store, names, isPicked, pick) {
  const known = names.map((name) => store.column(name)).filter(Boolean);
  return [
    { ...pickColumn((row) => isPicked(row.run), (row, on) => pick([row.run], on)), frozen: true },
    { ...tableColumn("name", innerWidth < 600 ? 150 : 240, (row) => store.names[row.run], (a, b) => a.run - b.run), formatter: (cell) => wholeName(store.names[cell.getData().run]), frozen: true },
    ...known.map((column) => tableColumn(column.name, column.isNumber ? titleWidth(column.name, WIDTH_OF[column.kind]) : cellWidth(column, WIDTH_OF[column.kind]),
      (row) => (column.isNumber ? digits(column.value(row.run)) : column.text(row.run)), (a, b) => column.compare(a.run, b.run), column.isNumber)),
  ];
}

function wholeName(name) { return element("span", { title: name }, [name]); } // its cell may be too narrow for it

// Columns of groups: what tells a group from the others, how many runs, which went wrong, each metric's mean, sd and interval.
function groupColumns(store, keys, metrics, isPicked, pick) {
  const known = keys.map((name) => store.column(name));
  const key = (column) => tableColumn(column.name, cellWidth(column, 70), (group) => column.text(group.runs[0]), (a, b) => column.compare(a.runs[0], b.runs[0]), column.isNumber);
  const metric = (name, i) => {
    const of = (what) => (group) => group.found[i][what];
    const order = (what) => (a, b) => (of(what)(a) ?? -Infinity) - (of(what)(b) ?? -Infinity);
    return [
      tableColumn(name, titleWidth(name, 90), (group) => digits(of("mean")(group), of("half")(group)), order("mean"), true),
      tableColumn(`${name}: sd`, 84, (group) => digits(of("sd")(group), of("sd")(group)), order("sd"), true, "sd"),
      tableColumn(`${name}: 95 % interval`, 150, (group) => interval(group.found[i]), order("half"), true, "95 % interval"),
      tableColumn(`${name}: n`, 60, (group) => String(of("n")(group)), order("n"), true, "n"),
    ];
  };
  const first = [pickColumn((group) => group.runs.every(isPicked), (group, on) => pick(group.runs, on)), ...known.map(key)];
  const stays = first.reduce((sum, { width }) => sum + width, 0) < innerWidth / 2; // else they would leave no room for scores
  return [
    ...first.map((column) => ({ ...column, frozen: stays })),
    tableColumn("runs", 76, (group) => String(group.runs.length), (a, b) => a.runs.length - b.runs.length, true),
    tableColumn("went wrong", 130, (group) => group.ill, (a, b) => a.ill.localeCompare(b.ill)),
    ...metrics.flatMap(metric),
  ];
}

function interval({ half, low, high }) {
  return half === null ? "" : `[${digits(low, half)}, ${digits(high, half)}]`;
}

// Runs that are alike, a row of the table. What is found of them is reckoned when asked for, as most rows are never in sight.
class Group {
  constructor(store, runs, metrics) { Object.assign(this, { store, runs, metrics }); }
  get found() {
    const columns = this.metrics.map((name) => this.store.column(name));
    return (this.described ??= columns.map(({ numbers, bounds }) => describe(this.runs.map((run) => numbers[run]), this.store.t, bounds)));
  }
  get ill() { return (this.wrong ??= illOf(this.store, this.runs)); }
}

// "1 failed, 2 collapsed", or nothing.
function illOf(store, runs) {
  const [status, collapsed] = [store.column("status"), store.column("collapsed")];
  const counts = {};
  for (const run of runs) {
    const how = status.value(run) !== "finished" ? status.value(run) : collapsed?.value(run);
    if (how) counts[how] = (counts[how] ?? 0) + 1;
  }
  return Object.entries(counts).map(([how, count]) => `${count} ${how}`).join(", ");
}
