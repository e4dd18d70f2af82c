"""BLEU from the statistics of sentences, without their text; free of torch, for tasks and analysis alike."""

from __future__ import annotations

from collections.abc import Sequence


def bleu(sentences: Sequence[Sequence[float]]) -> float:
    """BLEU (0 to 100) of sentences, as sacreBLEU smooths it by default (Post 2018).

    Each is given as its statistics: lengths of output and reference, n-grams that match for n = 1 to 4, n-grams.
    """
    from sacrebleu.metrics import BLEU

    sys_len, ref_len, *counts = (int(sum(column)) for column in zip(*sentences, strict=True))
    n = len(counts) // 2
    return BLEU.compute_bleu(counts[:n], counts[n:], sys_len, ref_len, smooth_method="exp").score
