import torch
from scipy.stats import chisquare

from study.tasks.base import IGNORE
from study.tasks.offset import Offset
from tests.tasks.conftest import generator


def test_solver_by_hand():
    assert Offset(length=5, distance=2).solve([3, 0, 1, 4, 4]) == [IGNORE, IGNORE, 3, 0, 1]


def test_symbols_are_uniform_and_every_position_from_the_distance_on_is_scored(rows):
    batch = Offset(length=16, distance=5, symbols=6).batch(1000, generator())
    assert chisquare(torch.bincount(batch.tokens_BN.flatten()).numpy()).pvalue > 1e-3
    assert all(list(targets) == list(range(5, 16)) for _, targets, _ in rows(batch))


def test_slices(rows):
    for _, targets, slices in rows(Offset(length=21, distance=3).batch(3, generator())):
        assert slices == {"position": {i: i for i in targets}}
