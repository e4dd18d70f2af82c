// The chosen runs beside each other: curves, in which settings they differ, what they looked at.

const MOST_BESIDE = 12;

class Compare {
  constructor(root, view) {
    Object.assign(this, { root, view });
    this.later = calm(() => this.draw(), 80);
  }
  draw() {
    const { view } = this;
    const { store, picked } = view;
    if (!picked.size) {
      this.root.replaceChildren(element("p", { class: "note" }, ["Choose runs or groups by their boxes to see their curves, how their settings differ, and what they looked at."]));
      return;
    }
    const runs = [...picked].sort((a, b) => a - b);
    const curves = element("div");
    const plot = element("div", { class: "card" }, [element("h2", {}, ["Curves"]), curves]);
    const cards = [plot, this.difference(store, runs)];
    const seen = seenBy(store, runs);
    if (seen.cards.length) cards.push(element("div", { class: "card" }, [
      element("h2", {}, ["Attention maps, alignments and glimpses"]), element("p", { class: "note" }, [seen.left ? `The first ${MOST_MAPS}; ${seen.left} more are left out.` : ""]),
      element("div", { class: "maps" }, seen.cards),
    ]));
    this.root.replaceChildren(...cards);
    this.panel = new CurvePanel(curves, store, () => view.lines(), curvesOfLink(), (chosen) => writeLink(linkOfCurves(chosen)));
  }
  difference(store, runs) {
    const shown = runs.slice(0, MOST_BESIDE);
    const alone = shown.length < 2;
    const told = (column) => (alone ? column.value(shown[0]) !== null : differsAmong(column, shown));
    const kinds = alone ? ["run", "state", "score", "setting"] : ["run", "setting", "state", "score"];
    const rows = kinds.flatMap((kind) => store.columns.filter((column) => column.kind === kind && told(column)));
    const cells = (column) => shown.map((run) => element("td", {}, [column.isNumber ? digits(column.value(run)) : column.text(run)]));
    const table = element("table", { class: "numbers" }, [
      element("thead", {}, [element("tr", {}, [element("th", { scope: "col" }, [alone ? "" : "differs in"]), ...shown.map((run) => element("th", { scope: "col", style: "white-space: normal; overflow-wrap: anywhere; min-width: 7rem" }, [store.names[run]]))])]),
      element("tbody", {}, rows.map((column) => element("tr", {}, [element("th", { scope: "row" }, [column.name]), ...cells(column)]))),
    ]);
    const words = runs.length > shown.length ? `The first ${shown.length} of ${runs.length} chosen runs.` : alone ? "Choose a second run to see in what they differ." : "";
    return element("div", { class: "card difference" }, [
      element("h2", {}, [alone ? "The run" : "Differences"]), element("p", { class: "note" }, [words]),
      element("div", { class: "wide", tabindex: 0, role: "region", "aria-label": "differences" }, [table]),
      element("div", { class: "tools" }, savers("differences", () => cellsOf(table))),
    ]);
  }
}
