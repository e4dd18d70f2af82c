"""The page in a real browser, over the committed records and over 5,000 made-up runs: all of its views, and how fast it is."""

import io
import json
import math
import re
import statistics
import threading
import time
from collections import Counter

import pandas as pd
import pytest
import yaml
from scipy import stats

from analysis import __main__ as command
from analysis import claims, load, page, synthetic, verdicts
from analysis.page import live
from analysis.results import Results
from study import experiments, records
from study.forecast import planned
from tests.chromium import PATH, Chromium

pytestmark = [pytest.mark.slow, pytest.mark.skipif(PATH is None, reason="chromium is not installed")]

ROWS = "[...document.querySelectorAll('{} .tabulator-row')].length"
SETTLED = "new Promise((done) => setTimeout(done, 400))"
MOST_BYTES = 6_000_000


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Chromium(tmp_path_factory.mktemp("profile")) as chromium:
        yield chromium


def made_page(*arguments):
    """Without figures, as drawing takes most of the time and is tested elsewhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "_draw", lambda *_: None)
        assert command.main(["page", *arguments]) == 0


@pytest.fixture(scope="module")
def committed(tmp_path_factory):
    """The address of the page of the committed records, and those records."""
    folder = tmp_path_factory.mktemp("committed")
    made_page("--output", str(folder))
    loaded = load.committed()
    return (folder / "page.html").as_uri(), [record for found in loaded.by_tier.values() for record in found]


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    return made_up(tmp_path_factory.mktemp("many"), 5000)


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    return made_up(tmp_path_factory.mktemp("few"), 1)


def made_up(folder, least):
    """The page of ``least`` made-up runs or more."""
    assert synthetic.write_records(folder, least) >= least
    where = ["--results", str(folder / "results"), "--declarations", str(folder / "declarations")]
    made_page(*where, "--output", str(folder / "out"))
    return folder / "out" / "page.html"


@pytest.fixture
def quiet(browser):
    """Nothing is complained of, and nothing but the page is asked for."""
    browser.resize(1200)
    browser.errors.clear()
    browser.requests.clear()
    yield browser
    assert browser.errors == []
    assert [address for address in browser.requests if "page.html" not in address] == []


def waited(browser, script):
    """Until an expression is true in the page."""
    until = time.monotonic() + 30
    while not browser.run(script):
        assert time.monotonic() < until, script
        time.sleep(0.2)


def busiest(all_records):
    """The experiment with the most learning curves."""
    counts = Counter(record["plan"]["experiment"] for record in all_records if record["curve"])
    return counts.most_common(1)[0][0]


def typed(browser, text):
    browser.run(f"page.runs.box.value = {json.dumps(text)}; page.runs.box.dispatchEvent(new Event('input'))")
    return set(browser.run("page.runs.shown.map((run) => page.store.names[run])"))


def test_filters_show_the_runs_that_they_name(quiet, committed):
    address, all_records = committed
    quiet.open(address + "#runs")
    assert typed(quiet, "") == {record["name"] for record in all_records}

    def where(condition):
        return {record["name"] for record in all_records if condition(record)}

    def accuracy(record):
        return record["metrics"].get("test", {}).get("accuracy", -1)

    attention = where(lambda r: r["config"]["mixer"]["name"] == "attention" and accuracy(r) > 0.9)
    assert typed(quiet, 'mixer == "attention" && test.accuracy > .9') == attention and attention
    assert typed(quiet, "!(test.accuracy <= 0.5 || test.accuracy == null)") == where(lambda r: accuracy(r) > 0.5)
    assert typed(quiet, "experiment in ['heads', \"text\"] && `model.layers` * 2 >= 3 + 1") == where(
        lambda r: r["plan"]["experiment"] in ("heads", "text") and r["config"]["model"]["layers"] >= 2
    )
    assert typed(quiet, 'name ~ "LSTM" && seed != 0') == where(lambda r: "lstm" in r["name"] and r["plan"]["seed"] != 0)
    assert typed(quiet, "lstm verdict") == where(lambda r: "lstm" in r["name"] and "verdict" in r["name"])
    before = quiet.run("page.runs.shown.length")
    for wrong, said in [("test.acuracy > 1", "no column test.acuracy"), ("seed ==", "missing at the end"), ("(seed", "needs")]:
        typed(quiet, wrong)
        assert quiet.run("page.runs.wrong.textContent").find(said) >= 0 or wrong == "(seed"
        assert quiet.run("page.runs.wrong.textContent") != "" and quiet.run("page.runs.shown.length") == before


def test_groups_have_the_mean_deviation_and_interval_of_all_their_runs(quiet, committed):
    address, all_records = committed
    quiet.open(address + "#runs?filter=" + "role%20%3D%3D%20%22verdict%22")
    waited(quiet, "page.runs.groupTable?.initialized")
    quiet.run("void (ahead = page.runs.groupTable)")
    quiet.run("document.getElementById('all-but-the-seed').click()")
    assert quiet.run("page.runs.groupTable === ahead"), "it was made before it was asked for"
    groups = quiet.run("""page.runs.groups.map((group) => ({ names: group.runs.map((run) => page.store.names[run]),
        found: group.found[page.runs.metrics.indexOf("test.accuracy")] }))""")
    by_name = {record["name"]: record for record in all_records}
    shown = [record for record in all_records if record["plan"]["role"] == "verdict"]
    cells = {(r["plan"]["experiment"], r["plan"]["task"], r["plan"]["arm"], r["plan"]["rate"]) for r in shown}
    assert sum(len(group["names"]) for group in groups) == len(shown) and len(groups) >= len(cells)
    for group in groups:
        own = [by_name[name] for name in group["names"]]
        assert len({(r["plan"]["experiment"], r["plan"]["task"], r["plan"]["arm"]) for r in own}) == 1
        assert len({r["plan"]["seed"] for r in own}) == len(own) or len({json.dumps(r["config"]) for r in own}) > 1
        values = pd.Series([r["metrics"].get("test", {}).get("accuracy") for r in own], dtype=float).dropna()
        assert group["found"]["n"] == len(values)
        if len(values):
            assert group["found"]["mean"] == pytest.approx(values.mean(), rel=1e-4)
        if len(values) > 1:
            half = stats.t.ppf(0.975, len(values) - 1) * values.std() / math.sqrt(len(values))
            assert group["found"]["sd"] == pytest.approx(values.std(), rel=1e-2, abs=1e-5)
            assert group["found"]["half"] == pytest.approx(half, rel=1e-2, abs=1e-5)
            ends = max(0, values.mean() - half), min(1, values.mean() + half)
            assert (group["found"]["low"], group["found"]["high"]) == pytest.approx(ends, rel=1e-2, abs=1e-4)
    waited(quiet, ROWS.format("#groups-table") + " > 5")
    quiet.run("page.runs.set({ sort: '-test.accuracy' })")
    quiet.run(SETTLED)
    means = quiet.run("page.runs.rows().slice(1).map((row) => row[page.runs.rows()[0].indexOf('test.accuracy mean')])")
    known = [float(mean) for mean in means if mean]
    assert known == sorted(known, reverse=True) and len(known) > 5
    quiet.run("page.runs.set({ sort: '' })")
    quiet.run(SETTLED)
    as_made = quiet.run("page.runs.groups.map((group) => group.runs[0])")
    assert quiet.run("page.runs.groupTable.getRows('active').map((row) => row.getData().runs[0])") == as_made
    for sort in ("test.accuracy", "-test.accuracy", None):
        quiet.run("document.querySelector('#groups-table [tabulator-field=\"test.accuracy\"]').click()")
        quiet.run(SETTLED)
        assert quiet.run("new URLSearchParams(location.hash.split('?')[1]).get('sort')") == sort
    quiet.run("page.runs.set({ sort: '-test.accuracy' })")
    quiet.run("document.getElementById('ungroup').click()")
    assert quiet.run("getComputedStyle(document.getElementById('groups-table')).visibility") == "hidden"
    waited(quiet, ROWS.format("#runs-table") + " > 5")
    assert quiet.run("page.runs.table.getSorters().map(({ field, dir }) => [field, dir])") == [["test.accuracy", "desc"]]


def stays(browser, table, field):
    """Whether a column stands where it did once the table is scrolled sideways."""
    place = f"document.querySelector('{table} .tabulator-cell[tabulator-field={field}]').getBoundingClientRect().left"
    before = browser.run(place)
    browser.run(f"document.querySelector('{table} .tabulator-tableholder').scrollLeft = 700")
    browser.run(SETTLED)
    assert browser.run(f"document.querySelector('{table} .tabulator-tableholder').scrollLeft") > 100
    return browser.run(place) == before


def test_runs_of_one_experiment_show_what_differs_among_them(quiet, committed):
    address, all_records = committed
    quiet.open(address + f"#runs?filter={busiest(all_records)}")
    waited(quiet, ROWS.format("#runs-table") + " > 5")
    kinds, shown = (
        quiet.run("""[page.store.columns.filter((column) => new Set(page.runs.shown.map((run) => column.text(run))).size > 1)
        .map((column) => [column.name, column.kind]), page.runs.table.getColumns().map((column) => column.getField())]""")
    )
    assert shown[:2] == ["pick", "name"] and set(shown[2:]) == {name for name, _ in kinds}
    ranks = [["run", "score", "setting", "fact"].index(dict(kinds)[name]) for name in shown[2:]]
    assert ranks == sorted(ranks) and set(ranks) == {0, 1, 2, 3}
    assert stays(quiet, "#runs-table", "name")
    typed(quiet, "")
    waited(quiet, f"page.runs.table.getColumns().length > {len(shown)}")


def test_groups_are_told_apart_by_what_stands_left_of_their_scores(quiet, committed):
    address, all_records = committed
    quiet.open(address + "#runs?group=*")
    waited(quiet, ROWS.format("#groups-table") + " > 5")
    head, *rows = quiet.run("page.runs.rows()")
    keys = head.index("runs")
    assert len({tuple(row[:keys]) for row in rows}) == len(rows) > 5
    fields = quiet.run("page.runs.groupTable.getColumns().map((column) => column.getField())")
    assert fields[1 : fields.index("runs")] == head[:keys] and "arm" in head[:keys]
    cut = (
        "[...document.querySelectorAll('#groups-table .tabulator-cell')].filter((cell) => cell.scrollWidth > cell.clientWidth)"
    )
    assert quiet.run(f"{cut}.map((cell) => cell.textContent)") == []
    quiet.resize(1600)
    quiet.run(f"location.hash = '#runs?group=arm&filter={busiest(all_records)}'")
    quiet.run(SETTLED)
    assert stays(quiet, "#groups-table", "arm")


def test_chosen_runs_are_compared_and_the_view_is_a_link(quiet, committed):
    address, all_records = committed
    name = busiest(all_records)
    quiet.open(address + f"#runs?filter={name}&sort=-seed")
    waited(quiet, ROWS.format("#runs-table") + " > 5")
    quiet.run("document.querySelectorAll('#runs-table .tabulator-row input')[0].click()")
    quiet.run("document.querySelectorAll('#runs-table .tabulator-row input')[3].click()")
    quiet.run(SETTLED)
    chosen = quiet.run("[...page.runs.picked].map((run) => page.store.names[run])")
    assert len(chosen) == 2 and quiet.run("page.runs.compare.panel.drawn.length") == 2
    said = quiet.run("document.querySelector('.difference table').textContent")
    assert all(name in said for name in chosen)
    for x in ("samples", "multiply_adds", "seconds"):
        quiet.run(f"page.runs.compare.panel.set('x', '{x}')")
        assert quiet.run("page.runs.compare.panel.drawn.length") == 2, x
    wide = "(({ min, max }) => max - min)(page.runs.compare.panel.chart.scales.x)"
    whole = quiet.run(wide)
    zoom = "document.querySelector('#compared [aria-label=\"zoom {}\"]').click()"
    quiet.run(zoom.format("in"))
    waited(quiet, f"Math.abs({wide} / {whole} - 0.5) < 0.01")
    quiet.run(zoom.format("out"))
    waited(quiet, f"Math.abs({wide} / {whole} - 1) < 0.01")
    for key in ("logx", "logy"):
        quiet.run(f"page.runs.compare.panel.set('{key}', true)")
    for key, value in (("smooth", 0.5), ("mean", "false"), ("singles", "true")):
        quiet.run(f"page.runs.compare.panel.set('{key}', {value})")
    whole = quiet.run(wide)
    quiet.run(zoom.format("in"))
    quiet.run(SETTLED)
    narrow = quiet.run(wide)
    link = quiet.run("location.href")
    quiet.open(link)
    quiet.run(SETTLED)
    assert set(quiet.run("[...page.runs.picked].map((run) => page.store.names[run])")) == set(chosen)
    assert quiet.run("page.runs.box.value") == name and quiet.run("page.runs.table.getSorters()[0].dir") == "desc"
    of = quiet.run("page.runs.compare.panel.of")
    assert [of[key] for key in ("x", "logx", "logy", "smooth", "mean", "singles")] == ["seconds", True, True, 0.5, False, True]
    assert quiet.run(wide) == pytest.approx(narrow, rel=1e-3) and narrow < whole
    ticked = "document.querySelectorAll('#runs-table .tabulator-row input:checked').length"
    assert quiet.run(ticked) == 2
    quiet.run("document.getElementById('all-but-the-seed').click()")
    quiet.run("page.runs.pick([...page.runs.picked], false)")
    quiet.run("document.getElementById('ungroup').click()")
    assert quiet.run(ticked) == 0
    with_maps = quiet.run("[...page.store.maps.keys()].slice(0, 2)")
    if with_maps:
        quiet.run(f"page.runs.pick({with_maps}, true)")
        quiet.run(SETTLED)
        assert quiet.run("document.querySelectorAll('.map td').length") > 4
        assert quiet.run("[...document.querySelectorAll('.map thead th')].some((cell) => cell.textContent !== '')")


def drawn_across(browser, plot, start, end):
    """A mouse pressed at one place of a plot (shares of its width and height from the top left) and let go at another."""
    browser.run(f"{plot}.scrollIntoView({{ behavior: 'instant', block: 'center' }})")
    left, top, width, height = browser.run(
        f"(({{ x, y, width, height }}) => [x, y, width, height])({plot}.getBoundingClientRect())"
    )
    for kind, (right, down) in (("mousePressed", start), ("mouseMoved", end), ("mouseReleased", end)):
        at = {"x": left + right * width, "y": top + down * height}
        browser.call("Input.dispatchMouseEvent", type=kind, button="left", buttons=1, clickCount=1, **at)


@pytest.mark.parametrize("view", ["experiments/{}", "runs?chart=scatter&x=seed&y=seconds&filter={}"])
def test_a_part_of_curves_and_of_a_scatter_plot_is_a_link(quiet, committed, view):
    address, all_records = committed
    name = busiest(all_records)
    curves = f"document.getElementById('experiments/{name}').querySelector('.curves').panel.chart"
    chart = curves if view.startswith("experiments") else "page.runs.scatter.chart"
    scales = f"['x', 'y'].flatMap((axis) => [{chart}.scales[axis].min, {chart}.scales[axis].max])"
    quiet.open(f"{address}#{view.format(name)}")
    waited(quiet, f"{chart}.scales.y.max > 0")
    whole = left, right, bottom, top = quiet.run(scales)

    def seen():
        """Both ends of x and of y as shares of what was seen at first."""
        low, high, least, most = quiet.run(scales)
        return [*((x - left) / (right - left) for x in (low, high)), *((y - bottom) / (top - bottom) for y in (least, most))]

    drawn_across(quiet, f"{chart}.over", (0.25, 0.5), (0.75, 0.9))
    assert seen() == pytest.approx([0.25, 0.75, 0.1, 0.5], abs=0.01)
    drawn_across(quiet, f"{chart}.over", (0.1, 0.25), (0.12, 0.75))  # only downwards
    assert seen() == pytest.approx([0.25, 0.75, 0.2, 0.4], abs=0.01)
    narrow = quiet.run(scales)
    quiet.run(SETTLED)
    quiet.open(quiet.run("location.href"))
    waited(quiet, f"{chart}.scales.y.max > 0")
    assert quiet.run(scales) == pytest.approx(narrow, rel=1e-3)
    quiet.run(f"{chart}.over.dispatchEvent(new MouseEvent('dblclick', {{ bubbles: true }}))")
    quiet.run(SETTLED)
    assert quiet.run(scales) == pytest.approx(whole)
    assert quiet.run("Object.keys(place.of).filter((key) => ['zoomx', 'zoomy', 'zx', 'zy'].includes(key))") == []


def test_single_runs_show_what_they_looked_at(quiet, tmp_path):
    """A folder of fresh runs that belong to no experiment: curves over each other, a map, an alignment, glimpses."""
    made = synthetic.complete(experiments.load("glimpse"), "core")[:3]
    image = [[0, 100], [100, 0]]
    saw = [
        {"structure": {"head": [1, 2], "example": {"tokens": ["x", "学"], "map": [[100, 0], [25, 75]], "edges": [[1, 0]]}}},
        {"written": {"test": {"samples": [{"source": ["a", "b"], "output": ["c"], "weights": [[0.125, 0.875]]}]}}},
        {"written": {"test": {"glimpses": [{"image": image, "path": [[1.0, 1.0], [1.8, 1.9]]}]}}},
    ]
    for record, seen in zip(made, saw, strict=True):
        record["plan"] |= {**dict.fromkeys(("experiment", "arm", "task", "digest")), "role": "single"}
        (tmp_path / "runs" / record["name"]).mkdir(parents=True)
        records.write(tmp_path / "runs" / record["name"], {k: v for k, v in record.items() if k != "checksum"} | seen)
    made_page("--source", str(tmp_path / "runs"), "--output", str(tmp_path / "out"))
    quiet.open((tmp_path / "out" / "page.html").as_uri() + "#runs")
    quiet.run("drawnSign = () => 'a box'")  # as where no font has Chinese signs
    quiet.run("page.runs.pick(page.runs.all, true)")
    waited(quiet, "document.querySelectorAll('.maps > *').length === 3")
    assert quiet.run("page.runs.compare.panel.drawn.length") == 3
    cells = quiet.run("[...document.querySelectorAll('.map td')].map((cell) => cell.title)")
    assert "U+5B66 looks at x: 25 %" in cells and "c looks at b: 88 %" in cells
    assert quiet.run("document.querySelectorAll('.map td.gold').length") == 1
    path = "document.querySelector('.glimpses canvas')"
    assert quiet.run(f"{path}.title") == "looked at row 1 column 1, then row 2 column 2"
    colours = quiet.run(f"""(({{ data, width }}) => [[0.75, 0.25], [0.25, 0.25], [0.5, 0.5]].map(([x, y]) => {{
        const at = 4 * width * (y * width + x);
        return [...data.slice(at, at + 4)];
    }}))({path}.getContext("2d").getImageData(0, 0, {path}.width, {path}.height))""")
    assert colours == [[0, 0, 0, 255], [0, 0, 0, 0], [255, 255, 255, 255]]  # a pixel of ink, one without, and the ring's middle


def saved(browser, place):
    """Name and text of the file that the button CSV saves at a place."""
    browser.run("void (save = (...file) => { kept = file; })")
    browser.run(f"[...document.querySelectorAll(`{place} button`)].find((one) => one.textContent === 'CSV').click()")
    return browser.run("kept")


def test_curves_are_saved_as_they_are_drawn(quiet, committed):
    address, all_records = committed
    name = busiest(all_records)
    root = f"[id='experiments/{name}'] .curves"
    quiet.open(f"{address}#experiments/{name}?singles=1")
    waited(quiet, f"document.querySelector(`{root}`).panel?.drawn.length > 0")
    task = quiet.run(f"document.querySelector(`{root} [aria-label=task]`).value")
    file, text = saved(quiet, root)
    found = pd.read_csv(io.StringIO(text))
    line, run, x, score, low, high = found.columns
    key = score.replace(" ", "_")
    assert (file, line, run, x, low, high) == ("curves.csv", "line", "run", "steps", "low", "high")
    asked = {"experiment": name, "task": task, "role": "verdict"}
    own = {one["name"]: one for one in all_records if one["curve"] and asked.items() <= one["plan"].items()}
    means = found[found[run].str.startswith("mean of ")]
    single = found[~found.index.isin(means.index)]
    assert set(single[run]) == set(own)
    for name, drawn in single.groupby(run):
        kept = {row["step"]: row[key] for row in own[name]["curve"]}
        assert list(drawn[score]) == pytest.approx([kept[step] for step in drawn[x]], rel=1e-3, abs=1e-4)
    assert len(set(means[line])) == len({one["plan"]["arm"] for one in own.values()})
    for label, drawn in means.groupby(line):
        ends = single[single[line] == label].groupby(run)[score].last()
        assert set(drawn[run]) == {f"mean of {len(ends)}"}
        last = drawn.iloc[-1]
        half = stats.t.ppf(0.975, len(ends) - 1) * ends.std() / math.sqrt(len(ends))
        assert last[score] == pytest.approx(ends.mean()) and last[low] <= last[score] <= last[high]
        assert last[score] - last[low] <= half * 1.001 + 1e-9


def test_charts_are_saved_as_they_are_drawn(quiet, committed):
    address, all_records = committed
    name = busiest(all_records)
    quiet.open(f"{address}#runs?chart=scatter,parallel&x=rate&y=validation.loss&by=arm&axes=task,validation.loss&filter={name}")
    waited(quiet, "page.runs.scatter.joined?.length > 0")
    found = {record["name"]: record for record in all_records if record["name"] in set(typed(quiet, name))}
    scored = {run: one["metrics"]["validation"]["loss"] for run, one in found.items() if "loss" in one["metrics"]["validation"]}
    for fold, file, columns in (
        (1, "scatter.csv", ["rate", "validation.loss", "arm"]),
        (2, "parallel.csv", ["task", "validation.loss"]),
    ):
        called, text = saved(quiet, f"#charts details:nth-child({fold})")
        table = pd.read_csv(io.StringIO(text)).set_index("name")
        assert called == file and list(table.columns) == columns and set(table.index) == set(scored)
        assert list(table["validation.loss"]) == pytest.approx([scored[run] for run in table.index], rel=1e-4)
        for column in set(columns) - {"validation.loss"}:
            assert list(table[column]) == [found[run]["plan"][column] for run in table.index]


def test_what_is_shown_is_saved_as_csv_and_latex(quiet, committed):
    address, _ = committed
    quiet.open(address + "#runs?columns=task,test.accuracy&filter=" + "test.accuracy%20%3E%200.99")
    waited(quiet, ROWS.format("#runs-table") + " > 1")
    lines = quiet.run("asCsv(page.runs.rows())").splitlines()
    assert lines[0] == "name,task,test.accuracy" and len(lines) == 1 + quiet.run("page.runs.shown.length") > 2
    assert all(float(line.rsplit(",", 1)[1]) > 0.99 for line in lines[1:])
    latex = quiet.run("asLatex(page.runs.rows())")
    assert latex.startswith("\\begin{tabular}{lrr}") and latex.count("\\\\\n") == len(lines)
    assert quiet.run("""asCsv([['a "b", c']])""") == '"a ""b"", c"\n'
    assert quiet.run("asLatex([['a', 'b'], ['50 %', 'x_1']])").count("50 \\% & x\\_1") == 1
    assert "$>$ 2 & $<$ 3 $\\pm$ 1" in quiet.run("asLatex([['a', 'b'], ['> 2', '< 3 ± 1']])")
    assert saved(quiet, "#runs") == ["runs.csv", quiet.run("asCsv(page.runs.rows())")]
    table = "[...document.querySelectorAll('.experiment table')].find((table) => table.querySelector('td b'))"
    best = quiet.run(
        f"[...{table}.querySelectorAll('td b')].map((cell) => asLatex([[cell.textContent]]).split('\\n')[2].trim())"
    )
    bold = quiet.run(f"asLatex(cellsOf({table}), boldIn({table}))")
    assert re.findall(r"\\textbf\{(.*?)\}(?= &| \\)", bold) == [text.removesuffix(" \\\\") for text in best] != []


def test_scatter_and_parallel_coordinates_draw_the_runs_shown(quiet, committed):
    address, all_records = committed
    name = busiest(all_records)
    quiet.open(address + f"#runs?chart=scatter&x=rate&y=validation.loss&by=arm&lx=1&filter={name}")
    quiet.run(SETTLED)
    shown = quiet.run("page.runs.shown.filter((run) => page.store.value(run, 'validation.loss') !== null).length")
    assert quiet.run("page.runs.scatter.marked.length") == shown > 0
    coloured = quiet.run("""(({ chart }) => {
        const { data, width } = chart.ctx.getImageData(0, 0, chart.ctx.canvas.width, chart.ctx.canvas.height);
        return chart.data[0].filter((_, i) => {
            const [x, y] = ["x", "y"].map((axis, k) => Math.round(chart.valToPos(chart.data[k][i], axis, true)));
            const rgb = data.slice(4 * (y * width + x), 4 * (y * width + x) + 3);
            return Math.max(...rgb) - Math.min(...rgb) > 40;
        }).length;
    })(page.runs.scatter)""")
    assert coloured > shown / 4  # some arms are grey
    arms = quiet.run("new Set(page.runs.shown.map((run) => page.store.value(run, 'arm'))).size")
    assert quiet.run("document.querySelectorAll('#charts .legend span').length") == arms
    quiet.run(f"location.hash = '#runs?chart=parallel&axes=task,rate,validation.loss&filter={name}'")
    quiet.run(SETTLED)
    assert quiet.run("page.runs.scatter.folds.map((fold) => fold.open)") == [False, True]
    drawn, lacking = shown, quiet.run("page.runs.shown.length") - shown
    assert quiet.run("page.runs.scatter.joined.length") == drawn
    said = quiet.run("page.runs.scatter.axes.textContent")
    assert f"{lacking} of " in said if lacking else "left out" not in said
    assert quiet.run("""(() => { const canvas = document.querySelector("canvas.parallel");
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        return data.some((value) => value > 0); })()""")


def test_every_experiment_shows_its_tables_and_curves(quiet, committed):
    address, all_records = committed
    quiet.open(address + "#experiments")
    names = quiet.run("[...document.querySelectorAll('.experiment')].map((section) => section.id)")
    assert names
    for name in names:
        quiet.run(f"location.hash = '#{name}'")
        quiet.run("new Promise((done) => setTimeout(done, 60))")
        shown = quiet.run("[...document.querySelectorAll('.experiment')].filter((one) => !one.hidden).map((one) => one.id)")
        assert shown == [name]
        root = f"document.getElementById('{name}').querySelector('.curves')"
        if quiet.run(f"{root} !== null"):
            assert quiet.run(f"{root}.panel.drawn.length") > 0, name
            quiet.run(f"{root}.panel.set('singles', true)")
            assert quiet.run(f"{root}.querySelector('canvas') !== null"), name
    name = f"experiments/{busiest(all_records)}"
    quiet.run(f"location.hash = '#{name}?runs=tuning&against=seconds&mean=0&show=train+loss'")
    root = f"document.getElementById('{name}').querySelector('.curves')"
    waited(quiet, f"{root}.panel.of.x === 'seconds'")
    assert quiet.run(f"{root}.querySelector('[aria-label=runs]').value") == "tuning"
    tuning = sum(f"experiments/{r['plan']['experiment']}" == name and r["plan"]["role"] == "tuning" for r in all_records)
    assert 0 < quiet.run(f"{root}.panel.drawn.length") <= tuning
    quiet.run(f"{root}.panel.set('smooth', 0.5)")
    quiet.run(SETTLED)
    quiet.open(quiet.run("location.href"))
    of = quiet.run(f"{root}.panel.of")
    assert (of["x"], of["mean"], of["smooth"], of["series"]) == ("seconds", False, 0.5, "train loss")
    assert quiet.run(f"{root}.querySelector('[aria-label=runs]').value") == "tuning"


def test_claims_are_searched_filtered_and_linked(quiet, committed):
    address, _ = committed
    quiet.open(address)
    count = "[...document.querySelectorAll('.claim')].filter((claim) => !claim.hidden).map((claim) => claim.id)"
    everything = quiet.run(count)
    assert "C13" in everything and quiet.run("document.querySelectorAll('.sentences li').length") >= 2
    quiet.run("document.querySelector('.search').value = 'heads'")
    quiet.run("document.querySelector('.search').dispatchEvent(new Event('input'))")
    found = quiet.run(count)
    assert "C13" in found and len(found) < len(everything)
    quiet.open(address)
    saved = "claimsOf([...document.querySelectorAll('.claim')].filter((claim) => !claim.hidden))"
    for button in range(1, quiet.run("document.querySelectorAll('[data-show]').length")):
        quiet.run(f"document.querySelectorAll('[data-show]')[{button}].click()")
        said, number = quiet.run(f"document.querySelectorAll('[data-show]')[{button}].textContent").rsplit(" ", 1)
        assert len(quiet.run(count)) == int(number)
        names, *lines = quiet.run(saved)
        assert names == ["claim", "it says", "verdict", "found"] and [line[0] for line in lines] == quiet.run(count)
        assert {line[2] for line in lines} == {said}
    assert quiet.run("document.querySelectorAll('.save-claims button').length") == 2
    quiet.run("document.querySelector('.search').value = 'attention'")
    quiet.run("document.querySelector('.search').dispatchEvent(new Event('input'))")
    quiet.run(SETTLED)
    found, link = quiet.run(count), quiet.run("location.href")
    assert link.startswith(f"{address}#findings?") and 0 < len(found) < int(number)
    quiet.open(link)
    assert quiet.run(count) == found and quiet.run("document.querySelector('.search').value") == "attention"
    quiet.run("location.hash = '#findings?verdict=by-construction'")
    waited(quiet, "document.querySelector('.search').value === ''")
    assert {line[2] for line in quiet.run(saved)[1:]} == {"true by construction"}
    quiet.open(address + "#C13")
    assert quiet.run("document.getElementById('C13').open")
    told = "document.querySelector('#C13 .notes').textContent"
    if quiet.run("drawnSign('学') === drawnSign('問')"):  # two boxes
        assert "no font" in quiet.run(told)
    else:
        assert quiet.run(told) == claims.read().claims["C13"].zh
    assert quiet.run("drawnSign('a') !== drawnSign('b')")


def test_it_is_usable_on_a_telephone_in_the_dark_and_by_keyboard(quiet, committed):
    address, all_records = committed
    quiet.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    quiet.resize(400)
    for view in ("", "#C28", "#experiments", "#experiments/dynamic", "#runs", "#runs?group=*"):
        quiet.open(address + view)
        assert quiet.run("document.documentElement.scrollWidth") <= 400, view
        assert "#C28" in view or quiet.run("scrollY") == 0, view
    ground = quiet.run("getComputedStyle(document.body).backgroundColor")
    assert sum(map(int, re.findall(r"\d+", ground)[:3])) < 150
    quiet.call("Emulation.setEmulatedMedia", features=[])
    quiet.resize(1200)
    quiet.open(f"{address}#experiments/{busiest(all_records)}")
    shown = "[...document.querySelectorAll('.experiment')].find((one) => !one.hidden).querySelector('canvas')"
    quiet.run(f"before = {shown}.toDataURL()")
    quiet.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    waited(quiet, f"{shown}.toDataURL() !== before")
    quiet.call("Emulation.setEmulatedMedia", features=[])
    waited(quiet, f"{shown}.toDataURL() === before")
    quiet.resize(400)
    waited(quiet, "document.documentElement.scrollWidth <= 400")
    quiet.resize(1200)
    waited(quiet, f"{shown}.toDataURL() === before")
    quiet.open(address)
    seen = []
    for _ in range(14):
        quiet.press("Tab")
        seen.append(quiet.run("document.activeElement.textContent.trim() || document.activeElement.className"))
    assert {"Findings", "Experiments", "Runs", "search"} <= set(seen)
    quiet.run("document.querySelector('.claim summary').focus()")
    quiet.press("Enter")
    assert quiet.run("document.querySelector('.claim').open")
    quiet.open(address + "#runs")
    waited(quiet, ROWS.format("#runs-table") + " > 5")
    quiet.run("document.querySelector('#runs-table .tabulator-row input').focus()")
    quiet.press(" ")
    assert quiet.run("page.runs.picked.size") == 1


def processor_milliseconds(browser, script):
    """What a step costs the page's thread, layout and drawing with it: by its own time, as others use the machine too."""

    def spent():
        metrics = {one["name"]: one["value"] for one in browser.call("Performance.getMetrics")["metrics"]}
        return 1000 * metrics["TaskDuration"]

    before = spent()
    browser.run(f"new Promise((done) => {{ {script}; requestAnimationFrame(() => setTimeout(done)); }})")
    return spent() - before


def test_fifteen_times_the_runs_cost_far_less_than_fifteen_times_as_much(quiet, many, few):
    """The tables draw what is in sight. Milliseconds are shown with ``pytest -s``."""
    assert many.stat().st_size <= MOST_BYTES
    spent = {size: steps(quiet, path) for size, path in (("one experiment", few), ("5,000 runs", many))}
    print({size: {name: [round(one) for one in values] for name, values in found.items()} for size, found in spent.items()})
    assert quiet.run("page.store.count") >= 5000
    assert quiet.run(ROWS.format("#runs-table")) <= 100
    for name in ("open", "filter", "group"):
        small, large = (statistics.median(spent[size][name]) for size in spent)
        assert large <= 10 * small, spent


def steps(browser, page):
    """Milliseconds of the page's processor for each opening, filter and grouping."""
    browser.call("Performance.enable", timeDomain="threadTicks")
    opened = []
    for view in ("", "#runs"):
        browser.open(page.as_uri() + view)
        [spent] = [one["value"] for one in browser.call("Performance.getMetrics")["metrics"] if one["name"] == "TaskDuration"]
        opened.append(1000 * spent)
    waited(browser, ROWS.format("#runs-table") + " > 10")
    set_to = "page.runs.box.value = {}; page.runs.box.dispatchEvent(new Event('input'))"
    filters = ['mixer == "attention" && test.accuracy > .9', "", "lstm", 'role == "verdict"', ""]
    filtered = [processor_milliseconds(browser, set_to.format(json.dumps(text))) for text in filters]
    press = "document.getElementById('{}').click()"
    grouped = [processor_milliseconds(browser, press.format(name)) for name in ("all-but-the-seed", "ungroup") * 3]
    return {"open": opened, "filter": filtered, "group": grouped}


def heard(browser, text):
    """What the live view says, as soon as it says ``text``."""
    live_view = "document.getElementById('live').textContent"
    waited(browser, f"{live_view}.includes({json.dumps(text)})")
    return browser.run(live_view)


def test_a_live_page_follows_the_runs(browser, tmp_path):
    declared = {"heads": experiments.load("heads")}
    made = [one for one in synthetic.complete(declared["heads"], "core")][:6]
    runs = tmp_path / "runs"

    def begin(record):
        folder = runs / record["name"]
        folder.mkdir(parents=True)
        origin = {"experiment": "heads", **{key: record["plan"][key] for key in ("arm", "task", "digest")}}
        (folder / "config.yaml").write_text(yaml.safe_dump({"tier": "core", "origin": origin, "train": {"steps": 1200}}))
        (folder / "history.jsonl").write_text('{"step": 300, "validation_accuracy": 0.5}\n')
        return folder

    def finish(record):
        records.write(runs / record["name"], {key: value for key, value in record.items() if key != "checksum"})

    for record in made[:3]:
        begin(record)
    finish(made[0])
    built, stated = [], claims.read()

    def make(loaded):
        built.append(loaded)
        results = {"heads": Results(declared["heads"], "core", loaded.by_tier["core"])}
        shown = [page.Shown(verdicts.judge(stated, results, "core"), results, tmp_path)]
        return page.build(stated, shown, loaded, "the runs", live=True)

    server = live.server_of(live.Folder(runs, declared), make)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        browser.resize(1200)
        browser.errors.clear()
        browser.open(f"http://127.0.0.1:{server.server_port}/#live")
        said = heard(browser, "1 done")
        assert "1 done, 2 running" in said and "300 of 1200 steps" in said and made[1]["name"] in said
        assert f"{len(planned(declared['heads'], 'core', lambda _: None))} planned" in said
        browser.resize(400)
        assert browser.run("document.querySelector('#live td progress').clientWidth") > 50
        browser.run("document.querySelector('.search').value = 'heads'")
        browser.run("document.querySelector('.search').dispatchEvent(new Event('input'))")
        browser.run("location.hash = '#experiments/heads'")
        waited(browser, "document.querySelector('.curves')?.panel !== undefined")
        browser.run("document.querySelector('.curves').panel.set('smooth', 0.5)")
        browser.run("location.hash = '#live'")
        finish(made[1])
        assert "2 done, 1 running" in heard(browser, "2 done")
        waited(browser, "page.store.count === 2")
        assert len(built) == 2 and browser.run("document.querySelector('.claim') !== null")
        assert browser.run("document.querySelector('.search').value") == "heads"
        assert browser.run("[...document.querySelectorAll('.claim')].some((claim) => claim.hidden)")
        browser.run("location.hash = '#experiments/heads'")
        waited(browser, "document.querySelector('.curves')?.panel?.of.smooth === 0.5")
        assert browser.errors == []
    finally:
        server.shutdown()
        server.server_close()
