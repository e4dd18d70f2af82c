import torch
from scipy.stats import chisquare

from study.tasks.base import IGNORE
from study.tasks.largest import Largest
from tests.tasks.conftest import generator


def test_solver_by_hand():
    # 5 saliences of 3 classes: (4, 1) is 13, the last token is 15
    assert Largest(length=4, saliences=5, symbols=3).solve([2, 13, 9, 15]) == [IGNORE] * 3 + [1]


def test_the_most_salient_decides_and_nothing_is_asked(rows, power_bin):
    task = Largest(length=6, saliences=9, symbols=3)
    for tokens, targets, slices in rows(task.batch(300, generator())):
        saliences = [token // 3 for token in tokens[:-1]]
        assert tokens[-1] == 27 and len(set(saliences)) == 5
        first, second = sorted(saliences, reverse=True)[:2]
        place = saliences.index(first)
        assert targets == {5: tokens[place] % 3}
        assert slices == {"distance": {5: 5 - place}, "lead": {5: power_bin(first - second)}}


def test_saliences_classes_and_places_are_uniform():
    batch = Largest(length=5, saliences=6, symbols=3).batch(20_000, generator())
    markers = batch.tokens_BN[:, :-1].flatten()
    for drawn in (markers // 3, markers % 3, batch.slices["distance"].flatten() - 1, batch.targets_BT.flatten()):
        assert chisquare(torch.bincount(drawn).numpy()).pvalue > 1e-3


def test_the_saliences_of_a_sequence_lie_within_a_window_that_stands_anywhere():
    batch = Largest(length=5, saliences=9, window=4, symbols=2).batch(5000, generator())
    saliences_BM = (batch.tokens_BN[:, :-1] // 2).sort(1).values
    lowest_B = saliences_BM[:, 0]  # as four markers fill a window of four levels
    assert (saliences_BM == lowest_B[:, None] + torch.arange(4)).all()
    assert chisquare(torch.bincount(lowest_B, minlength=6).numpy()).pvalue > 1e-3 and lowest_B.max() == 5
