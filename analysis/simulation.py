"""The rules tested as a whole: made-up studies whose truth is known go through the same tests and the same settling.

A study is a claim of four parts, as many as one may have, each on five seeds, and where these leave one open on five more.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable

import numpy as np

from analysis.rows import Row
from analysis.settling import analysis_alpha, settle
from analysis.statistics import BETTER, BY_T, EQUAL, INCONCLUSIVE, REVERSED, SEED, SUPPORTED, compared, t_quantile

PARTS, FIRST, BOTH = 4, 5, 10
STUDIES = 10_000


def verdicts(differences: np.ndarray, margin: float) -> list[str]:
    """Of one claim, from differences (contrast, seed)."""
    found = _analysed(differences[:, :FIRST], margin, 1)
    return _analysed(differences, margin, 2) if INCONCLUSIVE in found else found


def share(effect: float, spread: float, words: Iterable[str], studies: int = STUDIES) -> tuple[float, float]:
    """Of all claims those with such a verdict in any part, and of all parts those with one. In margins."""
    draws = np.random.default_rng(SEED).normal(effect, spread, (studies, PARTS, BOTH))
    hits = np.array([[verdict in words for verdict in verdicts(study, 1.0)] for study in draws])
    return float(hits.any(axis=1).mean()), float(hits.mean())


def spread(rows: Iterable[Row]) -> float:
    """Median standard deviation of the paired differences behind contrasts, in margins."""
    found = []
    for row in rows:
        if row.decided_by == BY_T and row.margin and row.n and row.level and row.low is not None and row.high is not None:
            error = (row.high - row.low) / 2 / t_quantile(row.n - 1, (1 + row.level) / 2)
            found.append(error * math.sqrt(row.n) / abs(row.margin))
    return statistics.median(found)


def sentence(rows: Iterable[Row]) -> str:
    """What the rules do, at the spread of these contrasts."""
    seen = spread(rows)
    nothing, _ = share(0.0, seen, (SUPPORTED, REVERSED))
    edge, _ = share(1.0, seen, (SUPPORTED, EQUAL, REVERSED))
    _, found = share(3.0, seen, (SUPPORTED,))
    return (
        f"Of {STUDIES:,} made-up claims of {PARTS} parts, at the spread seen here (the median standard deviation of "
        f"paired differences is {seen:.1f} margins), {100 * nothing:.1f} % get a false verdict where there is no effect, and "
        f"{100 * edge:.1f} % where each effect equals its margin, the hardest case; of effects of three margins "
        f"{100 * found:.0f} % are found."
    )


def _analysed(differences: np.ndarray, margin: float, taken: int) -> list[str]:
    family = [(compared(contrast, margin), BETTER, analysis_alpha(2, taken)) for contrast in differences.tolist()]
    return [settled.verdict for settled in settle(family)]
