"""The rule that chooses a learning rate."""

import pytest

from study.choosing import choose_rate


def run(rate, score=None, solved=None, metric="accuracy"):
    """A tuning record: its validation score, and the step at which it solved the task; no score: diverged."""
    if score is None:
        return {"plan": {"rate": rate}, "status": "diverged", "metrics": {}}
    return {
        "plan": {"rate": rate},
        "status": "finished",
        "metrics": {"validation": {metric: score}},
        "steps_to_solve": solved,
    }


CHOICES = {
    "more seeds solved beats a better mean": (
        [run(0.001, 0.99, 500), run(0.001, 0.99, 600), run(0.01, 1.0, 100), run(0.01, 0.985)],
        0.001,
    ),
    "of equally many solved the faster mean wins": (
        [run(0.001, 1.0, 300), run(0.001, 1.0, 300), run(0.01, 0.99, 100), run(0.01, 0.99, 400)],  # means 300, 250
        0.01,
    ),
    "the mean of steps is over the solved ones only": (
        [run(0.001, 1.0, 300), run(0.001, 0.5), run(0.01, 0.99, 290), run(0.01, 0.6)],
        0.01,
    ),
    "none solved: the better mean wins": (
        [run(0.001, 0.30), run(0.001, 0.40), run(0.01, 0.10), run(0.01, 0.59)],  # means 0.350, 0.345
        0.001,
    ),
    "a loss ranks after every rate without one": (
        [run(0.001, 0.2), run(0.001, 0.2), run(0.01, 1.0, 10), run(0.01)],
        0.001,
    ),
    "fewer losses rank first": ([run(0.001), run(0.001), run(0.001, 0.9), run(0.01), run(0.01, 0.1)], 0.01),
    "a rate of which nothing survived is none": ([run(0.001), run(0.01, 0.1)], 0.01),
    "a full tie goes to the smaller rate": ([run(0.01, 0.5), run(0.001, 0.5)], 0.001),
}


@pytest.mark.parametrize("runs, rate", CHOICES.values(), ids=CHOICES)
def test_rate_solved_first_then_fastest_then_best(runs, rate):
    assert choose_rate(runs, "accuracy").rate == rate
    assert choose_rate(reversed(runs), "accuracy").rate == rate  # the order of records does not matter


def test_fewer_bits_are_better():
    runs = [run(0.001, 2.4, metric="bits_per_character"), run(0.01, 2.1, metric="bits_per_character")]
    assert choose_rate(runs, "bits_per_character").rate == 0.01


def test_the_curve_is_the_mean_of_what_survived():
    runs = [run(0.01, 0.4), run(0.01), run(0.001, 0.2), run(0.001, 0.3), run(0.1)]
    assert choose_rate(runs, "accuracy").curve == {0.001: 0.25, 0.01: 0.4}


def test_none_survived():
    assert choose_rate([run(0.001), run(0.01)], "accuracy") is None
    assert choose_rate([], "accuracy") is None


@pytest.mark.parametrize(
    ("scores", "further"),
    [((0.9, 0.5, 0.4), 0.000333), ((0.4, 0.9, 0.5), None), ((0.4, 0.5, 0.9), 0.03)],
    ids=["lower edge", "inside", "upper edge"],
)
def test_a_best_rate_on_an_edge_asks_for_one_step_further(scores, further):
    runs = [run(rate, score) for rate, score in zip((0.001, 0.003, 0.01), scores, strict=True)]
    assert choose_rate(runs, "accuracy", extend=True).further == further
    assert choose_rate(runs, "accuracy").further is None


def test_one_rate_has_no_edge_to_go_beyond():
    assert choose_rate([run(0.003, 0.9)], "accuracy", extend=True).further is None


def test_a_finished_run_without_the_score_counts_as_a_loss():
    nameless, nothing = run(0.01, 1.0, 5, metric="loss"), run(0.01, 1.0, 5)
    nothing["metrics"]["validation"]["accuracy"] = None
    for scoreless in (nameless, nothing, nothing | {"metrics": {}}):
        found = choose_rate([scoreless, run(0.01, 1.0, 5), run(0.001, 0.1)], "accuracy")
        assert (found.rate, found.curve[0.01]) == (0.001, 1.0)
        assert choose_rate([scoreless], "accuracy") is None


def test_a_failed_run_counts_as_a_loss_like_a_diverged_one():
    failed = {**run(0.01), "status": "failed"}
    assert choose_rate([failed, run(0.01, 1.0, 5), run(0.001, 0.1)], "accuracy").rate == 0.001
