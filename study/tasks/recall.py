"""Recall of one marked token at a controlled distance, the length held constant.

>>> print(Recall(length=12).sample())
tokens  *7 5 0 3 3 3 7 1 3 5 2 ?
answers -  - - - - - - - - - - 7

Shapes: B sequences, N tokens each, 1 scored place each.
"""

import torch

from study.tasks.base import IGNORE, Batch, Constant, Task, at_least


class Recall(Task):
    """One marked symbol stands `distance` before the last position, the question: uniform in 1 .. length-1, or one of the
    list `distances`, where that is not empty.

    Every other position holds an unmarked symbol of the same alphabet, so that only the mark tells which
    token counts, and only the distance changes from sequence to sequence: the length never does.
    Tokens: 0 .. symbols-1 plain, symbols .. 2 symbols-1 marked, 2 symbols the query. Classes: the symbols.
    """

    name = "recall"
    causal = True

    def __init__(self, *, length: int = 64, symbols: int = 8, distances: list[int] = []):  # noqa: B006 (read, never written)
        at_least(length=(length, 2), symbols=(symbols, 2))
        if outside := [distance for distance in distances if not 1 <= distance < length]:
            raise ValueError(f"distances has {outside[0]}; each must be 1 to {length - 1} (length - 1)")
        self.distances = list(distances) or list(range(1, length))
        self._distances = Constant(torch.tensor(self.distances, device="cpu"))
        self.length = length
        self.symbols = symbols
        self.vocabulary = 2 * symbols + 1
        self.classes = symbols

    def batch(self, size: int, generator: torch.Generator, split: str = "train") -> Batch:
        device, last = generator.device, self.length - 1
        choice_B1 = torch.randint(len(self.distances), (size, 1), generator=generator, device=device)
        distance_B1 = self._distances.on(device)[choice_B1]
        tokens_BN = torch.randint(self.symbols, (size, self.length), generator=generator, device=device)
        place_B1 = last - distance_B1
        targets_B1 = tokens_BN.gather(1, place_B1)
        tokens_BN.scatter_(1, place_B1, targets_B1 + self.symbols)
        tokens_BN[:, last] = 2 * self.symbols
        where_B1 = torch.full_like(place_B1, last)
        return Batch(tokens_BN, targets_B1, where_B1, slices={"distance": distance_B1})

    def solve(self, tokens: list[int]) -> list[int]:
        answers = [IGNORE] * len(tokens)
        for token in tokens:
            if self.symbols <= token < 2 * self.symbols:
                answers[-1] = token - self.symbols
        return answers

    def source_names(self, tokens: list[int]) -> list[str]:
        names = [*map(str, range(self.symbols)), *(f"*{symbol}" for symbol in range(self.symbols)), "?"]
        return [names[token] for token in tokens]

    @property
    def heuristic(self) -> tuple[str, float]:
        adjacent = self.distances.count(1) / len(self.distances)  # how often the marked token is the last but one
        return "the symbol just before the query", adjacent + (1 - adjacent) / self.symbols
