"""Trained biases of binned offsets, T5's (Raffel et al. 2020, section 2.1).

Shapes: N queries, M keys, H heads.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn

from study.positions.base import Inside, InsidePosition, offsets


class BucketBias(InsidePosition):
    """Adds to each score a trained number for the bucket of its offset, one a head; the layers share them.

    Half of a side's buckets hold one distance each; the others grow as the logarithm up to `max_distance`.
    """

    name = "bucket_bias"

    def __init__(self, width: int, *, buckets: int = 32, max_distance: int = 128, **given: Any) -> None:
        super().__init__(width, **given)
        if buckets < 4 or buckets % 4:
            raise ValueError(f"buckets={buckets} must be a multiple of 4, and at least 4; use {max(4, buckets // 4 * 4)}")
        if max_distance <= buckets // 2:
            raise ValueError(f"max_distance={max_distance} must be more than buckets / 2; use {buckets // 2 + 1} or more")
        self.buckets, self.max_distance = buckets, max_distance
        self.shared: Inside | None = None

    def inside(self, heads: int, head_width: int, *, causal: bool) -> Inside:
        if self.shared is None:
            self.shared = BucketTable(heads, self.width, self.buckets, self.max_distance, causal)
        return self.shared


class BucketTable(Inside):
    def __init__(self, heads: int, width: int, buckets: int, max_distance: int, causal: bool) -> None:
        super().__init__()
        self.buckets, self.max_distance, self.causal = buckets, max_distance, causal
        self.table = nn.Embedding(buckets, heads)
        nn.init.normal_(self.table.weight, std=width**-0.5)  # as T5 does

    def bias(self, q_BHNK: Tensor, M: int, start: int = 0) -> Tensor:
        offset_NM = offsets(q_BHNK.shape[2], M, start, q_BHNK.device)
        return self.table(bucket(offset_NM, self.buckets, self.max_distance, self.causal)).permute(2, 0, 1)


def bucket(offset: Tensor, buckets: int, max_distance: int, causal: bool) -> Tensor:
    """Bucket of each offset (key minus query). Keys that a causal query can't see count as distance 0."""
    if causal:
        first, distance = torch.zeros_like(offset), (-offset).clamp(min=0)
    else:
        buckets //= 2
        first, distance = (offset > 0) * buckets, offset.abs()
    exact = buckets // 2
    octaves = (distance.clamp(min=1) / exact).log() / math.log(max_distance / exact)
    far = exact + (octaves * (buckets - exact)).long()
    return first + distance.where(distance < exact, far.clamp(max=buckets - 1))
