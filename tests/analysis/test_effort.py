"""What a training took to a target, against records counted by hand; runs that do not reach it bound a comparison."""

import numpy as np
import pytest
from statsmodels.duration.survfunc import SurvfuncRight

from analysis import rules, verdicts
from analysis.claims import Claim, Claims
from analysis.effort import Effort, effort, median, steps_to_90
from analysis.results import Results
from analysis.statistics import INCONCLUSIVE, REVERSED, SUPPORTED
from study.experiments import Experiment
from tests.analysis import synthetic
from tests.conftest import WORDS


def record(scores, metric="accuracy", **changes):
    """Evaluated every 10 steps; 8 sequences of 5 tokens a step."""
    steps = 10 * len(scores)
    return {
        "status": "finished",
        "metric": metric,
        "steps": steps,
        "tokens_seen": steps * 8 * 5,
        "step_seconds": 0.5,
        "multiply_adds_per_token": 1000.0,
        "config": {"train": {"batch": 8}},
        "curve": [{"step": 10 * i, f"validation_{metric}": score} for i, score in enumerate(scores, 1)],
        **changes,
    }


def test_the_first_evaluation_past_the_target_counts():
    run = record([0.2, 0.5, 0.95, 0.8, 0.99])
    assert effort(run, 0.9, "steps") == Effort(30, True)
    assert effort(run, 0.95, "steps") == Effort(30, True)
    assert effort(run, 0.9, "samples") == Effort(30 * 8, True)
    assert effort(run, 0.9, "multiply_adds") == Effort(30 * 40 * 1000 * 3, True)
    assert effort(run, 0.9, "seconds") == Effort(15.0, True)


def test_a_run_that_never_gets_there_spent_all_of_it():
    assert effort(record([0.2, 0.5]), 0.9, "samples") == Effort(20 * 8, False)


def test_fewer_bits_are_better():
    assert effort(record([3.0, 2.5, 2.0], "bits_per_character"), 2.5, "steps") == Effort(20, True)
    assert effort(record([3.0, 2.5, 2.0], "bits_per_character"), 1.9, "steps") == Effort(30, False)


def test_what_a_record_does_not_say_is_none():
    assert effort(record([0.9], status="diverged"), 0.9, "steps") is None
    assert effort(record([0.9], step_seconds=None), 0.9, "seconds") is None
    with pytest.raises(ValueError, match="known are steps, samples, multiply_adds, seconds"):
        effort(record([0.9]), 0.9, "joules")


def test_the_median_is_censored():
    got, not_ = (lambda v: Effort(v, True)), (lambda v: Effort(v, False))
    assert median([got(3), got(1), got(2)]) == got(2)
    assert median([got(3), got(1), not_(9), not_(9)]) == got(3)  # half of them
    assert median([got(3), not_(8), not_(9)]) == not_(9)
    assert median([]) is None


def test_the_median_is_kaplan_meiers():
    """As statsmodels has it, runs that do not reach it censored at their end."""
    for steps, middle in (([100, 200, 300], 200), ([100, None, 200, 300], 200), ([100, None, None], None), ([None, 50], 50)):
        found = steps_to_90([{"status": "finished", "steps": 1000, "steps_to_90": step} for step in steps])
        assert found == (Effort(1000, False) if middle is None else Effort(middle, True)), steps
        reached = np.array([step is not None for step in steps])
        survival = SurvfuncRight(np.array([1000 if step is None else step for step in steps]), reached)
        half = [time for time, share in zip(survival.surv_times, survival.surv_prob, strict=True) if share <= 0.5 + 1e-9]
        assert (half[0] if half else None) == middle, steps


# --- the rule ------------------------------------------------------------------------------------------------------------

EXPERIMENT = Experiment(
    {
        **WORDS,
        "arms": {name: {"set": {"mixer": name}} for name in ("attention", "lstm")},
        "tasks": {"recall": {"set": {"task": "recall"}, "target": 0.9}, "mqar": {"set": {"task": "mqar"}}},
        "tiers": {"core": {"rates": [0.003], "tuning_seeds": [9], "verdict_seeds": [0, 1, 2, 3, 4]}},
    }
)


def judged(attention, lstm, task="recall", **more):
    """Each side: at which evaluation each seed passes the target, None for never (of 10); or "diverged"."""
    made = synthetic.complete(EXPERIMENT, "core")
    for run in made:
        if run["plan"]["role"] == "verdict":
            passes = {"attention": attention, "lstm": lstm}[run["plan"]["arm"]][run["plan"]["seed"]]
            if passes == "diverged":
                run["status"] = passes
                continue
            scores = [0.95 if passes is not None and evaluation >= passes else 0.1 for evaluation in range(1, 11)]
            run["curve"] = [{"step": 100 * i, "validation_accuracy": score} for i, score in enumerate(scores, 1)]
            run["steps"] = 1000
    sides = {"experiment": "tiny", "task": task, "quantity": "samples", "a": "attention", "b": "lstm", **more}
    contrast = rules.read("it", {"statement": "A statement.", "sooner": sides})
    claims = Claims({"C1": Claim("C1", "甲", "", "", "", "", (), (contrast,))})
    [row] = verdicts.judge(claims, {"tiny": Results(EXPERIMENT, "core", made)}, "core").rows
    return row


def test_sooner_and_later():
    row = judged([1, 2, 2, 2, 1], [4, 8, 4, 8, 8])
    assert row.verdict == SUPPORTED and row.effect == pytest.approx(3.0) and row.n == 5  # four times as many
    assert judged([4, 8, 4, 8, 8], [1, 2, 2, 2, 1]).verdict == REVERSED
    row = judged([1, 2, 1, 2, 1], [1, 2, 1, 2, 1])  # to the evaluation, which five seeds may come to by chance
    assert row.verdict == INCONCLUSIVE and row.decided_by == "sign" and row.effect == 0


def test_a_margin_below_0_asks_for_no_later():
    late, soon = [8, 9, 8, 9, 8], [8, 8, 8, 8, 9]  # b takes between 84 % and 113 % of a
    assert judged(late, soon, margin=-0.2).verdict == SUPPORTED
    assert judged(late, soon).verdict == INCONCLUSIVE
    assert judged([9, 9, 9, 10, 9], [6, 6, 6, 6, 7], margin=-0.2).verdict == REVERSED


def test_a_bound_speaks_against_its_own_side_only():
    row = judged([1, 2, 1, 2, 1], [None] * 5)
    assert row.verdict == SUPPORTED and "never reach 0.9: the effect is a bound" in row.reason and row.n == 5
    assert judged([None] * 5, [1, 2, 1, 2, 1]).verdict == REVERSED
    assert judged([1, 1, 1, 1, "diverged"], [9, 9, 9, 8, 9]).verdict == INCONCLUSIVE
    row = judged([1, 1, 1, 1, None], [9, 9, 9, 8, 9])  # how late the last one of a would be is not known
    assert row.verdict == INCONCLUSIVE and row.effect > 0
    assert judged([None] * 5, [None] * 5).verdict == INCONCLUSIVE  # equal bounds say nothing


def test_a_task_without_a_target_is_refused():
    with pytest.raises(ValueError, match="tiny gives mqar no target"):
        judged([1] * 5, [2] * 5, task="mqar")
