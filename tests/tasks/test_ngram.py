from collections import Counter

import torch
from scipy.stats import chisquare

from study.tasks.base import IGNORE
from study.tasks.ngram import NGram
from tests.tasks.conftest import generator

TABLE = [6, 1, 3, 4, 3, 4, 2, 5, 5, 3, 3, 4, 4, 6, 2, 6]  # records compare only while this holds


def test_solver_by_hand():
    task = NGram(symbols=3, order=2, classes=5)
    task.table = [0, 1, 2, 3, 4, 0, 1, 2, 3]  # (0, 0), (0, 1), (0, 2), (1, 0), ...
    assert task.solve([1, 0, 2, 2]) == [IGNORE, 3, 2, 3]


def test_the_answer_depends_on_the_last_tokens_and_on_nothing_else(rows):
    task = NGram(length=40, symbols=3, order=3, classes=4)
    answers = {}
    for seed in (0, 1):
        for tokens, targets, _ in rows(task.batch(50, generator(seed))):
            assert sorted(targets) == list(range(2, 40))
            for i, target in targets.items():
                assert answers.setdefault(tuple(tokens[i - 2 : i + 1]), target) == target
    assert len(answers) == 27
    for place in range(3):  # and it does depend on each of the three
        others = Counter(tuple(v for p, v in enumerate(key) if p != place) for key in answers)
        assert set(others.values()) == {3}
        assert len({(*key[:place], *key[place + 1 :], answer) for key, answer in answers.items()}) > 9


def test_the_table_never_changes():
    assert NGram().table[:16] == TABLE
    assert NGram().table == NGram(length=128).table
    assert chisquare(torch.bincount(torch.tensor(NGram(order=4).table)).numpy()).pvalue > 1e-3


def test_slices(rows, power_bin):
    for _, targets, slices in rows(NGram(length=21).batch(3, generator())):
        assert slices == {"position": {i: power_bin(i + 1) for i in targets}}
