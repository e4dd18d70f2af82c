"""Effects and margins as a reader sees them, by the rule and the metric of the row."""

import pytest

from analysis import wording
from analysis.rows import Row


def row(rule="better", **keys):
    return Row("C1", "x", "", "supported", rule=rule, **keys)


@pytest.mark.parametrize(
    ("words", "keys"),
    [
        ("+10.0 points [+5.0, +15.0]", {"effect": 0.1, "low": 0.05, "high": 0.15, "metric": "test.accuracy"}),
        ("-0.020 bits", {"effect": -0.02, "metric": "test.bits_per_character"}),
        ("+1.500", {"effect": 1.5, "metric": "test.bleu"}),
        ("+50.0 % [+40.0, +60.0]", {"effect": 0.5, "low": 0.4, "high": 0.6, "metric": "seconds"}),
        ("+1.00", {"effect": 1.0, "metric": "cost.seconds", "rule": "slope"}),
        ("+40 points", {"effect": 0.4, "metric": "test.bits_per_character", "rule": "solves"}),
        ("", {}),
    ],
)
def test_an_effect_is_told_in_its_unit(words, keys):
    assert wording.effect(row(**keys)) == words


@pytest.mark.parametrize(
    ("words", "keys"),
    [
        ("> 2", {"margin": 0.02, "metric": "test.accuracy"}),
        ("> -2", {"margin": -0.02, "metric": "test.accuracy"}),
        ("± 0.01", {"margin": 0.01, "metric": "test.bits_per_character", "rule": "equivalent"}),
        ("> 10", {"margin": 0.1, "metric": "to_target.samples", "rule": "sooner"}),
        ("> 0", {"margin": 0.0, "metric": "cost.seconds", "rule": "slope"}),
        ("", {"margin": None, "metric": "test.accuracy", "rule": "solves"}),
    ],
)
def test_what_was_asked_is_told_in_the_same_unit(words, keys):
    assert wording.asked(row(effect=0.1, **keys)) == words
    assert wording.asked(row(**keys)) == ""


def test_effects_on_one_axis_are_measured_in_margins():
    assert wording.margin_unit(row(margin=-0.02, metric="test.accuracy")) == 0.02
    assert wording.margin_unit(row("at_least", margin=0.0, metric="test.bleu")) == 0.5, "the metric's"
    assert wording.margin_unit(row("slope", margin=0.0, metric="test.bleu")) == 0.1
    assert wording.margin_unit(row("at_least", margin=0.0, metric="solved")) == 0.1, "which has no margin"
