"""Tables of measured costs, against costs made up with known exponents."""

import pytest

from analysis import cost_tables


@pytest.mark.slow
def test_measured_costs_have_their_exponents(studies):
    study = studies["window"]
    cells = {row["arm"]: row for row in cost_tables.measured_cells(study, "cost")}
    # 1e-6 n^2 s times 1 to 1.004, mean 1.002, deviation 0.001581: half of 4203 ms's interval is 2.776 x 6.63 / sqrt 5 = 8.23
    assert cells["full attention in 1 layer"]["time at n = 2048"] == "4,203 ms [4,194, 4,211], n^2.00"
    assert cells["8 tokens back in 1 layer"]["counted multiply-adds at n = 2048"] == "0.131 million, n^1.00"


def test_costs_along_length_and_width_stand_in_one_table(studies):
    titles = cost_tables.tables(studies["complexity"])
    growth, where = titles.values()
    cells = {row["arm"]: row for row in growth}
    assert cells["full attention"]["time"] == "n^2.00; d^2.00"
    assert cells["attention restricted to 8 tokens back"]["time"] == "n^1.00; d^1.00"
    assert cells["LSTM"]["hops"] == "n^0; d^0"
    where = {row["arm"]: row for row in where}
    assert "full attention" not in where
    assert where["attention restricted to 8 tokens back"]["time, along n"] == "nowhere from 32 to 2048"
    assert set(cost_tables.tables(studies["window"])) == set()


def test_where_one_curve_lies_below_another_in_words():
    x = (1, 2, 4, 8)
    assert cost_tables.where_less("n", x, (1, 2, 4, 8), (3, 3, 3, 3)) == "up to n = 3"
    assert cost_tables.where_less("d", x, (8, 4, 2, 1), (3, 3, 3, 3)) == "from d = 3"
    assert cost_tables.where_less("n", x, (1, 4, 1, 1), (2, 2, 2, 2)) == "up to n = 1, from n = 3"
    assert cost_tables.where_less("n", x, (1, 1, 1, 1), (2, 2, 2, 2)) == "everywhere from 1 to 8"
    assert cost_tables.where_less("n", x, (2, 2, 2, 2), (2, 2, 2, 2)) == "nowhere from 1 to 8"
