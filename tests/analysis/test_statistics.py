"""Statistics against scipy's and statsmodels' own results and against cases worked out by hand."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.duration.survfunc import survdiff
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower
from statsmodels.stats.proportion import confint_proportions_2indep
from statsmodels.stats.weightstats import DescrStatsW, ttost_paired

from analysis import settling, statistics
from analysis.settling import settle
from analysis.statistics import (
    ABOVE,
    BELOW,
    BETTER,
    CONTRADICTED,
    EQUAL,
    INCONCLUSIVE,
    REACHED,
    REVERSED,
    SAME,
    SUPPORTED,
    WITHIN,
)

DRAW = np.random.default_rng(0)
SAMPLES = [DRAW.normal(mean, 0.02, n).tolist() for mean in (-0.05, 0.0, 0.019, 0.06) for n in (2, 3, 5, 10)]


def test_mean_interval_is_statsmodels():
    for sample in SAMPLES:
        mean, low, high = statistics.mean_interval(sample)
        assert mean == pytest.approx(np.mean(sample))
        assert (low, high) == pytest.approx(DescrStatsW(sample).tconfint_mean(alpha=0.05))


def test_ratio_interval_by_hand():
    # logarithms 0 and 2: mean 1, sd sqrt(2), t(1 degree, 95 %) = 12.7062047, so 1 +- 12.7062047
    expected = (math.e, math.exp(1 - 12.7062047), math.exp(1 + 12.7062047))
    assert statistics.ratio_interval([1.0, math.e**2, 0.0]) == pytest.approx(expected)
    assert statistics.ratio_interval([0.0]) == (None, None, None)


def settled(test, reading=BETTER, alpha=0.05):
    [found] = settle([(test, reading, alpha)])
    return found


def outcome(sample, margin, alpha=0.05):
    """By statsmodels' interval alone."""
    low, high = DescrStatsW(sample).tconfint_mean(alpha=alpha)
    if low > margin:
        return SUPPORTED
    if high < -abs(margin):
        return REVERSED
    return EQUAL if -margin < low and high < margin else INCONCLUSIVE


def test_the_interval_that_is_given_out_is_the_one_that_decides():
    for sample, margin, alpha in itertools.product(SAMPLES, (0.0, 0.01, 0.02, -0.02, 0.1, 1.0), (0.05, 0.03, 0.005)):
        found = settled(statistics.compared(sample, margin), alpha=alpha)
        assert found.verdict == outcome(sample, margin, alpha)
        assert found.level == 1 - alpha
        assert (found.low, found.high) == pytest.approx(DescrStatsW(sample).tconfint_mean(alpha=alpha))


def test_p_is_that_of_the_t_test_at_the_margin_or_of_two_one_sided_tests_within_it():
    for sample, margin in itertools.product(SAMPLES, (0.02, 0.1)):
        test = statistics.compared(sample, margin)
        if test.place == WITHIN:
            p_within, _, _ = ttost_paired(np.array(sample), np.zeros(len(sample)), -margin, margin)
            assert test.p == pytest.approx(2 * p_within)  # at 2.5 % each, so that one interval tells all
        else:
            edge = margin if test.place == ABOVE else -margin
            assert test.p == pytest.approx(stats.ttest_1samp(sample, edge).pvalue)


def test_a_margin_of_nothing_has_no_within():
    assert statistics.compared([-0.2, -0.1, 0.1, 0.2], 0).place == BELOW


def test_equal_and_reversed_contradict_who_says_better_and_equal_bears_out_who_says_the_same():
    near, far = [0.001, -0.001, 0.0, 0.002, -0.002], [-0.1, -0.11, -0.09, -0.1, -0.12]
    assert settled(statistics.compared(near, 0.02)).verdict == EQUAL
    assert settled(statistics.compared(far, 0.02)).verdict == REVERSED
    assert settled(statistics.compared(near, 0.02), SAME).verdict == SUPPORTED
    assert settled(statistics.compared(far, 0.02), SAME).verdict == CONTRADICTED
    assert settled(statistics.compared(far, 0.0), REACHED).verdict == CONTRADICTED


def test_a_difference_that_is_not_significant_is_no_equivalence():
    sample = [0.05, -0.05, 0.02, -0.02, 0.01]
    assert stats.ttest_1samp(sample, 0).pvalue > 0.5
    assert settled(statistics.compared(sample, 0.02), SAME).verdict == INCONCLUSIVE


def test_the_smallest_effect_that_is_seen_is_statsmodels():
    for n, alpha in ((5, 0.05), (5, 0.03), (10, 0.02), (10, 0.05 / 4)):
        sample = np.random.default_rng(n).normal(0.1, 0.05, n)
        size = TTestPower().solve_power(nobs=n, alpha=alpha, power=0.8)  # in standard deviations, beyond the margin
        found = settled(statistics.compared(sample.tolist(), 0.02), alpha=alpha)
        assert found.seen == pytest.approx(0.02 + size * sample.std(ddof=1), rel=1e-4), (n, alpha)


def test_more_solved_by_hand():
    """Ways to place the solved seeds among all: C(10,5) = 252 and C(6,3) = 20 for the lopsided tables."""
    for counts, p in {(5, 5, 0, 5): 2 / 252, (5, 5, 1, 5): 12 / 252, (3, 3, 0, 3): 2 / 20, (4, 5, 4, 5): 1.0}.items():
        test = statistics.more_solved(*counts)
        assert test.p == pytest.approx(p), counts
        low, high = confint_proportions_2indep(*counts, method="newcomb", alpha=0.03)
        assert test.interval(0.03) == pytest.approx((low if p <= 0.03 else min(low, 0), high)), counts


def test_more_solved_verdicts():
    assert settled(statistics.more_solved(5, 5, 0, 5)).verdict == SUPPORTED
    assert settled(statistics.more_solved(0, 5, 5, 5)).verdict == REVERSED
    assert settled(statistics.more_solved(5, 5, 5, 5)).verdict == INCONCLUSIVE
    assert settled(statistics.more_solved(0, 0, 5, 5)).verdict == INCONCLUSIVE


@pytest.mark.parametrize("alpha", [0.05, 0.03, 0.02, 0.005])
def test_the_interval_of_solved_counts_decides_as_well(alpha):
    for n in (3, 5, 6, 10):
        for a, b in itertools.product(range(n + 1), repeat=2):
            found = settled(statistics.more_solved(a, n, b, n), alpha=alpha)
            assert (found.verdict == INCONCLUSIVE) is (found.low <= 0 <= found.high), (n, a, b)


def test_log_rank_is_statsmodels():
    a = [(300, True), (350, True), (400, True), (600, False), (320, True)]
    b = [(600, False), (550, True), (600, False), (600, False), (500, True)]
    steps, solved = zip(*a, *b, strict=True)
    assert statistics.log_rank(a, b) == pytest.approx(survdiff(steps, solved, [0] * 5 + [1] * 5)[1])
    assert statistics.log_rank(a, []) is None
    assert statistics.log_rank([(600, False)], [(600, False)]) is None


@pytest.mark.slow
@pytest.mark.parametrize("n", [3, 5, 10])
def test_a_trend_of_few_seeds_is_found_by_chance_no_more_often_than_it_may(n):
    samples = np.random.default_rng(3).normal(0.1, 0.3, (400, n))
    found = np.mean([statistics.bootstrapped(sample.tolist(), 0.1).p <= 0.05 for sample in samples])
    assert found <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 400)


@pytest.mark.parametrize("alpha", [0.05, 0.03, 0.005])
def test_an_interval_leaves_the_margin_out_just_when_p_is_small(alpha):
    samples = np.random.default_rng(4).normal(0.2, 0.2, (60, 5)) ** 3  # skewed, so that at times the bootstrap is the wider one
    for sample in samples.tolist():
        test = statistics.bootstrapped(sample, 0.001)
        low, high = test.interval(alpha)
        edges = {ABOVE: (0.001,), WITHIN: (0.001, -0.001), BELOW: (-0.001,)}[test.place]
        assert (test.p <= alpha) is not any(low <= edge <= high for edge in edges)


@pytest.mark.slow
def test_bootstrap_of_many_is_scipys():
    sample = DRAW.normal(0.3, 0.1, 800)
    test = statistics.bootstrapped(sample.tolist())
    theirs = stats.bootstrap((sample,), np.mean, n_resamples=20000, method="percentile").confidence_interval
    assert test.interval(0.05) == pytest.approx((theirs.low, theirs.high), abs=0.0005)
    assert test == statistics.bootstrapped(sample.tolist())  # the same draws every time
    assert test.place == ABOVE and test.p < 0.01
    assert statistics.bootstrapped(sample.tolist(), margin=float(sample.mean()) + 0.0001).p > 0.5


def test_slope_is_polyfit():
    x, y = DRAW.normal(size=20), DRAW.normal(size=20)
    assert statistics.slope(x.tolist(), y.tolist()) == pytest.approx(np.polyfit(x, y, 1)[0])
    assert statistics.slope([2.0, 2.0], [1.0, 3.0]) is None


def test_empirical_logit_by_hand():
    assert statistics.empirical_logit(0.5, 10) == 0
    assert statistics.empirical_logit(1.0, 10) == pytest.approx(math.log(10.5 / 0.5))
    assert statistics.empirical_logit(0.0, 10) == -statistics.empirical_logit(1.0, 10)


def test_holm_by_hand():
    # sorted 0.01 0.02 0.04, times 3 2 1 = 0.03 0.04 0.04, never falling
    assert settling.holm([0.04, None, 0.01, 0.02]) == pytest.approx([0.04, None, 0.03, 0.04], nan_ok=False)
    assert settling.holm([None]) == [None] and settling.holm([]) == []


@pytest.mark.slow
def test_holm_is_statsmodels():
    for p in (np.random.default_rng(0).beta(0.3, 3, 24), np.array([0.03, 0.9, 0.03, 0.001, 0.03]), np.array([0.2])):
        assert settling.holm(p.tolist()) == pytest.approx(multipletests(p, method="holm")[1], rel=1e-12)


def sample_with(p, margin=0.02, n=5):
    """Differences above the margin whose t test gives this p."""
    t = stats.t.isf(p / 2, n - 1)
    shape = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
    return (shape * 0.01 + margin + t * 0.01 * shape.std(ddof=1) / math.sqrt(n)).tolist()


def test_holm_can_leave_open_what_stood_alone():
    clear, narrow, other = (statistics.compared(sample_with(p), 0.02) for p in (0.001, 0.04, 0.045))
    assert settled(narrow).verdict == SUPPORTED
    found = settle([(test, BETTER, 0.05) for test in (clear, narrow, other)])
    assert [one.verdict for one in found] == [SUPPORTED, INCONCLUSIVE, INCONCLUSIVE]
    assert found[1].reason == "open after correction for several contrasts and analyses"
    # the first is held to a third of alpha, the second to a half; that leaves it open, so the third is, too
    assert [one.level for one in found] == pytest.approx([1 - 0.05 / 3, 1 - 0.05 / 2, 1 - 0.05 / 2])
    assert [one.p for one in found] == pytest.approx([0.003, 0.08, 0.08])
    assert found[0].low > 0.02 > found[1].low


def test_in_a_family_the_intervals_decide_as_well():
    for seed in range(40):
        samples = np.random.default_rng(seed).normal(0.03, 0.02, (5, 5))
        found = settle([(statistics.compared(sample.tolist(), 0.02), BETTER, 0.03) for sample in samples])
        for sample, one in zip(samples, found, strict=True):
            assert one.verdict == outcome(sample, 0.02, 1 - one.level)


def test_analyses_share_the_error():
    assert settling.analysis_alpha(1, 1) == 0.05
    first, second = settling.analysis_alpha(2, 1), settling.analysis_alpha(2, 2)
    assert first == 0.03 and first + second == pytest.approx(0.05)
    test = statistics.compared(sample_with(0.04), 0.02)
    assert (settled(test).verdict, settled(test, alpha=0.03).verdict) == (SUPPORTED, INCONCLUSIVE)
    assert settled(test, alpha=0.03).p == pytest.approx(0.04 * 5 / 3), "adjusted, to be held against 5 %"


@pytest.mark.slow
@pytest.mark.parametrize("parts", [1, 4, 24])
def test_two_analyses_find_what_is_not_there_no_more_often_than_one_may(parts):
    """Against a simulation of its own; what a t test of all seeds could spend beyond that falls as alpha is divided."""
    draws = np.random.default_rng(5).standard_normal((400_000, 10))
    first, both = (stats.ttest_1samp(draws[:, :n], 0, axis=1).pvalue for n in (5, 10))
    false = np.mean((first <= settling.analysis_alpha(2, 1) / parts) | (both <= settling.analysis_alpha(2, 2) / parts))
    assert 0.85 * 0.05 / parts <= false <= 0.05 / parts + 3 * math.sqrt(0.05 / parts / len(draws))


def test_one_pair_or_none_decides_nothing():
    for sample in ([], [0.5]):
        test = statistics.compared(sample, 0.02)
        assert test.p is None and test.n == len(sample)
        found = settled(test)
        assert found.verdict == INCONCLUSIVE and found.low is None and found.level is None


@pytest.mark.parametrize("decide", [statistics.compared, statistics.bootstrapped])
def test_seeds_without_spread_are_decided_by_the_sign_test(decide):
    """Five heads in a row come about with 2 / 2^5, ten with 2 / 2^10."""
    verdicts = {0.5: SUPPORTED, 0.0: EQUAL, -0.5: REVERSED, 0.02: INCONCLUSIVE, -0.02: INCONCLUSIVE}
    for value, verdict in verdicts.items():
        five, ten = decide([value] * 5, 0.02), decide([value] * 10, 0.02)
        assert settled(five).verdict == INCONCLUSIVE and settled(five).low is None
        assert settled(ten).verdict == verdict, value
        if verdict != INCONCLUSIVE:
            assert five.p == stats.binomtest(5, 5).pvalue and ten.p == stats.binomtest(10, 10).pvalue
            assert settled(ten).low == settled(ten).high == pytest.approx(value)
            assert settled(ten, alpha=0.001).verdict == INCONCLUSIVE


def test_counts_have_neither_p_nor_interval_and_no_part_in_the_family():
    counted = [statistics.counted(value, 0.1) for value in (0.5, 0.05, -0.3)]
    found = settle([(test, BETTER, 0.05) for test in (*counted, statistics.compared(sample_with(0.04), 0.02))])
    assert [one.verdict for one in found] == [SUPPORTED, EQUAL, REVERSED, SUPPORTED]
    assert all(one.p is one.low is one.level is None for one in found[:3]) and found[3].p == pytest.approx(0.04)


def test_two_seeds_are_too_few_for_a_bootstrap():
    assert settled(statistics.bootstrapped([0.5, 0.6])).verdict == INCONCLUSIVE


def test_growth_in_a_word():
    x = [9, 27, 81, 243]
    assert statistics.growth("n", x, [5 * v**1.5 for v in x]) == "n^1.50"
    assert statistics.growth("n", x, [7.0] * 4, may_be_log=True) == "constant"
    assert statistics.growth("n", x, [2, 3, 4, 5], may_be_log=True) == "log_3 n"  # powers of 3
    assert statistics.growth("n", x, [2, 3, 4, 5]).startswith("n^0.2")
    assert statistics.growth("n", x, x, may_be_log=True) == "n^1.00"
    assert statistics.growth("n", x, [3, 3, 2, 2], may_be_log=True).startswith("n^-0.")  # no base of a logarithm gives that
    assert statistics.growth("n", x, [1.0, 1.0, 1.001, 1.002]) == "constant"
    assert statistics.growth("n", [9], [1]) == statistics.growth("n", [], []) == ""


def test_crossings_on_log_axes():
    x = [1, 4, 16, 64]
    assert statistics.crossings(x, x, [8] * 4) == pytest.approx([8])
    assert statistics.crossings(x, [8] * 4, x) == pytest.approx([8])  # the other way round: from 8 on
    assert statistics.crossings(x, x, [16] * 4) == pytest.approx([16])  # equal is not below
    assert statistics.crossings(x, x, x) == [] == statistics.crossings(x, x, [100] * 4)
    assert len(statistics.crossings(x, [1, 3, 1, 3], [2] * 4)) == 3
    assert statistics.crossings([1, 4], [1e-300, 1e-300], [1e50, 1e-310]) == pytest.approx([3.9], abs=0.1)
