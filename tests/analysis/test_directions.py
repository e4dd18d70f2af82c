"""Published directions against verdicts made by hand, and those of the study itself."""

import csv
import re

import pytest

from analysis import claims, directions
from analysis.rows import CONTRADICTED, INCONCLUSIVE, NOT_RUN, REVERSED, SUPPORTED, Row

PLACE = {"metric": "test.accuracy", "rule": "better", "margin": 0.02}
ROWS = [
    Row("C1", "held", "", SUPPORTED, effect=0.1, low=0.05, high=0.15, score_a=0.9, score_b=0.8, **PLACE),
    Row("C1", "turned", "", REVERSED, effect=-0.1, low=-0.15, high=-0.05, score_a=0.8, score_b=0.9, **PLACE),
    Row("C2", "open", "", INCONCLUSIVE, effect=0.0, reason="the interval does not decide; seen", **PLACE),
    Row("C2", "absent", "", NOT_RUN, reason="no records of it"),
]


def entry(contrast, expects="supported", **more):
    return {"published": "It is so.", "source": "A paper", "contrast": contrast, "expects": expects, **more}


@pytest.mark.parametrize(
    ("entry", "outcome", "reason", "measured"),
    [
        (entry("C1.held"), "agrees", "", "90.0 % against 80.0 %; +10.0 points [+5.0, +15.0]"),
        (entry("C1.turned", ["equal", "reversed"]), "agrees", "", "80.0 % against 90.0 %; -10.0 points [-15.0, -5.0]"),
        (entry("C1.held", "equal"), "reversed", "supported", None),
        (entry("C1.turned", note="by steps"), "reversed", "reversed; by steps", None),
        (entry("C2.open"), "untested", "inconclusive: the interval does not decide", None),
        (entry("C2.absent", CONTRADICTED), "untested", "not run: no records of it", ""),
    ],
)
def test_a_direction_agrees_is_reversed_or_stays_untested(entry, outcome, reason, measured):
    [line] = directions.compared([entry], ROWS)
    assert (line["outcome"], line["reason"]) == (outcome, reason)
    assert measured in (None, line["measured"])


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (entry("C1.lost"), "there is no contrast 'C1.lost'"),
        (entry("C1.held", "suported"), "C1.held expects 'suported'; known are supported, equal, "),
        ({**entry("C1.held"), "expect": 1}, "unknown 'expect'; known are published, source, "),
    ],
)
def test_unknown_names_are_refused(wrong, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        directions.compared([wrong], ROWS)


def test_the_table_counts_outcomes(tmp_path):
    directions.write(tmp_path, directions.compared([entry("C1.held"), entry("C1.turned"), entry("C2.open")], ROWS))
    text = (tmp_path / "published_directions.md").read_text()
    assert "Of 3 directions found elsewhere: 1 agrees, 1 reversed, 1 untested." in text
    printed = (tmp_path / "published_directions.tex").read_text()
    assert printed.count("It is so. & A paper & C") == 3 and r"90.0 \% against 80.0 \%" in printed
    [first, *_] = csv.DictReader((tmp_path / "published_directions.csv").open())
    assert tuple(first) == directions.COLUMNS and first["outcome"] == "agrees"


def test_every_direction_of_the_study_names_a_contrast():
    stated = claims.read()
    rows = [Row(name, contrast.name, "", NOT_RUN) for name, claim in stated.claims.items() for contrast in claim.contrasts]
    assert len(directions.compared(stated.published_directions, rows)) >= 20
