"""Vocabularies of pairs: text to token numbers and back, learned on lines of text.

All begin with the tokens of `study.tokens`; text that spells one of these ("<s>") does not become it.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import ClassVar, NamedTuple

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from study.tokens import END, SPECIAL, UNKNOWN

ENOUGH = 20_000_000  # characters a side that subwords are learned on
LONGEST_WORD = 256  # characters; what is longer is cut, as learning takes a time that grows with the square of a word


class Pair(NamedTuple):
    source: str
    target: str
    references: tuple[str, ...]  # texts that are right, the target's own among them


Pairs = Callable[[], Iterator[Pair]]  # goes through a split from its start, as often as it is called


class Vocabulary:
    """Tokens 0 .. size - 1."""

    def __init__(self, tokenizer: Tokenizer):
        tokenizer.encode_special_tokens = True  # not what the text happens to spell
        self.tokenizer = tokenizer
        self.size = tokenizer.get_vocab_size()

    @classmethod
    def load(cls, path: Path) -> "Vocabulary":
        return cls(Tokenizer.from_str(path.read_text(encoding="utf-8")))

    def save(self, path: Path) -> None:
        path.write_text(self.tokenizer.to_str(), encoding="utf-8")

    def encode(self, lines: list[str]) -> list[list[int]]:
        """Without END. What spells a special token is unknown."""
        encodings = self.tokenizer.encode_batch_fast(lines, add_special_tokens=False)
        return [[max(token, UNKNOWN) for token in encoding.ids] for encoding in encodings]

    def decode(self, tokens: list[int]) -> str:
        """Text; special tokens are left out, but for the unknown one."""
        return self.tokenizer.decode([t for t in tokens if t > END], skip_special_tokens=False)

    def names(self, tokens: list[int]) -> list[str]:
        return [str(self.tokenizer.id_to_token(token)) for token in tokens]


@dataclass(frozen=True)
class Words:
    """A vocabulary for each side: all words (with space between them) of the training split."""

    joint: ClassVar[bool] = False

    def learn(self, pairs: Pairs) -> tuple[Vocabulary, Vocabulary]:
        return _words(pair.source for pair in pairs()), _words(pair.target for pair in pairs())


@dataclass(frozen=True)
class Subwords:
    """At most `size` subwords: pairs merged by how often they meet in the training split (Sennrich et al. 2016, section 3.2).

    joint: one vocabulary, learned on both sides; else each side has its own. lowercase: text loses its capitals first.
    No token runs across words or punctuation. Characters that the training split lacks are unknown; so are, in text with more
    than `size` / 2 different characters, its rarest. Of a side with more than `ENOUGH` characters, only every so many-th line
    counts: learning holds each different word in memory, and where no spaces are written a word is as long as a clause.
    """

    size: int
    joint: bool
    lowercase: bool

    def learn(self, pairs: Pairs) -> tuple[Vocabulary, Vocabulary]:
        sources, targets = (_thinned(partial(_side, pairs, side)) for side in ("source", "target"))
        if self.joint:
            both = self._merge(chain(sources, targets))
            return both, both
        return self._merge(sources), self._merge(targets)

    def _merge(self, lines: Iterable[str]) -> Vocabulary:
        tokenizer = Tokenizer(models.BPE(unk_token=SPECIAL[UNKNOWN], fuse_unk=True))
        plain: list[normalizers.Normalizer] = [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip()]
        tokenizer.normalizer = normalizers.Sequence(plain + [normalizers.Lowercase()] * self.lowercase)
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Metaspace(), pre_tokenizers.Punctuation(), pre_tokenizers.FixedLength(LONGEST_WORD)]
        )
        tokenizer.decoder = decoders.Metaspace()
        trainer = trainers.BpeTrainer(
            vocab_size=self.size, special_tokens=list(SPECIAL), limit_alphabet=self.size // 2, show_progress=False
        )
        tokenizer.train_from_iterator(lines, trainer)
        return Vocabulary(tokenizer)


def _side(pairs: Pairs, side: str) -> Iterator[str]:
    return (getattr(pair, side) for pair in pairs())


def _thinned(lines: Callable[[], Iterator[str]]) -> Iterator[str]:
    """Every so many-th line, so that they come to about `ENOUGH` characters, or all."""
    return islice(lines(), 0, None, -(-sum(map(len, lines())) // ENOUGH) or 1)


def _words(lines: Iterable[str]) -> Vocabulary:
    known = sorted({word for line in lines for word in line.split()} - set(SPECIAL))
    tokenizer = Tokenizer(
        models.WordLevel({word: number for number, word in enumerate([*SPECIAL, *known])}, unk_token=SPECIAL[UNKNOWN])
    )
    tokenizer.add_special_tokens(list(SPECIAL))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return Vocabulary(tokenizer)
