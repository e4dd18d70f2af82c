"""Copy: repeat a sequence after it has ended, without being shown one's own answers.

>>> print(Copy(max_length=6).sample())
tokens  15 5 0 3 11 3 go go go go go go
answers -  - - - -  - 15 5  0  3  11 3

Shapes: B sequences, L symbols at most (`max_length`), N = 2L tokens (constant), L scored places.
"""

import torch

from study.tasks.base import IGNORE, Batch, Task, at_least, check_short, draw_lengths, longer


class Copy(Task):
    """n symbols, then n times the token "go"; the j-th go answers x_j; n uniform in min_length .. max_length.

    No teacher forcing: the input never shows an answer, so each has to be found n positions before.
    Tokens: 0 .. symbols-1 the symbols, symbols "go", symbols+1 padding on the right. Classes: the symbols.
    """

    name = "copy"
    causal = True

    def __init__(
        self,
        *,
        min_length: int = 4,
        max_length: int = 16,
        symbols: int = 16,
        out_length: int | None = None,
        short: float | None = None,
    ):
        at_least(min_length=(min_length, 1), max_length=(max_length, min_length), symbols=(symbols, 2))
        check_short(short, min_length, max_length)
        self.min_length = min_length
        self.short = short
        self.max_length = max_length
        self.length = 2 * max_length
        self.symbols = self.classes = symbols
        self.vocabulary = symbols + 2
        if out := longer(out_length, max_length, "max_length"):
            self.out = Copy(min_length=max_length + 1, max_length=out, symbols=symbols, out_length=0)

    def batch(self, size: int, generator: torch.Generator, split: str = "train") -> Batch:
        device, L = generator.device, self.max_length
        short = self.short if split == "train" else None
        length_B1 = draw_lengths(size, self.min_length, L, generator, short)
        symbols_BL = torch.randint(self.symbols, (size, L), generator=generator, device=device)
        position_N = torch.arange(2 * L, device=device)
        mask_BN = position_N < 2 * length_B1
        go_or_padding_BN = self.symbols + (~mask_BN).long()
        both_BN = torch.cat([symbols_BL, symbols_BL], dim=1)  # only the first half is ever read
        index_L = position_N[:L]
        return Batch(
            both_BN.where(position_N < length_B1, go_or_padding_BN),
            symbols_BL.where(index_L < length_B1, IGNORE),
            length_B1 + index_L,
            mask_BN,
            {"length": length_B1.expand(-1, L)},
        )

    def solve(self, tokens: list[int]) -> list[int]:
        n = tokens.index(self.symbols)  # where the first "go" stands
        return [IGNORE] * n + tokens[:n] + [IGNORE] * (len(tokens) - 2 * n)

    def source_names(self, tokens: list[int]) -> list[str]:
        return [{self.symbols: "go", self.symbols + 1: "."}.get(token, str(token)) for token in tokens]

    @property
    def heuristic(self) -> tuple[str, float]:
        lengths = range(self.min_length, self.max_length + 1)
        last = len(lengths) / sum(lengths)  # the share of answers that are the last symbol of their sequence
        return "the last symbol, over and over", last + (1 - last) / self.symbols
