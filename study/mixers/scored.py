"""Multi-head attention with a choice of scoring functions.

Shapes: B batch, N queries, M keys, D width, H heads, K head width.
"""

import torch
from torch import Tensor

from study.attention.scoring import SCORES, Score
from study.mixers.attention import Attention, Cache, masked_softmax
from study.mixers.base import Mixer


class ScoredAttention(Attention):
    """softmax(score(q, k)) v over all positions, in several heads; with `scaled_dot` it equals Attention.

    Args:
        score: additive | dot | scaled_dot | bilinear | scaled_bilinear | cosine, as in study/attention/scoring.py.
        heads, head_width: as in Attention.
    """

    name = "scored"

    def __init__(
        self,
        width: int,
        *,
        causal: bool,
        score: str = "scaled_dot",
        heads: int = 4,
        head_width: int | None = None,
        layer: int = 0,
    ) -> None:
        super().__init__(width, causal=causal, heads=heads, head_width=head_width, layer=layer)
        self.score = score_class(score)(heads, self.head_width)

    attach = Mixer.attach  # positions inside attention need full attention

    def weights(
        self, q_BHNK: Tensor, k_BHMK: Tensor, mask_BM: Tensor | None = None, allowed_NM: Tensor | None = None
    ) -> Tensor:
        dtype = torch.promote_types(q_BHNK.dtype, torch.float32)
        with torch.autocast(q_BHNK.device.type, enabled=False):
            return masked_softmax(self.score(q_BHNK.to(dtype), k_BHMK.to(dtype)), mask_BM, allowed_NM)

    def attend(self, q_BHNK: Tensor, k_BHNK: Tensor, v_BHNK: Tensor, mask_BN: Tensor | None) -> Tensor:
        weights_BHNN = self.weights(q_BHNK, k_BHNK, mask_BN, self.allowed(q_BHNK.shape[2], q_BHNK.device))
        return weights_BHNN.to(v_BHNK.dtype) @ v_BHNK

    def step(self, x_BD: Tensor, state: Cache) -> tuple[Tensor, Cache]:
        q_BH1K, *new = self.project(x_BD[:, None])
        k_BHMK, v_BHMK = (torch.cat(pair, 2) for pair in zip(state, new, strict=True))
        y_BH1K = self.weights(q_BH1K, k_BHMK).to(v_BHMK.dtype) @ v_BHMK
        return self.out(y_BH1K.flatten(1)), (k_BHMK, v_BHMK)


def score_class(score: str) -> type[Score]:
    if score not in SCORES:
        raise ValueError(f"score={score!r} must be one of {', '.join(SCORES)}")
    return SCORES[score]
