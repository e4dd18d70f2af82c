// The page of `--serve`: asks its own server how far the runs are, and takes in new records when there are some.

const SECONDS_BETWEEN = 3;

async function followRuns(state) {
  for (;;) {
    try {
      const answer = await fetch("state.json", { cache: "no-store" });
      const now = await answer.json();
      drawLive(now);
      if (state.records !== undefined && state.records !== now.records) await takeIn(state);
      state.records = now.records;
    } catch {
      document.getElementById("live").replaceChildren(element("p", { class: "banner" }, ["The server has stopped; what is shown stays as it was. The runs are not touched by that."]));
    }
    await new Promise((done) => setTimeout(done, 1000 * SECONDS_BETWEEN));
  }
}

// The page made anew takes this one's place; what is open, chosen, searched for and in sight stays so.
async function takeIn(state) {
  const text = await (await fetch("./", { cache: "no-store" })).text();
  const fresh = new DOMParser().parseFromString(text, "text/html");
  const open = [...document.querySelectorAll(".claim[open]")].map((claim) => claim.id);
  for (const id of ["findings", "experiments"]) document.getElementById(id).replaceChildren(...fresh.getElementById(id).childNodes);
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  const [across, down] = [scrollX, scrollY];
  state.take(JSON.parse(fresh.getElementById("data").textContent));
  scrollTo({ left: across, top: down, behavior: "instant" });
}

function drawLive(now) {
  const rows = now.running.map((run) => element("tr", {}, [
    element("th", { scope: "row" }, [run.name]),
    element("td", {}, [element("progress", { max: run.steps || 1, value: run.step, "aria-label": `${run.step} of ${run.steps} steps` })]),
    element("td", {}, [`${run.step} of ${run.steps} steps`]), element("td", {}, [run.said]), element("td", {}, [`${run.quiet} s ago`]),
  ]));
  const total = Math.max(now.planned, now.done + now.failed + now.running.length);
  document.getElementById("live").replaceChildren(
    element("h1", {}, ["Runs under way"]),
    element("p", { class: "question" }, [`${now.planned} planned: ${now.done} done, ${now.running.length} running, ${now.failed} failed or diverged, ${now.left} left${now.time_left ? `, about ${now.time_left} to go` : ""}`]),
    element("progress", { max: total || 1, value: now.done + now.failed, "aria-label": "all runs" }),
    element("div", { class: "wide" }, [element("table", {}, [element("thead", {}, [element("tr", {}, ["run", "", "progress", "last evaluation", "last sign of life"].map((text) => element("th", { scope: "col" }, [text])))]), element("tbody", {}, rows)])]),
    element("div", { class: "wide" }, [element("table", { class: "numbers" }, [
      element("thead", {}, [element("tr", {}, ["experiment", "planned", "done", "running", "failed or diverged", "left"].map((text) => element("th", { scope: "col" }, [text])))]),
      element("tbody", {}, now.experiments.map((one) => element("tr", {}, [one.name, one.planned, one.done, one.running, one.failed, one.left].map((text) => element("td", {}, [String(text)]))))),
    ])]),
    element("p", { class: "note" }, [`Read from ${now.folder} at ${now.at}.`]),
  );
}
