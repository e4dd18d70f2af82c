// The view as a link: #runs?filter=...&group=... ; #experiments/heads?task=... ; #findings?verdict=... ; #C13.

const place = { view: "findings", target: "", of: {}, read: "" }; // `of`: the view's parameters; `read`: the address as it was last seen

function readLink() {
  place.read = location.hash;
  const [path, query] = location.hash.slice(1).split("?");
  const [first, ...rest] = decodeURIComponent(path).split("/");
  const views = ["findings", "experiments", "runs", "live"];
  place.view = views.includes(first) ? first : "findings";
  place.target = views.includes(first) ? rest.join("/") : first;
  place.of = Object.fromEntries(new URLSearchParams(query || ""));
}

// Keep what the view shows in the address: a moment later, as browsers take long for it, and without a step in the history.
function writeLink(changes) {
  for (const [key, value] of Object.entries(changes)) {
    if (value === "" || value === null || value === undefined || value === false) delete place.of[key];
    else place.of[key] = String(value);
  }
  writeAddress();
}

const writeAddress = calm(() => {
  if (location.hash !== place.read) return; // on the way to another view
  history.replaceState(null, "", linkOfView());
  place.read = location.hash;
}, 60);

function linkOfView() {
  const path = place.view === "findings" && place.target ? [place.target] : [place.view, place.target];
  const query = new URLSearchParams(place.of).toString();
  return `#${encodeURI(path.filter(Boolean).join("/"))}${query ? `?${query}` : ""}`;
}

function listed(key) { return place.of[key] ? place.of[key].split(",") : []; }
