"""Attention with T5's and with ALiBi's positions against that of `x-transformers`, with the same random weights.

B sequences, N tokens, D width, H heads.
"""

import pytest
import torch

from study.mixers.attention import Attention
from study.positions.bucket_bias import BucketBias
from study.positions.linear_bias import LinearBias

B, N, D, H = 2, 40, 24, 4

pytestmark = pytest.mark.parametrize("causal", [True, False], ids=["causal", "bidirectional"])


def check(position, bias, causal):
    """Outputs and their gradient."""
    from x_transformers import x_transformers  # it takes a second to import

    torch.manual_seed(0)
    x_BND = torch.randn(B, N, D, requires_grad=True)
    ours = Attention(D, causal=causal, heads=H)
    ours.attach(position)
    theirs = x_transformers.Attention(D, heads=H, dim_head=D // H, causal=causal).eval()
    theirs_bias = bias(x_transformers, ours.inside)
    with torch.no_grad():
        for part, weight_DD in zip((theirs.to_q, theirs.to_k, theirs.to_v), ours.qkv.weight.chunk(3), strict=True):
            part.weight.copy_(weight_DD)
        theirs.to_out.weight.copy_(ours.out.weight)
    found = [ours(x_BND), theirs(x_BND, rel_pos=theirs_bias)]
    found = [(y_BND, torch.autograd.grad(y_BND.square().sum(), x_BND)[0]) for y_BND in found]
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-5)


def test_attention_with_bucket_bias_is_t5s(causal):
    def bias(x_transformers, inside):
        theirs = x_transformers.RelativePositionBias(1.0, causal=causal, num_buckets=16, max_distance=30, heads=H)
        theirs.relative_attention_bias.load_state_dict(inside.table.state_dict())
        return theirs

    check(BucketBias(D, length=N, buckets=16, max_distance=30), bias, causal)


def test_attention_with_linear_bias_is_alibis(causal):
    check(LinearBias(D, length=N), lambda x_transformers, _: x_transformers.AlibiPositionalBias(H), causal)
