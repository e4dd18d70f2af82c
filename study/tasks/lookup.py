"""Lookup: report the value bound to the key that is asked for; a position holds its pair whole.

>>> print(Lookup(length=8, keys=8).sample())
tokens  2:1 3:3 4:1 6:2 0:0 5:3 1:2 0?
answers -   -   -   -   -   -   -   0

Shapes: B sequences, P pairs, N = P + 1 tokens each, 1 scored place each.
"""

import torch

from study.tasks.base import IGNORE, Batch, Task, at_least


class Lookup(Task):
    """Every position but the last holds a key and its value in one token; the last asks for one of the keys.

    Keys are distinct within a sequence, values are not. As a pair is one token, nothing has to be moved between positions
    before the answer is read: what is hard is to choose the position, and the question says which.
    Tokens: key * values + value the pairs, keys * values + key the questions. Classes: the values.
    """

    name = "lookup"
    causal = True

    def __init__(self, *, length: int = 16, keys: int = 16, values: int = 4):
        at_least(length=(length, 2), keys=(keys, length - 1), values=(values, 2))
        self.length = length
        self.keys = keys
        self.values = self.classes = values
        self.vocabulary = keys * values + keys

    def batch(self, size: int, generator: torch.Generator, split: str = "train") -> Batch:
        device, pairs = generator.device, self.length - 1
        keys_BP = torch.rand(size, self.keys, generator=generator, device=device).argsort(1)[:, :pairs]
        values_BP = torch.randint(self.values, (size, pairs), generator=generator, device=device)
        place_B1 = torch.randint(pairs, (size, 1), generator=generator, device=device)
        question_B1 = self.keys * self.values + keys_BP.gather(1, place_B1)
        return Batch(
            torch.cat([keys_BP * self.values + values_BP, question_B1], 1),
            values_BP.gather(1, place_B1),
            torch.full_like(place_B1, pairs),
            slices={"distance": pairs - place_B1},
        )

    def solve(self, tokens: list[int]) -> list[int]:
        asked = tokens[-1] - self.keys * self.values
        answers = [IGNORE] * len(tokens)
        for token in tokens[:-1]:
            key, value = divmod(token, self.values)
            if key == asked:
                answers[-1] = value
        return answers

    def source_names(self, tokens: list[int]) -> list[str]:
        pairs = self.keys * self.values
        return [f"{t // self.values}:{t % self.values}" if t < pairs else f"{t - pairs}?" for t in tokens]

    @property
    def heuristic(self) -> tuple[str, float]:
        right = 1 / (self.length - 1)  # how often the pair just before the question is the one asked for
        return "the value just before the question", right + (1 - right) / self.values
