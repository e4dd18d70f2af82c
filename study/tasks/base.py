"""What a task is: batches with their targets and slices, and what is needed to judge a score on it.

Shapes: B sequences, N tokens each, T scored places each.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from study.seeding import stream

IGNORE = -100  # the target of a place that isn't scored (torch's own default in cross_entropy)


class AnyBatch(Protocol):
    """What training and scoring ask of a batch, whatever its kind."""

    @property
    def targets_BT(self) -> Tensor: ...

    @property
    def characters_BT(self) -> Tensor | None: ...

    @property
    def slices(self) -> dict[str, Tensor]: ...

    def inputs(self) -> dict[str, Any]:
        """What the model is called with, by keyword."""


@dataclass
class Batch:
    tokens_BN: Tensor  # long
    targets_BT: Tensor  # long, IGNORE where nothing is scored
    where_BT: Tensor | None = None  # long, the position of each target; None: all positions in order, T = N
    mask_BN: Tensor | None = None  # bool, True = real token; None: all are real
    slices: dict[str, Tensor] = field(default_factory=dict)  # long (B, T), small, >= 0; void at IGNORE
    sources_BT: Tensor | None = None  # long, the one position that holds each answer (its gold edge); void at IGNORE
    characters_BT: Tensor | None = None  # long, how many characters each target stands for; None: one

    def inputs(self) -> dict[str, Any]:
        return {"tokens_BN": self.tokens_BN, "where_BT": self.where_BT, "mask_BN": self.mask_BN}


class Task(ABC):
    """A source of batches. A new one is a class and a yaml in conf/task; tests/tasks tests every yaml.

    - The constructor takes keywords only, which the yaml alone explains: defaults, words and bounds. For values that cannot be,
      it raises ValueError in one line.
    - The module's docstring ends on a sample, as `sample` draws it.
    - Padding stands on the right (`mask_BN`). A position is scored once at most, and never where padding stands.
    - There is at least one slice: what the score may hang on. A source, where there is one, is a position that the model may
    attend to, and another token there means another answer.
    - Longer sequences (`out`) have the same vocabulary, classes, direction and metric.
    - chance < heuristic < solved_at; in bits per character, heuristic < chance.
    """

    name: str  # as the command line calls it, task=NAME
    kind: str = "tokens"  # of the batches, and of the models that can answer them: a module of study.kinds
    vocabulary: int  # tokens lie in 0 .. vocabulary - 1
    classes: int  # targets lie in 0 .. classes - 1
    causal: bool  # True: position i is answered from tokens 0 .. i
    length: int  # N in training
    metric: Literal["accuracy", "bits_per_character"] = "accuracy"
    solved_at: float | None = 0.99  # the accuracy from which the task counts as solved; None: never
    out: "Task | None" = None  # the same task on longer sequences than in training

    @abstractmethod
    def batch(self, size: int, generator: torch.Generator, split: str = "train") -> Any:
        """`size` sequences, pairs or images on `generator.device`: a pure function of the generator's state (and split).

        Synthetic tasks draw every split from one distribution and ignore `split`: theirs differ by seed
        (`study.seeding`). Nothing waits for the device.
        """

    @abstractmethod
    def solve(self, tokens: list[int]) -> list[int]:
        """The answer at each of the N positions, by a plain loop that shares no code with `batch`.

        IGNORE where the task asks nothing, or where the answer is not in `tokens`.
        """

    def evaluation_batches(self, items: int, size: int, split: str) -> int:
        """How many batches of `size` an evaluation on `split` takes: so many that they hold `items` scored places."""
        generator = torch.Generator("cpu").manual_seed(stream(0, "validation", "count"))
        targets_BT = self.batch(size, generator, "validation").targets_BT
        return math.ceil(items / max(1, int((targets_BT != IGNORE).sum())))

    def evaluation_batch(self, index: int, size: int, generator: torch.Generator, split: str) -> Any:
        """One of these batches, by its number. A draw, unless the split is a corpus to go through in order."""
        return self.batch(size, generator, split)

    def evaluations(self) -> dict[str, "Task"]:
        """What is measured after training: "test", and "out" (longer sequences) where the task has one."""
        return {"test": self} | ({"out": self.out} if self.out else {})

    def source_names(self, tokens: list[int]) -> list[str]:
        """Tokens one by one, in symbols."""
        return [str(token) for token in tokens]

    def target_names(self, tokens: list[int]) -> list[str]:
        """Classes one by one, in symbols."""
        return [str(token) for token in tokens]

    def sample(self, seed: int = 0) -> str:
        """What a batch of one holds, in symbols: tokens, and below each its answer, or a dash where none is scored."""
        batch = self.batch(1, torch.Generator().manual_seed(seed))
        tokens, targets = batch.tokens_BN[0].tolist(), batch.targets_BT[0].tolist()
        answers = ["-"] * len(tokens)
        for place, target in zip(
            range(len(tokens)) if batch.where_BT is None else batch.where_BT[0].tolist(), targets, strict=True
        ):
            if target != IGNORE:
                answers[place] = self.target_names([target])[0]
        columns = list(zip(["tokens ", *self.source_names(tokens)], ["answers", *answers], strict=True))
        return "\n".join(" ".join(c[row].ljust(max(map(len, c))) for c in columns).rstrip() for row in (0, 1))

    @property
    def chance(self) -> float:
        """The score of guessing every class alike, in the task's metric."""
        return 1 / self.classes

    @property
    def heuristic(self) -> tuple[str, float] | None:
        """A trivial strategy in words, and its expected score; None where there is none worth naming."""
        return None

    def provenance(self) -> dict[str, Any]:
        """Where real data came from (source, path, sha256, characters); empty for what is generated."""
        return {}


def at_least(**bounds: tuple[int, int]) -> None:
    """ValueError unless value >= minimum in each `name=(value, minimum)`."""
    for name, (value, minimum) in bounds.items():
        if value < minimum:
            raise ValueError(f"{name} is {value}; it must be at least {minimum}")


def longer(out_length: int | None, length: int, name: str = "length") -> int:
    """Resolve the key `out_length` (None: twice the training length; 0: no such evaluation)."""
    if out_length is None:
        return 2 * length
    if out_length and out_length <= length:
        raise ValueError(
            f"out_length is {out_length}, no longer than {name} ({length}); "
            f"use more than {length}, null for {2 * length}, or 0 for no longer evaluation"
        )
    return out_length


def check_short(short: float | None, min_length: int, max_length: int) -> None:
    """ValueError unless the key `short` is None, or a share of lengths that has two halves to divide."""
    if short is None:
        return
    if not 0 <= short <= 1:
        raise ValueError(f"short is {short}; it must be a share from 0 to 1, or null for lengths that are all alike")
    if min_length == max_length:
        raise ValueError(f"short is {short}, but all lengths are {max_length}; use null, or a smaller min_length")


def draw_lengths(size: int, min_length: int, max_length: int, generator: torch.Generator, short: float | None = None) -> Tensor:
    """(size, 1), uniform in min_length .. max_length.

    With `short`, this share of them is uniform up to the middle of the range, the rest uniform above it.
    """

    def uniform(low: int, high: int) -> Tensor:
        return torch.randint(low, high + 1, (size, 1), generator=generator, device=generator.device)

    if short is None:
        return uniform(min_length, max_length)
    middle = (min_length + max_length) // 2
    is_short = torch.rand((size, 1), generator=generator, device=generator.device) < short
    return uniform(min_length, middle).where(is_short, uniform(middle + 1, max_length))


def up_to_power_of_two(values: Tensor) -> Tensor:
    """Bins for slices: each value (1 .. 2^31) becomes the smallest power of two that isn't below it."""
    edges = 2 ** torch.arange(32, device=values.device)
    return edges[torch.bucketize(values, edges)]


class Constant:
    """A tensor that is the same in every batch: copied to each device once, then read there."""

    def __init__(self, values: Tensor):
        self.copies = {torch.device("cpu"): values}

    def on(self, device: torch.device) -> Tensor:
        if device not in self.copies:
            self.copies[device] = self.copies[torch.device("cpu")].to(device)
        return self.copies[device]
