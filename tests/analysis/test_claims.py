"""The claims as data: complete, consistent with the declared experiments, and refused when misspelt."""

import re
import textwrap

import pytest

from analysis import claims, values
from analysis.load import ROOT
from analysis.rules.by_construction import node_exists
from analysis.rules.terms import Term
from analysis.statistics import BY_COUNT
from study import experiments
from study.metrics import METRICS
from tests.cases import case

CLAIMS = claims.read()


def test_every_claim_of_the_notes_has_its_row():
    assert list(CLAIMS.claims)[:40] == [f"C{number}" for number in range(1, 41)]
    for claim in CLAIMS.claims.values():
        assert any("一" <= letter <= "鿿" for letter in claim.zh), claim.name
        assert claim.en.endswith(".") and claim.expect and claim.origin


def test_margins_are_the_declared_ones():
    margins = {name: metric.margin for name, metric in METRICS.items()}
    expected = {"accuracy": 0.02, "bits_per_character": 0.01, "perplexity": 0.02, "bleu": 0.5, "exact": 0.01}
    assert expected.items() <= margins.items() and margins["throughput"] == 0.10
    assert METRICS["perplexity"].relative and METRICS["throughput"].relative


def test_every_contrast_can_be_computed_or_its_test_exists(studies):
    """Arms, tasks, metrics and slices it names are there; a complete sweep leaves nothing of it not run."""
    contrasts = [(claim.name, contrast) for claim in CLAIMS.claims.values() for contrast in claim.contrasts]
    for name, contrast in contrasts + [("control", control.contrast) for control in CLAIMS.controls]:
        with case(name, contrast.name):
            if contrast.rule() == "by_construction":
                assert node_exists(contrast.node, ROOT)
                continue
            found = contrast.evaluate(studies, "core")
            if found.metric == "steps_to_90":  # made-up records need not reach 90 %, and a censored run is no number
                assert found.planned > 0
                continue
            assert found.test.by == BY_COUNT or found.test.n == found.planned > 0, found.test.note
            assert found.test.effect is not None


def test_experiments_and_contrasts_name_the_same_claims():
    """A claim that an experiment says it bears on has a contrast there, or is decided by construction; none goes unsaid."""
    for name in experiments.names():
        named = set(experiments.load(name).claims)
        assert {key for key, claim in CLAIMS.claims.items() if any(one.about == name for one in claim.contrasts)} <= named, name
        bears_on = {
            claim.name for claim in CLAIMS.claims.values() if any(contrast.about in (name, "") for contrast in claim.contrasts)
        }
        assert named <= bears_on, name


def test_published_results_belong_to_declared_experiments():
    for entry in CLAIMS.published_results:
        assert entry["task"] in experiments.load(entry["experiment"]).tasks


def test_correction_sums():
    text = " ".join(entry["notes"] + entry["correct"] for entry in CLAIMS.corrections)
    assert 512 * 20000 == 1.024e7 and "1.024 x 10^7" in text
    assert round(1e8 / 512, -3) == 195000 and "195,000" in text
    assert len(CLAIMS.corrections) == 8


def test_node_exists_is_strict(tmp_path):
    (tmp_path / "test_x.py").write_text("class TestA:\n    def test_b(self): pass\ndef test_c(): pass\n")
    for node in ("test_x.py::test_c", "test_x.py::TestA::test_b", "test_x.py::test_c[case-1]"):
        assert node_exists(node, tmp_path)
    for node in ("test_x.py", "test_x.py::test_d", "test_y.py::test_c", "test_x.py::TestA::test_c"):
        assert not node_exists(node, tmp_path)


def test_slices_are_selected():
    for conditions, value, reach, inside in [
        (["<= 8"], 8, None, True),
        (["< 8"], 8, None, False),
        (["<= reach"], 16, 16, True),
        (["> reach"], 17, 16, True),
        (["> reach"], 1000, None, False),
        ([">= 2", "<= 4"], 5, None, False),
        (["== 3"], 3, None, True),
        (["<= 1.5x trained"], 30, None, True),
        (["> 1.5x trained"], 30, None, False),
        (["> 1x trained", "<= 2x trained"], 41, None, False),
    ]:
        assert values.selects(conditions, value, reach, trained=20) is inside, (conditions, value)


CLAIM = """
zh: 甲
en: It is so.
topic: t
origin: o
published: []
expect: e
contrasts:
"""
BETTER = "wins: {statement: It wins., part: winning, better: {experiment: tiny, task: recall, a: attention, b: lstm}}"


def write(folder, contrasts, head=CLAIM):
    (folder / "C1.yaml").write_text(head + textwrap.indent(textwrap.dedent(contrasts), "  "), encoding="utf-8")
    return folder


def refused(folder, contrasts, mistakes, head=False):
    """Each mistake is (what is right, what is written instead, what is said to that)."""
    for right, wrong, words in mistakes:
        text, start = (contrasts, CLAIM.replace(right, wrong)) if head else (contrasts.replace(right, wrong), CLAIM)
        with case(right, wrong):
            with pytest.raises(ValueError) as caught:
                claims.read(write(folder, text, start))
            assert words in str(caught.value)


def test_a_misspelt_contrast_or_claim_is_refused(tmp_path):
    mistakes = [
        ("better:", "beter:", "C1.yaml: wins: needs one rule, not 'beter'; known are at_least, better, "),
        ("better:", "better: {}, equivalent:", "needs one rule, not 'better', 'equivalent'"),
        ("statement:", "statment:", "needs one rule, not 'statment', 'better'"),
        ("task:", "tsak:", "wins.better: unknown 'tsak'; known are experiment, task, a, metric, "),
        ("b: lstm", "c: lstm", "wins.better: unknown 'c'"),
        (", b: lstm", "", "wins.better.b: Field required"),
        ("b: lstm", "b: {arm: lstm, slise: {}}", "wins.better.b: unknown 'slise'; known are arm, best_of, "),
        ("b: lstm", "b: lstm, margin: much", "wins.better.margin: Input should be a valid number"),
        ("b: lstm", "b: lstm, slice: {distance: less than 8}", 'say it as "<= 8" or "> reach"'),
        ("better:", "slope:", "needs either axis, such as axis: distance, or points"),
        ("better:", "sooner:", "wins.sooner.quantity: Field required"),
        ("lstm}}", "lstm}", "C1.yaml is no YAML"),
    ]
    refused(tmp_path, BETTER, mistakes)
    mistakes = [
        ("topic:", "topik:", "C1.yaml: unknown 'topik'; known are zh, en, topic, "),
        ("topic: t\n", "", "C1.yaml: Claim.__init__() missing 1 required positional argument: 'topic'"),
        ("published: []", "published: [{figure: f, source: s, read: X}]", "published needs read: V | S | V/S"),
    ]
    refused(tmp_path, BETTER, mistakes, head=True)


SEVERAL = """
<case>:
  for_each: {case: [one, two, three, four]}
  statement: It wins.
  part: <case>
  better: {experiment: tiny, task: recall, a: attention, b: lstm}
larger:
  statement: It wins at another size.
  repeats: one
  better: {experiment: tiny, task: mqar, a: attention, b: lstm}
"""


def test_parts_and_repeats_are_read(tmp_path):
    contrasts = claims.read(write(tmp_path, SEVERAL)).claims["C1"].contrasts
    assert [each.part for each in contrasts] == ["one", "two", "three", "four", ""]
    assert [each.repeats for each in contrasts] == ["", "", "", "", "one"]


def test_wrong_parts_are_refused(tmp_path):
    mistakes = [
        ("four]", "four, five]", "C1.yaml: 5 contrasts have the key part; a claim has 1 to 4 parts"),
        ("  part: <case>\n", "", "C1.yaml: 0 contrasts have the key part"),
        ("part: <case>", "part: winning", "C1.yaml: two contrasts decide the part 'winning'; give each part one"),
        ("repeats: one", "repeats: five", "larger repeats 'five'; name a contrast with a part"),
        ("repeats: one", "repeats: larger", "larger repeats 'larger'; name a contrast with a part"),
        ("four]", "larger]", "two contrasts are named 'larger'"),
    ]
    refused(tmp_path, SEVERAL, mistakes)


def test_for_each_is_every_combination_of_its_cases(tmp_path):
    """Against the same contrasts typed out."""
    short = """
    <task>_<other>:
      part: <task.words>, <other>
      for_each:
        task:
          near: {words: near by, slice: {distance: "<= 8"}, floor: 0.5}
          far: {words: from afar, slice: {distance: "> 8"}, floor: 0}
        other: [lstm, gru]
      statement: It recalls <task.words> better than <other>.
      better: {experiment: tiny, task: recall, slice: <task.slice>, floor: <task.floor>, a: attention, b: <other>}
    """
    long = """
    near_lstm:
      part: near by, lstm
      statement: It recalls near by better than lstm.
      better: {experiment: tiny, task: recall, slice: {distance: "<= 8"}, floor: 0.5, a: attention, b: lstm}
    near_gru:
      part: near by, gru
      statement: It recalls near by better than gru.
      better: {experiment: tiny, task: recall, slice: {distance: "<= 8"}, floor: 0.5, a: attention, b: gru}
    far_lstm:
      part: from afar, lstm
      statement: It recalls from afar better than lstm.
      better: {experiment: tiny, task: recall, slice: {distance: "> 8"}, floor: 0, a: attention, b: lstm}
    far_gru:
      part: from afar, gru
      statement: It recalls from afar better than gru.
      better: {experiment: tiny, task: recall, slice: {distance: "> 8"}, floor: 0, a: attention, b: gru}
    """
    assert claims.read(write(tmp_path, short)) == claims.read(write(tmp_path, long))
    with pytest.raises(ValueError, match="<task.word> is said by no case"):
        claims.read(write(tmp_path, short.replace("<task.words>", "<task.word>")))


def test_files_have_no_anchors_and_are_short():
    texts = [path.read_text(encoding="utf-8") for path in claims.FOLDER.iterdir()]
    assert sum(len(text.splitlines()) for text in texts) <= 1500
    assert not any(re.search(r": [&*]\w", text) for text in texts)


def test_an_unknown_arm_or_metric_is_refused(studies):
    contrast = CLAIMS.claims["C22"].contrasts[0]
    with pytest.raises(ValueError, match="no arm 'sinusoid'; known are"):
        contrast.model_copy(update={"b": Term(arm="sinusoid")}).evaluate(studies, "core")
    with pytest.raises(ValueError, match="no metric 'acuracy'; known are"):
        contrast.model_copy(update={"metric": "test.acuracy"}).evaluate(studies, "core")
