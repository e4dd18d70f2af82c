"""Translation between any two line-aligned files; here the lines of numbers and the same lines backwards.

>>> files = {f"{split}_{side}": f"{split}.{side}" for split in ("train", "validation", "test") for side in ("source", "target")}
>>> print(ParallelText(**files, vocabulary=60, cache="cache").sample())
source ▁t hre e ▁ 3 ▁and ▁t hre e ▁more . </s>
target ▁ . erom ▁eerht ▁dna ▁ 3 ▁eerht </s>
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from study.tasks.plausible import plausible
from study.tasks.translation import Translation
from study.tasks.vocabulary import Pair


class ParallelText(Translation):
    """Files that the user names, plain or .gz, two for each split; line i of the one belongs to line i of the other.

    Raises ValueError (file and line) for files that aren't line-aligned, not UTF-8, have empty lines or are implausible
    (`study.tasks.plausible`); FileNotFoundError.
    """

    name = "parallel_text"

    def __init__(
        self,
        *,
        train_source: str | None = None,
        train_target: str | None = None,
        validation_source: str | None = None,
        validation_target: str | None = None,
        test_source: str | None = None,
        test_target: str | None = None,
        vocabulary: int = 8000,
        joint: bool = True,
        lowercase: bool = False,
        longest: int = 128,
        tokenize: str = "13a",
        unchecked: bool = False,
        cache: str,
    ):
        names = {
            "train": (train_source, train_target),
            "validation": (validation_source, validation_target),
            "test": (test_source, test_target),
        }
        self.unchecked = unchecked
        files = {split: (_file(split, "source", s), _file(split, "target", t)) for split, (s, t) in names.items()}
        super().__init__(
            files=files,
            vocabulary=vocabulary,
            joint=joint,
            lowercase=lowercase,
            longest=longest,
            tokenize=tokenize,
            cache=f"{cache}/unchecked" if unchecked else cache,  # holds corpora that were not checked
        )

    def pairs(self, source: Path, target: Path) -> Iterator[Pair]:
        pairs = super().pairs(source, target)
        return pairs if self.unchecked else plausible(pairs, source, target)

    def provenance(self) -> dict[str, Any]:
        return {"source": "the user's files"} | super().provenance()


def _file(split: str, side: str, name: str | None) -> Path:
    if name is None:
        raise ValueError(f"no file of the {split} split's {side}: set task.{split}_{side}=FILE, plain text or .gz")
    return Path(name).expanduser()
