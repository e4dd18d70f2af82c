"""Tables, figures and the report: complete where runs are missing, true to the records, self-contained."""

import csv
import html
import io
import json
import re
from html.parser import HTMLParser

import pytest

from analysis import claims, figures, report, synthetic, tables, values, verdicts
from analysis.results import Results
from study import experiments
from study.experiments import Experiment

pytestmark = pytest.mark.slow

CLAIMS = claims.read()
NAMES = [name for name in experiments.names() if "core" in experiments.load(name).tiers]


@pytest.fixture(scope="module")
def studies():
    return {
        name: Results(experiment, "core", synthetic.complete(experiment, "core"))
        for name, experiment in ((name, experiments.load(name)) for name in NAMES)
    }


@pytest.fixture(scope="module")
def gaps():
    """`positions` with a missing, a failed and a diverged run, and one cell that was never tuned."""
    experiment = experiments.load("positions")
    made = [r for r in synthetic.complete(experiment, "core") if r["plan"]["arm"] != "none" or r["plan"]["task"] != "copy"]
    kept = []
    for record in made:
        plan = record["plan"]
        if (plan["role"], plan["arm"], plan["task"]) == ("verdict", "learned", "reverse"):
            if plan["seed"] == 0:
                continue
            if plan["seed"] in (1, 2):
                record.update(status="failed" if plan["seed"] == 1 else "diverged", metrics={}, slices={}, curve=[], error="x")
        if plan["arm"] == "learned" and plan["role"] == "verdict":
            record["metrics"].pop("out", None)
            record["notes"] = {"out": "position 20 is past the learned table"}
        kept.append(record)
    return Results(experiment, "core", kept)


def test_table_has_a_row_for_every_cell_also_where_nothing_ran(gaps):
    rows = {(row["arm"], row["task"]): row for row in tables.main_rows(gaps)}
    assert list(rows) == [cell for cell in gaps.experiment.cells("core")]
    hurt = rows["learned", "reverse"]
    planned = len(gaps.planned_seeds)
    assert (hurt["seeds"], hurt["missing"], hurt["failed"], hurt["diverged"]) == (planned - 3, 1, 1, 1)
    assert tables.lost(hurt) == "1 diverged, 1 failed, 1 missing"
    never = rows["none", "copy"]
    assert never["mean"] is None and never["rate"] is None and never["missing"] == planned


def test_table_says_why_out_of_distribution_was_not_scored(gaps):
    rows = {(row["arm"], row["task"]): row for row in tables.main_rows(gaps)}
    assert rows["learned", "copy"]["out_mean"] is None and "past the learned table" in rows["learned", "copy"]["out_note"]
    assert tables.score_cells(rows["learned", "copy"], CLAIMS.metrics)["longer than trained on"] == "can't be scored"
    assert rows["sinusoidal", "copy"]["out_mean"] == pytest.approx(rows["sinusoidal", "copy"]["mean"] / 4)


def test_numbers_of_a_table_are_those_of_its_records(studies):
    study = studies["positions"]
    row = next(row for row in tables.main_rows(study) if (row["arm"], row["task"]) == ("learned", "reverse"))
    values = [r["metrics"]["test"]["accuracy"] for r in study.verdict["learned", "reverse"].values()]
    assert row["mean"] == pytest.approx(sum(values) / len(values))
    assert row["low"] < row["mean"] < row["high"]
    assert (row["chance"], row["heuristic_score"], row["parameters_other"]) == (0.125, 0.14, 99328)


def test_files_name_tier_seeds_device_and_revision(studies, tmp_path):
    tables.write(tmp_path, studies["text"], CLAIMS.metrics, CLAIMS.published_results)
    rows = list(csv.DictReader((tmp_path / "text.csv").open()))
    assert all(row["tier"] == "core" and row["revision"] == "00000000" and "cpu" in row["device"] for row in rows)
    text = (tmp_path / "text.md").read_text()
    assert "- seeds: 0 1 2 3 4" in text and "- device: cpu" in text and "- revision: 00000000" in text
    assert "2.71 bits per character (1.88 nats per character)" in text  # 1.88 / ln 2
    rates = list(csv.DictReader((tmp_path / "text_rates.csv").open()))
    chosen = [row for row in rates if row["chosen"] == "yes"]
    assert len(chosen) == len({(row["task"], row["arm"]) for row in rates})


def test_measured_costs_have_their_exponents(studies):
    study = studies["window"]
    cells = {row["arm"]: row for row in tables.measured_cells(study, "cost")}
    assert cells["full attention in 1 layer"]["time at n = 2048"] == "4,203 ms, n^2.00"  # 1e-6 n^2 s, 1.002 on the mean seed
    assert cells["8 tokens back in 1 layer"]["counted multiply-adds at n = 2048"] == "0.131 million, n^1.00"


def test_costs_along_length_and_width_stand_in_one_table(studies):
    titles = tables.layer_tables(studies["complexity"])
    growth, where = titles.values()
    cells = {row["arm"]: row for row in growth}
    assert cells["full attention"]["time"] == "n^2.00; d^2.00"
    assert cells["attention restricted to 8 tokens back"]["time"] == "n^1.00; d^1.00"
    assert cells["LSTM"]["hops"] == "n^0; d^0"
    where = {row["arm"]: row for row in where}
    assert "full attention" not in where
    assert where["attention restricted to 8 tokens back"]["time, along n"] == "nowhere from 32 to 2048"
    assert set(tables.layer_tables(studies["window"])) == set()


def test_where_one_curve_lies_below_another_in_words():
    x = (1, 2, 4, 8)
    assert tables._where("n", x, (1, 2, 4, 8), (3, 3, 3, 3)) == "up to n = 3"
    assert tables._where("d", x, (8, 4, 2, 1), (3, 3, 3, 3)) == "from d = 3"
    assert tables._where("n", x, (1, 4, 1, 1), (2, 2, 2, 2)) == "up to n = 1, from n = 3"
    assert tables._where("n", x, (1, 1, 1, 1), (2, 2, 2, 2)) == "everywhere from 1 to 8"
    assert tables._where("n", x, (2, 2, 2, 2), (2, 2, 2, 2)) == "nowhere from 1 to 8"


def test_what_a_target_took_stands_in_the_table_of_costs(studies):
    study = studies["speed"]
    rows = [row for row in tables.main_rows(study) if row["task"] == "reverse"]
    cells = tables.cost_cells(rows[0])
    assert cells["reached validation accuracy 0.9"].endswith(" of 5")
    assert {"median samples to it", "median multiply-adds to it", "median seconds to it"} <= cells.keys()
    assert "target" not in tables.main_rows(studies["text"])[0]


@pytest.mark.parametrize("name", NAMES)
def test_every_declared_experiment_has_its_figures(name, studies, tmp_path):
    written = figures.write(tmp_path, studies[name], CLAIMS.metrics)
    trained = [f"{name}_training.svg"] if studies[name].trained_tasks else []
    assert [path.name for path in written] == [f"{name}.svg", *trained]
    text = written[0].read_text()
    shown = [task for task in studies[name].trained_tasks]
    for task in shown:
        assert escaped(studies[name].experiment.tasks[task].label) in text
    assert written[0].with_suffix(".png").read_bytes().startswith(b"\x89PNG")


def escaped(text):
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def test_shares_are_those_of_all_runs_and_a_field_of_the_record_is_drawn_on_a_log_scale(studies):
    study = studies["addnorm"]
    shares, gradients, *_ = figures.main(study, CLAIMS.metrics).axes
    drawn = {line.get_label(): dict(zip(*line.get_data(), strict=True)) for line in shares.lines}
    runs = [*study.tuning["pre_norm_8", "offset"], *study.verdict["pre_norm_8", "offset"].values()]
    assert len(runs) == 11
    assert drawn["pre-norm"][8] == sum(run["steps_to_solve"] is not None for run in runs) / 11
    assert not [text for text in shares.texts if text.get_text() == "chance"]  # that of the accuracy, not of this share
    assert gradients.get_yscale() == "log" and "gradient, first block" in gradients.get_ylabel()


def test_reach_is_drawn_in(studies, tmp_path):
    figure = figures.main(studies["distance"], CLAIMS.metrics)
    axes = figure.axes[0]
    upright = {line.get_xdata()[0] for line in axes.lines if len(set(line.get_xdata())) == 1 and len(line.get_xdata()) == 2}
    reaches = {r["reach"] for seeds in studies["distance"].verdict.values() for r in seeds.values()} - {None}
    assert {reach + 0.5 for reach in reaches} <= upright


def test_a_curve_per_split_where_asked_for(studies):
    """Training text, test text and the best look, each with the numbers of its records."""
    study = studies["dropout"]
    ax = figures.main(study, CLAIMS.metrics).axes[0]
    lines = {line.get_label(): list(line.get_ydata()) for line in ax.get_lines() if not line.get_label().startswith("_")}
    assert list(lines) == list(study.experiment.figure["splits"].values())
    arms = study.experiment.arms
    for (split, _), drawn in zip(study.experiment.figure["splits"].items(), lines.values(), strict=True):
        for arm, y in zip(arms, drawn, strict=True):
            records = study.seeds((arm, "share_1")).values()
            scores = [values.measure(record, f"{split}.bits_per_character") for record in records]
            assert y == pytest.approx(sum(scores) / len(scores))


def test_arms_differ_in_more_than_colour(studies):
    looks = [figures._look(studies["window"], arm) for arm in studies["window"].experiment.arms]
    assert len({(marker, str(line)) for _, marker, line in looks}) == len(looks)


def written(name, **kept):
    """A study whose verdict records keep what was written or looked at."""
    experiment = experiments.load(name)
    made = synthetic.complete(experiment, "core")
    for record in made:
        if record["plan"]["role"] == "verdict" and record["plan"]["arm"] != "fixed_vector":
            record["written"] = {"test": kept}
    return Results(experiment, "core", made)


def test_alignments_are_drawn_for_arms_that_have_them():
    sample = {"source": ["a", "b"], "reference": "b a", "output": ["b", "a"], "weights": [[0.1, 0.9], [0.8, 0.2]]}
    study = written("alignment", samples=[sample])
    drawn = [ax for ax in figures.main(study, CLAIMS.metrics).axes if ax.images]
    label = {name: arm.label for name, arm in study.experiment.arms.items()}
    titles = [ax.get_title(loc="left") for ax in drawn]
    assert f"reversal, {label['bahdanau']}" in titles and f"reversal, {label['fixed_vector']}" not in titles
    assert all(ax.images[0].get_array().tolist() == sample["weights"] for ax in drawn)


def test_paths_of_glimpses_are_drawn_over_their_images():
    look = {"image": [[0, 100], [50, 0]], "path": [[1.0, 1.0], [0.5, 2.5]]}
    study = written("glimpse", glimpses=[look, look])
    axes = next(ax for ax in figures.main(study, CLAIMS.metrics).axes if ax.images)
    assert axes.images[0].get_array().tolist() == [[0, 100, 0, 100], [50, 0, 50, 0]]
    paths = [line.get_xydata().tolist() for line in axes.lines if len(line.get_xdata()) == 2]
    assert paths == [[[0.5, 0.5], [1.5, 0.0]], [[2.5, 0.5], [3.5, 0.0]]]  # column and row; what lies outside, at the edge


def test_bleu_is_compared_sentence_by_sentence_with_the_best_arms():
    study = written("translation", statistics=[[5, 5, 4, 2, 1, 0, 5, 4, 3, 2], [6, 5, 5, 4, 3, 2, 6, 5, 4, 3]])
    [(title, lines)] = tables.sentence_tables(study).items()
    best = title.partition("less that of ")[2].partition(", sentences")[0]
    arms = study.experiment.arms
    run = list(dict.fromkeys(arm for arm, _ in study.experiment.cells("core")))
    others = [arms[name].label for name in run if name != "fixed_vector" and arms[name].label != best]
    assert [line["arm"] for line in lines] == others
    assert all(line["seed 0"] == "+0.00 [+0.00, +0.00], p = 1.000" for line in lines)
    best_arm = next(name for name in run if arms[name].label == best)
    task = next(name for name in study.trained_tasks if title.startswith(study.experiment.tasks[name].label))
    study.seeds((best_arm, task))[0]["written"] = {"test": {"statistics": [[1] * 10]}}
    [lines] = tables.sentence_tables(study).values()
    assert all(line["seed 0"] == "scored on other sentences" for line in lines)


def test_data_of_one_file_or_of_several_are_named_by_their_hashes():
    found = report._hashes({"train": ["a" * 64, "b" * 64], "test": "c" * 64})
    assert report._hashes("a" * 64) == "a" * 16 and found == " ".join(letter * 16 for letter in "abc")


def test_chance_is_shown_for_scores_that_it_is_the_chance_of(studies):
    record = {"metric": "accuracy"}
    assert [tables.tells_chance(record, m) for m in ("accuracy", "token_accuracy", "bleu")] == [True, True, False]


def test_a_new_experiment_needs_no_figure_code(tmp_path):
    experiment = Experiment(
        {
            "name": "new",
            "title": "t",
            "question": "q",
            "claims": [],
            "arms": {"a": {"set": {"mixer": "x"}}, "b": {"set": {"mixer": "y"}}},
            "tasks": {"something": {"set": {"task": "z"}}},
            "tiers": {"core": {"rates": [0.001], "tuning_seeds": [9], "verdict_seeds": [0, 1]}},
        }
    )
    study = Results(experiment, "core", synthetic.complete(experiment, "core"))
    assert len(figures.write(tmp_path, study, CLAIMS.metrics)) == 2


def test_of_several_slices_each_task_is_drawn_over_the_first_it_has(studies):
    for name, axes in (("distance", ["distance", "position"]), ("heads", ["position", "length"])):
        study = studies[name]
        for task in study.trained_tasks:
            cell = study.experiment.tasks[task].arms[0], task
            had = {axis for record in study.verdict[cell].values() for axis in record["slices"]["test"]}
            assert figures._axis(study, task, axes) == next((axis for axis in axes if axis in had), None)
            assert figures._axis(study, task, "nothing") is None


@pytest.mark.parametrize(
    ("figure", "words"),
    [
        ({"knd": "arms"}, "unknown 'knd'"),
        ({"kind": "pie"}, "known are arms"),
        ({"kind": "slices"}, "needs figure.slice"),
        ({"kind": "shares", "x": "layers"}, "shares needs figure.x and figure.series"),
    ],
)
def test_a_figure_that_can_not_be_drawn_is_refused(figure, words):
    experiment = experiments.load("text")
    experiment.figure = figure
    with pytest.raises(ValueError, match=words):
        figures.check(experiment)


class Page(HTMLParser):
    """Collects ids, links and sources, and checks that tags close as they opened."""

    VOID = {"meta", "img", "br", "input", "link", "hr"}

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.links, self.sources = [], [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        if tag not in self.VOID:
            self.open.append(tag)
        for key, value in attributes:
            {"id": self.ids, "href": self.links, "src": self.sources}.get(key, []).append(value)

    def handle_startendtag(self, tag, attributes):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def page(studies, gaps, tmp_path_factory):
    folder = tmp_path_factory.mktemp("figures")
    shown = {**studies, "positions": gaps}
    figures.write(folder, studies["distance"], CLAIMS.metrics)
    found = verdicts.judge(CLAIMS, shown, "core")
    return report.build(CLAIMS, found, shown, ["x.jsonl:3: <cut> short"], "the committed records", folder)


def test_report_is_one_page_that_fetches_nothing(page):
    parsed = Page(page)
    assert parsed.sources and all(source.startswith("data:image/svg+xml,") for source in parsed.sources)
    assert all(link.startswith("#") for link in parsed.links)
    assert {link[1:] for link in parsed.links} <= set(parsed.ids) and len(parsed.ids) == len(set(parsed.ids))
    own = re.sub(r'src="data:[^"]*"', "", page)  # pictures are whole in themselves
    assert not re.search(r"@import|url\(|fetch\(|XMLHttp|<script[^>]+src|https?://(?!www.w3.org/2000/svg)", own)
    assert len(page) < 3_000_000


def test_report_shows_claims_gaps_and_corrections(page):
    for claim in CLAIMS.claims.values():
        assert claim.zh in html.unescape(page)
    assert "learned: position 20 is past the learned table" in page
    assert "x.jsonl:3: &lt;cut&gt; short" in page
    assert "reverse, learned: verdict" in page  # the missing run
    for entry in CLAIMS.corrections:
        assert entry["notes"] in html.unescape(page)


def test_report_carries_every_learning_curve(page, studies, gaps):
    data = json.loads(re.search(r'id="runs">(.*?)</script>', page, re.S).group(1))
    for name, study in {**studies, "positions": gaps}.items():
        trained = [r for r in study.records if study.is_trained(r["plan"]["task"])]
        assert {run[0] for run in data[name]["runs"]} == {r["name"] for r in trained}
    record = next(iter(studies["heads"].verdict.values()))[0]
    run = next(run for run in data["heads"]["runs"] if run[0] == record["name"])
    assert data["heads"]["steps"][run[8]] == [row["step"] for row in record["curve"]]
    assert run[9] == pytest.approx([row["validation_accuracy"] for row in record["curve"]], rel=1e-3)


def test_long_curves_are_thinned_and_keep_their_end():
    rows = [{"step": step} for step in range(1, 1001)]
    kept = report._thinned(rows)
    assert len(kept) <= report.MOST_POINTS + 1 and kept[0] is rows[0] and kept[-1] is rows[-1]


def test_effects_are_told_in_their_units():
    def told(**keys):
        return tables.effect(verdicts.Row("C1", "x", "", "supported", **keys), CLAIMS.metrics)

    assert told(effect=0.1, low=0.05, high=0.15, metric="test.accuracy") == "+10.0 points [+5.0, +15.0]"
    assert told(effect=-0.02, metric="test.bits_per_character") == "-0.020 bits"
    assert told(effect=0.5, low=0.4, high=0.6, metric="seconds") == "+50.0 % [+40.0, +60.0]"
    assert told(effect=1.0, metric="cost.seconds", rule="slope") == "+1.00"
    assert told() == ""


def test_csv_leaves_empty_what_is_not_there():
    text = tables.as_csv([{"a": None, "b": 0.1234567891, "c": True, "d": "x"}])
    assert list(csv.reader(io.StringIO(text))) == [["a", "b", "c", "d"], ["", "0.123457", "yes", "x"]]
