"""Tables: complete where runs are missing, true to the records."""

import copy
import csv
import io

import pytest

from analysis import claims, formats, tables
from analysis.bleu import sentence_tables

pytestmark = pytest.mark.slow


def test_table_has_a_row_for_every_cell_also_where_nothing_ran(gaps):
    rows = {(row["arm"], row["task"]): row for row in tables.main_rows(gaps)}
    assert list(rows) == [cell for cell in gaps.experiment.cells("core")]
    hurt = rows["learned", "reverse"]
    planned = len(gaps.planned_seeds)
    assert (hurt["seeds"], hurt["missing"], hurt["failed"], hurt["diverged"]) == (planned - 3, 1, 1, 1)
    assert tables.failures(hurt) == "1 diverged, 1 failed, 1 missing"
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
    assert tables.failures(row) == f"1 collapsed (seed {seed})" and row["seeds"] == len(rest) + 2, "it counts in the mean"
    assert row["ended"] == f"{len(rest) + 1} flat, 1 still improving" == tables.score_cells(row)["ended"]


def test_table_says_why_out_of_distribution_was_not_scored(gaps):
    rows = {(row["arm"], row["task"]): row for row in tables.main_rows(gaps)}
    assert rows["learned", "copy"]["out_mean"] is None and "past the learned table" in rows["learned", "copy"]["out_note"]
    assert tables.score_cells(rows["learned", "copy"])["longer than trained on"] == "can't be scored"
    assert rows["sinusoidal", "copy"]["out_mean"] == pytest.approx(rows["sinusoidal", "copy"]["mean"] / 4)


def test_numbers_of_a_table_are_those_of_its_records(studies):
    study = studies["positions"]
    row = next(row for row in tables.main_rows(study) if (row["arm"], row["task"]) == ("learned", "reverse"))
    values = [r["metrics"]["test"]["accuracy"] for r in study.verdict["learned", "reverse"].values()]
    assert row["mean"] == pytest.approx(sum(values) / len(values))
    assert row["low"] < row["mean"] < row["high"]
    assert (row["chance"], row["heuristic_score"], row["parameters_other"]) == (0.125, 0.14, 99328)


def test_files_name_tier_seeds_device_and_revision(studies, tmp_path):
    tables.write(tmp_path, studies["text"], claims.read().published_results)
    rows = list(csv.DictReader((tmp_path / "text.csv").open()))
    assert all(row["tier"] == "core" and row["revision"] == "00000000" and "cpu" in row["device"] for row in rows)
    text = (tmp_path / "text.md").read_text()
    assert "- seeds: 0 1 2 3 4" in text and "- device: cpu" in text and "- revision: 00000000" in text
    assert "2.71 bits per character (1.88 nats per character)" in text  # 1.88 / ln 2
    rates = list(csv.DictReader((tmp_path / "text_rates.csv").open()))
    chosen = [row for row in rates if row["chosen"] == "yes"]
    assert len(chosen) == len({(row["task"], row["arm"]) for row in rates})


def test_what_a_target_took_stands_in_the_table_of_costs(studies):
    study = studies["translation"]
    rows = [row for row in tables.main_rows(study) if row["task"] == "de_en"]
    cells = tables.cost_cells(rows[0])
    assert cells["reached validation bleu 0.5"].endswith(" of 5")
    assert {"median samples to it", "median multiply-adds to it", "median seconds to it"} <= cells.keys()
    assert "target" not in tables.main_rows(studies["size"])[0]


def test_bleu_is_compared_sentence_by_sentence_with_the_best_arms(written):
    study = written("translation", statistics=[[5, 5, 4, 2, 1, 0, 5, 4, 3, 2], [6, 5, 5, 4, 3, 2, 6, 5, 4, 3]])
    [(title, lines), (second, _)] = sentence_tables(study).items()
    assert (study.experiment.tasks["third"].label in title) and (study.experiment.tasks["de_en"].label in second)
    best = title.partition("less that of ")[2].partition(", sentences")[0]
    arms = study.experiment.arms
    run = list(dict.fromkeys(arm for arm, _ in study.experiment.cells("core")))
    others = [arms[name].label for name in run if name != "fixed_vector" and arms[name].label != best]
    assert [line["arm"] for line in lines] == others
    assert all(line["seed 0"] == "+0.00 [+0.00, +0.00], p = 1.000" for line in lines)
    best_arm = next(name for name in run if arms[name].label == best)
    study.seeds((best_arm, "third"))[0]["written"] = {"test": {"statistics": [[1] * 10]}}
    lines, _ = sentence_tables(study).values()
    assert all(line["seed 0"] == "scored on other sentences" for line in lines)


def test_chance_is_shown_for_scores_that_it_is_the_chance_of(studies):
    record = {"metric": "accuracy"}
    assert [tables.tells_chance(record, m) for m in ("accuracy", "token_accuracy", "bleu")] == [True, True, False]


def test_csv_leaves_empty_what_is_not_there():
    text = formats.as_csv([{"a": None, "b": 0.1234567891, "c": True, "d": "x"}])
    assert list(csv.reader(io.StringIO(text))) == [["a", "b", "c", "d"], ["", "0.123457", "yes", "x"]]
