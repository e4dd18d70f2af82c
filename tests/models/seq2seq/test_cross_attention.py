"""Cross-attention against torch's own, weights and gradients included."""

import pytest
import torch
from torch import nn

from study.models.seq2seq.cross_attention import CrossAttention

B, M, T, D, H = 3, 7, 5, 12, 3


def drawn(*shape):
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


@pytest.fixture
def pair():
    torch.manual_seed(0)
    ours = CrossAttention(D, heads=H).double()
    theirs = nn.MultiheadAttention(D, H, bias=False, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([ours.query.weight, ours.key_value.weight]))
        theirs.out_proj.weight.copy_(ours.out.weight)
    return ours, theirs


REAL_BM = torch.arange(M) < torch.tensor([M, 4, 1])[:, None]


@pytest.mark.parametrize("need_weights", [True, False], ids=["with weights", "fused"])
def test_it_is_multi_head_attention(pair, need_weights):
    ours, theirs = pair
    x_BTD, memory_BMD, direction_BTD = drawn(B, T, D), drawn(B, M, D), drawn(B, T, D).detach()
    y_BTD, weights = ours(x_BTD, ours.project(memory_BMD), REAL_BM, need_weights)
    expected_BTD, expected_weights = theirs(
        x_BTD, memory_BMD, memory_BMD, key_padding_mask=~REAL_BM, average_attn_weights=False
    )
    torch.testing.assert_close(y_BTD, expected_BTD)
    if need_weights:
        torch.testing.assert_close(weights, expected_weights)
    else:
        assert weights is None
    found = torch.autograd.grad((y_BTD * direction_BTD).sum(), [x_BTD, memory_BMD, *ours.parameters()])
    wanted = torch.autograd.grad(
        (expected_BTD * direction_BTD).sum(), [x_BTD, memory_BMD, theirs.in_proj_weight, theirs.out_proj.weight]
    )
    query, key_value = found[2:4]
    for actual, expected in zip((*found[:2], torch.cat([query, key_value]), found[4]), wanted, strict=True):
        assert expected.abs().max() > 1e-3
        torch.testing.assert_close(actual, expected)


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="heads=5 does not divide width=12; use one of 1, 2, 3"):
        CrossAttention(12, heads=5)
