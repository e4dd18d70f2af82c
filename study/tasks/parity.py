"""Running parity of bits: the task recurrence should win (Hahn 2020; Deletang et al. 2022).

>>> print(Parity(length=12).sample())
tokens  0 1 1 0 1 1 1 1 1 1 1 0
answers 0 1 0 0 1 0 1 0 1 0 1 1

Shapes: B sequences, N bits each, all scored.
"""

import torch

from study.tasks.base import Batch, Task, at_least, longer, up_to_power_of_two


class Parity(Task):
    """Each position answers whether the number of ones up to and including itself is odd."""

    name = "parity"
    causal = True
    vocabulary = classes = 2

    def __init__(self, *, length: int = 32, out_length: int | None = None):
        at_least(length=(length, 1))
        self.length = length
        if out := longer(out_length, length):
            self.out = Parity(length=out, out_length=0)

    def batch(self, size: int, generator: torch.Generator, split: str = "train") -> Batch:
        device = generator.device
        tokens_BN = torch.randint(2, (size, self.length), generator=generator, device=device)
        position_N = up_to_power_of_two(torch.arange(1, self.length + 1, device=device))
        return Batch(tokens_BN, tokens_BN.cumsum(1) % 2, slices={"position": position_N.expand(size, -1)})

    def solve(self, tokens: list[int]) -> list[int]:
        odd, answers = False, []
        for bit in tokens:
            odd = odd != bool(bit)
            answers.append(int(odd))
        return answers

    @property
    def heuristic(self) -> tuple[str, float]:
        first = 1 / self.length
        return "the current bit (right at the first position, a coin's throw after)", first + (1 - first) / 2
