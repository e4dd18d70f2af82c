"""Seeds with roles: every random stream of a run is named, and no two roles can meet.

`stream(seed, split, *names)` hashes the run's seed and the names (of a part, of a step, ...), so that adding
a stream moves no other. The split's number is the seed's last digit in base 16: a batch of the test split
can't have the seed of a training batch, whatever the hash says. It stands in the *low* bits because torch's
CPU generator (mt19937) reads only the low 32 bits of its seed; a mark in the top bits would be lost there.
"""

import hashlib
import json

# The order is part of every seed ever drawn: append, never insert. At most 2 ** SPLIT_BITS names.
SPLITS = ("train", "validation", "test", "out", "init", "dropout")
SPLIT_BITS = 4
SEED_BITS = 63


def stream(seed: int, split: str, *names: int | str) -> int:
    """The seed (63 bits, never negative) of the stream `names` of `split` in the run with `seed`.

    Seeds of different splits differ in their low 4 bits. Within a split, equal arguments give equal seeds;
    different ones meet with the odds of a 59-bit hash (28 bits on torch's CPU generator).
    Raises ValueError for an unknown split.
    """
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}; use one of {', '.join(SPLITS)}")
    key = json.dumps([seed, *names]).encode()  # unambiguous: 1 and "1", "ab" and "a", "b" stay apart
    digest = int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "big")
    hashed = digest >> (64 - SEED_BITS + SPLIT_BITS)
    return hashed << SPLIT_BITS | SPLITS.index(split)
