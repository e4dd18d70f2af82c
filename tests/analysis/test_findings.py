"""Sentences of what was found, against verdicts made by hand."""

from analysis import findings
from analysis.claims import Claim, Claims
from analysis.rows import Row
from analysis.verdicts import Verdicts


def claim(name, topic):
    return Claim(name, "zh", f"{name} is so.", topic, "o", "e", ())


def part(claim, verdict, effect, statement="It wins.", n=5, contrast="x"):
    known = {"effect": effect, "low": effect - 0.01, "high": effect + 0.01, "margin": 0.02, "metric": "test.accuracy"}
    return Row(claim, contrast, statement, verdict, rule="better", part=contrast, n=n, **known)


def said(overall, rows, topics=None, most=8):
    claims = Claims({name: claim(name, (topics or {}).get(name, name)) for name in overall})
    return findings.sentences(claims, Verdicts("core", rows, [], overall), most)


def test_a_claim_is_told_by_its_clearest_part_on_each_side():
    rows = [
        part("C1", "supported", 0.1, "A little."),
        part("C1", "supported", 0.5, "A lot."),
        part("C1", "equal", 0.0, "Nothing."),
        part("C1", "inconclusive", 0.9, "Who knows."),
    ]
    assert said({"C1": "qualified"}, rows) == [
        "Only in part: “C1 is so” (C1). A lot: +50.0 points [+49.0, +51.0], n = 5. "
        "Nothing: no difference that counts, +0.0 points [-1.0, +1.0], n = 5."
    ]


def test_what_is_open_or_holds_by_construction_is_no_finding():
    rows = [part("C1", "inconclusive", 0.1), part("C2", "supported", 0.1, n=None), part("C3", "supported", 0.1)]
    overall = {"C1": "inconclusive", "C2": "supported", "C3": "supported"}
    assert [sentence.split("(C")[1][0] for sentence in said(overall, rows)] == ["3"]


def test_contradictions_come_first_and_no_topic_twice_before_all_had_their_turn():
    rows = [part(name, "supported", 0.1) for name in ("C1", "C2", "C3")] + [part("C4", "reversed", -0.1)]
    overall = {"C1": "supported", "C2": "supported", "C3": "supported", "C4": "contradicted"}
    told = said(overall, rows, topics={"C1": "a", "C2": "a", "C3": "b"}, most=3)
    order = [sentence.split("(")[1][:2] for sentence in told]
    assert order == ["C4", "C1", "C3"]
    [first, *_] = said(overall, rows)
    assert first == "Not so: “C4 is so” (C4). It wins: the reverse, -10.0 points [-11.0, -9.0], n = 5."
