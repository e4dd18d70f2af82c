"""The statistics behind the verdicts, on scipy and statsmodels, without knowledge of records or claims.

A test says where an effect lies: above its margin, within it (nearer to 0 than the margin, either way) or below it, and at
which level its interval lies there whole. Only ``settling`` makes a verdict of it. Differences are oriented: positive means
that the first side is better. A value that is not there is None and stays out; it never becomes a number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from scipy import special, stats

ALPHA = 0.05
POWER = 0.8  # of finding the smallest effect that a test is said to see
RESAMPLES = 9999
SEED = 20170612
FLAT = 0.01  # a power below it is none, and a logarithm that rises by less per e-fold has no base to speak of
UNBOUNDED = (-math.inf, math.inf)
TINY = 1e-12  # differences that vary by less are taken as equal

SUPPORTED, EQUAL, REVERSED, CONTRADICTED, INCONCLUSIVE = "supported", "equal", "reversed", "contradicted", "inconclusive"
ABOVE, WITHIN, BELOW = "above", "within", "below"

Reading = Mapping[str, str]  # what it means for a contrast to lie above, within or below
BETTER: Reading = {ABOVE: SUPPORTED, WITHIN: EQUAL, BELOW: REVERSED}
SAME: Reading = {ABOVE: CONTRADICTED, WITHIN: SUPPORTED, BELOW: CONTRADICTED}
REACHED: Reading = {ABOVE: SUPPORTED, WITHIN: CONTRADICTED, BELOW: CONTRADICTED}

Interval = tuple[float | None, float | None]
BY_COUNT, BY_T, BY_SIGN, BY_FISHER, BY_BOOTSTRAP = "count", "t", "sign", "Fisher", "bootstrap"


@dataclass(frozen=True)
class Test:
    """Outcome of one contrast. ``place`` is None where nothing could be tested; ``note`` then says why.

    ``p`` is the smallest alpha at which ``interval(alpha)``, of level 1 - alpha, lies whole in its place.
    """

    __test__ = False  # no test case, whatever pytest makes of the name

    effect: float | None = None
    p: float | None = None
    n: int = 0
    place: str | None = None
    by: str = ""
    note: str = ""
    margin: float = 0.0
    error: float | None = None  # standard error of the effect
    interval: Callable[[float], Interval] = field(default=lambda alpha: (None, None), compare=False, repr=False)


def mean_interval(
    values: Sequence[float], bounds: tuple[float, float] = UNBOUNDED
) -> tuple[float | None, float | None, float | None]:
    """Mean and its 95 % t interval; the interval is None for fewer than two values.

    It ends at ``bounds``, the ends of the scale: no mean lies beyond them, so the interval's level stays what it is.
    """
    n = len(values)
    if not n:
        return None, None, None
    mean = math.fsum(values) / n
    if n < 2:
        return mean, None, None
    if max(values) - min(values) <= TINY:
        return mean, mean, mean
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1))
    half = t_quantile(n - 1, 0.975) * deviation / math.sqrt(n)
    return mean, max(mean - half, bounds[0]), min(mean + half, bounds[1])


def ratio_interval(values: Sequence[float]) -> tuple[float | None, float | None, float | None]:
    """Geometric mean of what is above 0, with its 95 % interval from the t interval of the logarithms."""
    mean, low, high = mean_interval([math.log(value) for value in values if value > 0])
    return tuple(None if value is None else math.exp(value) for value in (mean, low, high))  # type: ignore[return-value]


@cache
def t_quantile(freedom: int, share: float) -> float:
    return float(stats.t.ppf(share, freedom))


@cache
def least_effect(n: int, alpha: float) -> float:
    """How many standard errors an effect has to lie beyond its margin to be found with ``POWER`` by a t test of n pairs."""
    t = t_quantile(n - 1, 1 - alpha / 2)
    return float(special.nctdtrinc(n - 1, 1 - POWER, t))


def compared(differences: Sequence[float], margin: float) -> Test:
    """Where the mean difference lies to ``margin``, by the t interval; p is that of the two-sided t test at the margin.

    Above it, within +-``margin`` (two one-sided tests) or below -``margin``; a margin of 0 or less has no within. Differences
    without any spread have no t: the sign test counts them.
    """
    n = len(differences)
    if n < 2:
        note = "one pair has no spread" if n else "no pairs"
        return Test(float(differences[0]) if n else None, n=n, note=note, margin=margin)
    mean = math.fsum(differences) / n
    if max(differences) - min(differences) <= TINY:
        return _without_spread(mean, n, margin)
    error = math.sqrt(math.fsum((value - mean) ** 2 for value in differences) / (n - 1) / n)

    def interval(alpha: float) -> Interval:
        half = t_quantile(n - 1, 1 - alpha / 2) * error
        return mean - half, mean + half

    place, edges = _place(mean, margin)
    p = max(2 * float(special.stdtr(n - 1, -abs(mean - edge) / error)) for edge in edges)
    return Test(mean, p, n, place, BY_T, "", margin, error, interval)


def _place(mean: float, margin: float) -> tuple[str, tuple[float, ...]]:
    """Where it lies, and the edges that its interval has to leave out to lie there whole."""
    if mean > margin:
        return ABOVE, (margin,)
    if mean < -abs(margin) or margin <= 0:
        return BELOW, (-abs(margin),)
    return WITHIN, (-margin, margin)


def _without_spread(mean: float, n: int, margin: float) -> Test:
    """By the sign test. Its interval, from the smallest to the largest of n, is of level 1 - 2 / 2^n; a higher has no end."""
    place, edges = _place(mean, margin)
    least = 1.0 if min(abs(mean - edge) for edge in edges) <= TINY else 2.0 ** (1 - n)
    note = f"all {n} pairs equal, so by the sign test"
    return Test(mean, least, n, place, BY_SIGN, note, margin, None, lambda a: (mean, mean) if least <= a else (None, None))


def counted(value: float, margin: float) -> Test:
    """What is counted, not measured, is so or not: without p, n or interval."""
    return Test(value, place=_place(value, margin)[0], by=BY_COUNT, margin=margin)


def more_solved(solved_a: int, total_a: int, solved_b: int, total_b: int) -> Test:
    """Do more seeds of A solve than of B? Fisher's exact test (two-sided).

    Newcombe's interval of the difference, drawn out to 0 where Fisher's test does not exclude 0.
    """
    if min(total_a, total_b) == 0:
        return Test(note="no runs on one side")
    from statsmodels.stats.proportion import confint_proportions_2indep

    effect = solved_a / total_a - solved_b / total_b

    def interval(alpha: float) -> Interval:
        low, high = confint_proportions_2indep(solved_a, total_a, solved_b, total_b, method="newcomb", alpha=alpha)
        return (float(low), float(high)) if p <= alpha else (min(float(low), 0.0), max(float(high), 0.0))

    p = float(stats.fisher_exact([[solved_a, total_a - solved_a], [solved_b, total_b - solved_b]]).pvalue)
    place = ABOVE if effect > 0 else BELOW if effect < 0 else None
    return Test(effect, p, min(total_a, total_b), place, BY_FISHER, interval=interval)


def log_rank(a: Sequence[tuple[float, bool]], b: Sequence[tuple[float, bool]]) -> float | None:
    """p of the log-rank test on (steps, whether solved by then): runs that did not solve are censored. None where none did."""
    if not a or not b or not any(solved for _, solved in (*a, *b)):
        return None
    sides = [
        stats.CensoredData(uncensored=[x for x, solved in side if solved], right=[x for x, solved in side if not solved])
        for side in (a, b)
    ]
    return float(stats.logrank(*sides).pvalue)


def bootstrapped(per_seed: Sequence[float], margin: float = 0.0) -> Test:
    """As ``compared``, of a per-seed statistic (a slope, an exponent, an interaction).

    Percentile interval over resampled seeds, always with the same draws, widened to the t interval where that goes further, and
    the larger p of the two: few seeds resample too narrowly. Needs three seeds: two resample to nothing but themselves.
    """
    n = len(per_seed)
    by_t = compared(per_seed, margin)
    if by_t.by == BY_SIGN or n < 2:
        return by_t
    if n < 3:
        return Test(by_t.effect, n=n, note="a bootstrap over seeds needs three")
    means = np.sort(np.random.default_rng(SEED).choice(np.asarray(per_seed, float), size=(RESAMPLES, n)).mean(axis=1))
    assert by_t.effect is not None and by_t.p is not None

    def p_at(edge: float) -> float:
        tail = min(np.searchsorted(means, edge, "right"), RESAMPLES - np.searchsorted(means, edge, "left"))
        return min(1.0, 2 * (float(tail) + 1) / (RESAMPLES + 1))

    def interval(alpha: float) -> Interval:
        low, high = by_t.interval(alpha)
        cut = max(1, int(alpha / 2 * (RESAMPLES + 1) + TINY))
        assert low is not None and high is not None
        return min(float(means[cut - 1]), low), max(float(means[-cut]), high)

    _, edges = _place(by_t.effect, margin)
    p = max(by_t.p, *(p_at(edge) for edge in edges))
    return Test(by_t.effect, p, n, by_t.place, BY_BOOTSTRAP, "", margin, by_t.error, interval)


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
    return "constant" if abs(power.slope) < FLAT else f"{letter}^{power.slope:.2f}"


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
