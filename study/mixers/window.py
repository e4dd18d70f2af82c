"""Attention restricted to a window, at a cost linear in the length (Vaswani et al. 2017, section 4, "restricted").

Shapes: B batch, N positions, D width, H heads, K head width; C chunks of S queries, each beside its W keys.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from study.mixers.attention import Attention
from study.mixers.base import Mixer

CHUNK = 32  # queries that share a view of the keys, at least; fastest of 4 to 128 on a CPU for windows of 2 to 64


class WindowAttention(Attention):
    """Multi-head attention to the near positions only."""

    name = "window"

    def __init__(self, width: int, *, window: int = 8, **given: Any) -> None:
        super().__init__(width, **given)
        self.window = window
        self.back, self.ahead = sides(window, self.causal)
        self.reach = self.back

    attach = Mixer.attach  # positions inside attention need full attention

    def attend(self, q_BHNK: Tensor, k_BHNK: Tensor, v_BHNK: Tensor, mask_BN: Tensor | None) -> Tensor:
        return window_attention(q_BHNK, k_BHNK, v_BHNK, mask_BN, back=self.back, ahead=self.ahead)

    def counted_as(self, x_BND: Tensor) -> Tensor:
        """The mechanism: `window` + 1 keys a query (N if fewer), not the whole chunks that `window_attention` carries out."""
        q_BHNK, k_BHNK, v_BHNK = self.project(x_BND)
        seen = self.window + 1
        return self.join(F.scaled_dot_product_attention(q_BHNK, k_BHNK[:, :, :seen], v_BHNK[:, :, :seen]))

    def allowed(self, N: int, device: torch.device) -> Tensor:
        return band(N, self.back, self.ahead, device)


def sides(window: int, causal: bool) -> tuple[int, int]:
    """How many positions a query sees before and after its own."""
    if window < 1:
        raise ValueError(f"window={window} must be at least 1; for no mixing use mixer=identity")
    if causal:
        return window, 0
    if window % 2:
        raise ValueError(f"window={window} must be even when bidirectional; use {window + 1}")
    return window // 2, window // 2


def band(N: int, back: int, ahead: int, device: torch.device | str | None = None) -> Tensor:
    """(N, N), True where -back <= key - query <= ahead."""
    offset = torch.arange(N, device=device) - torch.arange(N, device=device)[:, None]
    return (offset >= -back) & (offset <= ahead)


def window_attention(
    q_BHNK: Tensor, k_BHNK: Tensor, v_BHNK: Tensor, mask_BN: Tensor | None = None, *, back: int, ahead: int
) -> Tensor:
    """Equals full attention under a `band`, at a cost and a memory linear in N.

    The queries are cut into C chunks of S; each attends to the W = back + S + ahead keys around it, a view that
    overlaps its neighbours' rather than a copy.
    """
    B, H, N, _ = q_BHNK.shape
    S = min(max(CHUNK, (back + ahead) // 2), N)
    C = -(-N // S)
    W = back + S + ahead
    rest = C * S - N
    q_BHCSK = F.pad(q_BHNK, (0, 0, 0, rest)).unflatten(2, (C, S))
    k_BHCWK, v_BHCWK = (F.pad(t_BHNK, (0, 0, back, rest + ahead)).unfold(2, W, S).mT for t_BHNK in (k_BHNK, v_BHNK))
    device = q_BHNK.device
    real_BN = torch.ones(1, N, dtype=torch.bool, device=device) if mask_BN is None else mask_BN
    real_BC1W = F.pad(real_BN, (back, rest + ahead)).unfold(1, W, S)[:, :, None]
    offset_SW = torch.arange(W, device=device) - back - torch.arange(S, device=device)[:, None]
    near_SW = (offset_SW >= -back) & (offset_SW <= ahead)
    allowed_BCSW = real_BC1W & near_SW | (offset_SW == 0)  # even padding sees itself, so that no row is empty
    y_BHCSK = F.scaled_dot_product_attention(  # heads as part of the batch, chunks in the place of heads
        q_BHCSK.flatten(0, 1),
        k_BHCWK.flatten(0, 1),
        v_BHCWK.flatten(0, 1),
        attn_mask=allowed_BCSW if mask_BN is None else allowed_BCSW.repeat_interleave(H, 0),
    ).unflatten(0, (B, H))
    return y_BHCSK.flatten(2, 3)[:, :, :N]
