// Experiments: one at a time, its figure and curves made when it is first shown.

function showExperiment(store, name) {
  const sections = [...document.querySelectorAll(".experiment")];
  const tier = shownTier();
  const shown = sections.find((section) => section.id === `experiments/${name}`) ?? sections.find((section) => section.dataset.tier === tier) ?? sections[0];
  for (const section of sections) section.hidden = section !== shown;
  for (const link of document.querySelectorAll(".list a")) link.toggleAttribute("aria-current", shown !== undefined && link.hash === `#${encodeURI(shown.id)}`);
  if (shown && !shown.dataset.made) {
    shown.dataset.made = "yes";
    for (const image of shown.querySelectorAll("img[data-src]")) image.src = image.dataset.src;
    for (const table of shown.querySelectorAll("table[data-title]")) table.parentElement.after(element("div", { class: "tools" }, savers(table.dataset.title.replace(/\W+/g, "_"), () => cellsOf(table))));
    const root = shown.querySelector(".curves");
    if (root) experimentCurves(store, root, shown.dataset.experiment, shown.dataset.tier);
  }
}

function experimentCurves(store, root, experiment, tier) {
  const of = { task: "", role: "verdict" };
  const own = [...store.names.keys()].filter((run) => store.value(run, "experiment") === experiment && store.value(run, "tier") === tier && store.curveData.runs[run]);
  const different = (name) => [...new Set(own.map((run) => store.value(run, name)))];
  const { arms, tasks } = store.arms[experiment];
  const roles = different("role").sort().reverse();
  of.task = Object.keys(tasks).find((task) => different("task").includes(task));
  of.role = roles[0];
  const lines = () => Object.entries(arms).map(([arm, [label, ink, dash]]) => ({
    label, colour: visible(ink), dash,
    runs: own.filter((run) => store.value(run, "arm") === arm && store.value(run, "task") === of.task && store.value(run, "role") === of.role && !off.has(arm)),
  })).filter((line) => line.runs.length);
  const off = new Set();
  const plot = element("div");
  const head = element("div", { class: "tools" }, [
    choice("task", different("task").map((task) => [task, tasks[task]?.[0] ?? task]), of.task, (value) => { of.task = value; panel.draw(); }),
    choice("runs", roles.map((role) => [role, `${role} seeds`]), of.role, (value) => { of.role = value; panel.draw(); }),
    boxes("arms", [["", Object.keys(arms)]], () => true, (arm, on) => { on ? off.delete(arm) : off.add(arm); panel.draw(); }),
  ]);
  root.replaceChildren(head, plot);
  const panel = new CurvePanel(plot, store, lines);
  root.panel = panel;
}
