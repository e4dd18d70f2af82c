// Attention maps and alignments with their tokens: rows ask, columns are looked at; dark is much weight.

function mapsOf(store, runs, most = 8) {
  return runs.flatMap((run) => (store.maps.get(run) || []).map((map) => [run, map])).slice(0, most).map(([run, map]) => mapTable(store.names[run], map));
}

function mapTable(name, [caption, queries, keys, rows, edges]) {
  const gold = new Set(edges.map(([query, key]) => `${query} ${key}`));
  const body = rows.map((row, i) => element("tr", {}, [
    element("th", { scope: "row" }, [queries[i] ?? ""]),
    ...row.split(" ").map((weight, j) => element("td", {
      class: gold.has(`${i} ${j}`) ? "gold" : null,
      style: `background: color-mix(in srgb, var(--ink) ${weight}%, transparent)`,
      title: `${queries[i] ?? i} looks at ${keys[j] ?? j}: ${weight} %`,
    })),
  ]));
  const head = element("tr", {}, [element("th"), ...keys.map((key) => element("th", { scope: "col" }, [key]))]);
  return element("div", { class: "map", tabindex: 0 }, [element("table", {}, [element("caption", {}, [`${name}: ${caption}${gold.size ? "; framed: gold edges" : ""}`]), element("thead", {}, [head]), element("tbody", {}, body)])]);
}
