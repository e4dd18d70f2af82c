"""Multi-head attention with a choice of scoring functions.

Shapes: B batch, N queries, M keys, D width, H heads, K head width.
"""

from typing import Any

import torch
from torch import Tensor

from study.attention.dot_product import masked_softmax
from study.attention.scoring import SCORES
from study.mixers.attention import Attention
from study.mixers.base import Mixer


class ScoredAttention(Attention):
    """softmax(score(q, k)) v over all positions, in several heads; with `scaled_dot` it equals Attention."""

    name = "scored"

    def __init__(self, width: int, *, score: str = "scaled_dot", **given: Any) -> None:
        super().__init__(width, **given)
        if score not in SCORES:
            raise ValueError(f"score={score!r} must be one of {', '.join(SCORES)}")
        self.score = SCORES[score](self.heads, self.head_width)

    attach = Mixer.attach  # positions inside attention need full attention

    def weights(
        self,
        q_BHNK: Tensor,
        k_BHMK: Tensor,
        mask_BM: Tensor | None = None,
        allowed_NM: Tensor | None = None,
        start: int = 0,
    ) -> Tensor:
        dtype = torch.promote_types(q_BHNK.dtype, torch.float32)
        with torch.autocast(q_BHNK.device.type, enabled=False):
            return masked_softmax(self.score(q_BHNK.to(dtype), k_BHMK.to(dtype)), mask_BM, allowed_NM)

    def attend(self, q_BHNK: Tensor, k_BHNK: Tensor, v_BHNK: Tensor, mask_BN: Tensor | None) -> Tensor:
        return self._mean(self.weights(q_BHNK, k_BHNK, mask_BN, self.allowed(q_BHNK.shape[2], q_BHNK.device)), v_BHNK)

    def attend_last(self, q_BH1K: Tensor, k_BHMK: Tensor, v_BHMK: Tensor, start: int) -> Tensor:
        return self._mean(self.weights(q_BH1K, k_BHMK), v_BHMK)
