from study.tasks.base import IGNORE
from study.tasks.reverse import Reverse
from tests.tasks.conftest import generator


def test_solver_by_hand():
    task = Reverse(min_length=1, max_length=5, symbols=4)  # 4 is the padding
    assert task.solve([3, 0, 1, 4, 4]) == [1, 0, 3, IGNORE, IGNORE]
    assert task.solve([3, 0, 1, 2, 2]) == [2, 2, 1, 0, 3]


def test_lengths_masks_and_slices(rows):
    task = Reverse(min_length=2, max_length=7, symbols=3)
    batch = task.batch(300, generator())
    seen = set()
    masks, mirrors = batch.mask_BN.tolist(), batch.sources_BT.tolist()
    for (tokens, targets, slices), mask, mirror in zip(rows(batch), masks, mirrors, strict=True):
        n = sum(mask)
        assert mirror[:n] == list(range(n))[::-1]
        seen.add(n)
        assert mask == [True] * n + [False] * (7 - n)
        assert tokens[n:] == [3] * (7 - n) and max(tokens[:n]) < 3
        assert list(targets) == list(range(n))
        assert slices == {"length": dict.fromkeys(range(n), n)}
    assert seen == {2, 3, 4, 5, 6, 7}
