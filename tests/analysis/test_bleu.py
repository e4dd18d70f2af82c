"""The paired bootstrap of BLEU from kept statistics, against sacreBLEU's own on the texts."""

import random

import pytest
from sacrebleu.metrics import BLEU
from sacrebleu.significance import PairedTest

from analysis.bleu import paired_bootstrap
from study.tasks.judging import translation

WORDS = "a the dog cat runs sleeps on under red green hill tree".split()


def texts(sentences=60, seed=0):
    """References, and two systems that copy them with different care."""
    draw = random.Random(seed)
    references = [" ".join(draw.choices(WORDS, k=draw.randint(4, 12))) for _ in range(sentences)]

    def system(care):
        return [" ".join(w if draw.random() < care else draw.choice(WORDS) for w in line.split()) for line in references]

    return references, system(0.85), system(0.7)


def statistics(outputs, references):
    return translation(outputs, references, [0] * len(outputs))[0]["statistics"]


def test_paired_bootstrap_is_sacrebleus():
    references, good, poor = texts()
    ours = paired_bootstrap(statistics(poor, references), statistics(good, references), resamples=300)
    systems = [("good", good), ("poor", poor)]
    _, scores = PairedTest(systems, {"BLEU": BLEU()}, [references], test_type="bs", n_samples=300)()
    theirs = scores["BLEU"]
    assert ours.difference == pytest.approx(theirs[1].score - theirs[0].score)
    assert ours.p == pytest.approx(theirs[1].p_value)
    assert ours.low < ours.difference < ours.high < 0


def test_an_arm_does_not_differ_from_itself():
    references, good, _ = texts()
    rows = statistics(good, references)
    same = paired_bootstrap(rows, rows, resamples=50)
    assert (same.difference, same.low, same.high) == (0, 0, 0)


def test_other_sentences_are_refused():
    references, good, _ = texts()
    rows = statistics(good, references)
    with pytest.raises(ValueError, match="60 sentences against 59"):
        paired_bootstrap(rows, rows[1:])
