"""Attention under each scoring function; tests/attention/test_scoring.py tests the functions themselves."""

import pytest
import torch

from study.attention.scoring import SCORES
from study.mixers.attention import Attention
from study.mixers.scored import ScoredAttention

SCORE = pytest.mark.parametrize("score", SCORES)
CAUSAL = pytest.mark.parametrize("causal", [True, False], ids=["causal", "bidirectional"])


def close(actual, expected, **tolerance):
    torch.testing.assert_close(actual, expected, **({"atol": 1e-5, "rtol": 1e-4} | tolerance))


def build(score, causal=True, width=12, **settings):
    torch.manual_seed(0)
    return ScoredAttention(width, causal=causal, score=score, **{"heads": 3, **settings})


def padded():
    return torch.randn(3, 13, 12, requires_grad=True), torch.arange(13) < torch.tensor([13, 6, 1])[:, None]


@CAUSAL
@pytest.mark.parametrize("masked", [False, True])
def test_scaled_dot_is_full_attention_with_copied_weights(causal, masked):
    ours, full = build("scaled_dot", causal), Attention(12, causal=causal, heads=3)
    full.load_state_dict(ours.state_dict())
    x_BND, mask_BN = padded()
    real_BN = mask_BN if masked else torch.ones_like(mask_BN)
    for mask in (mask_BN,) if masked else (None, real_BN):
        results = []
        for mixer in (ours, full):
            y_BND = mixer(x_BND, mask)
            loss = (y_BND[real_BN] * torch.arange(12).cos()).sum()
            results.append([y_BND[real_BN], mixer.maps(x_BND, mask), *torch.autograd.grad(loss, [x_BND, *mixer.parameters()])])
        for mine, theirs in zip(*results, strict=True):
            close(mine, theirs)


@SCORE
@CAUSAL
def test_output_is_the_mean_of_the_values_under_maps_that_are_the_softmax_of_the_scores(score, causal):
    mixer = build(score, causal)
    x_BND, mask_BN = padded()
    q_BHNK, k_BHNK, v_BHNK = mixer.project(x_BND)
    maps_BHNN = mixer.maps(x_BND, mask_BN)
    for b, real in enumerate(mask_BN.sum(1).tolist()):
        for n in range(real):
            seen = n + 1 if causal else real
            weights_HM = mixer.score(q_BHNK, k_BHNK)[b, :, n, :seen].softmax(-1)
            close(maps_BHNN[b, :, n, :seen], weights_HM)
            assert not maps_BHNN[b, :, n, seen:].any()  # exactly 0
            y_HK = torch.stack([weights_HM[h] @ v_BHNK[b, h, :seen] for h in range(3)])
            close(mixer(x_BND, mask_BN)[b, n], mixer.out(y_HK.flatten()))


@SCORE
@CAUSAL
def test_padding_has_no_part_in_values_or_gradients(score, causal):
    mixer = build(score, causal)
    x_BND, mask_BN = padded()
    y_BND = mixer(x_BND, mask_BN)
    for b, real in enumerate(mask_BN.sum(1).tolist()):
        close(y_BND[b, :real], mixer(x_BND[b, None, :real])[0])
    (gradient,) = torch.autograd.grad(y_BND[mask_BN].square().sum(), x_BND)
    assert gradient[mask_BN].any() and not gradient[~mask_BN].any()


@SCORE
@CAUSAL
def test_rows_without_any_real_token_stay_finite(score, causal):
    mixer = build(score, causal)
    x_BND, mask_BN = padded()
    mask_BN[1], mask_BN[2, :5] = False, False
    y_BND = mixer(x_BND, mask_BN)
    y_BND.square().sum().backward()
    assert y_BND.isfinite().all() and x_BND.grad.isfinite().all()
    assert all(p.grad.isfinite().all() for p in mixer.parameters())


@SCORE
def test_step_by_step_is_the_parallel_form(score):
    mixer = build(score)
    x_BND, state, outputs = torch.randn(2, 9, 12), mixer.initial_state(2), []
    for n in range(9):
        y_BD, state = mixer.step(x_BND[:, n], state)
        outputs.append(y_BD)
    close(torch.stack(outputs, 1), mixer(x_BND))


@SCORE
@CAUSAL
def test_scores_and_softmax_are_float32_under_autocast(score, causal):
    mixer = build(score, causal)
    x_BND, mask_BN = padded()
    with torch.autocast("cpu", torch.bfloat16):
        y_BND, (q, k, _) = mixer(x_BND, mask_BN), mixer.project(x_BND)
        weights = mixer.weights(q, k, mask_BN)
    assert weights.dtype == torch.float32
    close(weights, mixer.weights(q.float(), k.float(), mask_BN), atol=1e-6)
    close(y_BND.float()[mask_BN], mixer(x_BND, mask_BN)[mask_BN], atol=0.05, rtol=0.05)


def test_an_unknown_score_is_refused_with_those_that_are_known():
    with pytest.raises(ValueError, match="score='product' must be one of additive, dot, scaled_dot, bilinear"):
        build("product")
