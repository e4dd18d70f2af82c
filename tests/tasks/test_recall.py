import pytest
import torch
from scipy.stats import chisquare

from study.tasks.base import IGNORE
from study.tasks.recall import Recall


def test_solver_by_hand():
    # 3 symbols: plain 0-2, marked 3-5, the query 6
    assert Recall(length=5, symbols=3).solve([2, 4, 0, 2, 6]) == [IGNORE] * 4 + [1]


def test_one_mark_at_the_distance_of_its_slice(rows):
    task = Recall(length=12, symbols=3)
    for tokens, targets, slices in rows(task.batch(300, torch.Generator().manual_seed(0))):
        assert len(tokens) == 12
        marked = [i for i, token in enumerate(tokens) if 3 <= token < 6]
        assert len(marked) == 1 and tokens[-1] == 6 and tokens.count(6) == 1
        assert list(targets) == [11]
        assert slices == {"distance": {11: 11 - marked[0]}}


def test_distances_symbols_and_noise_are_uniform():
    task = Recall(length=9, symbols=4)
    batch = task.batch(20_000, torch.Generator().manual_seed(0))
    distances = torch.bincount(batch.slices["distance"].flatten())
    assert distances[0] == 0 and len(distances) == 9
    plain = batch.tokens_BN[batch.tokens_BN < 4]
    for counts in (distances[1:], torch.bincount(batch.targets_BT.flatten()), torch.bincount(plain)):
        assert chisquare(counts.numpy()).pvalue > 1e-3


def test_distances_of_a_list_alone_and_all_alike():
    batch = Recall(length=9, distances=[1, 4, 8]).batch(9_000, torch.Generator().manual_seed(0))
    counts = torch.bincount(batch.slices["distance"].flatten())
    assert counts.nonzero().flatten().tolist() == [1, 4, 8] and chisquare(counts[[1, 4, 8]].numpy()).pvalue > 1e-3


def test_the_shortest_sequence_is_a_mark_and_the_query():
    batch = Recall(length=2, symbols=2).batch(50, torch.Generator().manual_seed(0))
    assert torch.equal(batch.tokens_BN[:, 0] - 2, batch.targets_BT[:, 0])


@pytest.mark.parametrize(
    "task", [Recall(), Recall(length=4, symbols=2), Recall(length=9, distances=[1, 4, 8])], ids=["64", "4", "list"]
)
def test_heuristic(task, accuracy):
    share, tolerance = accuracy(task, lambda tokens, position, rng: tokens[position - 1] % task.symbols)
    assert share == pytest.approx(task.heuristic[1], abs=tolerance)


@pytest.mark.parametrize("arguments", [{"length": 1}, {"symbols": 1}])
def test_bad_values(arguments):
    (name, value), *_ = arguments.items()
    with pytest.raises(ValueError, match=f"^{name} is {value}; it must be at least 2$"):
        Recall(**arguments)


@pytest.mark.parametrize("outside", [0, 9])
def test_distances_that_are_not_in_the_sequence(outside):
    with pytest.raises(ValueError, match=rf"^distances has {outside}; each must be 1 to 8 \(length - 1\)$"):
        Recall(length=9, distances=[4, outside])
