"""Learned position table (Gehring et al. 2017, section 3.1)."""

import math

from torch import Tensor, nn

from study.positions.base import Position


class PositionRangeError(ValueError):
    """A position past the end of a learned table."""


class Learned(Position):
    """One trained row for each position of the training length; PositionRangeError past it."""

    def __init__(self, width: int, *, length: int) -> None:
        super().__init__(width, length=length)
        self.table = nn.Embedding(length, width)
        nn.init.normal_(self.table.weight, std=math.sqrt(1 / 2))

    def forward(self, x_BND: Tensor, start: int = 0) -> Tensor:
        end = start + x_BND.shape[1]
        if end > self.length:
            raise PositionRangeError(
                f"position {end - 1} is past the learned table of {self.length} positions; "
                f"train with a length of at least {end}, or use position=sinusoidal or position=none"
            )
        return x_BND + self.table.weight[start:end]

    @classmethod
    def parameter_count(cls, width: int, length: int) -> int:
        return width * length
