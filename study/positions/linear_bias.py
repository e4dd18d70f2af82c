"""Attention with linear biases, ALiBi (Press et al. 2022, section 3).

Shapes: N queries, M keys, H heads.
"""

import math

import torch
from torch import Tensor

from study.positions.base import Inside, InsidePosition, offsets


class LinearBias(InsidePosition):
    """Takes slope x distance from each score; the slopes are fixed, one a head.

    When bidirectional, left and right have the same bias.
    """

    name = "linear_bias"

    def inside(self, heads: int, head_width: int, *, causal: bool) -> Inside:
        return LinearPenalty(heads)


class LinearPenalty(Inside):
    slopes_H: Tensor

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.register_buffer("slopes_H", torch.tensor(slopes(heads)), persistent=False)

    def bias(self, q_BHNK: Tensor, M: int, start: int = 0) -> Tensor:
        distance_NM = offsets(q_BHNK.shape[2], M, start, q_BHNK.device).abs()
        return -self.slopes_H[:, None, None] * distance_NM


def slopes(heads: int) -> list[float]:
    """1/2^(8/H), 1/2^(16/H), ... down to 1/2^8; for an H that is no power of two those of the power below, then every
    other one of the power above (the authors' code)."""
    below = 2 ** int(math.log2(heads))
    regular = [2 ** (-8 * (i + 1) / below) for i in range(below)]
    return regular if below == heads else regular + slopes(2 * below)[::2][: heads - below]
