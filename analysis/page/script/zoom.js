// Zoom of a chart of uPlot: for x and for y the two ends as a text, nothing for the whole, so that they can stand in a link.

// The options of a chart in which a drag asks for a part of x, of y or of both, and twice a click for all.
function zoomable(options, asked) {
  const dragged = (chart) => {
    const { left, top, width, height } = chart.select;
    chart.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    asked({
      ...(width < chart.over.clientWidth ? { x: endsOf(chart.posToVal(left, "x"), chart.posToVal(left + width, "x")) } : {}),
      ...(height < chart.over.clientHeight ? { y: endsOf(chart.posToVal(top + height, "y"), chart.posToVal(top, "y")) } : {}),
    });
  };
  return {
    ...options,
    cursor: { ...options.cursor, drag: { x: true, y: true, uni: 30, setScale: false }, bind: { dblclick: () => () => asked({ x: "", y: "" }) } },
    hooks: { ...options.hooks, setSelect: [dragged] },
  };
}

function endsOf(low, high) { return [low, high].map((end) => Number(end.toPrecision(6))).join(); }

// Shows what is asked for of x and of y, as far as there is something to see, else the whole.
function showZoom(chart, zoom) {
  const [xs, ...ys] = chart.data;
  chart.batch(() => {
    chart.setData(chart.data);
    for (const [scale, values] of [["x", xs], ["y", ys.flat().filter(Number.isFinite)]]) {
      const [min, max] = (zoom[scale] ?? "").split(",").map(Number);
      const seen = max > Math.min(...values) && min < Math.max(...values) && (min > 0 || chart.scales[scale].distr !== 3);
      if (min < max && seen) chart.setScale(scale, { min, max });
    }
  });
}
