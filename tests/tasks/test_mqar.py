import pytest
import torch
from scipy.stats import chisquare

from study.tasks.base import IGNORE
from study.tasks.mqar import MQAR
from tests.tasks.conftest import generator

VARIANTS = {
    "one": MQAR(length=3, pairs=[1], keys=1, values=2),
    "default": MQAR(),
    "mixed": MQAR(length=40, pairs=[2, 5, 8], keys=10, values=9),
    "tight": MQAR(length=24, pairs=[8], keys=8, values=8),
}


@pytest.fixture(params=VARIANTS.values(), ids=list(VARIANTS))
def task(request):
    return request.param


def test_solver_by_hand():
    # keys 0-3, values 4-6 (classes 0-2), filler 7
    task = MQAR(length=9, pairs=[1, 2], keys=4, values=3)
    i = IGNORE
    assert task.solve([3, 6, 0, 4, 7, 0, 7, 7, 3]) == [i, i, i, i, i, 0, i, i, 2]
    assert task.solve([1, 5, 7, 7, 7, 7, 1, 7, 7]) == [i, i, i, i, i, i, 1, i, i]


def test_layout(task, rows):
    filler, slots = task.keys + task.values, 2 * max(task.pairs)
    for tokens, targets, _ in rows(task.batch(200, generator())):
        keys = [token for token in tokens[:slots:2] if token != filler]
        values = [token for token in tokens[1:slots:2] if token != filler]
        m = len(keys)
        assert m in task.pairs and len(values) == m
        assert tokens[2 * m : slots] == [filler] * (slots - 2 * m), "unused slots come last"
        assert len(set(keys)) == len(set(values)) == m
        assert all(0 <= key < task.keys for key in keys)
        assert all(task.keys <= value < filler for value in values)
        rest = tokens[slots:]
        assert sorted(token for token in rest if token != filler) == sorted(keys), "each key is asked for once"
        assert sorted(targets) == [slots + i for i, token in enumerate(rest) if token != filler]


def test_slices(task, rows, power_bin):
    for tokens, targets, slices in rows(task.batch(200, generator(1))):
        for position in targets:
            value_at = tokens.index(tokens[position]) + 1
            assert slices["distance"][position] == power_bin(position - value_at)
            assert slices["pairs"][position] == len(targets)


def test_every_number_of_pairs_and_every_place_is_as_likely():
    task = MQAR(length=18, pairs=[1, 2, 4], keys=5, values=4)
    batch = task.batch(6000, generator())
    pairs = torch.bincount(batch.slices["pairs"][:, 0])
    assert chisquare(pairs[[1, 2, 4]].numpy()).pvalue > 1e-3
    first = batch.where_BT[:, 0]  # one question of each sequence: independent draws
    assert first.min() == 8
    for counts in (torch.bincount(first)[8:], torch.bincount(batch.tokens_BN[:, 0]), torch.bincount(batch.targets_BT[:, 0])):
        assert chisquare(counts.numpy()).pvalue > 1e-3


def test_out():
    assert set(MQAR().evaluations()) == {"test"}
    assert MQAR(out_length=None).evaluations()["out"].length == 128
    out = MQAR(out_length=96, out_pairs=[8, 16]).evaluations()["out"]
    assert (out.length, out.pairs) == (96, [8, 16])
    assert set(out.evaluations()) == {"test"}
    assert MQAR(pairs=[2, 3], out_length=96).evaluations()["out"].pairs == [2, 3]
