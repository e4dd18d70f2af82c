"""Tasks that answer one sequence with another: a source, and the target that a decoder has to write.

Shapes: B pairs, M source tokens, T target tokens.
"""

import hashlib
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from study.tasks.base import IGNORE, Task
from study.tokens import END, PAD


@dataclass
class PairBatch:
    source_BM: Tensor  # long, each ends on END, then PAD
    target_BT: Tensor  # long, each ends on END, then PAD
    slices: dict[str, Tensor] = field(default_factory=dict)  # long (B, T), small, >= 0; void at padding
    sources_BT: Tensor | None = None  # long, the source position that each target token comes from; IGNORE: from none
    characters_BT: Tensor | None = None  # long, how many characters each target stands for; None: one
    references: list[list[str]] | None = None  # texts that are right for each pair; None: the target alone is

    @property
    def targets_BT(self) -> Tensor:
        return self.target_BT.masked_fill(self.target_BT == PAD, IGNORE)

    def inputs(self) -> dict[str, Tensor]:
        """What the model is called with."""
        return {"source_BM": self.source_BM, "target_BT": self.target_BT}


class PairTask(Task):
    """A source of pairs. `vocabulary` counts source tokens, `classes` target tokens; both begin with `study.tokens`.

    Source and target hold something before END, and after it PAD alone. The slice "length" is at least 1. Where target tokens
    have gold sources (`sources_BT`), each source token is written once. `judge` gives the best scores to the references and the
    worst to empty outputs; `read` takes `source_names` joined by `separator`.
    """

    kind = "pairs"
    causal = True
    source_length: int  # longest source in training, END included
    target_length: int  # longest target in training, END included
    longest_source: int  # in any split
    longest_target: int
    length: int  # mean target length, END included; `batch` may trade pairs for tokens around it
    mean_source: float  # mean source length, END included
    decoded: tuple[str, ...]  # the scores that `judge` gives
    joint = False  # whether a token means the same in source and target
    separator = " "  # what stands between the names of source tokens in a text that `read` takes

    @abstractmethod
    def batch(self, size: int, generator: torch.Generator, split: str = "train") -> PairBatch: ...

    @abstractmethod
    def judge(self, outputs: list[list[int]], batches: list[PairBatch]) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        """Scores of what was decoded (tokens without END) for the sources of `batches`, in order; whole and per slice."""

    @abstractmethod
    def write(self, tokens: list[int]) -> str:
        """Target tokens as a person reads them."""

    @abstractmethod
    def read(self, text: str) -> list[int]:
        """A source as tokens, END included. Raises ValueError where it can't be said, or is too long."""

    def keep(self, folder: Path) -> None:
        """Put into a folder what `kept` needs beside the task's keys; nothing, where all follows from these."""

    @classmethod
    def kept(cls, folder: Path, **keys: Any) -> Self:
        """A task that reads, writes and has the sizes of the one that was kept there; it may have no data."""
        return cls(**keys)

    def sample(self, seed: int = 0) -> str:
        """A source and its target, token by token."""
        batch = self.batch(1, torch.Generator().manual_seed(seed))
        source, target = batch.source_BM[0].tolist(), batch.target_BT[0].tolist()
        return "\n".join(["source " + " ".join(self.source_names(source)), "target " + " ".join(self.target_names(target))])

    def solve(self, tokens: list[int]) -> list[int]:
        """The target (END included) of a source (END included), by a plain loop; [] where only the corpus knows it."""
        return []


def padded(rows: Sequence[Sequence[int]], device: torch.device) -> Tensor:
    """Rows of different lengths as one tensor on `device`, PAD behind each."""
    longest = max(len(row) for row in rows)
    filled = torch.tensor([[*row, *[PAD] * (longest - len(row))] for row in rows], dtype=torch.long, device="cpu")
    if device.type == "cuda":
        filled = filled.pin_memory()  # else the copy would wait for the device
    return filled.to(device, non_blocking=True)


def without_end(row: list[int]) -> list[int]:
    """A row of a batch up to its END."""
    return row[: row.index(END)]


def host(generator: torch.Generator) -> torch.Generator:
    """For draws on the CPU: `generator` itself, or one that hangs on its state, without waiting for its device."""
    if generator.device.type == "cpu":
        return generator
    state = generator.get_state().numpy().tobytes()
    torch.rand(1, generator=generator, device=generator.device)  # so that the next call finds another state
    return torch.Generator("cpu").manual_seed(int.from_bytes(hashlib.sha256(state).digest()[:4], "big"))
