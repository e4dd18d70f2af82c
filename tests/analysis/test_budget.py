"""What a tier costs, against sums by hand."""

import pytest

from analysis import budget, synthetic
from analysis.results import Results
from tests.analysis.test_results import TINY


def of(score, done=lambda record: True):
    made = [record for record in synthetic.complete(TINY, "core", score) if done(record)]
    for record in made:
        record |= {"steps": 100, "train_seconds": 36.0, "seconds": 40.0}
    [row] = budget.table([TINY], "core", {"tiny": Results(TINY, "core", made)}).to_dict("records")
    return row, made


def test_hours_are_those_of_the_declared_runs():
    """6 cells of 0.1 hours a run (1,000 steps): 3 rates x 2 seeds for a third, 2 rates to the end, 3 verdict seeds."""
    row, made = of(lambda run, draw: 0.5 if run.rate == 0.003 else 0.2)
    assert row["at_most"] == pytest.approx(6 * 0.1 * (6 * 0.333 + 4 * 0.667 + 3))
    assert row["left"] == pytest.approx(0, abs=1e-9)
    assert row["spent"] == pytest.approx(sum(record["seconds"] for record in made) / 3600)
    assert (row["cells"], row["runs"]) == (7, 81)


def test_what_has_no_record_is_left():
    row, _ = of(lambda run, draw: 0.5 if run.rate == 0.003 else 0.2, lambda record: record["plan"]["role"] == "tuning")
    assert row["left"] == pytest.approx(6 * 0.1 * 3)


def test_without_a_run_the_hours_are_unknown():
    [row] = budget.table([TINY], "core", {}).to_dict("records")
    assert row["at_most"] is None and row["left"] is None and row["spent"] == 0
