"""Scores against sacreBLEU's own corpus scores, a slow edit distance, and counts by hand."""

import random

import pytest
import sacrebleu

from study.bleu import bleu
from study.tasks.judging import TOKENIZERS, error_rates, exact_match, signatures, translation, up_to_tens

WORDS = "a man in a blue shirt is standing on the ladder , cleaning window . Ein Mann".split()


def sentences(seed, count):
    """References, and outputs that get worse from word to word."""
    rng = random.Random(seed)
    references = [[rng.choice(WORDS) for _ in range(rng.randint(1, 25))] for _ in range(count)]
    outputs = [[word if rng.random() < 0.7 else rng.choice(WORDS) for word in words] for words in references]
    outputs = [words[: rng.randint(0, 30)] for words in outputs]
    return [" ".join(words) for words in outputs], [" ".join(words) for words in references]


@pytest.mark.parametrize("lowercase", [False, True])
@pytest.mark.parametrize("seed", range(2))
def test_bleu_and_chrf_are_sacrebleus(seed, lowercase):
    outputs, references = sentences(seed, 60)
    outputs = [output.title() if number % 2 else output for number, output in enumerate(outputs)]
    bins = [up_to_tens(len(reference.split())) for reference in references]
    scores, slices = translation(outputs, references, bins, lowercase)
    for row, chosen in [(scores, range(60))] + [
        (row, [i for i in range(60) if str(bins[i]) == value]) for value, row in slices["length"].items()
    ]:
        mine, theirs = [outputs[i] for i in chosen], [[references[i] for i in chosen]]
        assert row["items"] == len(chosen)
        assert row["bleu"] == pytest.approx(sacrebleu.corpus_bleu(mine, theirs, lowercase=lowercase).score, rel=1e-12)
        chrf = sacrebleu.metrics.CHRF(lowercase=lowercase).corpus_score(mine, theirs).score
        assert row["chrf"] == pytest.approx(chrf, rel=1e-12)
    assert set(slices["length"]) == {"10", "20", "30"}


@pytest.mark.parametrize("tokenize", TOKENIZERS)
def test_words_are_found_as_sacrebleu_finds_them(tokenize):
    outputs, references = ["两个男人站在炉子旁做饭", "一个人戴着帽子"], ["两个男人在炉子旁边做饭", "一个男人戴着帽子"]
    scores, _ = translation(outputs, references, [10] * 2, tokenize=tokenize)
    assert scores["bleu"] == pytest.approx(sacrebleu.corpus_bleu(outputs, [references], tokenize=tokenize).score, rel=1e-12)
    assert f"tok:{tokenize}" in signatures(tokenize=tokenize)["bleu"]
    assert (scores["bleu"] > 30) is (tokenize in ("zh", "char")), "where no space is written, only these find words"


def test_statistics_are_enough_to_score_any_resample():
    outputs, references = sentences(7, 40)
    scores, slices = translation(outputs, references, [10] * 40)
    assert len(scores["statistics"]) == 40 and "statistics" not in slices["length"]["10"]
    assert all(type(number) is int for row in scores["statistics"] for number in row)
    rng = random.Random(0)
    for _ in range(10):
        chosen = [rng.randrange(40) for _ in range(40)]
        whole = sacrebleu.corpus_bleu([outputs[i] for i in chosen], [[references[i] for i in chosen]]).score
        assert bleu([scores["statistics"][i] for i in chosen]) == pytest.approx(whole, rel=1e-12)


def test_statistics_by_hand():
    (row,) = translation(["a b c x"], ["a b c d e"], [10])[0]["statistics"]
    assert row == [4, 5, 3, 2, 1, 0, 4, 3, 2, 1]


def test_signatures_are_sacrebleus():
    bleu, chrf = sacrebleu.metrics.BLEU(lowercase=True), sacrebleu.metrics.CHRF(lowercase=True)
    for metric in (bleu, chrf):
        metric.corpus_score(["some text"], [["some more text"]])
    assert signatures(lowercase=True) == {"bleu": str(bleu.get_signature()), "chrf": str(chrf.get_signature())}
    assert "case:mixed" in signatures()["bleu"]


def slow_distance(one, other):
    """By the definition: the cheapest way to make the first symbols equal."""
    if not one or not other:
        return len(one) + len(other)
    if one[0] == other[0]:
        return slow_distance(one[1:], other[1:])
    return 1 + min(slow_distance(one[1:], other[1:]), slow_distance(one[1:], other), slow_distance(one, other[1:]))


@pytest.mark.parametrize("seed", range(3))
def test_error_rates_against_a_slow_edit_distance(seed):
    rng = random.Random(seed)

    def word(least):
        return [rng.choice(["AH", "B", "K"]) for _ in range(rng.randint(least, 6))]

    outputs = [word(0) for _ in range(20)]
    references = [[word(1) for _ in range(rng.randint(1, 3))] for _ in range(20)]
    references[0][-1] = outputs[0] = word(1)
    bins = [len(several[0]) for several in references]
    errors, length, wrong = 0, 0, 0
    for output, several in zip(outputs, references, strict=True):
        distance = min(slow_distance(output, reference) for reference in several)
        nearest = [len(reference) for reference in several if slow_distance(output, reference) == distance]
        errors, length, wrong = errors + distance, length + min(nearest), wrong + all(output != r for r in several)
    scores, slices = error_rates(outputs, references, bins)
    assert scores == {"items": 20, "word_error_rate": wrong / 20, "phoneme_error_rate": errors / length}
    assert sum(row["items"] * row["word_error_rate"] for row in slices["length"].values()) == pytest.approx(wrong)


def test_a_phone_is_one_symbol_however_long_its_name():
    scores, _ = error_rates([["AH", "B"]], [[["AA", "B"]]], [2])
    assert scores == {"items": 1, "word_error_rate": 1, "phoneme_error_rate": 0.5}


def test_exact_match_by_hand():
    scores, slices = exact_match([[1, 2], [3, 4, 5], [6]], [[1, 2], [3, 5, 5], [6, 7]], [2, 4, 2])
    assert scores == {"items": 3, "exact": 1 / 3, "token_accuracy": 5 / 7, "tokens": 7}
    assert slices["length"]["2"] == {"items": 2, "exact": 1 / 2, "token_accuracy": 3 / 4, "tokens": 4}
    assert slices["length"]["4"] == {"items": 1, "exact": 0, "token_accuracy": 2 / 3, "tokens": 3}


def test_tens():
    assert [up_to_tens(length) for length in (1, 10, 11, 20, 21)] == [10, 10, 20, 20, 30]
