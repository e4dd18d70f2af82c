"""Reversal and permuted copy, by hand and against plain loops."""

import pytest
import torch

from study.tasks.base import IGNORE
from study.tasks.permutation import Permutation
from study.tasks.reversal import Reversal
from study.tokens import END, PAD
from tests.tasks.conftest import generator

TASKS = [Reversal, Permutation]


@pytest.mark.parametrize(
    ("kind", "order"),
    [
        (Reversal, {1: [0], 2: [1, 0], 5: [4, 3, 2, 1, 0]}),
        (Permutation, {1: [0], 2: [0, 1], 5: [0, 2, 4, 1, 3], 6: [0, 2, 4, 1, 3, 5]}),
    ],
)
def test_order_by_hand(kind, order):
    for length, places in order.items():
        task = kind(min_length=length, max_length=length)
        batch = task.batch(3, generator())
        assert batch.sources_BT.tolist() == [[*places, length]] * 3
        assert task.rearrange(list(range(length))) == places
        for source, target in zip(batch.source_BM.tolist(), batch.target_BT.tolist(), strict=True):
            assert target == [source[place] for place in places] + [END] == task.solve(source)


@pytest.mark.parametrize("kind", TASKS)
def test_gold_ends_with_the_target(kind):
    batch = kind(min_length=2, max_length=9).batch(100, generator())
    lengths = (batch.target_BT != PAD).sum(1) - 1
    assert torch.equal(lengths, batch.slices["length"][:, 0])
    assert torch.equal((batch.sources_BT != IGNORE).sum(1) - 1, lengths)


def test_a_permutation_is_neither_forwards_nor_backwards():
    for length in range(4, 41):
        places = Permutation().rearrange(list(range(length)))
        assert sorted(places) == list(range(length))
        assert places not in (sorted(places), sorted(places, reverse=True))


@pytest.mark.parametrize("kind", TASKS)
def test_heuristic_is_what_the_source_itself_scores(kind):
    task = kind(min_length=3, max_length=12, symbols=5)
    batch = task.batch(20_000, generator())
    scored = batch.target_BT != PAD
    share = float((batch.source_BM == batch.target_BT)[scored].double().mean())
    assert share == pytest.approx(task.heuristic[1], abs=0.01)


def test_judged_by_hand():
    task = Reversal(min_length=2, max_length=3, symbols=9)
    drawn = (task.batch(2, generator(seed)) for seed in range(100))
    batches = [next(batch for batch in drawn if batch.slices["length"][:, 0].tolist() == [2, 3])]
    (a, b, *_), (c, d, e, *_) = batches[0].target_BT.tolist()
    scores, slices = task.judge([[a, b], [c, 99, e, d]], batches)
    assert scores == {"items": 2, "exact": 0.5, "token_accuracy": 4 / 5, "tokens": 5}
    assert slices == {
        "length": {
            "2": {"items": 1, "exact": 1, "token_accuracy": 1, "tokens": 2},
            "3": {"items": 1, "exact": 0, "token_accuracy": 2 / 3, "tokens": 3},
        }
    }
    assert task.judge([[a], [c, d, e]], batches)[0]["token_accuracy"] == 4 / 5


def test_read():
    task = Reversal(max_length=5)
    assert task.read("0 15  3") == [4, 19, 7, END]
    assert task.write([4, 19, 7]) == "0 15 3"
    for text, message in {"1 16": "'16' is no symbol here; use numbers from 0 to 15", "1 " * 6: "6 symbols"}.items():
        with pytest.raises(ValueError, match=f"^{message}"):
            task.read(text)
