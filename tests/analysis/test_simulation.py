"""The rules as a whole, on made-up studies whose truth is known."""

import pytest

from analysis import simulation
from analysis.rows import Row
from analysis.statistics import EQUAL, REVERSED, SUPPORTED

SPREADS = (0.3, 1.3, 3.0)  # in margins: lower quartile, median and upper quartile of the study's own


@pytest.mark.slow
@pytest.mark.parametrize("spread", SPREADS)
def test_at_most_5_percent_of_claims_are_decided_falsely(spread):
    assert simulation.share(0.0, spread, (SUPPORTED, REVERSED), 3000)[0] <= 0.05
    assert simulation.share(1.0, spread, (SUPPORTED, EQUAL, REVERSED), 3000)[0] <= 0.05, "on the margin, where each is false"


@pytest.mark.slow
def test_at_least_80_percent_of_effects_of_three_margins_are_found():
    assert simulation.share(3.0, 1.3, (SUPPORTED,), 2000)[1] >= 0.8
    assert simulation.share(-3.0, 1.3, (REVERSED,), 2000)[1] >= 0.8


def test_the_spread_is_that_of_the_differences():
    # differences 1, 2, 3 margins: standard deviation 1, half width 4.302653 / sqrt(3)
    half = 0.02 * 4.302653 / 3**0.5
    row = Row("C1", "x", "", "", effect=0.04, low=0.04 - half, high=0.04 + half, level=0.95, n=3, margin=0.02, decided_by="t")
    assert simulation.spread([row]) == pytest.approx(1.0, rel=1e-6)
