import pytest
import torch
from scipy.stats import chisquare

from study.tasks.base import IGNORE
from study.tasks.reverse import Reverse


def test_solver_by_hand():
    task = Reverse(min_length=1, max_length=5, symbols=4)  # 4 is the padding
    assert task.solve([3, 0, 1, 4, 4]) == [1, 0, 3, IGNORE, IGNORE]
    assert task.solve([3, 0, 1, 2, 2]) == [2, 2, 1, 0, 3]


def test_lengths_masks_and_slices(rows):
    task = Reverse(min_length=2, max_length=7, symbols=3)
    batch = task.batch(300, torch.Generator().manual_seed(0))
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


def test_lengths_and_symbols_are_uniform():
    batch = Reverse(min_length=3, max_length=8, symbols=5).batch(5000, torch.Generator().manual_seed(0))
    lengths = torch.bincount(batch.mask_BN.sum(1))[3:]
    symbols = torch.bincount(batch.tokens_BN[batch.mask_BN])
    assert chisquare(lengths.numpy()).pvalue > 1e-3
    assert chisquare(symbols.numpy()).pvalue > 1e-3


@pytest.mark.parametrize("bounds", [(4, 20), (1, 3), (5, 5)])
def test_heuristic(bounds, accuracy):
    task = Reverse(min_length=bounds[0], max_length=bounds[1], symbols=4)
    share, tolerance = accuracy(task, lambda tokens, position, rng: tokens[position])
    assert share == pytest.approx(task.heuristic[1], abs=tolerance)


def test_out_starts_where_training_ends():
    out = Reverse(max_length=20, symbols=7).evaluations()["out"]
    assert (out.min_length, out.max_length, out.symbols) == (21, 40, 7)
    lengths = out.batch(500, torch.Generator().manual_seed(0)).mask_BN.sum(1)
    assert lengths.min() == 21 and lengths.max() == 40
    assert set(out.evaluations()) == {"test"}
    assert Reverse(out_length=25).evaluations()["out"].length == 25
    assert set(Reverse(out_length=0).evaluations()) == {"test"}


@pytest.mark.parametrize("short", [0.0, 0.25, 0.9, 1.0])
def test_short_skews_the_lengths_of_training_alone(short):
    task = Reverse(min_length=3, max_length=8, symbols=5, short=short)
    batch = task.batch(5000, torch.Generator().manual_seed(0), "train")
    counts = torch.bincount(batch.mask_BN.sum(1), minlength=9)[3:]  # 3, 4, 5 are short
    expected = 5000 * torch.tensor([short / 3] * 3 + [(1 - short) / 3] * 3, dtype=torch.float64)
    assert not counts[expected == 0].any()
    assert chisquare(counts[expected > 0].numpy(), expected[expected > 0].numpy()).pvalue > 1e-3
    plain = Reverse(min_length=3, max_length=8, symbols=5)
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
        ({"out_length": 20}, "out_length is 20, no longer than max_length .20.; use more than 20"),
    ],
)
def test_bad_values(arguments, message):
    with pytest.raises(ValueError, match=f"^{message}[^\n]*$"):
        Reverse(**arguments)
