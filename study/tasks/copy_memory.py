"""Copy memory at a controlled distance, the length held constant (Hochreiter & Schmidhuber 1997; Bai et al. 2018, section 4).

Beside `copy`, whose distance is the number of symbols and whose length grows with it, here blanks stand in between.

>>> print(CopyMemory(length=16, items=3).sample())
tokens  7 5 0 . . . . . . . . . . go go go
answers - - - - - - - - - - - - - 7  5  0

Shapes: B sequences, N tokens each, K symbols and as many scored places.
"""

import torch

from study.tasks.base import IGNORE, Batch, Task, at_least


class CopyMemory(Task):
    """K symbols, a number of blanks, K times the token "go", and blanks to the end; the j-th go answers the j-th symbol.

    The number of blanks in between is uniform, so that the distance from symbol to answer is uniform in K .. length-K,
    while the length never changes; or it is always the one `distance` that is given, as in the papers. The input never
    shows an answer, so all K symbols have to be held or found.
    Tokens: 0 .. symbols-1 the symbols, symbols the blank, symbols+1 "go". Classes: the symbols.
    """

    name = "copy_memory"
    causal = True

    def __init__(self, *, length: int = 48, items: int = 4, symbols: int = 8, distance: int | None = None):
        at_least(items=(items, 1), symbols=(symbols, 2), length=(length, 2 * items))
        self.nearest, self.farthest = (items, length - items) if distance is None else (distance, distance)
        if not items <= self.nearest <= length - items:
            raise ValueError(f"distance is {distance}; it must be {items} (items) to {length - items}, or null for all")
        self.length, self.items, self.symbols = length, items, symbols
        self.vocabulary = symbols + 2
        self.classes = symbols

    def batch(self, size: int, generator: torch.Generator, split: str = "train") -> Batch:
        device, K = generator.device, self.items
        distance_B1 = torch.randint(self.nearest, self.farthest + 1, (size, 1), generator=generator, device=device)
        symbols_BK = torch.randint(self.symbols, (size, K), generator=generator, device=device)
        index_K = torch.arange(K, device=device)
        where_BK = distance_B1 + index_K
        tokens_BN = torch.full((size, self.length), self.symbols, device=device)
        tokens_BN[:, :K] = symbols_BK
        tokens_BN.scatter_(1, where_BK, self.symbols + 1)
        return Batch(
            tokens_BN,
            symbols_BK,
            where_BK,
            slices={"distance": distance_B1.expand(-1, K)},
            sources_BT=index_K.expand(size, -1),
        )

    def solve(self, tokens: list[int]) -> list[int]:
        held: list[int] = []
        answers = []
        for token in tokens:
            if token < self.symbols:
                held.append(token)
            answers.append(held.pop(0) if token == self.symbols + 1 else IGNORE)
        return answers

    def source_names(self, tokens: list[int]) -> list[str]:
        return [{self.symbols: ".", self.symbols + 1: "go"}.get(token, str(token)) for token in tokens]

    @property
    def heuristic(self) -> tuple[str, float]:
        return "the last symbol, over and over", (1 + (self.items - 1) / self.symbols) / self.items
