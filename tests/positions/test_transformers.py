"""Attention with T5's and with ALiBi's positions against the models of `transformers`, with the same random weights.

It takes seconds to import: the tests do when they need it.

B sequences, N tokens, D width, H heads, K head width.
"""

import pytest
import torch

from study.mixers.attention import Attention
from study.positions.bucket_bias import BucketBias
from study.positions.linear_bias import LinearBias

B, N, D, H = 2, 40, 24, 4
K = D // H


def close(ours, theirs):
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.fixture
def x_BND():
    torch.manual_seed(0)
    return torch.randn(B, N, D, requires_grad=True)


@pytest.mark.parametrize("causal", [True, False], ids=["causal", "bidirectional"])
def test_attention_with_bucket_bias_is_t5s(x_BND, causal):
    """T5 does not scale its scores: its queries are ours divided by the square root of the head width."""
    from transformers.models.t5.configuration_t5 import T5Config
    from transformers.models.t5.modeling_t5 import T5Attention

    position = BucketBias(D, length=N, buckets=16, max_distance=30)
    ours = Attention(D, causal=causal, heads=H)
    ours.attach(position)
    config = T5Config(
        d_model=D,
        d_kv=K,
        num_heads=H,
        relative_attention_num_buckets=16,
        relative_attention_max_distance=30,
        dropout_rate=0.0,
        is_decoder=causal,
        attn_implementation="eager",
    )
    theirs = T5Attention(config, has_relative_attention_bias=True).eval()
    query_DD, key_DD, value_DD = ours.qkv.weight.chunk(3)
    with torch.no_grad():
        theirs.q.weight.copy_(query_DD * K**-0.5)
        theirs.k.weight.copy_(key_DD)
        theirs.v.weight.copy_(value_DD)
        theirs.o.weight.copy_(ours.out.weight)
        theirs.relative_attention_bias.weight.copy_(ours.inside.table.weight)
    hidden = torch.full((N, N), torch.finfo(torch.float32).min).triu(1) * causal
    y_BND = theirs(x_BND, mask=hidden.expand(B, 1, N, N))[0]
    close(ours(x_BND), y_BND)
    gradient, expected = (torch.autograd.grad(y.square().sum(), x_BND)[0] for y in (ours(x_BND), y_BND))
    close(gradient, expected)


def test_attention_with_linear_bias_is_blooms(x_BND):
    """Bloom adds slope x position of the key: the softmax sees no difference to a penalty on the distance."""
    from transformers.models.bloom.configuration_bloom import BloomConfig
    from transformers.models.bloom.modeling_bloom import BloomAttention, build_alibi_tensor

    ours = Attention(D, causal=True, heads=H)
    ours.attach(LinearBias(D, length=N))
    theirs = BloomAttention(BloomConfig(hidden_size=D, n_head=H, hidden_dropout=0.0, attention_dropout=0.0), layer_idx=0).eval()
    with torch.no_grad():
        parts = [part.view(H, K, D) for part in ours.qkv.weight.chunk(3)]
        theirs.query_key_value.weight.copy_(torch.stack(parts, 1).reshape(3 * D, D))  # Bloom keeps a head's three together
        theirs.dense.weight.copy_(ours.out.weight)
        theirs.query_key_value.bias.zero_()
        theirs.dense.bias.zero_()
    alibi = build_alibi_tensor(torch.ones(B, N), H, torch.float32)
    hidden = torch.full((N, N), torch.finfo(torch.float32).min).triu(1)
    y_BND = theirs(x_BND, residual=torch.zeros_like(x_BND), alibi=alibi, attention_mask=hidden.expand(B, 1, N, N))[0]
    close(ours(x_BND), y_BND)
    gradient, expected = (torch.autograd.grad(y.square().sum(), x_BND)[0] for y in (ours(x_BND), y_BND))
    close(gradient, expected)
