"""The statistics behind the verdicts, on scipy and statsmodels, without knowledge of records or claims.

A test gives an estimate with its interval, a p value and what it leans to; ``settle`` then holds the p values of one
family against each other (Holm) and only there a leaning becomes a verdict. Differences are oriented: positive means
that the first side is better. A value that is not there is None and stays out; it never becomes a number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import stats

ALPHA = 0.05
RESAMPLES = 9999
SEED = 20170612
FLAT = 0.01  # a logarithm that rises by less per e-fold has no base to speak of
TINY = 1e-12  # differences that vary by less are taken as equal

SUPPORTED, CONTRADICTED, INCONCLUSIVE = "supported", "contradicted", "inconclusive"


@dataclass(frozen=True)
class Test:
    """Outcome of one contrast. ``leaning`` is None where nothing could be tested; ``note`` then says why."""

    __test__ = False  # no test case, whatever pytest makes of the name

    effect: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    n: int = 0
    level: float = 0.95
    leaning: str | None = None
    note: str = ""


def mean_interval(values: Sequence[float], level: float = 0.95) -> tuple[float | None, float | None, float | None]:
    """Mean and its t interval; the interval is None for fewer than two values."""
    n = len(values)
    if not n:
        return None, None, None
    mean = math.fsum(values) / n
    if n < 2:
        return mean, None, None
    if max(values) - min(values) <= TINY:
        return mean, mean, mean
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1))
    half = _t_quantile(n - 1, (1 + level) / 2) * deviation / math.sqrt(n)
    return mean, mean - half, mean + half


def ratio_interval(values: Sequence[float]) -> tuple[float | None, float | None, float | None]:
    """Geometric mean of what is above 0, with its 95 % interval from the t interval of the logarithms."""
    mean, low, high = mean_interval([math.log(value) for value in values if value > 0])
    return tuple(None if value is None else math.exp(value) for value in (mean, low, high))  # type: ignore[return-value]


def share_interval(hits: Sequence[float]) -> tuple[float | None, float | None, float | None]:
    """Share of ones among zeros and ones, with Wilson's 95 % interval."""
    if not hits:
        return None, None, None
    from statsmodels.stats.proportion import proportion_confint

    low, high = proportion_confint(sum(hits), len(hits), method="wilson")
    return sum(hits) / len(hits), float(low), float(high)


@cache
def _t_quantile(freedom: int, share: float) -> float:
    return float(stats.t.ppf(share, freedom))


def better(differences: Sequence[float], margin: float) -> Test:
    """Is the mean difference above ``margin``? Supported when its 95 % t interval lies above, contradicted when below.

    p is that of the two-sided t test of mean = margin, below 0.05 just when the interval leaves the margin out.
    """
    n = len(differences)
    mean, low, high = mean_interval(differences)
    if mean is None:
        return Test(note="no pairs")
    if low is None or high is None:
        return Test(mean, n=n, note="one pair has no spread")
    if low == high:
        p = 1.0 if abs(mean - margin) <= TINY else 0.0
        note = "all pairs equal"
    else:
        p = float(stats.ttest_1samp(differences, margin).pvalue)
        note = ""
    return Test(mean, low, high, p, n, leaning=SUPPORTED if mean > margin else CONTRADICTED, note=note)


def equivalent(differences: Sequence[float], margin: float) -> Test:
    """Does the mean difference lie within +-``margin``? Two one-sided t tests, shown as a 90 % interval.

    Supported when the interval lies inside, contradicted when it lies wholly outside. The two nulls exclude each other,
    so p is that of the nearer one.
    """
    n = len(differences)
    mean, low, high = mean_interval(differences, 0.90)
    if mean is None:
        return Test(level=0.90, note="no pairs")
    if low is None or high is None:
        return Test(mean, n=n, level=0.90, note="one pair has no spread")
    if low == high:
        on_edge = abs(abs(mean) - margin) <= TINY
        inside, outside = (1.0, 1.0) if on_edge else (0.0, 1.0) if abs(mean) < margin else (1.0, 0.0)
        note = "all pairs equal"
    else:

        def one_sided(edge: float, side: str) -> float:
            return float(stats.ttest_1samp(differences, edge, alternative=side).pvalue)

        inside = max(one_sided(-margin, "greater"), one_sided(margin, "less"))
        outside = min(one_sided(margin, "greater"), one_sided(-margin, "less"))
        note = ""
    leaning = SUPPORTED if inside <= outside else CONTRADICTED
    return Test(mean, low, high, min(inside, outside), n, level=0.90, leaning=leaning, note=note)


def more_solved(solved_a: int, total_a: int, solved_b: int, total_b: int) -> Test:
    """Do more seeds of A solve than of B? Fisher's exact test (two-sided); Newcombe's interval of the difference."""
    if min(total_a, total_b) == 0:
        return Test(note="no runs on one side")
    from statsmodels.stats.proportion import confint_proportions_2indep

    effect = solved_a / total_a - solved_b / total_b
    low, high = confint_proportions_2indep(solved_a, total_a, solved_b, total_b, method="newcomb")
    p = float(stats.fisher_exact([[solved_a, total_a - solved_a], [solved_b, total_b - solved_b]]).pvalue)
    leaning = SUPPORTED if effect > 0 else CONTRADICTED if effect < 0 else None
    return Test(effect, float(low), float(high), p, min(total_a, total_b), leaning=leaning)


def bootstrapped(per_seed: Sequence[float], margin: float = 0.0) -> Test:
    """Is the mean of a per-seed statistic (a slope, an exponent, an interaction) above ``margin``?

    Percentile interval over resampled seeds, always with the same draws, widened to the t interval where that goes further, and
    the larger p of the two: few seeds resample too narrowly. Needs three seeds: two resample to nothing but themselves.
    """
    n = len(per_seed)
    if n < 3:
        mean = float(np.mean(per_seed)) if n else None
        return Test(mean, n=n, note="a bootstrap over seeds needs three")
    sample = np.asarray(per_seed, dtype=float)
    mean = float(sample.mean())
    leaning = SUPPORTED if mean > margin else CONTRADICTED
    if np.ptp(sample) <= TINY:
        p = 1.0 if abs(mean - margin) <= TINY else 0.0
        return Test(mean, mean, mean, p, n, leaning=leaning, note="all seeds equal")
    means = np.random.default_rng(SEED).choice(sample, size=(RESAMPLES, n)).mean(axis=1)
    tail = min(np.sum(means <= margin), np.sum(means >= margin))
    by_t = better(per_seed, margin)
    assert by_t.p is not None and by_t.low is not None and by_t.high is not None
    p = max(by_t.p, min(1.0, 2 * (float(tail) + 1) / (RESAMPLES + 1)))
    low, high = np.percentile(means, [2.5, 97.5])
    return Test(mean, min(float(low), by_t.low), max(float(high), by_t.high), p, n, leaning=leaning)


def slope(x: Sequence[float], y: Sequence[float]) -> float | None:
    """Least-squares slope; None where fewer than two distinct x."""
    if len(set(x)) < 2:
        return None
    return float(stats.linregress(x, y).slope)


def growth(letter: str, x: Sequence[float], y: Sequence[float], may_be_log: bool = False) -> str:
    """How ``y`` grows with ``x``, in a word: constant, or the power that fits best; or, where a logarithm is possible and fits
    better, that logarithm, its base from y = log x + constant. Empty for fewer than two distinct x.
    """
    if len(set(x)) < 2:
        return ""
    if max(y) - min(y) <= TINY:
        return "constant"
    power, line = stats.linregress(np.log(x), np.log(y)), stats.linregress(np.log(x), y)
    off_power = np.sum((np.exp(power.intercept) * np.power(x, power.slope) - y) ** 2)
    off_line = np.sum((line.intercept + line.slope * np.log(x) - y) ** 2)
    if may_be_log and len(set(x)) > 2 and line.slope > FLAT and off_line < off_power:
        return f"log_{math.exp(1 / line.slope):.2g} {letter}"
    return f"{letter}^{power.slope:.2f}"


def crossings(x: Sequence[float], a: Sequence[float], b: Sequence[float]) -> list[float]:
    """Each x at which ``a`` starts or ceases to lie below ``b``, straight between points on log axes; all values positive."""
    gaps = [math.log(up) - math.log(down) for up, down in zip(a, b, strict=True)]
    places = []
    for i in range(1, len(x)):
        if (gaps[i - 1] < -TINY) != (gaps[i] < -TINY):
            share = gaps[i - 1] / (gaps[i - 1] - gaps[i])
            places.append(x[i - 1] * (x[i] / x[i - 1]) ** share)
    return places


def empirical_logit(accuracy: float, items: int) -> float:
    """log odds with half a success and half a failure added (Haldane 1955, Anscombe 1956): finite at 0 and 1."""
    hits = accuracy * items
    return math.log((hits + 0.5) / (items - hits + 0.5))


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's adjusted p values of one family, as statsmodels has them; what has none is left out of the family."""
    order = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    adjusted = list(p_values)
    at_least = 0.0
    for left, (p, place) in zip(range(len(order), 0, -1), order, strict=True):
        adjusted[place] = at_least = max(at_least, min(1.0, left * p))
    return adjusted


def settle(family: Sequence[Test], analyses: Sequence[int] | None = None) -> list[tuple[str, float | None, str]]:
    """(verdict, adjusted p, reason) of each test of one family.

    ``analyses``: how often each may be tested, again with more seeds where fewer left it open; its p is multiplied by it.
    """
    settled = []
    several = zip(family, analyses or [1] * len(family), strict=True)
    repeated = [None if test.p is None else min(1.0, test.p * times) for test, times in several]
    for test, adjusted in zip(family, holm(repeated), strict=True):
        if test.p is None or adjusted is None:
            verdict, reason = INCONCLUSIVE, test.note or "nothing to test"
        elif test.leaning is None:
            verdict, reason = INCONCLUSIVE, test.note or "no difference either way"
        elif adjusted <= ALPHA:
            verdict, reason = test.leaning, test.note
        elif test.p <= ALPHA:
            verdict, reason = INCONCLUSIVE, "open after correction for several contrasts and looks"
        else:
            verdict, reason = INCONCLUSIVE, "the interval does not decide"
        settled.append((verdict, adjusted, reason))
    return settled
