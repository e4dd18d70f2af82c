"""Full multi-head attention (Vaswani et al. 2017, sections 3.2.1 and 3.2.2).

Shapes: B batch, N queries, M keys, D width, H heads, K head width.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from study.mixers.base import Mixer, linear
from study.positions.base import Inside, InsidePosition, Position

Cache = tuple[Tensor, Tensor]  # keys and values (B, H, M, K) seen so far


class Attention(Mixer):
    """softmax(q k' / sqrt(K)) v over all positions, in several heads; no biases.

    Args:
        heads: number of heads, >= 1.
        head_width: K; None for width / heads, which `heads` must then divide.
    """

    name = "attention"
    has_maps = True

    def __init__(self, width: int, *, causal: bool, heads: int = 4, head_width: int | None = None, layer: int = 0) -> None:
        super().__init__(width, causal=causal, layer=layer)
        self.heads, self.head_width = heads, resolve_head_width(width, heads, head_width)
        self.qkv: nn.Module = linear(width, 3 * heads * self.head_width, bias=False)
        self.out = linear(heads * self.head_width, width, bias=False)

    def attach(self, position: Position) -> None:
        if isinstance(position, InsidePosition):
            self.inside = position.inside(self.heads, self.head_width, causal=self.causal)

    def project(self, x_BND: Tensor, start: int = 0) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, each (B, H, N, K), of positions start .. start + N - 1."""
        heads = (self.heads, self.head_width)
        q, k, v = (t.unflatten(-1, heads).transpose(1, 2) for t in self.qkv(x_BND).chunk(3, -1))
        if self.inside is not None:
            q, k = self.inside.rotate(q, start), self.inside.rotate(k, start)
        return q, k, v

    def attend(self, q_BHNK: Tensor, k_BHNK: Tensor, v_BHNK: Tensor, mask_BN: Tensor | None) -> Tensor:
        if self.inside is None or self.inside.fused:
            return attention(q_BHNK, k_BHNK, v_BHNK, mask_BN, causal=self.causal)
        allowed_NN = self.allowed(q_BHNK.shape[2], q_BHNK.device)
        return attention_inside(self.inside, q_BHNK, k_BHNK, v_BHNK, mask_BN, allowed_NN)

    def allowed(self, N: int, device: torch.device) -> Tensor | None:
        """(N, N), True where a query (row) may look at a key (column); None for everywhere."""
        return torch.ones(N, N, dtype=torch.bool, device=device).tril() if self.causal else None

    def forward(self, x_BND: Tensor, mask_BN: Tensor | None = None) -> Tensor:
        y_BHNK = self.attend(*self.project(x_BND), mask_BN)
        return self.out(y_BHNK.transpose(1, 2).flatten(2))

    def maps(self, x_BND: Tensor, mask_BN: Tensor | None = None, cut_BNN: Tensor | None = None) -> Tensor:
        """(B, H, N, N); where `cut_BNN` is True no head sees the key (column) from the query (row)."""
        q_BHNK, k_BHNK, _ = self.project(x_BND)
        allowed = self.allowed(x_BND.shape[1], x_BND.device)
        if cut_BNN is not None:
            allowed = ~cut_BNN[:, None] if allowed is None else allowed & ~cut_BNN[:, None]
        return self.weights(q_BHNK, k_BHNK, mask_BN, allowed)

    def weights(
        self, q_BHNK: Tensor, k_BHMK: Tensor, mask_BM: Tensor | None = None, allowed_NM: Tensor | None = None
    ) -> Tensor:
        """(B, H, N, M) and at least float32: 0 where not allowed, all 0 where nothing is."""
        bias = None if self.inside is None else self.inside.bias(q_BHNK, k_BHMK.shape[2])
        return attention_weights(q_BHNK, k_BHMK, mask_BM, allowed_NM, bias)

    def reweighted(self, x_BND: Tensor, weights_BHNN: Tensor) -> Tensor:
        """What `forward` would give under these weights instead of its own."""
        v_BHNK = self.project(x_BND)[2]
        y_BHNK = weights_BHNN.to(v_BHNK.dtype) @ v_BHNK
        added_BHNK = None if self.inside is None else self.inside.values(weights_BHNN, 0)
        y_BHNK = y_BHNK if added_BHNK is None else y_BHNK + added_BHNK
        return self.out(y_BHNK.transpose(1, 2).flatten(2))

    def _empty_state(self, batch, device, dtype) -> Cache:
        empty = torch.empty(batch, self.heads, 0, self.head_width, device=device, dtype=dtype)
        return empty, empty

    def step(self, x_BD: Tensor, state: Cache) -> tuple[Tensor, Cache]:
        seen = state[0].shape[2]
        q_BH1K, *new = self.project(x_BD[:, None], seen)
        keep = 0 if self.reach is None else -(self.reach + 1)  # a window forgets what it no longer sees
        k_BHMK, v_BHMK = (torch.cat(pair, 2)[:, :, keep:] for pair in zip(state, new, strict=True))
        if self.inside is None or self.inside.fused:
            y_BH1K = F.scaled_dot_product_attention(q_BH1K, k_BHMK, v_BHMK)
        else:
            y_BH1K = attention_inside(self.inside, q_BH1K, k_BHMK, v_BHMK, start=seen)
        return self.out(y_BH1K.flatten(1)), (k_BHMK, v_BHMK)


def resolve_head_width(width: int, heads: int, head_width: int | None) -> int:
    """The head width, checked; ValueError when it can't be."""
    if heads < 1 or (head_width is not None and head_width < 1):
        raise ValueError(f"heads={heads} and head_width={head_width} must be at least 1")
    if head_width is not None:
        return head_width
    if width % heads:
        divisors = ", ".join(str(h) for h in range(1, width + 1) if width % h == 0)
        raise ValueError(f"heads={heads} does not divide width={width}; use one of {divisors}, or set head_width")
    return width // heads


def attention(q_BHNK: Tensor, k_BHNK: Tensor, v_BHNK: Tensor, mask_BN: Tensor | None = None, *, causal: bool) -> Tensor:
    """Scaled dot-product attention (B, H, N, K); `mask_BN` False takes a key out."""
    if mask_BN is None:
        return F.scaled_dot_product_attention(q_BHNK, k_BHNK, v_BHNK, is_causal=causal)
    allowed = mask_BN[:, None, None, :]
    if causal:
        N = mask_BN.shape[1]
        allowed = allowed & torch.ones(N, N, dtype=torch.bool, device=mask_BN.device).tril()
    allowed = allowed | ~allowed.any(-1, keepdim=True)  # a row without any key is padding: anything finite will do
    return F.scaled_dot_product_attention(q_BHNK, k_BHNK, v_BHNK, attn_mask=allowed)


def attention_inside(
    inside: Inside,
    q_BHNK: Tensor,
    k_BHMK: Tensor,
    v_BHMK: Tensor,
    mask_BM: Tensor | None = None,
    allowed_NM: Tensor | None = None,
    start: int = 0,
) -> Tensor:
    """Attention (B, H, N, K) whose scores or values know of positions; the queries stand at start .. start + N - 1."""
    bias = inside.bias(q_BHNK, k_BHMK.shape[2], start)
    weights_BHNM = attention_weights(q_BHNK, k_BHMK, mask_BM, allowed_NM, bias)
    y_BHNK = weights_BHNM.to(v_BHMK.dtype) @ v_BHMK
    added_BHNK = inside.values(weights_BHNM, start)
    return y_BHNK if added_BHNK is None else y_BHNK + added_BHNK


def attention_weights(
    q_BHNK: Tensor,
    k_BHMK: Tensor,
    mask_BM: Tensor | None = None,
    allowed_NM: Tensor | None = None,
    bias: Tensor | None = None,
) -> Tensor:
    """softmax(q k' / sqrt(K) + bias), (B, H, N, M), at least float32: 0 where not allowed, all 0 where nothing is."""
    dtype = torch.promote_types(q_BHNK.dtype, torch.float32)
    with torch.autocast(q_BHNK.device.type, enabled=False):
        scores = torch.einsum("bhnk,bhmk->bhnm", q_BHNK.to(dtype), k_BHMK.to(dtype)) * q_BHNK.shape[-1] ** -0.5
    return masked_softmax(scores if bias is None else scores + bias, mask_BM, allowed_NM)


def masked_softmax(scores_BHNM: Tensor, mask_BM: Tensor | None = None, allowed_NM: Tensor | None = None) -> Tensor:
    """Softmax over the keys: 0 where not allowed, all 0 where nothing is."""
    allowed = torch.ones_like(scores_BHNM, dtype=torch.bool)
    if mask_BM is not None:
        allowed = allowed & mask_BM[:, None, None, :]
    if allowed_NM is not None:
        allowed = allowed & allowed_NM
    some = allowed.any(-1, keepdim=True)
    return scores_BHNM.masked_fill(~allowed & some, float("-inf")).softmax(-1) * some


def reference_attention(
    q_BHNK: Tensor,
    k_BHMK: Tensor,
    v_BHMK: Tensor,
    mask_BM: Tensor | None = None,
    allowed_NM: Tensor | None = None,
) -> Tensor:
    """The plain form that the fast ones are tested against."""
    weights_BHNM = attention_weights(q_BHNK, k_BHMK, mask_BM, allowed_NM)
    return torch.einsum("bhnm,bhmk->bhnk", weights_BHNM, v_BHMK.to(weights_BHNM.dtype))
