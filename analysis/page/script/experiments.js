// Experiments: one at a time, its figure and curves made when it is first shown.

const chosenCurves = new Map(); // tier/experiment -> which curves are shown, and how; outlives the page being made anew

function showExperiment(store, name) {
  const sections = [...document.querySelectorAll(".experiment")];
  const tier = shownTier();
  const shown = sections.find((section) => section.id === `experiments/${name}`) ?? sections.find((section) => section.dataset.tier === tier) ?? sections[0];
  for (const section of sections) section.hidden = section !== shown;
  for (const link of document.querySelectorAll(".list a")) link.toggleAttribute("aria-current", shown !== undefined && link.hash === `#${encodeURI(shown.id)}`);
  if (!shown) return;
  place.target = shown.id.replace("experiments/", "");
  if (!shown.dataset.made) {
    shown.dataset.made = "yes";
    for (const image of shown.querySelectorAll("img[data-src]")) image.src = image.dataset.src;
    for (const table of shown.querySelectorAll("table[data-title]")) table.parentElement.after(element("div", { class: "tools" }, savers(table.dataset.title.replace(/\W+/g, "_"), () => cellsOf(table), boldIn(table))));
  }
  const root = shown.querySelector(".curves");
  if (root && (!root.panel || Object.keys(place.of).length)) experimentCurves(store, root, shown.dataset.experiment, shown.dataset.tier);
  root?.tell();
}

function experimentCurves(store, root, experiment, tier) {
  const own = [...store.names.keys()].filter((run) => store.value(run, "experiment") === experiment && store.value(run, "tier") === tier && store.curveData.runs[run]);
  const different = (name) => [...new Set(own.map((run) => store.value(run, name)))];
  const { arms, tasks } = store.arms[experiment];
  const roles = different("role").sort().reverse();
  const key = `${tier}/${experiment}`;
  const shownOn = new Set(own.filter((run) => store.value(run, "role") === roles[0]).map((run) => store.value(run, "task")));
  const first = { task: Object.keys(tasks).find((task) => shownOn.has(task)), role: roles[0] };
  const { task = first.task, runs: role = first.role } = place.of;
  if (!chosenCurves.has(key) || Object.keys(place.of).length) chosenCurves.set(key, { task, role, off: new Set(listed("without")), curves: curvesOfLink() });
  const of = chosenCurves.get(key);
  root.tell = () => {
    if (place.view === "experiments") writeLink({ task: of.task === first.task ? "" : of.task, runs: of.role === first.role ? "" : of.role, without: [...of.off].join(","), ...linkOfCurves(of.curves) });
  };
  const draw = () => { panel.draw(); root.tell(); };
  const lines = () => Object.entries(arms).map(([arm, [label, ink, dash]]) => ({
    label, colour: visible(ink), dash,
    runs: own.filter((run) => store.value(run, "arm") === arm && store.value(run, "task") === of.task && store.value(run, "role") === of.role && !of.off.has(arm)),
  })).filter((line) => line.runs.length);
  const plot = element("div");
  const head = element("div", { class: "tools" }, [
    choice("task", different("task").map((task) => [task, tasks[task]?.[0] ?? task]), of.task, (value) => { of.task = value; draw(); }),
    choice("runs", roles.map((role) => [role, `${role} seeds`]), of.role, (value) => { of.role = value; draw(); }),
    boxes("arms", [["", Object.keys(arms)]], (arm) => !of.off.has(arm), (arm, on) => { on ? of.off.delete(arm) : of.off.add(arm); draw(); }),
  ]);
  root.panel?.chart?.destroy();
  root.replaceChildren(head, plot);
  const panel = new CurvePanel(plot, store, lines, of.curves, (curves) => { of.curves = curves; root.tell(); });
  root.panel = panel;
}
