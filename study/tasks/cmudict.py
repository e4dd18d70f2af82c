"""Grapheme to phoneme: the pronunciations of the CMU Pronouncing Dictionary.

>>> print(Cmudict(root="data", download=False, cache="cache").sample())
source s e r e n d i p i t y </s>
target S EH R AH N D IH P IH T IY </s>
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from functools import cache as once
from pathlib import Path
from typing import Any

from study.tasks.corpus import Corpus, Split
from study.tasks.download import pinned_file
from study.tasks.judging import error_rates
from study.tasks.pairs import PairBatch
from study.tasks.vocabulary import Pair, Words

ENTRY = re.compile(r"([a-z]+)(?:\(\d+\))? (.+)")  # word, number of a variant, phones
SHARES = {"train": range(90), "validation": range(90, 95), "test": range(95, 100)}  # percent of the words' hashes


class Cmudict(Corpus):
    """Letters of a word in, phones out; 117,493 words of a to z alone, with all their variants.

    A word's hash decides on its split: 90, 5 and 5 %. Training has each variant as a pair; the other splits have each word once
    (its first variant) and count any variant as right. Raises what `study.tasks.download.pinned_file` raises.
    """

    name = "cmudict"
    decoded = ("word_error_rate", "phoneme_error_rate")
    separator = ""
    url = "https://raw.githubusercontent.com/cmusphinx/cmudict/0f8072f814306c5ee4fbf992ed853601b12c01f9/cmudict.dict"
    sha256 = "81917843c7f44ce2b094ac63873c2c7a4cf802040792c455ba3ca406891c3d22"
    path = Path("cmudict", "cmudict.dict")

    def __init__(self, *, stress: bool = False, longest: int = 32, root: str, download: bool, cache: str):
        data = pinned_file(Path(root).expanduser() / self.path, self.url, self.sha256, download)
        spoken = once(lambda: entries(data.decode().splitlines(), stress))  # read once, where it is read at all

        def split(name: str) -> Split:
            return Split(lambda: pairs(spoken(), name), (self.sha256, name, f"stress={stress}"))

        super().__init__(splits={name: split(name) for name in SHARES}, vocabularies=Words(), longest=longest, cache=cache)

    def judge(self, outputs: list[list[int]], batches: list[PairBatch]) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        references = [[text.split() for text in texts] for batch in batches for texts in batch.references or []]
        bins = [len(several[0]) for several in references]
        return error_rates([self.target_names(output) for output in outputs], references, bins)

    def read(self, text: str) -> list[int]:
        word = text.strip().lower()
        if re.search("[^a-z]", word):
            raise ValueError(f"{word!r} has more than letters; write one word in a to z")
        return super().read(" ".join(word))

    def provenance(self) -> dict[str, Any]:
        return {"source": self.url, "path": self.path.as_posix(), "sha256": self.sha256} | super().provenance()


def pairs(spoken: dict[str, list[str]], split: str) -> Iterator[Pair]:
    """The pairs of one split: letters and phones, each with space between."""
    for word, variants in spoken.items():
        digest = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big")
        if digest % 100 in SHARES[split]:
            for variant in variants if split == "train" else variants[:1]:
                yield Pair(" ".join(word), variant, tuple(variants))


def entries(lines: Iterable[str], stress: bool) -> dict[str, list[str]]:
    """Pronunciations, no two alike, of each word that is written in a to z alone."""
    words: dict[str, list[str]] = {}
    for line in lines:
        if entry := ENTRY.fullmatch(line.partition("#")[0].strip()):
            word, phones = entry.groups()
            phones = phones if stress else re.sub(r"\d", "", phones)
            variants = words.setdefault(word, [])
            if phones not in variants:
                variants.append(phones)
    return words
