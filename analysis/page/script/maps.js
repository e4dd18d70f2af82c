// What the chosen runs looked at, side by side. Attention maps and alignments with their tokens: rows ask, columns are looked at;
// dark is much weight. Glimpses: images, on each the path from the first place looked at (the ring) to the last.

const MOST_MAPS = 8;
const IMAGE_SIDE = 168; // pixels at least

// The cards of these runs' maps and glimpses, and how many are left out.
function seenBy(store, runs) {
  const found = runs.flatMap((run) => [
    ...(store.maps.get(run) || []).map((map) => () => mapTable(store.names[run], map)),
    ...(store.glimpses.get(run) || []).map(([split, paths]) => () => glimpses(store, store.names[run], split, paths)),
  ]);
  return { cards: found.slice(0, MOST_MAPS).map((make) => make()), left: Math.max(0, found.length - MOST_MAPS) };
}

function mapTable(name, [caption, asking, asked, rows, edges]) {
  const [queries, keys] = [asking.map(legible), asked.map(legible)];
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

function glimpses(store, name, split, paths) {
  const images = paths.map(([image, ...places]) => drawnPath(store.images[image], places));
  return element("figure", { class: "glimpses" }, [element("figcaption", {}, [`${name}: glimpses, ${split}; the ring is the first`]), ...images]);
}

function drawnPath(rows, places) {
  const size = rows.length, scale = Math.ceil(IMAGE_SIDE / size);
  const points = [];
  for (let i = 0; i < places.length; i += 2) points.push([places[i], places[i + 1]]);
  const said = points.map(([row, column]) => `row ${Math.round(row)} column ${Math.round(column)}`).join(", then ");
  const canvas = element("canvas", { width: size * scale, height: size * scale, role: "img", "aria-label": `looked at ${said}`, title: `looked at ${said}` });
  const pen = canvas.getContext("2d");
  pen.fillStyle = "#000000";
  for (const [y, row] of rows.entries()) for (const [x, ink] of [...row].entries()) { pen.globalAlpha = parseInt(ink, 36) / 35; pen.fillRect(x * scale, y * scale, scale, scale); }
  pen.globalAlpha = 1;
  const inside = (value) => scale * Math.min(size, Math.max(0, value));
  pen.strokeStyle = pen.fillStyle = COLOURS[1];
  pen.lineWidth = 2;
  pen.beginPath();
  for (const [row, column] of points) pen.lineTo(inside(column), inside(row));
  pen.stroke();
  for (const [i, [row, column]] of points.entries()) {
    pen.beginPath();
    pen.arc(inside(column), inside(row), i ? 4 : 6, 0, 2 * Math.PI);
    pen.fillStyle = i ? COLOURS[1] : "#ffffff";
    pen.fill();
    pen.stroke();
  }
  return canvas;
}
