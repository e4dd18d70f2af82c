"""How long sequences are in tasks that draw it: uniform, beyond training in "out", and skewed where that is asked for."""

import pytest
import torch
from scipy.stats import chisquare

from study.tasks.copy import Copy
from study.tasks.offset import Offset
from study.tasks.parity import Parity
from study.tasks.permutation import Permutation
from study.tasks.reversal import Reversal
from study.tasks.reverse import Reverse
from tests.cases import case
from tests.tasks.conftest import generator


def drawn(task, size, split="train"):
    """Lengths in a batch: the tests of each task say that this slice is true."""
    return task.batch(size, generator(), split).slices["length"][:, 0]


@pytest.mark.parametrize("kind", [Copy, Reverse, Reversal, Permutation])
def test_lengths_are_uniform_and_out_starts_where_training_ends(kind):
    task = kind(min_length=3, max_length=8, symbols=7, out_length=None)
    counts = torch.bincount(drawn(task, 5000))
    assert counts[:3].tolist() == [0] * 3 and len(counts) == 9 and chisquare(counts[3:].numpy()).pvalue > 1e-3
    out = task.evaluations()["out"]
    assert type(out) is kind and (out.min_length, out.max_length, out.symbols) == (9, 16, 7)
    assert set(drawn(out, 500).tolist()) == set(range(9, 17)) and set(out.evaluations()) == {"test"}
    assert kind(max_length=8, out_length=12).out.max_length == 12 and kind(out_length=0).out is None


@pytest.mark.parametrize("kind", [Offset, Parity])
def test_where_all_are_equally_long_out_is_twice_as_long_or_as_long_as_it_is_to_be(kind):
    out = kind(length=32).evaluations()["out"]
    assert (out.length, out.vocabulary) == (64, kind().vocabulary) and set(out.evaluations()) == {"test"}
    assert kind(out_length=40).out.length == 40 and kind(out_length=0).out is None
    assert Offset(distance=6).out.distance == 6


@pytest.mark.parametrize("kind", [Copy, Reverse])
def test_symbols_are_uniform_and_short_skews_the_lengths_of_training_alone(kind):
    plain = kind(min_length=3, max_length=8, symbols=5)
    tokens_BN = plain.batch(5000, generator()).tokens_BN
    assert chisquare(torch.bincount(tokens_BN[tokens_BN < 5]).numpy()).pvalue > 1e-3
    for short in (0.0, 0.25, 0.9, 1.0):
        with case(short):
            task = kind(min_length=3, max_length=8, symbols=5, short=short)
            counts = torch.bincount(drawn(task, 5000), minlength=9)[3:]  # 3, 4, 5 are short
            expected = 5000 * torch.tensor([short / 3] * 3 + [(1 - short) / 3] * 3, dtype=torch.float64)
            assert not counts[expected == 0].any()
            assert chisquare(counts[expected > 0].numpy(), expected[expected > 0].numpy()).pvalue > 1e-3
            for split in ("validation", "test"):
                skewed, uniform = (each.batch(50, generator(), split) for each in (task, plain))
                assert torch.equal(skewed.tokens_BN, uniform.tokens_BN)
            assert task.evaluations()["out"].short is None
