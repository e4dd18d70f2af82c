"""Scores of decoded sequences, as sums over items.

Each function takes what was decoded and what is right, item by item, and a bin of each item; it returns the scores of all
items and, under the slice's name, those of each bin, with "items" in each.
"""

from collections.abc import Callable, Sequence
from typing import Any

from rapidfuzz.distance import Levenshtein
from sacrebleu.metrics import BLEU, CHRF

from study.bleu import bleu

TOKENIZERS = ("13a", "intl", "zh", "char")  # of sacreBLEU's those that need no further package
Judged = tuple[dict[str, Any], dict[str, dict[str, Any]]]


def exact_match(outputs: Sequence[Sequence[int]], references: Sequence[Sequence[int]], bins: Sequence[int]) -> Judged:
    """ "exact": the share of sequences that are right as a whole; "token_accuracy": right tokens at their place, over
    "tokens", those of the references."""
    exact = [list(ours) == list(theirs) for ours, theirs in zip(outputs, references, strict=True)]
    right = [
        sum(one == other for one, other in zip(ours, theirs, strict=False))
        for ours, theirs in zip(outputs, references, strict=True)
    ]

    def score(items: Sequence[int]) -> dict[str, Any]:
        tokens = sum(len(references[i]) for i in items)
        return {
            "exact": sum(exact[i] for i in items) / len(items),
            "token_accuracy": sum(right[i] for i in items) / tokens,
            "tokens": tokens,
        }

    return _per_bin(score, bins)


def error_rates(outputs: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]], bins: Sequence[int]) -> Judged:
    """ "word_error_rate": the share of items that equal none of their references; "phoneme_error_rate": insertions,
    deletions and substitutions to the nearest reference (the first of several), over its symbols."""
    nearest = [
        min((Levenshtein.distance(ours, theirs), len(theirs), number) for number, theirs in enumerate(several))
        for ours, several in zip(outputs, references, strict=True)
    ]

    def score(items: Sequence[int]) -> dict[str, Any]:
        return {
            "word_error_rate": sum(nearest[i][0] > 0 for i in items) / len(items),
            "phoneme_error_rate": sum(nearest[i][0] for i in items) / sum(nearest[i][1] for i in items),
        }

    return _per_bin(score, bins)


def translation(
    outputs: Sequence[str], references: Sequence[str], bins: Sequence[int], lowercase: bool = False, tokenize: str = "13a"
) -> Judged:
    """ "bleu" and "chrf" (0 to 100, sacreBLEU's defaults; Post 2018), and under "statistics" what BLEU needs of each item:
    lengths of output and reference, n-grams (1 to 4) that match, n-grams. The latter of all items only.
    tokenize: sacreBLEU's name for how BLEU finds words, one of `TOKENIZERS`."""
    metric, chrf = BLEU(lowercase=lowercase, tokenize=tokenize, effective_order=True), CHRF(lowercase=lowercase)
    single = [metric.sentence_score(ours, [theirs]) for ours, theirs in zip(outputs, references, strict=True)]
    statistics = [[score.sys_len, score.ref_len, *score.counts, *score.totals] for score in single]

    def score(items: Sequence[int]) -> dict[str, Any]:
        return {
            "bleu": bleu([statistics[i] for i in items]),
            "chrf": chrf.corpus_score([outputs[i] for i in items], [[references[i] for i in items]]).score,
        }

    scores, slices = _per_bin(score, bins)
    return scores | {"statistics": statistics}, slices


def signatures(lowercase: bool = False, tokenize: str = "13a") -> dict[str, str]:
    """sacreBLEU's signatures of the scores of `translation`."""
    metrics = {"bleu": BLEU(lowercase=lowercase, tokenize=tokenize), "chrf": CHRF(lowercase=lowercase)}
    for metric in metrics.values():
        metric.corpus_score(["a"], [["a"]])  # the number of references is known from then on
    return {name: metric.get_signature().format() for name, metric in metrics.items()}


def up_to_tens(length: int) -> int:
    """Bins for slices: 1 .. 10 becomes 10, 11 .. 20 becomes 20, ..."""
    return -(-length // 10) * 10


def _per_bin(score: Callable[[Sequence[int]], dict[str, Any]], bins: Sequence[int]) -> Judged:
    members: dict[int, list[int]] = {}
    for item, value in enumerate(bins):
        members.setdefault(value, []).append(item)
    slices = {str(value): {"items": len(members[value]), **score(members[value])} for value in sorted(members)}
    return {"items": len(bins), **score(range(len(bins)))}, {"length": slices}
