"""Brackets: each closing bracket answers the type of its partner (Dyck words; Hewitt et al. 2020).

>>> print(Brackets(length=12, types=3).sample(seed=1))
tokens  (1 (2 (0 ) ) (1 ) ) (2 (0 ) )
answers -  -  -  0 2 -  1 1 -  -  0 2

Shapes: B sequences, N tokens each, closing places scored.
"""

import torch

from study.tasks.base import IGNORE, Batch, Task, at_least, up_to_power_of_two


class Brackets(Task):
    """Opening brackets of several types and one closing bracket, nested at most `depth` deep; the end may leave some open.

    A coin decides at each position between opening and closing; with none open it opens, at `depth` it closes. As the
    closing bracket does not show its type, it must be found by its partner: the last opening one not closed yet.
    Tokens: 0 .. types-1 opening, types closing. Classes: the types.
    """

    name = "brackets"
    causal = True

    def __init__(self, *, length: int = 32, types: int = 8, depth: int = 4):
        at_least(length=(length, 2), types=(types, 2), depth=(depth, 1))
        self.length, self.depth = length, depth
        self.types = self.classes = types
        self.vocabulary = types + 1

    def batch(self, size: int, generator: torch.Generator, split: str = "train") -> Batch:
        device, N = generator.device, self.length
        types_BN = torch.randint(self.types, (size, N), generator=generator, device=device)
        coin_BN = torch.randint(2, (size, N), generator=generator, device=device).bool()
        depth_B = torch.zeros(size, dtype=torch.long, device=device)
        stack_BS = torch.zeros(size, self.depth + 2, dtype=torch.long, device=device)  # positions of the open ones
        opens, partners, depths = [], [], []
        for n in range(N):
            open_B = (coin_BN[:, n] | (depth_B == 0)) & (depth_B < self.depth)
            opens.append(open_B)
            depths.append(depth_B)
            partners.append(stack_BS.gather(1, depth_B[:, None])[:, 0])  # of a closing one; else void
            stack_BS.scatter_(1, depth_B[:, None] + 1, n)  # void, too, unless it opens
            depth_B = depth_B + 2 * open_B - 1
        open_BN, partner_BN, depth_BN = (torch.stack(found, 1) for found in (opens, partners, depths))
        distance_BN = (torch.arange(N, device=device) - partner_BN).clamp(min=1)
        return Batch(
            types_BN.where(open_BN, self.types),
            types_BN.gather(1, partner_BN).masked_fill(open_BN, IGNORE),
            slices={"distance": up_to_power_of_two(distance_BN), "depth": depth_BN},
            sources_BT=partner_BN,
        )

    def solve(self, tokens: list[int]) -> list[int]:
        still_open: list[int] = []
        answers = []
        for token in tokens:
            if token < self.types:
                still_open.append(token)
            answers.append(still_open.pop() if token == self.types else IGNORE)
        return answers

    def source_names(self, tokens: list[int]) -> list[str]:
        return [")" if token == self.types else f"({token}" for token in tokens]

    @property
    def heuristic(self) -> tuple[str, float]:
        """The nearest opening bracket is the partner where the token before is one; else its type is right by chance."""
        at = {(0, False): 1.0}  # probability of (depth, whether the last token opened)
        closing = adjacent = 0.0
        for _ in range(self.length):
            after: dict[tuple[int, bool], float] = {}
            for (depth, opened), share in at.items():
                opens = 1.0 if depth == 0 else 0.0 if depth == self.depth else 0.5
                for next_state, part in (((depth + 1, True), opens), ((depth - 1, False), 1 - opens)):
                    if part:
                        after[next_state] = after.get(next_state, 0.0) + share * part
                closing += share * (1 - opens)
                adjacent += share * (1 - opens) * opened
            at = after
        right = adjacent / closing
        return "the type of the nearest opening bracket", right + (1 - right) / self.types
