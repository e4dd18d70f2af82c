// The page's start: data, views, links.

const page = { store: null, runs: null };

function show() {
  readLink();
  for (const view of document.querySelectorAll(".view")) view.hidden = view.dataset.view !== place.view;
  for (const link of document.querySelectorAll("header nav a")) link.dataset.view === place.view ? link.setAttribute("aria-current", "page") : link.removeAttribute("aria-current");
  document.querySelector("main").classList.toggle("runs-shown", place.view === "runs");
  if (place.view === "experiments") showExperiment(page.store, place.target);
  if (place.view === "runs") page.runs ? page.runs.restore() : (page.runs = new RunsView(document.getElementById("runs"), page.store));
  if (place.view === "findings") { restoreFindings(); openClaim(place.target); }
}

function take(data) {
  page.store = new Store(data);
  page.runs = null;
  startFindings();
  hideWhatNoFontShows();
  chooseTier(shownTier());
  show();
}

// What is drawn on canvases, in the colours of now.
function redraw() {
  for (const root of document.querySelectorAll(".curves")) root.panel?.chart?.redraw();
  page.runs?.compare.panel?.chart?.redraw();
  page.runs?.scatter.later();
}

document.addEventListener("DOMContentLoaded", () => {
  const node = document.getElementById("data");
  document.getElementById("tier")?.addEventListener("change", (event) => { chooseTier(event.target.value); if (place.view === "experiments") location.hash = "#experiments"; });
  window.addEventListener("hashchange", show);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  let width = innerWidth;
  window.addEventListener("resize", () => { if (innerWidth !== width) { width = innerWidth; page.runs?.scatter.later(); } });
  take(JSON.parse(node.textContent));
  if ("live" in document.documentElement.dataset) followRuns({ take });
});
