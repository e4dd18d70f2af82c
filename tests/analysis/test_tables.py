"""Tables: complete where runs are missing, true to the records."""

import copy
import csv
import io
import math

import pytest

from analysis import cells, claims, formats, tables
from analysis.bleu import sentence_tables
from analysis.findings import Said
from analysis.results import Results
from study import experiments
from study.metrics import METRICS
from tests.analysis import synthetic

pytestmark = pytest.mark.slow


def test_table_has_a_row_for_every_cell_also_where_nothing_ran(gaps):
    rows = {(row["arm"], row["task"]): row for row in tables.main_rows(gaps)}
    assert list(rows) == [cell for cell in gaps.experiment.cells("core")]
    hurt = rows["learned", "reverse"]
    planned = len(gaps.planned_seeds())
    assert (hurt["seeds"], hurt["missing"], hurt["failed"], hurt["diverged"]) == (planned - 3, 1, 1, 1)
    assert cells.failures(hurt) == "1 diverged, 1 failed, 1 missing"
    never = rows["random", "reverse"]
    assert never["mean"] is None and never["rate"] is None and never["missing"] == planned


def test_table_says_how_runs_ended_and_which_collapsed(studies):
    study = studies["positions"]
    [first, second, *rest] = [dict(run) for run in study.verdict["learned", "reverse"].values()]
    first["metrics"] = {**first["metrics"], "test": {**first["metrics"]["test"], "accuracy": 0.1}}
    second["curve"] = [{"step": step, "validation_accuracy": step / 1000} for step in (100, 200, 300, 400)]
    changed = copy.copy(study)
    changed.verdict = {**study.verdict, ("learned", "reverse"): {run["plan"]["seed"]: run for run in (first, second, *rest)}}
    [row] = [row for row in tables.main_rows(changed) if (row["arm"], row["task"]) == ("learned", "reverse")]
    seed = first["plan"]["seed"]
    assert cells.failures(row) == f"1 collapsed (seed {seed})" and row["seeds"] == len(rest) + 2, "it counts in the mean"
    assert row["ended"] == f"{len(rest) + 1} flat, 1 still improving" == cells.score_cells(row)["ended"]


def test_table_says_why_out_of_distribution_was_not_scored(gaps):
    rows = {(row["arm"], row["task"]): row for row in tables.main_rows(gaps)}
    assert rows["learned", "copy"]["out_mean"] is None and "past the learned table" in rows["learned", "copy"]["out_note"]
    assert cells.score_cells(rows["learned", "copy"])["longer than trained on"] == "can't be scored"
    assert rows["sinusoidal", "copy"]["out_mean"] == pytest.approx(rows["sinusoidal", "copy"]["mean"] / 4)


def test_numbers_of_a_table_are_those_of_its_records(studies):
    study = studies["positions"]
    row = next(row for row in tables.main_rows(study) if (row["arm"], row["task"]) == ("learned", "reverse"))
    values = [r["metrics"]["test"]["accuracy"] for r in study.verdict["learned", "reverse"].values()]
    assert row["mean"] == pytest.approx(sum(values) / len(values))
    assert row["low"] < row["mean"] < row["high"]
    assert (row["chance"], row["heuristic_score"], row["parameters_other"]) == (0.125, 0.14, 99328)


def test_rates_that_met_on_a_task_itself_are_in_its_table_and_off_the_edge():
    """The two best rates of ``learned`` overlap on ``third``; those of the others don't."""
    translation = experiments.load("translation")

    def loss(run, draw):
        lucky = (run.arm, run.task, run.rate, run.seed) == ("learned", "third", 0.003, 100)
        return 0.3 if lucky else {0.003: 0.5, 0.01: 0.4, 0.03: 0.9}[run.rate]

    study = Results(translation, "core", synthetic.complete(translation, "core", loss))
    found = [(row["arm"], row["rate"], row["chosen"]) for row in tables.rate_rows(study) if row["task"] == "de_en"]
    assert found == [("learned", 0.003, False), ("learned", 0.01, True)] and not study.missing
    assert {row["rate_on_edge"] for row in tables.main_rows(study)} == {False}


def test_files_name_tier_seeds_device_and_revision(studies, tmp_path):
    answers = [Said("C1", "supported", "It wins."), Said("C2", "reversed", "It loses.")]
    tables.write(tmp_path, studies["text"], claims.read().published_results, answers)
    rows = list(csv.DictReader((tmp_path / "text.csv").open()))
    assert all(row["tier"] == "core" and row["revision"] == "00000000" and "cpu" in row["device"] for row in rows)
    text = (tmp_path / "text.md").read_text()
    assert "- seeds: 0 1 2 3 4" in text and "- device: cpu" in text and "- revision: 00000000" in text
    assert "2.71 bits per character (1.88 nats per character)" in text  # 1.88 / ln 2
    assert "\n- **supported** (C1): It wins.\n- **reversed** (C2): It loses.\n" in text
    latex = (tmp_path / "text.tex").read_text()
    assert latex.count(r"\textbf{") == text.count("| **") > 0
    rates = list(csv.DictReader((tmp_path / "text_rates.csv").open()))
    chosen = [row for row in rates if row["chosen"] == "yes"]
    assert len(chosen) == len({(row["task"], row["arm"]) for row in rates})


def test_what_a_target_took_stands_in_the_table_of_costs(studies):
    study = studies["translation"]
    rows = [row for row in tables.main_rows(study) if row["task"] == "de_en"]
    shown = cells.cost_cells(rows[0])
    assert shown["reached validation bleu 0.5"].endswith(" of 5")
    assert {"median samples to it", "median multiply-adds to it", "median seconds to it"} <= shown.keys()
    assert "target" not in tables.main_rows(studies["size"])[0]


def test_bleu_is_compared_sentence_by_sentence_with_the_best_arms(written):
    study = written("translation", statistics=[[5, 5, 4, 2, 1, 0, 5, 4, 3, 2], [6, 5, 5, 4, 3, 2, 6, 5, 4, 3]])
    [(title, lines)] = sentence_tables(study).items()
    assert study.experiment.tasks["de_en"].label in title
    best = title.partition("less that of ")[2].partition(", sentences")[0]
    arms = study.experiment.arms
    run = list(dict.fromkeys(arm for arm, _ in study.experiment.cells("core")))
    others = [arms[name].label for name in run if name != "fixed_vector" and arms[name].label != best]
    assert [line["arm"] for line in lines] == others
    assert all(line["seed 0"] == "+0.00 [+0.00, +0.00], p = 1.000" for line in lines)
    best_arm = next(name for name in run if arms[name].label == best)
    study.seeds((best_arm, "de_en"))[0]["written"] = {"test": {"statistics": [[1] * 10]}}
    [lines] = sentence_tables(study).values()
    assert all(line["seed 0"] == "scored on other sentences" for line in lines)


def test_chance_is_shown_for_scores_that_it_is_the_chance_of(studies):
    record = {"metric": "accuracy"}
    assert [tables.tells_chance(record, m) for m in ("accuracy", "token_accuracy", "bleu")] == [True, True, False]


def test_a_task_has_its_floors_where_one_of_them_is_known():
    def row(chance=None, heuristic="", score=None):
        return {"metric": "accuracy", "chance": chance, "heuristic": heuristic, "heuristic_score": score}

    assert cells.floors([row(), row(chance=0.5)]) == "Chance: 50.0 %."
    assert cells.floors([row(heuristic="the last symbol", score=0.196)]) == "Trivial heuristic (the last symbol): 19.6 %."
    assert cells.floors([row()]) == cells.floors([]) == ""


def test_csv_leaves_empty_what_is_not_there():
    text = formats.as_csv([{"a": None, "b": 0.1234567891, "c": True, "d": "x"}])
    assert list(csv.reader(io.StringIO(text))) == [["a", "b", "c", "d"], ["", "0.123457", "yes", "x"]]


def test_intervals_stay_on_their_scale_and_digits_are_those_they_support():
    for metric, values, words in [
        ("accuracy", [0.9, 0.99, 1.0], "96 % [83, 100]"),  # the mean plus 4.303 standard errors of 0.0318 is 1.10
        ("cut_gold", [-0.01, 0.01], "0 % [-13, 13]"),  # a difference may be negative: 12.706 standard errors of 0.01
        ("bleu", [10.0, 25.0], "18 [0, 100]"),
        ("bleu", [31.42, 31.58], "31.5 [30.5, 32.5]"),
        ("bits_per_character", [2.341, 2.343, 2.342], "2.342 [2.340, 2.344]"),
        ("accuracy", [1.0, 1.0], "100.0 % [100.0, 100.0]"),
        ("accuracy", [0.5], "50.0 %"),
    ]:
        found = tables._interval("", values, METRICS[metric])
        assert formats.with_interval(found["mean"], found["low"], found["high"], METRICS[metric]) == words


def test_what_is_measured_has_its_interval_and_three_digits_at_most():
    expected = {
        (37.71, 36.92, 38.5): "37.7 ms [36.9, 38.5]",
        (37.71, 20.1, 55.32): "38 ms [20, 55]",
        (4203.0, 4190.6, 4215.4): "4,203 ms [4,191, 4,215]",
        (0.2834, 0.281, 0.2858): "0.283 ms [0.281, 0.286]",
        (24.0, 24.0, 24.0): "24 ms",
        (24.0, None, None): "24 ms",
        (24.0, math.nan, math.nan): "24 ms",
    }
    assert {numbers: formats.measured(*numbers, unit="ms") for numbers in expected} == expected


def test_large_numbers_are_short():
    expected = {0: "0", 0.8: "0.8", 999.4: "999", 999.6: "1k", 131072: "131k", 1_279_338_441_799: "1.28T", 2e15: "2000T"}
    assert {value: formats.short(value) for value in expected} == expected and formats.short(None) == ""


def test_best_means_are_marked_where_they_differ():
    def row(mean, metric="accuracy", out=None):
        return {"metric": metric, "mean": mean, "out_mean": out}

    assert cells.best([row(0.5), row(0.9001, out=0.1), row(0.9004, out=0.2), row(None)]) == {
        (1, "accuracy"),
        (2, "accuracy"),
        (2, cells.OUT),
    }
    bits = "bits per character"
    assert cells.best([row(2.2, "bits_per_character"), row(2.1, "bits_per_character")]) == {(1, bits)}
    assert cells.best([row(1.0), row(1.0)]) == set() == cells.best([])


def test_a_task_without_runs_has_a_line_and_no_tables():
    experiment = experiments.load("tying")
    results = Results(experiment, "core", [])
    rows = tables.main_rows(results)
    for text in (tables.markdown(results, rows, {}, [], []), tables.latex(results, rows, {})):
        assert text.count(tables.NO_RUNS) == len(results.trained_tasks) > 0
        assert "differs" not in text and "tabular" not in text and "|" not in text


def test_powers_are_raised_in_latex():
    assert formats.as_latex([{"arm": "a^K_1 of d^2 < 3"}])[4] == r"$a^{K_1}$ of $d^{2}$ $<$ 3 \\"
    assert formats.as_math("4 s, n^-0.03; log_3.4 n") == r"4 s, $n^{-0.03}$; $\log_{3.4}$ n"


def test_tables_as_markdown_and_latex_mark_the_best_and_leave_out_empty_columns():
    rows = [{"arm": "a_b", "score": "> 90 %", "note": "-"}, {"arm": "c|d", "score": "5 %", "note": "none"}]
    best = {(0, "score")}
    assert formats.as_markdown(rows, best) == ["| arm | score |", "|---|---|", "| a_b | **> 90 %** |", "| c\\|d | 5 % |"]
    assert formats.as_latex(rows, best) == [
        r"\begin{tabular}{ll}",
        r"\toprule",
        r"arm & score \\",
        r"\midrule",
        r"a\_b & \textbf{$>$ 90 \%} \\",
        r"c|d & 5 \% \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]
