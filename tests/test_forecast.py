"""How many runs a sweep reckons with, and how long they take."""

import copy

import pytest

from study.experiments import SHARE, Experiment
from study.forecast import Outlook, Pace, planned
from tests.conftest import WORDS

DECLARED = {
    **WORDS,
    "name": "toy",
    "claims": ["C1"],
    "arms": {"a": {}, "b": {}},
    "tasks": {"x": {"set": {"task": "recall", "train.steps": 100}}},
    "tiers": {"core": {"rates": [0.001, 0.003, 0.01], "tuning_seeds": [100, 101, 102], "verdict_seeds": [0, 1]}},
}


def toy(**tier):
    declared = copy.deepcopy(DECLARED)
    declared["tiers"]["core"].update(tier)
    return Experiment(declared)


def finished(run, score=0.5, seconds=1.0):
    scores = {"validation": {"accuracy": score}}
    return {"status": "finished", "plan": {"rate": run.rate}, "metrics": scores, "config": {"train": {}}, "seconds": seconds}


def test_before_anything_is_known_every_rate_begins_two_go_on_and_none_is_added():
    runs = planned(toy(), "core", lambda run: None)
    begun = [run for run in runs if "train.until" in run.settings]
    rest = [run for run in runs if run.begun]
    verdict = [run for run in runs if run.role == "verdict"]
    assert (len(begun), len(rest), len(verdict), len(runs)) == (2 * 3 * 3, 2 * 2 * 3, 2 * 2, 34)
    assert {run.rate for run in verdict} == {0.003}


def test_bits_are_better_when_fewer():
    declared = copy.deepcopy(DECLARED)
    declared["tasks"]["x"]["metric"] = "bits_per_character"
    assert len(planned(Experiment(declared), "core", lambda run: None)) == 34


def test_what_is_known_counts():
    """Both arms are best at the upper edge of the grid: the rate beyond it is begun on all seeds."""
    runs = planned(toy(), "core", lambda run: finished(run, run.rate) if run.rate <= 0.01 and run.role == "tuning" else None)
    assert len(runs) == 34 + 2 * 3


def test_the_pace_is_that_of_the_cell_or_else_of_the_task_the_experiment_or_all():
    declared = copy.deepcopy(DECLARED)
    declared["tasks"]["y"] = declared["tasks"]["x"]
    declared["tiers"]["core"] |= {"rates": [0.003], "verdict_seeds": [0]}
    one, other = (Experiment(declared | {"name": name}) for name in ("one", "other"))
    ax, bx, ay, by = one.verdict_runs("core", dict.fromkeys(one.cells("core"), 0.003))
    assert [run.cell for run in (ax, bx, ay, by)] == [("a", "x"), ("b", "x"), ("a", "y"), ("b", "y")]
    elsewhere = other.verdict_runs("core", dict.fromkeys(other.cells("core"), 0.003))[0]
    pace = Pace()
    assert pace.seconds([ax]) is None
    pace.learn(ax, finished(ax, seconds=20.0))  # 100 steps, as each
    assert [pace.seconds([run]) for run in (ax, bx, ay, elsewhere)] == pytest.approx([20, 20, 20, 20])
    pace.learn(ay, finished(ay, seconds=60.0))
    pace.learn(ay, {"status": "failed"})
    assert [pace.seconds([run]) for run in (ax, bx, ay, by, elsewhere)] == pytest.approx([20, 20, 60, 60, 40])
    pace.learn(elsewhere, finished(elsewhere, seconds=1.0))
    assert pace.seconds([bx, by, elsewhere]) == pytest.approx(20 + 60 + 1)


def test_a_part_of_a_run_takes_its_share_of_the_time():
    runs = planned(toy(), "core", lambda run: None)
    pace = Pace()
    pace.learn(whole := runs[-1], finished(whole, seconds=30.0))
    begun, rest = (
        next(run for run in runs if test(run)) for test in (lambda r: "train.until" in r.settings, lambda r: r.begun)
    )
    assert pace.seconds([begun]) == pytest.approx(30 * SHARE) and pace.seconds([rest]) == pytest.approx(30 * (1 - SHARE))


def test_runs_side_by_side_take_their_part_of_the_time(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("study.forecast.time.monotonic", lambda: now[0])
    outlook = Outlook([toy(rates=[0.003], tuning_seeds=[100])], "core", False, lambda run: None)
    outlook.begin(lambda run: False)
    assert outlook.words() == "toy, core: 6 runs planned (2 to choose learning rates, 4 at those chosen), 0 done"
    assert outlook.state("tuning").seconds is None
    first, second, *rest = sorted(outlook.expected, key=lambda run: run.role)
    for run in (first, second):  # two workers
        outlook.made(run, finished(run, seconds=10.0))
    now[0] = 10.0
    state = outlook.state("tuning")
    assert (state.doing, state.done, state.planned, state.note) == ("tuning", 2, 6, "")
    assert state.seconds == pytest.approx(4 * 10 / 2)
