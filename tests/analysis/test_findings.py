"""Sentences of what was found, against verdicts made by hand."""

import dataclasses

import pytest

from analysis import findings
from analysis.claims import Claim, Claims
from analysis.rows import Row
from analysis.verdicts import Verdicts


def claim(name, topic):
    return Claim(name, "zh", f"{name} is so.", topic, "o", "e", ())


def part(claim, verdict, effect, statement="It wins.", n=5, contrast="x", **more):
    known = {"effect": effect, "low": effect - 0.01, "high": effect + 0.01, "margin": 0.02, "metric": "test.accuracy"}
    return Row(claim, contrast, statement, verdict, **{"rule": "better", "part": contrast, "n": n, **known, **more})


def said(overall, rows, topics=None, most=7):
    claims = Claims({name: claim(name, (topics or {}).get(name, name)) for name in overall})
    return findings.sentences(claims, Verdicts("core", rows, [], overall), most)


def order(*arguments, **more):
    return [sentence.claim for sentence in said(*arguments, **more)]


def test_a_claim_is_told_by_its_clearest_part_on_each_side():
    rows = [
        part("C1", "supported", 0.1, "A little."),
        part("C1", "supported", 0.5, "A lot.", score_a=0.9, score_b=0.4),
        part("C1", "equal", 0.0, "Nothing."),
        part("C1", "inconclusive", 0.9, "Who knows."),
    ]
    [told] = said({"C1": "qualified"}, rows)
    assert (told.claim, told.verdict) == ("C1", "qualified")
    assert told.text == (
        "“C1 is so” holds in part. A lot: 90.0 % against 40.0 % (+50.0 points [+49.0, +51.0], n = 5). "
        "Nothing: no meaningful difference, +0.0 points [-1.0, +1.0], less than the 2 that would count, n = 5."
    )


def test_kinds_of_verdicts_take_turns_so_that_many_of_one_leave_room_for_the_others():
    overall = {f"C{i}": "supported" for i in range(20)}
    overall |= {f"C{i}": "contradicted" for i in range(20, 40)}
    overall |= {"C40": "qualified"}
    rows = [part(name, "supported", 0.1 + int(name[1:]) / 1000) for name in overall if overall[name] == "supported"]
    rows += [part(name, "reversed", -0.1 - int(name[1:]) / 1000) for name in overall if overall[name] == "contradicted"]
    rows += [part("C39", "equal", 0.0), part("C40", "supported", 0.1), part("C40", "reversed", -0.1)]
    assert order(overall, rows) == ["C39", "C40", "C19", "C38", "C18", "C37", "C17"], "of each kind the largest effects first"


def test_that_nothing_differs_is_a_kind_of_its_own():
    overall = {"C1": "contradicted", "C2": "contradicted", "C3": "contradicted"}
    rows = [part("C1", "reversed", -0.5), part("C2", "reversed", -0.4), part("C3", "equal", 0.0)]
    assert order(overall, rows, most=2) == ["C1", "C3"]


def test_no_topic_has_its_second_turn_before_all_of_a_kind_had_one():
    rows = [part(name, "supported", effect) for name, effect in (("C1", 0.4), ("C2", 0.3), ("C3", 0.2))]
    overall = dict.fromkeys(("C1", "C2", "C3"), "supported")
    assert order(overall, rows, topics={"C1": "a", "C2": "a", "C3": "b"}) == ["C1", "C3", "C2"]


def test_runs_come_before_what_is_counted_and_open_claims_last():
    rows = [
        part("C1", "supported", 0.9, n=None, decided_by="count"),
        part("C2", "supported", 0.1),
        part("C3", "inconclusive", 0.5),
        part("C4", "supported", 0.8),
        part("C4", "inconclusive", 0.9),
    ]
    overall = {"C1": "supported", "C2": "supported", "C3": "inconclusive", "C4": "inconclusive", "C5": "not run"}
    told = said(overall, rows)
    assert [one.claim for one in told] == ["C2", "C1", "C4"] and told[1].text.endswith("by count.")
    assert told[2].text.startswith("“C4 is so” is left open. It wins: +80.0 points")
    assert order(overall, rows, most=2) == ["C2", "C1"]


def test_an_experiment_answers_with_its_own_parts_one_by_one():
    rows = [
        part("C1", "supported", 0.1, experiment="tiny"),
        part("C2", "inconclusive", 0.01, experiment="tiny", reason="too few seeds; best on validation: gru"),
        part("C2", "supported", 0.9, experiment="tiny", contrast="beside", part=""),
        part("C3", "not run", 0.0, experiment="tiny"),
        part("C3", "supported", 0.9, experiment="another"),
    ]
    assert [(one.claim, one.verdict, one.text) for one in findings.answers("tiny", rows)] == [
        ("C1", "supported", "It wins: +10.0 points [+9.0, +11.0], n = 5."),
        ("C2", "inconclusive", "It wins: +1.0 points [+0.0, +2.0], n = 5; open, since too few seeds."),
    ]
    assert findings.answers("nothing", rows) == []


@pytest.mark.parametrize(
    ("rule", "margin", "verdict", "words"),
    [
        ("better", 0.02, "supported", ""),
        ("better", -0.02, "supported", ", at most 2 less was allowed"),
        ("equivalent", 0.02, "supported", ", less than the 2 that would count"),
        ("equivalent", 0.02, "contradicted", ", more than the 2 that count"),
    ],
)
def test_a_margin_is_told_where_the_question_is_about_sameness(rule, margin, verdict, words):
    row = dataclasses.replace(part("C1", verdict, 0.01, experiment="tiny"), rule=rule, margin=margin)
    [answer] = findings.answers("tiny", [row])
    assert answer.text == f"It wins: +1.0 points [+0.0, +2.0]{words}, n = 5."
