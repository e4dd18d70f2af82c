import torch
from scipy.stats import chisquare

from study.tasks.base import IGNORE
from study.tasks.brackets import Brackets
from tests.tasks.conftest import generator


def test_solver_by_hand():
    i = IGNORE
    assert Brackets(types=3).solve([1, 2, 3, 0, 3, 3, 2]) == [i, i, 2, i, 0, 1, i]


def test_nesting_partners_and_slices(rows, power_bin):
    task = Brackets(length=20, types=3, depth=3)
    batch = task.batch(300, generator())
    deepest = 0
    for (tokens, targets, slices), sources in zip(rows(batch), batch.sources_BT.tolist(), strict=True):
        stack = []
        for i, token in enumerate(tokens):
            if token < 3:
                stack.append(i)
                assert i not in targets
            else:
                depth, partner = len(stack), stack.pop()
                assert (targets[i], sources[i]) == (tokens[partner], partner)
                assert slices["depth"][i] == depth and slices["distance"][i] == power_bin(i - partner)
            deepest = max(deepest, len(stack))
    assert deepest == 3


def test_types_are_uniform_and_the_coin_is_fair_where_both_may_come():
    task = Brackets(length=12, types=4, depth=2)
    tokens_BN = task.batch(20_000, generator()).tokens_BN
    opens_BN = tokens_BN < 4
    free_B = opens_BN[:, :1].sum(1) == 1  # after the first bracket one is open: both may come
    assert free_B.all()
    assert chisquare(torch.bincount(opens_BN[:, 1].int()).numpy()).pvalue > 1e-3
    assert chisquare(torch.bincount(tokens_BN[opens_BN]).numpy()).pvalue > 1e-3
