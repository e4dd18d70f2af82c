"""Scaled dot-product attention (Vaswani et al. 2017, section 3.2.1): from scores to weights, and to a mean of the values.

Shapes: B batch, N queries, M keys, H heads, K head width.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def attention(q_BHNK: Tensor, k_BHMK: Tensor, v_BHMK: Tensor, mask_BM: Tensor | None = None, *, causal: bool) -> Tensor:
    """(B, H, N, K), by torch's fused kernels; `mask_BM` False takes a key out."""
    if mask_BM is None:
        return F.scaled_dot_product_attention(q_BHNK, k_BHMK, v_BHMK, is_causal=causal)
    allowed = mask_BM[:, None, None, :]
    if causal:
        N = mask_BM.shape[1]
        allowed = allowed & torch.ones(N, N, dtype=torch.bool, device=mask_BM.device).tril()
    allowed = allowed | ~allowed.any(-1, keepdim=True)  # a row without any key is padding: anything finite will do
    return F.scaled_dot_product_attention(q_BHNK, k_BHMK, v_BHMK, attn_mask=allowed)


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


def masked_softmax(scores: Tensor, mask_BM: Tensor | None = None, allowed: Tensor | None = None) -> Tensor:
    """Softmax over the keys, the last axis: 0 where not allowed, all 0 where nothing is. `allowed` broadcasts to the scores."""
    visible = torch.ones_like(scores, dtype=torch.bool)
    if mask_BM is not None:
        visible = visible & mask_BM[:, None, None, :]
    if allowed is not None:
        visible = visible & allowed
    some = visible.any(-1, keepdim=True)
    return scores.masked_fill(~visible & some, float("-inf")).softmax(-1) * some
