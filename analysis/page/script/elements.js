// Small helpers that make HTML.

function element(tag, attributes = {}, children = []) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

function button(text, pressed, attributes = {}) {
  const node = element("button", { type: "button", ...attributes }, [text]);
  node.addEventListener("click", pressed);
  return node;
}

// A labelled choice; `options` are values or [value, text].
function choice(label, options, chosen, changed) {
  const pairs = options.map((option) => (Array.isArray(option) ? option : [option, option]));
  const select = element("select", { "aria-label": label }, pairs.map(([value, text]) => element("option", { value, selected: String(value) === String(chosen) }, [String(text)])));
  select.addEventListener("change", () => changed(select.value));
  return element("label", {}, [`${label} `, select]);
}

function tick(label, checked, changed) {
  const box = element("input", { type: "checkbox", checked });
  box.addEventListener("change", () => changed(box.checked));
  return element("label", {}, [box, ` ${label}`]);
}

// A folded list of boxes with a search, made when it is opened; `names` in groups: [[title, names]].
function boxes(title, groups, isOn, changed, extra = []) {
  const list = element("div");
  const node = element("details", { class: "choices" }, [element("summary", {}, [title]), list]);
  const fill = () => {
    const rows = [];
    const search = element("input", { type: "search", placeholder: "search", "aria-label": `search ${title}` });
    const row = (name) => { const made = tick(name, isOn(name), (on) => changed(name, on)); rows.push([name, made]); return made; };
    list.replaceChildren(...extra, search, ...groups.filter(([, names]) => names.length).map(([name, names]) => element("div", {}, [element("small", {}, [name]), ...names.map(row)])));
    search.addEventListener("input", () => { for (const [name, made] of rows) made.hidden = !name.toLowerCase().includes(search.value.toLowerCase()); });
  };
  node.addEventListener("toggle", () => { if (node.open && !list.firstChild) fill(); });
  node.addEventListener("keydown", (event) => { if (event.key === "Escape") { node.open = false; node.firstChild.focus(); } });
  return node;
}

function colour(name) { return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim(); }

// Calls once after a pause in calls.
function calm(call, wait = 120) {
  let timer;
  return (...values) => { clearTimeout(timer); timer = setTimeout(() => call(...values), wait); };
}
