"""Pairs whose target is the source in another order, one that depends on the length alone.

Shapes: B pairs, M source tokens, T target tokens; both have max_length symbols and END, then PAD.
"""

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor

from study.tasks.base import IGNORE, at_least, draw_lengths, longer
from study.tasks.judging import exact_match
from study.tasks.pairs import PairBatch, PairTask, without_end
from study.tokens import END, PAD, SPECIAL, UNKNOWN


class Rearranged(PairTask):
    """The source has n symbols, drawn alike, n uniform in min_length .. max_length; a subclass says how the target orders them.

    Tokens: those of `study.tokens`, then the symbols, in source and target. Each target token has one gold source position:
    that of its symbol, and of the source's END for END. Slices by n.
    """

    decoded = ("exact", "token_accuracy")
    joint = True

    def __init__(self, *, min_length: int = 5, max_length: int = 40, symbols: int = 16, out_length: int | None = 0):
        at_least(min_length=(min_length, 1), max_length=(max_length, min_length), symbols=(symbols, 2))
        self.min_length, self.max_length, self.symbols = min_length, max_length, symbols
        self.vocabulary = self.classes = len(SPECIAL) + symbols
        self.source_length = self.target_length = self.longest_source = self.longest_target = max_length + 1
        self.mean_source = (min_length + max_length) / 2 + 1
        self.length = round(self.mean_source)
        if out := longer(out_length, max_length, "max_length"):
            self.out = type(self)(min_length=max_length + 1, max_length=out, symbols=symbols, out_length=0)

    @abstractmethod
    def order(self, place_T: Tensor, length_B1: Tensor) -> Tensor:
        """(B, T): where the symbol at each place of the target stands in the source; void from the length on."""

    @abstractmethod
    def rearrange(self, symbols: list[int]) -> list[int]:
        """The same of one sequence, by a plain loop that shares no code with `order`."""

    def batch(self, size: int, generator: torch.Generator, split: str = "train") -> PairBatch:
        device, M = generator.device, self.source_length
        length_B1 = draw_lengths(size, self.min_length, self.max_length, generator)
        symbols_BM = torch.randint(len(SPECIAL), self.vocabulary, (size, M), generator=generator, device=device)
        place_M = torch.arange(M, device=device)
        end_BM = place_M == length_B1
        source_BM = symbols_BM.where(place_M < length_B1, PAD).masked_fill(end_BM, END)
        sources_BT = self.order(place_M, length_B1).where(place_M < length_B1, place_M)
        return PairBatch(
            source_BM,
            source_BM.gather(1, sources_BT),
            slices={"length": length_B1.expand(-1, M)},
            sources_BT=sources_BT.where(place_M <= length_B1, IGNORE),
        )

    def solve(self, tokens: list[int]) -> list[int]:
        return [*self.rearrange(tokens[: tokens.index(END)]), END]

    def judge(self, outputs: list[list[int]], batches: list[PairBatch]) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        references = [without_end(row) for batch in batches for row in batch.target_BT.tolist()]
        return exact_match(outputs, references, [len(reference) for reference in references])

    def write(self, tokens: list[int]) -> str:
        return " ".join(self.target_names(tokens))

    def read(self, text: str) -> list[int]:
        """Symbols are numbers from 0 on, with space between them."""
        words = text.split()
        known = {str(number): len(SPECIAL) + number for number in range(self.symbols)}
        if unknown := [word for word in words if word not in known]:
            raise ValueError(f"{unknown[0]!r} is no symbol here; use numbers from 0 to {self.symbols - 1}")
        if not 0 < len(words) < self.source_length:
            raise ValueError(f"{len(words)} symbols: there must be from 1 to {self.max_length}")
        return [*(known[word] for word in words), END]

    def source_names(self, tokens: list[int]) -> list[str]:
        return [SPECIAL[token] if token <= UNKNOWN else str(token - len(SPECIAL)) for token in tokens]

    target_names = source_names

    @property
    def heuristic(self) -> tuple[str, float]:
        lengths = range(self.min_length, self.max_length + 1)
        stay = [sum(place == symbol for place, symbol in enumerate(self.rearrange(list(range(n))))) for n in lengths]
        right = sum(1 + fixed + (n - fixed) / self.symbols for n, fixed in zip(lengths, stay, strict=True))
        return "the source as it is", right / sum(n + 1 for n in lengths)
