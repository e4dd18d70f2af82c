"""Effects and margins as a reader sees them, by the rule and the metric of the row."""

from analysis import wording
from analysis.rows import Row


def row(rule="better", **keys):
    return Row("C1", "x", "", "supported", rule=rule, **keys)


def test_an_effect_is_told_in_its_unit():
    for words, keys in [
        ("+10.0 points [+5.0, +15.0]", {"effect": 0.1, "low": 0.05, "high": 0.15, "metric": "test.accuracy"}),
        ("-0.020 bits", {"effect": -0.02, "metric": "test.bits_per_character"}),
        ("+1.500", {"effect": 1.5, "metric": "test.bleu"}),
        ("+50 % [+40, +60]", {"effect": 0.5, "low": 0.4, "high": 0.6, "metric": "seconds"}),
        ("+505 % [+330, +750]", {"effect": 5.048, "low": 3.304, "high": 7.498, "metric": "seconds"}),
        ("+50.0 % [+50.0, +50.0]", {"effect": 0.5, "low": 0.5, "high": 0.5, "metric": "seconds"}),
        ("+1.00", {"effect": 1.0, "metric": "cost.seconds", "rule": "slope"}),
        ("+40 points", {"effect": 0.4, "metric": "test.bits_per_character", "rule": "solves"}),
        ("", {}),
    ]:
        assert wording.effect(row(**keys)) == words


def test_what_was_asked_is_told_in_the_same_unit():
    for words, keys in [
        ("> 2", {"margin": 0.02, "metric": "test.accuracy"}),
        ("> -2", {"margin": -0.02, "metric": "test.accuracy"}),
        ("± 0.01", {"margin": 0.01, "metric": "test.bits_per_character", "rule": "equivalent"}),
        ("> 10", {"margin": 0.1, "metric": "to_target.samples", "rule": "sooner"}),
        ("> 0", {"margin": 0.0, "metric": "cost.seconds", "rule": "slope"}),
        ("", {"margin": None, "metric": "test.accuracy", "rule": "solves"}),
    ]:
        assert (wording.asked(row(effect=0.1, **keys)), wording.asked(row(**keys))) == (words, "")


def test_effects_on_one_axis_are_measured_in_margins():
    assert wording.margin_unit(row(margin=-0.02, metric="test.accuracy")) == 0.02
    assert wording.margin_unit(row("at_least", margin=0.0, metric="test.bleu")) == 0.5, "the metric's"
    assert wording.margin_unit(row("slope", margin=0.0, metric="test.bleu")) == 0.1
    assert wording.margin_unit(row("at_least", margin=0.0, metric="solved")) == 0.1, "which has no margin"


def test_a_verdict_in_a_readers_words():
    for said, verdict, keys in [
        ("no meaningful difference: +0.0 points, less than the 2 that would count", "equal", {"effect": 0.0}),
        ("no meaningful difference: +0.0 points, less than the 2 that would count", "equal", {"effect": -0.0001}),
        ("holds: +5.1 points, more than the 2 that count", "supported", {"effect": 0.051}),
        ("holds: -1.0 points, at most 2 less was allowed", "supported", {"effect": -0.01, "margin": -0.02}),
        ("the other way round: -40.0 points, more than the 2 that count", "reversed", {"effect": -0.4}),
        ("holds: +0.1 points, less than the 2 that would count", "supported", {"effect": 0.001, "rule": "equivalent"}),
        ("left open: +1.0 points, 2 would count", "inconclusive", {"effect": 0.01}),
        ("not measured", "not run", {}),
    ]:
        known = {"rule": "better", "margin": 0.02, "metric": "test.accuracy", **keys}
        assert wording.plainly(Row("C1", "x", "A beats B.", verdict, **known)) == said


def test_scores_of_both_sides_are_told_in_their_own_unit():
    for words, keys in [
        ("97.0 % against 81.5 %", {"score_a": 0.97, "score_b": 0.815, "metric": "test.accuracy"}),
        ("44.0 % against 0.0 %", {"score_a": 0.44, "score_b": -0.0001, "metric": "structure.cut_gold"}),
        ("336M against 1,234 multiply-adds", {"score_a": 335544320, "score_b": 1234, "metric": "cost.multiply_adds"}),
        ("slopes of +1.66 against +0.99", {"score_a": 1.66, "score_b": 0.99, "metric": "cost.seconds", "rule": "slope"}),
        ("", {"score_a": 0.97, "metric": "test.accuracy"}),
    ]:
        assert wording.levels(row(**keys)) == words


def test_claims_are_counted_in_words():
    verdicts = ["supported", "not run", "supported", "contradicted", "inconclusive", "not run"]
    assert wording.counts(verdicts) == "Of 6 claims 2 hold, 1 does not hold, 1 is left open, 2 are not measured."
