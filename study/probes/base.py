"""What a probe is given, and the batches that it goes through.

Shapes: B sequences, N tokens.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import torch
from omegaconf import DictConfig
from torch import Tensor

from study.tasks.base import Batch, Task

SEQUENCES = {"validation": 512, "test": 1024}
BATCH = 128


class Subject(Protocol):
    """A model beside its task, as training holds it (``study.training.module.Training``)."""

    model: Any
    task: Task
    config: DictConfig
    training: bool

    @property
    def device(self) -> torch.device: ...

    def draw(self, task: Task, split: str, index: int, size: int) -> Any:
        """The batch of a number, of ``size`` sequences, pairs or images, on ``device``."""

    def draw_for_evaluation(self, task: Task, split: str, index: int) -> Any:
        """One of the ``batches`` of an evaluation."""

    def batches(self, task: Task, items: int, split: str) -> int:
        """How many of these hold ``items`` scored items."""

    def loss(self, batch: Any) -> Tensor: ...

    def train(self, mode: bool = True) -> Any: ...

    def eval(self) -> Any: ...


def batches(subject: Subject, split: str) -> Iterator[Batch]:
    for index in range(SEQUENCES[split] // BATCH):
        yield subject.draw(subject.task, split, index, BATCH)


def real(batch: Batch) -> Tensor:
    """(B, N), True at tokens that are no padding."""
    return torch.ones_like(batch.tokens_BN, dtype=torch.bool) if batch.mask_BN is None else batch.mask_BN


def right(model: Any, batch: Batch) -> int:
    """How many of the batch's scored places the model answers right."""
    guesses_BT = model(batch.tokens_BN, batch.where_BT, batch.mask_BN).argmax(-1)
    return int((guesses_BT == batch.targets_BT).sum())
