from study.tasks.base import IGNORE
from study.tasks.copy import Copy
from tests.tasks.conftest import generator


def test_solver_by_hand():
    task = Copy(min_length=1, max_length=3, symbols=4)  # 4 is "go", 5 the padding
    i = IGNORE
    assert task.solve([3, 1, 4, 4, 5, 5]) == [i, i, 3, 1, i, i]
    assert task.solve([0, 0, 2, 4, 4, 4]) == [i, i, i, 0, 0, 2]


def test_layout_masks_and_slices(rows):
    task = Copy(min_length=2, max_length=5, symbols=3)
    batch = task.batch(300, generator())
    assert batch.targets_BT.shape == (300, 5) and task.length == 10
    seen = set()
    for (tokens, targets, slices), mask in zip(rows(batch), batch.mask_BN.tolist(), strict=True):
        n = sum(mask) // 2
        seen.add(n)
        assert mask == [True] * 2 * n + [False] * (10 - 2 * n)
        assert max(tokens[:n]) < 3 and tokens[n:] == [3] * n + [4] * (10 - 2 * n)
        assert targets == {n + j: tokens[j] for j in range(n)}
        assert slices == {"length": dict.fromkeys(range(n, 2 * n), n)}
    assert seen == {2, 3, 4, 5}
