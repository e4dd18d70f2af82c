"""Curves, charts, maps and glimpses in a browser."""

import re

import pytest

from study import experiments
from tests.analysis import synthetic
from tests.analysis.page.browsing import IN_A_BROWSER, SETTLED, busiest, of_single_runs, waited, with_curves

pytestmark = IN_A_BROWSER


def drawn_across(browser, plot, start, end):
    """A mouse pressed at one place of a plot (shares of its width and height from the top left) and let go at another."""
    browser.run(f"{plot}.scrollIntoView({{ behavior: 'instant', block: 'center' }})")
    left, top, width, height = browser.run(
        f"(({{ x, y, width, height }}) => [x, y, width, height])({plot}.getBoundingClientRect())"
    )
    for kind, (right, down) in (("mousePressed", start), ("mouseMoved", end), ("mouseReleased", end)):
        at = {"x": left + right * width, "y": top + down * height}
        browser.call("Input.dispatchMouseEvent", type=kind, button="left", buttons=1, clickCount=1, **at)


def pointed(browser, chart, x, y):
    """The pointer moved to a point of a chart, in its own units; pressed there."""
    browser.run(f"{chart}.over.scrollIntoView({{ behavior: 'instant', block: 'center' }})")
    at = browser.run(f"""(({{ x, y }}) => ({{ x: x + {chart}.valToPos({x}, "x"), y: y + {chart}.valToPos({y}, "y") }}))(
        {chart}.over.getBoundingClientRect())""")
    for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
        browser.call("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **at)


def test_the_pointer_reads_a_line_with_its_interval(quiet, committed):
    _, panel = with_curves(quiet, committed)
    drawn = quiet.run(f"{panel}.drawn")
    line = next(one for one in drawn if one["run"].startswith("mean of "))
    middle = len(line["xs"]) // 2
    pointed(quiet, f"{panel}.chart", line["xs"][middle], line["ys"][middle])
    said = quiet.run(f"{panel}.tip.textContent")
    label, x, y, low, high = re.fullmatch(r"(.*) \(\d+\): ([\d.]+) steps, .* ([\d.]+) \[([\d.]+), ([\d.]+)\]", said).groups()
    known = [
        dict(zip(one["xs"], zip(one["ys"], one["low"], one["high"], strict=True), strict=True))
        for one in drawn
        if one["line"] == label
    ]
    assert [float(y), float(low), float(high)] == pytest.approx(
        known[0][float(x)], abs=0.06 * (float(high) - float(low)) + 1e-3
    )


def test_a_click_in_the_scatter_plot_chooses_the_run_under_it(quiet, committed):
    address, all_records = committed
    chart = "page.runs.scatter.chart"
    quiet.open(f"{address}#runs?chart=scatter&x=seed&y=seconds&filter={busiest(all_records)}")
    waited(quiet, f"{chart}.scales.y.max > 0")
    xs, ys = quiet.run(f"{chart}.data")
    top = ys.index(max(ys))
    pointed(quiet, chart, xs[top], ys[top])
    [name] = quiet.run("[...page.runs.picked].map((run) => page.store.names[run])")
    [record] = [record for record in all_records if record["name"] == name]
    assert (record["plan"]["seed"], record["seconds"]) == pytest.approx((xs[top], ys[top]), rel=1e-4)
    assert quiet.run("page.runs.scatter.tip.textContent").startswith(f"{name}: seed {xs[top]}, seconds ")
    pointed(quiet, chart, xs[top], ys[top])
    assert quiet.run("page.runs.picked.size") == 0


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


def test_one_run_alone_shows_its_scores_and_settings(quiet, tmp_path):
    made = synthetic.complete(experiments.load("glimpse"), "core")[0]
    of_single_runs(quiet, tmp_path, [made])
    score = made["metrics"]["validation"]["accuracy"]
    cell = '#runs-table .tabulator-cell[tabulator-field="validation.accuracy"]'
    waited(quiet, f"document.querySelector('{cell}') !== null")
    assert float(quiet.run(f"document.querySelector('{cell}').textContent")) == pytest.approx(score, abs=1e-4)
    quiet.run("page.runs.toggle(0)")
    waited(quiet, "document.querySelector('.difference') !== null")
    told = dict(quiet.run("cellsOf(document.querySelector('.difference table')).slice(1)"))
    assert float(told["validation.accuracy"]) == pytest.approx(score, abs=1e-4)
    assert told["architecture"] == made["config"]["architecture"]["name"] and told["status"] == "finished"


def test_single_runs_show_what_they_looked_at(quiet, tmp_path):
    """A folder of fresh runs that belong to no experiment: curves over each other, a map, an alignment, glimpses."""
    made = synthetic.complete(experiments.load("glimpse"), "core")[:3]
    image = [[0, 100], [100, 0]]
    saw = [
        {"structure": {"head": [1, 2], "example": {"tokens": ["x", "学"], "map": [[100, 0], [25, 75]], "edges": [[1, 0]]}}},
        {"written": {"test": {"samples": [{"source": ["a", "b"], "output": ["c"], "weights": [[0.125, 0.875]]}]}}},
        {"written": {"test": {"glimpses": [{"image": image, "path": [[1.0, 1.0], [1.8, 1.9]]}]}}},
    ]
    made[2]["config"]["architecture"]["patch"] = 1
    of_single_runs(quiet, tmp_path, [record | seen for record, seen in zip(made, saw, strict=True)])
    quiet.run("drawnSign = () => 'a box'")  # as where no font has Chinese signs
    quiet.run("page.runs.pick(page.runs.all, true)")
    waited(quiet, "document.querySelectorAll('.maps > *').length === 3")
    assert quiet.run("page.runs.compare.panel.drawn.length") == 3
    cells = quiet.run("[...document.querySelectorAll('.map td')].map((cell) => cell.title)")
    assert "U+5B66 looks at x: 25 %" in cells and "c looks at b: 88 %" in cells
    assert quiet.run("document.querySelectorAll('.map td.gold').length") == 1
    path = "document.querySelector('.glimpses canvas')"
    assert quiet.run(f"{path}.title") == "looked at row 1 column 1, then row 2 column 2"
    places = [[0.9, 0.1], [0.1, 0.1], [0.5, 0.5], [0.95, 0.9], [0.25, 0.4]]  # as shares of the image's sides
    colours = quiet.run(f"""(({{ data, width }}) => {places}.map(([x, y]) => {{
        const at = 4 * Math.round(y * width) * width + 4 * Math.round(x * width);
        return [...data.slice(at, at + 4)];
    }}))({path}.getContext("2d").getImageData(0, 0, {path}.width, {path}.height))""")
    ink, blank, ring, last, frame = colours
    white, dot = [255, 255, 255, 255], [0xD5, 0x5E, 0x00, 255]
    assert (ink, blank, ring, last) == ([0, 0, 0, 255], white, white, dot) and frame != white
