"""Reverse in a bidirectional encoder: every position answers with its mirror image.

>>> print(Reverse(max_length=10).sample())
tokens  15 5 0 3  11 3 7 9  . .
answers 9  7 3 11 3  0 5 15 - -

Shapes: B sequences, N tokens each (`max_length`, so that shapes stay constant), all but the padding scored.
"""

import torch

from study.tasks.base import IGNORE, Batch, Task, at_least, check_short, draw_lengths, longer


class Reverse(Task):
    """Position i of a sequence of n symbols answers x_{n-1-i}; n is uniform in min_length .. max_length.

    Tokens: 0 .. symbols-1 the symbols, symbols padding on the right. Classes: the symbols.
    """

    name = "reverse"
    causal = False

    def __init__(
        self,
        *,
        min_length: int = 4,
        max_length: int = 20,
        symbols: int = 16,
        out_length: int | None = None,
        short: float | None = None,
    ):
        at_least(min_length=(min_length, 1), max_length=(max_length, min_length), symbols=(symbols, 2))
        check_short(short, min_length, max_length)
        self.min_length = min_length
        self.short = short
        self.length = self.max_length = max_length
        self.symbols = self.classes = symbols
        self.vocabulary = symbols + 1
        if out := longer(out_length, max_length, "max_length"):
            self.out = Reverse(min_length=max_length + 1, max_length=out, symbols=symbols, out_length=0)

    def batch(self, size: int, generator: torch.Generator, split: str = "train") -> Batch:
        device, N = generator.device, self.max_length
        short = self.short if split == "train" else None
        length_B1 = draw_lengths(size, self.min_length, N, generator, short)
        symbols_BN = torch.randint(self.symbols, (size, N), generator=generator, device=device)
        position_N = torch.arange(N, device=device)
        mask_BN = position_N < length_B1
        mirror_BN = (length_B1 - 1 - position_N).clamp(min=0)
        return Batch(
            symbols_BN.where(mask_BN, self.symbols),
            symbols_BN.gather(1, mirror_BN).where(mask_BN, IGNORE),
            mask_BN=mask_BN,
            slices={"length": length_B1.expand(-1, N)},
            sources_BT=mirror_BN,
        )

    def solve(self, tokens: list[int]) -> list[int]:
        real = [token for token in tokens if token != self.symbols]
        return real[::-1] + [IGNORE] * (len(tokens) - len(real))

    def source_names(self, tokens: list[int]) -> list[str]:
        return ["." if token == self.symbols else str(token) for token in tokens]

    @property
    def heuristic(self) -> tuple[str, float]:
        lengths = range(self.min_length, self.max_length + 1)
        middles = sum(n % 2 for n in lengths) / sum(lengths)  # the share of tokens that mirror themselves
        return "the token at the same place (right in the middle)", middles + (1 - middles) / self.symbols
