// What the chosen runs looked at, side by side. Attention maps and alignments with their tokens: rows ask, columns are looked at;
// dark is much weight. Glimpses: images, on each the path of the places looked at.

const MOST_MAPS = 8;
const IMAGE_SIDE = 168; // pixels at least

// The cards of these runs' maps and glimpses, and how many are left out.
function seenBy(store, runs) {
  const found = runs.flatMap((run) => [
    ...(store.maps.get(run) || []).map((map) => () => mapTable(store.names[run], map)),
    ...(store.glimpses.get(run) || []).map(([split, paths]) => () => glimpses(store, run, split, paths)),
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

function glimpses(store, run, split, paths) {
  const patch = store.value(run, "architecture.patch");
  const images = paths.map(([image, ...places]) => drawnPath(store.images[image], places, patch));
  const caption = `${store.names[run]}: glimpses, ${split}, from the ring to the large dot${patch ? "; framed: what each sees sharply" : ""}`;
  return element("figure", { class: "glimpses" }, [element("figcaption", {}, [caption]), ...images]);
}

// An image in its own black and white, by day and in the dark; around each place the square of `patch` pixels.
function drawnPath(rows, places, patch) {
  const size = rows.length, scale = Math.ceil(IMAGE_SIDE / size);
  const points = [];
  for (let i = 0; i < places.length; i += 2) points.push([places[i], places[i + 1]]);
  const said = points.map(([row, column]) => `row ${Math.round(row)} column ${Math.round(column)}`).join(", then ");
  const canvas = element("canvas", { width: size * scale, height: size * scale, role: "img", "aria-label": `looked at ${said}`, title: `looked at ${said}` });
  const pen = canvas.getContext("2d");
  pen.fillStyle = "#ffffff";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.fillStyle = "#000000";
  for (const [y, row] of rows.entries()) for (const [x, ink] of [...row].entries()) { pen.globalAlpha = parseInt(ink, 36) / 35; pen.fillRect(x * scale, y * scale, scale, scale); }
  pen.globalAlpha = 1;
  const inside = (value) => scale * Math.min(size, Math.max(0, value));
  pen.strokeStyle = COLOURS[1];
  for (const [row, column] of patch ? points : []) pen.strokeRect(...[column, row].map((middle) => scale * (Math.round(middle) - patch / 2)), scale * patch, scale * patch);
  pen.lineWidth = 2;
  pen.beginPath();
  for (const [row, column] of points) pen.lineTo(inside(column), inside(row));
  pen.stroke();
  const dot = (at, radius, filled) => {
    pen.beginPath();
    pen.arc(inside(points.at(at)[1]), inside(points.at(at)[0]), radius, 0, 2 * Math.PI);
    pen.fillStyle = filled;
    pen.fill();
    pen.stroke();
  };
  for (const at of points.keys()) dot(at, 2, COLOURS[1]);
  dot(-1, 6, COLOURS[1]);
  dot(0, 4, "#ffffff");
  return canvas;
}
