"""Multi-head attention whose queries, keys and values share projections, or have none that learn.

Shapes: B batch, N positions, M keys, D width, H heads, K head width.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from study.mixers.attention import Attention
from study.mixers.base import Mixer, linear

# Which projection makes queries, keys and values.
SHARES = {"none": (0, 1, 2), "keys_values": (0, 1, 1), "queries_keys": (0, 0, 1), "all": (0, 0, 0)}
PROJECTIONS = ("learned", "frozen", "identity")


class SharedAttention(Attention):
    """softmax(q k' / sqrt(K)) v with q, k and v made as `share` and `projection` say; the output projection is learned.

    Where queries are keys, a position would mostly find itself; so by default it sees all but itself there, unless it has
    nothing else to see (Kitaev et al. 2020, "Reformer", section 2, "shared-QK").
    """

    name = "shared"

    def __init__(
        self,
        width: int,
        *,
        share: str = "none",
        projection: str = "learned",
        sees_itself: bool | None = None,
        **given: Any,
    ) -> None:
        super().__init__(width, **given)
        self.parts = parts(share)
        self.sees_itself = self.parts[0] != self.parts[1] if sees_itself is None else sees_itself
        inner = self.heads * self.head_width
        refuse_contradiction(width, inner, share, projection)
        self.qkv = projections(width, inner * len(set(self.parts)), projection)

    attach = Mixer.attach  # positions inside attention need full attention

    def project(self, x_BND: Tensor, start: int = 0) -> tuple[Tensor, Tensor, Tensor]:
        made = self.qkv(x_BND).chunk(len(set(self.parts)), -1)
        q, k, v = (made[part].unflatten(-1, (self.heads, self.head_width)).transpose(1, 2) for part in self.parts)
        return q, k, v

    def others(self, N: int, mask_BN: Tensor | None, device: torch.device) -> Tensor:
        """(N, N), or (B, 1, N, N) with a mask: True at all other positions that a query may attend to, or else at itself."""
        itself_NN = torch.eye(N, dtype=torch.bool, device=device)
        allowed = ~itself_NN
        if self.causal:
            allowed = allowed.tril()
        if mask_BN is not None:
            allowed = allowed & mask_BN[:, None, None, :]
        return allowed | itself_NN & ~allowed.any(-1, keepdim=True)

    def attend(self, q_BHNK: Tensor, k_BHNK: Tensor, v_BHNK: Tensor, mask_BN: Tensor | None) -> Tensor:
        if self.sees_itself:
            return super().attend(q_BHNK, k_BHNK, v_BHNK, mask_BN)
        allowed = self.others(q_BHNK.shape[2], mask_BN, q_BHNK.device)
        return F.scaled_dot_product_attention(q_BHNK, k_BHNK, v_BHNK, attn_mask=allowed)

    def weights(
        self,
        q_BHNK: Tensor,
        k_BHMK: Tensor,
        mask_BM: Tensor | None = None,
        allowed_NM: Tensor | None = None,
        start: int = 0,
    ) -> Tensor:
        if not self.sees_itself:
            others = self.others(k_BHMK.shape[2], mask_BM, k_BHMK.device)
            allowed_NM = others if allowed_NM is None else others & allowed_NM
        return super().weights(q_BHNK, k_BHMK, mask_BM, allowed_NM)

    def attend_last(self, q_BH1K: Tensor, k_BHMK: Tensor, v_BHMK: Tensor, start: int) -> Tensor:
        seen = start + 1 if self.sees_itself else max(1, start)
        return F.scaled_dot_product_attention(q_BH1K, k_BHMK[:, :, :seen], v_BHMK[:, :, :seen])


class Frozen(nn.Module):
    """A linear map that stays as it starts: no parameter, but part of the state."""

    weight: Tensor

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.register_buffer("weight", linear(inputs, outputs, bias=False).weight.detach())

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight)


def parts(share: str) -> tuple[int, int, int]:
    if share not in SHARES:
        raise ValueError(f"share={share!r} must be one of {', '.join(SHARES)}")
    return SHARES[share]


def projections(inputs: int, outputs: int, projection: str) -> nn.Module:
    if projection == "identity":
        return nn.Identity()
    return Frozen(inputs, outputs) if projection == "frozen" else linear(inputs, outputs, bias=False)


def refuse_contradiction(width: int, inner: int, share: str, projection: str) -> None:
    if projection not in PROJECTIONS:
        raise ValueError(f"projection={projection!r} must be one of {', '.join(PROJECTIONS)}")
    if projection == "identity" and share != "all":
        raise ValueError(f"share={share} with projection=identity: without projections all are the same; use share=all")
    if projection == "identity" and inner != width:
        raise ValueError(f"projection=identity keeps the width of {width}, but heads x head_width is {inner}; make them equal")
