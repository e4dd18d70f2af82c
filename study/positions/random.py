"""Random positions that are never trained: the control for what a table's training adds."""

import math
from typing import Any

import torch
from torch import Tensor

from study.positions.base import Position


class Random(Position):
    """A frozen row of normal numbers for each position. Defined at every position, trained at none."""

    name = "random"
    seed: Tensor
    table_ND: Tensor

    def __init__(self, width: int, **given: Any) -> None:
        super().__init__(width, **given)
        self.register_buffer("seed", torch.randint(2**31, ()))  # all that a checkpoint needs to hold
        self.register_buffer("table_ND", torch.empty(0, width), persistent=False)
        self.register_load_state_dict_post_hook(lambda module, _: module._forget())

    def _forget(self) -> None:
        self.table_ND = self.table_ND[:0]

    def forward(self, x_BND: Tensor, start: int = 0) -> Tensor:
        end = start + x_BND.shape[1]
        if end > len(self.table_ND):
            blocks = -(-max(end, 2 * len(self.table_ND)) // self.length)
            rows = [self._block(int(self.seed) + block) for block in range(blocks)]
            self.table_ND = torch.cat(rows).to(self.table_ND)
        return x_BND + self.table_ND[start:end]

    def _block(self, seed: int) -> Tensor:
        """`length` rows, by a generator of their own: row p is the same whatever was asked for before."""
        generator = torch.Generator("cpu").manual_seed(seed)
        return torch.randn(self.length, self.width, generator=generator, device="cpu") * math.sqrt(1 / 2)
