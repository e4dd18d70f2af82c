"""Statistics against scipy's and statsmodels' own results and against cases worked out by hand."""

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep
from statsmodels.stats.weightstats import DescrStatsW, ttost_paired

from analysis import statistics
from analysis.statistics import CONTRADICTED, INCONCLUSIVE, SUPPORTED, Test

DRAW = np.random.default_rng(0)
SAMPLES = [DRAW.normal(mean, 0.02, n).tolist() for mean in (-0.05, 0.0, 0.019, 0.06) for n in (2, 3, 5, 10)]


@pytest.mark.parametrize("sample", SAMPLES)
@pytest.mark.parametrize("level", [0.90, 0.95])
def test_mean_interval_is_statsmodels(sample, level):
    mean, low, high = statistics.mean_interval(sample, level)
    assert mean == pytest.approx(np.mean(sample))
    assert (low, high) == pytest.approx(DescrStatsW(sample).tconfint_mean(alpha=1 - level))


def test_mean_interval_by_hand():
    # mean 2, sd 1, t(2 degrees, 95 %) = 4.302653, so 2 +- 4.302653 / sqrt(3)
    assert statistics.mean_interval([1.0, 2.0, 3.0]) == pytest.approx((2.0, 2 - 2.484138, 2 + 2.484138), abs=1e-6)


def test_ratio_interval_by_hand():
    # logarithms 0 and 2: mean 1, sd sqrt(2), t(1 degree, 95 %) = 12.7062047, so 1 +- 12.7062047
    expected = (math.e, math.exp(1 - 12.7062047), math.exp(1 + 12.7062047))
    assert statistics.ratio_interval([1.0, math.e**2, 0.0]) == pytest.approx(expected)
    assert statistics.ratio_interval([0.0]) == (None, None, None)


def test_share_interval_by_hand():
    """Wilson 1927: 4 of 10 with z = 1.96 lies from 0.1682 to 0.6873; none of 10 still goes up to z^2 / (10 + z^2)."""
    hits = [1.0] * 4 + [0.0] * 6
    assert statistics.share_interval(hits) == pytest.approx((0.4, 0.1682, 0.6873), abs=1e-4)
    assert statistics.share_interval([0.0] * 10) == pytest.approx((0.0, 0.0, 1.96**2 / (10 + 1.96**2)), abs=1e-4)
    assert statistics.share_interval([]) == (None, None, None)


@pytest.mark.parametrize("sample", SAMPLES)
@pytest.mark.parametrize("margin", [0.0, 0.02, 1.0])
def test_better_is_the_t_test_at_the_margin(sample, margin):
    test = statistics.better(sample, margin)
    assert test.p == pytest.approx(stats.ttest_1samp(sample, margin).pvalue)
    assert test.leaning == (SUPPORTED if np.mean(sample) > margin else CONTRADICTED)
    [(verdict, _, _)] = statistics.settle([test])
    expected = SUPPORTED if test.low > margin else CONTRADICTED if test.high < margin else INCONCLUSIVE
    assert verdict == expected  # p and interval say the same


@pytest.mark.parametrize("sample", SAMPLES)
@pytest.mark.parametrize("margin", [0.01, 0.02, 0.1])
def test_equivalent_is_statsmodels_tost(sample, margin):
    test = statistics.equivalent(sample, margin)
    p_inside, _, _ = ttost_paired(np.array(sample), np.zeros(len(sample)), -margin, margin)
    if test.leaning == SUPPORTED:
        assert test.p == pytest.approx(p_inside)
    else:
        above = stats.ttest_1samp(sample, margin, alternative="greater").pvalue
        below = stats.ttest_1samp(sample, -margin, alternative="less").pvalue
        assert test.p == pytest.approx(min(above, below)) and test.p <= p_inside
    [(verdict, _, _)] = statistics.settle([test])
    outside = test.low > margin or test.high < -margin
    inside = -margin < test.low and test.high < margin
    assert verdict == (SUPPORTED if inside else CONTRADICTED if outside else INCONCLUSIVE)
    assert (test.low, test.high) == pytest.approx(DescrStatsW(sample).tconfint_mean(alpha=0.10))


def test_a_difference_that_is_not_significant_is_no_equivalence():
    sample = [0.05, -0.05, 0.02, -0.02, 0.01]
    assert stats.ttest_1samp(sample, 0).pvalue > 0.5
    assert statistics.settle([statistics.equivalent(sample, 0.02)])[0][0] == INCONCLUSIVE


@pytest.mark.parametrize(
    ("counts", "p"),
    [((5, 5, 0, 5), 2 / 252), ((5, 5, 1, 5), 12 / 252), ((3, 3, 0, 3), 2 / 20), ((4, 5, 4, 5), 1.0)],
)
def test_more_solved_by_hand(counts, p):
    """Ways to place the solved seeds among all: C(10,5) = 252 and C(6,3) = 20 for the lopsided tables."""
    test = statistics.more_solved(*counts)
    assert test.p == pytest.approx(p)
    assert (test.low, test.high) == pytest.approx(confint_proportions_2indep(*counts, method="newcomb"))


def test_more_solved_verdicts():
    assert statistics.settle([statistics.more_solved(5, 5, 0, 5)])[0][0] == SUPPORTED
    assert statistics.settle([statistics.more_solved(0, 5, 5, 5)])[0][0] == CONTRADICTED
    assert statistics.settle([statistics.more_solved(5, 5, 5, 5)])[0][0] == INCONCLUSIVE
    assert statistics.settle([statistics.more_solved(0, 0, 5, 5)])[0][0] == INCONCLUSIVE


@pytest.mark.slow
@pytest.mark.parametrize("n", [3, 5, 10])
def test_a_trend_of_few_seeds_is_found_by_chance_no_more_often_than_it_may(n):
    samples = np.random.default_rng(3).normal(0.1, 0.3, (400, n))
    found = np.mean([statistics.bootstrapped(sample.tolist(), 0.1).p <= 0.05 for sample in samples])
    assert found <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 400)


def test_an_interval_leaves_the_margin_out_just_when_p_is_small():
    for sample in np.random.default_rng(4).normal(0.2, 0.2, (40, 5)):
        test = statistics.bootstrapped(sample.tolist(), 0.1)
        assert (test.p <= 0.05) is not (test.low <= 0.1 <= test.high) or abs(test.p - 0.05) < 0.005


def test_bootstrap_of_many_is_scipys():
    sample = DRAW.normal(0.3, 0.1, 800)
    test = statistics.bootstrapped(sample.tolist())
    theirs = stats.bootstrap((sample,), np.mean, n_resamples=20000, method="percentile").confidence_interval
    assert (test.low, test.high) == pytest.approx((theirs.low, theirs.high), abs=0.0005)
    assert test == statistics.bootstrapped(sample.tolist())  # the same draws every time
    assert test.leaning == SUPPORTED and test.p < 0.01
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
    assert statistics.holm([0.04, None, 0.01, 0.02]) == pytest.approx([0.04, None, 0.03, 0.04], nan_ok=False)
    assert statistics.holm([None]) == [None] and statistics.holm([]) == []


def test_holm_is_statsmodels():
    for p in (np.random.default_rng(0).beta(0.3, 3, 24), np.array([0.03, 0.9, 0.03, 0.001, 0.03]), np.array([0.2])):
        assert statistics.holm(p.tolist()) == pytest.approx(multipletests(p, method="holm")[1], rel=1e-12)


def test_holm_can_leave_open_what_stood_alone():
    clear = Test(0.1, 0.05, 0.15, 0.001, 5, leaning=SUPPORTED)
    narrow = Test(0.1, 0.021, 0.2, 0.04, 5, leaning=SUPPORTED)
    other = Test(0.1, 0.02, 0.2, 0.045, 5, leaning=CONTRADICTED)
    assert statistics.settle([narrow])[0][0] == SUPPORTED
    settled = statistics.settle([clear, narrow, other])
    assert [verdict for verdict, _, _ in settled] == [SUPPORTED, INCONCLUSIVE, INCONCLUSIVE]
    assert settled[1][2] == "open after correction for several contrasts and looks"


def test_a_second_analysis_doubles_p():
    narrow, clear = Test(0.1, 0.021, 0.2, 0.04, 5, leaning=SUPPORTED), Test(0.1, 0.05, 0.2, 0.02, 5, leaning=SUPPORTED)
    assert statistics.settle([narrow], [1])[0][:2] == (SUPPORTED, 0.04)
    assert statistics.settle([narrow], [2])[0][:2] == (INCONCLUSIVE, 0.08)
    assert statistics.settle([clear], [2])[0][:2] == (SUPPORTED, 0.04)
    assert statistics.settle([Test(p=0.9, leaning=SUPPORTED)], [2])[0][1] == 1.0


@pytest.mark.parametrize("decide", [statistics.better, statistics.equivalent])
def test_one_pair_or_none_decides_nothing(decide):
    for sample in ([], [0.5]):
        test = decide(sample, 0.02)
        assert test.p is None and test.low is None and test.n == len(sample)
        assert statistics.settle([test])[0][0] == INCONCLUSIVE


@pytest.mark.parametrize(
    ("decide", "value", "verdict"),
    [
        (statistics.better, 0.5, SUPPORTED),
        (statistics.better, 0.0, CONTRADICTED),
        (statistics.better, 0.02, INCONCLUSIVE),
        (statistics.equivalent, 0.0, SUPPORTED),
        (statistics.equivalent, -0.5, CONTRADICTED),
        (statistics.equivalent, -0.02, INCONCLUSIVE),
        (statistics.bootstrapped, 0.5, SUPPORTED),
    ],
)
def test_seeds_without_spread_decide_by_where_they_stand(decide, value, verdict):
    test = decide([value] * 5, 0.02)
    assert test.low == test.high == pytest.approx(value)
    assert statistics.settle([test])[0][0] == verdict


def test_two_seeds_are_too_few_for_a_bootstrap():
    assert statistics.settle([statistics.bootstrapped([0.5, 0.6])])[0][0] == INCONCLUSIVE


def test_growth_in_a_word():
    x = [9, 27, 81, 243]
    assert statistics.growth("n", x, [5 * v**1.5 for v in x]) == "n^1.50"
    assert statistics.growth("n", x, [7.0] * 4, may_be_log=True) == "constant"
    assert statistics.growth("n", x, [2, 3, 4, 5], may_be_log=True) == "log_3 n"  # powers of 3
    assert statistics.growth("n", x, [2, 3, 4, 5]).startswith("n^0.2")
    assert statistics.growth("n", x, x, may_be_log=True) == "n^1.00"
    assert statistics.growth("n", x, [2, 3, 3, 2], may_be_log=True).startswith("n^")  # no base of a logarithm gives that
    assert statistics.growth("n", [9], [1]) == statistics.growth("n", [], []) == ""


def test_crossings_on_log_axes():
    x = [1, 4, 16, 64]
    assert statistics.crossings(x, x, [8] * 4) == pytest.approx([8])
    assert statistics.crossings(x, [8] * 4, x) == pytest.approx([8])  # the other way round: from 8 on
    assert statistics.crossings(x, x, [16] * 4) == pytest.approx([16])  # equal is not below
    assert statistics.crossings(x, x, x) == [] == statistics.crossings(x, x, [100] * 4)
    assert len(statistics.crossings(x, [1, 3, 1, 3], [2] * 4)) == 3
    assert statistics.crossings([1, 4], [1e-300, 1e-300], [1e50, 1e-310]) == pytest.approx([3.9], abs=0.1)
