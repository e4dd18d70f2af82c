"""Rotary positions (Su et al. 2021, RoFormer, section 3.2.2).

Shapes: B batch, N positions, H heads, K head width.
"""

import torch
from torch import Tensor

from study.positions.base import Inside, InsidePosition
from study.positions.sinusoidal import sinusoids


class Rotary(InsidePosition):
    """Turns each pair of columns (2i, 2i + 1) of queries and keys by p / 10000^(2i / K) at position p."""

    name = "rotary"

    def inside(self, heads: int, head_width: int, *, causal: bool) -> Inside:
        return Rotation(head_width, self.length)


class Rotation(Inside):
    """The rotation of one layer. The product of a query and a key then knows their distance alone."""

    fused = True
    table_NK: Tensor

    def __init__(self, head_width: int, length: int) -> None:
        super().__init__()
        if head_width % 2:
            raise ValueError(f"a head of width {head_width} has no pairs of columns to rotate; use an even head_width")
        self.register_buffer("table_NK", sinusoids(length, head_width), persistent=False)

    def rotate(self, x_BHNK: Tensor, start: int = 0) -> Tensor:
        end = start + x_BHNK.shape[2]
        if end > len(self.table_NK):
            grown = sinusoids(max(end, 2 * len(self.table_NK)), x_BHNK.shape[-1])
            self.table_NK = grown.to(self.table_NK)
        sine, cosine = self.table_NK[start:end].unflatten(-1, (-1, 2)).unbind(-1)
        even, odd = x_BHNK.unflatten(-1, (-1, 2)).unbind(-1)
        turned = torch.stack([even * cosine - odd * sine, odd * cosine + even * sine], -1)
        return turned.flatten(-2).to(x_BHNK.dtype)
