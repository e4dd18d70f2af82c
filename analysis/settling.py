"""Where a test's leaning becomes a verdict: analyses share the error, Holm's correction shares it within a family.

The interval that is given out is the one that decides: of the level that is left to its test after both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from analysis.statistics import ALPHA, BY_COUNT, INCONCLUSIVE, Reading, Test, least_effect

WITHIN = "the interval does not decide"
CORRECTED = "open after correction for several contrasts and analyses"
NEITHER = "no difference either way"

# Of ALPHA, what the first of two analyses (of fewer seeds, then of more) spends; the second has the rest. Most effects are seen
# at once, so the first gets the larger part. The two add up to ALPHA whatever the test, the number of seeds and Holm's
# correction. A second level that makes use of how the two hang together would be .026 for one t test of 5, then 10 seeds;
# within a family, where alpha is divided, they hang together less, and it would be too large.
FIRST_ANALYSIS = 0.03


@dataclass(frozen=True)
class Settled:
    """``p`` is adjusted for analyses and the family, to be held against ``ALPHA``; the interval of ``level`` is what decides.

    ``seen``: the smallest effect that would have been found four times in five at this spread.
    """

    verdict: str
    reason: str
    p: float | None = None
    level: float | None = None
    low: float | None = None
    high: float | None = None
    seen: float | None = None


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's adjusted p values of one family, as statsmodels has them; what has none is left out of the family."""
    order = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    adjusted = list(p_values)
    at_least = 0.0
    for left, (p, place) in zip(range(len(order), 0, -1), order, strict=True):
        adjusted[place] = at_least = max(at_least, min(1.0, left * p))
    return adjusted


def shares(p_values: Sequence[float | None]) -> list[int]:
    """Into how many parts Holm divides alpha for each: one less after each that is decided, until one is not."""
    order = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    found = [1] * len(p_values)
    parts, stopped = len(order), False
    for p, place in order:
        found[place] = parts
        stopped = stopped or parts * p > ALPHA
        parts -= not stopped
    return found


def analysis_alpha(declared: int, taken: int) -> float:
    """What an analysis may spend: all where only one is declared, else a part that is fixed beforehand."""
    return ALPHA if declared == 1 else FIRST_ANALYSIS if taken == 1 else ALPHA - FIRST_ANALYSIS


def settle(family: Sequence[tuple[Test, Reading, float]]) -> list[Settled]:
    """What becomes of each test of one family, by what its places mean for it and by the alpha that its analysis may spend."""
    scaled = [None if test.p is None else min(1.0, test.p * ALPHA / alpha) for test, _, alpha in family]
    each = zip(family, holm(scaled), shares(scaled), strict=True)
    return [_settled(test, reading, alpha / parts, p) for (test, reading, alpha), p, parts in each]


def _settled(test: Test, reading: Reading, alpha: float, p: float | None) -> Settled:
    verdict = reading[test.place] if test.place else INCONCLUSIVE
    if test.by == BY_COUNT:
        return Settled(verdict, "counted, not measured")
    if test.p is None or p is None:
        return Settled(INCONCLUSIVE, test.note or "nothing to test")
    low, high = test.interval(alpha)
    level = None if low is None else 1 - alpha
    seen = None if test.error is None else test.margin + least_effect(test.n, alpha) * test.error
    reason = test.note
    if test.place is None:
        reason = reason or NEITHER
    elif p > ALPHA:
        verdict = INCONCLUSIVE
        why = CORRECTED if test.p <= ALPHA else WITHIN
        reason = reason or why
    return Settled(verdict, reason, p, level, low, high, seen)
