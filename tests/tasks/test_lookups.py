import torch
from scipy.stats import chisquare

from study.tasks.base import IGNORE
from study.tasks.lookups import Lookups
from tests.tasks.conftest import generator


def test_solver_by_hand():
    # keys 0-2, values 0-1: pairs are 2 key + value, queries 6-8
    task = Lookups(keys=3, values=2, lookups=2)
    assert task.solve([3, 0, 5, 8, 6, 7]) == [IGNORE] * 3 + [1 + 2 * 0, 0 + 2 * 1, 1 + 2 * 1]


def test_every_key_has_one_pair_and_one_query(rows):
    task = Lookups(keys=5, values=3, lookups=3)
    assert (task.length, task.vocabulary, task.classes) == (10, 20, 27)
    for tokens, targets, _ in rows(task.batch(200, generator())):
        assert sorted(token // 3 for token in tokens[:5]) == [0, 1, 2, 3, 4]
        assert sorted(tokens[5:]) == [15, 16, 17, 18, 19]
        assert list(targets) == [5, 6, 7, 8, 9]


def test_answers_and_places_are_uniform():
    task = Lookups(keys=4, values=2, lookups=3)
    batch = task.batch(5000, generator())
    answers = torch.bincount(batch.targets_BT[:, 0], minlength=8)  # one a sequence: those of a sequence hang together
    first, query = torch.bincount(batch.tokens_BN[:, 0] // 2), torch.bincount(batch.tokens_BN[:, 4] - 8)
    for counts in (answers, first, query):
        assert chisquare(counts.numpy()).pvalue > 1e-3
