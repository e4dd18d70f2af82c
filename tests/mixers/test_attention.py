"""Full attention against torch's own and against its definition."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from study.attention.dot_product import attention, attention_weights
from study.mixers.attention import Attention
from study.mixers.window import WindowAttention
from tests.attention.reference import reference_attention
from tests.cases import case, close

CAUSAL = pytest.mark.parametrize("causal", [True, False], ids=["causal", "bidirectional"])


def tensors(B=3, H=2, N=13, K=5, count=3):
    torch.manual_seed(0)
    return [torch.randn(B, H, N, K, requires_grad=True) for _ in range(count)]


def some_mask(B=3, N=13):
    return torch.arange(N) < torch.tensor([N, N // 2, 1])[:B, None]


def value_and_gradients(y, inputs, weight):
    return [y, *torch.autograd.grad((y * weight).sum(), inputs)]


def test_reference_attention_by_hand():
    """Two keys with scores ln 3 apart: weights 3/4 and 1/4."""
    q = torch.tensor([[[[2.0, 0.0, 0.0, 0.0]]]])
    k = torch.tensor([[[[math.log(3), 1.0, 0.0, 0.0], [0.0, 9.0, 0.0, 0.0]]]])
    v = torch.tensor([[[[4.0, 0.0, 0.0, 1.0], [0.0, 8.0, 0.0, 1.0]]]])
    close(reference_attention(q, k, v), torch.tensor([[[[3.0, 2.0, 0.0, 1.0]]]]))


def test_attention_is_the_reference():
    shapes = [(3, 2, 13, 5), (3, 1, 1, 4), (2, 4, 64, 16), (1, 2, 131, 32)]
    for causal, masked, (B, H, N, K) in itertools.product((True, False), (True, False), shapes):
        with case(f"causal={causal}", f"masked={masked}", (B, H, N, K)):
            qkv = tensors(B, H, N, K)
            mask_BN = some_mask(B, N) | (torch.arange(N) == 0) if masked else None
            weight = torch.randn_like(qkv[0])
            if masked:
                weight = weight * mask_BN[:, None, :, None]  # outputs at padding mean nothing
            allowed_NN = torch.ones(N, N, dtype=torch.bool).tril() if causal else None
            expected = value_and_gradients(reference_attention(*qkv, mask_BN, allowed_NN) * (weight != 0), qkv, weight)
            actual = value_and_gradients(attention(*qkv, mask_BN, causal=causal) * (weight != 0), qkv, weight)
            for a, e in zip(actual, expected, strict=True):
                close(a, e)


@CAUSAL
@pytest.mark.parametrize("masked", [False, True])
def test_attention_is_multihead_attention_with_copied_weights(causal, masked):
    torch.manual_seed(0)
    ours = Attention(24, causal=causal, heads=3)
    theirs = nn.MultiheadAttention(24, 3, bias=False, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(ours.qkv.weight)
        theirs.out_proj.weight.copy_(ours.out.weight)
    x_BND = torch.randn(3, 13, 24, requires_grad=True)
    mask_BN = some_mask() if masked else torch.ones(3, 13, dtype=torch.bool)
    forbidden = ~torch.ones(13, 13, dtype=torch.bool).tril() if causal else None
    expected, maps = theirs(x_BND, x_BND, x_BND, key_padding_mask=~mask_BN, attn_mask=forbidden, average_attn_weights=False)
    actual = ours(x_BND, mask_BN)
    close(actual[mask_BN], expected[mask_BN])
    close(ours.maps(x_BND, mask_BN), maps)
    weight = torch.randn(24)
    mine = torch.autograd.grad((actual[mask_BN] * weight).sum(), [x_BND, ours.qkv.weight, ours.out.weight])
    other = torch.autograd.grad((expected[mask_BN] * weight).sum(), [x_BND, theirs.in_proj_weight, theirs.out_proj.weight])
    for a, e in zip(mine, other, strict=True):
        close(a, e)


def test_attention_weights_are_all_zero_where_no_key_is_allowed():
    q, k = tensors(count=2)
    mask_BM = torch.ones(3, 13, dtype=torch.bool)
    mask_BM[1] = False
    weights = attention_weights(q, k, mask_BM)
    assert not weights[1].any() and weights.isfinite().all()
    close(weights[[0, 2]].sum(-1), torch.ones(2, 2, 13))


@CAUSAL
@pytest.mark.parametrize("mixer_class", [Attention, WindowAttention])
def test_no_kernel_is_handed_a_row_without_keys(monkeypatch, mixer_class, causal):
    """Kernels differ in what they make of such a row, NaN among other things."""
    masks = []

    def kernel(q, k, v, attn_mask):
        masks.append(attn_mask)
        return torch.zeros_like(q)

    monkeypatch.setattr(F, "scaled_dot_product_attention", kernel)
    mask_BN = torch.zeros(3, 40, dtype=torch.bool)
    mask_BN[0, 11:] = mask_BN[1, :11] = True
    mixer_class(12, causal=causal)(torch.randn(3, 40, 12), mask_BN)
    assert len(masks) == 1 and masks[0].any(-1).all()


@CAUSAL
def test_softmax_is_float32_under_autocast(causal):
    """Weights must carry float32 digits, and outputs lose no more than the one rounding to bfloat16."""
    torch.manual_seed(0)
    q, k, v = (torch.randn(2, 3, 33, 64, dtype=torch.bfloat16) for _ in range(3))
    allowed = torch.ones(33, 33, dtype=torch.bool).tril() if causal else None
    exact_weights = attention_weights(q.double(), k.double(), None, allowed)
    exact = reference_attention(q.double(), k.double(), v.double(), None, allowed)
    with torch.autocast("cpu", torch.bfloat16):
        weights, y = attention_weights(q, k, None, allowed), attention(q, k, v, causal=causal)
    assert weights.dtype == torch.float32
    assert (weights.double() - exact_weights).abs().max() < 1e-6
    assert (y.double() - exact).abs().max() < 2**-7 * exact.abs().max()


def test_head_width_is_free_when_given():
    mixer = Attention(10, causal=True, heads=3, head_width=7)
    assert mixer(torch.randn(2, 5, 10)).shape == (2, 5, 10)
    assert sum(p.numel() for p in mixer.parameters()) == 4 * 10 * 21


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"heads": 3}, "use one of 1, 2, 4, 5, 10, 20"), ({"heads": 0}, "at least 1"), ({"head_width": 0}, "at least 1")],
)
def test_impossible_heads_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        Attention(20, causal=True, **wrong)
