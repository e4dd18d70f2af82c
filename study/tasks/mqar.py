"""Multi-query associative recall (MQAR): Arora et al. 2023, "Zoology"; multiquery_ar.py of its code.

Two choices differ from the published generator: questions stand anywhere after the pairs (there: mostly soon
after), and what asks nothing holds one filler token (there: the filler, or random tokens).

>>> print(MQAR(length=12, pairs=[2], keys=4, values=4).sample())
tokens  k1 v3 k2 v1 . . . k1 k2 . . .
answers -  -  -  -  - - - v3 v1 - - -

Shapes: B sequences, N tokens each, P pair slots (the largest entry of `pairs`) and as many scored places.
"""

import torch

from study.tasks.base import IGNORE, Batch, Constant, Task, at_least, longer, up_to_power_of_two


class MQAR(Task):
    """Key-value pairs come first; each key is asked for once, anywhere in the rest; the answer is its value.

    A sequence has m pairs, m drawn from the list `pairs`; the slots it leaves unused, and all positions that
    ask nothing, hold the filler. Keys are distinct within a sequence, and so are values (as in the published
    generator); the two have alphabets of their own.
    Tokens: 0 .. keys-1 keys, keys .. keys+values-1 values, keys+values the filler. Classes: the values.
    """

    name = "mqar"
    causal = True

    def __init__(
        self,
        *,
        length: int = 64,
        pairs: list[int] = [4],  # noqa: B006 (read, never written)
        keys: int = 16,
        values: int = 16,
        out_length: int | None = 0,
        out_pairs: list[int] = [],  # noqa: B006
    ):
        if not pairs:
            raise ValueError("pairs is empty; give at least one number of pairs, such as [4]")
        most = max(pairs)
        at_least(pairs=(min(pairs), 1), keys=(keys, most), values=(values, max(most, 2)))
        at_least(length=(length, 3 * most))  # key, value, question
        self.length = length
        self.pairs = list(pairs)
        self.slots = most
        self.keys = keys
        self.values = values
        self.filler = keys + values
        self.vocabulary = keys + values + 1
        self.classes = values
        self._pairs = Constant(torch.tensor(self.pairs, device="cpu"))
        if out_length := longer(out_length, length):
            try:
                self.out = MQAR(length=out_length, pairs=out_pairs or pairs, keys=keys, values=values)
            except ValueError as error:
                raise ValueError(f'evaluation "out" (out_length, out_pairs): {error}') from None
        elif out_pairs:
            raise ValueError("out_pairs needs an out_length: set it (null: twice length) or empty out_pairs")

    def batch(self, size: int, generator: torch.Generator, split: str = "train") -> Batch:
        device, P = generator.device, self.slots

        def distinct_BP(alphabet: int) -> torch.Tensor:  # P different numbers below `alphabet` in each row
            return torch.rand(size, alphabet, generator=generator, device=device).argsort(1)[:, :P]

        choice_B1 = torch.randint(len(self.pairs), (size, 1), generator=generator, device=device)
        pairs_B1 = self._pairs.on(device)[choice_B1]
        slot_P = torch.arange(P, device=device)
        used_BP = slot_P < pairs_B1
        keys_BP = distinct_BP(self.keys).where(used_BP, self.filler)
        values_BP = distinct_BP(self.values)
        where_BP = distinct_BP(self.length - 2 * P) + 2 * P

        tokens_BN = torch.full((size, self.length), self.filler, device=device)
        tokens_BN[:, 0 : 2 * P : 2] = keys_BP
        tokens_BN[:, 1 : 2 * P : 2] = (values_BP + self.keys).where(used_BP, self.filler)
        tokens_BN.scatter_(1, where_BP, keys_BP)
        return Batch(
            tokens_BN,
            values_BP.where(used_BP, IGNORE),
            where_BP,
            slices={
                "pairs": pairs_B1.expand(-1, P),
                "distance": up_to_power_of_two(where_BP - (2 * slot_P + 1)),  # from value to query
            },
        )

    def solve(self, tokens: list[int]) -> list[int]:
        known: dict[int, int] = {}
        answers = [IGNORE] * len(tokens)
        for place, token in enumerate(tokens):
            if token < self.keys:
                if token in known:
                    answers[place] = known[token]
                else:
                    known[token] = tokens[place + 1] - self.keys
        return answers

    def source_names(self, tokens: list[int]) -> list[str]:
        return [f"k{t}" if t < self.keys else f"v{t - self.keys}" if t < self.filler else "." for t in tokens]

    def target_names(self, tokens: list[int]) -> list[str]:
        return [f"v{token}" for token in tokens]

    @property
    def heuristic(self) -> tuple[str, float]:
        # Of the m questions of a sequence, a guess among its m values gets one right on average.
        return "any value of the sequence", len(self.pairs) / sum(self.pairs)
