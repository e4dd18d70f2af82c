"""Sinusoidal position encoding (Vaswani et al. 2017, section 3.5)."""

from typing import Any

import torch
from torch import Tensor

from study.positions.base import Position


class Sinusoidal(Position):
    """Column 2i: sin(p / 10000^(2i / D)); column 2i + 1: its cosine. Defined at every position, trained at none."""

    name = "sinusoidal"
    table_ND: Tensor

    def __init__(self, width: int, **given: Any) -> None:
        super().__init__(width, **given)
        self.register_buffer("table_ND", sinusoids(self.length, width), persistent=False)

    def forward(self, x_BND: Tensor, start: int = 0) -> Tensor:
        end = start + x_BND.shape[1]
        if end > len(self.table_ND):  # doubling: decoding far past the table costs few rebuilds
            self.table_ND = sinusoids(max(end, 2 * len(self.table_ND)), self.width).to(self.table_ND.device)
        return x_BND + self.table_ND[start:end]


def sinusoids(length: int, width: int) -> Tensor:
    """(length, width) table in float32; ValueError when the width is odd."""
    if width % 2:
        raise ValueError(f"width={width} must be even for pairs of sine and cosine; use {width + 1}")
    # On the CPU also where a model is only sketched: on the meta device this arithmetic imports torch's compiler, for seconds.
    frequency = 10000 ** (-torch.arange(0, width, 2, dtype=torch.float64, device="cpu") / width)
    angle = torch.arange(length, dtype=torch.float64, device="cpu")[:, None] * frequency
    return torch.stack([angle.sin(), angle.cos()], -1).flatten(1).float()
