"""The texts of `study.tasks.text` in subwords: byte pairs merged by how often they meet (Sennrich et al. 2016, section 3.2).

>>> print(ShakespeareSubwords(length=16, root="data", download=False).sample())
tokens  N  ow  ␣it 's ␣t w   ent y -  se v  en :  ␣e  ver y
answers ow ␣it 's  ␣t w  ent y   - se v  en :  ␣e ver y   ␣g

Shapes: B stretches of text, N tokens each, V tokens in all. Scores stay in bits per character.
"""

from functools import lru_cache

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from torch import Tensor

from study.tasks.base import Batch, Constant
from study.tasks.text import CharacterText, PydocTopics, Shakespeare

LARGEST = 2**15  # tokens that the type of the codes can number


class Subwords(CharacterText):
    """A mixin: what a text task is once its characters are merged into tokens.

    The merges are learned on the training split alone, and each split is cut into tokens by itself. Every character of
    the text's alphabet is a token too, so any text of it can be said; no token runs across words (as in GPT-2).
    """

    def merge(self, vocabulary: int) -> None:
        """Go over to `vocabulary` tokens. Raises ValueError where the alphabet is larger or the text yields fewer."""
        if not len(self.alphabet) < vocabulary <= LARGEST:
            raise ValueError(
                f"vocabulary is {vocabulary}; it must be above {len(self.alphabet)}, the text's characters, "
                f"and at most {LARGEST}"
            )
        texts = {split: self.text[start:stop] for split, (start, stop) in self.bounds.items()}
        codes, symbols = _cut(tuple(texts.values()), self.alphabet, vocabulary)
        if len(symbols) < vocabulary:
            raise ValueError(
                f"vocabulary is {vocabulary}, but the training text yields {len(symbols)} tokens; use at most that"
            )
        bounds, stop = {}, 0
        for split, own in zip(texts, codes, strict=True):
            start, stop = stop, stop + len(own)
            bounds[split] = (start, stop)
        self._tokenize(torch.cat(codes), bounds, symbols, "tokens")
        self._characters = Constant(torch.tensor([len(symbol) for symbol in symbols], device="cpu"))
        self.characters_per_token = len(texts["test"]) / (bounds["test"][1] - bounds["test"][0])

    def batch(self, size: int, generator: torch.Generator, split: str = "train") -> Batch:
        batch = super().batch(size, generator, split)
        batch.characters_BT = self._characters.on(generator.device)[batch.targets_BT]
        return batch

    @property
    def chance(self) -> float:
        return super().chance / self.characters_per_token

    @property
    def heuristic(self) -> tuple[str, float]:
        return "each token's frequency, whatever came before", super().heuristic[1] / self.characters_per_token


class ShakespeareSubwords(Subwords, Shakespeare):
    """tinyshakespeare in `vocabulary` tokens."""

    name = "shakespeare_subwords"

    def __init__(self, *, length: int = 32, share: float = 1.0, vocabulary: int = 256, root: str, download: bool):
        super().__init__(length=length, share=share, root=root, download=download)
        self.merge(vocabulary)


class PydocSubwords(Subwords, PydocTopics):
    """Python's help topics in `vocabulary` tokens."""

    name = "pydoc_subwords"

    def __init__(self, *, length: int = 32, share: float = 1.0, vocabulary: int = 256):
        super().__init__(length=length, share=share)
        self.merge(vocabulary)


@lru_cache(maxsize=4)  # a run builds its task several times
def _cut(texts: tuple[str, ...], alphabet: str, vocabulary: int) -> tuple[list[Tensor], list[str]]:
    """Token numbers of each text, int16, by merges learned on the first; and the characters of each token."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = splitter = pre_tokenizers.ByteLevel(add_prefix_space=False)
    known = [letter for piece, _ in splitter.pre_tokenize_str(alphabet) for letter in piece]
    trainer = trainers.BpeTrainer(vocab_size=vocabulary, initial_alphabet=known, show_progress=False)
    tokenizer.train_from_iterator(texts[:1], trainer)
    codes = [torch.tensor(tokenizer.encode(text).ids, dtype=torch.int16, device="cpu") for text in texts]
    letters = dict(zip(known, alphabet, strict=True))  # the tokenizer writes some characters as others
    names = (str(tokenizer.id_to_token(number)) for number in range(tokenizer.get_vocab_size()))
    return codes, ["".join(letters[letter] for letter in name) for name in names]
