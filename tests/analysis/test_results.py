"""What is held against a declaration: planned, missing, stale; which rate and which arm are chosen, and on what."""

import copy

import pandas
import pytest

from analysis.results import Results, frame
from study import records
from study.experiments import Experiment
from tests.analysis import synthetic
from tests.conftest import WORDS

DECLARATION = {
    **WORDS,
    "arms": {name: {"set": {"mixer": name}} for name in ("attention", "lstm", "gru")},
    "tasks": {
        "recall": {"set": {"task": "recall"}},
        "text": {"set": {"task": "pydoc"}, "metric": "bits_per_character", "margin": 0.01},
        "cost": {"measure": "cost", "arms": ["attention"], "set": {"cost.lengths": [64, 128]}},
    },
    "tiers": {
        "core": {"rates": [0.001, 0.003, 0.01], "tuning_seeds": [8, 9], "verdict_seeds": [0, 1, 2], "further_seeds": [3]}
    },
}
TINY = Experiment(DECLARATION)


def best_at(rate):
    """Scores that peak at a rate; higher for the first arms."""
    skill = {"attention": 0.9, "lstm": 0.8, "gru": 0.7}
    return lambda run, draw: skill[run.arm] - abs(run.rate - rate) * 10


def test_a_complete_sweep_misses_nothing():
    results = Results(TINY, "core", synthetic.complete(TINY, "core", best_at(0.003)))
    assert not (results.missing or results.stale or results.untuned)
    assert {choice.rate for choice in results.choices.values()} == {0.003}
    assert len(results.planned) == 6 * (3 + 2) * 2 + 6 * 3 + 3 and results.planned_seeds() == (0, 1, 2)
    assert results.summary() == "81 planned, 81 finished, 0 missing"
    assert set(results.verdict["attention", "cost"]) == {0, 1, 2}


def test_the_rate_goes_a_step_past_the_edge():
    made = synthetic.complete(TINY, "core", best_at(0.03))
    results = Results(TINY, "core", made)
    assert {choice.rate for choice in results.choices.values()} == {0.03}
    assert not (results.missing or results.stale)
    without = [r for r in made if not (r["plan"]["rate"] == 0.03 and r["plan"]["role"] == "tuning")]
    results = Results(TINY, "core", without)
    assert {run.rate for run in results.missing if run.role == "tuning"} == {0.03}


def test_missing_runs_are_planned_and_counted():
    made = synthetic.complete(TINY, "core", best_at(0.003))
    gone = [r for r in made if r["plan"]["role"] == "verdict" and r["plan"]["seed"] == 1 and r["plan"]["arm"] == "gru"]
    results = Results(TINY, "core", [r for r in made if r not in gone])
    assert {(run.arm, run.seed, run.role) for run in results.missing} == {("gru", 1, "verdict")}
    assert results.summary().endswith("2 missing")


def test_a_cell_without_tuning_has_no_rate_and_its_verdict_runs_are_missing():
    made = [r for r in synthetic.complete(TINY, "core", best_at(0.003)) if r["plan"]["role"] == "verdict"]
    results = Results(TINY, "core", made)
    assert len(results.untuned) == 6 and results.choices == {}
    assert "missing" in results.summary() and f"{6 * 6 + 6 * 3} missing" in results.summary()
    assert len(results.stale) == 6 * 3  # runs at rates that nothing chose


def test_a_record_of_another_question_is_stale():
    made = synthetic.complete(TINY, "core", best_at(0.003))
    changes = [("plan", "digest", "0" * 16), ("plan", "rate", 0.5), ("plan", "rate", None), ("config", "measure", "cost")]
    for part, key, value in changes:
        other = copy.deepcopy(made[0])
        other[part][key] = value
        results = Results(TINY, "core", [*made, other])
        assert results.stale == [other] and other not in results.records


def test_further_seeds_of_a_cell_are_planned_once_one_of_them_ran():
    made = synthetic.complete(TINY, "core", best_at(0.003))
    rates = {cell: 0.003 for cell in TINY.cells("core") if cell[1] != "cost"}
    further = [run for run in TINY.verdict_runs("core", rates, TINY.cells("core")) if run.seed == 3]
    results = Results(TINY, "core", [*made, synthetic.record(further[0], "accuracy", 0.5)])
    cell = further[0].cell
    assert results.further == {cell} and not results.missing
    assert results.planned_seeds() == results.planned_seeds([cell]) == (0, 1, 2, 3) == tuple(results.seeds(cell))
    assert results.planned_seeds([further[-1].cell]) == (0, 1, 2)
    assert tuple(results.first_look().seeds(cell)) == results.first_look().planned_seeds() == (0, 1, 2)


def test_failed_runs_are_no_evidence_and_diverged_ones_are():
    made = synthetic.complete(TINY, "core", best_at(0.003))
    for record in made:
        if record["plan"]["role"] == "verdict" and record["plan"]["arm"] == "lstm":
            record["status"] = {0: "failed", 1: "diverged", 2: "finished"}[record["plan"]["seed"]]
    results = Results(TINY, "core", made)
    assert set(results.verdict["lstm", "recall"]) == {0, 1, 2}
    assert set(results.seeds(("lstm", "recall"))) == {1, 2}
    assert "2 diverged, 2 failed" in results.summary()


@pytest.mark.parametrize("task", ["recall", "text"])
def test_the_best_arm_is_chosen_on_validation_of_tuning_seeds_alone(task):
    made = synthetic.complete(TINY, "core", best_at(0.003))
    results = Results(TINY, "core", made)
    assert results.best_arm(task, ["gru", "lstm", "attention"]) == "attention"
    assert results.best_arm(task, ["gru", "lstm"]) == "lstm"
    for record in made:  # whatever the reported seeds and splits say
        if record["plan"]["role"] == "verdict":
            record["metrics"] = {"validation": {"accuracy": 0.0, "bits_per_character": 9.0}, "test": {"accuracy": 0.0}}
        record["metrics"]["test"] = {"accuracy": 1.0 if record["plan"]["arm"] == "gru" else 0.0}
        record["checksum"] = records.checksum(record)
    changed = Results(TINY, "core", made)
    assert changed.best_arm(task, ["gru", "lstm", "attention"]) == "attention"
    assert {cell: c.rate for cell, c in changed.choices.items()} == {cell: c.rate for cell, c in results.choices.items()}


def test_no_best_arm_while_one_is_untuned():
    made = [r for r in synthetic.complete(TINY, "core", best_at(0.003)) if r["plan"]["arm"] != "gru"]
    assert Results(TINY, "core", made).best_arm("recall", ["attention", "gru"]) is None


def test_a_frame_has_a_row_for_each_run_and_its_record_in_columns(tmp_path):
    made = synthetic.complete(TINY, "core", best_at(0.003))
    made[0] |= {"status": "diverged", "metrics": {}, "error": "the loss is not finite"}
    alone = copy.deepcopy(made[1]) | {"name": "alone", "plan": made[1]["plan"] | dict.fromkeys(("experiment", "arm"))}
    alone["config"] |= {"mixer": {"name": "gru", "heads": 2}, "train": {"batch": 8, "rate": 0.5, "steps": 9}}
    for record in (made[0], *made[2:], alone):
        (tmp_path / record["name"]).mkdir()
        records.write(tmp_path / record["name"], record)
    runs = frame(str(tmp_path)).set_index("name")
    assert set(runs.index) == {"alone", *(record["name"] for record in made)} - {made[1]["name"]}
    for record in (made[0], made[-1], alone):
        row, test = runs.loc[record["name"]], record["metrics"].get("test", {})
        assert row["status"] == record["status"] and row["seed"] == record["plan"]["seed"]
        assert row["test.accuracy"] == test["accuracy"] if "accuracy" in test else pandas.isna(row["test.accuracy"])
    assert pandas.isna(runs.loc["alone", "experiment"]) and runs["experiment"].count() == len(runs) - 1
    assert runs.loc["alone", ["config.mixer", "config.mixer.heads", "config.train.rate"]].tolist() == ["gru", 2, 0.5]


def test_a_frame_warns_of_what_it_leaves_out(tmp_path):
    (tmp_path / "core" / "records").mkdir(parents=True)
    (tmp_path / "core" / "records" / "tiny.jsonl").write_text("{\n")
    with pytest.warns(UserWarning, match="left out: .*tiny.jsonl:1"):
        assert frame(results=tmp_path).empty
