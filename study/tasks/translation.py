"""Translation between the lines of files: what `multi30k` and `parallel_text` share."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from study.tasks.base import at_least
from study.tasks.cache import sha256
from study.tasks.corpus import Corpus, Split
from study.tasks.judging import TOKENIZERS, signatures, translation, up_to_tens
from study.tasks.pairs import PairBatch, without_end
from study.tasks.parallel import aligned
from study.tasks.vocabulary import Pair, Subwords
from study.tokens import SPECIAL


class Translation(Corpus):
    """Lines of one file into those of another, in subwords. Scores of text: BLEU and chrF, sliced by source tokens, in tens.

    The target file's lines are the references, as they stand there (but for white space at their edges), with lowercase=true
    compared without regard to capitals.
    """

    decoded = ("bleu", "chrf")
    separator = ""  # subwords hold their spaces, as "▁"

    def __init__(
        self,
        *,
        files: dict[str, tuple[Path, Path]],
        vocabulary: int,
        joint: bool,
        lowercase: bool,
        longest: int,
        cache: str,
        tokenize: str = "13a",
    ):
        """files: source and target of each split. tokenize: one of `judging.TOKENIZERS`."""
        at_least(vocabulary=(vocabulary, len(SPECIAL) + 1))
        if tokenize not in TOKENIZERS:
            raise ValueError(f"tokenize is {tokenize}; use one of {', '.join(TOKENIZERS)}")
        self.lowercase, self.tokenize = lowercase, tokenize
        splits = {}
        for name, (source, target) in files.items():
            for path in (source, target):
                if not path.is_file():
                    raise FileNotFoundError(f"{path} is missing: name the file of the {name} split")
            splits[name] = Split(lambda s=source, t=target: self.pairs(s, t), (sha256(source), sha256(target)))  # type: ignore[misc]
        subwords = Subwords(size=vocabulary, joint=joint, lowercase=lowercase)
        super().__init__(splits=splits, vocabularies=subwords, longest=longest, cache=cache)
        self.hashes = {name: list(split.made_of) for name, split in splits.items()}

    def pairs(self, source: Path, target: Path) -> Iterator[Pair]:
        """Of two files of a split."""
        return aligned(source, target)

    def judge(self, outputs: list[list[int]], batches: list[PairBatch]) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        references = [texts[0] for batch in batches for texts in batch.references or []]
        sources = [without_end(row) for batch in batches for row in batch.source_BM.tolist()]
        bins = [up_to_tens(len(source)) for source in sources]
        return translation([self.write(output) for output in outputs], references, bins, self.lowercase, self.tokenize)

    def provenance(self) -> dict[str, Any]:
        return super().provenance() | {"sha256": self.hashes, "signature": signatures(self.lowercase, self.tokenize)}
