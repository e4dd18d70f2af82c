"""What a tier costs, against sums by hand."""

import pytest

from analysis import budget
from analysis.results import Results
from study.experiments import Experiment
from tests.analysis import synthetic
from tests.analysis.test_results import DECLARATION, TINY

BEST = synthetic.complete(TINY, "core", lambda run, draw: 0.5 if run.rate == 0.003 else 0.2)


def of(done=lambda record: True, declared=(TINY,)):
    made = [dict(record) | {"seconds": 36.0} for record in BEST if done(record)]
    return budget.table(declared, "core", {"tiny": Results(TINY, "core", made)}).to_dict("records"), made


def test_hours_of_a_complete_tier_are_those_of_its_records():
    """81 runs of 36 seconds: per cell that is trained 3 rates x 2 seeds begun, 2 rates to the end, 3 verdict seeds."""
    [row], made = of()
    assert len(made) == 6 * (3 + 2) * 2 + 6 * 3 + 3 == row["runs"] == 81 and row["cells"] == 7
    assert row["spent"] == pytest.approx(0.81) and row["all"] == pytest.approx(0.81) and row["left"] == 0


def test_what_has_no_record_is_left_at_the_pace_of_its_cell():
    """Tuning makes 6 x 333 + 4 x 667 steps of a cell in 360 seconds; 3 verdict runs of 1,000 steps are left.

    The measurement of cost has no run, so its 3 go at the mean pace of the others.
    """
    [row], _ = of(lambda record: record["plan"]["role"] == "tuning")
    step = 360 / (6 * 333 + 4 * 667)
    assert row["left"] == pytest.approx((6 + 1) * 3 * 1000 * step / 3600)
    assert row["all"] == pytest.approx(row["left"] + row["spent"])


def test_an_experiment_without_runs_goes_at_the_pace_of_the_others():
    other = Experiment({**DECLARATION, "name": "other"})
    [tiny, waiting], _ = of(declared=(TINY, other))
    assert tiny["own"] and not waiting["own"]
    assert waiting["left"] == pytest.approx(waiting["all"]) and waiting["all"] > 0 == waiting["spent"]


def test_without_a_run_the_hours_are_unknown():
    [row] = budget.table([TINY], "core", {}).to_dict("records")
    assert row["all"] is None and row["left"] is None and row["spent"] == 0
