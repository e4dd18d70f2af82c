"""A browser, the page of the committed records, and pages of made-up runs."""

import json

import pytest

from study.records import RESULTS
from tests.analysis.page.browsing import made_page, made_up
from tests.chromium import Chromium


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    with Chromium(tmp_path_factory.mktemp("profile")) as chromium:
        yield chromium


@pytest.fixture(scope="session")
def committed(tmp_path_factory):
    """The address of the page of the committed records, and those records."""
    folder = tmp_path_factory.mktemp("committed")
    made_page("--output", str(folder))
    lines = (line for path in sorted(RESULTS.glob("*/records/*.jsonl")) for line in path.open(encoding="utf-8"))
    return (folder / "page.html").as_uri(), [json.loads(line) for line in lines]


@pytest.fixture(scope="session")
def many(tmp_path_factory):
    return made_up(tmp_path_factory.mktemp("many"), 5000)


@pytest.fixture(scope="session")
def few(tmp_path_factory):
    return made_up(tmp_path_factory.mktemp("few"), 1)


@pytest.fixture
def quiet(browser):
    """Nothing is complained of, and nothing but the page is asked for."""
    browser.resize(1200)
    browser.errors.clear()
    browser.requests.clear()
    yield browser
    assert browser.errors == []
    assert [address for address in browser.requests if "page.html" not in address] == []
