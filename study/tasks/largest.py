"""Largest: report the class of the token that stands out most; nothing is asked for.

>>> print(Largest(length=8, saliences=9).sample())
tokens  2:3 3:1 4:2 8:0 6:3 0:2 5:0 ?
answers -   -   -   -   -   -   -   0

Shapes: B sequences, M markers, N = M + 1 tokens each, 1 scored place each.
"""

import torch

from study.tasks.base import IGNORE, Batch, Task, at_least, up_to_power_of_two


class Largest(Task):
    """Every position but the last holds a salience and a class in one token; the answer is the class of the most salient.

    Saliences are distinct within a sequence, classes are not. They lie within `window` levels, of which the lowest is
    uniform over the `saliences`: the narrower the window, the less a salience says by itself, and the more the others of its
    sequence decide whether it stands out. (A mean of what each token says by itself must give every level many times the
    weight of the level below.) The last token, where the answer is scored, is the same in all sequences: which position counts
    is a matter of the markers alone.
    Tokens: salience * symbols + class the markers, saliences * symbols the last. Classes: the symbols.
    """

    name = "largest"
    causal = True

    def __init__(self, *, length: int = 16, saliences: int = 20, window: int | None = None, symbols: int = 4):
        at_least(length=(length, 3), saliences=(saliences, length - 1), symbols=(symbols, 2))
        self.window = saliences if window is None else window
        at_least(window=(self.window, length - 1))
        if self.window > saliences:
            raise ValueError(f"window is {self.window}, more than the {saliences} saliences; take null for all of them")
        self.length = length
        self.saliences = saliences
        self.symbols = self.classes = symbols
        self.vocabulary = saliences * symbols + 1

    def batch(self, size: int, generator: torch.Generator, split: str = "train") -> Batch:
        device, markers = generator.device, self.length - 1
        salience_BM = torch.rand(size, self.window, generator=generator, device=device).argsort(1)[:, :markers]
        if places := self.saliences - self.window:
            salience_BM = salience_BM + torch.randint(places + 1, (size, 1), generator=generator, device=device)
        symbols_BM = torch.randint(self.symbols, (size, markers), generator=generator, device=device)
        tokens_BM = salience_BM * self.symbols + symbols_BM
        first_two_B2 = salience_BM.topk(2).values
        place_B1 = salience_BM.argmax(1, keepdim=True)
        return Batch(
            torch.cat([tokens_BM, torch.full_like(place_B1, self.saliences * self.symbols)], 1),
            symbols_BM.gather(1, place_B1),
            torch.full_like(place_B1, markers),
            slices={
                "distance": markers - place_B1,
                "lead": up_to_power_of_two(first_two_B2[:, :1] - first_two_B2[:, 1:]),  # over the second most salient
            },
        )

    def solve(self, tokens: list[int]) -> list[int]:
        salience, symbol = max(divmod(token, self.symbols) for token in tokens[:-1])
        return [IGNORE] * (len(tokens) - 1) + [symbol]

    def source_names(self, tokens: list[int]) -> list[str]:
        markers = (divmod(token, self.symbols) for token in tokens)
        return [f"{salience}:{symbol}" if salience < self.saliences else "?" for salience, symbol in markers]

    @property
    def heuristic(self) -> tuple[str, float]:
        right = 1 / (self.length - 1)  # how often the last marker is the most salient one
        return "the class of the last marker", right + (1 - right) / self.symbols
