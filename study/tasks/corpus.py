"""Pairs of real data, of any number: tokenised once, memory-mapped, drawn by length.

Shapes: B pairs, M source tokens, T target tokens. L: lengths of a pair, that of its longer side, from 0 on.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, Self

import tokenizers
import torch

from study.tasks.base import at_least, up_to_power_of_two
from study.tasks.cache import cached
from study.tasks.pairs import PairBatch, PairTask, host, padded
from study.tasks.store import Store
from study.tasks.vocabulary import Pair, Pairs, Subwords, Vocabulary, Words
from study.tokens import END, PAD

FORMAT = 2  # of what is cached: raise it with every change of how text becomes tokens or of how they are kept
CHUNK = 10_000  # pairs in memory while a corpus is tokenised
SIZES = ("vocabulary", "classes", "joint", "source_length", "target_length", "longest_source", "longest_target")
FEWEST = 256  # pairs in a bucket, so that a batch hardly ever holds a pair twice


@dataclass(frozen=True)
class Split:
    pairs: Pairs
    made_of: tuple[str, ...]  # what the pairs are a function of: hashes of files, settings


class Bucket(NamedTuple):
    """Pairs of about one length: numbers start .. stop - 1 of a store's `order`."""

    start: int
    stop: int
    tokens: int  # in all their targets
    longest: int  # target


class Corpus(PairTask):
    """Three splits of pairs, "train", "validation" and "test", in vocabularies learned on the first.

    Training draws a bucket of pairs of similar length, in proportion to its tokens, and from it (with repetition) so many pairs
    that their padded targets come to about `size` times the mean length: a pure function of the generator's state. Pairs longer
    than `longest` tokens on either side, END included, are left out of training, never of the other splits. An evaluation goes
    through the whole of its split once: validation by rising length, as then little is padding, the test in order. Slices of
    teacher-forced scores by target length, up to a power of two; those of what is written (`judge`) take their place in a
    record.
    """

    solved_at: float | None = None

    def __init__(self, *, splits: dict[str, Split], vocabularies: Words | Subwords, longest: int, cache: str):
        """cache: the folder where vocabularies and tokens are kept, under a name made of what they are a function of."""
        at_least(longest=(longest, 2))
        self.longest, self.joint = longest, vocabularies.joint
        folder = Path(cache).expanduser()
        train = splits["train"]
        made_of = [FORMAT, tokenizers.__version__, repr(vocabularies), *train.made_of]

        def learn(own: Path) -> None:
            for side, vocabulary in zip(("source", "target"), vocabularies.learn(train.pairs), strict=True):
                vocabulary.save(own / side)

        learned = cached(folder, "vocabulary", made_of, learn)
        self.source_vocabulary = Vocabulary.load(learned / "source")
        self.target_vocabulary = Vocabulary.load(learned / "target")
        self.vocabulary, self.classes = self.source_vocabulary.size, self.target_vocabulary.size
        self.stores = {
            name: Store(cached(folder, "pairs", [*made_of, *split.made_of], partial(self._keep, split)))
            for name, split in splits.items()
        }
        kept = self.stores["train"]
        pairs = int(kept.pairs_L[: longest + 1].sum())
        if not pairs:
            raise ValueError(f"longest is {longest}, and every training pair has more tokens; use more")
        self.left_out = len(kept) - pairs
        self.mean_source = int(kept.sources_L[: longest + 1].sum()) / pairs
        self.mean_target = int(kept.targets_L[: longest + 1].sum()) / pairs
        self.length = round(self.mean_target)
        self.source_length, self.target_length = min(longest, kept.longest_source), min(longest, kept.longest_target)
        others = [store for name, store in self.stores.items() if name != "train"]
        self.longest_source = max(self.source_length, *(store.longest_source for store in others))
        self.longest_target = max(self.target_length, *(store.longest_target for store in others))
        self.buckets = {
            name: _buckets(store, longest if name == "train" else len(store.pairs_L)) for name, store in self.stores.items()
        }

    def batch(self, size: int, generator: torch.Generator, split: str = "train") -> PairBatch:
        store, own = self._store(split), host(generator)
        buckets = self.buckets[split]
        weights = torch.tensor([bucket.tokens for bucket in buckets], dtype=torch.float64, device="cpu")
        bucket = buckets[int(torch.multinomial(weights, 1, generator=own))]
        count = max(1, round(size * self.mean_target / bucket.longest))
        picked = torch.randint(bucket.start, bucket.stop, (count,), generator=own, device="cpu")
        return self._gather(store, store.order[picked.numpy()].tolist(), generator.device)

    def evaluation_batches(self, items: int, size: int, split: str) -> int:
        if split == "train":
            return super().evaluation_batches(items, size, split)
        return -(-len(self._store(split)) // size)

    def evaluation_batch(self, index: int, size: int, generator: torch.Generator, split: str) -> PairBatch:
        if split == "train":
            return self.batch(size, generator, split)
        store = self._store(split)
        part = slice(index * size, (index + 1) * size)
        rows = store.order[part].tolist() if split == "validation" else range(len(store))[part]
        return self._gather(store, rows, generator.device)

    def keep(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.source_vocabulary.save(folder / "source")
        self.target_vocabulary.save(folder / "target")
        (folder / "sizes.json").write_text(json.dumps({name: getattr(self, name) for name in SIZES}), encoding="utf-8")

    @classmethod
    def kept(cls, folder: Path, **keys: Any) -> Self:
        task = cls.__new__(cls)  # without its files
        task.source_vocabulary = Vocabulary.load(folder / "source")
        task.target_vocabulary = Vocabulary.load(folder / "target")
        sizes = json.loads((folder / "sizes.json").read_text(encoding="utf-8"))
        vars(task).update({name: sizes[name] for name in SIZES})
        return task

    def write(self, tokens: list[int]) -> str:
        return self.target_vocabulary.decode(tokens)

    def read(self, text: str) -> list[int]:
        tokens = [*self.source_vocabulary.encode([text])[0], END]
        if len(tokens) == 1:
            raise ValueError("there is no text")
        if len(tokens) > self.longest_source:
            raise ValueError(
                f"the text has {len(tokens)} tokens, more than any of the corpus ({self.longest_source}); cut it in two"
            )
        return tokens

    def source_names(self, tokens: list[int]) -> list[str]:
        return self.source_vocabulary.names(tokens)

    def target_names(self, tokens: list[int]) -> list[str]:
        return self.target_vocabulary.names(tokens)

    @property
    def heuristic(self) -> tuple[str, float]:
        train, test = self.stores["train"].counts, self.stores["test"].counts
        return "the commonest token of the training targets", float(test[train.argmax()] / test.sum())

    def provenance(self) -> dict[str, Any]:
        pairs = {name: len(store) for name, store in self.stores.items()}
        return {"pairs": pairs, "left_out": self.left_out}

    def _keep(self, split: Split, folder: Path) -> None:
        Store.write(folder, self._encoded(split.pairs()), self.classes)

    def _encoded(self, pairs: Iterator[Pair]) -> Iterator[tuple[list[list[int]], list[list[int]], list[str]]]:
        while chunk := list(islice(pairs, CHUNK)):
            source, target, references = zip(*chunk, strict=True)
            yield (
                [[*tokens, END] for tokens in self.source_vocabulary.encode(list(source))],
                [[*tokens, END] for tokens in self.target_vocabulary.encode(list(target))],
                ["\n".join(texts) for texts in references],
            )

    def _store(self, split: str) -> Store:
        if split not in self.stores:
            raise ValueError(f"unknown split {split!r} of a corpus; use one of {', '.join(self.stores)}")
        return self.stores[split]

    def _gather(self, store: Store, rows: list[int] | range, device: torch.device) -> PairBatch:
        target_BT = padded([store.target[row].tolist() for row in rows], device)
        length_B1 = (target_BT != PAD).sum(1, keepdim=True)
        return PairBatch(
            padded([store.source[row].tolist() for row in rows], device),
            target_BT,
            slices={"length": up_to_power_of_two(length_B1).expand_as(target_BT)},
            references=[store.references[row].tobytes().decode().split("\n") for row in rows],
        )


def _buckets(store: Store, longest: int) -> list[Bucket]:
    """Of all pairs up to `longest`: a bucket spans an eighth of its lengths, and more where it has too few pairs."""
    buckets: list[Bucket] = []
    start = stop = tokens = widest = shortest = 0
    for length in range(min(longest + 1, len(store.pairs_L))):
        if stop - start >= FEWEST and length > shortest * 9 / 8:
            buckets.append(Bucket(start, stop, tokens, widest))
            start, tokens, widest = stop, 0, 0
        if start == stop:
            shortest = length
        stop += int(store.pairs_L[length])
        tokens += int(store.targets_L[length])
        widest = max(widest, int(store.longest_L[length]))
    if stop - start < FEWEST and buckets:  # too few for a bucket of their own
        last = buckets.pop()
        start, tokens, widest = last.start, tokens + last.tokens, max(widest, last.longest)
    return [*buckets, Bucket(start, stop, tokens, widest)]
