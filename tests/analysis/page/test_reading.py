"""Findings and experiments in a browser, and the page on a telephone, in the dark and by keyboard."""

import re

from analysis import claims
from tests.analysis.page.browsing import IN_A_BROWSER, ROWS, SETTLED, busiest, waited

pytestmark = IN_A_BROWSER


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
