"""Attention in its plain form, which the fast ones are tested against.

Shapes: B batch, N queries, M keys, H heads, K head width.
"""

import torch

from study.attention.dot_product import attention_weights
from study.mixers.window import band


def reference_attention(q_BHNK, k_BHMK, v_BHMK, mask_BM=None, allowed_NM=None):
    weights_BHNM = attention_weights(q_BHNK, k_BHMK, mask_BM, allowed_NM)
    return torch.einsum("bhnm,bhmk->bhnk", weights_BHNM, v_BHMK.to(weights_BHNM.dtype))


def reference_window_attention(q_BHNK, k_BHNK, v_BHNK, mask_BN=None, *, back, ahead):
    """Full attention under a band mask, at full cost."""
    return reference_attention(q_BHNK, k_BHNK, v_BHNK, mask_BN, band(q_BHNK.shape[2], back, ahead, q_BHNK.device))
