// The view as a link: #runs?filter=...&group=... ; #experiments/heads ; #C13.

const place = { view: "findings", target: "", of: {} }; // `of`: the parameters of the runs' view

function readLink() {
  const [path, query] = location.hash.slice(1).split("?");
  const [first, ...rest] = decodeURIComponent(path).split("/");
  const views = ["findings", "experiments", "runs", "live"];
  place.view = views.includes(first) ? first : "findings";
  place.target = views.includes(first) ? rest.join("/") : first;
  place.of = Object.fromEntries(new URLSearchParams(query || ""));
}

// Keep what the runs' view shows in the address: a moment later, as browsers take long for it, and without a step in the history.
function writeLink(changes) {
  for (const [key, value] of Object.entries(changes)) {
    if (value === "" || value === null || value === undefined || value === false) delete place.of[key];
    else place.of[key] = String(value);
  }
  writeAddress();
}

const writeAddress = calm(() => { if (location.hash.startsWith("#runs")) history.replaceState(null, "", linkOfView()); }, 60);

function linkOfView() {
  const query = new URLSearchParams(place.of).toString();
  return `#runs${query ? `?${query}` : ""}`;
}

function listed(key) { return place.of[key] ? place.of[key].split(",") : []; }
