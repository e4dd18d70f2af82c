import torch
from scipy.stats import chisquare

from study.tasks.base import IGNORE
from study.tasks.lookup import Lookup
from tests.tasks.conftest import generator


def test_solver_by_hand():
    # 4 keys, 3 values: pairs 0-11 (key 2, value 1 is 7), questions 12-15
    assert Lookup(length=4, keys=4, values=3).solve([3, 7, 11, 14]) == [IGNORE] * 3 + [1]


def test_every_pair_has_a_key_of_its_own_and_one_of_them_is_asked_for(rows):
    task = Lookup(length=6, keys=8, values=3)
    for tokens, targets, slices in rows(task.batch(300, generator())):
        keys = [token // 3 for token in tokens[:-1]]
        assert all(token < 24 for token in tokens[:-1]) and len(set(keys)) == 5
        place = keys.index(tokens[-1] - 24)
        assert targets == {5: tokens[place] % 3}
        assert slices == {"distance": {5: 5 - place}}


def test_keys_values_and_places_are_uniform():
    batch = Lookup(length=5, keys=6, values=3).batch(20_000, generator())
    pairs = batch.tokens_BN[:, :-1].flatten()
    for drawn in (pairs // 3, pairs % 3, batch.slices["distance"].flatten() - 1, batch.tokens_BN[:, -1] - 18):
        assert chisquare(torch.bincount(drawn).numpy()).pvalue > 1e-3
