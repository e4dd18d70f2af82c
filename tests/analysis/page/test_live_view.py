"""The page in a browser while a sweep trains."""

import json
import threading

import yaml

from analysis import claims, page, verdicts
from analysis.page import live
from analysis.results import Results
from study import experiments
from study.forecast import planned
from tests.analysis import synthetic
from tests.analysis.page.browsing import IN_A_BROWSER, waited

pytestmark = IN_A_BROWSER


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

    for record in made[:3]:
        begin(record)
    synthetic.write_run(runs, made[0])
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
        synthetic.write_run(runs, made[1])
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
