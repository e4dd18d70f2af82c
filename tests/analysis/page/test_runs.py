"""The runs in a browser: filters, groups, columns, and runs that are compared."""

import json
import math
import re

import pandas as pd
import pytest
from scipy import stats

from tests.analysis.page.browsing import IN_A_BROWSER, ROWS, SETTLED, busiest, typed, waited

pytestmark = IN_A_BROWSER


def stays(browser, table, field):
    """Whether a column stands where it did once the table is scrolled sideways."""
    place = f"document.querySelector('{table} .tabulator-cell[tabulator-field={field}]').getBoundingClientRect().left"
    before = browser.run(place)
    browser.run(f"document.querySelector('{table} .tabulator-tableholder').scrollLeft = 700")
    browser.run(SETTLED)
    assert browser.run(f"document.querySelector('{table} .tabulator-tableholder').scrollLeft") > 100
    return browser.run(place) == before


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


def test_what_went_wrong_is_a_click_away(quiet, committed):
    address, all_records = committed
    quiet.open(address + "#runs?columns=task")
    said = quiet.run("document.querySelector('#runs a.bad').textContent")
    quiet.run("document.querySelector('#runs a.bad').click()")
    waited(quiet, "page.runs.shown.length < page.store.count")
    shown = set(quiet.run("page.runs.shown.map((run) => page.store.names[run])"))
    assert {record["name"] for record in all_records if record["status"] != "finished"} <= shown
    assert len(shown) == sum(map(int, re.findall(r"\d+", said))) > 0
    assert quiet.run("place.of.columns") == "task"


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


def test_runs_of_one_experiment_show_what_differs_among_them(quiet, committed):
    address, all_records = committed
    quiet.open(address + f"#runs?filter={busiest(all_records)}")
    waited(quiet, ROWS.format("#runs-table") + " > 5")
    kinds, shown = (
        quiet.run("""[page.store.columns.filter((column) => new Set(page.runs.shown.map((run) => column.text(run))).size > 1)
        .map((column) => [column.name, column.kind]), page.runs.table.getColumns().map((column) => column.getField())]""")
    )
    assert shown[:2] == ["pick", "name"] and set(shown[2:]) == {name for name, _ in kinds}
    ranks = [["run", "score", "state", "setting", "fact"].index(dict(kinds)[name]) for name in shown[2:]]
    assert ranks == sorted(ranks) and {0, 1, 3, 4} <= set(ranks)
    assert stays(quiet, "#runs-table", "name")
    typed(quiet, "")
    waited(quiet, f"page.runs.table.getColumns().length > {len(shown)}")


def test_changes_that_come_faster_than_tables_are_built_are_all_shown(quiet, committed):
    address, _ = committed
    quiet.open(address + "#runs")
    quiet.run("""for (const columns of ["task", "task,seed"]) page.runs.set({ columns });
        document.getElementById("all-but-the-seed").click();
        page.runs.box.value = "lstm"; page.runs.box.dispatchEvent(new Event("input"));
        page.runs.set({ sort: "-seed" });
        page.runs.pick([page.runs.shown[0]], true);
        document.getElementById("ungroup").click()""")
    waited(quiet, "page.runs.table.initialized && page.runs.table.getColumns().length === 4")
    quiet.run(SETTLED)
    shown, expected = quiet.run("""[page.runs.table.getRows("active").map((row) => row.getData().run),
        page.runs.all.filter((run) => page.store.names[run].includes("lstm"))]""")
    assert sorted(shown) == expected and len(shown) > 1
    seeds = quiet.run(f"{shown}.map((run) => page.store.value(run, 'seed'))")
    assert seeds == sorted(seeds, reverse=True)
    assert quiet.run("page.runs.rows()[0]") == ["name", "task", "seed"]
    quiet.run("document.getElementById('all-but-the-seed').click()")
    waited(quiet, "page.runs.groupTable.initialized")
    assert sum(quiet.run("page.runs.groupTable.getRows().map((row) => row.getData().runs.length)")) == len(shown)


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
