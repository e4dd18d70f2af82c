"""SCAN: commands in words, answered by actions (Lake & Baroni 2018).

>>> print(Scan(root="data", download=False, cache="cache").sample(seed=44))
source run right after jump left twice </s>
target I_TURN_LEFT I_JUMP I_TURN_LEFT I_JUMP I_TURN_RIGHT I_RUN </s>
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from study.tasks.corpus import Corpus, Split
from study.tasks.download import pinned_file
from study.tasks.judging import exact_match
from study.tasks.pairs import PairBatch, without_end
from study.tasks.vocabulary import Pair, Words
from study.tokens import UNKNOWN

URL = "https://raw.githubusercontent.com/brendenlake/SCAN/c4b756cbc010d75c912f16c42c8f15dc6b7e6c8f/"
FILES = {  # split: path and sha256 of the training file, then of the test file
    "simple": (
        ("simple_split/tasks_train_simple.txt", "941bb8a088c5f53ceff12fde902dc008933cf0c4203cc672c47b5f79d73262dd"),
        ("simple_split/tasks_test_simple.txt", "1fe1c8f5a19d0dc40e41bab94278f45f66f3dc415a978bd29855a23440610fc6"),
    ),
    "length": (
        ("length_split/tasks_train_length.txt", "b034212dc7cf87ce62f3a067dd6ad49c4d5cd18d51d615d13825516bcb1ebbc2"),
        ("length_split/tasks_test_length.txt", "0760752ed34a75116ae11dcc1ee17526b7500060da1366540730fa24894d7db3"),
    ),
    "jump": (
        ("add_prim_split/tasks_train_addprim_jump.txt", "e3c78485692e028eed4205e1b8b3fd0e785ef2c12d45b5b89204dadf5b239e23"),
        ("add_prim_split/tasks_test_addprim_jump.txt", "8147ae2651422c701162e174d9d66158daa57858a26b30317ac61797118ac7a5"),
    ),
}
VALIDATION = 20  # one training line in so many, by its hash


class Scan(Corpus):
    """Commands ("jump twice") to actions ("I_JUMP I_JUMP"), as published; the published training file also validates.

    split: simple (drawn alike), length (trained on at most 22 actions, tested on 24 to 48), jump (trained on jump alone and on
    no command with it). Equal lines validate together; a command of one word always trains: nothing else may tell its meaning.
    Raises what `study.tasks.download.pinned_file` raises.
    """

    name = "scan"
    decoded = ("exact", "token_accuracy")
    solved_at = 0.999  # of the tokens: 15 of them in a row are right in 98.5 %

    def __init__(self, *, split: str = "simple", root: str, download: bool, cache: str):
        if split not in FILES:
            raise ValueError(f"split is {split}; use one of {', '.join(FILES)}")
        self.split = split
        train, test = (
            pinned_file(Path(root).expanduser() / "scan" / path, URL + path, sha256, download) for path, sha256 in FILES[split]
        )
        trained, tested = (sha256 for _, sha256 in FILES[split])
        splits = {
            "train": Split(lambda: (pair for pair in pairs(train) if not validates(pair)), (trained, "train")),
            "validation": Split(lambda: filter(validates, pairs(train)), (trained, "validation")),
            "test": Split(lambda: pairs(test), (tested,)),
        }
        super().__init__(splits=splits, vocabularies=Words(), longest=64, cache=cache)

    def judge(self, outputs: list[list[int]], batches: list[PairBatch]) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        references = [without_end(row) for batch in batches for row in batch.target_BT.tolist()]
        bins = [value for batch in batches for value in batch.slices["length"][:, 0].tolist()]
        return exact_match(outputs, references, bins)

    def read(self, text: str) -> list[int]:
        tokens = super().read(text)
        if UNKNOWN in tokens:
            raise ValueError(f"{text.split()[tokens.index(UNKNOWN)]!r} is no word of a command here")
        return tokens

    def provenance(self) -> dict[str, Any]:
        return {"source": URL, "path": "scan", "sha256": dict(FILES[self.split])} | super().provenance()


def pairs(data: bytes) -> Iterator[Pair]:
    for line in data.decode("ascii").splitlines():
        command, actions = line.removeprefix("IN: ").split(" OUT: ")
        yield Pair(command, actions, (actions,))


def validates(pair: Pair) -> bool:
    digest = int.from_bytes(hashlib.sha256(pair.source.encode()).digest()[:8], "big")
    return digest % VALIDATION == 0 and " " in pair.source
