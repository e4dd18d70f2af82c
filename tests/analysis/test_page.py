"""The report of the committed records in a real browser: whatever a visitor chooses in its comparisons, curves are drawn."""

import html
import json
import re
import shutil
import subprocess

import pytest

from analysis import claims, load, report, verdicts
from analysis.results import Results
from study import experiments

pytestmark = pytest.mark.slow

CHROMIUM = shutil.which("chromium")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--window-size=1200,900",
    "--enable-logging=stderr",
    "--virtual-time-budget=10000",
    "--host-resolver-rules=MAP * ~NOTFOUND",
]
# Whatever the page tries to fetch is refused, and the refusal written to the console.
NO_FETCHING = """<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'">"""
WALK = """<pre id="walked"></pre><script>
function walk(section) {
  const plot = () => section.querySelector('svg[aria-label="learning curves"]');
  const drawn = () => [...plot().querySelectorAll("path, circle")].filter((shape) => {
    const style = getComputedStyle(shape), box = shape.getBoundingClientRect();
    const inked = [style.stroke, style.fill].some((paint) => !["none", "transparent", "rgba(0, 0, 0, 0)"].includes(paint));
    return inked && box.width + box.height > 0;
  }).length;
  const selects = () => [...section.querySelectorAll("select")];
  const texts = (select) => select.options[select.selectedIndex].text;
  const seen = [];
  function choose(index) {
    const select = selects()[index];
    if (select === undefined) { seen.push([selects().map(texts).join(", "), drawn()]); return; }
    for (let option = 0; option < select.options.length; option++) {
      selects()[index].selectedIndex = option;
      selects()[index].dispatchEvent(new Event("change", { bubbles: true }));
      choose(index + 1);
    }
    selects()[index].selectedIndex = 0;
    selects()[index].dispatchEvent(new Event("change", { bubbles: true }));
  }
  choose(0);
  const all = drawn();
  section.querySelector("button.on").click();
  const without_arm = drawn();
  [...section.querySelectorAll("button")].find((button) => button.textContent === "clear choice").click();
  const cleared = drawn();
  section.querySelector("input[type=checkbox]").click();
  return { seen, all, without_arm, cleared, without_run: drawn() };
}
const walked = {};
for (const section of document.querySelectorAll("section")) {
  if (section.querySelector("select")) walked[section.id] = walk(section);
}
document.getElementById("walked").textContent = JSON.stringify(walked);
</script>"""


@pytest.fixture(scope="module")
def visit(tmp_path_factory):
    """The records, what was found on the page, and what its browser's console said."""
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    folder = tmp_path_factory.mktemp("page")
    stated, records = claims.read(), load.committed().by_tier["core"]
    declared = [experiments.load(name) for name in experiments.names()]
    studies = {one.name: Results(one, "core", records) for one in declared if "core" in one.tiers}
    page = report.build(stated, verdicts.judge(stated, studies, "core"), studies, [], "the committed records", folder)
    assert page.count("<head>") == page.count("</body>") == 1
    path = folder / "report.html"
    path.write_text(page.replace("<head>", f"<head>{NO_FETCHING}").replace("</body>", f"{WALK}</body>"), encoding="utf-8")
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={folder / 'profile'}", "--dump-dom", path.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    walked = re.search(r'<pre id="walked">(.*?)</pre>', done.stdout, re.S)
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return records, json.loads(html.unescape(walked[1]) or "{}"), console


def test_nothing_goes_wrong_and_nothing_is_fetched(visit):
    _, _, console = visit
    assert console == []


def test_every_choice_of_every_comparison_draws_curves(visit):
    records, walked, _ = visit
    with_curves = {}
    for record in records:
        if record.get("curve"):
            with_curves.setdefault(record["plan"]["experiment"], set()).add(record["plan"]["task"])
    assert walked.keys() == with_curves.keys()
    for name, tasks in with_curves.items():
        assert len({choice for choice, _ in walked[name]["seen"]}) == 4 * len(tasks), name  # two roles, two measures
        assert [choice for choice, drawn in walked[name]["seen"] if not drawn] == [], name


def test_arms_and_runs_can_be_hidden_and_shown_again(visit):
    _, walked, _ = visit
    assert walked
    for name, found in walked.items():
        assert 0 < found["without_arm"] < found["all"] == found["cleared"] > found["without_run"] > 0, name
