"""Attention under each scoring function; tests/attention/test_scoring.py tests the functions themselves."""

import itertools

import pytest
import torch

from study.attention.scoring import SCORES
from study.mixers.attention import Attention
from study.mixers.scored import ScoredAttention
from tests.cases import case, close

WAYS = list(itertools.product(SCORES, (True, False)))


def build(score, causal=True, width=12, **settings):
    torch.manual_seed(0)
    return ScoredAttention(width, causal=causal, score=score, **{"heads": 3, **settings})


def padded():
    return torch.randn(3, 13, 12, requires_grad=True), torch.arange(13) < torch.tensor([13, 6, 1])[:, None]


def test_scaled_dot_is_full_attention_with_copied_weights():
    x_BND, mask_BN = padded()
    for causal, mask in itertools.product((True, False), (mask_BN, None)):
        with case(f"causal={causal}", "masked" if mask is mask_BN else "all"):
            ours, full = build("scaled_dot", causal), Attention(12, causal=causal, heads=3)
            full.load_state_dict(ours.state_dict())
            real_BN = torch.ones_like(mask_BN) if mask is None else mask
            results = []
            for mixer in (ours, full):
                y_MD = mixer(x_BND, mask)[real_BN]
                loss = (y_MD * torch.arange(12).cos()).sum()
                results.append([y_MD, mixer.maps(x_BND, mask), *torch.autograd.grad(loss, [x_BND, *mixer.parameters()])])
            for mine, theirs in zip(*results, strict=True):
                close(mine, theirs)


def test_output_is_the_mean_of_the_values_under_maps_that_are_the_softmax_of_the_scores():
    for score, causal in WAYS:
        with case(score, f"causal={causal}"):
            mixer = build(score, causal)
            x_BND, mask_BN = padded()
            q_BHNK, k_BHNK, v_BHNK = mixer.project(x_BND)
            maps_BHNN, y_BND = mixer.maps(x_BND, mask_BN), mixer(x_BND, mask_BN)
            scores_BHNN = mixer.score(q_BHNK, k_BHNK)
            for b, real in enumerate(mask_BN.sum(1).tolist()):
                for n in range(real):
                    seen = n + 1 if causal else real
                    weights_HM = scores_BHNN[b, :, n, :seen].softmax(-1)
                    close(maps_BHNN[b, :, n, :seen], weights_HM)
                    assert not maps_BHNN[b, :, n, seen:].any()  # exactly 0
                    y_HK = torch.stack([weights_HM[h] @ v_BHNK[b, h, :seen] for h in range(3)])
                    close(y_BND[b, n], mixer.out(y_HK.flatten()))


def test_scores_and_softmax_are_float32_under_autocast():
    for score, causal in WAYS:
        with case(score, f"causal={causal}"):
            mixer = build(score, causal)
            x_BND, mask_BN = padded()
            with torch.autocast("cpu", torch.bfloat16):
                q, k, _ = mixer.project(x_BND)
                weights = mixer.weights(q, k, mask_BN)
            assert weights.dtype == torch.float32
            close(weights, mixer.weights(q.float(), k.float(), mask_BN), atol=1e-6)


def test_an_unknown_score_is_refused_with_those_that_are_known():
    with pytest.raises(ValueError, match="score='product' must be one of additive, dot, scaled_dot, bilinear"):
        build("product")
