"""What the tests of the page in a real browser share: pages of many records, and how a view is driven."""

import json
import time
from collections import Counter

import pytest

from analysis import __main__ as command
from tests.analysis import synthetic
from tests.chromium import PATH

IN_A_BROWSER = [pytest.mark.slow, pytest.mark.skipif(PATH is None, reason="chromium is not installed")]
ROWS = "[...document.querySelectorAll('{} .tabulator-row')].length"
SETTLED = "new Promise((done) => setTimeout(done, 400))"


def made_page(*arguments):
    """Without figures, as drawing takes most of the time and is tested elsewhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "_draw", lambda *_: None)
        assert command.main(["page", *arguments]) == 0


def made_up(folder, least):
    """The page of ``least`` made-up runs or more."""
    assert synthetic.write_records(folder, least) >= least
    where = ["--results", str(folder / "results"), "--declarations", str(folder / "declarations")]
    made_page(*where, "--output", str(folder / "out"))
    return folder / "out" / "page.html"


def waited(browser, script):
    """Until an expression is true in the page."""
    until = time.monotonic() + 30
    while not browser.run(script):
        assert time.monotonic() < until, script
        time.sleep(0.05)


def busiest(all_records):
    """The experiment with the most learning curves."""
    counts = Counter(record["plan"]["experiment"] for record in all_records if record["curve"])
    return counts.most_common(1)[0][0]


def with_curves(browser, committed, view="experiments/{}"):
    """Opens the page of the committed records where the busiest experiment's curves are; its name, and the panel of curves."""
    address, all_records = committed
    name = busiest(all_records)
    panel = f"document.getElementById('experiments/{name}').querySelector('.curves').panel"
    browser.open(f"{address}#{view.format(name)}")
    waited(browser, f"{panel}?.chart?.scales.y.max > 0")
    return name, panel


def of_single_runs(browser, folder, made):
    """Opens the page of a folder of fresh runs that belong to no experiment, made of such records."""
    for record in made:
        record["plan"] |= {**dict.fromkeys(("experiment", "arm", "task", "digest")), "role": "single"}
        synthetic.write_run(folder / "runs", record)
    made_page("--source", str(folder / "runs"), "--output", str(folder / "out"))
    browser.open((folder / "out" / "page.html").as_uri() + "#runs")


def typed(browser, text):
    browser.run(f"page.runs.box.value = {json.dumps(text)}; page.runs.box.dispatchEvent(new Event('input'))")
    return set(browser.run("page.runs.shown.map((run) => page.store.names[run])"))
