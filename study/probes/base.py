"""What a probe is given."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from omegaconf import DictConfig
from torch import Tensor

from study.tasks.base import Task


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
