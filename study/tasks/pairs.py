"""Tasks that answer one sequence with another: a source, and the target that a decoder has to write.

Shapes: B pairs, M source tokens, T target tokens.
"""

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from study.tasks.base import IGNORE, Task
from study.tokens import PAD


@dataclass
class PairBatch:
    source_BM: Tensor  # long, each ends on END, then PAD
    target_BT: Tensor  # long, each ends on END, then PAD
    slices: dict[str, Tensor] = field(default_factory=dict)  # long (B, T), small, >= 0; void at padding
    sources_BT: Tensor | None = None  # long, the source position that each target token comes from; IGNORE: from none
    characters_BT: Tensor | None = None  # long, how many characters each target stands for; None: one
    references: list[list[str]] | None = None  # what else is right for each pair, as a person reads it, best first
    rows: range | None = None  # which pairs of a corpus's split these are; None where pairs are generated

    @property
    def targets_BT(self) -> Tensor:
        return self.target_BT.masked_fill(self.target_BT == PAD, IGNORE)

    def inputs(self) -> dict[str, Tensor]:
        """What the model is called with."""
        return {"source_BM": self.source_BM, "target_BT": self.target_BT}


class PairTask(Task):
    """A source of pairs. `vocabulary` counts source tokens, `classes` target tokens; both begin with `study.tokens`."""

    kind = "pairs"
    causal = True
    source_length: int  # longest source, END included
    target_length: int  # longest target, END included
    length: int  # mean target length, END included; `batch` may trade pairs for tokens around it
    mean_source: float  # mean source length, END included
    decoded: tuple[str, ...]  # the scores that `judge` gives

    @abstractmethod
    def batch(self, size: int, generator: torch.Generator, split: str = "train") -> PairBatch: ...

    @abstractmethod
    def judge(
        self, outputs: list[list[int]], batches: list[PairBatch]
    ) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        """Scores of what was decoded (tokens without END) for the sources of `batches`, in order; whole and per slice."""

    @abstractmethod
    def write(self, tokens: list[int]) -> str:
        """Target tokens as a person reads them."""

    @abstractmethod
    def read(self, text: str) -> list[int]:
        """A source as tokens, END included. Raises ValueError where it can't be said, or is too long."""

    def source_names(self, tokens: list[int]) -> list[str]:
        """Source tokens one by one, for pictures."""
        return [str(token) for token in tokens]

    def target_names(self, tokens: list[int]) -> list[str]:
        return [str(token) for token in tokens]

    def solve(self, tokens: list[int]) -> list[int]:
        """The target (END included) of a source (END included), by a plain loop; [] where only the corpus knows it."""
        return []
