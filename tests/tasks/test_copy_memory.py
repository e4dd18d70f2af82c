import torch
from scipy.stats import chisquare

from study.tasks.base import IGNORE
from study.tasks.copy_memory import CopyMemory
from tests.tasks.conftest import generator


def test_solver_by_hand():
    # symbols 0-2, blank 3, "go" 4
    i = IGNORE
    assert CopyMemory(length=8, items=2, symbols=3).solve([2, 0, 3, 3, 4, 4, 3, 3]) == [i, i, i, i, 2, 0, i, i]


def test_layout_distances_and_sources(rows):
    task = CopyMemory(length=11, items=3, symbols=4)
    batch = task.batch(300, generator())
    seen = set()
    for (tokens, targets, slices), sources in zip(rows(batch), batch.sources_BT.tolist(), strict=True):
        first = tokens.index(5)
        assert len(tokens) == 11 and max(tokens[:3]) < 4
        assert tokens[3:] == [4] * (first - 3) + [5] * 3 + [4] * (8 - first)
        assert targets == {first + j: tokens[j] for j in range(3)}
        assert [tokens[source] for source in sources] == list(targets.values())
        assert slices == {"distance": dict.fromkeys(targets, first)}
        seen.add(first)
    assert seen == set(range(3, 9))


def test_distances_and_symbols_are_uniform():
    batch = CopyMemory(length=12, items=2, symbols=5).batch(5000, generator())
    distances = torch.bincount(batch.slices["distance"][:, 0])[2:]
    assert len(distances) == 9
    for counts in (distances, torch.bincount(batch.targets_BT.flatten())):
        assert chisquare(counts.numpy()).pvalue > 1e-3


def test_one_distance_for_all():
    batch = CopyMemory(length=12, items=2, distance=7).batch(50, generator())
    assert (batch.where_BT == torch.tensor([7, 8])).all() and (batch.slices["distance"] == 7).all()
