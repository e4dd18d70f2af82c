"""Numbers in words, to be written in digits: a translation that needs no corpus.

>>> print(Numbers().sample())
source two hundred and thirty one </s>
target 2 3 1 </s>

Shapes: B pairs, M source tokens, T target tokens.
"""

from typing import Any

import torch

from study.tasks.base import at_least
from study.tasks.judging import signatures, translation, up_to_tens
from study.tasks.pairs import PairBatch, PairTask, host, padded, without_end
from study.tokens import END, SPECIAL, UNKNOWN

ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
WORDS = [*SPECIAL, *ONES, *TENS, "hundred", "thousand", "and"]
MOST_DIGITS = 6


class Numbers(PairTask):
    """ "three hundred and five" -> "3 0 5", a token for each word and each digit.

    Numbers have 1 .. `digits` digits (at most 6), each as often, and are alike among those with as many.
    """

    name = "numbers"
    decoded = ("bleu", "chrf")
    vocabulary = len(WORDS)
    classes = len(SPECIAL) + 10

    def __init__(self, *, digits: int = 6):
        at_least(digits=(digits, 1))
        if digits > MOST_DIGITS:
            raise ValueError(f"digits is {digits}; it must be at most {MOST_DIGITS}")
        self.digits = digits
        self.target_length = self.longest_target = digits + 1
        most = len(words(int("7" * digits)))  # no number of as many digits takes more words
        self.source_length = self.longest_source = most + 1
        self.length = round(1 + (1 + digits) / 2)
        samples = [[len(words(number)) + 1 for number in _evenly(count)] for count in range(1, digits + 1)]
        self.mean_source = sum(sum(sample) / len(sample) for sample in samples) / digits

    def batch(self, size: int, generator: torch.Generator, split: str = "train") -> PairBatch:
        device, own = generator.device, host(generator)
        counts = torch.randint(1, self.digits + 1, (size,), generator=own, device="cpu").tolist()
        shares = torch.rand(size, generator=own, dtype=torch.float64, device="cpu").tolist()
        ranges = [_range(count) for count in counts]
        numbers = [numbers[int(share * len(numbers))] for numbers, share in zip(ranges, shares, strict=True)]
        target_BT = padded([[*(len(SPECIAL) + int(digit) for digit in str(number)), END] for number in numbers], device)
        return PairBatch(
            padded([[*map(WORDS.index, words(number)), END] for number in numbers], device),
            target_BT,
            slices={"length": padded([[count] for count in counts], device).expand_as(target_BT)},
        )

    def solve(self, tokens: list[int]) -> list[int]:
        total = group = 0
        for token in tokens[: tokens.index(END)]:
            word = WORDS[token]
            if word in ONES:
                group += ONES.index(word)
            elif word in TENS:
                group += 20 + 10 * TENS.index(word)
            elif word == "hundred":
                group *= 100
            elif word == "thousand":
                total, group = 1000 * group, 0
        return [*(len(SPECIAL) + int(digit) for digit in str(total + group)), END]

    def judge(self, outputs: list[list[int]], batches: list[PairBatch]) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        sources = [without_end(row) for batch in batches for row in batch.source_BM.tolist()]
        targets = [without_end(row) for batch in batches for row in batch.target_BT.tolist()]
        bins = [up_to_tens(len(source)) for source in sources]
        return translation([self.write(output) for output in outputs], [self.write(target) for target in targets], bins)

    def write(self, tokens: list[int]) -> str:
        return " ".join(self.target_names(tokens))

    def read(self, text: str) -> list[int]:
        names = text.split()
        if unknown := [name for name in names if name not in WORDS[len(SPECIAL) :]]:
            raise ValueError(f"{unknown[0]!r} is no word of a number here; write it as in: {' '.join(words(305_021))}")
        if not 0 < len(names) < self.source_length:
            raise ValueError(f"{len(names)} words: there must be from 1 to {self.source_length - 1}")
        return [*map(WORDS.index, names), END]

    def source_names(self, tokens: list[int]) -> list[str]:
        return [WORDS[token] for token in tokens]

    def target_names(self, tokens: list[int]) -> list[str]:
        return [SPECIAL[token] if token <= UNKNOWN else str(token - len(SPECIAL)) for token in tokens]

    @property
    def heuristic(self) -> tuple[str, float]:
        # END, and the digit 7 for every other: of n digits the first is 1 to 9, and 0 to 9 where n = 1
        right = [1 + 1 / 10] + [1 + 1 / 9 + (n - 1) / 10 for n in range(2, self.digits + 1)]
        return "7, and END at the end", sum(right) / sum(n + 1 for n in range(1, self.digits + 1))

    def provenance(self) -> dict[str, Any]:
        return {"source": "generated", "signature": signatures()}


def words(number: int) -> list[str]:
    """A number from 0 to 999,999 in English words."""
    if number < 20:
        return [ONES[number]]
    if number < 100:
        return [TENS[number // 10 - 2], *_rest(number % 10, "")]
    if number < 1000:
        return [ONES[number // 100], "hundred", *_rest(number % 100, "and")]
    return [*words(number // 1000), "thousand", *_rest(number % 1000, "and" if number % 1000 < 100 else "")]


def _rest(number: int, joint: str) -> list[str]:
    return [*joint.split(), *words(number)] if number else []


def _range(digits: int) -> range:
    """All numbers with as many digits."""
    return range(10 ** (digits - 1) if digits > 1 else 0, 10**digits)


def _evenly(digits: int) -> range:
    """A thousand of them or fewer, at equal steps."""
    return _range(digits)[:: 10**digits // 1000 | 1]  # an odd step, so that they end on all digits
