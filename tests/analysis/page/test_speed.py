"""How the page's work grows with its runs."""

import json
import statistics

from tests.analysis.page.browsing import IN_A_BROWSER, ROWS, waited

pytestmark = IN_A_BROWSER
MOST_BYTES = 6_000_000


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


def processor_milliseconds(browser, script):
    """What a step costs the page's thread, layout and drawing with it: by its own time, as others use the machine too."""

    def spent():
        metrics = {one["name"]: one["value"] for one in browser.call("Performance.getMetrics")["metrics"]}
        return 1000 * metrics["TaskDuration"]

    before = spent()
    browser.run(f"new Promise((done) => {{ {script}; requestAnimationFrame(() => setTimeout(done)); }})")
    return spent() - before
