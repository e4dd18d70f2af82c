"""Relative positions (Shaw et al. 2018, sections 3.2 and 3.3).

Shapes: B batch, N queries, M keys, H heads, K head width, R = 2 clip + 1 rows: offsets -clip .. clip.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn

from study.positions.base import Inside, InsidePosition, offsets


class Relative(InsidePosition):
    """A trained vector for each offset of a key from its query, for each layer, shared by its heads.

    `keys` are equation 4's a^K, `values` equation 3's a^V.
    """

    name = "relative"

    def __init__(self, width: int, *, keys: bool = True, values: bool = True, clip: int = 16, **given: Any) -> None:
        super().__init__(width, **given)
        if not (keys or values):
            raise ValueError("keys and values are both false, which leaves no position; use position=none")
        if clip < 0:
            raise ValueError(f"clip={clip} must be at least 0")
        self.tables: dict[str, Any] = {"keys": keys, "values": values, "clip": clip}

    def inside(self, heads: int, head_width: int, *, causal: bool) -> Inside:
        return RelativeTables(heads, head_width, **self.tables)


class RelativeTables(Inside):
    """The tables of one layer, (R, K). No (N, M, K) tensor is made: a query meets each row once."""

    def __init__(self, heads: int, head_width: int, *, keys: bool, values: bool, clip: int) -> None:
        super().__init__()
        self.clip = clip
        self.keys_RK = table(2 * clip + 1, head_width) if keys else None
        self.values_RK = table(2 * clip + 1, head_width) if values else None

    def rows(self, N: int, M: int, start: int, device: torch.device) -> Tensor:
        """(N, M): the row of the table that stands for each offset."""
        return offsets(N, M, start, device).clamp(-self.clip, self.clip) + self.clip

    def bias(self, q_BHNK: Tensor, M: int, start: int = 0) -> Tensor | None:
        if self.keys_RK is None:
            return None
        B, H, N, K = q_BHNK.shape
        with torch.autocast(q_BHNK.device.type, enabled=False):
            by_row_BHNR = q_BHNK.to(self.keys_RK.dtype) @ self.keys_RK.T * K**-0.5
        return by_row_BHNR.gather(-1, self.rows(N, M, start, q_BHNK.device).expand(B, H, N, M))

    def values(self, weights_BHNM: Tensor, start: int = 0) -> Tensor | None:
        if self.values_RK is None:
            return None
        B, H, N, M = weights_BHNM.shape
        rows_BHNM = self.rows(N, M, start, weights_BHNM.device).expand(B, H, N, M)
        by_row_BHNR = weights_BHNM.new_zeros(B, H, N, len(self.values_RK)).scatter_add(-1, rows_BHNM, weights_BHNM)
        with torch.autocast(weights_BHNM.device.type, enabled=False):
            return by_row_BHNR @ self.values_RK


def table(rows: int, head_width: int) -> nn.Parameter:
    return nn.Parameter(torch.randn(rows, head_width) * math.sqrt(1 / 2))
