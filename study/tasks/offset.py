"""Offset: every position answers with the token a fixed number of positions back.

>>> print(Offset(length=12, distance=4).sample())
tokens  12 15 5 0 3  11 3 7 9 3  5 2
answers -  -  - - 12 15 5 0 3 11 3 7

Shapes: B sequences, N tokens each, N - distance scored places.
"""

import torch

from study.tasks.base import IGNORE, Batch, Task, at_least, longer


class Offset(Task):
    """Position i answers x[i - distance], from i = distance on; symbols are independent and uniform.

    Where to look is the same in every sequence, so content can't help to find it.
    Tokens and classes: the symbols.
    """

    name = "offset"
    causal = True

    def __init__(self, *, length: int = 32, distance: int = 8, symbols: int = 16, out_length: int | None = None):
        at_least(distance=(distance, 1), length=(length, distance + 1), symbols=(symbols, 2))
        self.length = length
        self.distance = distance
        self.vocabulary = self.classes = symbols
        if out := longer(out_length, length):
            self.out = Offset(length=out, distance=distance, symbols=symbols, out_length=0)

    def batch(self, size: int, generator: torch.Generator, split: str = "train") -> Batch:
        device = generator.device
        tokens_BN = torch.randint(self.vocabulary, (size, self.length), generator=generator, device=device)
        where_BT = torch.arange(self.distance, self.length, device=device).expand(size, -1)
        return Batch(
            tokens_BN,
            tokens_BN[:, : -self.distance],
            where_BT,
            slices={"position": where_BT},
        )

    def solve(self, tokens: list[int]) -> list[int]:
        return [IGNORE if i < self.distance else tokens[i - self.distance] for i in range(len(tokens))]

    @property
    def heuristic(self) -> tuple[str, float]:
        odds = [1 / (i + 1) for i in range(self.distance, self.length)]  # the chance to pick the very token
        hit = sum(odds) / len(odds)
        return "any token so far", hit + (1 - hit) / self.classes
