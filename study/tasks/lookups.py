"""Several lookups at once: a query position names m keys and is answered by their m values together.

>>> print(Lookups(keys=5, lookups=3).sample())
tokens  3:0 1:3 4:3 0:0 2:1 2?    3?    4?    0?    1?
answers -   -   -   -   -   1,0,3 0,3,0 3,0,3 0,3,1 3,1,0

Shapes: B sequences, K keys, N = 2K tokens (K pairs, then K queries), K scored places, m lookups of each.
"""

import torch

from study.tasks.base import IGNORE, Batch, Task, at_least

MOST_CLASSES = 4096


class Lookups(Task):
    """K key-value pairs, one token each, in any order; then K queries in any order, each asking for m neighbouring keys.

    Query k names the keys k, k+1, ..., k+m-1 (modulo K) and is answered by their values as one number: the value of the
    first named key is its lowest digit in base `values`. Every answer needs m sources, seen from one position.
    Tokens: key * values + value the pairs, keys * values + k the queries. Classes: values ** m.
    """

    name = "lookups"
    causal = True

    def __init__(self, *, keys: int = 16, values: int = 4, lookups: int = 4):
        at_least(values=(values, 2), lookups=(lookups, 1), keys=(keys, lookups))
        if values**lookups > MOST_CLASSES:
            raise ValueError(f"values ** lookups is {values**lookups}; lower either, to at most {MOST_CLASSES} classes")
        self.keys, self.values, self.lookups = keys, values, lookups
        self.length = 2 * keys
        self.vocabulary = keys * values + keys
        self.classes = values**lookups

    def batch(self, size: int, generator: torch.Generator, split: str = "train") -> Batch:
        device, K = generator.device, self.keys

        def shuffled_BK() -> torch.Tensor:
            return torch.rand(size, K, generator=generator, device=device).argsort(1)

        value_BK = torch.randint(self.values, (size, K), generator=generator, device=device)  # of each key
        keys_BK, queries_BK = shuffled_BK(), shuffled_BK()
        targets_BK = torch.zeros_like(queries_BK)
        for digit in range(self.lookups):
            targets_BK += value_BK.gather(1, (queries_BK + digit) % K) * self.values**digit
        pairs_BK = keys_BK * self.values + value_BK.gather(1, keys_BK)
        where_K = torch.arange(K, 2 * K, device=device)
        return Batch(
            torch.cat([pairs_BK, queries_BK + K * self.values], 1),
            targets_BK,
            where_K.expand(size, -1),
            slices={"lookups": torch.full_like(targets_BK, self.lookups)},
        )

    def solve(self, tokens: list[int]) -> list[int]:
        known: dict[int, int] = {}
        answers = [IGNORE] * len(tokens)
        for place, token in enumerate(tokens):
            if token < self.keys * self.values:
                known[token // self.values] = token % self.values
            else:
                answer = 0
                for back in reversed(range(self.lookups)):
                    answer = answer * self.values + known[(token - self.keys * self.values + back) % self.keys]
                answers[place] = answer
        return answers

    def source_names(self, tokens: list[int]) -> list[str]:
        pairs = self.keys * self.values
        return [f"{t // self.values}:{t % self.values}" if t < pairs else f"{t - pairs}?" for t in tokens]

    def target_names(self, tokens: list[int]) -> list[str]:
        return [",".join(str(token // self.values**digit % self.values) for digit in range(self.lookups)) for token in tokens]

    @property
    def heuristic(self) -> tuple[str, float]:
        return "the first value by its key, the others by chance", self.values / self.classes
