"""Bars of forest plots: where effects lie on an axis of margins, and where they are cut."""

import pytest

from analysis.bars import bar, place
from analysis.rows import Row


def made(effect, low, high):
    values = {"effect": effect, "low": low, "high": high, "margin": 0.02}
    return bar(Row("C1", "x", "", "supported", **values, metric="test.accuracy", rule="better"))


def test_the_axis_is_even_up_to_a_margin_and_then_goes_by_tens():
    assert [place(x) for x in (0, 0.5, 1, 10, -10, 100, 1e9)] == pytest.approx([0, 1 / 6, 1 / 3, 2 / 3, -2 / 3, 1, 1])


def test_a_bar_lies_where_its_margins_do_and_goes_on_where_it_is_cut():
    inside = made(0.04, 0.0, 0.2)  # twice its margin, up to ten
    assert (inside.low, inside.effect, inside.high) == pytest.approx((0, place(2), 2 / 3))
    assert not inside.cut_low and not inside.cut_high
    beyond = made(10, -10, 20)
    assert beyond.cut_low and beyond.cut_high and (beyond.low, beyond.high) == (-1, 1)
    assert 2 / 3 < beyond.effect < 1, "before the arrow"
    far = made(10, 9, 20)  # all of it beyond one end
    assert far.low == far.high == 1 and far.cut_high and not far.cut_low
    assert made(0.04, None, None) is None
