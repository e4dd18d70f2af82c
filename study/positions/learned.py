"""Learned position table (Gehring et al. 2017, section 3.1)."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from study.positions.base import Position

PAST = ("error", "clip")


class PositionRangeError(ValueError):
    """A position past the end of a learned table."""


class Learned(Position):
    """One trained row for each position of the training length."""

    name = "learned"

    def __init__(self, width: int, *, past: str = "error", **given: Any) -> None:
        super().__init__(width, **given)
        if past not in PAST:
            raise ValueError(f"past={past} must be one of {', '.join(PAST)}")
        self.past = past
        self.longest = self.length if past == "error" else None
        self.table = nn.Embedding(self.length, width)
        nn.init.normal_(self.table.weight, std=math.sqrt(1 / 2))

    def forward(self, x_BND: Tensor, start: int = 0) -> Tensor:
        end = start + x_BND.shape[1]
        if end <= self.length:
            return x_BND + self.table.weight[start:end]
        if self.past == "clip":
            return x_BND + self.table(torch.arange(start, end, device=x_BND.device).clamp(max=self.length - 1))
        raise PositionRangeError(
            f"position {end - 1} is past the learned table of {self.length} positions; train with a length of at "
            f"least {end}, or use position.past=clip, position=sinusoidal or position=none"
        )
