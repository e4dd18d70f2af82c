"""BLEU of two arms on the same sentences, and how far their difference may be chance of the sentences chosen.

Records keep what BLEU needs of each sentence (``written.<split>.statistics``): lengths of output and reference, n-grams that
match for n = 1 to 4, n-grams.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

RESAMPLES = 1000
SEED = 12345  # sacreBLEU's own


@dataclass(frozen=True)
class Resampled:
    """``difference`` a minus b in BLEU, its 95 % percentile interval, and the two-sided p value."""

    difference: float
    low: float
    high: float
    p: float


def bleu(sums: Sequence[int]) -> float:
    """BLEU (0 to 100) of summed statistics, as sacreBLEU smooths it by default."""
    from sacrebleu.metrics import BLEU

    sys_len, ref_len, *counts = (int(value) for value in sums)
    n = len(counts) // 2
    return BLEU.compute_bleu(counts[:n], counts[n:], sys_len, ref_len, smooth_method="exp").score


def paired_bootstrap(a: Sequence[Sequence[int]], b: Sequence[Sequence[int]], resamples: int = RESAMPLES) -> Resampled:
    """Koehn 2004: both arms on the same sentences, drawn with replacement; p as in sacreBLEU's paired test.

    Raises ``ValueError`` when the arms were not scored on equally many sentences.
    """
    if len(a) != len(b):
        raise ValueError(f"{len(a)} sentences against {len(b)}: paired resampling needs the same test set")
    ours, theirs = (_resampled(tuple(map(tuple, side)), resamples) for side in (a, b))
    differences = ours - theirs
    difference = bleu(np.sum(a, 0)) - bleu(np.sum(b, 0))
    further = np.abs(differences - differences.mean()) >= abs(difference)
    low, high = np.percentile(differences, [2.5, 97.5])
    return Resampled(difference, float(low), float(high), float((further.sum() + 1) / (resamples + 1)))


@cache  # an arm is compared with several others, in the tables and in the report
def _resampled(sentences: tuple[tuple[int, ...], ...], resamples: int) -> np.ndarray:
    """BLEU of each resample (resamples)."""
    return np.array([bleu(sums) for sums in _draws(len(sentences), resamples) @ np.asarray(sentences, dtype=float)])


@cache
def _draws(n: int, resamples: int) -> np.ndarray:
    """How often each of ``n`` sentences is in each resample (resamples, n): whole numbers as floats, for a fast product."""
    chosen = np.random.default_rng(SEED).choice(n, size=(resamples, n), replace=True)
    return np.stack([np.bincount(row, minlength=n) for row in chosen]).astype(float)
