"""Agreement of a verb with its subject across attractors, in a small grammar (after Linzen et al. 2016).

>>> print(Agreement(length=12, most=2).sample(seed=3))
tokens  adv2 many1 adv2 of one3 adv0 adv1 adv3 adv2 of one3 verb
answers -    -     -    -  -    -    -    -    -    -  -    many

Shapes: B sequences, N tokens each, 1 scored place each.
"""

import torch
from torch import Tensor

from study.tasks.base import IGNORE, Batch, Task, at_least


class Agreement(Task):
    """The verb, always last, answers the number of its subject: the one noun that no preposition precedes.

    A sequence is adverbs, the subject `distance` before the verb, and phrases of a preposition and a noun: `attractors`
    of them between subject and verb, any number up to as many before the subject, where there is room. Distance is uniform
    in 2 most+1 .. length-1, attractors in 0 .. most, independently; every noun's number is drawn independently, with odds 1/2.
    Tokens: 0 .. nouns-1 singular nouns, nouns .. 2 nouns-1 plural ones, then preposition, verb, and `adverbs` adverbs.
    Classes: 0 singular, 1 plural.
    """

    name = "agreement"
    causal = True
    classes = 2

    def __init__(self, *, length: int = 48, most: int = 4, nouns: int = 4, adverbs: int = 4):
        at_least(most=(most, 0), nouns=(nouns, 1), adverbs=(adverbs, 1), length=(length, 2 * most + 2))
        self.length, self.most, self.nouns, self.adverbs = length, most, nouns, adverbs
        self.preposition = 2 * nouns
        self.verb = 2 * nouns + 1
        self.vocabulary = 2 * nouns + 2 + adverbs

    def batch(self, size: int, generator: torch.Generator, split: str = "train") -> Batch:
        device, last = generator.device, self.length - 1

        def draw(low: int, high: int, width: int = 1) -> Tensor:
            return torch.randint(low, high, (size, width), generator=generator, device=device)

        subject_B1 = last - draw(2 * self.most + 1, self.length)
        attractors_B1 = draw(0, self.most + 1)
        before_B1 = torch.minimum(draw(0, self.most + 1), subject_B1 // 2)
        noun_BN = torch.zeros(size, self.length + 1, dtype=torch.bool, device=device)  # one spare, for phrases not there
        noun_BN.scatter_(1, self._phrases(subject_B1 * 0, subject_B1, before_B1, generator), True)
        noun_BN.scatter_(1, self._phrases(subject_B1 + 1, last - subject_B1 - 1, attractors_B1, generator), True)
        noun_BN = noun_BN[:, :-1]
        preposition_BN = noun_BN.roll(-1, 1)
        noun_BN = noun_BN.scatter(1, subject_B1, True)
        tokens_BN = draw(self.verb + 1, self.vocabulary, self.length)
        tokens_BN = tokens_BN.where(~preposition_BN, self.preposition)
        tokens_BN = draw(0, 2 * self.nouns, self.length).where(noun_BN, tokens_BN)
        tokens_BN[:, last] = self.verb
        return Batch(
            tokens_BN,
            tokens_BN.gather(1, subject_B1) // self.nouns,
            torch.full_like(subject_B1, last),
            slices={"distance": last - subject_B1, "attractors": attractors_B1},
            sources_BT=subject_B1,
        )

    def _phrases(self, start_B1: Tensor, room_B1: Tensor, count_B1: Tensor, generator: torch.Generator) -> Tensor:
        """Places (B, most) of the nouns of `count` phrases, two tokens each, anywhere in `room` tokens; N for those not there.

        Drawn without overlap: `count` of room - count slots, each noun then pushed on by the prepositions up to its own.
        """
        N, most = self.length, self.most
        rank_BN = torch.rand(start_B1.shape[0], N, generator=generator, device=start_B1.device)
        free_BN = torch.arange(N, device=start_B1.device) < room_B1 - count_B1
        slot_BM = rank_BN.where(free_BN, 2.0).argsort(1)[:, :most]
        there_BM = torch.arange(most, device=start_B1.device) < count_B1
        slot_BM = slot_BM.where(there_BM, N).sort(1).values
        place_BM = start_B1 + slot_BM + torch.arange(1, most + 1, device=start_B1.device)
        return place_BM.where(there_BM, N)

    def solve(self, tokens: list[int]) -> list[int]:
        answers = [IGNORE] * len(tokens)
        for place, token in enumerate(tokens):
            if token < 2 * self.nouns and (place == 0 or tokens[place - 1] != self.preposition):
                answers[-1] = int(token >= self.nouns)
        return answers

    def source_names(self, tokens: list[int]) -> list[str]:
        nouns = [f"{number}{noun}" for number in ("one", "many") for noun in range(self.nouns)]
        names = [*nouns, "of", "verb", *(f"adv{adverb}" for adverb in range(self.adverbs))]
        return [names[token] for token in tokens]

    def target_names(self, tokens: list[int]) -> list[str]:
        return [("one", "many")[token] for token in tokens]

    @property
    def heuristic(self) -> tuple[str, float]:
        alone = 1 / (self.most + 1)  # how often there is no attractor
        return "the number of the nearest noun", alone + (1 - alone) / 2
