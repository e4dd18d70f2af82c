"""The report: self-contained, complete where runs are missing, and in a real browser, over the committed records."""

import html
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest

from analysis import claims, figures, load, verdicts
from analysis import page as page_
from analysis.results import Results
from study import experiments

pytestmark = pytest.mark.slow

CLAIMS = claims.read()
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
    page = page_.build(stated, verdicts.judge(stated, studies, "core"), studies, [], "the committed records", folder)
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


def test_data_of_one_file_or_of_several_are_named_by_their_hashes():
    found = page_._hashes({"train": ["a" * 64, "b" * 64], "test": "c" * 64})
    assert page_._hashes("a" * 64) == "a" * 16 and found == " ".join(letter * 16 for letter in "abc")


class Page(HTMLParser):
    """Collects ids, links and sources, and checks that tags close as they opened."""

    VOID = {"meta", "img", "br", "input", "link", "hr"}

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.links, self.sources = [], [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        if tag not in self.VOID:
            self.open.append(tag)
        for key, value in attributes:
            {"id": self.ids, "href": self.links, "src": self.sources}.get(key, []).append(value)

    def handle_startendtag(self, tag, attributes):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def page(studies, gaps, tmp_path_factory):
    folder = tmp_path_factory.mktemp("figures")
    shown = {**studies, "positions": gaps}
    figures.write(folder, studies["tying"])
    found = verdicts.judge(CLAIMS, shown, "core")
    return page_.build(CLAIMS, found, shown, ["x.jsonl:3: <cut> short"], "the committed records", folder)


def test_report_is_one_page_that_fetches_nothing(page):
    parsed = Page(page)
    assert parsed.sources and all(source.startswith("data:image/svg+xml,") for source in parsed.sources)
    assert all(link.startswith("#") for link in parsed.links)
    assert {link[1:] for link in parsed.links} <= set(parsed.ids) and len(parsed.ids) == len(set(parsed.ids))
    own = re.sub(r'src="data:[^"]*"', "", page)  # pictures are whole in themselves
    assert not re.search(r"@import|url\(|fetch\(|XMLHttp|<script[^>]+src|https?://(?!www.w3.org/2000/svg)", own)
    assert len(page) < 3_000_000


def test_report_shows_claims_gaps_and_corrections(page):
    for claim in CLAIMS.claims.values():
        assert claim.zh in html.unescape(page)
    assert "learned: position 20 is past the learned table" in page
    assert "x.jsonl:3: &lt;cut&gt; short" in page
    assert "reverse, learned: verdict" in page  # the missing run
    for entry in CLAIMS.corrections:
        assert entry["notes"] in html.unescape(page)


def test_report_carries_every_learning_curve(page, studies, gaps):
    data = json.loads(re.search(r'id="runs">(.*?)</script>', page, re.S).group(1))
    for name, study in {**studies, "positions": gaps}.items():
        trained = [r for r in study.records if study.is_trained(r["plan"]["task"])]
        assert {run[0] for run in data[name]["runs"]} == {r["name"] for r in trained}
    record = next(iter(studies["heads"].verdict.values()))[0]
    run = next(run for run in data["heads"]["runs"] if run[0] == record["name"])
    assert data["heads"]["steps"][run[8]] == [row["step"] for row in record["curve"]]
    assert run[9] == pytest.approx([row["validation_accuracy"] for row in record["curve"]], rel=1e-3)


def test_long_curves_are_thinned_and_keep_their_end():
    rows = [{"step": step} for step in range(1, 1001)]
    kept = page_._thinned(rows)
    assert len(kept) <= page_.MOST_POINTS + 1 and kept[0] is rows[0] and kept[-1] is rows[-1]
