import hashlib

import numpy as np
import pytest
import torch

from study.seeding import SPLITS, stream


def test_splits_never_share_a_seed_not_even_in_the_32_bits_that_the_cpu_reads():
    seeds = {split: {stream(seed, split, step) for seed in range(5) for step in range(500)} for split in SPLITS}
    for bits in (63, 32):
        seen: dict[int, str] = {}
        for split, drawn in seeds.items():
            for seed in drawn:
                assert seen.setdefault(seed % 2**bits, split) == split
    # disjoint by construction, not by luck: the low bits alone tell the split
    assert [{seed % 16 for seed in drawn} for drawn in seeds.values()] == [{i} for i in range(len(SPLITS))]


def test_the_cpu_generator_reads_32_bits_only():
    """Why the split stands in the low bits; when this fails, torch has changed and any bits would do."""
    one, other = (torch.rand(4, generator=torch.Generator().manual_seed(s)) for s in (5, 5 + 2**32))
    assert torch.equal(one, other)


def test_steps_names_and_seeds_draw_apart():
    seeds = [stream(seed, "train", name) for seed in range(10) for name in [*range(200), "a", "b"]]
    assert len(set(seeds)) == len(seeds)
    assert len({seed % 2**32 for seed in seeds}) == len(seeds)


def test_names_stay_apart():
    calls = [(), (1,), ("1",), (1, 1), (11,), ("ab",), ("a", "b"), ("a,b",), ('a", "b',), ("",), ("", "")]
    assert len({stream(1, "init", *names) for names in calls}) == len(calls)
    assert stream(1, "init") != stream(11, "init")


def test_seeds_fit_and_use_all_63_bits():
    seeds = [stream(0, "test", step) for step in range(2000)]
    assert all(0 <= seed < 2**63 for seed in seeds)
    torch.Generator().manual_seed(max(seeds))
    ones = np.array([[seed >> bit & 1 for bit in range(4, 63)] for seed in seeds]).mean(0)
    assert abs(ones - 0.5).max() < 0.06  # five standard errors


def test_seeds_never_change():
    """Every record was made with these: 59 bits of the hash, then the split's number."""
    expected = int.from_bytes(hashlib.blake2b(b'[3, "x", 7]', digest_size=8).digest(), "big") // 32 * 16 + 2
    assert stream(3, "test", "x", 7) == expected
    assert stream(0, "train") == 6197007067532723392
    assert SPLITS[:5] == ("train", "validation", "test", "out", "init")


def test_unknown_split():
    with pytest.raises(ValueError, match="^unknown split 'valid'; use one of train, validation, test, out, init"):
        stream(0, "valid")
