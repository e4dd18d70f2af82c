"""The rule that chooses a learning rate."""

from study.choosing import choose, contenders, finalists, is_over, ranked


def run(rate, score=None, solved=None, metric="accuracy", solved_at=0.99):
    """A tuning record: its validation score, and the step at which it solved the task; no score: diverged."""
    known = {"plan": {"rate": rate}, "config": {"train": {}}, "solved_at": solved_at}
    if score is None:
        return {**known, "status": "diverged", "metrics": {}}
    return {**known, "status": "finished", "metrics": {"validation": {metric: score}}, "steps_to_solve": solved}


CHOICES = {
    "the better worst seed wins against the better mean": (
        [run(0.001, 0.6), run(0.001, 0.6), run(0.01, 0.5), run(0.01, 1.0, 100)],
        0.001,
    ),
    "worst seeds within the margin are alike: the better mean wins": (
        [run(0.001, 0.26), run(0.001, 0.26), run(0.01, 0.25), run(0.01, 0.57)],
        0.01,
    ),
    "beyond the margin they are not": ([run(0.001, 0.28), run(0.001, 0.28), run(0.01, 0.25), run(0.01, 0.57)], 0.001),
    "nor are they by way of a third": (
        [run(0.001, 0.5), run(0.001, 0.5), run(0.003, 0.485), run(0.003, 0.6), run(0.01, 0.47), run(0.01, 0.9)],
        0.003,
    ),
    "of equal worst seeds the better mean wins": ([run(0.001, 0.5), run(0.001, 0.6), run(0.01, 0.5), run(0.01, 0.7)], 0.01),
    "solved is solved: from there on the mean number of steps decides": (
        [run(0.001, 1.0, 300), run(0.001, 1.0, 300), run(0.01, 0.995, 100), run(0.01, 0.996, 400)],  # means 300, 250
        0.01,
    ),
    "almost solved is not solved": ([run(0.001, 0.9951, 900), run(0.01, 0.9949, 100)], 0.001),
    "speed counts for nothing before": ([run(0.001, 0.991, 900), run(0.01, 0.990, 100)], 0.001),
    "a rate that lost a run comes after all that lost none": (
        [run(0.001, 0.2), run(0.001, 0.2), run(0.01, 1.0, 10), run(0.01)],
        0.001,
    ),
    "fewer failed runs rank first": ([run(0.001), run(0.001), run(0.001, 0.9), run(0.01), run(0.01, 0.1)], 0.01),
    "a rate of which nothing survived is none": ([run(0.001), run(0.01, 0.1)], 0.01),
    "a full tie goes to the lower rate": ([run(0.01, 0.5), run(0.001, 0.5)], 0.001),
}


def test_the_safest_rate_is_chosen():
    for rule, (runs, rate) in CHOICES.items():
        assert choose([], runs, "accuracy").rate == rate, rule
        assert choose([], runs[::-1], "accuracy").rate == rate, f"{rule}; the order of records does not matter"


def test_fewer_bits_are_better():
    runs = [
        run(rate, bits, metric="bits_per_character") for rate, bits in [(0.001, 2.4), (0.001, 2.0), (0.01, 2.3), (0.01, 2.3)]
    ]
    assert choose([], runs, "bits_per_character").rate == 0.01, "its worst seed has 2.3, that of the other 2.4"


def test_the_margin_of_a_relative_metric_is_a_share_of_the_best():
    worst = {0.001: 10.0, 0.003: 10.19, 0.01: 10.21}  # the better the mean, the later
    runs = [run(rate, score, metric="perplexity") for rate, score in [*worst.items(), (0.001, 9.0), (0.003, 6.0), (0.01, 5.0)]]
    assert ranked(runs, "perplexity") == [0.003, 0.001, 0.01]


def test_finalists_are_the_two_best():
    runs = [run(0.001, 0.3), run(0.003, 0.5), run(0.01, 0.1), run(0.03, 0.4)]
    assert finalists(runs, "accuracy") == [0.003, 0.03]
    assert ranked(runs, "accuracy") == [0.003, 0.03, 0.001, 0.01]
    assert finalists([run(0.1)], "accuracy") == []


def test_a_rate_whose_best_seed_is_behind_the_worst_of_the_first_can_win_no_more():
    first, close, behind = (
        [run(rate, a), run(rate, b)] for rate, a, b in [(0.01, 0.5, 0.7), (0.001, 0.1, 0.5), (0.001, 0.1, 0.4)]
    )
    assert contenders(first + close, "accuracy") == [0.01, 0.001]
    assert contenders(first + behind, "accuracy") == [0.01]
    assert contenders(first + close + [run(0.003, 0.45), run(0.003, 0.9)], "accuracy") == [0.01, 0.003]  # two at most
    assert contenders(first + [run(0.001)], "accuracy") == [0.01] and contenders([run(0.001)], "accuracy") == []
    loss = [
        run(0.01, 2.5, metric="loss"),
        run(0.01, 2.7, metric="loss"),
        run(0.001, 2.6, metric="loss"),
        run(0.001, 3, metric="loss"),
    ]
    assert contenders(loss, "loss") == [0.01, 0.001] and contenders(loss[:2] + loss[3:], "loss") == [0.01]


def test_only_runs_to_the_end_are_chosen_from_and_each_rate_has_its_longest():
    begun = [run(0.001, 0.3), run(0.003, 0.5), run(0.01, 0.9)]
    ended = [run(0.001, 0.6), run(0.003, 0.7)]
    choice = choose(begun, ended, "accuracy")
    assert (choice.rate, choice.further) == (0.003, None)
    assert choice.curve == {0.001: 0.6, 0.003: 0.7, 0.01: 0.9}


def test_the_curve_is_the_mean_of_what_survived():
    runs = [run(0.01, 0.4), run(0.01), run(0.001, 0.2), run(0.001, 0.3), run(0.1)]
    assert choose([], runs, "accuracy").curve == {0.001: 0.25, 0.01: 0.4}


def test_without_a_single_score_there_is_no_rate():
    assert choose([], [run(0.001), run(0.01)], "accuracy") is None
    assert choose([run(0.001, 0.5)], [], "accuracy") is None


def test_a_best_rate_on_an_edge_leads_further_and_a_single_rate_has_no_edge():
    begun, further = [run(rate, 0.5) for rate in (0.001, 0.003, 0.01)], {0.001: 0.0003, 0.003: None, 0.01: 0.03}
    assert {best: choose(begun, [run(best, 0.6)], "accuracy").further for best in further} == further
    assert choose([], [run(0.003, 0.9)], "accuracy").further is None


def test_a_run_is_over_when_it_stopped_on_solving_or_was_lost():
    assert is_over(run(0.1)) and is_over(run(0.1, 0.995)) and not is_over(run(0.1, 0.994))
    assert not is_over(run(0.1, 2.0, metric="bits_per_character", solved_at=None))
    goes_on = run(0.1, 1.0)
    goes_on["config"]["train"]["stop_when_solved"] = False
    assert not is_over(goes_on)
