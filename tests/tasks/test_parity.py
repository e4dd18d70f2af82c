import torch
from scipy.stats import chisquare

from study.tasks.parity import Parity
from tests.tasks.conftest import generator


def test_solver_by_hand():
    assert Parity().solve([0, 1, 1, 1, 0, 0, 1]) == [0, 1, 0, 1, 1, 1, 0]


def test_bits_are_fair_and_all_positions_are_scored():
    batch = Parity(length=16).batch(1000, generator())
    assert batch.where_BT is None and batch.targets_BT.shape == (1000, 16)
    assert chisquare(torch.bincount(batch.tokens_BN.flatten()).numpy()).pvalue > 1e-3


def test_slices(rows, power_bin):
    for _, targets, slices in rows(Parity(length=21).batch(3, generator())):
        assert slices == {"position": {i: power_bin(i + 1) for i in targets}}
