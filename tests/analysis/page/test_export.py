"""What is shown is saved as CSV and LaTeX."""

import io
import math
import re

import pandas as pd
import pytest
from scipy import stats

from tests.analysis.page.browsing import IN_A_BROWSER, ROWS, busiest, typed, waited, with_curves

pytestmark = IN_A_BROWSER


def saved(browser, place):
    """Name and text of the file that the button CSV saves at a place."""
    browser.run("void (save = (...file) => { kept = file; })")
    browser.run(f"[...document.querySelectorAll(`{place} button`)].find((one) => one.textContent === 'CSV').click()")
    return browser.run("kept")


def test_curves_are_saved_as_they_are_drawn(quiet, committed):
    _, all_records = committed
    name, _ = with_curves(quiet, committed, "experiments/{}?singles=1")
    root = f"[id='experiments/{name}'] .curves"
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
    names = typed(quiet, name)
    found = {record["name"]: record for record in all_records if record["name"] in names}
    validated = {run: one["metrics"].get("validation", {}) for run, one in found.items()}  # none of one that diverged
    scored = {run: metrics["loss"] for run, metrics in validated.items() if "loss" in metrics}
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
