"""BLEU of two arms on the same sentences, and whether their difference may be due to the choice of sentences.

Records keep what BLEU needs of each sentence (``written.<split>.statistics``): lengths of output and reference, n-grams that
match for n = 1 to 4, n-grams.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from analysis.results import Results
from study.bleu import bleu

RESAMPLES = 1000
SEED = 12345  # sacreBLEU's own


@dataclass(frozen=True)
class Resampled:
    """``difference`` a minus b in BLEU, its 95 % percentile interval, and the two-sided p value."""

    difference: float
    low: float
    high: float
    p: float


def paired_bootstrap(a: Sequence[Sequence[int]], b: Sequence[Sequence[int]], resamples: int = RESAMPLES) -> Resampled:
    """Koehn 2004: both arms on the same sentences, drawn with replacement; p as in sacreBLEU's paired test.

    Raises ``ValueError`` when the arms were not scored on equally many sentences.
    """
    if len(a) != len(b):
        raise ValueError(f"{len(a)} sentences against {len(b)}: paired resampling needs the same test set")
    ours, theirs = (_resampled(tuple(map(tuple, side)), resamples) for side in (a, b))
    differences = ours - theirs
    difference = bleu(a) - bleu(b)
    further = np.abs(differences - differences.mean()) >= abs(difference)
    low, high = np.percentile(differences, [2.5, 97.5])
    return Resampled(difference, float(low), float(high), float((further.sum() + 1) / (resamples + 1)))


def sentence_tables(results: Results) -> dict[str, list[dict[str, str]]]:
    """Of each task whose records keep statistics of sentences: each arm's BLEU against that of the arm best on validation."""
    tables = {}
    for task in results.trained_tasks:
        kept: dict[str, dict[int, Any]] = {}
        for arm in results.experiment.tasks[task].arms:
            for seed, record in results.seeds((arm, task)).items():
                if rows := record.get("written", {}).get("test", {}).get("statistics"):
                    kept.setdefault(arm, {})[seed] = rows
        if len(kept) < 2:
            continue
        best = results.best_arm(task, list(kept))
        if best is None:
            continue
        label = results.experiment.arms[best].label
        lines = []
        for arm in kept:
            if arm == best:
                continue
            cells = {"arm": results.experiment.arms[arm].label}
            for seed in sorted(kept[arm].keys() & kept[best].keys()):
                if len(kept[arm][seed]) != len(kept[best][seed]):
                    cells[f"seed {seed}"] = "scored on other sentences"
                    continue
                test = paired_bootstrap(kept[arm][seed], kept[best][seed])
                cells[f"seed {seed}"] = f"{test.difference:+.2f} [{test.low:+.2f}, {test.high:+.2f}], p = {test.p:.3f}"
            lines.append(cells)
        title = f"{results.experiment.tasks[task].label}: BLEU less that of {label}, sentences of the test resampled"
        tables[title] = lines
    return tables


@cache  # an arm is compared with several others, in the tables and in the page
def _resampled(sentences: tuple[tuple[int, ...], ...], resamples: int) -> np.ndarray:
    """BLEU of each resample (resamples)."""
    return np.array([bleu([sums]) for sums in _draws(len(sentences), resamples) @ np.asarray(sentences, dtype=float)])


@cache
def _draws(n: int, resamples: int) -> np.ndarray:
    """How often each of ``n`` sentences is in each resample (resamples, n): whole numbers as floats, for a fast product."""
    chosen = np.random.default_rng(SEED).choice(n, size=(resamples, n), replace=True)
    return np.stack([np.bincount(row, minlength=n) for row in chosen]).astype(float)
