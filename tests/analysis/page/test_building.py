"""The page: whole in itself, complete where runs are missing, and its data equal to the records."""

import html
import json
import re
from html.parser import HTMLParser
from itertools import accumulate

import pytest

from analysis import claims, figures, tables, verdicts, wording
from analysis import page as page_
from analysis.load import Loaded
from analysis.page import contrasts, curves, maps, table
from analysis.page import studies as studies_
from analysis.results import Results
from analysis.rows import VERDICTS, Row
from study import experiments
from tests.analysis import synthetic

CLAIMS = claims.read()


def runs_of(column, count):
    """Values of a column as its docstring says they are written: a plain reader."""
    if "is" in column:
        return [float(text) if text else None for text in column["is"].split(",")]
    pairs = column.get("runs", [])
    at = column.get("at") or [index for place in range(0, len(pairs), 2) for index in [pairs[place]] * pairs[place + 1]]
    assert len(at) == count
    return [None if index < 0 else column["of"][index] for index in at]


@pytest.fixture(scope="module")
def studies():
    """Made-up results of an experiment on text and of one with maps."""
    found = [experiments.load(name) for name in ("tying", "structure")]
    return {one.name: Results(one, "core", synthetic.complete(one, "core")) for one in found}


@pytest.fixture(scope="module")
def page(studies, gaps, tmp_path_factory):
    folder = tmp_path_factory.mktemp("figures")
    shown = studies | {"positions": gaps}
    figures.write(folder, shown["tying"])
    found = verdicts.judge(CLAIMS, shown, "core")
    loaded = Loaded(set_aside=["x.jsonl:3: <cut> short"])
    loaded.by_tier["core"] = [record for one in shown.values() for record in one.records]
    return page_.build(CLAIMS, [page_.Shown(found, shown, folder)], loaded, "the committed records"), loaded.by_tier["core"]


class Page(HTMLParser):
    """Collects ids, links and sources, and checks that tags close as they opened."""

    VOID = {"meta", "img", "br", "input", "link", "hr", "rect", "line", "circle", "path"}

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.links, self.sources = [], [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        if tag not in self.VOID:
            self.open.append(tag)
        for key, value in attributes:
            {"id": self.ids, "href": self.links, "src": self.sources, "data-src": self.sources}.get(key, []).append(value)

    def handle_startendtag(self, tag, attributes):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_libraries_are_what_their_packages_hold_and_nothing_else_lies_there():
    assert page_.changed_files() == []
    vendor = page_.HERE / "vendor"
    listed = {file for library in page_.libraries().values() for file in library["files"]}
    assert {str(path.relative_to(vendor)) for path in vendor.rglob("*") if path.is_file()} == listed | {"libraries.yaml"}
    for library in page_.libraries().values():
        assert library["version"] and library["licence"] == "MIT" and library["version"] in library["package"]
        [licence] = [file for file in library["files"] if file.endswith("LICENSE")]
        assert "Permission is hereby granted, free of charge" in (vendor / licence).read_text()


def test_a_changed_library_is_found(monkeypatch, tmp_path):
    for file in ("libraries.yaml", *(file for library in page_.libraries().values() for file in library["files"])):
        (tmp_path / "vendor" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "vendor" / file).write_bytes((page_.HERE / "vendor" / file).read_bytes())
    with (tmp_path / "vendor" / "uplot" / "uPlot.min.css").open("a") as file:
        file.write(" ")
    monkeypatch.setattr(page_, "HERE", tmp_path)
    assert page_.changed_files() == ["uplot/uPlot.min.css"]


@pytest.mark.slow
def test_it_is_one_page_that_asks_for_nothing(page):
    text, _ = page
    parsed = Page(text)
    assert parsed.sources and all(source.startswith("data:image/svg+xml,") for source in parsed.sources)
    inside = [link[1:] for link in parsed.links if not link.startswith(("#runs", "data:,"))]
    assert all(link.startswith("#") or link == "data:," for link in parsed.links)
    assert set(inside) <= set(parsed.ids) and len(parsed.ids) == len(set(parsed.ids))
    assert not re.search(r"@import|<script[^>]+src|sourceMappingURL|<link(?! rel=.icon. href=.data:,.)", text)
    for name in ("Tabulator", "uPlot"):
        assert f"{name} {page_.libraries()[name]['version']} (MIT licence)" in text


def test_no_text_of_a_record_can_end_or_begin_an_element():
    text = "<!--<script></script>"
    written = page_._json({"error": text})
    assert "<" not in written and json.loads(written) == {"error": text}


def test_the_best_mean_of_a_table_is_bold(page, studies):
    study, task = studies["tying"], "subwords_256"
    rows = {row["label"]: row for row in tables.main_rows(study) if row["task"] == task}
    best = min(rows, key=lambda label: rows[label]["mean"])  # of bits per character
    table = re.search(f'data-title="tying {study.experiment.tasks[task].label}".*?</table>', page[0], re.DOTALL)[0]
    lines = [line for line in table.splitlines() if "<td" in line]
    assert len(lines) == len(rows) and [best in line for line in lines] == ["<b>" in line for line in lines]


def test_it_shows_claims_gaps_and_corrections(page):
    text = html.unescape(page[0])
    for claim in CLAIMS.claims.values():
        assert text.index(f"<span>{claim.en}</span>") < text.index(f'lang="zh">{claim.zh}<')
    assert "learned: position 20 is past the learned table" in text
    assert "x.jsonl:3: &lt;cut&gt; short" in page[0]
    assert "reverse, learned: verdict" in text  # the missing run
    for entry in CLAIMS.corrections:
        assert entry["notes"] in text


def test_verdicts_stand_in_words_and_each_is_explained(page):
    text = html.unescape(page[0])
    key = re.search(r'<details class="key">.*?</details>', text, re.DOTALL)[0]
    assert all(f">{wording.MEANINGS[word]}</span></dt><dd>" in key for word in VERDICTS)
    said = set(re.findall(r'<span class="chip[^>]*>([^<]*)<', text))
    assert said <= set(wording.MEANINGS.values()) and len(said) > 3
    assert re.search(r'<details id="method">.*rates are then\s<em>bracketed</em>.*</details>', text, re.DOTALL)


def test_a_claim_says_what_came_of_each_part_and_when_it_was_declared():
    known = {"effect": 0.04, "margin": 0.02, "metric": "test.accuracy", "rule": "better"}
    held = Row("C1", "x", "", "supported", "near", **known, registered="older")
    left = Row("C1", "y", "", "not run", "far")
    assert contrasts._in_short([held, left]) == [
        ("near", "holds: +4.0 points, more than the 2 that count"),
        ("far", "not measured"),
    ]
    assert contrasts._in_short([left, left]) == []
    [(state, meaning)] = contrasts.contrast(held)["facts"]
    assert state == "older" and "an earlier edition of the study" in meaning


def test_a_task_without_runs_has_no_empty_tables(studies):
    found = verdicts.judge(CLAIMS, {}, "core")
    [shown] = [studies_.of(Results(studies["tying"].experiment, "core", []), found, CLAIMS, page_.HERE)]
    assert shown["tasks"] and all(task["scores"] is None and task["costs"] is None for task in shown["tasks"])
    assert shown["means"] == "" and shown["caption"] == ""


def test_the_table_says_what_the_records_say(page):
    text, records = page
    data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.S).group(1))
    names, before = [], ""
    for shared, rest in zip(data["names"][::2], data["names"][1::2], strict=True):
        names.append(before := before[:shared] + rest)
    assert names == [record["name"] for record in records] and data["count"] == len(records)
    columns = {column["name"]: runs_of(column, len(records)) for column in data["columns"]}
    for at, record in enumerate(records):
        scores = {f"{split}.{name}": score for split, found in record["metrics"].items() for name, score in found.items()}
        for name, score in scores.items():
            assert columns[name][at] == pytest.approx(score, rel=1e-4), (record["name"], name)
        assert columns["test.accuracy"][at] is None or "test.accuracy" in scores
        assert [columns[key][at] for key in ("task", "arm", "seed", "rate", "status")] == [
            *(record["plan"][key] for key in ("task", "arm", "seed", "rate")),
            record["status"],
        ]
        assert columns["model.width"][at] == record["config"]["model"]["width"]
    assert {column["name"]: column["differs"] for column in data["columns"]}["arm"] is True
    assert all(column["differs"] is (len(set(columns[column["name"]])) > 1) for column in data["columns"])
    assert sum(status != "finished" for status in columns["status"]) == 2


def test_a_collapsed_run_is_named(studies):
    made = [json.loads(json.dumps(record)) for record in studies["tying"].records]
    fallen = next(record for record in made if record["plan"]["role"] == "verdict" and record["metric"] == "bits_per_character")
    fallen["metrics"]["test"]["bits_per_character"] *= 2
    results = Results(experiments.load("tying"), "core", made)
    [column] = [column for column in table.table(made, [results]) if column["name"] == "collapsed"]
    assert [record["name"] for record, how in zip(made, runs_of(column, len(made)), strict=True) if how] == [fallen["name"]]


def test_a_record_older_than_a_key_has_the_value_of_the_others_of_its_cell(studies):
    made = [json.loads(json.dumps(record)) for record in studies["tying"].records]
    cells = {}
    for record in made:
        cells.setdefault(tuple(record["plan"][key] for key in ("task", "arm", "role", "rate")), []).append(record)
    whole, torn, left = [cell for cell in cells.values() if len(cell) > 2][:3]
    for lacks, *_ in (whole, torn, left):
        del lacks["config"]["train"]["batch"]
    torn[1]["config"]["train"]["batch"] = 64
    left[0]["plan"]["digest"] = "another"  # no declared run, so nobody knows how it was meant
    results = Results(experiments.load("tying"), "core", made)
    [column] = [column for column in table.table(made, [results]) if column["name"] == "train.batch"]
    found = dict(zip((record["name"] for record in made), runs_of(column, len(made)), strict=True))
    assert [found[cell[0]["name"]] for cell in (whole, torn, left)] == [32, None, None]


def test_numbers_are_kept_to_five_digits_and_names_share_their_starts():
    [column] = [column for column in [table._column({0: 1 / 3, 2: 20000.0}, 3)]]
    assert runs_of(column, 3) == [pytest.approx(0.33333), None, 20000]
    assert table.front_coded(["heads-a-s0", "heads-a-s1", "text"]) == [0, "heads-a-s0", 9, "1", 0, "text"]


def test_curves_come_back_as_they_were(page):
    text, records = page
    coded = json.loads(re.search(r'id="data">(.*?)</script>', text, re.S).group(1))["curves"]
    seen = 0
    for record, run in zip(records, coded["runs"], strict=True):
        rows = curves.thinned(record["curve"])
        if not run:
            assert not rows
            continue
        assert list(accumulate(coded["steps"][run[0]])) == [row["step"] for row in rows]
        for series, decimals, *differences in run[1:]:
            name = coded["series"][series].replace(" ", "_")
            values = [total / 10**decimals for total in accumulate(differences)]
            assert values == pytest.approx([row[name] for row in rows], rel=0, abs=0.5000001 * 10**-decimals)
            assert max(abs(value) for value in values) >= 10 ** (4 - decimals)  # five digits
            seen += 1
    assert seen > len(records)


def test_long_curves_are_thinned_and_keep_their_end_and_gaps():
    rows = [{"step": step} for step in range(1, 1001)]
    kept = curves.thinned(rows)
    assert len(kept) <= curves.MOST_POINTS + 1 and kept[0] is rows[0] and kept[-1] is rows[-1]
    assert curves._coded([0.5, None, 0.25]) == [5, 50000, None, -25000]


def test_maps_have_their_tokens():
    record = {
        "structure": {"head": [1, 2], "example": {"tokens": [7, 8], "map": [[100, 0], [25, 75]], "edges": [[1, 0]]}},
        "written": {"test": {"samples": [{"source": ["a", "b"], "output": ["c"], "weights": [[0.125, 0.875]]}]}},
    }
    assert maps.maps([record]) == [
        [0, "layer 1, head 2", ["7", "8"], ["7", "8"], ["100 0", "25 75"], [[1, 0]]],
        [0, "alignment, test", ["c"], ["a", "b"], ["12 88"], []],
    ]


def test_glimpses_have_their_images_once_each():
    images = [[[0, 100], [50, 160]], [[100, 100], [0, 0]]]
    paths = [[[1.0, 0.5], [0.2, 1.9]], [[0.0, 0.0]]]
    written = {"test": {"glimpses": [{"image": image, "path": path} for image, path in zip(images, paths, strict=True)]}}
    found = maps.glimpses([{"written": {}}, {"written": written}, {"written": written}])
    assert found["images"] == [["0z", "iz"], ["zz", "00"]]
    assert found["seen"] == [[run, "test", [[0, 1.0, 0.5, 0.2, 1.9], [1, 0.0, 0.0]]] for run in (1, 2)]


def test_scales_end_where_they_do():
    assert table.bounds("test.accuracy") == {"bounds": [0.0, 1.0]} and table.bounds("test.bleu") == {"bounds": [0.0, 100.0]}
    assert table.bounds("steps_to_90") == {"bounds": [0.0, None]} and table.bounds("model.width") == {}


@pytest.mark.slow
def test_a_figure_of_other_records_is_not_shown(studies, tmp_path):
    figures.write(tmp_path, studies["tying"])
    found = verdicts.judge(CLAIMS, studies, "core")
    fewer = Results(studies["tying"].experiment, "core", studies["tying"].records[:-1])
    drawn, stale = (studies_.of(results, found, CLAIMS, tmp_path) for results in (studies["tying"], fewer))
    assert drawn["figure"].startswith("data:image/svg+xml,") and stale["figure"] == ""
    assert drawn["caption"] == "Each arm's mean score with its 95 % interval; each dash is a seed." and stale["caption"] == ""


def test_a_caption_names_all_that_a_figure_shows(studies):
    said = figures.caption(studies["structure"])
    assert "gold edges a head finds" in said and "attention map of one sequence" in said and "``" not in said


def test_bars_are_cut_with_arrows():
    def bar(effect, low, high):
        row = Row(
            "C1", "x", "", "supported", effect=effect, low=low, high=high, margin=0.02, metric="test.accuracy", rule="better"
        )
        return contrasts.bar(row)

    inside, beyond = bar(0.04, 0.0, 0.08), bar(10, -10, 20)
    assert not inside["cut_low"] and not inside["cut_high"] and inside["low"] == contrasts.WIDTH / 2
    assert beyond["cut_low"] and beyond["cut_high"] and 0 < beyond["low"] < beyond["effect"] < contrasts.WIDTH
    start, width = inside["margin"]
    assert bar(0.02, 0.0, 0.02)["effect"] == pytest.approx(start + width, abs=0.2), "one margin ends where its band does"


def test_data_of_one_file_or_of_several_are_named_by_their_hashes():
    found = studies_._hashes({"train": ["a" * 64, "b" * 64], "test": "c" * 64})
    assert studies_._hashes("a" * 64) == "a" * 16 and found == " ".join(letter * 16 for letter in "abc")
