import pytest
import torch
from scipy.stats import chisquare

from study.tasks.base import IGNORE
from study.tasks.copy import Copy


def test_solver_by_hand():
    task = Copy(min_length=1, max_length=3, symbols=4)  # 4 is "go", 5 the padding
    i = IGNORE
    assert task.solve([3, 1, 4, 4, 5, 5]) == [i, i, 3, 1, i, i]
    assert task.solve([0, 0, 2, 4, 4, 4]) == [i, i, i, 0, 0, 2]


def test_layout_masks_and_slices(rows):
    task = Copy(min_length=2, max_length=5, symbols=3)
    batch = task.batch(300, torch.Generator().manual_seed(0))
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


def test_lengths_and_symbols_are_uniform():
    batch = Copy(min_length=3, max_length=8, symbols=5).batch(5000, torch.Generator().manual_seed(0))
    lengths = torch.bincount(batch.mask_BN.sum(1) // 2)[3:]
    symbols = torch.bincount(batch.tokens_BN[batch.tokens_BN < 5])
    assert chisquare(lengths.numpy()).pvalue > 1e-3
    assert chisquare(symbols.numpy()).pvalue > 1e-3


@pytest.mark.parametrize("bounds", [(4, 16), (1, 2), (3, 3)])
def test_heuristic(bounds, accuracy):
    task = Copy(min_length=bounds[0], max_length=bounds[1], symbols=4)
    share, tolerance = accuracy(task, lambda tokens, position, rng: tokens[tokens.index(4) - 1])
    assert share == pytest.approx(task.heuristic[1], abs=tolerance)


def test_out_starts_where_training_ends():
    out = Copy(max_length=16, symbols=7).evaluations()["out"]
    assert (out.min_length, out.max_length, out.symbols, out.length) == (17, 32, 7, 64)
    lengths = out.batch(500, torch.Generator().manual_seed(0)).mask_BN.sum(1) // 2
    assert lengths.min() == 17 and lengths.max() == 32
    assert set(out.evaluations()) == {"test"}
    assert set(Copy(out_length=0).evaluations()) == {"test"}


@pytest.mark.parametrize("short", [0.0, 0.25, 0.9, 1.0])
def test_short_skews_the_lengths_of_training_alone(short):
    task = Copy(min_length=3, max_length=8, symbols=5, short=short)
    batch = task.batch(5000, torch.Generator().manual_seed(0), "train")
    counts = torch.bincount(batch.mask_BN.sum(1) // 2, minlength=9)[3:]  # 3, 4, 5 are short
    expected = 5000 * torch.tensor([short / 3] * 3 + [(1 - short) / 3] * 3, dtype=torch.float64)
    assert not counts[expected == 0].any()
    assert chisquare(counts[expected > 0].numpy(), expected[expected > 0].numpy()).pvalue > 1e-3
    plain = Copy(min_length=3, max_length=8, symbols=5)
    for split in ("validation", "test"):
        skewed, uniform = (t.batch(50, torch.Generator().manual_seed(0), split) for t in (task, plain))
        assert torch.equal(skewed.tokens_BN, uniform.tokens_BN)
    assert task.evaluations()["out"].short is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"min_length": 0}, "min_length is 0; it must be at least 1"),
        ({"max_length": 3}, "max_length is 3; it must be at least 4"),
        ({"short": 1.5}, "short is 1.5; it must be a share from 0 to 1, or null"),
        ({"min_length": 9, "max_length": 9, "short": 0.5}, "short is 0.5, but all lengths are 9; use null"),
        ({"symbols": 1}, "symbols is 1; it must be at least 2"),
        ({"out_length": 9}, "out_length is 9, no longer than max_length .16.; use more than 16"),
    ],
)
def test_bad_values(arguments, message):
    with pytest.raises(ValueError, match=f"^{message}[^\n]*$"):
        Copy(**arguments)
