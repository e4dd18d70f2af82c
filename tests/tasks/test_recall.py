import torch
from scipy.stats import chisquare

from study.tasks.base import IGNORE
from study.tasks.recall import Recall
from tests.tasks.conftest import generator


def test_solver_by_hand():
    # 3 symbols: plain 0-2, marked 3-5, the query 6
    assert Recall(length=5, symbols=3).solve([2, 4, 0, 2, 6]) == [IGNORE] * 4 + [1]


def test_one_mark_at_the_distance_of_its_slice(rows):
    task = Recall(length=12, symbols=3)
    for tokens, targets, slices in rows(task.batch(300, generator())):
        assert len(tokens) == 12
        marked = [i for i, token in enumerate(tokens) if 3 <= token < 6]
        assert len(marked) == 1 and tokens[-1] == 6 and tokens.count(6) == 1
        assert list(targets) == [11]
        assert slices == {"distance": {11: 11 - marked[0]}}


def test_distances_symbols_and_noise_are_uniform():
    task = Recall(length=9, symbols=4)
    batch = task.batch(20_000, generator())
    distances = torch.bincount(batch.slices["distance"].flatten())
    assert distances[0] == 0 and len(distances) == 9
    plain = batch.tokens_BN[batch.tokens_BN < 4]
    for counts in (distances[1:], torch.bincount(batch.targets_BT.flatten()), torch.bincount(plain)):
        assert chisquare(counts.numpy()).pvalue > 1e-3


def test_distances_of_a_list_alone_and_all_alike():
    batch = Recall(length=9, distances=[1, 4, 8]).batch(9_000, generator())
    counts = torch.bincount(batch.slices["distance"].flatten())
    assert counts.nonzero().flatten().tolist() == [1, 4, 8] and chisquare(counts[[1, 4, 8]].numpy()).pvalue > 1e-3


def test_the_shortest_sequence_is_a_mark_and_the_query():
    batch = Recall(length=2, symbols=2).batch(50, generator())
    assert torch.equal(batch.tokens_BN[:, 0] - 2, batch.targets_BT[:, 0])
