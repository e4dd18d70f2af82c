"""Weights that don't depend on the input: against plain loops, and what a length does to them."""

import itertools
import math

import pytest
import torch

from study.mixers.attention import Attention
from study.mixers.convolution import Convolution
from study.mixers.recurrent import Elman
from study.mixers.static import FullyConnected, RandomSynthesizer, StaticOffset
from tests.cases import case

WIDTH, HEADS, LENGTH = 12, 3, 9
STATIC = pytest.mark.parametrize("mixer_class", [RandomSynthesizer, StaticOffset, FullyConnected])
CAUSAL = pytest.mark.parametrize("causal", [True, False], ids=["causal", "bidirectional"])


def build(mixer_class, causal):
    torch.manual_seed(0)
    mixer = mixer_class(WIDTH, causal=causal, length=LENGTH, heads=HEADS).double()
    torch.nn.init.normal_(mixer.table)
    return mixer


def plain_weights(mixer, h, n, causal, real):
    """Row n of head h over the positions in `real`, entry by entry."""
    table, entries = mixer.table.tolist(), {}
    for m in real:
        if causal and m > n:
            continue
        if isinstance(mixer, StaticOffset):
            if abs(n - m) < LENGTH:
                entries[m] = table[h][n - m]  # a negative offset counts from the end, in Python too
        else:
            entries[m] = table[h * LENGTH + n][m]
    if isinstance(mixer, FullyConnected) and not isinstance(mixer, RandomSynthesizer):
        return entries
    total = sum(math.exp(value) for value in entries.values())
    return {m: math.exp(value) / total for m, value in entries.items()}


def plain(mixer, x_ND, causal, real):
    v_ND, y_ND, K = x_ND @ mixer.value.weight.T, torch.zeros_like(x_ND), WIDTH // HEADS
    for h in range(HEADS):
        for n in real:
            for m, weight in plain_weights(mixer, h, n, causal, real).items():
                y_ND[n, h * K : (h + 1) * K] += weight * v_ND[m, h * K : (h + 1) * K]
    return y_ND @ mixer.out.weight.T


@STATIC
def test_forward_is_the_plain_sum_without_padding(mixer_class):
    for causal, (N, real) in itertools.product((True, False), [(1, 1), (5, 5), (LENGTH, LENGTH), (LENGTH, 6), (21, 21)]):
        mixer = build(mixer_class, causal)
        if N <= (mixer.longest or N):
            with case(f"causal={causal}", f"{real} of {N} are real"):
                x_ND, mask_BN = torch.randn(N, WIDTH, dtype=torch.double), torch.arange(N)[None] < real
                y_ND = mixer(x_ND[None], None if real == N else mask_BN)[0]
                torch.testing.assert_close(y_ND[:real], plain(mixer, x_ND, causal, range(real))[:real])


@STATIC
@CAUSAL
def test_gradients_of_the_table(mixer_class, causal):
    mixer, x_BND = build(mixer_class, causal), torch.randn(2, 5, WIDTH, dtype=torch.double)
    mask_BN = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])

    def scored(table):
        y_BND = torch.func.functional_call(mixer, {"table": table}, (x_BND, mask_BN))
        return y_BND[mask_BN].square().sum()

    assert torch.autograd.gradcheck(scored, mixer.table.detach().requires_grad_())


@STATIC
@CAUSAL
def test_the_input_decides_the_weights_of_attention_and_of_no_static_mixer(mixer_class, causal):
    """C28: a layer with fixed weights is linear, its derivative the same at every input; that of attention is not."""
    torch.manual_seed(0)
    x_BND = torch.randn(2, 5, WIDTH, dtype=torch.double)
    static, attention = build(mixer_class, causal), Attention(WIDTH, causal=causal, heads=HEADS).double()

    def derivatives(mixer):
        return [torch.autograd.functional.jacobian(lambda x: mixer(x[None])[0], x_ND) for x_ND in x_BND]

    torch.testing.assert_close(*derivatives(static))
    one, other = derivatives(attention)
    assert (one - other).abs().max() > 1e-3
    one, other = attention.maps(x_BND)
    assert (one - other).abs().max() > 1e-3


@pytest.mark.parametrize("mixer_class", [FullyConnected, RandomSynthesizer])
@CAUSAL
def test_a_fully_connected_layer_refuses_a_longer_sequence_and_others_take_it(mixer_class, causal):
    """C27, with its correction: recurrence and convolution vary in length as attention does."""
    longer_BND = torch.randn(2, LENGTH + 1, WIDTH)
    with pytest.raises(ValueError, match="10 positions are more than the 9 .* train with a length of at least 10"):
        mixer_class(WIDTH, causal=causal, length=LENGTH, heads=HEADS)(longer_BND)
    others = [
        Attention(WIDTH, causal=causal, heads=HEADS),
        Elman(WIDTH, causal=causal),
        Convolution(WIDTH, causal=causal, kernel=3),
        StaticOffset(WIDTH, causal=causal, length=LENGTH, heads=HEADS),
    ]
    for mixer in others:
        assert mixer(longer_BND).shape == longer_BND.shape


@pytest.mark.parametrize("mixer_class", [FullyConnected, RandomSynthesizer])
def test_decoding_past_the_table_is_refused_too(mixer_class):
    mixer = mixer_class(WIDTH, causal=True, length=2, heads=HEADS)
    state = mixer.initial_state(1)
    for _ in range(2):
        _, state = mixer.step(torch.randn(1, WIDTH), state)
    with pytest.raises(ValueError, match="3 positions are more than the 2"):
        mixer.step(torch.randn(1, WIDTH), state)


@CAUSAL
def test_offsets_are_the_same_everywhere(causal):
    """Moving the sequence moves the output, up to what enters and leaves its training length."""
    mixer = build(StaticOffset, causal)
    x_BND = torch.randn(1, 40, WIDTH, dtype=torch.double)
    y_BND, moved_BND = mixer(x_BND), mixer(x_BND[:, 4:])
    inside = slice(LENGTH, 36 - LENGTH)
    torch.testing.assert_close(moved_BND[:, inside], y_BND[:, 4:][:, inside])


def test_sizes_by_hand():
    """2 x 12^2 for the projections, then 3 heads of 9 x 9, of 9 offsets, or of 17 when both directions count."""

    def parameters(mixer_class, causal):
        return sum(p.numel() for p in mixer_class(12, causal=causal, length=9, heads=3).parameters())

    assert parameters(FullyConnected, True) == 288 + 3 * 81
    assert parameters(RandomSynthesizer, False) == 288 + 3 * 81
    assert parameters(StaticOffset, True) == 288 + 27
    assert parameters(StaticOffset, False) == 288 + 51


@STATIC
def test_heads_must_divide_the_width(mixer_class):
    with pytest.raises(ValueError, match="heads=5 does not divide width=12; use one of 1, 2, 3"):
        mixer_class(12, causal=True, length=4, heads=5)
