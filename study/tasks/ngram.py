"""A fixed function of the last few tokens: the task convolution should win.

>>> print(NGram(length=12).sample())
tokens  4 7 5 0 3 3 3 7 1 3 5 2
answers - - 0 0 2 0 2 0 1 5 6 3

Shapes: B sequences, N tokens each, T = N - order + 1 scored places each.
"""

import random
from collections import Counter

import torch

from study.tasks.base import IGNORE, Batch, Constant, Task, at_least, up_to_power_of_two

TABLE_SEED = 20171206  # one table for every run, split and seed: what is to be learnt never changes
MOST_ENTRIES = 2**20


class NGram(Task):
    """Position i (from order-1 on) answers table[x_{i-order+1}, ..., x_i], a random table of classes.

    Tokens are uniform in 0 .. symbols-1. The table's entries are drawn once, uniformly, from a constant seed;
    a larger `order` or `symbols` makes the task harder, as symbols ** order entries have to be learnt.
    """

    name = "ngram"
    causal = True

    def __init__(self, *, length: int = 64, symbols: int = 8, order: int = 3, classes: int = 8):
        at_least(symbols=(symbols, 2), order=(order, 1), classes=(classes, 2), length=(length, order))
        if symbols**order > MOST_ENTRIES:
            raise ValueError(f"symbols ** order is {symbols**order}; lower either, to at most {MOST_ENTRIES} table entries")
        self.length = length
        self.symbols = self.vocabulary = symbols
        self.order = order
        self.classes = classes
        draw = random.Random(TABLE_SEED).random  # this stream is the same in every Python version
        self.table = [int(draw() * classes) for _ in range(symbols**order)]
        self._table = Constant(torch.tensor(self.table, device="cpu"))

    def batch(self, size: int, generator: torch.Generator, split: str = "train") -> Batch:
        device, first = generator.device, self.order - 1
        tokens_BN = torch.randint(self.symbols, (size, self.length), generator=generator, device=device)
        entry_BT = tokens_BN[:, : self.length - first]
        for offset in range(1, self.order):
            entry_BT = entry_BT * self.symbols + tokens_BN[:, offset : self.length - first + offset]
        where_T = torch.arange(first, self.length, device=device)
        return Batch(
            tokens_BN,
            self._table.on(device)[entry_BT],
            where_T.expand(size, -1),
            slices={"position": up_to_power_of_two(where_T + 1).expand(size, -1)},
        )

    def solve(self, tokens: list[int]) -> list[int]:
        answers = []
        for i in range(len(tokens)):
            if i < self.order - 1:
                answers.append(IGNORE)
                continue
            place = [tokens[i - back] * self.symbols**back for back in range(self.order)]
            answers.append(self.table[sum(place)])
        return answers

    @property
    def heuristic(self) -> tuple[str, float]:
        right = 0
        for token in range(self.symbols):  # the current token is the last digit of an entry's number
            right += Counter(self.table[token :: self.symbols]).most_common(1)[0][1]
        return "the commonest answer to the current token alone", right / len(self.table)
