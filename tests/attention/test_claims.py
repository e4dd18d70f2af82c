"""What is true of attention by construction; the claims name these tests (C3, C7, C11, C40)."""

import math

import pytest
import torch
import torch.nn.functional as F

from study.attention.dot_product import attention
from study.attention.scoring import SCORES
from study.mixers.attention import Attention
from study.mixers.scored import ScoredAttention
from study.models.seq2seq.alignment import LocalPredictive
from study.models.seq2seq.conv_s2s import HALF, ConvDecoderBlock, Memory
from study.positions.relative import RelativeTables
from tests.attention.reference import reference_attention

B, H, N, M, K = 2, 3, 4, 7, 5


def close(actual, expected):
    torch.testing.assert_close(actual, expected, atol=1e-12, rtol=1e-12)


def query_keys_values():
    torch.manual_seed(0)
    return tuple(torch.randn(B, H, length, K, dtype=torch.double) for length in (N, M, M))


@pytest.mark.parametrize("score", SCORES)
def test_attention_maps_a_query_and_a_set_of_key_value_pairs_to_a_mean_of_the_values(score):
    """Of the values and nothing else; of a set, so that their order does not matter (C3)."""
    mixer = ScoredAttention(H * K, causal=False, heads=H, score=score).double()
    q_BHNK, k_BHMK, v_BHMK = query_keys_values()
    weights_BHNM = mixer.weights(q_BHNK, k_BHMK)
    assert weights_BHNM.shape == (B, H, N, M) and (weights_BHNM >= 0).all()
    close(weights_BHNM.sum(-1), torch.ones(B, H, N, dtype=torch.double))

    y_BHNK = weights_BHNM @ v_BHMK  # so it lies in their hull, and in each coordinate between the least and the greatest
    tiny = 1e-12
    assert (y_BHNK >= v_BHMK.amin(2, keepdim=True) - tiny).all() and (y_BHNK <= v_BHMK.amax(2, keepdim=True) + tiny).all()

    order = torch.randperm(M)
    close(mixer.weights(q_BHNK, k_BHMK[:, :, order]), weights_BHNM[..., order])
    close(mixer.weights(q_BHNK, k_BHMK[:, :, order]) @ v_BHMK[:, :, order], y_BHNK)


def test_the_output_is_that_mean_in_torchs_kernel_and_in_the_plain_form():
    """The kernel as the models use it, and by itself; permuting only the keys does change the output (C3)."""
    q_BHNK, k_BHMK, v_BHMK = query_keys_values()
    mixer = ScoredAttention(H * K, causal=False, heads=H).double()
    expected = mixer.weights(q_BHNK, k_BHMK) @ v_BHMK
    order = torch.arange(M).roll(1)
    for form in (lambda q, k, v: attention(q, k, v, causal=False), reference_attention, F.scaled_dot_product_attention):
        close(form(q_BHNK, k_BHMK, v_BHMK), expected)
        close(form(q_BHNK, k_BHMK[:, :, order], v_BHMK[:, :, order]), expected)
        assert (form(q_BHNK, k_BHMK[:, :, order], v_BHMK) - expected).abs().max() > 0.1


def test_three_published_forms_compute_no_such_mean():
    """Local-p weights sum to less than 1; with a^V the order of the pairs matters; ConvS2S scales the mean (C3)."""
    q_BHNK, k_BHMK, v_BHMK = query_keys_values()
    local = LocalPredictive(K, K, window=2).double()
    context_BK, weights_BM = local(q_BHNK[:, 0, 0], local.source(v_BHMK[:, 0], torch.ones(B, M, dtype=torch.bool)))
    close(context_BK, (weights_BM[..., None] * v_BHMK[:, 0]).sum(1))
    assert (weights_BM.sum(1) < 0.99).all()

    weights_BHNM, order = (q_BHNK @ k_BHMK.mT).softmax(-1), torch.arange(M).roll(1)
    offsets = RelativeTables(H, K, keys=False, values=True, clip=M).double()
    assert (offsets.values(weights_BHNM[..., order]) - offsets.values(weights_BHNM)).abs().max() > 0.1

    block = ConvDecoderBlock(K, hidden=K, kernel=1, dropout=0.0, layer=0).double()
    block.out = torch.nn.Identity()
    nothing_BNK, one_BMK = torch.zeros(B, N, K, dtype=torch.double), torch.ones(B, M, K, dtype=torch.double)
    memory = Memory(k_BHMK[:, 0], one_BMK, torch.ones(B, M, dtype=torch.bool))
    read_BNK, _ = block.read(nothing_BNK, nothing_BNK, q_BHNK[:, 0], memory)
    close(read_BNK / HALF**2, torch.full((B, N, K), math.sqrt(M), dtype=torch.double))  # the mean of ones would be 1


@pytest.mark.parametrize("causal", [True, False], ids=["causal", "bidirectional"])
def test_three_steps_by_hand_give_the_output_of_attention(causal):
    """Score the keys, normalise the scores, average the values; a masked key has a weight of exactly 0 (C7)."""
    torch.manual_seed(0)
    width, length = 6, 5
    mixer = Attention(width, causal=causal, heads=2).double()
    x_ND = torch.randn(length, width, dtype=torch.double)
    real = [True, True, False, True, True]
    q_HNK, k_HNK, v_HNK = (t[0].tolist() for t in mixer.project(x_ND[None]))
    out, maps = mixer.out.weight, mixer.maps(x_ND[None], torch.tensor([real]))[0]
    for n in range(length):
        heads = []
        for h in range(2):
            seen = [m for m in range(length) if real[m] and (m <= n or not causal)]
            scores = [sum(a * b for a, b in zip(q_HNK[h][n], k_HNK[h][m], strict=True)) / math.sqrt(3) for m in seen]
            total = sum(math.exp(score) for score in scores)
            weights = {m: math.exp(score) / total for m, score in zip(seen, scores, strict=True)}
            heads += [sum(weights[m] * v_HNK[h][m][c] for m in seen) for c in range(3)]
            for m in range(length):
                assert maps[h, n, m].item() == pytest.approx(weights.get(m, 0.0), rel=1e-9)
                assert m in seen or maps[h, n, m].item() == 0.0
        expected = out @ torch.tensor(heads, dtype=torch.double)
        close(mixer(x_ND[None], torch.tensor([real]))[0, n], expected)


def test_self_attention_has_one_source_and_links_every_word_to_every_other():
    """q, k and v are linear in one tensor, x; each output depends on each input, in a single layer (C11)."""
    torch.manual_seed(0)
    width, length = 8, 9
    mixer = Attention(width, causal=False, heads=2).double()
    x_ND = torch.randn(length, width, dtype=torch.double)
    weight_3DD = mixer.qkv.weight.unflatten(0, (3, width))
    for made, weight_DD in zip(mixer.project(x_ND[None]), weight_3DD, strict=True):
        close(made[0].transpose(0, 1).flatten(1), x_ND @ weight_DD.T)
    assert not any(torch.equal(weight_3DD[a], weight_3DD[b]) for a, b in ((0, 1), (0, 2), (1, 2)))  # three projections
    jacobian_NDND = torch.autograd.functional.jacobian(lambda x: mixer(x[None])[0], x_ND)
    assert (jacobian_NDND.abs().amax((1, 3)) > 0).all()


def test_softmax_keeps_the_order_of_the_logits_and_so_the_likeliest_word():
    """Ties too: the likeliest words of the one are those of the other, all of them (C40)."""
    torch.manual_seed(0)
    logits_BV = torch.randn(200, 50, dtype=torch.double) * 5
    logits_BV[:100] = logits_BV[:100].round()  # with many ties
    assert any((row == row.max()).sum() > 1 for row in logits_BV)
    for row in logits_BV:
        probabilities = row.softmax(-1)
        assert torch.equal(probabilities == probabilities.max(), row == row.max())
        assert torch.equal((probabilities[:, None] > probabilities).sign(), (row[:, None] > row).sign())
